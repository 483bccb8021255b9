"""What scores are made of, per part of the samples: counts that add up.

The parts are spatial groups, folds, or resamples of groups; scores of any union of parts follow from
sums of these counts, so that predictions are gone through once.

N samples, P parts, K classes, S seeds, C conditions, B resamples.
"""

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from geocomiss.benchmarking.results import NOT_DEFINED, Results

Array = NDArray[Any]


class Tally(ABC):
    """Counts of one contender for P parts of the samples."""

    @abstractmethod
    def weighted(self, weights: Array) -> "Tally":
        """Sums over the parts.

        Args:
            weights: (B, P) how often each part counts.

        Returns:
            The counts of B unions of parts.
        """

    @abstractmethod
    def scores(self, absent: float = 0.0) -> dict[str, Array]:
        """Scores by metric, (P, S, C); NaN where a condition is not defined.

        Args:
            absent: F1 of a class that a part neither holds nor was given; NaN leaves it out.
        """


@dataclass(frozen=True)
class ClassTally(Tally):
    """Counts of a classification."""

    hits: Array
    """(P, S, C, K) samples given their class."""
    claimed: Array
    """(P, S, C, K) samples given a class."""
    occurring: Array
    """(P, 1, 1, K) samples of a class."""
    defined: NDArray[np.bool_]
    """(S, C) whether the contender answers to a condition."""

    def weighted(self, weights: Array) -> "ClassTally":
        """Sums over the parts, see `Tally`."""
        chosen = weights.astype(self.hits.dtype)
        hits, claimed, occurring = (
            np.tensordot(chosen, each, 1) for each in (self.hits, self.claimed, self.occurring)
        )
        return ClassTally(hits, claimed, occurring, self.defined)

    def f1(self, absent: float = 0.0) -> Array:
        """F1 per class, (P, S, C, K): 2 hits / (occurring + claimed)."""
        both = np.asarray(self.occurring + self.claimed, np.float64)
        return np.where(both > 0, 2 * self.hits / np.maximum(both, 1), absent)

    def scores(self, absent: float = 0.0) -> dict[str, Array]:
        """Macro and weighted F1, see `Tally`."""
        f1 = self.f1(absent)
        macro = np.nanmean(f1, -1) if np.isnan(absent) else f1.mean(-1)
        samples = np.maximum(self.occurring.sum(-1), 1)
        weighted = (np.where(self.occurring > 0, f1, 0) * self.occurring).sum(-1) / samples
        return {
            "macro_f1": np.where(self.defined, macro, np.nan),
            "weighted_f1": np.where(self.defined, weighted, np.nan),
        }


@dataclass(frozen=True)
class ValueTally(Tally):
    """Sums of a regression."""

    squared: Array
    """(P, S, C) sum of the squared errors; NaN where not defined."""
    samples: Array
    """(P, 1, 1) number of samples."""
    total: Array
    """(P, 1, 1) sum of the target, less its mean over all samples."""
    power: Array
    """(P, 1, 1) sum of the squares of the same."""

    def weighted(self, weights: Array) -> "ValueTally":
        """Sums over the parts, see `Tally`."""
        each = (self.squared, self.samples, self.total, self.power)
        return ValueTally(*(np.tensordot(weights.astype(np.float64), part, 1) for part in each))

    def scores(self, absent: float = 0.0) -> dict[str, Array]:
        """RMSE and R2 = 1 - squared errors / squared deviations from the mean, see `Tally`."""
        deviation = self.power - self.total**2 / np.maximum(self.samples, 1)
        varied = deviation > 1e-12 * np.maximum(self.power, 1e-300)
        r2 = np.where(varied, 1 - self.squared / np.where(varied, deviation, 1), np.nan)
        return {"rmse": np.sqrt(self.squared / np.maximum(self.samples, 1)), "r2": r2}


def tally(results: Results, contender: str, part: NDArray[np.int64], parts: int) -> Tally:
    """Count the predictions of a contender.

    Args:
        results: What a benchmark found.
        contender: Key of the contender.
        part: (N,) part 0..P-1 that each sample belongs to.
        parts: P.
    """
    if results.task == "value":
        return _values(results, contender, part, parts)
    return _classes(results, contender, part, parts)


def _classes(results: Results, contender: str, part: NDArray[np.int64], parts: int) -> ClassTally:
    predicted, truth, classes = results.predicted[contender], results.truth, len(results.classes)
    seeds, conditions, _ = predicted.shape
    # float32 holds counts exactly up to 2^24 and multiplies twice as fast
    hits, claimed = np.zeros((2, parts, seeds, conditions, classes), np.float32)
    for seed, condition in np.ndindex(seeds, conditions):
        given = predicted[seed, condition].astype(np.int64)
        hits[:, seed, condition] = _table(part, given, given == truth, (parts, classes))
        claimed[:, seed, condition] = _table(part, given, given >= 0, (parts, classes))
    occurring = _table(part, truth, np.ones(len(truth), bool), (parts, classes)).astype(np.float32)
    defined = ~(predicted == NOT_DEFINED).any(-1)
    return ClassTally(hits, claimed, occurring[:, None, None], defined)


def _table(
    part: NDArray[np.int64], label: NDArray[np.int64], chosen: NDArray[np.bool_], shape: tuple[int, int]
) -> Array:
    """How many of the chosen samples each part has of each class: (P, K)."""
    cell = part[chosen] * shape[1] + label[chosen]
    return np.bincount(cell, minlength=shape[0] * shape[1]).reshape(shape)


def _values(results: Results, contender: str, part: NDArray[np.int64], parts: int) -> ValueTally:
    predicted = filled(results, contender)
    deviation = results.truth - results.truth.mean()
    squared = (predicted - results.truth) ** 2
    sums = np.stack([_sums(part, each, parts) for each in squared.reshape(-1, len(part))], -1)
    shape = (parts, *predicted.shape[:2])
    single = (_sums(part, each, parts)[:, None, None] for each in (deviation**0, deviation, deviation**2))
    return ValueTally(sums.reshape(shape), *single)


def _sums(part: NDArray[np.int64], values: Array, parts: int) -> Array:
    return np.bincount(part, values, minlength=parts)


def filled(results: Results, contender: str) -> NDArray[np.float64]:
    """Predictions of a regression (S, C, N); a sample without any modality gets a mean.

    That is the mean target of the other folds: what is known without looking. A condition without
    any prediction stays NaN, not defined.
    """
    predicted = np.asarray(results.predicted[contender], np.float64).copy()
    known = np.empty(len(results.truth))
    for fold in np.unique(results.fold):
        inside = results.fold == fold
        known[inside] = results.truth[~inside].mean() if not inside.all() else results.truth.mean()
    partly = np.isnan(predicted) & ~np.isnan(predicted).all(-1, keepdims=True)
    return np.where(partly, known, predicted)
