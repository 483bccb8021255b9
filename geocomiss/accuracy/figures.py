"""Accuracies and areas of a map or a part of it, from weighted points.

n points that enter, K classes.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from geocomiss.accuracy.estimate import Drawn, Ratios, in_strata, ratios
from geocomiss.accuracy.intervals import Coverage, cautious, factor, heaviest, normal
from geocomiss.accuracy.request import HOLDS, RARE, AreaEstimate, ClassFigures, Estimate, Figures

Bools = NDArray[np.bool_]


@dataclass(frozen=True)
class Points:
    """The n points that enter the estimates."""

    mapped: Bools
    """(n, K) whether a point is mapped as a class; nothing where the map says nothing."""
    found: Bools
    """(n, K) whether its reference label is a class."""
    drawn: Drawn
    """How they were drawn; weights of 1 where they are no probability sample."""
    names: tuple[str, ...]
    """Names of the K classes."""
    colors: tuple[str, ...]
    """Their colours."""
    probability_sample: bool
    """Whether standard errors and areas mean anything."""
    clustered: bool
    """Whether clusters were drawn, of which there may be few."""
    covered: float = 1.0
    """Share of the mapped area that estimates are for: strata without points are left out."""

    @property
    def on(self) -> Bools:
        """(n,) whether the map has a class there."""
        return np.asarray(self.mapped.any(1))


def figures_of(
    points: Points,
    name: str,
    part: Bools,
    mapped_ha: NDArray[np.float64],
    coverage: Coverage | None = None,
    areas: bool = True,
) -> Figures:
    """Accuracies and areas of a part, by the ratio (domain) estimator.

    Args:
        points: All points.
        name: Name of the part.
        part: (n,) which points lie in it.
        mapped_ha: (K,) its mapped area.
        coverage: How often the intervals of areas hold, where that was simulated.
        areas: Whether areas are estimated.
    """
    here = np.logical_and(part, points.on)
    column, number = here.reshape(-1, 1), len(points.names)
    mapped, found = points.mapped & column, points.found & column
    every = _ratios(points.drawn, column, mapped, found)
    estimates = [_estimate(every, at, points.probability_sample) for at in range(1 + 3 * number)]
    total = float(mapped_ha.sum())
    share = Ratios(every.value[1 + 3 * number :], every.se[1 + 3 * number :])
    area: list[AreaEstimate | None] = [None] * number
    if areas and points.probability_sample and here.any():
        area = list(_areas(points, share, here, total * points.covered, coverage))
    classes = tuple(
        ClassFigures(
            name=points.names[k],
            color=points.colors[k],
            mapped_ha=float(mapped_ha[k]),
            mapped_points=int(mapped[:, k].sum()),
            reference_points=int(found[:, k].sum()),
            users=estimates[1 + k],
            producers=estimates[1 + number + k],
            f1=estimates[1 + 2 * number + k],
            area=area[k],
        )
        for k in range(number)
    )
    return Figures(name, total, int(here.sum()), estimates[0], classes)


def _ratios(drawn: Drawn, here: Bools, mapped: Bools, found: Bools) -> Ratios:
    """Overall accuracy; user's, producer's and F1 of each class; shares of the area: (1 + 4 K,).

    Args:
        drawn: The sample.
        here: (n, 1) points in the part.
        mapped: (n, K) their mapped classes.
        found: (n, K) their reference classes.
    """
    both, number = mapped & found, mapped.shape[1]
    top = np.concatenate([both.any(1).reshape(-1, 1), both, both, 2.0 * both, found], axis=1)
    bottom = [here, mapped, found, 1.0 * mapped + found, np.repeat(here, number, axis=1)]
    return ratios(drawn, top, np.concatenate(bottom, axis=1))


def _estimate(every: Ratios, at: int, probability_sample: bool) -> Estimate:
    return Estimate(float(every.value[at]), float(every.se[at]) if probability_sample else None)


def _areas(
    points: Points, share: Ratios, here: Bools, total: float, coverage: Coverage | None
) -> tuple[AreaEstimate, ...]:
    """Area of each class in a part of `total` hectares."""
    drawn = points.drawn
    in_part = float(drawn.weight[here].sum())
    width = factor(drawn.freedom if points.clustered else None)
    plain = normal(share.value, share.se, width)
    # Student's t widens the cautious interval, too, by way of its variance
    largest, inside = in_strata(drawn, here, points.found)
    more, less = heaviest(largest / in_part, inside)
    careful = cautious(share.value, share.se * width / factor(None), more, less)
    found = []
    for k, value in enumerate(share.value):
        held = None if coverage is None else (float(coverage.normal[k]), float(coverage.cautious[k]))
        doubtful = value < RARE or (held is not None and held[0] < HOLDS)
        found.append(
            AreaEstimate(
                hectares=float(value) * total,
                se=float(share.se[k]) * total,
                normal=(float(plain.low[k]) * total, float(plain.high[k]) * total),
                cautious=(float(careful.low[k]) * total, float(careful.high[k]) * total),
                advised="cautious" if doubtful else "normal",
                coverage=held,
            )
        )
    return tuple(found)
