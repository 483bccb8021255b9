"""How reference points were drawn: strata, clusters and weights, from what the file says.

N points of which n enter the estimates, H strata.
"""

from dataclasses import dataclass
from typing import Final, cast, get_args

import numpy as np
from numpy.typing import NDArray

from geocomiss.accuracy.columns import CLUSTER, DESIGN, HECTARES, PIXELS, PROBABILITY, STRATUM, Design
from geocomiss.accuracy.estimate import Drawn, weigh
from geocomiss.accuracy.raster import MapOnDisk, Tally
from geocomiss.accuracy.reference import OFF_MAP, USED, Reference
from geocomiss.accuracy.request import AssessRequest
from geocomiss.accuracy.sizes import column_sizes, read_sizes
from geocomiss.errors import SampleError

POSTSTRATUM: Final = 10
"""Points from which a class is a stratum of its own in a simple random sample; others go together."""


@dataclass(frozen=True)
class Sampled:
    """The n points that enter the estimates."""

    rows: NDArray[np.int64]
    """(n,) their positions among all."""
    drawn: Drawn
    """Their strata, clusters and weights."""
    strata: tuple[str, ...]
    """Names of the H strata."""
    by: str
    """What the strata are, in words."""
    of_map: bool
    """Whether the strata are the classes of this map."""
    covered: float = 1.0
    """Share of the area in strata that have points: what estimates are for."""
    warnings: tuple[str, ...] = ()
    """What a reader must know, a sentence each."""


@dataclass(frozen=True)
class _Strata:
    """A stratum for each of n points, and the sizes of H strata."""

    rows: NDArray[np.int64]
    index: NDArray[np.int64]
    names: tuple[str, ...]
    pixels: NDArray[np.float64]
    hectares: NDArray[np.float64]
    by: str
    of_map: bool = True


def design_of(request: AssessRequest, reference: Reference) -> Design | None:
    """How the points were drawn, as the user or the file says it; None for no probability sample.

    Raises:
        SampleError: Nobody says it, the two differ, or it is unknown.
    """
    if not request.probability_sample:
        return None
    stated = sorted(set(reference.columns.get(DESIGN, np.array([""])).tolist()) - {""})
    wrong = [text for text in stated if text not in get_args(Design)]
    if len(stated) > 1 or wrong or (stated and request.design not in (None, stated[0])):
        raise SampleError(
            f"'{reference.name}' says {' and '.join(stated)} in its column {DESIGN!r}"
            + (f", --design says {request.design}" if request.design else ""),
            expected=f"one of {', '.join(get_args(Design))}",
            todo="correct one of them",
        )
    found = request.design or (cast(Design, stated[0]) if stated else None)
    if found is None:
        raise SampleError(
            f"'{reference.name}' does not say how its points were drawn",
            expected="a probability sample: every pixel of the map had a known chance of being drawn",
            todo="say how with --design simple, stratified or cluster; draw one with `geocomiss design`; or "
            "give --not-a-probability-sample to see accuracies without areas or intervals",
        )
    return found


def sample_of(
    request: AssessRequest, design: Design, one: MapOnDisk, counted: Tally, reference: Reference
) -> Sampled:
    """Strata, clusters and weights of a probability sample.

    Raises:
        SampleError: Columns or sizes are missing or contradict each other, or too few points.
    """
    named = STRATUM in reference.columns and design != "simple"
    if named and not _by_map(request, reference):
        strata = _given(request, counted, reference)
    elif design == "cluster":
        strata = _single(counted, reference)
    else:
        strata = _classes(one, counted, reference, design == "simple")
    if len(strata.rows) < 2 or not (reference.status[strata.rows] == USED).any():
        raise _too_few(reference)
    return _weighted(design, strata, reference)


def _by_map(request: AssessRequest, reference: Reference) -> bool:
    """Whether a column of strata can be passed over: none was asked for, and it has no sizes."""
    sized = request.strata_sizes or PIXELS in reference.columns or HECTARES in reference.columns
    if request.stratum and not sized:
        raise SampleError(
            f"the sizes of the strata in {request.stratum!r} are not known",
            expected=f"a column {PIXELS!r} or {HECTARES!r}, or --strata-sizes FILE.csv",
            todo="add one of them, or leave --stratum out if the strata are the map's classes",
        )
    return not sized


def _classes(one: MapOnDisk, counted: Tally, reference: Reference, simple: bool) -> _Strata:
    """The map's classes as strata; in a simple sample (post-strata) small ones go together."""
    rows = np.flatnonzero(reference.status == USED)
    value = reference.located.value[rows]
    groups = [[each] for each in one.classes if counted.pixels[each]]
    if simple:
        groups = _joined(groups, np.bincount(value, minlength=256))
    index = np.array([next(i for i, group in enumerate(groups) if each in group) for each in value], np.int64)
    return _Strata(
        rows,
        index,
        tuple(" + ".join(one.classes[each] for each in group) for group in groups),
        np.array([counted.pixels[group].sum() for group in groups], np.float64),
        np.array([counted.hectares[group].sum() for group in groups]),
        "the map's classes" + (", after drawing (small ones together)" if simple else ""),
    )


def _joined(groups: list[list[int]], number: NDArray[np.int64]) -> list[list[int]]:
    """Put classes of few points together until each group has enough."""
    groups = sorted(groups, key=lambda group: -int(number[group].sum()))
    while len(groups) > 1 and number[groups[-1]].sum() < POSTSTRATUM:
        last = groups.pop()
        groups[-1] = groups[-1] + last
    return groups


def _single(counted: Tally, reference: Reference) -> _Strata:
    rows = np.flatnonzero(reference.status == USED)
    pixels = np.array([counted.pixels[1:].sum()], np.float64)
    whole = np.array([counted.mapped])
    return _Strata(rows, np.zeros(len(rows), np.int64), ("the map",), pixels, whole, "none", False)


def _given(request: AssessRequest, counted: Tally, reference: Reference) -> _Strata:
    """Strata and sizes that the user gives; points off the map stay, as they stand for area off it."""
    kept = (reference.status == USED) | np.isin(reference.status, OFF_MAP)
    texts = reference.columns[STRATUM]
    if empty := int((kept & (texts == "")).sum()):
        raise SampleError(
            f"{empty} points of '{reference.name}' without a stratum",
            expected="a stratum for each point",
            todo="fill the column in, or leave it out if the strata are the map's classes",
        )
    mean = counted.hectares.sum() / counted.pixels.sum()
    if request.strata_sizes:
        sizes = read_sizes(request.strata_sizes, mean)
    else:
        sizes = column_sizes(reference, mean)
    if missing := sorted(set(texts[kept].tolist()) - sizes.keys()):
        raise SampleError(
            f"strata without a size: {', '.join(missing)}",
            expected="the size of every stratum",
            todo="complete --strata-sizes",
        )
    names = tuple(sizes)
    rows = np.flatnonzero(kept)
    pixels, hectares = (np.array([sizes[name][side] for name in names]) for side in (0, 1))
    same = set(zip(names, pixels.tolist(), strict=True)) == {
        (str(value), float(number)) for value, number in enumerate(counted.pixels) if value and number
    }
    by = "the map's classes, as the file says" if same else "those of the file (not the map's classes)"
    index = np.array([names.index(text) for text in texts[rows]], np.int64)
    return _Strata(rows, index, names, pixels, hectares, by, same)


def _weighted(design: Design, strata: _Strata, reference: Reference) -> Sampled:
    rows = strata.rows
    drawn_in = np.bincount(strata.index, minlength=len(strata.names))
    warnings = [
        f"stratum {name} ({area:,.1f} ha) has no reference point: estimates are for the rest"
        for name, area, n in zip(strata.names, strata.hectares, drawn_in, strict=True)
        if n == 0
    ]
    if design == "cluster":
        cluster, fraction = _clusters(reference, strata), np.zeros(len(drawn_in))
        alone = np.bincount(strata.index[np.unique(cluster, return_index=True)[1]], minlength=len(drawn_in))
    else:
        cluster, fraction = np.arange(len(rows)), np.minimum(drawn_in / strata.pixels, 1)
        alone = drawn_in
    warnings += [
        f"stratum {name} has a single {'cluster' if design == 'cluster' else 'reference point'}: its spread "
        "is taken from the others"
        for name, n in zip(strata.names, alone, strict=True)
        if n == 1
    ]
    probability = _probabilities(reference)
    weight = weigh(
        strata.index,
        strata.hectares,
        _sizes(reference, rows),
        None if probability is None else probability[rows],
    )
    drawn = Drawn(strata.index, cluster, weight, fraction)
    covered = float(strata.hectares[drawn_in > 0].sum() / strata.hectares.sum())
    return Sampled(rows, drawn, strata.names, strata.by, strata.of_map, covered, tuple(warnings))


def _sizes(reference: Reference, rows: NDArray[np.int64]) -> NDArray[np.float64]:
    """Area of each point's pixel; where it lies off the map, the mean of the others."""
    size, inside = reference.located.hectares[rows], reference.located.inside[rows]
    return np.where(inside, size, size[inside].mean() if inside.any() else 1.0)


def _clusters(reference: Reference, strata: _Strata) -> NDArray[np.int64]:
    """The cluster of each of n points; one of the same name in another stratum is another."""
    texts = reference.columns.get(CLUSTER, np.array([], np.str_))
    if not texts.size or (texts[strata.rows] == "").any():
        raise SampleError(
            f"'{reference.name}' has {'points without a cluster' if texts.size else 'no column of clusters'}",
            expected="the cluster of each point",
            todo="name the column with --cluster, or fill it in",
        )
    both = np.array([f"{s} {text}" for s, text in zip(strata.index, texts[strata.rows], strict=True)])
    return np.asarray(np.unique(both, return_inverse=True)[1], np.int64)


def _probabilities(reference: Reference) -> NDArray[np.float64] | None:
    if PROBABILITY not in reference.columns:
        return None
    try:
        found = np.array([float(text) for text in reference.columns[PROBABILITY]])
    except ValueError:
        found = np.array([np.nan])
    if not ((found > 0) & (found <= 1)).all():
        raise SampleError(
            f"the column {PROBABILITY!r} of '{reference.name}' holds empty cells or numbers outside 0 to 1",
            expected="the chance with which each point was drawn",
            todo="correct it, or remove it where all points of a stratum had the same",
        )
    return found


def _too_few(reference: Reference) -> SampleError:
    reasons, number = np.unique(reference.status, return_counts=True)
    what = ", ".join(f"{n} {why}" for why, n in zip(reasons.tolist(), number.tolist(), strict=True))
    return SampleError(
        f"too few of the {len(reference)} reference points can be used: {what}",
        expected="two or more with a label, on pixels with a class",
        todo="check that points and map are of the same place, and --label",
    )
