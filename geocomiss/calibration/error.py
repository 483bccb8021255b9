"""How far stated probabilities are from how often they come true.

R rows.
"""

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

BINS: Final = 10
"""Bins of equal width between 0 and 1."""


@dataclass(frozen=True)
class Bin:
    """Rows whose stated probability lies in one bin."""

    n: int
    """How many."""
    stated: float
    """Mean probability stated."""
    true: float
    """Share of them that came true."""


def reliability(stated: NDArray[np.floating], right: NDArray[np.bool_]) -> tuple[Bin, ...]:
    """The bins that hold any row, from low to high.

    Args:
        stated: (R,) probability of being right.
        right: (R,) whether it was.
    """
    place = np.clip((stated * BINS).astype(int), 0, BINS - 1)
    rows = ((stated[place == each], right[place == each]) for each in range(BINS))
    return tuple(Bin(len(p), float(p.mean(dtype=float)), float(r.mean())) for p, r in rows if len(p))


def calibration_error(stated: NDArray[np.floating], right: NDArray[np.bool_]) -> float | None:
    """Expected calibration error: sum over bins of share |stated - true|; None without rows.

    Never quite 0 for few rows, however well calibrated: chance moves each bin.
    Source: Naeini et al. 2015; Guo et al. 2017, equation 3.
    """
    found = reliability(stated, right)
    return sum(each.n * abs(each.stated - each.true) for each in found) / len(right) if found else None
