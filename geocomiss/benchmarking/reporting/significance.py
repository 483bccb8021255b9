"""Whether one contender is better than another: a paired bootstrap of the spatial groups.

Neighbouring samples are alike, so whole groups are drawn with replacement, the same ones for both
contenders (cluster bootstrap, Davison and Hinkley 1997, section 3.8). Seeds are averaged: what is
asked is whether the difference would be found again at other places.

N samples, G groups, K classes, S seeds, C conditions, B resamples.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from geocomiss.benchmarking.contenders import reference_of
from geocomiss.benchmarking.reporting.bca import Bootstrap
from geocomiss.benchmarking.reporting.pooled import METRICS
from geocomiss.benchmarking.reporting.rows import Row, summaries, summary_rows
from geocomiss.benchmarking.reporting.tally import tally
from geocomiss.benchmarking.results import Results

LEVEL: Final = 0.95
"""Of the intervals."""
MARGIN: Final = 0.015
"""F1 by which a contender may be worse and still count as not inferior: 1.5 points."""
DRAWS: Final = 10_000
"""Resamples."""
CHUNK: Final = 100
"""Resamples held in memory at once."""


@dataclass(frozen=True)
class Difference:
    """How much better the reference is than another contender; above 0 the reference is better."""

    reference: str
    """Key of the contender that is compared with the others."""
    other: str
    """Key of the other."""
    row: Row
    """What the mean is over."""
    metric: str
    """The metric compared: macro F1 or RMSE."""
    estimate: float
    """Difference on all samples; of an RMSE the other's less the reference's."""
    low: float
    """Lower end of the 95 % interval (BCa, see `bca`)."""
    high: float
    """Upper end."""
    p: float
    """Two-sided p-value of no difference."""
    p_holm: float
    """The same, corrected for all comparisons of this row (Holm)."""
    partial: bool
    """Whether the mean is over fewer conditions, those that both answer to."""

    @property
    def significant(self) -> bool:
        """Whether the corrected p-value is below 1 - LEVEL."""
        return self.p_holm < 1 - LEVEL

    @property
    def not_inferior(self) -> bool | None:
        """Whether the reference is not worse by `MARGIN` (None for a regression: no margin is set)."""
        return self.low > -MARGIN if self.metric == "macro_f1" else None


@dataclass(frozen=True)
class Resampled:
    """Scores of one contender, mean over the seeds."""

    estimate: NDArray[np.float64]
    """(C,) on all samples; NaN where not defined."""
    draws: NDArray[np.float64]
    """(B, C) on the resamples."""
    left_out: NDArray[np.float64]
    """(G, C) without each group in turn."""


def compare(
    results: Results, reference: str | None = None, draws: int = DRAWS, seed: int = 0
) -> tuple[Difference, ...]:
    """The reference against every other contender, for full, moderate, extreme and all patterns.

    Empty where there is a single contender or a single group.

    Args:
        results: What a benchmark found.
        reference: Key of a contender; without one `comiss+`, else the last method.
        draws: B.
        seed: Of the resamples.

    Raises:
        MethodError: There is no such contender.
    """
    chosen = reference_of(results.contenders, reference)
    others = [each.key for each in results.contenders if each.key != chosen]
    if not others or len(np.unique(results.group)) < 2:
        return ()
    best = resampled(results, chosen, draws, seed)
    found = {other: resampled(results, other, draws, seed) for other in others}
    families = []
    for row in summary_rows(results.modalities):
        each = [_difference(results, (chosen, best), (key, its), row) for key, its in found.items()]
        families.append(_corrected([one for one in each if one is not None]))
    return tuple(difference for family in families for difference in family)


def resampled(results: Results, contender: str, draws: int = DRAWS, seed: int = 0) -> Resampled:
    """Scores of a contender under the patterns of modalities, on all samples and on resamples.

    Args:
        results: What a benchmark found.
        contender: Its key.
        draws: B.
        seed: Of the resamples; the same seed draws the same groups for every contender.
    """
    groups, group = np.unique(results.group, return_inverse=True)
    patterns = summaries(results.modalities)["all_patterns"]
    columns = [results.conditions.index(each) for each in patterns]
    few = replace(
        results, conditions=patterns, predicted={contender: results.predicted[contender][:, columns]}
    )
    counts = tally(few, contender, group.astype(np.int64), len(groups))
    metric = METRICS[results.task][0].key

    def scored(weights: Iterable[NDArray[Any]]) -> NDArray[np.float64]:
        parts = [counts.weighted(chunk).scores()[metric] for chunk in weights]
        return np.asarray(np.concatenate(parts).mean(1, dtype=np.float64))

    whole = scored([np.ones((1, len(groups)))])[0]
    return Resampled(whole, scored(resamples(len(groups), draws, seed)), scored(_without_one(len(groups))))


def absent_share(results: Results, draws: int = DRAWS, seed: int = 0) -> float:
    """Share of the resamples in which some class has no sample at all; 0 for a regression."""
    if results.task == "value":
        return 0.0
    groups, group = np.unique(results.group, return_inverse=True)
    occurring = np.zeros((len(groups), len(results.classes)))
    np.add.at(occurring, (group, results.truth), 1)
    lacking = [(chunk @ occurring == 0).any(1) for chunk in resamples(len(groups), draws, seed)]
    return float(np.concatenate(lacking).mean())


def resamples(groups: int, draws: int, seed: int) -> Iterator[NDArray[np.int64]]:
    """How often each group is drawn, (B', G) for up to `CHUNK` resamples at a time."""
    rng = np.random.default_rng(seed)
    for start in range(0, draws, CHUNK):
        rows = min(CHUNK, draws - start)
        chosen = rng.integers(0, groups, (rows, groups)) + groups * np.arange(rows)[:, None]
        yield np.bincount(chosen.ravel(), minlength=rows * groups).reshape(rows, groups)


def _without_one(groups: int) -> Iterator[NDArray[np.int64]]:
    """Weights that leave out each group in turn, (G', G) for up to `CHUNK` groups at a time."""
    for start in range(0, groups, CHUNK):
        left_out = np.arange(start, min(start + CHUNK, groups))
        yield (left_out[:, None] != np.arange(groups)).astype(np.int64)


def holm(p: NDArray[np.float64]) -> NDArray[np.float64]:
    """P-values corrected for their number (Holm 1979): each smallest times how many are left."""
    order = np.argsort(p, kind="stable")
    stepped = np.maximum.accumulate(p[order] * np.arange(len(p), 0, -1))
    corrected = np.empty(len(p))
    corrected[order] = np.minimum(stepped, 1)
    return corrected


def _difference(
    results: Results, reference: tuple[str, Resampled], other: tuple[str, Resampled], row: Row
) -> Difference | None:
    """None where the two have no condition of the row in common."""
    metric = METRICS[results.task][0]
    patterns = summaries(results.modalities)["all_patterns"]
    columns = np.array([patterns.index(each) for each in row.conditions])
    both = ~np.isnan(reference[1].estimate[columns] + other[1].estimate[columns])
    if not both.any():
        return None
    kept = columns[both]
    found = Bootstrap(
        float(metric.sign * (reference[1].estimate[kept] - other[1].estimate[kept]).mean()),
        metric.sign * (reference[1].draws[:, kept] - other[1].draws[:, kept]).mean(1),
        metric.sign * (reference[1].left_out[:, kept] - other[1].left_out[:, kept]).mean(1),
    )
    low, high = found.interval(LEVEL)
    p = found.p_value()
    return Difference(
        reference[0], other[0], row, metric.key, found.estimate, low, high, p, p, partial=not both.all()
    )


def _corrected(family: list[Difference]) -> list[Difference]:
    corrected = holm(np.array([each.p for each in family]))
    return [replace(each, p_holm=float(p)) for each, p in zip(family, corrected, strict=True)]
