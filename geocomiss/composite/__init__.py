"""From single acquisitions to time steps: the one implementation that every source uses.

Everything here is lazy and gives the same bits however the input is chunked: neighbourhoods use
overlapping blocks, sums run date by date in double precision. At the outer edge of the input no
neighbour is known, so a source hands in `margin_pixels` more on each side and crops the result.
"""

from typing import Any

import numpy as np
import xarray as xr

from geocomiss.composite.clouds import (
    SCL,
    SCORE,
    check_rule,
    dilation_loss,
    margin_pixels,
    preference,
    usable,
)
from geocomiss.composite.steps import (
    by_step,
    chosen,
    dates_seen,
    dates_within,
    in_season,
    linear_mean,
    mean,
    median,
    middle_distance,
    observations,
    step_index,
    step_starts,
)
from geocomiss.errors import StackError
from geocomiss.modalities import GREEN, MODALITIES, NDVI, NIR, RED, RED_EDGE_3
from geocomiss.recipes import Recipe
from geocomiss.seasons import Calendar
from geocomiss.stack import COUNT

__all__ = [
    "SCL",
    "SCORE",
    "composite_optical",
    "composite_radar",
    "composite_weather",
    "dates_seen",
    "dates_within",
    "dilation_loss",
    "kept",
    "margin_pixels",
    "ndvi",
    "ndvi_bands",
    "optical_steps",
    "radar_steps",
    "slope_of",
    "step_index",
    "step_starts",
    "told",
    "usable",
    "weather_steps",
]


def composite_optical(scenes: xr.Dataset, calendar: Calendar, recipe: Recipe, pixel: float) -> xr.Dataset:
    """Optical time steps from single dates.

    Args:
        scenes: Bands `(time, y, x)` in reflectance x 10000, float32, NaN missing, and `scl`
            `(time, y, x)` uint8 or `cs_cdf` (Cloud Score+, NaN missing) on the same grid.
        calendar: T half-open steps; dates outside them are not read.
        recipe: Cloud rule, dilation, compositing, NDVI.
        pixel: Pixel size in metres, for the dilation.

    Returns:
        The bands, NDVI where its two bands are there, and `count` int16: `(time, y, x)`, T steps.

    Raises:
        RecipeError: The recipe's cloud rule needs something else.
    """
    check_rule(recipe, list(scenes))
    scenes = in_season(scenes, calendar)
    bands = scenes.drop_vars([SCL, SCORE], errors="ignore")
    keep = kept(scenes, calendar, recipe, pixel)
    # band by band: a copy of all of them would double what a block takes
    result = bands.map(lambda band: optical_steps(band, keep, calendar, recipe), keep_attrs=True)
    result[COUNT] = observations(bands, calendar, keep)
    return _with_ndvi(told(result, recipe), recipe)


def told(optical: xr.Dataset, recipe: Recipe) -> xr.Dataset:
    """An optical composite that says so where a recipe keeps one observation per step, whatever was seen."""
    kind = {"count_kind": "composite"} if _whole(recipe) else {}
    return optical.assign({COUNT: optical[COUNT].assign_attrs(kind)})


def kept(scenes: xr.Dataset, calendar: Calendar, recipe: Recipe, pixel: float) -> xr.DataArray:
    """Observations that an optical composite is made of: `(time, y, x)` bool.

    Args:
        scenes: With what tells clouds from land, as `composite_optical` takes it; dates of the calendar only.
        calendar: T steps.
        recipe: All clear observations, or one whole one per step: the best SCL class, then the date nearest
            to the middle.
        pixel: Pixel size in metres.
    """
    clear = usable(scenes, recipe, pixel)
    if not _whole(recipe):
        return clear
    cost = preference(scenes[SCL]) * np.float32(1000) + middle_distance(scenes["time"], calendar)
    return chosen(cost.where(clear), calendar)


def optical_steps(band: xr.DataArray, keep: xr.DataArray, calendar: Calendar, recipe: Recipe) -> xr.DataArray:
    """The time steps of one band, from the observations that are kept: `(time, y, x)`, T steps."""
    return by_step(band.where(keep), calendar, mean if _whole(recipe) else median)


def _whole(recipe: Recipe) -> bool:
    """Whether a step is one whole observation."""
    return recipe.optical_compositing == "best-pixel"


def composite_radar(scenes: xr.Dataset, calendar: Calendar, recipe: Recipe) -> xr.Dataset:
    """Radar time steps from single passes of one direction.

    Args:
        scenes: VV, VH `(time, y, x)` in dB, float32, NaN missing.
        calendar: T half-open steps.
        recipe: 'linear-mean' averages power, then takes decibels; 'median' is the median.

    Returns:
        The bands in dB and `count` int16, the passes behind each step: `(time, y, x)`, T steps.
    """
    scenes = in_season(scenes, calendar)
    result = scenes.map(lambda band: radar_steps(band, calendar, recipe), keep_attrs=True)
    result[COUNT] = observations(scenes, calendar)
    return result


def radar_steps(band: xr.DataArray, calendar: Calendar, recipe: Recipe) -> xr.DataArray:
    """The time steps of one band of radar, in dB: `(time, y, x)`, T steps."""
    rule = linear_mean if recipe.radar_averaging == "linear-mean" else median
    return by_step(band.where(np.isfinite(band)), calendar, rule)


def composite_weather(daily: xr.Dataset, calendar: Calendar, recipe: Recipe) -> xr.Dataset:
    """Weather time steps: the mean of the days, whatever the recipe.

    Args:
        daily: temperature_2m in K and total_precipitation in m per day, daily, `(time, y, x)`, on
            their own coarse grid, NaN missing.
        calendar: T half-open steps.
        recipe: Stated by the stack; all recipes average weather in the same way.

    Returns:
        The same quantities and `count` int16, the days behind each step: `(time, y, x)`, T steps.
    """
    daily = in_season(daily, calendar)
    result = daily.map(lambda band: weather_steps(band, calendar), keep_attrs=True)
    result[COUNT] = observations(daily, calendar)
    return result


def weather_steps(band: xr.DataArray, calendar: Calendar) -> xr.DataArray:
    """The time steps of one quantity of the weather: `(time, y, x)`, T steps."""
    return by_step(band, calendar, mean)


def ndvi(optical: xr.Dataset, recipe: Recipe) -> xr.DataArray:
    """Normalised difference vegetation index, as the recipe defines it; 0 where the sum is not above 0.

    'true' is (B8 - B4) / (B8 + B4). 'cropharvest' is (B7 - B3) / (B7 + B3): what that data set
    stores under this name, because its bands are looked up in a list shorter than the array.

    Raises:
        StackError: A band that it needs is missing.
    """
    high, low = ndvi_bands(recipe)
    if missing := [name for name in (high, low) if name not in optical]:
        raise StackError(
            f"optical data without {' and '.join(missing)}",
            expected=f"{high} and {low}, from which the recipe {recipe.name!r} computes NDVI",
            todo="add the band to the source",
        )
    total = optical[high] + optical[low]
    ratio = (optical[high] - optical[low]) / total.where(total > 0)
    return ratio.where(~(total <= 0), np.float32(0)).astype(np.float32).rename(NDVI)


def slope_of(elevation: xr.DataArray, dx: float | xr.DataArray, dy: float) -> xr.DataArray:
    """Slope of the terrain in degrees by Horn's 3 x 3 differences (Proc. IEEE 69, 1981).

    Args:
        elevation: `(y, x)` in metres, NaN missing.
        dx: Distance between columns in metres; along `y` where it varies with latitude.
        dy: Distance between rows in metres.

    Returns:
        `(y, x)`, float32; NaN where any of the nine is missing, so on the outer ring too.
    """
    z = elevation.astype(np.float64)

    def at(row: int, col: int) -> xr.DataArray:
        return z.shift(y=-row, x=-col)

    right, left = (at(-1, c) + 2 * at(0, c) + at(1, c) for c in (1, -1))
    below, above = (at(r, -1) + 2 * at(r, 0) + at(r, 1) for r in (1, -1))
    gradient = ((right - left) / (8 * dx)) ** 2 + ((below - above) / (8 * dy)) ** 2
    slope: xr.DataArray = xr.apply_ufunc(_degrees, gradient, dask="allowed")
    return slope.where(np.isfinite(z)).astype(np.float32).rename("slope")


def _with_ndvi(optical: xr.Dataset, recipe: Recipe) -> xr.Dataset:
    """With NDVI where it can be computed, and the bands in canonical order."""
    if all(name in optical for name in ndvi_bands(recipe)):
        optical = optical.assign({NDVI: ndvi(optical, recipe)})
    order = [name for name in (*MODALITIES["optical"].band_names, COUNT) if name in optical]
    return optical[order]


def _degrees(squared_gradient: Any) -> Any:
    """Slope angle; of NumPy and Dask arrays alike."""
    return np.degrees(np.arctan(np.sqrt(squared_gradient)))


def ndvi_bands(recipe: Recipe) -> tuple[str, str]:
    """The two bands (high over vegetation, low) from which a recipe computes NDVI."""
    return (RED_EDGE_3, GREEN) if recipe.ndvi == "cropharvest" else (NIR, RED)
