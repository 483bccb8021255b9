"""Search a catalogue: what exists of an area and season, month by month, and a file for runs that repeat."""

from collections import defaultdict
from dataclasses import dataclass
from datetime import date
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Final

from geocomiss.aoi import read_aoi
from geocomiss.errors import MapError, SourceError, unwritable
from geocomiss.modalities import MODALITIES
from geocomiss.recipes import RECIPES
from geocomiss.seasons import Calendar, read_season, today
from geocomiss.sources import open_source
from geocomiss.sources.base import Reading, Source
from geocomiss.sources.passes import Box
from geocomiss.sources.resolve import resolve_grid

if TYPE_CHECKING:
    from pystac import Item

    from geocomiss.sources.stac.finding import Query

AHEAD: Final = "still to come"
ENDS: Final = "the catalogue ends here"
NONE: Final = "no acquisition"
"""What is said of a month without images."""


@dataclass(frozen=True)
class SearchRequest:
    """The arguments of `geocomiss search`."""

    source: str
    """A catalogue, a saved search, or one for each modality."""
    aoi: str
    """Vector file, 'W,S,E,N' in degrees, or WKT."""
    season: str
    """See `seasons.parse_season`; a year is a calendar year."""
    save: Path | None = None
    """File in which the items are kept."""
    max_cloud: float = 100.0
    """Per cent of cloud cover up to which an optical image is counted."""
    overwrite: bool = False
    """Whether `save` may be replaced."""


@dataclass(frozen=True)
class Month:
    """One satellite's images of a month."""

    start: date
    """First day."""
    scenes: int
    """Acquisitions: images of one solar day or one orbit count once."""
    cloud: float | None
    """Mean cloud cover in per cent, where it is stated."""
    gap: str
    """Why there is none: '', or one of `AHEAD`, `ENDS`, `NONE`."""


@dataclass(frozen=True)
class Row:
    """One satellite."""

    modality: str
    """What it measures."""
    platform: str
    """Its name."""
    source: str
    """The catalogue."""
    items: int
    """Images found."""
    first: date
    """Day of the first."""
    last: date
    """Day of the last."""
    months: tuple[Month, ...]
    """The season."""


@dataclass(frozen=True)
class SearchReport:
    """What exists."""

    calendar: Calendar
    """The season."""
    rows: tuple[Row, ...]
    """By modality and satellite."""
    notes: tuple[str, ...]
    """What a user should know."""
    saved: Path | None
    """The file, if one was asked for."""


def search(request: SearchRequest) -> SearchReport:
    """Say what a catalogue has of an area and season.

    Raises:
        GeocomissError: Bad input, or a catalogue that does not answer.
    """
    _check_free(request)
    recipe = RECIPES["monthly-l2a"]
    source = open_source(request.source, recipe, reading=Reading(max_cloud=request.max_cloud))
    queries = _queries(source)
    area = read_aoi(request.aoi)
    season = read_season(request.season, recipe.cycle)
    grid = resolve_grid(source, area.geometry, "auto", None)
    rows: list[Row] = []
    kept: list[Item] = []
    notes = list(area.notes)
    for query in queries:
        box = query.box(grid)
        for name in MODALITIES:
            found, items, said = _modality(query, name, box, season)
            rows, kept, notes = [*rows, *found], [*kept, *items], [*notes, *said]
    notes += [
        f"{n}: {q.finder.name} cannot deliver it ({w})" for q in queries for n, w in q.finder.lacking.items()
    ]
    if request.save:
        radar = next((query for query in queries if query.products("radar")), queries[0])
        _save(request.save, kept, radar, radar.box(grid), season, rows)
    return SearchReport(season, tuple(rows), tuple(dict.fromkeys(notes)), request.save)


def _check_free(request: SearchRequest) -> None:
    if request.save and request.save.exists() and not request.overwrite:
        raise MapError(
            f"{request.save} exists", expected="a new file", todo="choose another --save, or add --overwrite"
        )


def _queries(source: Source) -> list["Query"]:
    """What is asked of which catalogue."""
    from geocomiss.sources.combined import CombinedSource
    from geocomiss.sources.stac.source import StacSource

    parts = source.parts if isinstance(source, CombinedSource) else (source,)
    queries = [part.query for part in parts if isinstance(part, StacSource)]
    if not queries:
        raise SourceError(
            f"{source.name} is no catalogue",
            expected="planetary-computer, earth-search, stac+URL or a saved search",
            todo="choose one of these; `geocomiss info` tells of a local stack",
        )
    return queries


def _modality(
    query: "Query", name: str, box: Box, season: Calendar
) -> tuple[list[Row], list["Item"], list[str]]:
    """Rows, all items and notes of one modality of one catalogue."""
    if not query.products(name):
        return [], [], []
    if not MODALITIES[name].dynamic:
        heights, notes = query.heights(box)
        if heights:
            made = heights[0].product
            notes = (*notes, f"{name}: {len(heights)} image{'s' * (len(heights) > 1)} of elevation, {made}")
        return [], [piece.item for piece in heights], list(notes)
    product, items = query.items(name, box, season)
    if not items:
        return [], [], [f"{name}: {query.finder.name} has no acquisition of this area and season"]
    return _rows(query, name, product, items, box, season), items, []


def _rows(
    query: "Query", name: str, product: str, items: list["Item"], box: Box, season: Calendar
) -> list[Row]:
    from geocomiss.sources.stac.scenes import (
        by_orbit,
        by_solar_day,
        cloud_cover,
        newest_of_twins,
        platform_of,
        taken,
    )

    groups: dict[str, list[Item]] = defaultdict(list)
    for item in items:
        if (cloud_cover(item) or 0.0) <= query.reading.max_cloud:
            groups[platform_of(item)].append(item)
    later = query.finder.later(product, box, season.last_day) if season.last_day < today() else []
    going_on = {platform_of(item) for item in later}
    rows = []
    for platform, found in sorted(groups.items()):
        optical = name == "optical"
        scenes = by_solar_day(newest_of_twins(found), (box[0] + box[2]) / 2) if optical else by_orbit(found)
        days = [taken(item).date() for item in found]
        clouds: dict[date, list[float]] = defaultdict(list)
        for scene in scenes:
            clouds[taken(scene.items[0]).date()] += [
                share for item in scene.items if (share := cloud_cover(item)) is not None
            ]
        dates = [taken(scene.items[0]).date() for scene in scenes]
        months = _months(season, dates, clouds, platform in going_on)
        rows.append(Row(name, platform, query.finder.name, len(found), min(days), max(days), months))
    return rows


def _months(
    season: Calendar, dates: list[date], clouds: dict[date, list[float]], goes_on: bool
) -> tuple[Month, ...]:
    """Each step of the season; after the last image of a catalogue that stops, it ends."""
    edges = season.edges()
    months = []
    for start, end in pairwise(edges):
        within = [day for day in dates if start <= day < end]
        shares = [share for day in set(within) for share in clouds[day]]
        cloud = sum(shares) / len(shares) if shares else None
        gap = (
            ""
            if within
            else AHEAD
            if start > today()
            else ENDS
            if start > max(dates) and not goes_on
            else NONE
        )
        months.append(Month(start, len(within), cloud, gap))
    return tuple(months)


def _save(
    path: Path, items: list["Item"], query: "Query", box: Box, season: Calendar, rows: list[Row]
) -> None:
    from geocomiss.sources.stac.saved import Searched, write_items

    names = {row.modality: row.source for row in rows}
    products = query.products("radar")
    passes = query.directions(products[0], box, season).by_cell if products and "radar" in names else {}
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        write_items(path, items, Searched(box, season, names, passes))
    except OSError as error:
        raise unwritable(path.parent, error) from error
