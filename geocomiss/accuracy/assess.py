"""Assess a map: read the points, weigh them as they were drawn, estimate.

N points, n of which enter the estimates, K classes, H strata.
"""

from typing import Any, Final

import numpy as np
import shapely
from numpy.typing import NDArray

from geocomiss.accuracy.columns import Design
from geocomiss.accuracy.estimate import Drawn
from geocomiss.accuracy.figures import Points, figures_of
from geocomiss.accuracy.intervals import Coverage, coverage
from geocomiss.accuracy.plausible import check_spread
from geocomiss.accuracy.raster import MapOnDisk, Tally, open_map, tally
from geocomiss.accuracy.reference import (
    LEFT_OUT,
    NO_CLASS,
    NO_PLACE,
    OUTSIDE,
    TRAINING,
    UNLABELLED,
    USED,
    Reference,
    read_reference,
)
from geocomiss.accuracy.request import FEW, FEWEST_IN_PART, Assessment, AssessRequest, Figures, PointFound
from geocomiss.accuracy.sampled import Sampled, design_of, sample_of
from geocomiss.accuracy.vectors import read_districts
from geocomiss.errors import SampleError
from geocomiss.grid import crs_of
from geocomiss.modalities import MODALITIES

MOST_UNLABELLED: Final = 0.05
"""Share of points without a label from which they are warned of."""
NAMED: Final = 10
"""Districts that a warning names at most."""
UNKNOWN_COLOR: Final = "#bbbbbb"
"""Colour of classes that the map does not have."""


def assess_map(request: AssessRequest) -> Assessment:
    """Assess a map with reference points.

    Raises:
        MapError: The map is unfinished or damaged.
        SampleError: The points, their labels, their design or the districts cannot be used.
    """
    one = open_map(request.map)
    reference = read_reference(request, one)
    design = design_of(request, reference)
    shapes, names = _districts(request, one)
    counted = tally(one, shapes)
    sampled = _sampled(request, design, one, counted, reference)
    codes = _codes(one, counted, reference)
    points = _points(one, reference, sampled, codes, design)
    held = _coverage(points, sampled) if design in ("simple", "stratified") else None
    every = np.ones(len(sampled.rows), bool)
    whole = figures_of(points, "the map", every, _mapped(counted.hectares, codes), held)
    matrix = points.mapped.T.astype(np.int64) @ points.found.astype(np.int64)
    weights = points.mapped.T @ (points.found * points.drawn.weight[:, None])
    return Assessment(
        map=request.map.name,
        reference=reference.name,
        design=design,
        strata=sampled.by,
        whole=whole,
        matrix=matrix,
        matrix_share=weights / max(weights.sum(), 1e-12),
        patterns=_by_pattern(points, reference.located.bits[sampled.rows], counted, codes),
        districts=_by_district(points, reference, sampled, counted, codes, (shapes, names)),
        points=_found(one, reference),
        notes=_notes(request, reference, design),
        warnings=(
            *sampled.warnings,
            *_off_map(names, counted),
            *_warnings(request, reference, whole),
        ),
    )


def _districts(request: AssessRequest, one: MapOnDisk) -> tuple[list[Any], list[str]]:
    if request.domains is None:
        return [], []
    frame = read_districts(request.domains, request.domain_name).to_crs(crs_of(one.grid).to_wkt())
    return list(frame.geometry), list(frame["name"])


def _off_map(names: list[str], counted: Tally) -> tuple[str, ...]:
    """A warning that names the districts without a pixel of the map, if there are any."""
    off = [name for name, hectares in zip(names, counted.districts, strict=True) if not hectares.any()]
    if not off:
        return ()
    more = f" and {len(off) - NAMED} more" if len(off) > NAMED else ""
    told = ", ".join(off[:NAMED]) + more
    return (f"{len(off)} of {len(names)} districts lie off the map, without a pixel of it: {told}",)


def _sampled(
    request: AssessRequest, design: Design | None, one: MapOnDisk, counted: Tally, reference: Reference
) -> Sampled:
    if design is None:
        rows = np.flatnonzero(reference.status == USED)
        zeros = np.zeros(len(rows), np.int64)
        drawn = Drawn(zeros, np.arange(len(rows)), np.ones(len(rows)), np.zeros(1))
        if not rows.size:
            reasons = ", ".join(sorted(set(reference.status.tolist())))
            raise SampleError(
                f"none of the {len(reference)} reference points can be used: {reasons}",
                expected="points with a label on pixels with a class",
                todo="check that points and map are of the same place",
            )
        return Sampled(rows, drawn, ("all points",), "none", False)
    sampled = sample_of(request, design, one, counted, reference)
    if design == "simple" or (design == "stratified" and sampled.of_map):
        check_spread(one, counted, reference, design == "simple")
    return sampled


def _codes(one: MapOnDisk, counted: Tally, reference: Reference) -> dict[int, tuple[str, str]]:
    """Name and colour of the K classes by code: those of the map that occur anywhere, then unknown ones."""
    seen = set(reference.code[reference.status == USED].tolist())
    known = {
        value: (name, one.colors[value])
        for value, name in one.classes.items()
        if counted.pixels[value] or value in seen
    }
    return known | {
        code: (f"{name} (not in the map)", UNKNOWN_COLOR)
        for code, name in reference.unknown.items()
        if code in seen
    }


def _points(
    one: MapOnDisk,
    reference: Reference,
    sampled: Sampled,
    codes: dict[int, tuple[str, str]],
    design: Design | None,
) -> Points:
    rows, order = sampled.rows, np.array(list(codes))
    used = reference.status[rows] == USED  # the others lie off the map, for area that it does not cover
    value = np.where(used, reference.located.value[rows], -1)
    code = np.where(used, reference.code[rows], -1)
    return Points(
        mapped=value[:, None] == order,
        found=code[:, None] == order,
        drawn=sampled.drawn,
        names=tuple(name for name, _ in codes.values()),
        colors=tuple(color for _, color in codes.values()),
        probability_sample=design is not None,
        clustered=design == "cluster",
        covered=sampled.covered,
    )


def _mapped(hectares: NDArray[np.float64], codes: dict[int, tuple[str, str]]) -> NDArray[np.float64]:
    """Mapped area of each class (K,), from areas by value (256,)."""
    return np.array([hectares[code] if code < len(hectares) else 0.0 for code in codes])


def _coverage(points: Points, sampled: Sampled) -> Coverage:
    """Simulated coverage, from the counts of each class in each stratum that has points."""
    strata = np.unique(sampled.drawn.stratum, return_inverse=True)[1]
    total = int(strata.max()) + 1
    columns = np.concatenate([points.found, ~points.on[:, None]], axis=1)  # off the map is a class, too
    counts = np.stack([np.bincount(strata, column, minlength=total) for column in columns.T], axis=1)
    hectares = np.bincount(strata, sampled.drawn.weight, minlength=total)
    held = coverage(counts.astype(np.int64), hectares.astype(np.float64))
    return Coverage(held.normal[:-1], held.cautious[:-1])


def _by_pattern(
    points: Points, bits: NDArray[np.int64], counted: Tally, codes: dict[int, tuple[str, str]]
) -> tuple[Figures, ...]:
    """Accuracy by what the map was decided on, the combination of the most area first."""
    areas = counted.patterns[:, 1:].sum(1)
    order = [int(each) for each in np.argsort(-areas, kind="stable") if areas[each] > 0]
    mapped = {each: _mapped(counted.patterns[each], codes) for each in order}
    return tuple(
        figures_of(points, pattern_named(each), bits == each, mapped[each], areas=False) for each in order
    )


def pattern_named(bits: int) -> str:
    """'optical + radar' for 3."""
    return " + ".join(name for name, each in MODALITIES.items() if bits & each.bit) or "nothing"


def _by_district(
    points: Points,
    reference: Reference,
    sampled: Sampled,
    counted: Tally,
    codes: dict[int, tuple[str, str]],
    districts: tuple[list[Any], list[str]],
) -> tuple[Figures, ...]:
    """Accuracy and area by district; a point belongs where the centre of its pixel lies, as pixels do."""
    found = []
    for shape, name, hectares in zip(*districts, counted.districts, strict=True):
        part = shapely.intersects_xy(shape, reference.centre_x, reference.centre_y)[sampled.rows]
        few = int((part & points.on).sum()) < FEWEST_IN_PART
        found.append(figures_of(points, name, part, _mapped(hectares, codes), areas=not few))
    return tuple(found)


def _found(one: MapOnDisk, reference: Reference) -> tuple[PointFound, ...]:
    names = {0: ""} | one.classes | dict(reference.unknown)
    located = reference.located
    return tuple(
        PointFound(
            id=str(reference.ids[row]),
            lat=float(reference.lat[row]),
            lon=float(reference.lon[row]),
            label=str(reference.labels[row]),
            reference=names[int(reference.code[row])],
            mapped=names.get(int(located.value[row]), ""),
            modalities=pattern_named(int(located.bits[row])) if located.value[row] else "",
            status=str(reference.status[row]),
        )
        for row in range(len(reference))
    )


def _notes(request: AssessRequest, reference: Reference, design: Design | None) -> tuple[str, ...]:
    notes = list(reference.notes)
    if request.footprint is None:
        why = "the card of --model does not tell where these lie" if request.model else "no --model"
        notes.append(f"whether points lie on training samples was not checked: {why}")
    if design == "cluster":
        notes.append("how often the intervals hold is not simulated for cluster samples")
    return tuple(notes)


def _warnings(request: AssessRequest, reference: Reference, whole: Figures) -> tuple[str, ...]:
    total = len(reference)
    reasons = (NO_PLACE, OUTSIDE, NO_CLASS, TRAINING, UNLABELLED, LEFT_OUT)
    number = {why: int((reference.status == why).sum()) for why in reasons}
    warnings = [f"{n} of {total} reference points not used: {why}" for why, n in number.items() if n]
    if request.probability_sample and number[UNLABELLED] > MOST_UNLABELLED * total:
        warnings.append(
            f"{number[UNLABELLED] / total:.0%} of the points have no label: the figures hold only if these "
            "are like the others of their stratum, which is rarely so"
        )
    if request.footprint and request.allow_training_points:
        trained = request.footprint.covers(reference.lat, reference.lon) & (reference.status == USED)
        if n := int(trained.sum()):
            warnings.append(f"{n} of {total} reference points used although {TRAINING}: accuracies too high")
    few = [f"{each.name} ({each.reference_points})" for each in whole.classes if each.reference_points < FEW]
    if few:
        warnings.append(f"under {FEW} reference points: {', '.join(few)}; their figures say little")
    return tuple(warnings)
