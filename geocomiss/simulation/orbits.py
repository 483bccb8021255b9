"""When satellites pass: swaths as slanted stripes, each with its own days."""

from dataclasses import dataclass
from datetime import date
from typing import Final

import numpy as np
from numpy.typing import NDArray

from geocomiss.simulation.noise import hashed, stream, uniform
from geocomiss.simulation.places import Places

Ints = NDArray[np.int64]
Bools = NDArray[np.bool_]

OPTICAL_DAYS: Final = 5
"""Days between optical acquisitions of a place."""
OPTICAL_SWATH: Final = 290_000.0
RADAR_DAYS: Final = 12
"""Days between passes of one radar satellite; the second follows half way."""
RADAR_SWATH: Final = 250_000.0
RADAR_GAP: Final = 0.04
"""Share of a swath's width, at its edge, that no radar satellite images."""
PASS_LOST: Final = 0.07
"""Share of radar passes that were not acquired."""
RADAR_FAILURE: Final = (date(2021, 12, 23).toordinal(), date(2025, 3, 30).toordinal())
"""From, until (excluded): the second radar satellite is silent."""
PASS: Final = "descending"
"""The one radar pass direction."""
TILT: Final = (0.975, 0.222)
"""Across-track direction of swaths: descending passes lean this way."""
NO_SECOND_OPTICAL: Final = date(2017, 3, 7).toordinal()
"""Before this day one optical satellite flies, every ten days."""


@dataclass(frozen=True)
class Passes:
    """Acquisitions over some places."""

    days: Ints
    """Ordinal days on which any of the places is imaged, ascending: (dates,)."""
    seen: Bools
    """Whether each place lies in that day's swath: (dates, N)."""


def optical_passes(seed: int, places: Places, first: int, last: int) -> Passes:
    """Optical acquisitions of N places from one ordinal day to another, included."""
    swath, _ = _swath(places, OPTICAL_SWATH)
    swaths, at = np.unique(swath, return_inverse=True)
    phase = (uniform(hashed(stream(seed, "optical orbit"), swaths)) * OPTICAL_DAYS).astype(np.int64)
    days = np.arange(first, last + 1)
    taken = (days[:, None] - phase) % OPTICAL_DAYS == 0  # (days, swaths)
    alone = (days[:, None] < NO_SECOND_OPTICAL) & ((days[:, None] - phase) % (2 * OPTICAL_DAYS) != 0)
    return _passes(days, taken & ~alone, at.ravel())


def radar_passes(seed: int, places: Places, first: int, last: int) -> Passes:
    """Radar acquisitions of N places, one pass direction, from one ordinal day to another, included."""
    swath, across = _swath(places, RADAR_SWATH)
    swaths, at = np.unique(swath, return_inverse=True)
    phase = (uniform(hashed(stream(seed, "radar orbit"), swaths)) * RADAR_DAYS).astype(np.int64)
    days = np.arange(first, last + 1)
    since = (days[:, None] - phase) % RADAR_DAYS
    working = (days < RADAR_FAILURE[0]) | (days >= RADAR_FAILURE[1])
    taken = (since == 0) | ((since == RADAR_DAYS // 2) & working[:, None])
    taken &= uniform(hashed(stream(seed, "lost pass"), days[:, None], swaths)) >= PASS_LOST
    passes = _passes(days, taken, at.ravel())
    return Passes(passes.days, passes.seen & (across.ravel() >= RADAR_GAP))


def _swath(places: Places, width: float) -> tuple[Ints, NDArray[np.float64]]:
    """Number of the swath of each place, and how far across it lies (0..1), flattened."""
    across = (places.x.ravel() * TILT[0] + places.y.ravel() * TILT[1]) / width
    number = np.floor(across)
    return number.astype(np.int64), across - number


def _passes(days: Ints, taken: Bools, swath: Ints) -> Passes:
    some = taken.any(1)
    return Passes(days[some], taken[some][:, swath])
