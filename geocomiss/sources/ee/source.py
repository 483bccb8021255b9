"""Earth Engine as a source of stacks."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace
from datetime import timedelta
from functools import partial
from typing import Any, Final

import numpy as np
import xarray as xr
from numpy.typing import NDArray
from odc.geo.geobox import GeoBox

from geocomiss.composite import ndvi_bands
from geocomiss.composite.clouds import SCORE_RULE
from geocomiss.covering import Covering
from geocomiss.errors import AreaError, SourceError
from geocomiss.grid import tiles_of, window_in
from geocomiss.modalities import IMAGING, MODALITIES
from geocomiss.recipes import RECIPES, Recipe
from geocomiss.seasons import Calendar
from geocomiss.sources.base import Reading
from geocomiss.sources.blocks import bands_made, blocks_of, lazy_steps
from geocomiss.sources.ee import coarse, passes
from geocomiss.sources.ee.client import Client
from geocomiss.sources.ee.estimate import Estimate, Need, estimate
from geocomiss.sources.ee.kept import Kept
from geocomiss.sources.ee.listing import Acquisition, Box, Listing
from geocomiss.sources.ee.made import made
from geocomiss.sources.ee.season import NEAREST, Season, metres, outline, read_bands
from geocomiss.sources.ee.tables import ERA5_LAND, S2_L1C, S2_L2A, SRTM
from geocomiss.sources.ee.tiler import Tile, Tiler
from geocomiss.sources.files import CHUNK
from geocomiss.sources.passes import Directions, around, cells_of
from geocomiss.stack import Origin, new_stack, window

TRIALS: Final = 3
"""Requests from which the cost of a run is estimated."""
BEYOND: Final = timedelta(days=31)
"""Before and after a season within which CropHarvest takes radar passes."""
WIDEST: Final = 180.0
"""Degrees that an area spans only where it lies across the 180th meridian."""


class EarthEngineSource:
    """Composites computed by Earth Engine. Implements `Source`, `Accounting`.

    Args:
        recipe: What the model wants; `monthly-l2a` where nobody asks for another.
        reading: What is read, how Earth Engine is reached, and where tiles are kept.

    Raises:
        RecipeError: A recipe that has no graph here.
        SourceError: No project, no credentials, no answer.
    """

    name = "Earth Engine"
    simulated = False
    grid = None
    held = None

    def __init__(self, recipe: Recipe | None, reading: Reading) -> None:
        self.recipe: Recipe = made(recipe or RECIPES["monthly-l2a"], reading.ee.cloud_score)
        self._reading = reading
        self._client = Client(reading.ee)
        self._kept = Kept(reading.keep)
        self._listing = Listing(self._client, self._kept)
        self._tiler = Tiler(self._client, self._kept, reading.ee.parallel)
        self._last: tuple[GeoBox, Calendar, xr.DataTree] | None = None
        self._state = ""

    @property
    def bands(self) -> dict[str, tuple[str, ...]]:
        """Bands per modality that are wanted."""
        wanted = self._reading.wanted
        found = {}
        for name, modality in MODALITIES.items():
            if wanted is not None and name not in wanted:
                continue
            read = self._read(name) if modality.imaging else ()
            found[name] = (
                bands_made(name, read, ndvi_bands(self.recipe)) if modality.imaging else modality.band_names
            )
        return {name: bands for name, bands in found.items() if bands}

    @property
    def state(self) -> str:
        """Digest of the images found last, and of the radar passes used."""
        return self._state

    @property
    def client(self) -> Client:
        """The connection."""
        return self._client

    @property
    def project(self) -> str:
        """The Cloud project that is charged."""
        return self._client.identity.project

    def account(self) -> tuple[tuple[str, ...], tuple[str, ...]]:
        """What was asked of Earth Engine, and what a user should worry about."""
        sent, tally = self._client.transport.sent, self._client.tally
        said = (
            f"Earth Engine, project {self._client.identity.project}: "
            f"{sent['image:computePixels']} requests of pixels, {sent['value:compute']} of lists, "
            f"{self._client.transport.received / 1e6:.1f} MB",
            f"{self._tiler.fetched} tiles fetched, {self._tiler.reused} there already, "
            f"{tally.repeated} requests sent again, {tally.split} divided",
        )
        slow = (
            "the project has used up its compute of this month: Earth Engine serves it slowly (restricted "
            "mode, https://developers.google.com/earth-engine/guides/noncommercial_tiers); wait for the next "
            "month, or move it to a higher tier",
        )
        return said, slow if self._client.transport.restricted else ()

    def open(self, grid: GeoBox, season: Calendar) -> xr.DataTree:
        """The composites of a grid and season (see `Source.open`); lists images, and reads no pixel yet.

        A window of the grid opened last is cut out of it: it reads the same tiles.

        Raises:
            SourceError: Earth Engine refuses, or does not answer.
        """
        if self._last and self._last[1] == season:
            whole = self._last[0]
            try:
                return window(self._last[2], *window_in(grid, whole), whole)
            except AreaError:
                pass  # another area
        stack = self._opened(grid, season)
        self._last = grid, season, stack
        return stack

    def origin(self, grid: GeoBox, season: Calendar) -> Origin:
        """What the stack of a grid and season will state of itself, but for notes on its weather."""
        found, notes = self._season(grid, season)
        return self._origin(found, grid, notes)

    def needs(
        self,
        grid: GeoBox,
        season: Calendar,
        wanted: Callable[[GeoBox], bool] = lambda block: True,
        side: int | None = None,
    ) -> Iterator[Need]:
        """Every tile that the stack of a grid and season is made of.

        Args:
            grid: The pixels.
            season: The time steps.
            wanted: Whether a block of the grid will be read at all.
            side: Pixels a side of a block; None: as they are fetched.
        """
        found, _ = self._season(grid, season)
        every = blocks_of(grid, self._reading.tile) if side is None else _cut(grid, side)
        for block in filter(wanted, every):
            for name, number, tile in found.tiles(block):
                yield Need(name, number, found.images(name, block, number), tile)
        if "weather" in self.bands:
            weather = self._weather_tile(grid, season)
            if weather is not None:
                yield Need("weather", None, len(weather.graph.bands) // len(ERA5_LAND.bands), weather)
        if "topography" in self.bands:
            heights = coarse.terrain_tile(grid, coarse.terrain_model(grid))
            for cells in _cut(heights.grid, side or CHUNK):
                yield Need("topography", None, 1, Tile(heights.graph, cells))

    def estimate(self, needs: Sequence[Need], trials: int, *, anew: bool = False) -> Estimate:
        """What is still to be asked for, or computed `anew` by an export; see `estimate.estimate`."""
        tiler = Tiler(self._client, Kept(None), 1) if anew else self._tiler
        return estimate(needs, tiler, trials, anew=anew)

    def _opened(self, grid: GeoBox, season: Calendar) -> xr.DataTree:
        self._check_cost(grid, season)
        found, notes = self._season(grid, season)
        groups: dict[str, xr.Dataset] = {}
        for name in found.bands:
            step = partial(found.step, name)
            groups[name] = lazy_steps(name, self.bands[name], grid, season, self._reading.tile, step)
        if "weather" in self.bands:
            group, words = self._weather(grid, season)
            groups |= {"weather": group} if group is not None else {}
            notes += words
        if "topography" in self.bands:
            tile = coarse.terrain_tile(grid, coarse.terrain_model(grid))
            (band,) = tile.graph.bands

            def heights(rows: slice, cols: slice) -> NDArray[Any]:
                return self._tiler.read(Tile(tile.graph, tile.grid[rows, cols]))

            key = (tile.key, id(self._tiler))
            groups["topography"] = coarse.topography(
                tile.grid, band, heights, grid, key, as_exported=self.recipe.screened
            )
        self._state = found.state
        return new_stack(groups, self._origin(found, grid, notes))

    def _origin(self, found: Season, grid: GeoBox, notes: Iterable[str]) -> Origin:
        """What the stack of a grid will state of itself."""
        recipe, told = self.recipe, list(notes)
        if "topography" in self.bands:
            model = coarse.terrain_model(grid)
            recipe = replace(recipe, terrain_product=model.made)
            told += [f"terrain is {model.made}: SRTM does not reach here"] if model is not SRTM else []
        return Origin(self.name, recipe, found.calendar, radar_pass=found.directions.name, notes=tuple(told))

    def _check_cost(self, grid: GeoBox, season: Calendar) -> None:
        """Refuse to begin what would take more computing than is allowed.

        Raises:
            SourceError: By the estimate it would.
        """
        most = self._reading.ee.max_eecu_hours
        if most is None:
            return
        covering = Covering(self._reading.area, grid) if self._reading.area else None

        def wanted(block: GeoBox) -> bool:
            return covering is None or bool(covering.inside(block).any())

        found = self.estimate(list(self.needs(grid, season, wanted)), TRIALS)
        if found.eecu_hours is not None and found.eecu_hours > most:
            raise SourceError(
                f"an estimate of {found.eecu_hours:.3g} EECU-hours for what is left",
                expected=f"at most --max-eecu-hours {most:g}",
                todo="raise it, or take a smaller area or a shorter season",
            )

    def _season(self, grid: GeoBox, season: Calendar) -> tuple[Season, list[str]]:
        """The images of an area and season, and what a user should know of them."""
        box = _box(grid)
        notes: list[str] = []
        optical: tuple[Acquisition, ...] = ()
        radar: tuple[Acquisition, ...] = ()
        directions = Directions({})
        read = {name: self._read(name) for name in IMAGING if name in self.bands}
        if "optical" in read:
            most = self._reading.max_cloud
            product = S2_L2A if self.recipe.s2_level == S2_L2A.made else S2_L1C
            listed = self._listing.optical(product, box, season, most)
            if self.recipe.cloud_rule == SCORE_RULE:
                listed = self._listing.scored(listed, box, season)
            optical = listed.acquisitions
            notes += listed.notes(most)
        if "radar" in read:
            cells = cells_of(box)
            beyond = BEYOND if self.recipe.radar_averaging == NEAREST else timedelta(0)
            radar = self._listing.radar(around(cells), season, beyond)
            within = [each for each in radar if _in(season, each)]
            directions = passes.decide(cells, within, season, self._reading.ee.s1_pass, self._kept)
            notes += directions.notes()
        pixel = metres(grid)
        cut = _degrees(grid) if self._reading.ee.cut else None
        found = Season(self._tiler, season, self.recipe, read, pixel, optical, radar, directions, cut)
        return found, [*found.gaps(outline(grid)), *notes]

    def _weather(self, grid: GeoBox, season: Calendar) -> tuple[xr.Dataset | None, list[str]]:
        """The weather, fetched at once: a handful of cells."""
        tile = self._weather_tile(grid, season)
        if tile is None:
            return None, [f"weather: {ERA5_LAND.made} holds no month of the season yet"]
        group, filled = coarse.weather(self._tiler.read(tile), tile.graph.bands, tile.grid, season)
        return group, coarse.weather_notes(group, filled)

    def _weather_tile(self, grid: GeoBox, season: Calendar) -> Tile | None:
        months = self._listing.months(season)
        return coarse.weather_tile(grid, season, months, by_start=self.recipe.screened)

    def _read(self, name: str) -> tuple[str, ...]:
        wanted = self._reading.wanted
        return read_bands(name, None if wanted is None else wanted.get(name, ()), self.recipe)


def _box(grid: GeoBox) -> Box:
    """Longitudes and latitudes in which images are looked for.

    Raises:
        AreaError: The area lies across the 180th meridian.
    """
    west, south, east, north = outline(grid).bounds
    if east - west > WIDEST:
        raise AreaError(
            "an area across the 180th meridian",
            expected="an area on one side of it",
            todo="map the two sides one after the other",
        )
    return west, south, east, north


def _degrees(grid: GeoBox) -> Box:
    box = grid.extent.to_crs("EPSG:4326").boundingbox
    return float(box.left), float(box.bottom), float(box.right), float(box.top)


def _in(season: Calendar, each: Acquisition) -> bool:
    return bool(np.datetime64(season.start) <= each.time < np.datetime64(season.end))


def _cut(grid: GeoBox, side: int) -> Iterator[GeoBox]:
    return (tile.geobox for tile in tiles_of(grid, side))
