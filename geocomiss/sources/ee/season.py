"""What Earth Engine has of an area and season, and the tiles of pixels that follow from it."""

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from math import cos, radians
from typing import Any, Final

import numpy as np
import shapely
import xarray as xr
from odc.geo.geobox import GeoBox

from geocomiss.composite import margin_pixels, ndvi, ndvi_bands
from geocomiss.grid import crs_of
from geocomiss.modalities import MODALITIES, NDVI
from geocomiss.recipes import Recipe
from geocomiss.seasons import Calendar, today
from geocomiss.sources.ee.graph import optical, radar
from geocomiss.sources.ee.graph.best_pixel import best_pixel
from geocomiss.sources.ee.graph.wire import decoded, encoded
from geocomiss.sources.ee.listing import Acquisition, Box
from geocomiss.sources.ee.passes import used
from geocomiss.sources.ee.tables import CODINGS
from geocomiss.sources.ee.tiler import Graph, Tile, Tiler
from geocomiss.sources.passes import Directions
from geocomiss.sources.terrain import METRES_PER_DEGREE
from geocomiss.stack import COUNT

NEAREST: Final = "median"
"""Radar averaging of recipes that take the passes near the middle of a step, or else the nearest one."""
WITHIN: Final = timedelta(days=15)
"""From the middle of a step: passes that are near."""
BORDER: Final = 0.05
"""Degrees along the edge of a radar image in which pixels may be missing, as noise of the border."""
SPARE: Final = 0.001
"""Degrees beyond an area within which images are looked for: a hundred metres."""


@dataclass(frozen=True)
class Season:
    """The composites of an area and season, as tiles to be fetched."""

    tiler: Tiler
    """Fetches them."""
    calendar: Calendar
    """T steps."""
    recipe: Recipe
    """How to composite."""
    bands: dict[str, tuple[str, ...]]
    """Bands that are fetched, of each imaging modality."""
    pixel: float
    """Pixel size in metres."""
    optical: tuple[Acquisition, ...]
    """Optical acquisitions, oldest first."""
    radar: tuple[Acquisition, ...]
    """Radar acquisitions of all directions, oldest first."""
    directions: Directions
    """Which of these are used where."""
    cut: Box | None = None
    """Where images are cut before CropHarvest's rule judges them; None: nowhere."""
    _graphs: dict[Any, Graph] = field(default_factory=dict)
    _begun: set[Any] = field(default_factory=set)

    def step(self, modality: str, grid: GeoBox, number: int) -> xr.Dataset | None:
        """The composite of a block in one step; None where no acquisition meets it.

        The first step of a block that is asked for sets all steps and modalities of it going.
        """
        place = (tuple(grid.affine), grid.height, grid.width)
        if place not in self._begun:
            self._begun.add(place)
            self.tiler.start(tile for _, _, tile in self.tiles(grid))
        tile = self.tile(modality, grid, number)
        if tile is None:
            return None
        numbers = self.tiler.read(tile)
        values = decoded(numbers, tile.graph.bands, CODINGS[modality])
        group = xr.Dataset({name: (("time", "y", "x"), plane[None]) for name, plane in values.items()})
        if modality == "optical" and set(ndvi_bands(self.recipe)) <= set(group):
            group[NDVI] = ndvi(group, self.recipe)
        return group

    def tiles(self, grid: GeoBox) -> Iterator[tuple[str, int, Tile]]:
        """(modality, step, tile) of everything there is of a block."""
        for modality in self.bands:
            for number in range(self.calendar.number):
                tile = self.tile(modality, grid, number)
                if tile is not None:
                    yield modality, number, tile

    def tile(self, modality: str, grid: GeoBox, number: int) -> Tile | None:
        """The tile of a block in one step, or None where no acquisition meets it."""
        margin = margin_pixels(self.recipe, self.pixel) if modality == "optical" else 0
        area = outline(grid.pad(margin) if margin else grid)
        found = self._parts(modality, area, number)
        if not found:
            return None
        key = (modality, number, *(part.key for part in found))
        if key not in self._graphs:
            self._graphs[key] = self._graph(modality, found)
        return Tile(self._graphs[key], grid)

    def images(self, modality: str, grid: GeoBox, number: int) -> int:
        """Images (granules) that go into a block in one step."""
        margin = margin_pixels(self.recipe, self.pixel) if modality == "optical" else 0
        found = self._parts(modality, outline(grid.pad(margin) if margin else grid), number)
        return len({granule.id for part in found for one in part.all for granule in one.granules})

    def gaps(self, area: Any) -> list[str]:
        """Steps that have begun and hold no acquisition of an area (shapely), in words."""
        begun = [n for n, edge in enumerate(self.calendar.edges()[:-1]) if edge <= today()]
        words = []
        for name in self.bands:
            empty = [
                f"{self.calendar.edges()[number]:%Y-%m}"
                for number in begun
                if not any(each.within(area) for each in self.acquisitions(name, number))
            ]
            if len(empty) == len(begun):
                words.append(f"{name}: no acquisition in the whole season")
            elif empty:
                words.append(f"{name}: no acquisition in {', '.join(empty)}")
        return words

    @property
    def state(self) -> str:
        """Digest of the images found, the radar passes used, and what is made of them."""
        names = sorted(granule.id for each in (*self.optical, *self.radar) for granule in each.granules)
        cells = sorted(f"{cell} {direction}" for cell, direction in self.directions.by_cell.items())
        return hashlib.sha256("\n".join([repr(self.recipe), *names, *cells]).encode()).hexdigest()

    def acquisitions(self, modality: str, number: int) -> list[Acquisition]:
        """Those of one step, anywhere in the area; without those taken where it has none."""
        if modality == "radar" and self.recipe.radar_averaging == NEAREST:
            return near_middle(self.radar, self.calendar, number)[0]
        edges = [np.datetime64(edge, "ns") for edge in self.calendar.edges()[number : number + 2]]
        every = self.optical if modality == "optical" else self.radar
        return [each for each in every if edges[0] <= each.time < edges[1]]

    def _parts(self, modality: str, area: Any, number: int) -> list["Part"]:
        """What goes into an area in one step: of each radar direction that is used in it."""
        if modality == "optical":
            parts = [Part(_within(self.acquisitions(modality, number), area))]
        else:
            passes: tuple[Sequence[Acquisition], Sequence[Acquisition]]
            passes = self.acquisitions(modality, number), ()
            if self.recipe.radar_averaging == NEAREST:
                passes = near_middle(self.radar, self.calendar, number)
            parts = [
                _part([[one for one in some if used(one, direction)] for some in passes], area, boxes)
                for direction, boxes in self.directions.areas(area)
            ]
        return [part for part in parts if part.all]

    def _graph(self, modality: str, found: Sequence["Part"]) -> Graph:
        bands, recipe = self.bands[modality], self.recipe
        if modality == "optical" and recipe.optical_compositing == "best-pixel":
            image = best_pixel(found[0].near, bands, self.cut)
        elif modality == "optical":
            image = optical.clear_median(found[0].near, bands, recipe, self.pixel)
        elif recipe.radar_averaging == NEAREST:
            image = radar.nearest_median([(part.near, part.far, part.boxes) for part in found], bands)
        else:
            image = radar.linear_mean([(part.near, part.boxes) for part in found], bands)
        return encoded(image, (*bands, COUNT), CODINGS[modality])


@dataclass(frozen=True)
class Part:
    """Acquisitions of one direction that go into an area in a step."""

    near: tuple[Acquisition, ...]
    """Those of the step, oldest first."""
    far: tuple[Acquisition, ...] = ()
    """Those taken where these saw nothing, nearest in time first."""
    boxes: tuple[Box, ...] | None = None
    """Where they are used; None: everywhere."""

    @property
    def all(self) -> tuple[Acquisition, ...]:
        """All acquisitions."""
        return (*self.near, *self.far)

    @property
    def key(self) -> tuple[Any, ...]:
        """What stands for it."""
        ids = (tuple(g.id for one in some for g in one.granules) for some in (self.near, self.far))
        return *ids, self.boxes


def near_middle(
    acquisitions: Sequence[Acquisition], calendar: Calendar, number: int
) -> tuple[list[Acquisition], list[Acquisition]]:
    """(acquisitions within 15 days of the middle of a step, the others, nearest first), as of CropHarvest.

    A step that has not begun has none: what was seen before is no forecast.
    """
    start = calendar.edges()[number]
    if start > today():
        return [], []
    middle = np.datetime64(start, "ns") + np.timedelta64(WITHIN)
    limit = np.timedelta64(WITHIN)
    near = [each for each in acquisitions if abs(each.time - middle) <= limit]
    far = [each for each in acquisitions if abs(each.time - middle) > limit]
    return near, sorted(far, key=lambda each: abs(each.time - middle))


def _part(passes: Sequence[Sequence[Acquisition]], area: Any, boxes: Any) -> Part:
    """Of (near, far) those that meet an area; of the far ones as many as it takes to cover it."""
    met, added = _within(passes[0], area), []
    covered = shapely.union_all([each.outline.buffer(-BORDER) for each in met])
    for each in passes[1]:
        if covered.covers(area):
            break
        if (part := each.within(area)) is not None:
            added.append(part)
            covered = covered.union(part.outline.buffer(-BORDER))
    return Part(met, tuple(added), boxes and tuple(boxes))


def _within(acquisitions: Sequence[Acquisition], area: Any) -> tuple[Acquisition, ...]:
    """Those that meet an area, with only the granules that do."""
    return tuple(met for each in acquisitions if (met := each.within(area)) is not None)


def outline(grid: GeoBox) -> Any:
    """A grid in longitude and latitude, a little wider (shapely)."""
    box = grid.extent.to_crs("EPSG:4326", resolution=grid.extent.boundingbox.span_x / 16).boundingbox
    return shapely.box(box.left - SPARE, box.bottom - SPARE, box.right + SPARE, box.top + SPARE)


def metres(grid: GeoBox) -> float:
    """Pixel size in metres, east-west where the CRS is geographic."""
    size = float(abs(grid.resolution.x))
    if not crs_of(grid).geographic:
        return size
    middle = grid.extent.boundingbox
    return size * METRES_PER_DEGREE * cos(radians((middle.bottom + middle.top) / 2))


def read_bands(modality: str, wanted: tuple[str, ...] | None, recipe: Recipe) -> tuple[str, ...]:
    """Bands to fetch of an imaging modality: what is wanted, and what NDVI is computed from."""
    measured = tuple(name for name in MODALITIES[modality].band_names if name != NDVI)
    if wanted is None:
        return measured
    needed = {*wanted, *(ndvi_bands(recipe) if NDVI in wanted else ())}
    return tuple(name for name in measured if name in needed)
