"""The one pixel grid: decided first, and every array is held to it.

A grid is an `odc.geo.GeoBox`. Pixels count as inside an area when their centre is.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from math import ceil, floor
from typing import Final

import numpy as np
from affine import Affine
from numpy.typing import ArrayLike, NDArray
from odc.geo import CRS, Geometry
from odc.geo.geobox import GeoBox
from pyproj import Geod, Transformer

from geocomiss.errors import AreaError

MAX_PIXELS_A_SIDE: Final = 2_000_000
"""Widest grid that is believed: at 10 m, half the equator. Beyond it the resolution is a slip."""
AREA_NODES: Final = 9
"""Nodes a side at which the exact pixel area of a tile is computed, linear in between."""


@dataclass(frozen=True)
class Tile:
    """A rectangular part of a grid, computed and stored on its own."""

    row: int
    """Row of the tile, from the top."""
    col: int
    """Column of the tile, from the left."""
    y: slice
    """Rows of the grid it covers."""
    x: slice
    """Columns of the grid it covers."""
    geobox: GeoBox
    """Its own grid."""

    @property
    def name(self) -> str:
        """For example '00003_00012' (row, column)."""
        return f"{self.row:05d}_{self.col:05d}"


def grid_of(aoi: Geometry, crs: str = "auto", resolution: float = 10.0) -> GeoBox:
    """The grid of an area: north up, edges at multiples of the resolution.

    Args:
        aoi: Area of interest, any CRS.
        crs: A CRS, or 'auto' for the UTM zone of the area's centre.
        resolution: Pixel size in units of the CRS (metres for UTM).

    Raises:
        AreaError: The CRS is unknown, the resolution is not positive or does not fit the CRS.
    """
    target = _utm_of(aoi) if crs == "auto" else _crs(crs)
    _check_resolution(resolution, target)
    box = aoi.to_crs(target, resolution=densify(aoi)).boundingbox
    left, top = floor(box.left / resolution), ceil(box.top / resolution)
    width = max(1, ceil(box.right / resolution) - left)
    height = max(1, top - floor(box.bottom / resolution))
    if max(width, height) > MAX_PIXELS_A_SIDE:
        raise AreaError(
            f"the area needs {width:,} x {height:,} pixels of {resolution} {target.units[0]}",
            expected=f"at most {MAX_PIXELS_A_SIDE:,} a side",
            todo="give a coarser --resolution or a smaller area",
        )
    affine = Affine(resolution, 0, left * resolution, 0, -resolution, top * resolution)
    return GeoBox((height, width), affine, target)


def crop(grid: GeoBox, aoi: Geometry, name: str = "") -> GeoBox:
    """The part of a given grid that covers an area, on the same pixels.

    Args:
        grid: The grid.
        aoi: The area.
        name: Of whose grid it is, to be said.

    Raises:
        AreaError: The area lies outside the grid.
    """
    box = aoi.to_crs(crs_of(grid), resolution=densify(aoi)).boundingbox
    x, y = _pixels(grid, np.array([box.left, box.right]), np.array([box.top, box.bottom]))
    (x0, x1), (y0, y1) = sorted(x), sorted(y)
    rows = slice(max(0, floor(y0)), min(grid.height, ceil(y1)))
    cols = slice(max(0, floor(x0)), min(grid.width, ceil(x1)))
    if rows.start >= rows.stop or cols.start >= cols.stop:
        raise AreaError(
            f"the area of interest ({lonlat(aoi)}) lies outside the stack{f' ({name})' if name else ''}",
            expected=f"an area within {lonlat(grid.extent)}",
            todo="give longitude before latitude: with both exchanged it lies inside"
            if _exchanged(aoi, grid)
            else "check the AOI, or leave --aoi out to map the whole stack",
        )
    return grid[rows, cols]


def _exchanged(aoi: Geometry, grid: GeoBox) -> bool:
    """Whether an area would meet a grid if its longitudes were latitudes, a common mistake."""
    ours, theirs = (each.to_crs("EPSG:4326").boundingbox for each in (aoi, grid.extent))
    across = ours.bottom < theirs.right and ours.top > theirs.left
    return bool(across and ours.left < theirs.top and ours.right > theirs.bottom)


def window_in(part: GeoBox, whole: GeoBox) -> tuple[slice, slice]:
    """Rows and columns of `whole` that `part`, a window of the same pixels, covers.

    Raises:
        AreaError: `part` is not a window of `whole`.
    """
    x, y = (float(each) for each in _pixels(whole, part.affine.c, part.affine.f))
    col, row = round(x), round(y)
    one, other = ((grid.affine.a, grid.affine.b, grid.affine.d, grid.affine.e) for grid in (part, whole))
    same = part.crs == whole.crs and np.allclose(one, other, rtol=1e-9, atol=0)
    inside = 0 <= row and 0 <= col and row + part.height <= whole.height and col + part.width <= whole.width
    if not (same and inside and max(abs(x - col), abs(y - row)) < 1e-3):
        raise AreaError(
            "a grid that is no window of the stack's own",
            expected=f"pixels of {whole.resolution.x:g} in {whole.crs}",
            todo="leave --crs and --resolution out to keep the stack's own grid",
        )
    return slice(row, row + part.height), slice(col, col + part.width)


def same_grid(one: GeoBox, other: GeoBox) -> bool:
    """Whether two grids have the same pixels, up to a millionth of a unit."""
    near = one.affine.almost_equals(other.affine, 1e-6)
    return bool(one.crs == other.crs and one.shape == other.shape and near)


def tiles_of(grid: GeoBox, size: int) -> Iterator[Tile]:
    """Cut a grid into tiles of at most `size` pixels a side, row by row."""
    return (tile_at(grid, size, number) for number in range(number_of_tiles(grid, size)))


def number_of_tiles(grid: GeoBox, size: int) -> int:
    """Tiles of at most `size` pixels a side in a grid."""
    return -(-grid.height // size) * -(-grid.width // size)


def tile_at(grid: GeoBox, size: int, number: int) -> Tile:
    """One of the tiles of `tiles_of`, counted row by row from 0."""
    row, col = divmod(number, -(-grid.width // size))
    y = slice(row * size, min((row + 1) * size, grid.height))
    x = slice(col * size, min((col + 1) * size, grid.width))
    return Tile(row, col, y, x, grid[y, x])


def centres(grid: GeoBox, whole: GeoBox | None = None) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Coordinates of pixel centres: x of each column (W,), y of each row (H,). North-up grids only.

    Args:
        grid: The grid, or a window of `whole`.
        whole: Count pixels from this grid's origin, so that every window gives the same bits.
    """
    origin = whole or grid
    rows, cols = window_in(grid, origin)
    x = origin.affine.c + (np.arange(cols.start, cols.stop) + 0.5) * origin.affine.a
    y = origin.affine.f + (np.arange(rows.start, rows.stop) + 0.5) * origin.affine.e
    return x, y


def pixel_hectares(grid: GeoBox) -> NDArray[np.float64]:
    """True area on the ellipsoid of each pixel, in hectares: (H, W).

    Exact geodesic areas at a few nodes, bilinear in between (relative error below 1e-6 for tiles). Not as a
    product of matrices: for one, numpy's BLAS keeps a thread busy for 70 ms that waits for another.
    """
    rows = np.unique(np.linspace(0, grid.height - 1, AREA_NODES).astype(int))
    cols = np.unique(np.linspace(0, grid.width - 1, AREA_NODES).astype(int))
    nodes = _hectares(grid, *np.meshgrid(rows, cols, indexing="ij"))
    along = np.stack([np.interp(np.arange(grid.width), cols, each) for each in nodes])
    return _between(rows, along, grid.height)


def _between(nodes: NDArray[np.int64], values: NDArray[np.float64], size: int) -> NDArray[np.float64]:
    """All rows (size, W), linearly between those at some nodes (N, W)."""
    if nodes.size == 1:
        return np.repeat(values, size, axis=0)
    at = np.interp(np.arange(size), nodes, np.arange(nodes.size))
    below = np.minimum(at.astype(int), nodes.size - 2)
    return np.asarray(values[below] + (at - below)[:, None] * np.diff(values, axis=0)[below])


def cells_of(
    part: GeoBox, coarse: GeoBox, whole: GeoBox | None = None
) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
    """The cell of a coarse grid in which each pixel centre lies.

    Args:
        part: Fine grid, a window of `whole`.
        coarse: Coarse grid, any CRS.
        whole: Fine grid from whose origin pixels are counted.

    Returns:
        Flat index into the coarse grid (H, W), 0 where outside, and whether it lies inside (H, W).
    """
    every = np.ones(part.shape, bool)
    places = (each.reshape(part.shape) for each in places_in(part, coarse, every, whole))
    col, row = (np.floor(each).astype(np.int64) for each in places)
    within = (row >= 0) & (row < coarse.height) & (col >= 0) & (col < coarse.width)
    return np.where(within, row * coarse.width + col, 0), within


def places_in(
    part: GeoBox, coarse: GeoBox, chosen: NDArray[np.bool_], whole: GeoBox | None = None
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Where the centres of some pixels lie in a coarse grid.

    Args:
        part: Fine grid (H, W), a window of `whole`.
        coarse: Coarse grid, any CRS.
        chosen: (H, W) the N pixels, row by row.
        whole: Fine grid from whose origin pixels are counted.

    Returns:
        Column (N,) and row (N,), the first cell reaching from 0 to 1.
    """
    x, y = centres(part, whole)
    rows, cols = np.nonzero(chosen)
    x, y = x[cols], y[rows]
    if part.crs != coarse.crs:
        x, y = _transformer(part, coarse).transform(x, y)
    return _pixels(coarse, x, y)


def _pixels(grid: GeoBox, x: ArrayLike, y: ArrayLike) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Fractional column and row of places in the CRS of a grid."""
    inverse, x, y = ~grid.affine, np.asarray(x), np.asarray(y)
    return inverse.a * x + inverse.b * y + inverse.c, inverse.d * x + inverse.e * y + inverse.f


def _hectares(grid: GeoBox, row: NDArray[np.int64], col: NDArray[np.int64]) -> NDArray[np.float64]:
    """True areas of some pixels, in hectares, in the shape of their rows and columns."""
    col, row = col[..., None] + np.array([0, 1, 1, 0]), row[..., None] + np.array([0, 0, 1, 1])
    affine = grid.affine
    x = affine.c + affine.a * col + affine.b * row
    y = affine.f + affine.d * col + affine.e * row
    corners = Transformer.from_crs(crs_of(grid).proj, 4326, always_xy=True).transform(x, y)
    lon, lat = (each.reshape(-1, 4) for each in corners)
    geod = Geod(ellps="WGS84")
    areas = [geod.polygon_area_perimeter(*each)[0] for each in zip(lon, lat, strict=True)]
    return np.abs(areas).reshape(row.shape[:-1]) / 1e4


def crs_of(grid: GeoBox) -> CRS:
    """The CRS of a grid. Raises AreaError where it has none."""
    if grid.crs is None:
        raise AreaError("a grid without CRS", expected="a CRS", todo="state the CRS of the file")
    return grid.crs


def crs_text(crs: CRS) -> str:
    """'EPSG:32631' where the CRS has a code, else its WKT."""
    return f"EPSG:{crs.epsg}" if crs.epsg else crs.to_wkt()


def _transformer(source: GeoBox, target: GeoBox) -> Transformer:
    return Transformer.from_crs(crs_of(source).proj, crs_of(target).proj, always_xy=True)


def _utm_of(aoi: Geometry) -> CRS:
    lon, lat = aoi.to_crs("EPSG:4326").centroid.coords[0]
    zone = min(60, max(1, floor((lon + 180) / 6) + 1))
    return CRS(f"EPSG:{(32600 if lat >= 0 else 32700) + zone}")


def _crs(text: str) -> CRS:
    try:
        return CRS(text)
    except Exception as error:  # odc and PROJ raise many kinds here
        raise AreaError(
            f"the CRS {text!r} is not known",
            expected="'auto' or a code such as EPSG:32631",
            todo="correct --crs",
        ) from error


def _check_resolution(resolution: float, crs: CRS) -> None:
    if not resolution > 0:
        raise AreaError(
            f"a resolution of {resolution}", expected="a number above 0", todo="correct --resolution"
        )
    if crs.geographic and resolution > 0.1:
        raise AreaError(
            f"a resolution of {resolution} degrees in {crs}",
            expected="degrees where the CRS is geographic (0.0001 is about 10 m)",
            todo="correct --resolution, or leave --crs out to work in metres",
        )


def densify(aoi: Geometry) -> float:
    """Longest edge left straight when an area is reprojected, in its own units."""
    box = aoi.boundingbox
    return max(box.span_x, box.span_y, 1e-9) / 64


def lonlat(area: Geometry) -> str:
    """Where an area lies, in words: 'W,S,E,N' in degrees."""
    box = area.to_crs("EPSG:4326").boundingbox
    return f"{box.left:.4f},{box.bottom:.4f},{box.right:.4f},{box.top:.4f}"
