"""What a map or stack from Earth Engine takes, before it is asked for."""

from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Final

from odc.geo.geobox import GeoBox

from geocomiss.aoi import read_aoi
from geocomiss.errors import SeasonError, SourceError
from geocomiss.fetching import FetchRequest
from geocomiss.grid import inside
from geocomiss.recipes import Recipe, recipe_named
from geocomiss.seasons import Calendar, Cycle
from geocomiss.sources import EARTH_ENGINE
from geocomiss.sources.base import EarthEngine, Reading
from geocomiss.sources.resolve import resolve_grid, resolve_season

if TYPE_CHECKING:
    from geocomiss.mapping import MapRequest
    from geocomiss.sources.ee.estimate import Estimate

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
    """Model that is to map: its recipe and bands are planned for, and tiles that meet the area only."""
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


@dataclass(frozen=True)
class CostReport:
    """What it takes."""

    grid: GeoBox
    """The pixel grid."""
    calendar: Calendar
    """The time steps."""
    project: str
    """The project that is charged."""
    estimate: "Estimate"
    """By modality and step."""


def plan_costs(request: CostRequest) -> CostReport:
    """Count what a stack takes, and try a few requests of it.

    Raises:
        GeocomissError: Input that cannot be used, or Earth Engine refuses.
    """
    from geocomiss.sources.ee.source import EarthEngineSource  # only here is Google's client needed

    recipe, cycle, wanted = _wanted(request)
    if request.cloud_dilation is not None:
        recipe = replace(recipe, cloud_dilation=request.cloud_dilation)
    limitless = replace(request.ee, max_eecu_hours=None)
    reading = Reading(wanted, request.max_cloud, tile=request.tile, ee=limitless, keep=request.keep)
    source = EarthEngineSource(recipe, reading)
    area = read_aoi(request.aoi).geometry if request.aoi else None
    grid = resolve_grid(source, area, request.crs, request.resolution)
    calendar = resolve_season(request.season, source, cycle, exact=request.model is not None)
    if calendar is None:
        raise SeasonError("no season", expected="--season, for example 2021", todo="say which to plan")

    def read(block: GeoBox) -> bool:
        return area is None or request.model is None or bool(inside(area, block, grid).any())

    needs = list(source.needs(grid, calendar, read))
    return CostReport(grid, calendar, source.project, source.estimate(needs, request.trials))


def cost_of_fetch(request: FetchRequest) -> CostReport:
    """What `fetch_stack` would take."""
    _check_source(request.source)
    return plan_costs(
        CostRequest(
            request.aoi,
            request.season,
            recipe=request.recipe,
            resolution=request.resolution,
            crs=request.crs,
            max_cloud=request.max_cloud,
            cloud_dilation=request.cloud_dilation,
            ee=request.ee,
            keep=request.kept,
        )
    )


def cost_of_map(request: "MapRequest") -> CostReport:
    """What `make_map` would take."""
    _check_source(request.source)
    if request.memory is not None:
        from geocomiss.checkpoint import read_checkpoint  # trying a network needs torch
        from geocomiss.mapping.planning import model_name, sized

        request, _ = sized(request, read_checkpoint(model_name(request)))
    return plan_costs(
        CostRequest(
            request.aoi,
            request.season,
            request.model,
            resolution=request.resolution,
            crs=request.crs,
            tile=request.tile,
            max_cloud=request.max_cloud,
            cloud_dilation=request.cloud_dilation,
            without=request.without,
            ee=request.ee,
            keep=request.kept,
        )
    )


def _wanted(request: CostRequest) -> tuple[Recipe, Cycle, dict[str, tuple[str, ...]] | None]:
    """Recipe, time steps, and bands: of the model, or else of the recipe."""
    if request.model is None:
        recipe = recipe_named(request.recipe)
        return recipe, recipe.cycle, None
    from geocomiss.checkpoint import read_card  # brings torch, which planning a stack does not need

    card = read_card(request.model)
    bands = {name: each for name, each in card.bands.items() if name not in request.without}
    return card.recipe, card.cycle or card.recipe.cycle, bands


def _check_source(source: str) -> None:
    if source != EARTH_ENGINE:
        raise SourceError(
            f"--dry-run of the source {source!r}",
            expected=f"--source {EARTH_ENGINE}: other sources cost nothing",
            todo="leave the option out",
        )
