"""The season of a stack: what a calendar holds, and cutting a longer stack."""

from dataclasses import replace

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from geocomiss.errors import SeasonError
from geocomiss.modalities import MODALITIES
from geocomiss.seasons import Calendar, Cycle, today
from geocomiss.stack.layout import COUNT, groups_of, new_stack, origin_of
from geocomiss.stack.spots import chunked


def periods(calendar: Calendar, cycle: Cycle) -> tuple[Calendar, ...]:
    """All periods of `cycle` that lie wholly within a longer calendar, oldest first."""
    years = range(calendar.start.year, calendar.last_day.year + 1)
    return tuple(
        period
        for period in map(cycle.ending_in, years)
        if _offset(calendar, period, missing_ok=False) is not None
    )


def holds(held: Calendar, season: Calendar) -> bool:
    """Whether all steps of a season that are not in the future lie within a calendar."""
    return _offset(held, season, missing_ok=True) is not None


def cut_to_season(stack: xr.DataTree, season: Calendar) -> xr.DataTree:
    """Cut a longer stack to a season. Steps that lie in the future are added as missing.

    Raises:
        SeasonError: The stack does not hold the season, or only with its steps shifted.
    """
    origin = origin_of(stack)
    offset = _offset(origin.calendar, season, missing_ok=True)
    if offset is None:
        raise SeasonError(
            f"the stack holds {origin.calendar}",
            expected=f"the season {season}",
            todo="ask for a --season within the stack, or fetch the missing months",
        )
    held = origin.calendar.number - offset
    exact = replace(origin.calendar, start=origin.calendar.edges()[offset], number=season.number)
    starts = np.array(exact.edges()[:-1], "datetime64[ns]")
    cut = {
        name: _with_steps(group.isel(time=slice(offset, offset + min(season.number, held))), starts)
        if MODALITIES[name].dynamic
        else group
        for name, group in groups_of(stack).items()
    }
    return new_stack(cut, replace(origin, calendar=exact))


def _with_steps(group: xr.Dataset, starts: NDArray[np.datetime64]) -> xr.Dataset:
    """A modality with exactly these steps; those that it lacks are missing."""
    counted = COUNT not in group or group[COUNT].dtype == np.int16
    if counted and np.array_equal(group["time"].values, starts):
        return group
    longer = chunked(group).reindex(time=starts)  # arrays that are not Dask's would be read for that
    if COUNT in longer:
        longer[COUNT] = longer[COUNT].fillna(0).astype(np.int16)
    return longer


def _offset(held: Calendar, season: Calendar, *, missing_ok: bool) -> int | None:
    """Step of `held` at which `season` begins, or None where it is not wholly held."""
    months, wanted = held.years_months(), season.years_months()
    if wanted[0] not in months:
        return None
    offset = months.index(wanted[0])
    common = min(len(months) - offset, len(wanted))
    if months[offset : offset + common] != wanted[:common]:
        return None
    unobserved = season.edges()[common:-1]
    if unobserved and not (missing_ok and unobserved[0] > today()):
        return None
    return offset
