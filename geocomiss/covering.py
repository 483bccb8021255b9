"""An area of interest on a pixel grid: which tiles it touches, and which pixels lie inside.

The area is reprojected once. Of many scattered parts a tile looks only at those that it meets.
"""

from collections.abc import Iterator
from typing import Any, Final

import numpy as np
import shapely
from numpy.typing import NDArray
from odc.geo import Geometry
from odc.geo.geobox import GeoBox

from geocomiss.grid import Tile, centres, crs_of, densify, tile_at

AT_ONCE: Final = 100_000
"""Tiles that are compared with a part at a time: bounds the memory that their outlines take."""

Bools = NDArray[np.bool_]


def common(one: Geometry, other: Geometry) -> Geometry | None:
    """What two areas share, in the CRS of the second; None where they share nothing."""
    crs = other.crs
    if one == other or crs is None:
        return other
    shared = shapely.intersection(one.to_crs(crs, resolution=densify(one)).geom, other.geom)
    parts = [part for part in shapely.get_parts(shared) if part.geom_type == "Polygon" and part.area > 0]
    return Geometry(shapely.multipolygons(parts), crs) if parts else None


class Covering:
    """An area on a north-up grid.

    Args:
        area: The area, any CRS.
        grid: The grid.
    """

    def __init__(self, area: Geometry, grid: GeoBox) -> None:
        whole = area.to_crs(crs_of(grid), resolution=densify(area)).geom
        self._grid = grid
        self._parts = shapely.get_parts(whole)
        self._tree = shapely.STRtree(self._parts)

    def tiles(self, size: int) -> Iterator[Tile]:
        """The tiles, of at most `size` pixels a side, that meet the area, row by row."""
        return (tile_at(self._grid, size, int(number)) for number in self.numbers(size))

    def numbers(self, size: int) -> NDArray[np.int64]:
        """Which tiles these are, counted row by row over the whole grid."""
        found = [np.unique(self._touched(part, size)) for part in self._parts]
        return np.unique(np.concatenate(found)) if found else np.zeros(0, np.int64)

    def inside(self, part: GeoBox) -> Bools:
        """Which pixel centres of a window of the grid lie inside the area: (H, W)."""
        box = part.extent.geom
        met = self._parts[np.sort(self._tree.query(box, predicate="intersects"))]
        result = np.zeros(part.shape, bool)
        x, y = centres(part, self._grid) if len(met) else (np.empty(0), np.empty(0))
        for each in met:
            if each.contains(box):
                return np.ones(part.shape, bool)
            left, bottom, right, top = each.bounds
            rows, cols = _between(-y, -top, -bottom), _between(x, left, right)
            shapely.prepare(each)
            result[rows, cols] |= shapely.intersects_xy(each, *np.meshgrid(x[cols], y[rows]))
        return result

    def _touched(self, part: Any, size: int) -> NDArray[np.int64]:
        """Numbers of the tiles, counted row by row, that meet a part of the area."""
        shape = (-(-self._grid.height // size), -(-self._grid.width // size))
        left, bottom, right, top = part.bounds
        affine = self._grid.affine
        cols = _span((left - affine.c) / affine.a, (right - affine.c) / affine.a, size, shape[1])
        rows = _span((top - affine.f) / affine.e, (bottom - affine.f) / affine.e, size, shape[0])
        shapely.prepare(part)
        step = max(1, AT_ONCE // max(1, len(cols)))
        found = [self._met(part, rows[at : at + step], cols, size) for at in range(0, len(rows), step)]
        return (
            np.concatenate([row * shape[1] + col for row, col in found]) if found else np.zeros(0, np.int64)
        )

    def _met(
        self, part: Any, rows: NDArray[np.int64], cols: NDArray[np.int64], size: int
    ) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Row and column of the tiles among these that meet a part."""
        row, col = (each.ravel() for each in np.meshgrid(rows, cols, indexing="ij"))
        affine = self._grid.affine
        x0, x1 = (affine.c + affine.a * np.minimum(at * size, self._grid.width) for at in (col, col + 1))
        y0, y1 = (affine.f + affine.e * np.minimum(at * size, self._grid.height) for at in (row, row + 1))
        met = shapely.intersects(part, shapely.box(x0, y1, x1, y0))
        return row[met], col[met]


def _span(first: float, last: float, size: int, most: int) -> NDArray[np.int64]:
    """Tiles along an axis between two places in pixels, one more on each side."""
    low, high = int(np.floor(first / size)) - 1, int(np.floor(last / size)) + 2
    return np.arange(max(0, low), min(most, high), dtype=np.int64)


def _between(ascending: NDArray[np.float64], low: float, high: float) -> slice:
    """The places between two bounds, both included."""
    return slice(int(ascending.searchsorted(low, "left")), int(ascending.searchsorted(high, "right")))
