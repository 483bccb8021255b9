"""A finished map on disk: what it says at points, and how much of each class it holds where.

N points, D districts.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import numpy as np
import rasterio
import shapely
from numpy.typing import NDArray
from odc.geo.geobox import GeoBox
from rasterio.errors import RasterioError

from geocomiss.errors import MapError
from geocomiss.grid import Tile, centres, pixel_hectares, tiles_of
from geocomiss.maps import check_one_map, read_summary

CROP_TYPE: Final = "crop_type.tif"
MODALITIES_USED: Final = "modalities.tif"
TILE: Final = 512
"""Pixels a side that are read at once: the blocks of our maps."""
VALUES: Final = 256
"""Values that a layer can have."""
PATTERNS: Final = 16
"""Combinations of the four modalities, none among them."""
BLOCKS: Final = 4
"""Blocks a side into which a map is cut to see whether points are spread over it."""


@dataclass(frozen=True)
class MapOnDisk:
    """A finished map."""

    folder: Path
    """Where it lies."""
    grid: GeoBox
    """Its pixels."""
    classes: dict[int, str]
    """Names of its classes by value."""
    colors: dict[int, str]
    """Their colours, '#rrggbb'."""
    model_sha256: str
    """Digest of the model that made it."""


@dataclass(frozen=True)
class Tally:
    """How much of each class a map holds. Value 0 is "no class"."""

    pixels: NDArray[np.int64]
    """(256,) pixels by class value."""
    hectares: NDArray[np.float64]
    """(256,) true area by class value."""
    blocks: NDArray[np.int64]
    """(BLOCKS^2, 256) pixels by block and class value."""
    patterns: NDArray[np.float64]
    """(16, 256) hectares by what a pixel was decided on (bits of `modalities.tif`) and class value."""
    districts: NDArray[np.float64]
    """(D, 256) hectares by district and class value."""

    @property
    def mapped(self) -> float:
        """Hectares with a class."""
        return float(self.hectares[1:].sum())


@dataclass(frozen=True)
class Located:
    """N points on a map."""

    inside: NDArray[np.bool_]
    """(N,) whether the point lies on the map's grid."""
    row: NDArray[np.int64]
    """(N,) row of its pixel, 0 where outside."""
    col: NDArray[np.int64]
    """(N,) column of its pixel, 0 where outside."""
    value: NDArray[np.int64] = field(default_factory=lambda: np.empty(0, np.int64))
    """(N,) mapped class, 0 where there is none."""
    bits: NDArray[np.int64] = field(default_factory=lambda: np.empty(0, np.int64))
    """(N,) what the pixel was decided on."""
    hectares: NDArray[np.float64] = field(default_factory=lambda: np.empty(0))
    """(N,) true area of its pixel."""


def open_map(folder: Path) -> MapOnDisk:
    """Open a finished map.

    Raises:
        MapError: The folder holds no finished map, or a damaged one.
    """
    check_one_map(folder)
    summary = read_summary(folder)
    try:
        entries = summary["classes"]
        classes = {int(each["value"]): str(each["name"]) for each in entries}
        colors = {int(each["value"]): str(each["color"]) for each in entries}
        model = str(summary["model"]["sha256"])
        with rasterio.open(folder / CROP_TYPE) as file:
            grid = GeoBox(file.shape, file.transform, file.crs.to_wkt())
    except (RasterioError, KeyError, TypeError, ValueError, AttributeError) as error:
        raise _damaged(folder, error) from error
    return MapOnDisk(folder, grid, classes, colors, model)


def locate(one: MapOnDisk, x: NDArray[np.float64], y: NDArray[np.float64]) -> Located:
    """What a map says at places.

    Args:
        one: The map.
        x: (N,) coordinates in its CRS; NaN lies outside.
        y: (N,) like `x`.

    Raises:
        MapError: A layer is damaged.
    """
    inverse = ~one.grid.affine
    with np.errstate(invalid="ignore"):
        col = np.floor(inverse.a * x + inverse.b * y + inverse.c)
        row = np.floor(inverse.d * x + inverse.e * y + inverse.f)
        inside = (row >= 0) & (row < one.grid.height) & (col >= 0) & (col < one.grid.width)
    row, col = (np.where(inside, each, 0).astype(np.int64) for each in (row, col))
    value, bits = (_values(one, layer, row, col) for layer in (CROP_TYPE, MODALITIES_USED))
    return Located(inside, row, col, np.where(inside, value, 0), bits, _sizes(one.grid, row, col))


def _values(one: MapOnDisk, layer: str, row: NDArray[np.int64], col: NDArray[np.int64]) -> NDArray[np.int64]:
    """Values of a layer at pixels (N,), block by block."""
    found = np.zeros(len(row), np.int64)
    try:
        with rasterio.open(one.folder / layer) as file:
            for tile in _tiles_with(one.grid, row, col):
                rows, cols = (tile.y.start, tile.y.stop), (tile.x.start, tile.x.stop)
                here = (row // TILE == tile.row) & (col // TILE == tile.col)
                block = file.read(1, window=(rows, cols))
                found[here] = block[row[here] - rows[0], col[here] - cols[0]]
    except RasterioError as error:
        raise _damaged(one.folder, error) from error
    return found


def _sizes(grid: GeoBox, row: NDArray[np.int64], col: NDArray[np.int64]) -> NDArray[np.float64]:
    """True area of pixels (N,)."""
    found = np.zeros(len(row))
    for tile in _tiles_with(grid, row, col):
        here = (row // TILE == tile.row) & (col // TILE == tile.col)
        found[here] = pixel_hectares(tile.geobox)[row[here] - tile.y.start, col[here] - tile.x.start]
    return found


def _tiles_with(grid: GeoBox, row: NDArray[np.int64], col: NDArray[np.int64]) -> list[Tile]:
    wanted = set(zip((row // TILE).tolist(), (col // TILE).tolist(), strict=True))
    return [tile for tile in tiles_of(grid, TILE) if (tile.row, tile.col) in wanted]


def pixel_centres(
    grid: GeoBox, row: NDArray[np.int64], col: NDArray[np.int64]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Coordinates of the centres of pixels, (N,) each."""
    affine, down, right = grid.affine, row + 0.5, col + 0.5
    x = affine.a * right + affine.b * down + affine.c
    return x, affine.d * right + affine.e * down + affine.f


def tally(one: MapOnDisk, districts: Sequence[Any] = ()) -> Tally:
    """Count a map, tile by tile.

    Args:
        one: The map.
        districts: D polygons in its CRS.

    Raises:
        MapError: A layer is damaged, or holds a value that is no class of the map.
    """
    total = Tally(
        np.zeros(VALUES, np.int64),
        np.zeros(VALUES),
        np.zeros((BLOCKS**2, VALUES), np.int64),
        np.zeros((PATTERNS, VALUES)),
        np.zeros((len(districts), VALUES)),
    )
    try:
        with (
            rasterio.open(one.folder / CROP_TYPE) as crop_type,
            rasterio.open(one.folder / MODALITIES_USED) as used,
        ):
            for tile in tiles_of(one.grid, TILE):
                window = ((tile.y.start, tile.y.stop), (tile.x.start, tile.x.stop))
                _add(total, one.grid, tile, (crop_type.read(1, window=window), used.read(1, window=window)))
                _add_districts(total, one.grid, tile, crop_type.read(1, window=window), districts)
    except RasterioError as error:
        raise _damaged(one.folder, error) from error
    _check_values(one, total)
    return total


def _check_values(one: MapOnDisk, total: Tally) -> None:
    """Refuse a map with a class that its summary does not list: nobody knows what it means."""
    odd = [str(value) for value in np.flatnonzero(total.pixels) if value and value not in one.classes]
    if odd:
        raise MapError(
            f"{CROP_TYPE} of the map in {one.folder} holds values that its run.json does not list: "
            + ", ".join(odd),
            expected=f"0 (no class) or one of {', '.join(map(str, one.classes))}",
            todo="take both files from the same run, or make the map again",
        )


def _add(total: Tally, grid: GeoBox, tile: Tile, layers: tuple[NDArray[np.uint8], NDArray[np.uint8]]) -> None:
    """Add a tile's counts in place."""
    values, bits = layers
    area = pixel_hectares(tile.geobox)
    total.pixels[:] += np.bincount(values.ravel(), minlength=VALUES)
    total.hectares[:] += np.bincount(values.ravel(), area.ravel(), minlength=VALUES)
    mapped = (values > 0) & (bits < PATTERNS)  # beyond it: nodata
    both = bits[mapped].astype(np.int64) * VALUES + values[mapped]
    total.patterns[:] += np.bincount(both, area[mapped], PATTERNS * VALUES).reshape(PATTERNS, VALUES)
    rows, cols = np.arange(tile.y.start, tile.y.stop), np.arange(tile.x.start, tile.x.stop)
    block = block_of(grid, rows[:, None], cols[None, :])
    in_blocks = np.bincount((block * VALUES + values).ravel(), minlength=BLOCKS**2 * VALUES)
    total.blocks[:] += in_blocks.reshape(BLOCKS**2, VALUES)


def block_of(grid: GeoBox, row: NDArray[np.int64], col: NDArray[np.int64]) -> NDArray[np.int64]:
    """The block of pixels, 0..BLOCKS^2-1."""
    return np.asarray((row * BLOCKS // grid.height) * BLOCKS + col * BLOCKS // grid.width)


def _add_districts(
    total: Tally, grid: GeoBox, tile: Tile, values: NDArray[np.uint8], districts: Sequence[Any]
) -> None:
    """Add a tile's hectares in each district, in place. A pixel belongs where its centre lies."""
    near = [number for number, shape in enumerate(districts) if shape.intersects(tile.geobox.extent.geom)]
    if not near:
        return
    x, y = np.meshgrid(*centres(tile.geobox, grid))
    area = pixel_hectares(tile.geobox)
    for number in near:
        shapely.prepare(districts[number])
        here = shapely.intersects_xy(districts[number], x, y)
        total.districts[number] += np.bincount(values[here], area[here], minlength=VALUES)


def _damaged(folder: Path, error: Exception) -> MapError:
    why = str(error).splitlines()[0] if str(error) else type(error).__name__
    return MapError(
        f"the map in {folder} cannot be read ({why})",
        expected="a finished map, as `geocomiss map` writes it",
        todo="make the map again",
    )
