"""Terrain of a pixel grid from an elevation model on its own grid.

Slope is computed where the elevation was measured and resampled afterwards: the slope of a resampled
elevation shows the steps of the old pixels. Resampling is bilinear between the four nearest cells, or takes
the cell of each pixel where a recipe wants what Earth Engine exports.
"""

from collections.abc import Callable
from math import ceil, cos, floor, pi, radians
from typing import Any, Final

import dask.array as da
import numpy as np
import xarray as xr
from dask.delayed import delayed
from numpy.typing import NDArray
from odc.geo.geobox import GeoBox
from pyproj import Transformer

from geocomiss.composite import slope_of
from geocomiss.grid import centres, crs_of
from geocomiss.modalities import MODALITIES
from geocomiss.sources.files import CHUNK

EARTH_DEGREE: Final = 6_371_000.0 * pi / 180
"""Metres of a degree on the sphere on which Earth Engine computes slopes."""
METRES_PER_DEGREE: Final = 111_320.0
"""Length of a degree of latitude; of longitude at the equator."""

LAZY: Any = da
"""Dask ships no types for its functions."""

Floats = NDArray[np.float32]
Rule = Callable[[Floats, tuple[int, int], GeoBox, GeoBox, GeoBox], Floats]
"""Values of pixels from those of cells; see `_bilinear`."""


def topography(elevation: xr.DataArray, model: GeoBox, part: GeoBox, whole: GeoBox) -> xr.Dataset:
    """Elevation and slope on a pixel grid, lazily.

    Args:
        elevation: `(y, x)` in metres on the grid of the elevation model, NaN missing.
        model: That grid, any CRS.
        part: Pixels wanted, a window of `whole`.
        whole: Grid from whose origin pixels are counted, so that every window gives the same bits.

    Returns:
        elevation in metres and slope in degrees, `(y, x)`, NaN outside the elevation model.
    """
    slope = slope_of(elevation, *_spacing(model))
    layers = zip(MODALITIES["topography"].band_names, (elevation, slope), strict=True)
    return xr.Dataset({name: (("y", "x"), _resampled(layer, model, part, whole)) for name, layer in layers})


def topography_of_cells(elevation: xr.DataArray, model: GeoBox, part: GeoBox, whole: GeoBox) -> xr.Dataset:
    """As `topography`, of the cell in which a pixel's centre lies; slope as of `ee.Terrain.slope`.

    That is the gradient between the four neighbours of a cell, in metres on a sphere: it is what real exports
    of CropHarvest hold beside their elevations.
    """
    height = EARTH_DEGREE * abs(model.resolution.y)
    _, latitudes = centres(model)
    width = [EARTH_DEGREE * abs(model.resolution.x) * cos(radians(latitude)) for latitude in latitudes]
    east = xr.DataArray(np.array(width), dims="y")
    z = elevation.astype(np.float64)
    gradient = ((z.shift(x=-1) - z.shift(x=1)) / (2 * east)) ** 2
    gradient = gradient + ((z.shift(y=-1) - z.shift(y=1)) / (2 * height)) ** 2
    degrees: xr.DataArray = xr.apply_ufunc(_degrees, gradient, dask="allowed")
    slope = degrees.where(np.isfinite(z)).astype(np.float32)
    layers = zip(MODALITIES["topography"].band_names, (elevation, slope), strict=True)
    return xr.Dataset(
        {name: (("y", "x"), _resampled(layer, model, part, whole, _nearest)) for name, layer in layers}
    )


def _degrees(squared_gradient: Any) -> Any:
    """Slope angle; of NumPy and Dask arrays alike."""
    return np.degrees(np.arctan(np.sqrt(squared_gradient)))


def _spacing(model: GeoBox) -> tuple[float | xr.DataArray, float]:
    """Metres between columns (by row where that varies) and between rows of an elevation model."""
    dx, dy = abs(model.resolution.x), abs(model.resolution.y)
    if not crs_of(model).geographic:
        return dx, dy
    _, latitudes = centres(model)
    east = [dx * METRES_PER_DEGREE * cos(radians(latitude)) for latitude in latitudes]
    return xr.DataArray(np.array(east), dims="y"), dy * METRES_PER_DEGREE


def _resampled(
    layer: xr.DataArray, model: GeoBox, part: GeoBox, whole: GeoBox, rule: Rule | None = None
) -> da.Array:
    """One layer at the pixels of `part`, in blocks that read only the cells they need."""
    made = rule or _bilinear
    rows = [slice(i, min(i + CHUNK, part.height)) for i in range(0, part.height, CHUNK)]
    cols = [slice(i, min(i + CHUNK, part.width)) for i in range(0, part.width, CHUNK)]
    joined: da.Array = LAZY.block(
        [[_block(layer, model, part[y, x], whole, made) for x in cols] for y in rows]
    )
    return joined


def _block(layer: xr.DataArray, model: GeoBox, part: GeoBox, whole: GeoBox, rule: Rule) -> da.Array:
    shape = (part.height, part.width)
    row, col = _positions(model, part, whole)
    y, x = (_needed(at, size) for at, size in zip((row, col), layer.shape, strict=True))
    if y.start >= y.stop or x.start >= x.stop:
        nothing: da.Array = LAZY.full(shape, np.nan, dtype=np.float32)
        return nothing
    cells = layer[y, x].data
    values = delayed(rule, pure=True)(cells, (y.start, x.start), model, part, whole)
    block: da.Array = LAZY.from_delayed(values, shape, dtype=np.float32)
    return block


def _needed(at: NDArray[np.float64], size: int) -> slice:
    """Cells of an axis between which the positions lie."""
    return slice(max(0, floor(at.min())), min(size, ceil(at.max()) + 1))


def _positions(model: GeoBox, part: GeoBox, whole: GeoBox) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Row and column of each pixel centre in the elevation model, cell centres at whole numbers."""
    x, y = np.meshgrid(*centres(part, whole))
    if part.crs != model.crs:
        transformer = Transformer.from_crs(crs_of(part).proj, crs_of(model).proj, always_xy=True)
        x, y = transformer.transform(x, y)
    affine = model.affine
    return (y - affine.f) / affine.e - 0.5, (x - affine.c) / affine.a - 0.5


def _bilinear(cells: Floats, first: tuple[int, int], model: GeoBox, part: GeoBox, whole: GeoBox) -> Floats:
    """Values (H, W) between the four nearest cells; NaN beyond the outermost cell centres' half cell."""
    row, col = _positions(model, part, whole)
    inside = (row >= -0.5) & (row < model.height - 0.5) & (col >= -0.5) & (col < model.width - 0.5)
    row, col = np.clip(row, 0, model.height - 1), np.clip(col, 0, model.width - 1)
    top, left = np.floor(row).astype(int), np.floor(col).astype(int)
    down, right = row - top, col - left
    top, left = top - first[0], left - first[1]
    total = np.zeros(row.shape)
    for dy, weight_y in ((0, 1 - down), (1, down)):
        for dx, weight_x in ((0, 1 - right), (1, right)):
            weight = weight_y * weight_x
            near = cells[np.clip(top + dy, 0, cells.shape[0] - 1), np.clip(left + dx, 0, cells.shape[1] - 1)]
            total += np.where(weight > 0, weight * near.astype(np.float64), 0.0)
    return np.where(inside, total, np.nan).astype(np.float32)


def _nearest(cells: Floats, first: tuple[int, int], model: GeoBox, part: GeoBox, whole: GeoBox) -> Floats:
    """Values (H, W) of the cell in which a pixel's centre lies; NaN beyond the model."""
    row, col = (np.floor(at + 0.5).astype(int) for at in _positions(model, part, whole))
    inside = (row >= 0) & (row < model.height) & (col >= 0) & (col < model.width)
    at = zip((row, col), first, cells.shape, strict=True)
    row, col = (np.clip(number - start, 0, size - 1) for number, start, size in at)
    return np.where(inside, cells[row, col], np.nan).astype(np.float32)
