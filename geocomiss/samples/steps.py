"""When the steps of a samples table lie: their months, lengths and years.

N samples, T steps.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, timedelta
from itertools import pairwise
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from geocomiss.errors import SampleError
from geocomiss.seasons import Calendar, add_months, middle_day

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
    texts, which = np.unique(starts.astype(str), return_inverse=True)
    calendars = [Calendar(date.fromisoformat(text[:10]), "30d", number) for text in texts]
    months = np.array([calendar.months() for calendar in calendars])
    years = tuple(sorted({calendar.last_day.year for calendar in calendars}))
    return Steps(months[which], np.full(number, 30.0), years)


def _of_times(times: list[date], samples: int, number: int) -> Steps:
    if len(times) != number:
        raise ValueError(f"{len(times)} times for {number} steps")
    if any(a >= b for a, b in pairwise(times)):
        raise ValueError("times that do not ascend")
    edges = [*times, _end_of_last(times)]
    middles = [middle_day(a, b) for a, b in pairwise(edges)]
    months = np.tile([day.month for day in middles], (samples, 1))
    days = np.array([(b - a).days for a, b in pairwise(edges)], float)
    return Steps(months, days, ((edges[-1] - timedelta(days=1)).year,))


def _end_of_last(times: list[date]) -> date:
    """The day after the last step: the first of the next month, or as long as the step before."""
    last = times[-1]
    if all(day.day == 1 for day in times):
        return add_months(last, 1)
    length = timedelta(days=30) if len(times) == 1 else last - times[-2]
    # a dekad that began after the 20th ends with its month
    return min(last + length, add_months(last, 1)) if last.day > 20 and length.days < 12 else last + length


def _of_months(months: NDArray[Any], shape: tuple[int, int]) -> Steps:
    if months.shape != shape or months.min() < 0 or months.max() > 11:
        raise ValueError(f"month of shape {months.shape}, {months.min()} to {months.max()}")
    return Steps(months.astype(np.int64) + 1, np.array(DAYS_OF_MONTH)[months], ())
