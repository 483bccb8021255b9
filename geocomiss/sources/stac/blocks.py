"""Time steps of a block of pixels: images read, mosaicked, and composited as everywhere else.

A block and a step are one task: a step's images are opened once for a block, all bands are at hand for
the compositing, and memory stays that of one step however long the season is.
"""

import threading
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Any, Final

import numpy as np
import shapely
import xarray as xr
from numpy.typing import NDArray
from odc.geo.geobox import GeoBox
from pyproj import Transformer
from pystac import Item

from geocomiss.composite import SCL, composite_optical, composite_radar, margin_pixels, usable
from geocomiss.grid import centres, crs_of
from geocomiss.modalities import BLUE
from geocomiss.recipes import Recipe
from geocomiss.seasons import Calendar
from geocomiss.sources.passes import Directions
from geocomiss.sources.stac.catalogues import BEYOND, CLASSES, NO_DATA, PRODUCTS, RTC_NO_DATA
from geocomiss.sources.stac.offsets import SHIFT, without_offset
from geocomiss.sources.stac.reading import Images
from geocomiss.stack import COUNT

AT_WORK: Final = 4
"""Blocks in work at a time, on however many cores; see `load` for what a step of one takes."""
AT_ONCE: Final = threading.BoundedSemaphore(AT_WORK)
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
    direction: str = ""
    """'ascending', 'descending' or 'unknown', of radar."""

    @property
    def outline(self) -> Any:
        """All footprints together (shapely)."""
        return shapely.union_all([piece.footprint for piece in self.pieces])

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
    directions: Directions
    """Which radar passes are used where."""

    @property
    def margin(self) -> int:
        """Pixels beyond each side of a block that matter for it: clouds there are grown into it."""
        return margin_pixels(self.recipe, self.pixel) if self.modality == "optical" else 0

    def step(self, grid: GeoBox, number: int) -> xr.Dataset | None:
        """The composite of a block in one step."""
        edges = self.season.edges()
        month = Calendar(edges[number], self.season.step, 1)
        within = (np.datetime64(edges[number], "ns"), np.datetime64(edges[number + 1], "ns"))
        margin = self.margin
        wide = grid.pad(margin) if margin else grid
        outline = _outline(wide)
        met = [each.within(outline) for each in self.observations if within[0] <= each.time < within[1]]
        scenes = [each for each in met if each.pieces]
        if not scenes:
            return None
        with AT_ONCE:
            if self.modality == "radar":
                return self._averaged(scenes, wide, outline, month)
            result = composite_optical(self._optical(scenes, wide, margin), month, self.recipe, self.pixel)
        inner = slice(margin, -margin or None)
        return result.isel(y=inner, x=inner)

    def _optical(self, scenes: list[Observation], wide: GeoBox, margin: int) -> xr.Dataset:
        """Scenes on a grid with a margin, in which nothing but clouds matters: of the rest no band is read.

        Nor is any of a scene without a usable pixel.
        """
        raw, pieces = self._read(scenes, wide, (CLASSES,), NO_DATA)
        classes = raw.pop(CLASSES, np.full((len(pieces), *wide.shape), BEYOND, np.uint8))
        scl = self._classified(scenes, classes)
        y, x = (slice(margin, size - margin) for size in wide.shape)
        clear = usable(_dated({SCL: scl}, scenes), self.recipe, self.pixel).values[:, y, x]
        some = np.asarray(clear.any((1, 2)))
        seen = [scene for scene, worth in zip(scenes, some, strict=True) if worth]
        inside = classes[np.repeat(some, [len(scene.pieces) for scene in scenes]), y, x]
        raw, pieces = self._read(seen, wide[y, x], self.bands, NO_DATA)
        self._look(raw, inside, pieces)
        bands = {name: np.full(scl.shape, np.nan, np.float32) for name in self.bands}
        for number, planes in zip(np.flatnonzero(some), _planes(seen), strict=True):
            first = _first((inside[planes] != NO_DATA) & (inside[planes] != BEYOND))
            for name, values in bands.items():
                shifted = [without_offset(raw[name][at], pieces[at].shift) for at in planes]
                values[number, y, x] = _taken(np.stack(shifted), first)
        return _dated(bands | {SCL: scl}, scenes)

    def _classified(self, scenes: list[Observation], classes: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """Scene classes of each scene, from those of its pieces: (pieces, H, W) -> (scenes, H, W)."""
        scl = np.empty((len(scenes), *classes.shape[1:]), np.uint8)
        for number, planes in enumerate(_planes(scenes)):
            first = _first((classes[planes] != NO_DATA) & (classes[planes] != BEYOND))
            scl[number] = _taken(_inside(classes[planes]), first)
        scl[scl == BEYOND] = DARK if self.recipe.cloud_rule == "scl" else NO_DATA
        return scl

    def _look(self, raw: dict[str, NDArray[Any]], classes: NDArray[np.uint8], pieces: list[Piece]) -> None:
        """Watch over the range of the darkest band: is the offset what the metadata say?"""
        if BLUE not in raw:
            return
        for at, piece in enumerate(pieces):
            numbers = raw[BLUE][at][(classes[at] == PLANTS) & (raw[BLUE][at] != NO_DATA)]
            self.images.ledger.saw(piece.shift, int((numbers <= SHIFT).sum()), numbers.size)

    def _averaged(
        self, scenes: list[Observation], grid: GeoBox, outline: Any, month: Calendar
    ) -> xr.Dataset | None:
        """Radar of one step: of each cell the passes of its direction."""
        parts = []
        for direction, boxes in self.directions.areas(outline):
            if used := [scene for scene in scenes if scene.direction == direction]:
                values = composite_radar(self._radar(used, grid), month, self.recipe)
                parts.append((values, None if boxes is None else _in_boxes(grid, boxes)))
        if not parts:
            return None
        result, where = parts[0]
        result = result if where is None else _only(result, where)
        for values, where in parts[1:]:
            result = values.where(where, result)
        return result

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


def _in_boxes(grid: GeoBox, boxes: Sequence[tuple[float, ...]]) -> xr.DataArray:
    """Pixels whose centre lies in one of some boxes of degrees: `(y, x)`."""
    x, y = np.meshgrid(*centres(grid))
    degrees = Transformer.from_crs(crs_of(grid).proj, 4326, always_xy=True)
    longitude, latitude = degrees.transform(x, y)
    inside = np.zeros(x.shape, bool)
    for west, south, east, north in boxes:
        inside |= (west <= longitude) & (longitude < east) & (south <= latitude) & (latitude < north)
    return xr.DataArray(inside, dims=_DIMS[1:])


def _only(values: xr.Dataset, where: xr.DataArray) -> xr.Dataset:
    """Composites, missing elsewhere."""
    kept = {name: values[name].where(where, 0 if name == COUNT else np.nan) for name in values}
    return values.assign({name: each.astype(values[name].dtype) for name, each in kept.items()})


def _planes(scenes: list[Observation]) -> list[list[int]]:
    """Planes of each scene, where all pieces are counted through."""
    ends = np.cumsum([0, *(len(scene.pieces) for scene in scenes)]).tolist()
    return [list(range(start, end)) for start, end in pairwise(ends)]


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
