"""`preview.png`: a map for a report or a slide, with all that a reader needs to read it."""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final
from warnings import catch_warnings, filterwarnings

import numpy as np
import rasterio
from numpy.typing import NDArray
from rasterio.errors import RasterioError

from geocomiss.errors import MapError
from geocomiss.maps import Category, Layer
from geocomiss.viewing.fonts import fonts_for
from geocomiss.viewing.frames import COARSER
from geocomiss.viewing.marks import draw_label, draw_north, draw_scale_bar
from geocomiss.viewing.opened import OpenedMap

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from matplotlib.patches import Patch

SIDE: Final = 1400
"""Most pixels a side that are drawn."""
DPI: Final = 150
"""Dots an inch."""
BLOCKS: Final = 90
"""Blocks along the longer side in which confidence is averaged for the hatching."""
HATCH: Final = "//////"
"""Dense enough that a single block shows it."""
LONG: Final = 34
"""Letters of a label on the map, at most."""
ROOM: Final = 190.0
"""Points across the words of the legend, at most."""
POINTS: Final = 8.0
"""Size of the legend's letters."""
ENTRIES: Final = 24
"""Classes that fit into the legend, the largest first."""
WIDE: Final = 6.6
"""Inches across a map, at most."""
NARROW: Final = 1.8
"""Inches kept for the narrowest map."""
HEIGHTS: Final = (4.6, 9.5)
"""Inches down a map: at least, where the legend needs them, and at most."""
SIDE_WIDE: Final = 3.1
"""Inches of the legend."""
TITLE: Final = 0.45
"""Inches above the map."""
ENTRY: Final = 0.325
"""Inches of a legend's entry of two lines."""
LINE: Final = 0.185
"""Inches of one of one line."""
PANEL: Final = 1.95
"""Inches of the panel of modalities with its own legend."""
COMBINATIONS: Final = 4
"""Combinations of modalities in the panel's legend, the most frequent first."""
EMPTY: Final = "#f3f4f5"
"""Colour of pixels without a class."""


@dataclass(frozen=True)
class Raster:
    """A band, drawn coarser where it is large."""

    values: NDArray[Any]
    """(h, w) stored values."""
    layer: Layer
    """What they mean."""


def write_preview(path: Path, opened: OpenedMap, low: float) -> list[str]:
    """Draw a map with legend, scale bar, north arrow, hatching and the modalities used.

    Args:
        path: `*.png`.
        opened: The map.
        low: Confidence (0..1) below which the map is hatched.

    Returns:
        What could not be drawn.

    Raises:
        MapError: The classes cannot be read.
    """
    from matplotlib import rc_context

    crop = _read(*opened.main)
    if crop is None:
        raise MapError(
            f"{opened.main[0]} cannot be read", expected="a whole GeoTIFF", todo="make the map again"
        )
    families, unknown = fonts_for([opened.title, *(each.name for each, _, _ in opened.areas)])
    with (
        rc_context({"hatch.linewidth": 0.45, "hatch.color": "#222222", "font.family": families}),
        catch_warnings(),
    ):
        filterwarnings("ignore", "Glyph .* missing")  # said below, once
        figure = _figure(opened, crop, low)
        figure.savefig(path, format="png", facecolor="white", metadata={"Software": "geocomiss"})
    return (
        [f"{len(unknown)} letters in the picture ({unknown[:10]}): no installed font has them"]
        if unknown
        else []
    )


def _figure(opened: OpenedMap, crop: Raster, low: float) -> "Figure":
    from matplotlib.figure import Figure

    tall = crop.values.shape[0] / crop.values.shape[1]
    legend = min(HEIGHTS[0], (len(opened.areas) + 1) * ENTRY + (PANEL if opened.named("modalities") else 0))
    height = float(np.clip(WIDE * tall, legend, HEIGHTS[1]))
    width = float(np.clip(height / tall, NARROW, WIDE))
    inches = (min(width, height / tall), min(height, width * tall))
    figure = Figure(figsize=(width + SIDE_WIDE, height + TITLE), dpi=DPI, layout="constrained")
    board = figure.subplot_mosaic([["map", "side"]], width_ratios=[width, SIDE_WIDE])
    board["map"].set_anchor("NW")
    _draw_classes(board["map"], crop)
    hatched = _hatch(board["map"], opened, crop.values.shape, low)
    draw_scale_bar(board["map"], opened.grid, crop.values.shape, inches)
    draw_north(board["map"], opened.grid, inches)
    draw_label(board["map"], _cut(opened.label, LONG), inches)
    board["map"].set_title(
        _cut(opened.title, 80), loc="left", fontsize=12, fontweight="bold", parse_math=False
    )
    _side(board["side"], opened, low if hatched else None, height)
    return figure


def _read(path: Path, layer: Layer, side: int = SIDE) -> Raster | None:
    """The first band of a raster, coarser where it is damaged (overviews lie first in a file), or None."""
    for damaged in COARSER:
        try:
            with rasterio.open(path) as file:
                coarser = max(1.0, max(file.shape) / side) * damaged
                shape = tuple(max(1, round(size / coarser)) for size in file.shape)
                return Raster(file.read(1, out_shape=shape), layer)
        except RasterioError:
            continue
    return None


def _draw_classes(axes: "Axes", raster: Raster) -> None:
    """Colours of classes, without axes but with a frame."""
    from matplotlib.colors import ListedColormap

    table = np.full((256, 3), np.array([int(EMPTY[at : at + 2], 16) for at in (1, 3, 5)]) / 255)
    for each in raster.layer.categories:
        table[each.value] = np.array(each.rgb) / 255
    shown = np.where(raster.values == raster.layer.nodata, 0, raster.values)
    if raster.layer.nodata != 0:  # 0 may be a class here
        shown = raster.values
    axes.imshow(shown, cmap=ListedColormap(table), vmin=0, vmax=255, interpolation="nearest")
    axes.set_xticks([])
    axes.set_yticks([])
    for spine in axes.spines.values():
        spine.set_color("#8a9499")


def _hatch(axes: "Axes", opened: OpenedMap, shape: tuple[int, ...], low: float) -> bool:
    """Hatch where confidence, averaged over blocks, is low. Returns whether anything is."""
    found = opened.named("confidence")
    raster = _read(*found, side=BLOCKS * 8) if found else None
    if raster is None:
        return False
    valid = raster.values != raster.layer.nodata
    true = np.where(valid, raster.layer.offset + raster.layer.scale * raster.values, 0)
    size = max(1, round(max(true.shape) / BLOCKS))
    sums, counts = _blocks(true, size), _blocks(valid.astype(float), size)
    mean = np.where(counts > 0, sums / np.maximum(counts, 1), 1.0)
    if min(mean.shape) < 2 or not (mean < low).any():
        return False
    stretch = shape[0] / true.shape[0]
    x = (np.arange(mean.shape[1]) + 0.5) * size * stretch - 0.5
    y = (np.arange(mean.shape[0]) + 0.5) * size * stretch - 0.5
    x[0] = y[0] = -0.5  # blocks at the edges reach it
    x[-1], y[-1] = shape[1] - 0.5, shape[0] - 0.5
    axes.contourf(x, y, mean, levels=[-1, low], hatches=[HATCH], colors="none")
    axes.set_xlim(-0.5, shape[1] - 0.5)
    axes.set_ylim(shape[0] - 0.5, -0.5)
    return True


def _blocks(values: NDArray[np.float64], size: int) -> NDArray[np.float64]:
    """Sums over blocks of size x size; those at the edges hold less."""
    rows, cols = np.arange(0, values.shape[0], size), np.arange(0, values.shape[1], size)
    return np.asarray(np.add.reduceat(np.add.reduceat(values, rows, 0), cols, 1))


def _side(axes: "Axes", opened: OpenedMap, low: float | None, height: float) -> None:
    """Legend with areas, and below it the panel of modalities.

    Args:
        axes: Where they are drawn.
        opened: The map.
        low: Confidence below which the map is hatched; None: it is not.
        height: Inches of the axes.
    """
    axes.axis("off")
    shown = sorted(sorted(opened.areas, key=lambda each: -each[2])[:ENTRIES], key=opened.areas.index)
    others = 1 + (low is not None) + (len(shown) < len(opened.areas))
    panel = PANEL if opened.named("modalities") else 0.0
    lines = 2 if len(shown) * ENTRY + others * LINE + panel <= height else 1
    taken = len(shown) * (ENTRY if lines == 2 else LINE) + others * LINE
    legend = axes.legend(
        handles=_handles(opened, shown, low, lines),
        loc="upper left",
        bbox_to_anchor=(0.0, 1.0),
        fontsize=POINTS if taken <= height else 6.5,
        frameon=False,
        borderaxespad=0,
        labelspacing=0.5,
        handlelength=1.6,
    )
    for words in legend.get_texts():
        words.set_parse_math(False)  # a name may hold dollars
    if taken + panel <= height:
        axes.add_artist(legend)  # else the legend of the panel would replace it
        _modalities(axes, opened, height)


def _handles(opened: OpenedMap, shown: list[Any], low: float | None, lines: int) -> "list[Patch]":
    """Entries of the legend: classes, what was left out, no class, and the hatching."""
    from matplotlib.patches import Patch

    total = sum(hectares for _, _, hectares in opened.areas)
    thin: dict[str, Any] = {"linewidth": 0.5}
    handles = [
        Patch(facecolor=each.color, edgecolor="#555555", label=_label(each, hectares, total, lines), **thin)
        for each, _, hectares in shown
    ]
    if left_out := len(opened.areas) - len(shown):
        handles.append(Patch(facecolor="white", edgecolor="white", label=f"and {left_out} smaller classes"))
    handles.append(Patch(facecolor=EMPTY, edgecolor="#999999", label="no class", **thin))
    if low is not None:
        text = f"confidence below {low:.0%}"
        handles.append(Patch(facecolor="white", edgecolor="#333333", hatch=HATCH, label=text, **thin))
    return handles


def _label(each: Category, hectares: float, total: float, lines: int) -> str:
    area = f"{hectares:,.{0 if total >= 1000 else 1}f} ha"
    share = f", {hectares / total:.1%}" if total else ""
    if lines == 2:
        return f"{fitting(each.name, ROOM)}\n{area}{share}"
    rest = f": {area}{share}"
    return fitting(each.name, ROOM - _points_across(rest)) + rest


def fitting(text: str, points: float) -> str:
    """As much of a text as fits into a width at the legend's size: letters are of unlike widths."""
    one_line = " ".join(text.split())
    for letters in range(len(one_line), 0, -1):
        if _points_across(part := _cut(one_line, letters)) <= points:
            return part
    return "…"


def _points_across(text: str) -> float:
    from matplotlib.font_manager import FontProperties
    from matplotlib.textpath import text_to_path

    return float(text_to_path.get_text_width_height_descent(text, FontProperties(size=POINTS), False)[0])


def _cut(text: str, letters: int) -> str:
    one_line = " ".join(text.split())
    return one_line if len(one_line) <= letters else one_line[: letters - 1].rstrip() + "…"


def _modalities(axes: "Axes", opened: OpenedMap, height: float) -> None:
    """A small map of what pixels were decided on, at the foot.

    Args:
        axes: Where it is drawn.
        opened: The map.
        height: Inches of the axes.
    """
    from matplotlib.patches import Patch

    found = opened.named("modalities")
    raster = _read(*found, side=400) if found else None
    if raster is None:
        return
    often = np.bincount(raster.values.ravel(), minlength=256)
    present = sorted(
        (each for each in raster.layer.categories if often[each.value]), key=lambda each: -often[each.value]
    )
    rows = [(each.color, each.name) for each in present[:COMBINATIONS]]
    if others := len(present) - len(rows):
        rows.append(("white", f"and {others} rarer combinations"))
    foot = 0.16 * max(len(rows), 1) / height
    inset = axes.inset_axes((0.0, foot, 1.0, (PANEL - 0.3) / height - foot))
    inset.set_anchor("SW")
    _draw_classes(inset, raster)
    inset.set_title("decided on", fontsize=8, loc="left", pad=3)
    handles = [Patch(facecolor=color, label=_cut(name, 44)) for color, name in rows]
    axes.legend(
        handles=handles,
        loc="lower left",
        bbox_to_anchor=(-0.01, -0.01),
        fontsize=6.5,
        frameon=False,
        labelspacing=0.25,
        handlelength=1.4,
        borderpad=0,
        borderaxespad=0,
    )
