"""A STAC catalogue, or a saved search of one, as a source of stacks."""

import hashlib
from collections.abc import Iterator
from dataclasses import replace
from math import cos, radians
from typing import Final

import xarray as xr
from odc.geo.geobox import GeoBox

from geocomiss.composite import ndvi_bands
from geocomiss.composite.clouds import check_rule
from geocomiss.errors import AreaError
from geocomiss.grid import crs_of, window_in
from geocomiss.modalities import MODALITIES
from geocomiss.recipes import RECIPES, Recipe
from geocomiss.seasons import Calendar
from geocomiss.sources.base import Reading, Scenes, Traffic
from geocomiss.sources.blocks import bands_made, lazy_steps
from geocomiss.sources.stac.blocks import Observation, Series
from geocomiss.sources.stac.catalogues import CLASSES, PRODUCTS
from geocomiss.sources.stac.finders import Finder
from geocomiss.sources.stac.finding import METRES_PER_DEGREE, Found, Query
from geocomiss.sources.stac.heights import topography
from geocomiss.sources.stac.kept import KeptBlocks
from geocomiss.sources.stac.ledger import Counted, Ledger
from geocomiss.sources.stac.load import scenes_of
from geocomiss.sources.stac.reading import Images
from geocomiss.sources.stac.signing import Signer
from geocomiss.sources.within import Within
from geocomiss.stack import Origin, new_stack

BLOCKS: Final = "blocks"
"""Folder for blocks of images in that of what has been fetched."""


class StacSource:
    """Acquisitions found by a STAC search, composited block by block.

    Implements `Source`, `Accounting`, `Counting`, `Metered`, `Compositing`.

    Args:
        finder: Where items come from.
        recipe: What the model wants; `monthly-l2a` where nobody asks for another.
        reading: What is read, and how.
        sign: Adds tokens to addresses that need one.

    Raises:
        RecipeError: The recipe's cloud rule needs more than a scene classification.
    """

    simulated = False
    grid = None
    held = None

    def __init__(
        self, finder: Finder, recipe: Recipe | None, reading: Reading, sign: Signer | None = None
    ) -> None:
        self.name = finder.name
        self.query = Query(finder, reading, recipe or RECIPES["monthly-l2a"])
        self.recipe: Recipe = self._recipe(self.query.recipe)
        check_rule(self.recipe)
        # workers may run in other folders
        blocks = (reading.keep / BLOCKS).absolute() if reading.keep else None
        self._images = Images(Ledger(reading.max_unreadable), sign or Signer(), KeptBlocks(blocks))
        self._last: tuple[GeoBox, Calendar, Found] | None = None

    @property
    def bands(self) -> dict[str, tuple[str, ...]]:
        """Bands per modality that the catalogue has products for and that are wanted."""
        read = {name: self.query.bands(name) for name in MODALITIES}
        return {name: self._made(name, bands) for name, bands in read.items() if bands}

    @property
    def state(self) -> str:
        """Digest of the items found last."""
        pieces = self._last[2].pieces if self._last else ()
        names = sorted(f"{piece.product} {piece.item.id} {piece.shift}" for piece in pieces)
        return hashlib.sha256("\n".join(names).encode()).hexdigest()

    @property
    def items(self) -> tuple[str, ...]:
        """Addresses of the items found last, each once."""
        pieces = self._last[2].pieces if self._last else ()
        addresses = (piece.item.get_self_href() for piece in pieces)
        return tuple(dict.fromkeys(each for each in addresses if each and "://" in each))

    def account(self) -> tuple[tuple[str, ...], tuple[str, ...]]:
        """What was read, and what could not be."""
        return self._images.ledger.notes(), self._images.ledger.warnings()

    @property
    def traffic(self) -> Traffic:
        """What reading took, up to now."""
        return self._images.ledger.traffic

    def counted(self) -> object:
        """See `Counting.counted`."""
        return self._images.ledger.counted()

    def count(self, counted: object) -> None:
        """See `Counting.count`."""
        if isinstance(counted, Counted):
            self._images.ledger.add(counted)

    def scenes(self, grid: GeoBox, season: Calendar) -> Scenes | None:
        """See `Compositing.scenes`; searches."""
        found, pixel = self._found(grid, season), _metres(grid)
        series = (
            self._series(name, observations, found, season, pixel)
            for name, observations in (("optical", found.optical), ("radar", found.radar))
        )
        return scenes_of([each for each in series if each.bands], grid)

    def cut(self, tile: int) -> None:
        """See `Compositing.cut`."""
        self.query = replace(self.query, reading=replace(self.query.reading, tile=tile))

    def open(self, grid: GeoBox, season: Calendar) -> xr.DataTree:
        """The composites of a grid and season (see `Source.open`); searches, and reads no pixel yet.

        Raises:
            SourceError: The search fails.
        """
        found = self._found(grid, season)
        groups: dict[str, xr.Dataset] = {}
        for name, observations in (("optical", found.optical), ("radar", found.radar)):
            if self.query.bands(name):
                groups[name] = self._steps(name, observations, grid, season, found)
        if found.heights and (group := topography(found.heights, self._images, grid)) is not None:
            groups["topography"] = group
        made = {PRODUCTS[piece.product].made for piece in found.heights}
        recipe = replace(self.recipe, terrain_product=made.pop()) if made else self.recipe
        return new_stack(
            groups, Origin(self.name, recipe, season, radar_pass=found.directions.name, notes=found.notes)
        )

    def _recipe(self, wanted: Recipe) -> Recipe:
        """As wanted, with what the products are and nobody can choose."""
        made = {name: PRODUCTS[keys[0]].made for name in MODALITIES if (keys := self.query.products(name))}
        return replace(
            wanted,
            s2_level=made.get("optical", wanted.s2_level),
            s1_product=made.get("radar", wanted.s1_product),
            terrain_product=made.get("topography", wanted.terrain_product),
        )

    def _made(self, name: str, bands: tuple[str, ...]) -> tuple[str, ...]:
        """Bands of a group for which some are read."""
        if name == "topography":
            return MODALITIES[name].band_names
        return bands_made(name, bands, ndvi_bands(self.recipe))

    def _steps(
        self, name: str, observations: tuple[Observation, ...], grid: GeoBox, season: Calendar, found: Found
    ) -> xr.Dataset:
        series = self._series(name, observations, found, season, _metres(grid))
        made, area = self._made(name, series.bands), self.query.reading.area
        step = Within(series.step, area, grid) if area else series.step
        return lazy_steps(name, made, grid, season, self.query.reading.tile, step)

    def _series(
        self, name: str, observations: tuple[Observation, ...], found: Found, season: Calendar, pixel: float
    ) -> Series:
        bands = self.query.bands(name)
        return Series(name, observations, bands, self._images, season, self.recipe, pixel, found.directions)

    def _found(self, grid: GeoBox, season: Calendar) -> Found:
        """The search for an area; a window of the last one is not searched for again."""
        if self._last and self._last[1] == season and _is_window(grid, self._last[0]):
            return self._last[2]
        found = self.query.find(grid, season)
        self._last = grid, season, found
        self._images.ledger.plan(self._addresses(found))
        return found

    def _addresses(self, found: Found) -> Iterator[str]:
        """Of all images that may be read."""
        for piece in found.pieces:
            product = PRODUCTS[piece.product]
            for band in (CLASSES, *self.query.bands(product.modality)):
                asset = piece.item.assets.get(product.assets.get(band, ""))
                if asset is not None:
                    yield asset.href


def _is_window(part: GeoBox, whole: GeoBox) -> bool:
    try:
        window_in(part, whole)
    except AreaError:
        return False
    return True


def _metres(grid: GeoBox) -> float:
    """Pixel size in metres, east-west where the CRS is geographic."""
    size = float(abs(grid.resolution.x))
    if not crs_of(grid).geographic:
        return size
    middle = grid.extent.boundingbox
    return size * METRES_PER_DEGREE * cos(radians((middle.bottom + middle.top) / 2))
