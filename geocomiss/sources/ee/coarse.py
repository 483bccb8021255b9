"""Weather and terrain: fetched on the cells on which they were made, never once for every 10 m pixel."""

from calendar import monthrange
from collections.abc import Callable, Hashable, Iterable, Sequence
from math import ceil, floor
from typing import Any, Final

import numpy as np
import xarray as xr
from affine import Affine
from numpy.typing import NDArray
from odc.geo import CRS
from odc.geo.geobox import GeoBox
from scipy.ndimage import distance_transform_edt

from geocomiss.composite import step_starts
from geocomiss.seasons import Calendar
from geocomiss.sources import terrain
from geocomiss.sources.ee.graph import static
from geocomiss.sources.ee.graph.wire import decoded, encoded
from geocomiss.sources.ee.tables import (
    CODINGS,
    ERA5_CELL,
    ERA5_LAND,
    GLO_30,
    GLO_30_WIDER,
    SRTM,
    SRTM_CELL,
    SRTM_REACH,
    Collection,
)
from geocomiss.sources.ee.tiler import Tile
from geocomiss.sources.files import CHUNK, lazy_array
from geocomiss.stack import COUNT, assign_grid

FILL: Final = 2
"""Cells within which weather is taken over where the land model has sea."""
RING: Final = 2
"""Cells beyond an area: one for the slope, one to interpolate."""
DEGREES: Final = CRS("EPSG:4326")


def weather_tile(
    grid: GeoBox, season: Calendar, months: Iterable[str], *, by_start: bool = False
) -> Tile | None:
    """The weather of an area and all its steps, on its own cells; None where there is no month of it.

    Args:
        grid: The pixels of the area.
        season: T steps.
        months: Months (YYYYMM) that there are.
        by_start: Whether a step takes the month in which it starts, not that of its middle day.
    """
    there = set(months)
    starts = [(edge.year, edge.month) for edge in season.edges()[:-1]]
    steps = enumerate(starts if by_start else season.years_months())
    names = {step: f"{year}{month:02d}" for step, (year, month) in steps}
    days = {
        step: (name, monthrange(int(name[:4]), int(name[4:]))[1])
        for step, name in names.items()
        if name in there
    }
    if not days:
        return None
    bands = [f"{band}_{step}" for step in days for band in ERA5_LAND.bands]
    graph = encoded(static.months(days), bands, CODINGS["weather"])
    return Tile(graph, _cells(grid, ERA5_CELL, ERA5_CELL, FILL + 1))


def weather(
    numbers: NDArray[Any], bands: Sequence[str], cells: GeoBox, season: Calendar
) -> tuple[xr.Dataset, int]:
    """(weather of T steps, cells that were filled from their neighbours) of what was fetched.

    Args:
        numbers: (bands, H, W) as they came.
        bands: Their names, `temperature_2m_3` and so on.
        cells: Where.
        season: T steps.
    """
    values = decoded(numbers, bands, CODINGS["weather"])
    group = xr.Dataset(coords={"time": step_starts(season)})
    filled = 0
    for band in ERA5_LAND.bands:
        steps = np.full((season.number, *cells.shape), np.nan, np.float32)
        for step in range(season.number):
            if f"{band}_{step}" in values:
                steps[step] = _filled(values[f"{band}_{step}"])
                filled = max(
                    filled, int((np.isnan(values[f"{band}_{step}"]) & np.isfinite(steps[step])).sum())
                )
        group[band] = ("time", "y", "x"), steps
    known = group[next(iter(ERA5_LAND.bands))].notnull()
    group[COUNT] = known.astype(np.int16).assign_attrs(count_kind="composite")
    return assign_grid(group.chunk(), cells), filled


def weather_notes(group: xr.Dataset, filled: int) -> list[str]:
    """What a user should know of the weather: cells that were filled, steps that are not there."""
    empty = int((group[COUNT].max(("y", "x")) == 0).sum())
    return [
        *([f"weather of {filled} cells of sea is taken from the nearest land"] if filled else []),
        *([f"weather: {empty} steps are not there yet"] if empty else []),
    ]


def terrain_model(grid: GeoBox) -> Collection:
    """The elevation model that reaches over an area."""
    box = grid.extent.to_crs("EPSG:4326").boundingbox
    return SRTM if SRTM_REACH[0] < box.bottom and box.top < SRTM_REACH[1] else GLO_30


def terrain_tile(grid: GeoBox, model: Collection) -> Tile:
    """The heights around some pixels, on the cells of the elevation model."""
    ((band, _),) = model.bands.items()
    width = SRTM_CELL * (1.0 if model is SRTM else _wider(grid))
    graph = encoded(static.heights(model), [band], CODINGS["topography"])
    return Tile(graph, _cells(grid, width, SRTM_CELL, RING))


def topography(
    cells: GeoBox,
    band: str,
    read: Callable[[slice, slice], NDArray[Any]],
    grid: GeoBox,
    key: tuple[Hashable, ...],
    *,
    as_exported: bool = False,
) -> xr.Dataset:
    """Elevation and slope, lazily: the slope where heights were measured, interpolated afterwards.

    Args:
        cells: Those of the elevation model.
        band: The name of the heights.
        read: The numbers (1, h, w) of some rows and columns of them, as they came.
        grid: The pixels.
        key: What tells these heights from others.
        as_exported: Of the cell of each pixel instead, the slope as Earth Engine has it.
    """

    def heights(where: tuple[slice, ...]) -> NDArray[np.float32]:
        (values,) = decoded(read(where[-2], where[-1]), [band], CODINGS["topography"]).values()
        return values

    lazy = lazy_array(heights, (cells.height, cells.width), np.dtype(np.float32), key, CHUNK)
    elevation = xr.DataArray(lazy, dims=("y", "x"))
    made = terrain.topography_of_cells if as_exported else terrain.topography
    return assign_grid(made(elevation, cells, grid, grid), grid)


def _cells(grid: GeoBox, width: float, height: float, ring: int) -> GeoBox:
    """The cells in degrees around a grid, centres at multiples of their size, and some more."""
    box = grid.extent.to_crs("EPSG:4326", resolution=grid.extent.boundingbox.span_x / 16).boundingbox
    left, right = floor(box.left / width + 0.5) - ring, ceil(box.right / width - 0.5) + ring
    bottom, top = floor(box.bottom / height + 0.5) - ring, ceil(box.top / height - 0.5) + ring
    affine = Affine(width, 0, (left - 0.5) * width, 0, -height, (top + 0.5) * height)
    return GeoBox((top - bottom + 1, right - left + 1), affine, DEGREES)


def _wider(grid: GeoBox) -> float:
    """How many times as wide as high a cell of GLO-30 is in the middle of an area."""
    box = grid.extent.to_crs("EPSG:4326").boundingbox
    latitude = abs(box.bottom + box.top) / 2
    return next(times for limit, times in GLO_30_WIDER if latitude <= limit)


def _filled(values: NDArray[np.float32]) -> NDArray[np.float32]:
    """With cells that are missing taken from the nearest one there is within `FILL` cells: (H, W)."""
    missing = np.isnan(values)
    if not missing.any() or missing.all():
        return values
    away, nearest = distance_transform_edt(missing, return_indices=True)
    taken = values[tuple(nearest)]
    return np.where(away <= FILL, taken, np.float32(np.nan)).astype(np.float32)
