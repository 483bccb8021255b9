"""Draw samples from a known population again and again, and see how often intervals hold the truth."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit, logit

from geocomiss.accuracy.estimate import Drawn, in_strata, ratios, weigh
from geocomiss.accuracy.intervals import Bounds, cautious, heaviest, normal


@dataclass(frozen=True)
class Held:
    """How often intervals hold, for K classes."""

    share: NDArray[np.float64]
    """(K,) true share of the area."""
    normal: NDArray[np.float64]
    """(K,) of estimate +- 1.96 standard errors."""
    logit: NDArray[np.float64]
    """(K,) of the same on the scale of log odds."""
    bootstrap: NDArray[np.float64]
    """(K,) of percentiles of points drawn anew within strata."""
    cautious: NDArray[np.float64]
    """(K,) of the cautious one."""
    bias: NDArray[np.float64]
    """(K,) mean estimate less truth, in standard deviations of the mean."""
    overall: float
    """Of the normal interval of overall accuracy."""


def coverage_over(
    truth: NDArray[np.int64], mapped: NDArray[np.int64], points: NDArray[np.int64],
    repetitions: int, bootstraps: int = 0, seed: int = 0,
) -> Held:  # fmt: skip
    """Stratified samples of pixels without replacement, estimated as assessments are.

    Args:
        truth: (P,) class 0..K-1 of every pixel.
        mapped: (P,) class in the map: the strata.
        points: (K,) points drawn in each.
        repetitions: Samples.
        bootstraps: Bootstrap samples of each; 0 leaves the bootstrap out.
        seed: Seed.
    """
    rng = np.random.default_rng(seed)
    number = len(points)
    pixels = np.bincount(mapped, minlength=number)
    members = [np.flatnonzero(mapped == stratum) for stratum in range(number)]
    stratum = np.repeat(np.arange(number), points)
    weight = weigh(stratum, pixels * 0.01, np.full(len(stratum), 0.01))
    drawn = Drawn(stratum, np.arange(len(stratum)), weight, points / pixels)
    share = np.bincount(truth, minlength=number) / truth.size
    accuracy, total = float((truth == mapped).mean()), drawn.hectares
    inside, estimates, right = np.zeros((4, number)), [], 0.0
    for _ in range(repetitions):
        rows = np.concatenate([rng.choice(each, n, replace=False, shuffle=False) for each, n in
                               zip(members, points, strict=True)])  # fmt: skip
        found = truth[rows][:, None] == np.arange(number)
        top = np.concatenate([found, (truth[rows] == mapped[rows])[:, None]], axis=1)
        every = ratios(drawn, top, np.ones_like(top))
        value, se = every.value[:-1], every.se[:-1]
        kinds = (normal(value, se), _logit(value, se), _cautious(drawn, value, se, found, total))
        for kind, bounds in enumerate(kinds):
            inside[kind] += (bounds.low <= share) & (share <= bounds.high)
        if bootstraps:
            inside[3] += _bootstrap(found, stratum, pixels / pixels.sum(), points, bootstraps, rng, share)
        right += abs(every.value[-1] - accuracy) <= 1.96 * every.se[-1]
        estimates.append(value)
    spread = np.std(estimates, axis=0) / repetitions**0.5
    bias = (np.mean(estimates, axis=0) - share) / np.where(spread > 0, spread, 1)
    inside /= repetitions
    return Held(share, inside[0], inside[1], inside[3], inside[2], bias, right / repetitions)


def _cautious(
    drawn: Drawn, value: NDArray[np.float64], se: NDArray[np.float64], found: NDArray[np.bool_], total: float
) -> Bounds:
    largest, inside = in_strata(drawn, np.ones(len(found), bool), found)
    return cautious(value, se, *heaviest(largest / total, inside))


def _logit(value: NDArray[np.float64], se: NDArray[np.float64]) -> Bounds:
    with np.errstate(divide="ignore", invalid="ignore"):
        half = 1.96 * se / (value * (1 - value))
        return Bounds(expit(logit(value) - half), expit(logit(value) + half))


def _bootstrap(
    found: NDArray[np.bool_], stratum: NDArray[np.int64], weight: NDArray[np.float64],
    points: NDArray[np.int64], bootstraps: int, rng: np.random.Generator, share: NDArray[np.float64],
) -> NDArray[np.bool_]:  # fmt: skip
    """Whether the percentile bootstrap holds the truth, (K,)."""
    counts = np.stack([found[stratum == each].sum(0) for each in range(len(points))])  # (H, K)
    again = rng.binomial(points[:, None], counts / points[:, None], (bootstraps, *counts.shape))
    estimates = ((again / points[:, None]) * weight[:, None]).sum(1)
    low, high = np.quantile(estimates, [0.025, 0.975], axis=0)
    return np.asarray((low <= share) & (share <= high))
