"""Scores on the pooled out-of-fold predictions, and the poster's mean of per-fold scores.

N samples, K classes, S seeds, C conditions, F folds, R repetitions (seeds, or seeds x folds).
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from geocomiss.benchmarking.reporting.tally import ClassTally, tally
from geocomiss.benchmarking.results import Results


@dataclass(frozen=True)
class Metric:
    """How well predictions agree with the truth, as one number."""

    key: str
    """Name in files."""
    title: str
    """Name for people."""
    sign: int
    """1 where more is better, -1 where less is."""


METRICS: Final[dict[str, tuple[Metric, ...]]] = {
    "classes": (Metric("macro_f1", "Macro F1", 1), Metric("weighted_f1", "Weighted F1", 1)),
    "value": (Metric("rmse", "RMSE", -1), Metric("r2", "R²", 1)),
}
"""Metrics by task; contenders are compared by the first."""


@dataclass(frozen=True)
class Cell:
    """One number of the table."""

    mean: float
    """Mean over the repetitions."""
    sd: float | None
    """Standard deviation over the repetitions (ddof 1); None where there is one only."""
    partial: bool
    """Whether some of the row's conditions are not defined for the contender."""


@dataclass(frozen=True)
class Pooled:
    """Scores of all contenders under all conditions."""

    conditions: tuple[str, ...]
    """The C conditions."""
    values: Mapping[str, Mapping[str, NDArray[np.float64]]]
    """(R, C) by metric and contender; NaN where a condition is not defined."""

    def row(
        self, metric: str, contender: str, conditions: tuple[str, ...]
    ) -> tuple[NDArray[np.float64] | None, bool]:
        """Mean over conditions for each repetition (R,), and whether some had to be left out.

        None where none is defined for the contender.
        """
        columns = [self.conditions.index(each) for each in conditions if each in self.conditions]
        found = self.values[metric][contender][:, columns]
        defined = ~np.isnan(found).any(0)
        if not defined.any():
            return None, True
        return found[:, defined].mean(1), int(defined.sum()) < len(conditions)

    def cell(self, metric: str, contender: str, conditions: tuple[str, ...]) -> Cell | None:
        """Mean and spread over the repetitions; None where no condition is defined."""
        found, partial = self.row(metric, contender, conditions)
        if found is None:
            return None
        sd = float(found.std(ddof=1)) if len(found) > 1 else None
        return Cell(float(found.mean()), sd, partial)


def pooled_scores(results: Results) -> Pooled:
    """Scores on all samples at once, each predicted by the run that had not seen it.

    F1 runs over all K classes; a sample left without any modality is an error. The repetitions are
    the seeds.
    """
    one = np.zeros(len(results.truth), np.int64)
    return _scored(results, one, 1, absent=0.0)


def fold_scores(results: Results) -> Pooled:
    """Scores of each fold by itself, the poster's way; the repetitions are folds x seeds.

    The mean of F1 runs over the classes that a fold holds or was given, as scikit-learn has it.
    """
    folds, fold = np.unique(results.fold, return_inverse=True)
    return _scored(results, fold.astype(np.int64), len(folds), absent=float("nan"))


def class_scores(results: Results, contender: str, condition: str) -> NDArray[np.float64] | None:
    """F1 of each class (S, K) on the pooled predictions; None where the condition is not defined."""
    found = tally(results, contender, np.zeros(len(results.truth), np.int64), 1)
    column = results.conditions.index(condition)
    if not isinstance(found, ClassTally) or not found.defined[:, column].all():
        return None
    return np.asarray(found.f1()[0, :, column], np.float64)


def _scored(results: Results, part: NDArray[np.int64], parts: int, absent: float) -> Pooled:
    values: dict[str, dict[str, NDArray[np.float64]]] = {each.key: {} for each in METRICS[results.task]}
    for contender in results.contenders:
        scores = tally(results, contender.key, part, parts).scores(absent)
        for metric, found in scores.items():  # (P, S, C)
            flat = found.reshape(-1, len(results.conditions))
            values[metric][contender.key] = flat.astype(np.float64)
    return Pooled(results.conditions, values)
