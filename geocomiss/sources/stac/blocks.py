"""Time steps of a block of pixels: images read, mosaicked, and composited as everywhere else.

A block and a step are one task: a step's images are opened once for a block, all bands are at hand for
the compositing, and memory stays that of one step however long the season is.
"""

import threading
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

import numpy as np
import shapely
import xarray as xr
from numpy.typing import NDArray
from odc.geo.geobox import GeoBox
from pystac import Item

from geocomiss.composite import SCL, composite_optical, composite_radar, margin_pixels
from geocomiss.modalities import BLUE
from geocomiss.recipes import Recipe
from geocomiss.seasons import Calendar
from geocomiss.sources.stac.catalogues import BEYOND, CLASSES, NO_DATA, PRODUCTS, RTC_NO_DATA
from geocomiss.sources.stac.offsets import SHIFT, without_offset
from geocomiss.sources.stac.reading import Images

AT_ONCE: Final = threading.BoundedSemaphore(4)
"""Blocks in work at a time, on however many cores: a step of one takes about 400 MB."""
PLANTS: Final = 4
"""Scene class of vegetation."""
DARK: Final = 2
"""Scene class that is dropped and not grown: for what lies beyond an image, where nothing is known."""
_DIMS: Final = ("time", "y", "x")


@dataclass(frozen=True)
class Piece:
    """An item, ready to be read."""

    item: Item
    """With the assets of its product only."""
    product: str
    """Key in `PRODUCTS`."""
    shift: int
    """Offset to be taken from its reflectance."""
    footprint: Any
    """Its outline in longitude and latitude (shapely)."""


@dataclass(frozen=True)
class Observation:
    """A scene, ready to be read."""

    time: np.datetime64
    """When it was taken."""
    pieces: tuple[Piece, ...]
    """Its images, in the order in which they count."""

    def within(self, outline: Any) -> "Observation":
        """With only the images that meet an area (shapely, longitude and latitude)."""
        return replace(self, pieces=tuple(p for p in self.pieces if p.footprint.intersects(outline)))


@dataclass(frozen=True)
class Series:
    """All observations of one modality in a season."""

    modality: str
    """Optical or radar."""
    observations: tuple[Observation, ...]
    """Oldest first."""
    bands: tuple[str, ...]
    """Bands to read."""
    images: Images
    """How they are read."""
    season: Calendar
    """T steps."""
    recipe: Recipe
    """How to composite."""
    pixel: float
    """Pixel size in metres."""

    def step(self, grid: GeoBox, number: int) -> xr.Dataset | None:
        """The composite of a block in one step."""
        edges = self.season.edges()
        month = Calendar(edges[number], self.season.step, 1)
        within = (np.datetime64(edges[number], "ns"), np.datetime64(edges[number + 1], "ns"))
        margin = margin_pixels(self.recipe, self.pixel) if self.modality == "optical" else 0
        wide = grid.pad(margin) if margin else grid
        outline = _outline(wide)
        met = [each.within(outline) for each in self.observations if within[0] <= each.time < within[1]]
        scenes = [each for each in met if each.pieces]
        if not scenes:
            return None
        with AT_ONCE:
            if self.modality == "radar":
                return composite_radar(self._radar(scenes, wide), month, self.recipe)
            result = composite_optical(self._optical(scenes, wide), month, self.recipe, self.pixel)
        inner = slice(margin, -margin or None)
        return result.isel(y=inner, x=inner)

    def _optical(self, scenes: list[Observation], grid: GeoBox) -> xr.Dataset:
        raw, pieces = self._read(scenes, grid, (CLASSES, *self.bands), NO_DATA)
        classes = raw.pop(CLASSES, np.full((len(pieces), *grid.shape), BEYOND, np.uint8))
        self._look(raw, classes, pieces)
        bands = {name: np.empty((len(scenes), *grid.shape), np.float32) for name in self.bands}
        scl = np.empty((len(scenes), *grid.shape), np.uint8)
        for number, planes in enumerate(_planes(scenes)):
            first = _first((classes[planes] != NO_DATA) & (classes[planes] != BEYOND))
            scl[number] = _taken(_inside(classes[planes]), first)
            for name, values in bands.items():
                shifted = [without_offset(raw[name][at], pieces[at].shift) for at in planes]
                values[number] = _taken(np.stack(shifted), first)
        dropped = DARK if self.recipe.cloud_rule == "scl" else NO_DATA
        scl[scl == BEYOND] = dropped
        return _dated(bands | {SCL: scl}, scenes)

    def _look(self, raw: dict[str, NDArray[Any]], classes: NDArray[np.uint8], pieces: list[Piece]) -> None:
        """Watch over the range of the darkest band: is the offset what the metadata say?"""
        if BLUE not in raw:
            return
        for at, piece in enumerate(pieces):
            numbers = raw[BLUE][at][(classes[at] == PLANTS) & (raw[BLUE][at] != NO_DATA)]
            self.images.ledger.saw(piece.shift, int((numbers <= SHIFT).sum()), numbers.size)

    def _radar(self, scenes: list[Observation], grid: GeoBox) -> xr.Dataset:
        raw, _ = self._read(scenes, grid, self.bands, RTC_NO_DATA)
        bands = {}
        for name in self.bands:
            power = np.where(raw[name] > 0, raw[name], np.float32(np.nan))  # "no data" is negative
            stacked = [_taken(power[at], _first(np.isfinite(power[at]))) for at in _planes(scenes)]
            bands[name] = 10 * np.log10(np.stack(stacked)).astype(np.float32)
        return _dated(bands, scenes)

    def _read(
        self, scenes: list[Observation], grid: GeoBox, bands: Sequence[str], nodata: float
    ) -> tuple[dict[str, NDArray[Any]], list[Piece]]:
        """All images of some scenes, each on its own plane: band -> (pieces, H, W)."""
        pieces = [piece for scene in scenes for piece in scene.pieces]
        planes: dict[str, NDArray[Any]] = {}
        for key in dict.fromkeys(piece.product for piece in pieces):
            product = PRODUCTS[key]
            at = [number for number, piece in enumerate(pieces) if piece.product == key]
            known = [band for band in bands if band in product.assets]
            loaded = self.images.read([pieces[number].item for number in at], product, known, grid)
            for band, values in loaded.items():
                empty = BEYOND if band == CLASSES else nodata
                whole = planes.setdefault(band, np.full((len(pieces), *grid.shape), empty, values.dtype))
                whole[at] = values
        for band in bands:
            if band not in planes and band != CLASSES:
                planes[band] = np.full((len(pieces), *grid.shape), nodata, np.float32)
        return planes, pieces


def _outline(grid: GeoBox) -> Any:
    """A grid in longitude and latitude, a little wider (shapely)."""
    box = grid.extent.to_crs("EPSG:4326", resolution=grid.extent.boundingbox.span_x / 8).boundingbox
    return shapely.box(box.left, box.bottom, box.right, box.top)


def _planes(scenes: list[Observation]) -> list[list[int]]:
    """Planes of each scene, where all pieces are counted through."""
    ends = np.cumsum([len(scene.pieces) for scene in scenes])
    starts = np.concatenate([[0], ends[:-1]])
    return [list(range(int(start), int(end))) for start, end in zip(starts, ends, strict=True)]


def _first(valid: NDArray[np.bool_]) -> NDArray[np.intp]:
    """At each pixel the first plane with data, (planes, H, W) -> (H, W); the first of all where none has."""
    return np.asarray(valid.argmax(axis=0))


def _taken(values: NDArray[Any], plane: NDArray[np.intp]) -> NDArray[Any]:
    """The value of one plane at each pixel: (planes, H, W) -> (H, W)."""
    return np.asarray(np.take_along_axis(values, plane[None], 0)[0])


def _inside(classes: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Classes (planes, H, W), "no data" wherever any image of the scene reaches."""
    reached = (classes != BEYOND).any(axis=0)
    return np.where((classes == BEYOND) & reached, NO_DATA, classes).astype(np.uint8)


def _dated(bands: dict[str, NDArray[Any]], scenes: list[Observation]) -> xr.Dataset:
    times = np.array([scene.time for scene in scenes], "datetime64[ns]")
    return xr.Dataset({name: (_DIMS, values) for name, values in bands.items()}, coords={"time": times})
