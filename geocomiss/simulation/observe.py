"""From the simulated scenes to time steps, by the same compositing as any other source.

Maps and samples both come through here: a block of pixels with its margin, or tiny windows around
single points stacked on top of each other, so that a sample equals the map's pixel.
"""

from collections.abc import Mapping
from datetime import date, timedelta
from typing import Any, Final

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from geocomiss.composite import SCL, SCORE, composite_optical, composite_radar, composite_weather
from geocomiss.modalities import MODALITIES
from geocomiss.recipes import Recipe
from geocomiss.seasons import Calendar, add_months, today
from geocomiss.simulation.optical import optical_scenes
from geocomiss.simulation.orbits import optical_passes
from geocomiss.simulation.places import Places
from geocomiss.simulation.radar import POLARISATIONS, radar_scenes
from geocomiss.simulation.spectra import OPTICAL
from geocomiss.simulation.weather import days_of
from geocomiss.stack import COUNT

Ints = NDArray[np.int64]
_DIMS: Final = ("time", "y", "x")
SCORES: Final = np.array([0, 0, 0.7, 0.3, 1, 1, 1, 0.9, 0.3, 0.05, 0.4, 0.8], np.float32)
"""What Cloud Score+ is taken to say of each class of the scene classification, 0 cloudy to 1 clear."""


def observe_optical(seed: int, places: Places, season: Calendar, recipe: Recipe, pixel: float) -> xr.Dataset:
    """Optical steps at places (H, W): bands, NDVI and count `(time, y, x)`. A margin is the caller's.

    Args:
        seed: Seed of the world.
        places: Pixel centres, `margin_pixels` more on each side than are wanted.
        season: T time steps; days in the future are not observed.
        recipe: L1C or L2A, cloud rule, compositing.
        pixel: Pixel size in metres.
    """
    first, last = _observed(season)
    scenes = optical_scenes(seed, places, first, last, top=recipe.s2_level == "L1C")
    shape = (len(scenes.passes.days), *places.shape)
    variables = {
        name: (_DIMS, band.reshape(shape)) for name, band in zip(OPTICAL, scenes.bands, strict=True)
    } | {SCL: (_DIMS, scenes.scl.reshape(shape)), SCORE: (_DIMS, SCORES[scenes.scl].reshape(shape))}
    return composite_optical(_dated(variables, scenes.passes.days), season, recipe, pixel)


def most_optical(seed: int, places: Places, season: Calendar) -> int:
    """Most optical acquisitions of a block that lies among places, all over them, in a season.

    Two swaths meet in a block at most, each with days of its own.
    """
    passes = optical_passes(seed, places, *_observed(season))
    return min(len(passes.days), 2 * int(passes.seen.sum(0).max(initial=0)))


def observe_radar(seed: int, places: Places, season: Calendar, recipe: Recipe) -> xr.Dataset:
    """Radar steps at places (H, W): VV, VH in dB and count `(time, y, x)`."""
    scenes = radar_scenes(seed, places, *_observed(season))
    shape = (len(scenes.passes.days), *places.shape)
    variables = {
        name: (_DIMS, band.reshape(shape)) for name, band in zip(POLARISATIONS, scenes.bands, strict=True)
    }
    result = composite_radar(_dated(variables, scenes.passes.days), season, recipe)
    return with_copies(result) if recipe.screened else result


def observe_weather(seed: int, rows: Ints, cols: Ints, season: Calendar, recipe: Recipe) -> xr.Dataset:
    """Weather steps of cells (H, W) of the 0.1 degree grid: `(time, y, x)`.

    Exports like CropHarvest's hold, for every step, the calendar month in which it starts.
    """
    months = [Calendar(add_months(start, 0), "month", 1) for start in season.edges()[:-1]]
    first, last = months[0].start.toordinal(), max(months[-1].last_day, season.last_day).toordinal()
    days = np.arange(first, last + 1)
    weather = days_of(seed, rows.ravel(), cols.ravel(), first, last)
    shape = (len(days), *rows.shape)
    values = (weather.temperature.reshape(shape), weather.rain.reshape(shape))
    names = MODALITIES["weather"].band_names
    daily = _dated({name: (_DIMS, value) for name, value in zip(names, values, strict=True)}, days)
    daily = daily.isel(time=days < today().toordinal())  # the rest has not been observed yet
    if not recipe.screened:
        return composite_weather(daily, season, recipe)
    steps = [composite_weather(daily, month, recipe) for month in months]
    starts = np.array(season.edges()[:-1], "datetime64[ns]")
    return xr.concat(steps, "time").assign_coords(time=starts)


def with_copies(radar: xr.Dataset) -> xr.Dataset:
    """Fill steps that were not observed with the nearest observed one, the earlier of two.

    This is how exports without gaps come about; the model recognises the copies (`batch.screen`).
    """
    seen = (radar[COUNT] > 0).values  # (T, H, W)
    steps = np.arange(len(seen))
    away = np.abs(steps[:, None] - steps[None, :]) * 2 + (steps[None, :] > steps[:, None])  # (T, from)
    cost = np.where(seen[None], away[:, :, None, None], 10**6)  # (T, from, H, W)
    source = cost.argmin(1)
    filled = {
        name: band.copy(data=np.take_along_axis(band.values, source, 0))
        for name, band in radar.data_vars.items()
        if name != COUNT
    }
    return radar.assign(filled)


def _observed(season: Calendar) -> tuple[int, int]:
    """Ordinals of the first and last day of a season that can have been observed."""
    yesterday = (today() - timedelta(days=1)).toordinal()
    return season.start.toordinal(), min(season.last_day.toordinal(), yesterday)


def _dated(variables: Mapping[str, tuple[tuple[str, ...], NDArray[Any]]], days: Ints) -> xr.Dataset:
    times = np.array([date.fromordinal(int(day)) for day in days], "datetime64[ns]")
    return xr.Dataset(variables, coords={"time": times})
