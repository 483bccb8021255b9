"""Ratios estimated from a probability sample, with their standard errors.

Everything that an accuracy assessment reports is a ratio of two totals over the map: overall, user's
and producer's accuracy, F1, and the share of the area that a class takes. One estimator serves all of
them, for simple, stratified and cluster samples, and for parts of the area (domains):

    R = sum(w y) / sum(w x)
    V(R) = sum over strata of (1 - f) n / (n - 1) sum over clusters of z_c^2,
    z_c = sum over the cluster of w (u - mean of u in the stratum) / sum(w x),   u = y - R x

With one point a cluster this is Stehman (2014, equations 25 to 28), and where the strata are the
classes of the map, Olofsson et al. (2014, equations 5 to 11). Weights are hectares and add up to the
known area of each stratum (a ratio estimator, also for clusters of unequal size).

N points, H strata, Q quantities.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Doubles = NDArray[np.float64]
Ints = NDArray[np.int64]


@dataclass(frozen=True)
class Drawn:
    """N reference points as they were drawn."""

    stratum: Ints
    """(N,) stratum of each point, 0..H-1."""
    cluster: Ints
    """(N,) cluster of each point; each point its own where points were drawn singly."""
    weight: Doubles
    """(N,) hectares that each point stands for."""
    fraction: Doubles
    """(H,) share of the stratum's clusters (or pixels) that was drawn, 0 where unknown."""

    @property
    def hectares(self) -> float:
        """Area that the points stand for together."""
        return float(self.weight.sum())

    @property
    def freedom(self) -> int:
        """Degrees of freedom: clusters less strata."""
        return len(np.unique(self.cluster)) - len(np.unique(self.stratum))


@dataclass(frozen=True)
class Ratios:
    """Q estimates."""

    value: Doubles
    """(Q,) the ratios; NaN where nothing of the denominator was drawn."""
    se: Doubles
    """(Q,) their standard errors."""


def in_strata(drawn: Drawn, here: NDArray[np.bool_], found: NDArray[np.bool_]) -> tuple[Doubles, Doubles]:
    """How much a single cluster stands for in each stratum, and what share of it each class has.

    Args:
        drawn: The sample.
        here: (N,) the points that count.
        found: (N, K) whether a point is of a class.

    Returns:
        Hectares of the heaviest cluster (H,), 0 where there is none, and shares (K, H).
    """
    strata, weight = len(drawn.fraction), drawn.weight * here
    of_clusters, first = _by_cluster(drawn, weight[:, None])
    largest = np.zeros(strata)
    np.maximum.at(largest, drawn.stratum[first], of_clusters[:, 0])
    total = np.bincount(drawn.stratum, weight, minlength=strata)
    sums = np.stack([np.bincount(drawn.stratum, weight * column, minlength=strata) for column in found.T])
    return largest, sums / np.where(total > 0, total, 1)


def weigh(stratum: Ints, hectares: Doubles, size: Doubles, probability: Doubles | None = None) -> Doubles:
    """Hectares that each point stands for: (N,).

    Args:
        stratum: (N,) stratum of each point.
        hectares: (H,) known area of each stratum.
        size: (N,) area of the pixel of each point.
        probability: (N,) inclusion probabilities; None where equal within a stratum.
    """
    raw = size if probability is None else size / probability
    drawn = np.bincount(stratum, raw, minlength=len(hectares))
    return np.asarray(raw * (hectares / np.where(drawn > 0, drawn, 1))[stratum])


def ratios(drawn: Drawn, top: NDArray[np.generic], bottom: NDArray[np.generic]) -> Ratios:
    """Estimate sum(top) / sum(bottom) over the population.

    A stratum with a single cluster has no spread of its own; its cluster's distance from the overall
    mean is taken instead, which is cautious.

    Args:
        drawn: The sample.
        top: (N, Q) numerators, such as "mapped and found as maize".
        bottom: (N, Q) denominators, such as "mapped as maize".
    """
    y, x, w = top.astype(np.float64), bottom.astype(np.float64), drawn.weight[:, None]
    total = (w * x).sum(0)  # (Q,)
    with np.errstate(invalid="ignore", divide="ignore"):
        value = (w * y).sum(0) / total
        residual = y - value * x  # (N, Q); its weighted sum is 0
        z = w * (residual - _centre(drawn, residual)) / total
    of_clusters, first = _by_cluster(drawn, z)
    stratum = drawn.stratum[first]
    number = np.bincount(stratum, minlength=len(drawn.fraction))
    factor = (1 - drawn.fraction) * np.where(number > 1, number / np.maximum(number - 1, 1), 1)
    return Ratios(value, np.sqrt((factor[stratum][:, None] * of_clusters**2).sum(0)))


def _centre(drawn: Drawn, residual: Doubles) -> Doubles:
    """Weighted mean of each point's stratum (N, Q); 0, the overall mean, in strata of one cluster."""
    strata = len(drawn.fraction)
    weight = np.bincount(drawn.stratum, drawn.weight, minlength=strata)
    means = np.stack(
        [np.bincount(drawn.stratum, drawn.weight * column, minlength=strata) for column in residual.T], axis=1
    ) / np.where(weight > 0, weight, 1)[:, None]  # fmt: skip
    _, first = np.unique(drawn.cluster, return_index=True)
    alone = np.bincount(drawn.stratum[first], minlength=strata) < 2
    means[alone] = 0
    return np.asarray(means[drawn.stratum])


def _by_cluster(drawn: Drawn, z: Doubles) -> tuple[Doubles, Ints]:
    """Sums over clusters (C, Q), and the first point of each cluster (C,)."""
    _, first, cluster = np.unique(drawn.cluster, return_index=True, return_inverse=True)
    sums = np.stack([np.bincount(cluster, column, minlength=len(first)) for column in z.T], axis=1)
    return np.asarray(sums, np.float64), first
