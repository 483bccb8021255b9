"""The workflow of `geocomiss fetch`."""

import shutil
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from odc.geo.geobox import GeoBox

from geocomiss.aoi import read_aoi
from geocomiss.errors import MapError, SeasonError, unwritable
from geocomiss.fetching.images import is_images, write_images
from geocomiss.recipes import recipe_named
from geocomiss.seasons import Calendar
from geocomiss.sources.base import Accounting, EarthEngine, Reading
from geocomiss.sources.resolve import (
    Asked,
    future_steps,
    resolve_grid,
    resolve_season,
    source_asked,
    uncovered,
)
from geocomiss.sources.stored import StoredSource
from geocomiss.stack import bands_of, origin_of, write_stack

Progress = Callable[[int, int], None]
"""Told (tasks done, tasks in all)."""


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
    """CRS; 'auto': the area's UTM zone, or the local stack's own."""
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

    @property
    def kept(self) -> Path:
        """Folder for what a metered source has sent, until the stack is written."""
        return self.out.with_name(f"{self.out.name}.fetched")


@dataclass(frozen=True)
class FetchReport:
    """What was fetched."""

    path: Path
    """The stack."""
    grid: GeoBox
    """Its pixel grid."""
    calendar: Calendar
    """Its time steps."""
    bands: dict[str, tuple[str, ...]]
    """Bands per modality."""
    notes: tuple[str, ...]
    """What was done on the user's behalf."""
    warnings: tuple[str, ...] = ()
    """What the user should worry about."""


def fetch_stack(request: FetchRequest, progress: Progress | None = None) -> FetchReport:
    """Write the stack of an area and season as Zarr.

    Called again after an interruption, what a metered source has sent already is not asked for again.

    Args:
        request: What to fetch.
        progress: Told (tasks done, tasks in all).

    Raises:
        GeocomissError: Input that cannot be used, or a stack that is already there.
    """
    _check_free(request)
    recipe = recipe_named(request.recipe)
    reading = Reading(
        max_cloud=request.max_cloud,
        max_unreadable=request.max_unreadable / 100,
        ee=request.ee,
        keep=request.kept,
    )
    source = source_asked(
        Asked(request.source, recipe, request.seed, request.cloud_dilation, request.weather, reading)
    )
    area = read_aoi(request.aoi) if request.aoi else None
    geometry = area.geometry if area else None
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
            write_stack(stack, request.out, progress)
    except OSError as error:
        raise unwritable(request.out, error) from error
    shutil.rmtree(request.kept, ignore_errors=True)
    read, worries = source.account() if isinstance(source, Accounting) else ((), ())
    notes = (
        *(area.notes if area else ()),
        *origin_of(stack).notes,
        *uncovered(grid, source, geometry),
        *future_steps(calendar),
        *read,
    )
    return FetchReport(request.out, grid, calendar, bands_of(stack), notes, worries)


def _check_free(request: FetchRequest) -> None:
    if not request.out.exists():
        return
    if not request.overwrite:
        raise MapError(
            f"{request.out} exists", expected="a new path", todo="choose another --out, or add --overwrite"
        )
    if not (is_images(request.out) if request.format == "cog" else StoredSource.recognise(request.out)):
        raise MapError(
            f"{request.out} is no {'folder of images' if request.format == 'cog' else 'stack'}",
            expected="what fetch wrote, to replace it",
            todo="choose another --out",
        )
