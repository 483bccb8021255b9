"""A check of samples as a picture: where they lie, which look wrong, how many there are of each class."""

from pathlib import Path
from typing import TYPE_CHECKING, Final

import numpy as np

from geocomiss.quality.result import Checked

if TYPE_CHECKING:
    from matplotlib.axes import Axes

DPI: Final = 150
DARK: Final = 0.5
"""Share of a row from which its text is white."""
RED: Final = "#c00000"
MOST: Final = 2.5
"""A map of places is drawn at most so many times as wide as high."""


def write_figure(found: Checked, path: Path) -> None:
    """Draw places, classes, the confident joint and distances to the nearest neighbour."""
    from matplotlib.figure import Figure

    number = len(found.classes)
    figure = Figure(figsize=(13, 8 + 0.22 * max(0, number - 6)), layout="constrained")
    axes = figure.subplots(2, 2)
    _draw_places(found, axes[0, 0])
    _draw_classes(found, axes[0, 1])
    _draw_joint(found, axes[1, 0])
    _draw_distances(found, axes[1, 1])
    figure.suptitle(
        f"{found.samples.name}: {len(found.samples):,} samples, {len(found.suspicions):,} labels look wrong, "
        f"{found.clear:,} clearly"
    )
    figure.savefig(path, dpi=DPI)


def _draw_places(found: Checked, axes: "Axes") -> None:
    samples = found.samples
    for place, each in enumerate(found.classes):
        mine = found.y == place
        axes.scatter(
            samples.lon[mine], samples.lat[mine], s=10, color=each.color, label=each.name, linewidths=0
        )
    if clear := [each for each in found.suspicions if each.clear]:
        lon, lat = ([getattr(each, side) for each in clear] for side in ("lon", "lat"))
        axes.scatter(
            lon, lat, s=36, facecolors="none", edgecolors=RED, linewidths=0.8, label="clearly wrong?"
        )
    axes.set(
        xlabel="degrees east",
        ylabel="degrees north",
        title="Samples, ringed where the label looks clearly wrong",
    )
    middle = np.cos(np.radians(float(samples.lat.mean())))
    wide, high = np.ptp(samples.lon) * middle, np.ptp(samples.lat)
    if high > 0 and 1 / MOST < wide / high < MOST:
        axes.set_aspect(1 / middle)
    axes.ticklabel_format(useOffset=False)
    axes.legend(fontsize=7, loc="center left", bbox_to_anchor=(1, 0.5), frameon=False)


def _draw_classes(found: Checked, axes: "Axes") -> None:
    y = np.arange(len(found.classes))
    axes.barh(y, [each.n for each in found.classes], color=[each.color for each in found.classes])
    wrong = [each.suspicious for each in found.classes]
    axes.barh(y, wrong, facecolor="none", edgecolor=RED, hatch="////", label="label looks wrong")
    for position, each in enumerate(found.classes):
        axes.text(each.n, position, f" {each.n:,} in {each.groups} groups", va="center", fontsize=7)
    axes.set_yticks(y, [each.name for each in found.classes])
    axes.invert_yaxis()
    axes.margins(x=0.25)
    axes.set(xlabel="samples", title="Classes")
    axes.legend(fontsize=8, frameon=False, loc="lower right")


def _draw_joint(found: Checked, axes: "Axes") -> None:
    """The confident joint, each row adding up to 1."""
    names, joint = [each.name for each in found.classes], found.confident.joint
    share = joint / np.maximum(joint.sum(1, keepdims=True), 1)
    axes.imshow(share, cmap="Blues", vmin=0, vmax=1)
    for row, col in np.argwhere(joint > 0):
        color = "white" if share[row, col] > DARK else "black"
        axes.text(col, row, f"{joint[row, col]}", ha="center", va="center", color=color, fontsize=7)
    axes.set_xticks(range(len(names)), names, rotation=45, ha="right", rotation_mode="anchor")
    axes.set_yticks(range(len(names)), names)
    axes.set(xlabel="confidently looks like", ylabel="label", title="Confident joint (samples)")


def _draw_distances(found: Checked, axes: "Axes") -> None:
    nearest = np.maximum(found.spread.nearest[np.isfinite(found.spread.nearest)], 1.0)
    if nearest.size:
        edges = np.geomspace(nearest.min() * 0.9, nearest.max() * 1.1, 40)
        axes.hist(nearest, edges.tolist(), color="#4d70a3")
        axes.axvline(float(np.median(nearest)), color="black", linewidth=1, label="median")
        axes.legend(fontsize=8, frameon=False)
    axes.set_xscale("log")
    axes.set(xlabel="metres to the nearest other sample", ylabel="samples", title="How close samples lie")
