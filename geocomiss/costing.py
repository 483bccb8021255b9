"""What a map or stack from Earth Engine takes, before it is asked for."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Final, Protocol

from odc.geo import Geometry
from odc.geo.geobox import GeoBox

from geocomiss.aoi import read_aoi
from geocomiss.covering import Covering
from geocomiss.errors import SeasonError, SourceError
from geocomiss.exporting.request import ExportRequest, wanted_by
from geocomiss.fetching import FetchRequest
from geocomiss.modalities import MODALITIES
from geocomiss.seasons import Calendar
from geocomiss.sources import EARTH_ENGINE
from geocomiss.sources.base import EarthEngine, Reading
from geocomiss.sources.resolve import resolve_grid, resolve_season
from geocomiss.zones import zones_of

if TYPE_CHECKING:
    from geocomiss.mapping import MapRequest
    from geocomiss.sources.ee.estimate import Estimate, Need
    from geocomiss.sources.ee.registration import Registration

TRIALS: Final = 3
"""Requests that are tried, to learn what computing takes."""


@dataclass(frozen=True)
class CostRequest:
    """What is to be planned."""

    aoi: str | None
    """As in `FetchRequest`."""
    season: str | None
    """As in `FetchRequest`."""
    model: str | None = None
    """Model that is to map: its recipe and bands are planned for."""
    recipe: str = "monthly-l2a"
    """Name of the recipe, without a model."""
    resolution: float | None = None
    """As in `FetchRequest`."""
    crs: str = "auto"
    """As in `FetchRequest`."""
    tile: int = 512
    """Pixels a side of a tile."""
    max_cloud: float = 100.0
    """Per cent of cloud cover up to which an image is read."""
    cloud_dilation: float | None = None
    """Metres by which clouds are grown; None: as the recipe has it."""
    without: tuple[str, ...] = ()
    """Modalities to leave out."""
    ee: EarthEngine = field(default_factory=EarthEngine)
    """How Earth Engine is reached."""
    keep: Path | None = None
    """Folder of the run that is planned: what lies there counts as there, trials are kept in it."""
    trials: int = TRIALS
    """Requests to try at most."""
    side: int | None = None
    """Pixels a side of a file, of an export; None: no export."""
    everything: bool = False
    """Whether all of the box around the area is fetched."""
    keep_of: Callable[[str], Path] | None = None
    """As `keep`, of a UTM zone, where each is run by itself."""


@dataclass(frozen=True)
class CostReport:
    """What it takes."""

    grid: GeoBox
    """The pixel grid; of several zones that of the first."""
    calendar: Calendar
    """The time steps."""
    project: str
    """The project that is charged."""
    estimate: "Estimate"
    """By modality and step."""
    registration: "Registration"
    """How the project is registered."""
    tasks: int | None = None
    """Tasks of an export; None where requests of pixels are planned."""
    zones: tuple[tuple[str, GeoBox], ...] = ()
    """Name and pixel grid of each UTM zone that gets a map or stack of its own; none: there is one."""


def plan_costs(request: CostRequest) -> CostReport:
    """Count what a stack or map takes, zone by zone where each gets its own, and try a few requests of it.

    Raises:
        GeocomissError: Input that cannot be used, or Earth Engine refuses.
    """
    area = read_aoi(request.aoi).geometry if request.aoi else None
    zones = zones_of(area) if area and request.crs == "auto" and request.side is None else ()
    if len(zones) < 2:
        return _costs(request, area)
    from geocomiss.sources.ee.estimate import together

    reports: list[CostReport] = []
    for zone in zones:
        left = request.trials - sum(each.estimate.trials for each in reports)
        keep = request.keep_of(zone.name) if request.keep_of else None
        reports.append(_costs(replace(request, crs=zone.crs, keep=keep, trials=left), zone.part))
    return replace(
        reports[0],
        estimate=together([each.estimate for each in reports]),
        zones=tuple((zone.name, each.grid) for zone, each in zip(zones, reports, strict=True)),
    )


def _costs(request: CostRequest, area: Geometry | None) -> CostReport:
    """What an area takes on one grid."""
    from geocomiss.sources.ee.registration import registration  # only here is Google's client needed
    from geocomiss.sources.ee.source import EarthEngineSource

    recipe, cycle, wanted = wanted_by(request.model, request.recipe, request.without)
    if request.cloud_dilation is not None:
        recipe = replace(recipe, cloud_dilation=request.cloud_dilation)
    limitless = replace(request.ee, max_eecu_hours=None)
    reading = Reading(wanted, request.max_cloud, tile=request.tile, ee=limitless, keep=request.keep)
    source = EarthEngineSource(recipe, reading)
    grid = resolve_grid(source, area, request.crs, request.resolution)
    calendar = resolve_season(request.season, source, cycle, exact=request.model is not None)
    if calendar is None:
        raise SeasonError("no season", expected="--season, for example 2021", todo="say which to plan")

    covering = Covering(area, grid) if area and not request.everything else None

    def read(block: GeoBox) -> bool:
        return covering is None or bool(covering.inside(block).any())

    needs = list(source.needs(grid, calendar, read))
    estimate = source.estimate(needs, request.trials, anew=request.side is not None)
    tasks = None if request.side is None else _tasks(source.needs(grid, calendar, read, request.side))
    return CostReport(grid, calendar, source.project, estimate, registration(source.client), tasks)


def cost_of_fetch(request: FetchRequest) -> CostReport:
    """What `fetch_stack` would take."""
    _check_source(request.source)
    box = request.format == "cog"
    asked = replace(_alike(request), recipe=request.recipe, everything=box)
    return plan_costs(replace(asked, keep_of=lambda zone: request.kept / zone))


def cost_of_map(request: "MapRequest") -> CostReport:
    """What `make_map` would take."""
    _check_source(request.source)
    if request.memory is not None:
        from geocomiss.checkpoint import read_checkpoint  # trying a network needs torch
        from geocomiss.mapping.budget import sized
        from geocomiss.mapping.planning import model_name

        request, _ = sized(request, read_checkpoint(model_name(request)))
    out = request.out
    asked = replace(_alike(request), model=request.model, tile=request.tile, without=request.without)
    return plan_costs(replace(asked, keep_of=lambda zone: replace(request, zone=zone, out=out / zone).kept))


def cost_of_export(request: ExportRequest) -> CostReport:
    """What the tasks of `start_export` would take; nothing is kept for them."""
    return plan_costs(
        replace(
            _alike(request),
            model=request.model,
            recipe=request.recipe,
            without=request.without,
            side=request.tile,
            keep=None,
        )
    )


class _Alike(Protocol):
    """What requests of a fetch, a map and an export have in common."""

    @property
    def aoi(self) -> str | None: ...
    @property
    def season(self) -> str | None: ...
    @property
    def resolution(self) -> float | None: ...
    @property
    def crs(self) -> str: ...
    @property
    def max_cloud(self) -> float: ...
    @property
    def cloud_dilation(self) -> float | None: ...
    @property
    def ee(self) -> EarthEngine: ...
    @property
    def kept(self) -> Path: ...


def _alike(request: _Alike) -> CostRequest:
    """What is to be planned, as far as all requests say it."""
    return CostRequest(
        request.aoi,
        request.season,
        resolution=request.resolution,
        crs=request.crs,
        max_cloud=request.max_cloud,
        cloud_dilation=request.cloud_dilation,
        ee=request.ee,
        keep=request.kept,
    )


def _tasks(needs: Iterable["Need"]) -> int:
    """Files that an export writes: of each tile one, of the weather and of the heights."""
    tiles, others = set(), 0
    for need in needs:
        if MODALITIES[need.modality].imaging:
            tiles.add((*need.tile.grid.affine[:6], *need.tile.grid.shape))
        else:
            others += 1
    return len(tiles) + others


def _check_source(source: str) -> None:
    if source != EARTH_ENGINE:
        raise SourceError(
            f"--dry-run of the source {source!r}",
            expected=f"--source {EARTH_ENGINE}: other sources cost nothing",
            todo="leave the option out",
        )
