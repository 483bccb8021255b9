"""Points and polygons on the grid of `gappy`."""

import shapely
from gappy import GRID


def at(row: float, col: float) -> shapely.Point:
    """The place (row, col) of the stack's grid, pixels counted from their corner."""
    return shapely.Point(GRID.affine.c + 10 * col, GRID.affine.f - 10 * row)


def block(row: float, col: float, height: float, width: float) -> shapely.Polygon:
    """A rectangle of pixels."""
    low, high = at(row + height, col), at(row, col + width)
    return shapely.box(low.x, low.y, high.x, high.y)
