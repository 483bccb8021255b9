"""When the steps of a samples table lie: their months, lengths and years.

N samples, T steps.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import date
from itertools import pairwise
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from geocomiss.errors import SampleError
from geocomiss.seasons import DAYS_30, add_months

DAYS_OF_MONTH: Final = (31, 28.25, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31)
"""Mean length of each month, for tables that tell months but no year."""


@dataclass(frozen=True)
class Steps:
    """The time steps of N samples."""

    months: NDArray[np.int64]
    """(N, T) month 1..12 that holds the middle day of each step; 0 where the table does not tell."""
    days: NDArray[np.float64] | None
    """Length of the steps in days, (N, T) or (T,); None where the table does not tell."""
    years: tuple[int, ...]
    """Years of the seasons' last days, where known."""
    starts: NDArray[np.datetime64] | None = None
    """(N, T) first day of each step, type datetime64[D]; None where the table does not tell."""
    ends: NDArray[np.datetime64] | None = None
    """(N, T) day after each step, like `starts`."""

    @property
    def middles(self) -> NDArray[np.datetime64] | None:
        """(N, T) middle day of each step."""
        if self.starts is None or self.ends is None:
            return None
        return np.asarray(self.starts + (self.ends - self.starts) // 2)

    def take(self, chosen: NDArray[Any]) -> "Steps":
        """The steps of some of the samples, by index or mask."""
        days = self.days if self.days is None or self.days.ndim == 1 else self.days[chosen]
        starts, ends = (part if part is None else part[chosen] for part in (self.starts, self.ends))
        return replace(self, months=self.months[chosen], days=days, starts=starts, ends=ends)


def dated_steps(starts: NDArray[np.datetime64], ends: NDArray[np.datetime64]) -> Steps:
    """Steps from their first days and the days after them, both (N, T) datetime64[D]."""
    middles = starts + (ends - starts) // 2
    months = middles.astype("datetime64[M]").astype(np.int64) % 12 + 1
    lasts = np.unique((ends[:, -1] - np.timedelta64(1, "D")).astype("datetime64[Y]"))
    years = tuple(int(year) for year in lasts.astype(np.int64) + 1970)
    return Steps(months, (ends - starts).astype(np.float64), years, starts, ends)


def steps_of(path: Path, arrays: Mapping[str, NDArray[Any]], number: int) -> Steps:
    """When the T steps of a table lie.

    `start_date` (N,) decides, the first day of 30-day steps; else `times` (T,), the first days of
    steps that follow on; else `month` (N, T) 0..11, taken as calendar months.

    Raises:
        SampleError: Dates cannot be read, or their number does not fit.
    """
    samples = len(arrays["X"])
    try:
        if arrays.get("start_date", np.empty(0)).size:
            return _of_starts(arrays["start_date"], number)
        if arrays.get("times", np.empty(0)).size:
            return _of_times(
                [date.fromisoformat(str(text)[:10]) for text in arrays["times"]], samples, number
            )
        if "month" in arrays:
            return _of_months(arrays["month"], (samples, number))
    except ValueError as error:
        raise SampleError(
            f"the dates of {path.name} cannot be used ({error})",
            expected="start_date (N) or times (T) as YYYY-MM-DD, or month (N, T) 0..11",
            todo="correct the table",
        ) from error
    return Steps(np.zeros((samples, number), np.int64), None, ())


def _of_starts(starts: NDArray[Any], number: int) -> Steps:
    first = np.array([date.fromisoformat(str(text)[:10]) for text in starts], "datetime64[D]")
    return thirty_day_steps(first, number)


def thirty_day_steps(first: NDArray[np.datetime64], number: int) -> Steps:
    """Steps of 30 days from the first days (N,) of the samples, type datetime64[D]."""
    starts = first[:, None] + np.arange(number) * np.timedelta64(DAYS_30.days, "D")
    return dated_steps(starts, starts + np.timedelta64(DAYS_30.days, "D"))


def _of_times(times: list[date], samples: int, number: int) -> Steps:
    if len(times) != number:
        raise ValueError(f"{len(times)} times for {number} steps")
    return steps_from(times, samples)


def steps_from(times: list[date], samples: int) -> Steps:
    """Steps that follow on, the same for N samples, from their T first days.

    Raises:
        ValueError: The days do not ascend.
    """
    if any(a >= b for a, b in pairwise(times)):
        raise ValueError("times that do not ascend")
    edges = np.array([*times, _end_of_last(times)], "datetime64[D]")
    shape = (samples, len(times))
    return dated_steps(np.broadcast_to(edges[:-1], shape), np.broadcast_to(edges[1:], shape))


def _end_of_last(times: list[date]) -> date:
    """The day after the last step: where months or dekads end, or as long as the step before."""
    last, beginnings = times[-1], {day.day for day in times}
    if beginnings == {1} or (last.day == 21 and beginnings <= {1, 11, 21}):
        return add_months(last, 1)
    return last + (DAYS_30 if len(times) == 1 else last - times[-2])


def _of_months(months: NDArray[Any], shape: tuple[int, int]) -> Steps:
    if months.shape != shape or months.min() < 0 or months.max() > 11:
        raise ValueError(f"month of shape {months.shape}, {months.min()} to {months.max()}")
    return Steps(months.astype(np.int64) + 1, np.array(DAYS_OF_MONTH)[months], ())
