"""An assessment as a picture: where the map is wrong, and how much of each class there is."""

from pathlib import Path
from typing import TYPE_CHECKING, Final

import numpy as np

from geocomiss.accuracy.request import Assessment

if TYPE_CHECKING:
    from matplotlib.axes import Axes

DPI: Final = 150
DARK: Final = 0.5
"""Share of a row from which its text is white."""


def write_figure(found: Assessment, path: Path) -> None:
    """Draw the confusion matrix and, of a probability sample, areas with their intervals."""
    from matplotlib.figure import Figure

    number = len(found.whole.classes)
    wide = 2 if found.design else 1
    figure = Figure(figsize=(wide * (3.2 + 0.5 * number), 2.6 + 0.45 * number), layout="constrained")
    axes = np.atleast_1d(figure.subplots(1, wide))
    _draw_confusion(found, axes[0])
    if found.design:
        _draw_areas(found, axes[1])
    overall = found.whole.overall
    error = "" if overall.se is None else f" ± {1.96 * overall.se:.3f}"
    figure.suptitle(f"{found.map}: overall accuracy {overall.value:.3f}{error}")
    figure.savefig(path, dpi=DPI)


def _draw_confusion(found: Assessment, axes: "Axes") -> None:
    """Rows of the map, each adding up to 1: user's accuracy on the diagonal."""
    names = [each.name for each in found.whole.classes]
    rows = found.matrix_share.sum(1, keepdims=True)
    share = found.matrix_share / np.where(rows > 0, rows, 1)
    axes.imshow(share, cmap="Blues", vmin=0, vmax=1)
    for row, col in np.argwhere(found.matrix > 0):
        color = "white" if share[row, col] > DARK else "black"
        axes.text(col, row, f"{share[row, col]:.2f}", ha="center", va="center", color=color, fontsize=8)
    axes.set_xticks(range(len(names)), names, rotation=45, ha="right", rotation_mode="anchor")
    axes.set_yticks(range(len(names)), names)
    axes.set(xlabel="reference", ylabel="map", title="What is mapped as a class, and what it is")


def _draw_areas(found: Assessment, axes: "Axes") -> None:
    """Mapped area as a bar, the estimate as a point with its advised interval."""
    classes = found.whole.classes
    y = np.arange(len(classes))
    colors = [each.color for each in classes]
    axes.barh(y, [each.mapped_ha for each in classes], color=colors, alpha=0.8, label="mapped (pixel count)")
    for position, each in zip(y, classes, strict=True):
        if each.area is None:
            continue
        low, high = each.area.interval
        below, above = max(each.area.hectares - low, 0), max(high - each.area.hectares, 0)
        axes.errorbar(
            each.area.hectares, position, xerr=[[below], [above]], fmt="o", color="black", capsize=4,
            markersize=4, label="estimate, 95 % interval" if position == 0 else None,
        )  # fmt: skip
    axes.set_yticks(y, [each.name for each in classes])
    axes.invert_yaxis()
    axes.set(xlabel="hectares", title="Area")
    axes.legend(loc="upper center", bbox_to_anchor=(0.5, -0.12), ncols=2, fontsize=8, frameon=False)
