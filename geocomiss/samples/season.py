"""Cutting a table to a season, where it holds more steps than one.

N samples, T steps of the table, S steps of the season.
"""

from dataclasses import replace
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from geocomiss.errors import SampleError
from geocomiss.modalities import MODALITIES
from geocomiss.samples.contents import Contents
from geocomiss.samples.steps import dated_steps
from geocomiss.seasons import Calendar

SHORTEST: Final = 28.0
"""Mean days of a step from which on it is a month or 30 days, so that a season has a set number."""


def cut_to_season(contents: Contents, season: Calendar) -> Contents:
    """The steps whose middle days lie in a season; samples that do not cover it are left out.

    Raises:
        SampleError: The table has no dates, or no sample covers the season.
    """
    steps = contents.steps
    middles = steps.middles
    if middles is None or steps.starts is None or steps.ends is None:
        raise SampleError(
            f"{contents.name} does not say when its steps lie",
            expected="dates of the steps, to cut it to a season",
            todo="leave --season out, or add times or start_date to the table",
        )
    inside = (middles >= np.datetime64(season.start)) & (middles < np.datetime64(season.end))
    covered = _reaches(steps.starts, steps.ends, inside, season)
    if steps.days is not None and steps.days.mean() >= SHORTEST:
        # 13 middles of 30-day steps fit into some years
        inside &= inside.cumsum(1) <= season.number
    covered = _as_many(inside, covered)
    if not covered.any():
        first, last = steps.starts.min(), steps.ends.max() - np.timedelta64(1, "D")
        raise SampleError(
            f"no sample of {contents.name} covers {season} (its steps lie within {first} to {last})",
            expected="a season that the table holds whole",
            todo="correct --season",
        )
    left = int((~covered).sum())
    note = (f"{left} samples of {contents.name} do not cover {season} and are left out",) if left else ()
    return replace(_at(contents.take(covered), inside[covered]), notes=contents.notes + note)


def _reaches(
    starts: NDArray[np.datetime64],
    ends: NDArray[np.datetime64],
    inside: NDArray[np.bool_],
    season: Calendar,
) -> NDArray[np.bool_]:
    """Samples (N,) whose steps inside reach both ends of the season, to half a step."""
    rows = np.arange(len(inside))
    first, last = inside.argmax(1), inside.shape[1] - 1 - inside[:, ::-1].argmax(1)
    half = (ends - starts)[rows, first] // 2 + np.timedelta64(1, "D")
    begins = starts[rows, first] <= np.datetime64(season.start) + half
    finishes = ends[rows, last] >= np.datetime64(season.end) - half
    return np.asarray(inside.any(1) & begins & finishes)


def _as_many(inside: NDArray[np.bool_], covered: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Of the samples that cover the season (N,), those with the usual number of steps."""
    number = inside.sum(1)
    usual = np.bincount(number[covered]).argmax() if covered.any() else 0
    return np.asarray(covered & (number == usual))


def _at(contents: Contents, inside: NDArray[np.bool_]) -> Contents:
    """The same number of steps of each sample: inside (N, T) has S True in every row."""
    steps = contents.steps
    if steps.starts is None or steps.ends is None:
        return contents

    def cut(rows: NDArray[Any]) -> NDArray[Any]:
        return rows[inside].reshape(len(inside), -1, *rows.shape[2:])  # (N, S, ...)

    return replace(
        contents,
        values={n: cut(rows) if MODALITIES[n].dynamic else rows for n, rows in contents.values.items()},
        counts={name: cut(rows) for name, rows in contents.counts.items()},
        steps=dated_steps(cut(steps.starts), cut(steps.ends)),
    )
