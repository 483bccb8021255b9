"""Marks on a printed map: scale bar, north arrow, and what it is no map of."""

from math import cos, floor, log10, radians
from typing import TYPE_CHECKING, Final

import numpy as np
from odc.geo.geobox import GeoBox
from pyproj import Transformer

from geocomiss.grid import crs_of

if TYPE_CHECKING:
    from matplotlib.axes import Axes

METRES_PER_DEGREE: Final = 111_320.0
"""Length of a degree of latitude."""
ARROW: Final = (0.46, 0.8)
"""Inches across and down the north arrow with the white behind it."""
MARGIN: Final = 0.1
"""Inches between the marks and the edge of the map."""
BAR: Final = 0.08
"""Inches down the scale bar."""
TEXT: Final = 0.2
"""Inches down its text."""
LETTER: Final = 0.085
"""Inches across a letter of it."""
WARNING: Final = "#a3261d"
"""Colour behind what nobody may overlook, the one of the page."""
PAPER: Final = 0.82
"""Opacity of the white behind a mark: the map shines through."""


def draw_scale_bar(axes: "Axes", grid: GeoBox, shape: tuple[int, ...], inches: tuple[float, float]) -> None:
    """A bar of a round length, about a fifth of the map, with its length above.

    Args:
        axes: Shows the map, a pixel a unit.
        grid: The map's own pixels.
        shape: Rows and columns shown.
        inches: Size of the map, across and down.
    """
    from matplotlib.patches import Rectangle

    metres = _metres_across(grid)
    length = _round_length(metres * max(0.2, min(0.7, 0.8 / inches[0])))
    text = f"{length / 1000:g} km" if length >= 1000 else f"{length:g} m"
    unit = shape[1] / inches[0]  # pixels an inch
    wide, thick = length / metres * shape[1], BAR * unit
    box = max(wide, len(text) * LETTER * unit) + 2 * MARGIN * unit
    left, foot = MARGIN * unit, shape[0] - MARGIN * unit
    behind = Rectangle((left, foot), box, -(BAR + TEXT + 1.5 * MARGIN) * unit)
    behind.set(facecolor="white", alpha=PAPER, zorder=4)
    axes.add_patch(behind)
    begin, base = left + (box - wide) / 2, foot - MARGIN * unit
    for part, color in ((0, "black"), (1, "white")):
        half = Rectangle((begin + part * wide / 2, base), wide / 2, -thick)
        half.set(facecolor=color, edgecolor="black", linewidth=0.7, zorder=5)
        axes.add_patch(half)
    axes.text(left + box / 2, base - 1.3 * thick, text, ha="center", va="bottom", fontsize=8.5, zorder=6)


def _metres_across(grid: GeoBox) -> float:
    """Width of the map on the ground."""
    wide = grid.width * abs(grid.affine.a)
    crs = crs_of(grid)
    if crs.geographic:
        box = grid.extent.boundingbox
        return float(wide * METRES_PER_DEGREE * cos(radians((box.bottom + box.top) / 2)))
    return float(wide * crs.proj.axis_info[0].unit_conversion_factor)


def _round_length(metres: float) -> float:
    """1, 2 or 5 times a power of ten, at most `metres`."""
    power = 10.0 ** floor(log10(metres))
    return max(step * power for step in (1, 2, 5) if step * power <= metres * 1.0000001)


def draw_north(axes: "Axes", grid: GeoBox, inches: tuple[float, float]) -> None:
    """An arrow to true north, which grid north is not everywhere.

    Args:
        axes: Shows the map.
        grid: The map's own pixels.
        inches: Size of the map, across and down.
    """
    from matplotlib.patches import FancyArrow, Rectangle

    across, down = inches
    smaller = min(1.0, 0.8 * down / ARROW[1], 0.8 * across / ARROW[0])
    size = (ARROW[0] * smaller / across, ARROW[1] * smaller / down)
    corner = (1 - size[0] - MARGIN * smaller / across, 1 - size[1] - MARGIN * smaller / down, *size)
    behind = Rectangle(corner[:2], *size, transform=axes.transAxes)
    behind.set(facecolor="white", alpha=PAPER, zorder=4)
    axes.add_patch(behind)
    inset = axes.inset_axes(corner, zorder=5)
    inset.set(xlim=(-1, 1), ylim=(-1.0, 1.6), aspect="equal")
    inset.axis("off")
    right, up = _north(grid)
    tail, reach = (-0.75 * right, -0.75 * up), (1.5 * right, 1.5 * up)
    arrow = FancyArrow(
        *tail, *reach, width=0.16, length_includes_head=True, head_width=0.75, head_length=0.75, color="black"
    )
    inset.add_patch(arrow)
    inset.text(0, 1.0, "N", ha="center", va="bottom", fontsize=9 * smaller, fontweight="bold")


def _north(grid: GeoBox) -> tuple[float, float]:
    """The direction of true north in the middle of a map, of length 1, right and up."""
    middle = np.array(grid.extent.centroid.coords[0])
    to_degrees = Transformer.from_crs(crs_of(grid).proj, 4326, always_xy=True)
    lon, lat = to_degrees.transform(*middle)
    further = to_degrees.transform(lon, min(lat + 0.01, 90), direction="INVERSE")
    right, up = (np.array(further) - middle) / np.hypot(*(np.array(further) - middle))
    return float(right), float(up)


def draw_label(axes: "Axes", label: str, inches: tuple[float, float]) -> None:
    """Words that go with a map wherever it goes, such as SIMULATED WORLD, in its corner.

    Args:
        axes: Shows the map.
        label: The words; nothing is drawn where there are none.
        inches: Size of the map, across and down.
    """
    if not label:
        return
    across, down = inches
    place = (MARGIN / across, 1 - MARGIN / down)
    behind = {"facecolor": WARNING, "edgecolor": "none", "boxstyle": "round,pad=0.3"}
    words = axes.text(
        *place, label, transform=axes.transAxes, bbox=behind, ha="left", va="top", zorder=6, parse_math=False
    )
    words.set(color="white", fontsize=7, fontweight="bold")
