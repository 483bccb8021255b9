"""The workflow of `geocomiss fetch`."""

import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Final, Literal

from odc.geo import Geometry
from odc.geo.geobox import GeoBox

from geocomiss.aoi import Area, read_aoi
from geocomiss.errors import AFRESH, GO_ON, MapError, SeasonError, unwritable
from geocomiss.fetching.images import is_images, write_images
from geocomiss.grid import crs_of
from geocomiss.recipes import recipe_named
from geocomiss.seasons import Calendar
from geocomiss.sources.base import Accounting, EarthEngine, Reading, Source
from geocomiss.sources.resolve import (
    Asked,
    area_held,
    future_steps,
    resolve_grid,
    resolve_season,
    source_asked,
    uncovered,
)
from geocomiss.sources.stored import StoredSource
from geocomiss.sources.zoned import is_zoned, write_listing
from geocomiss.stack import bands_of, origin_of, write_stack
from geocomiss.zones import Zone, zones_of

LITTLE: Final = 0.1
"""Share of the box around it below which an area is scattered over it."""
LARGE: Final = 10**5
"""Pixels of a box that take long to fetch."""
Progress = Callable[[int, int], None]
"""Told (steps done, steps in all)."""


@dataclass(frozen=True)
class FetchRequest:
    """The arguments of `geocomiss fetch`."""

    source: str
    """As in `open_source`: 'simulated', 'ee', a catalogue, or the path of a local stack."""
    out: Path
    """Folder to write: Zarr, or images."""
    aoi: str | None = None
    """Vector file, 'W,S,E,N' in degrees, or WKT; None takes a local stack whole."""
    season: str | None = None
    """See `seasons.parse_season`; a year means the recipe's own calendar."""
    recipe: str = "monthly-l2a"
    """Name of the recipe, where the source can choose."""
    resolution: float | None = None
    """Pixel size in units of the CRS; None: 10, or the local stack's own."""
    crs: str = "auto"
    """CRS; 'auto': the area's UTM zones, a stack each, or the local stack's own."""
    overwrite: bool = False
    """Whether an existing stack may be replaced."""
    seed: int = 0
    """Seed of the simulated world."""
    cloud_dilation: float | None = None
    """Metres by which clouds are grown, where the source can choose; None: as the recipe has it."""
    weather: str | None = None
    """File from which the weather is taken; None: from the source, if it has any."""
    max_cloud: float = 100.0
    """Per cent of cloud cover up to which an image of a catalogue is read."""
    max_unreadable: float = 10.0
    """Per cent of a catalogue's images that may be unreadable."""
    ee: EarthEngine = field(default_factory=EarthEngine)
    """How Earth Engine is reached, where it is the source."""
    format: Literal["zarr", "cog"] = "zarr"
    """What is written: a stack to map from, or a COG for each modality and step to look at."""
    keep: Path | None = None
    """Folder for what a metered source has sent, until the stack is written; None: beside `out`."""

    @property
    def kept(self) -> Path:
        """See `keep`."""
        return self.keep or self.out.with_name(f"{self.out.name}.fetched")


@dataclass(frozen=True)
class FetchReport:
    """What was fetched."""

    path: Path
    """The stack, or the folder of those of several zones."""
    grid: GeoBox
    """Its pixel grid; of several zones that of the first."""
    calendar: Calendar
    """Its time steps."""
    bands: dict[str, tuple[str, ...]]
    """Bands per modality."""
    notes: tuple[str, ...]
    """What was done on the user's behalf."""
    warnings: tuple[str, ...] = ()
    """What the user should worry about."""
    zones: tuple[tuple[str, GeoBox], ...] = ()
    """Name and pixel grid of each UTM zone with a stack of its own; none: there is one stack."""


def fetch_stack(request: FetchRequest, progress: Progress | None = None) -> FetchReport:
    """Write the stack of an area and season as Zarr, or one for each UTM zone in which the area lies.

    Called again after an interruption, what a metered source has sent already is not asked for again.

    Args:
        request: What to fetch.
        progress: Told (steps done, steps in all), of several zones one after the other.

    Raises:
        GeocomissError: Input that cannot be used, or a stack that is already there.
    """
    _check_free(request)
    area = read_aoi(request.aoi) if request.aoi else None
    source = _source(request, area)
    zones = zones_of(area.geometry) if area and request.crs == "auto" and source.grid is None else ()
    if area is None or len(zones) < 2:
        return _fetch_one(request, source, area, progress)
    if request.ee.max_requests is not None or request.ee.max_eecu_hours is not None:
        raise MapError(
            f"--max-requests or --max-eecu-hours for an area in {len(zones)} UTM zones",
            expected="one stack: limits hold for a stack, and each zone has its own",
            todo="leave the limit out, or give --crs for a single stack",
        )
    try:
        return _fetch_zones(request, area, zones, progress)
    except OSError as error:
        raise unwritable(request.out, error, _again(request)) from error


def _source(request: FetchRequest, area: Area | None) -> Source:
    """The source that is asked for; of images to look at, the surroundings of the area, too."""
    reading = Reading(
        max_cloud=request.max_cloud,
        max_unreadable=request.max_unreadable / 100,
        ee=request.ee,
        keep=request.kept,
        area=area.geometry if area and request.format == "zarr" else None,
    )
    recipe = recipe_named(request.recipe)
    return source_asked(
        Asked(request.source, recipe, request.seed, request.cloud_dilation, request.weather, reading)
    )


def _fetch_zones(
    request: FetchRequest, area: Area, zones: tuple[Zone, ...], progress: Progress | None
) -> FetchReport:
    """Write a stack a zone into a folder that appears under its name when all of them are there."""
    out, reports = request.out, {}
    partial = out.with_name(f".{out.name}.partial")
    shutil.rmtree(partial, ignore_errors=True)
    try:
        for zone in zones:
            keep = request.kept / zone.name
            part = replace(request, out=partial / zone.name, crs=zone.crs, keep=keep)
            own = replace(area, geometry=zone.part)
            reports[zone.name] = _fetch_one(part, _source(part, own), own, progress)
        write_listing(partial, zones, request.format)
        if out.exists():
            shutil.rmtree(out)
        partial.rename(out)
    finally:
        shutil.rmtree(partial, ignore_errors=True)
    shutil.rmtree(request.kept, ignore_errors=True)
    return _together(out, zones, reports)


def _together(out: Path, zones: tuple[Zone, ...], reports: dict[str, FetchReport]) -> FetchReport:
    """One report of those of several zones."""
    several = list(reports.values())
    names = ", ".join(f"{zone.name} ({zone.crs})" for zone in zones)
    notes = [
        f"the area lies in {len(zones)} UTM zones, a stack each: {names}; `geocomiss map` takes the folder, "
        "everything else one of them; --crs makes a single stack"
    ]
    notes += dict.fromkeys(note for each in several for note in each.notes)
    worries = dict.fromkeys(each for report in several for each in report.warnings)
    grids = tuple((name, each.grid) for name, each in reports.items())
    return replace(several[0], path=out, notes=tuple(notes), warnings=tuple(worries), zones=grids)


def _fetch_one(
    request: FetchRequest, source: Source, area: Area | None, progress: Progress | None
) -> FetchReport:
    """Write the stack of an area on one grid."""
    asked = area.geometry if area else None
    geometry = area_held(source, asked)
    grid = resolve_grid(source, geometry, request.crs, request.resolution)
    cycle = source.held.cycle() if source.held and not request.season else source.recipe.cycle
    calendar = resolve_season(request.season, source, cycle, exact=False)
    if calendar is None:
        raise SeasonError(
            f"a source that holds {source.held}", expected=str(cycle), todo="give --season within it"
        )
    stack = source.open(grid, calendar)
    try:
        if request.format == "cog":
            write_images(stack, request.out, progress)
        else:
            write_stack(stack, request.out, progress, geometry)
    except OSError as error:
        raise unwritable(request.out, error, _again(request)) from error
    if request.keep is None:  # else whoever keeps it knows when it may go
        shutil.rmtree(request.kept, ignore_errors=True)
    read, worries = source.account() if isinstance(source, Accounting) else ((), ())
    notes = (
        *(area.notes if area else ()),
        *origin_of(stack).notes,
        *uncovered(source, asked),
        *_mostly_empty(grid, source, asked, request.format),
        *future_steps(calendar),
        *read,
    )
    return FetchReport(request.out, grid, calendar, bands_of(stack), notes, worries)


def _mostly_empty(grid: GeoBox, source: Source, area: Geometry | None, kind: str) -> Iterator[str]:
    """Says what was fetched of a large box of which an area fills little."""
    if area is None or source.grid is not None or grid.width * grid.height < LARGE:
        return
    share = area.to_crs(crs_of(grid)).area / grid.extent.area
    if share < LITTLE:
        told = {
            "zarr": "only blocks that hold some of it were fetched",
            "cog": "all of the box was fetched; a stack (--format zarr) is fetched of the area only",
        }
        yield f"the area fills {share:.2%} of the box around it; {told[kind]}"


def _check_free(request: FetchRequest) -> None:
    if not request.out.exists():
        return
    if not request.overwrite:
        raise MapError(
            f"{request.out} exists{_left(request)}",
            expected="a new path",
            todo="choose another --out, or add --overwrite",
        )
    known = is_images(request.out) if request.format == "cog" else StoredSource.recognise(request.out)
    if not (known or is_zoned(request.out)):
        raise MapError(
            f"{request.out} is no {'folder of images' if request.format == 'cog' else 'stack'}",
            expected="what fetch wrote, to replace it",
            todo="choose another --out",
        )


def _left(request: FetchRequest) -> str:
    """What to say of what a fetch received that was killed before it could delete it."""
    if not request.kept.exists():
        return ""
    return (
        f"; beside it {request.kept.name} holds what a fetch received: unless one is at work it was killed "
        "when the stack was written, and the folder may be deleted"
    )


def _again(request: FetchRequest) -> str:
    """What to do about a full disk: a fetch goes on only with what a metered source has sent."""
    return GO_ON if request.kept.exists() else AFRESH
