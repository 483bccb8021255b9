"""The pixels that points fall on: those of a local stack, or all of a CRS, as `geocomiss map` lays them.

P pixels.
"""

from dataclasses import dataclass
from math import floor
from typing import Any

import numpy as np
import shapely
from affine import Affine
from numpy.typing import NDArray
from odc.geo import CRS, Geometry
from odc.geo.geobox import GeoBox
from pyproj import Transformer

from geocomiss.grid import crs_of, densify, grid_of
from geocomiss.sources.base import Source
from geocomiss.sources.resolve import DEFAULT_RESOLUTION, area_held, resolve_grid

Ints = NDArray[np.int64]
Doubles = NDArray[np.float64]
DEGREES = "EPSG:4326"


@dataclass(frozen=True)
class Lattice:
    """Square pixels without end, edges at multiples of their size; or those of a local stack."""

    crs: CRS
    """Their CRS."""
    affine: Affine
    """From column and row to the CRS."""
    whole: GeoBox | None = None
    """The local stack's grid, beyond which there is nothing."""
    area: Any = None
    """Polygons of the CRS to which the stack was confined; None: all of its grid is there."""

    def geobox(self, rows: slice, cols: slice) -> GeoBox:
        """A window of these pixels, with the same bits as a map's grid."""
        if self.whole is not None:
            return self.whole[rows, cols]
        side = self.affine.a
        affine = Affine(side, 0, cols.start * side, 0, -side, -rows.start * side)
        return GeoBox((rows.stop - rows.start, cols.stop - cols.start), affine, self.crs)

    def pixels_of(self, x: Doubles, y: Doubles) -> tuple[Ints, Ints]:
        """Row and column (P,) of the pixels in which places of the CRS lie."""
        back = ~self.affine
        col, row = back.a * x + back.b * y + back.c, back.d * x + back.e * y + back.f
        return np.floor(row).astype(np.int64), np.floor(col).astype(np.int64)

    def centres_of(self, row: Ints, col: Ints) -> tuple[Doubles, Doubles]:
        """Centres (P,) of pixels, in the CRS."""
        across, down = col + 0.5, row + 0.5
        x = self.affine.a * across + self.affine.b * down + self.affine.c
        return x, self.affine.d * across + self.affine.e * down + self.affine.f

    def outlines_of(self, row: Ints, col: Ints) -> NDArray[Any]:
        """Pixels (P,) as polygons of the CRS."""
        x, y = self.centres_of(row, col)
        half_x, half_y = abs(self.affine.a) / 2, abs(self.affine.e) / 2
        return np.asarray(shapely.box(x - half_x, y - half_y, x + half_x, y + half_y))

    def holds(self, row: Ints, col: Ints) -> NDArray[np.bool_]:
        """Which pixels (P,) there are."""
        if self.whole is None:
            return np.ones(len(row), bool)
        found = (row >= 0) & (col >= 0) & (row < self.whole.height) & (col < self.whole.width)
        return (
            found
            if self.area is None
            else found & shapely.intersects_xy(self.area, *self.centres_of(row, col))
        )

    def window(self, bounds: tuple[float, float, float, float]) -> tuple[slice, slice]:
        """Rows and columns that a box (left, bottom, right, top) of the CRS touches; empty where none."""
        left, bottom, right, top = bounds
        x, y = np.array([left, right, left, right]), np.array([bottom, bottom, top, top])
        row, col = self.pixels_of(x, y)
        low, high = [int(row.min()), int(col.min())], [int(row.max()) + 1, int(col.max()) + 1]
        if self.whole is not None:
            low = [max(0, each) for each in low]
            high = [min(size, each) for size, each in zip(self.whole.shape, high, strict=True)]
        return slice(low[0], max(low[0], high[0])), slice(low[1], max(low[1], high[1]))


def lattice_of(source: Source, lon: float, lat: float, crs: str, resolution: float | None) -> Lattice:
    """The pixels at a place.

    Args:
        source: Where values come from; its own pixels count where it has any.
        lon: Degrees east.
        lat: Degrees north.
        crs: A CRS, or 'auto' for the place's UTM zone.
        resolution: Pixel size in units of the CRS; None: 10.

    Raises:
        AreaError: Another CRS or resolution than the local stack's, or ones that make no sense.
    """
    if source.grid is not None:
        own = resolve_grid(source, None, crs, resolution)
        held = area_held(source, None)
        area = held.to_crs(crs_of(own), resolution=densify(held)).geom if held else None
        shapely.prepare(area)
        return Lattice(crs_of(own), own.affine, own, area)
    side = DEFAULT_RESOLUTION if resolution is None else resolution
    grid = grid_of(Geometry(shapely.Point(lon, lat), DEGREES), crs, side)
    return Lattice(crs_of(grid), Affine(side, 0, 0, 0, -side, 0))


def zone_of(lon: float, lat: float) -> int:
    """EPSG code of a place's UTM zone."""
    return (32600 if lat >= 0 else 32700) + min(60, max(1, floor((lon + 180) / 6) + 1))


def moved(shapes: Any, source: Any, target: Any) -> Any:
    """Geometries, or one, from a CRS to another (anything that pyproj understands)."""
    change = Transformer.from_crs(source, target, always_xy=True)

    def each(points: Doubles) -> Doubles:
        return np.stack(change.transform(points[:, 0], points[:, 1]), 1)

    return shapely.transform(shapes, each)
