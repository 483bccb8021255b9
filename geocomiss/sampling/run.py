"""Sample: read the series at each pixel, window by window, and write them as one table.

P pixels, N samples, T steps, C bands.
"""

from collections.abc import Iterator
from dataclasses import asdict, dataclass, replace
from itertools import pairwise
from typing import Any, Final

import numpy as np
import shapely
from numpy.typing import NDArray

from geocomiss.errors import AreaError, GeocomissError, SampleError
from geocomiss.footprint import OUTLINE
from geocomiss.modalities import IMAGING, MODALITIES
from geocomiss.recipes import recipe_from
from geocomiss.samples import Samples, write_samples
from geocomiss.samples.folds import MIN_GROUPS, automatic_groups
from geocomiss.sampling.features import Features
from geocomiss.sampling.kept import Kept, PartSeries
from geocomiss.sampling.pixels import OUTSIDE, Pixels, nothing_left
from geocomiss.sampling.plan import Part, Plan, plan_sampling
from geocomiss.sampling.report import report_of, report_paths, write_report
from geocomiss.sampling.request import LeftOut, Progress, SamplingReport, SamplingRequest
from geocomiss.sources.base import Accounting
from geocomiss.stack import origin_of, read_spots, series_at, swept

UNSEEN: Final = "no optical or radar value in the season"
NEARBY: Final = 0.002
"""Degrees: cells of points that are spatial groups where all lie close together; some fields wide."""
DECIMALS: Final = 6
"""Of outlines in degrees: 0.1 m."""


def sample_points(request: SamplingRequest, progress: Progress | None = None) -> SamplingReport:
    """Read the series at points and in polygons, and write them as a table of samples.

    An interrupted sampling goes on where it stopped when called again with equal arguments.

    Args:
        request: What to sample.
        progress: Told (samples read, samples in all).

    Raises:
        GeocomissError: Input that cannot be used; nothing half-written stays, except the series read
            so far, in `OUT.partial`.
    """
    _check_free(request)
    plan = plan_sampling(request)
    kept = Kept(request.partial, plan.asked(), discard=request.overwrite)
    try:
        series = _read(plan, kept, progress)
        samples, left = _samples(plan, series)
        report = report_of(plan, samples, (*plan.left_out, *left), _told(plan, series))
        write_samples(samples, request.out)
    except GeocomissError:
        if kept.empty:
            kept.remove()
        raise
    files = write_report(report)
    kept.remove()
    return replace(report, files=(request.out, *files))


def _check_free(request: SamplingRequest) -> None:
    out = request.out
    if out.suffix.lower() != ".parquet":
        raise SampleError(
            f"the file {out.name!r}", expected="a Parquet file, *.parquet", todo="correct --out"
        )
    if taken := [path for path in (out, *report_paths(out)) if path.exists() and not request.overwrite]:
        raise SampleError(
            f"{taken[0]} exists already",
            expected="a new file",
            todo="choose another --out, or replace it with --overwrite",
        )


@dataclass(frozen=True)
class _Series:
    """The series of P pixels."""

    values: dict[str, NDArray[np.float32]]
    """Per modality (P, T, C) of all bands that the source has."""
    counts: dict[str, NDArray[np.int16]]
    """Per dynamic modality (P, T)."""
    recipes: tuple[dict[str, Any], ...]
    """How they were made; several where windows differ."""
    notes: tuple[str, ...]
    """What the source says of them."""
    outside: NDArray[np.bool_]
    """(P,) which lie in windows that the source does not cover (a saved search)."""


def _read(plan: Plan, kept: Kept, progress: Progress | None) -> _Series:
    """The series of all pixels: from disk where they are kept already, else from the source.

    Raises:
        AreaError: The source covers none of the windows.
    """
    bands, total = plan.source.bands, len(plan.pixels)
    steps = next(iter(plan.calendars.values())).number
    shapes = {name: (steps if MODALITIES[name].dynamic else 1, len(bands[name])) for name in bands}
    values = {name: np.full((total, *shape), np.nan, np.float32) for name, shape in shapes.items()}
    counts = {name: np.zeros((total, steps), np.int16) for name in bands if MODALITIES[name].dynamic}
    recipes: list[dict[str, Any]] = []
    notes: dict[str, None] = {}
    outside, done = np.zeros(total, bool), 0
    for part, found in _read_parts(plan, kept, outside):
        for name, rows in found.values.items():
            values[name][part.pixels] = rows
        for name, rows_counted in found.counts.items():
            counts[name][part.pixels] = rows_counted
        if found.recipe not in recipes:
            recipes.append(found.recipe)
        notes |= dict.fromkeys(found.notes)
        done += len(part.pixels)
        if progress:
            progress(done, total)
    return _Series(values, counts, tuple(recipes), tuple(notes), outside)


def _read_parts(plan: Plan, kept: Kept, outside: NDArray[np.bool_]) -> Iterator[tuple[Part, PartSeries]]:
    """Each window and its series; the pixels of windows that the source does not cover become `outside`."""
    with swept() as sweep:
        for part in plan.parts():
            found = kept.read(part.name)
            if found is None:
                try:
                    found = read_part(plan, part)
                except AreaError:
                    outside[part.pixels] = True
                    if outside.all():
                        raise
                    continue
                kept.write(part.name, found)
                sweep()
            yield part, found


def read_part(plan: Plan, part: Part) -> PartSeries:
    """Read the series of one window: the road on which `geocomiss map` reads a tile."""
    stack = read_spots(plan.stack_of(part), part.chosen, part.geobox)
    whole = plan.source.grid
    found = series_at(stack, plan.source.bands, part.chosen, part.geobox, whole)
    origin = origin_of(stack)
    return PartSeries(
        {name: found.of_each(name) for name in found.values},
        {name: found.counts_of_each(name) for name in found.counts},
        asdict(origin.recipe),
        origin.notes,
    )


def _samples(plan: Plan, series: _Series) -> tuple[Samples, tuple[LeftOut, ...]]:
    """The table, and the pixels that the source has never seen.

    Raises:
        SampleError: It has seen none.
    """
    features = plan.features
    imaging = [series.values[name] for name in IMAGING if name in series.values]
    seen = np.zeros(len(plan.pixels), bool)
    for rows in imaging:
        seen |= np.isfinite(rows).any((1, 2))
    order = np.flatnonzero(seen)
    order = order[np.argsort(plan.pixels.feature[order], kind="stable")]  # as the file has them
    at = plan.pixels.take(order)
    unseen = np.flatnonzero(~seen)
    left = tuple(
        _unseen(features, plan.pixels, int(pixel), OUTSIDE if series.outside[pixel] else UNSEEN)
        for pixel in unseen
    )
    if not order.size:
        raise nothing_left(features, [*plan.left_out, *left])
    group, grouped_by = _groups(features, at)
    starts, ends, months, years = _steps(plan, order)
    values, bands = _present(plan, {name: rows[order] for name, rows in series.values.items()})
    return Samples(
        name=plan.request.out.stem,
        sha256=features.sha256,
        values=values,
        bands=bands,
        labels=features.labels[at.feature],
        lat=at.lat,
        lon=at.lon,
        group=group,
        months=months,
        years=years,
        columns=_columns(features, at),
        recipe=recipe_from(series.recipes[0]),
        recipe_stated=True,
        simulated=plan.source.simulated,
        grouped_by=grouped_by,
        starts=starts,
        ends=ends,
        counts={name: rows[order] for name, rows in series.counts.items() if name in values},
    ), left


def _unseen(features: Features, pixels: Pixels, at: int, why: str) -> LeftOut:
    feature = int(pixels.feature[at])
    place = float(pixels.lat[at]), float(pixels.lon[at])
    return LeftOut(feature + 1, str(features.labels[feature]), *place, why)


def _present(
    plan: Plan, values: dict[str, NDArray[np.float32]]
) -> tuple[dict[str, NDArray[np.float32]], dict[str, tuple[str, ...]]]:
    """Modalities and bands with a value anywhere."""
    present: dict[str, NDArray[np.float32]] = {}
    bands: dict[str, tuple[str, ...]] = {}
    for name, rows in values.items():
        some = np.asarray(np.isfinite(rows).any((0, 1)))
        if some.any():
            present[name] = np.ascontiguousarray(rows[..., some])
            bands[name] = tuple(b for b, there in zip(plan.source.bands[name], some, strict=True) if there)
    return present, bands


def _steps(
    plan: Plan, order: NDArray[np.int64]
) -> tuple[NDArray[Any], NDArray[Any], NDArray[np.int64], tuple[int, ...]]:
    """First days, days after and months (N, T) of the steps, and the years of the last days."""
    names, which = np.unique(plan.season[order], return_inverse=True)
    calendars = [plan.calendars[str(name)] for name in names]
    spans = np.array([list(pairwise(each.edges())) for each in calendars], "datetime64[D]")
    months = np.array([each.months() for each in calendars], np.int64)
    years = tuple(sorted({each.last_day.year for each in calendars}))
    return spans[which, :, 0], spans[which, :, 1], months[which], years


def _groups(features: Features, at: Pixels) -> tuple[NDArray[np.str_], str]:
    """Spatial groups: cells of a global grid that keep the pixels of a polygon together.

    Where all lie close together, polygons themselves or small cells, so that anything can be scored.
    """
    number = np.maximum(np.bincount(at.feature, minlength=len(features)), 1)
    lat, lon = (
        (np.bincount(at.feature, values, len(features)) / number)[at.feature] for values in (at.lat, at.lon)
    )
    group, size = automatic_groups(lat, lon)
    if len(set(group.tolist())) >= MIN_GROUPS:
        return group, f"cells of {size:g} degrees"
    if features.polygons[at.feature].any():
        return (at.feature + 1).astype(np.str_), "polygons, which lie close together"
    cells = [f"{row}_{col}" for row, col in np.floor(np.stack([lat, lon], 1) / NEARBY).astype(int)]
    return np.array(cells, np.str_), f"cells of {NEARBY:g} degrees, close together"


def _columns(features: Features, at: Pixels) -> dict[str, NDArray[Any]]:
    """The file's columns, the row of each feature, its season, and the outlines of polygons."""
    columns = {name: column[at.feature] for name, column in features.columns.items()}
    columns |= {"feature": at.feature + 1, "season": features.seasons[at.feature]}
    if features.polygons[at.feature].any():
        outlines = np.where(
            features.polygons,
            shapely.to_wkt(shapely.simplify(features.shapes, 0), rounding_precision=DECIMALS),
            "",
        )
        columns[OUTLINE] = outlines[at.feature].astype(np.str_)
    return columns


def _told(plan: Plan, series: _Series) -> tuple[list[str], list[str]]:
    """Notes and warnings of the source."""
    notes, warnings = list(series.notes), []
    if isinstance(plan.source, Accounting):
        read, worries = plan.source.account()
        notes, warnings = [*notes, *read], list(worries)
    if len(series.recipes) > 1:
        first = series.recipes[0]
        other = sorted({key for each in series.recipes for key in each if each[key] != first[key]})
        warnings.append(
            f"windows were made in different ways ({', '.join(other)}); the table states the first"
        )
    return notes, warnings
