"""95 % intervals of areas, and how often they hold.

The normal interval (estimate +- 1.96 standard errors, Olofsson et al. 2014) is too short for rare
classes: the few points at which a rare class was overlooked stand for large areas, and often none of
them is drawn. Neither a logit transformation nor a bootstrap mends that, because what was not drawn
is not in the sample (`tests/benchmarks/test_coverage.py` measures all of them). The same happens to a
common class whose stratum was given too few points, at the other end. The cautious interval allows for
one point more that was not drawn, where it weighs most: at the upper end in strata where the class is
the smaller part, at the lower end in those where it is the larger. That is what Fay and Feuer (1997,
"Confidence intervals for directly standardized rates") do for rates, here with beta distributions.

H strata, K classes, R repetitions.
"""

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy.stats import beta, t

Doubles = NDArray[np.float64]
Ints = NDArray[np.int64]

NORMAL: Final = 1.96
"""Standard errors either side of an estimate, as Olofsson et al. (2014) have it."""
TAIL: Final = 0.025
"""Chance of missing the truth on either side."""
REPETITIONS: Final = 2000
"""Samples drawn to measure how often an interval holds."""
HALF: Final = 0.5
"""Share from which a class is the larger part of a stratum; also, points that `coverage` adds."""


@dataclass(frozen=True)
class Bounds:
    """Ends of intervals of any shape."""

    low: Doubles
    """Lower ends."""
    high: Doubles
    """Upper ends."""


def factor(freedom: int | None) -> float:
    """Standard errors either side: 1.96, or Student's t where few clusters were drawn."""
    return NORMAL if freedom is None else float(t.ppf(1 - TAIL, max(freedom, 1)))


def normal(share: Doubles, se: Doubles, width: float = NORMAL) -> Bounds:
    """Estimate +- `width` standard errors, within 0 and 1."""
    return Bounds(np.maximum(share - width * se, 0), np.minimum(share + width * se, 1))


def cautious(share: Doubles, se: Doubles, more: Doubles, less: Doubles) -> Bounds:
    """An interval that also holds for rare classes, and where strata have few points.

    Args:
        share: Estimated shares of the area, any shape.
        se: Their standard errors.
        more: Share of the area that one point of the class more would stand for, see `heaviest`.
        less: The same for one point less.
    """
    high = _quantile(np.minimum(share + more, 1), se**2 + more**2, 1 - TAIL)
    low = 1 - _quantile(np.minimum(1 - share + less, 1), se**2 + less**2, 1 - TAIL)
    return Bounds(low, high)


def heaviest(point: Doubles, share: Doubles) -> tuple[Doubles, Doubles]:
    """What one point more, and one less, of each class would stand for at most.

    Args:
        point: (..., H) weight of a point in each stratum, as a share of the area.
        share: (..., H) share of the class in each stratum.

    Returns:
        For the upper end, from strata where the class is the smaller part, and for the lower end, from
        the others: (...) each, 0 where there is no such stratum.
    """
    smaller = share < HALF
    return np.where(smaller, point, 0).max(-1), np.where(smaller, 0, point).max(-1)


def _quantile(mean: Doubles, variance: Doubles, chance: float) -> Doubles:
    """Quantile of the beta distribution with this mean and variance; the mean where there is no spread."""
    most = mean * (1 - mean)
    spread = (variance > 0) & (most > 0)
    # a beta distribution cannot be wider than a coin that shows 0 or 1
    size = most / np.where(spread, np.minimum(variance, 0.999 * most), 1) - 1
    found = beta.ppf(chance, np.where(spread, mean * size, 1), np.where(spread, (1 - mean) * size, 1))
    return np.asarray(np.where(spread, found, mean))


@dataclass(frozen=True)
class Coverage:
    """How often 95 % intervals hold, between 0 and 1."""

    normal: Doubles
    """(K,) of the normal interval."""
    cautious: Doubles
    """(K,) of the cautious one."""


def coverage(counts: Ints, hectares: Doubles, seed: int = 0) -> Coverage:
    """How often the intervals of class areas would hold in an area like this one.

    Draws stratified samples of this size `REPETITIONS` times from a population with the shares found,
    and half a point more of what is rare in the stratum whose points weigh most (the class, or what it is
    taken for): what was overlooked in the sample may be there.

    Args:
        counts: (H, K) reference points of each class in each stratum.
        hectares: (H,) area of each stratum.
        seed: Seed of the draws.
    """
    rng = np.random.default_rng(seed)
    n, weight = counts.sum(1), hectares / hectares.sum()
    found = [_coverage(column, n, weight, rng) for column in counts.T]
    return Coverage(*(np.array(each) for each in zip(*found, strict=True)))


def _coverage(counts: Ints, n: Ints, weight: Doubles, rng: np.random.Generator) -> tuple[float, float]:
    """Of one class: (H,) counts of (H,) points in strata with (H,) shares of the area."""
    share = counts / n
    at = int((weight / n).argmax())
    away = HALF if share[at] < HALF else -HALF
    share[at] = np.clip((counts[at] + away) / n[at], 0, 1)
    truth = float(weight @ share)
    drawn = rng.binomial(n, share, (REPETITIONS, len(n))) / n  # (R, H)
    estimate = drawn @ weight
    se = np.sqrt((drawn * (1 - drawn) / np.maximum(n - 1, 1)) @ weight**2)
    both = (normal(estimate, se), cautious(estimate, se, *heaviest(weight / n, drawn)))
    first, second = (float(((bounds.low <= truth) & (truth <= bounds.high)).mean()) for bounds in both)
    return first, second
