"""From dates to time steps: which date lies in which step, and the rules that join them.

Sums run date by date in double precision, so that no chunking changes a bit.
"""

import functools
import operator
from collections.abc import Callable
from itertools import pairwise

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from geocomiss.seasons import Calendar, middle_day

Array = NDArray[np.float32]
StepRule = Callable[[Array], Array]
"""(..., dates of one step) -> (...), NaN ignored."""


def step_index(times: NDArray[np.datetime64], calendar: Calendar) -> NDArray[np.int64]:
    """The step in which each date lies, -1 where in none: (dates,)."""
    edges = np.array(calendar.edges(), "datetime64[ns]")
    index = np.searchsorted(edges, times.astype("datetime64[ns]"), side="right") - 1
    return np.where(index < calendar.number, index, -1).astype(np.int64)


def step_starts(calendar: Calendar) -> NDArray[np.datetime64]:
    """The coordinate `time` of a stack: the first day of each step, (T,)."""
    return np.array(calendar.edges()[:-1], "datetime64[ns]")


def in_season(scenes: xr.Dataset, calendar: Calendar) -> xr.Dataset:
    """Only the dates of the calendar, oldest first, one chunk in time.

    Where none lies in it one date outside stays, because Dask knows no empty axis; no step uses it.
    """
    times = scenes["time"].values
    within = dates_within(times, calendar)
    cut = scenes.isel(time=_run(within if within.size else np.argsort(times, kind="stable")[:1]))
    if not cut.sizes["time"]:
        return cut.compute()
    lazy = any(band.chunks for band in cut.data_vars.values())
    return cut.unify_chunks().chunk(time=-1) if lazy else cut


def dates_within(times: NDArray[np.datetime64], calendar: Calendar) -> NDArray[np.int64]:
    """Places of the dates that lie in any step, oldest first."""
    order = np.argsort(times, kind="stable")
    return order[step_index(times[order], calendar) >= 0]


def _run(at: NDArray[np.int64]) -> NDArray[np.int64] | slice:
    """Places that follow one another as a slice: that copies nothing."""
    follow = at.size > 0 and bool((np.diff(at) == 1).all())
    return slice(int(at[0]), int(at[-1]) + 1) if follow else at


def by_step(band: xr.DataArray, calendar: Calendar, rule: StepRule) -> xr.DataArray:
    """Apply a rule to the dates of each step: `(time, y, x)` -> `(time, y, x)`, T steps."""
    index = step_index(band["time"].values, calendar)

    def steps_of(values: Array) -> Array:  # (..., dates) -> (..., T)
        steps = [rule(values[..., index == step]) for step in range(calendar.number)]
        return np.stack(steps, axis=-1).astype(np.float32)

    result: xr.DataArray = xr.apply_ufunc(
        steps_of,
        band,
        input_core_dims=[["time"]],
        output_core_dims=[["step"]],
        dask="parallelized",
        output_dtypes=[np.float32],
        dask_gufunc_kwargs={"output_sizes": {"step": calendar.number}},
    )
    dated = result.rename(step="time").assign_coords(time=step_starts(calendar))
    return dated.transpose("time", *(dim for dim in band.dims if dim != "time"))


def observations(scenes: xr.Dataset, calendar: Calendar, clear: xr.DataArray | bool = True) -> xr.DataArray:
    """Dates of each step on which any band was observed: `(time, y, x)` int16.

    Args:
        scenes: The bands `(time, y, x)`.
        calendar: T steps.
        clear: Observations `(time, y, x)` that count; True: all.
    """
    finite = (band.notnull() & (abs(band) != np.inf) for band in scenes.data_vars.values())
    seen: xr.DataArray = functools.reduce(operator.or_, finite) & clear
    return dates_seen(seen, calendar)


def dates_seen(seen: xr.DataArray, calendar: Calendar) -> xr.DataArray:
    """How many dates of each step are true: `(time, y, x)` int16."""
    total = by_step(seen, calendar, lambda values: values.sum(axis=-1, dtype=np.float32))
    return total.astype(np.int16)


def median(values: Array) -> Array:
    """Median over the last axis, NaN ignored, NaN where nothing is left."""
    if not values.shape[-1]:
        return np.full(values.shape[:-1], np.nan, np.float32)
    ordered = np.sort(values, axis=-1)  # NaN comes last
    valid = np.isfinite(values).sum(axis=-1)
    middle = np.maximum(valid - 1, 0) // 2, np.minimum(valid // 2, values.shape[-1] - 1)
    low, high = (np.take_along_axis(ordered, at[..., None], -1)[..., 0] for at in middle)
    return np.where(valid > 0, (low + high) / 2, np.float32(np.nan)).astype(np.float32)


def mean(values: Array) -> Array:
    """Mean over the last axis, NaN ignored, NaN where nothing is left."""
    return _mean64(values).astype(np.float32)


def linear_mean(values: Array) -> Array:
    """Mean power of values in dB, in dB again."""
    power = _mean64(10.0 ** (values.astype(np.float64) / 10.0))
    return np.asarray(10.0 * np.log10(power), np.float32)


def _mean64(values: NDArray[np.floating]) -> NDArray[np.float64]:
    """Mean over the last axis, NaN ignored, NaN where nothing is left."""
    total = np.zeros(values.shape[:-1])
    number = np.zeros(values.shape[:-1])
    for i in range(values.shape[-1]):  # date by date: numpy's own sum depends on the memory layout
        finite = np.isfinite(values[..., i])
        total += np.where(finite, values[..., i], 0.0)
        number += finite
    return np.asarray(total / np.where(number > 0, number, np.nan))


def middle_distance(times: xr.DataArray, calendar: Calendar) -> xr.DataArray:
    """Days between each date and the middle day of its step: `(time)` float32."""
    middles = np.array([middle_day(a, b) for a, b in pairwise(calendar.edges())], "datetime64[ns]")
    away = np.abs(times.values - middles[step_index(times.values, calendar)]) / np.timedelta64(1, "D")
    return xr.DataArray(away.astype(np.float32), dims="time")


def chosen(cost: xr.DataArray, calendar: Calendar) -> xr.DataArray:
    """Whether each observation is the one with the lowest cost of its step: `(time, y, x)` bool."""
    index = step_index(cost["time"].values, calendar)

    def choose(values: Array) -> NDArray[np.bool_]:  # (..., dates) -> (..., dates)
        chosen = np.zeros(values.shape, bool)
        for step in np.unique(index):
            dates = np.flatnonzero(index == step)
            costs = np.where(np.isfinite(values[..., dates]), values[..., dates], np.float32(np.inf))
            best = costs.argmin(axis=-1)[..., None]
            chosen[..., dates] = (dates == dates[best]) & np.isfinite(costs)
        return chosen

    result: xr.DataArray = xr.apply_ufunc(
        choose,
        cost,
        input_core_dims=[["time"]],
        output_core_dims=[["time"]],
        dask="parallelized",
        output_dtypes=[bool],
    )
    return result.transpose(*cost.dims)
