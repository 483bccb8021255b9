"""From an area and a season to the scenes that will be read, with all that a user should know of them."""

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import chain
from typing import Final

import numpy as np
import shapely
from odc.geo.geobox import GeoBox
from pystac import Item

from geocomiss.composite import ndvi_bands, step_index
from geocomiss.errors import AreaError
from geocomiss.modalities import NDVI
from geocomiss.recipes import Recipe
from geocomiss.seasons import Calendar, today
from geocomiss.sources.base import Reading
from geocomiss.sources.passes import Box, Cell, Directions, around, best, box_of, cells_of
from geocomiss.sources.stac.blocks import Observation, Piece
from geocomiss.sources.stac.catalogues import DEM_END, PRODUCTS
from geocomiss.sources.stac.finders import Finder
from geocomiss.sources.stac.offsets import OFFSETS, Offset
from geocomiss.sources.stac.scenes import (
    Scene,
    by_orbit,
    by_solar_day,
    cloud_cover,
    direction,
    newest_of_twins,
)

METRES_PER_DEGREE: Final = 111_320.0
"""Length of a degree of latitude."""
SPARE: Final = 0.001
"""Degrees searched beyond the area and the dilation of clouds."""
SAME_TERRAIN: Final = {"SRTM": "NASADEM"}
"""Elevation models of the same shuttle mission."""


@dataclass(frozen=True)
class Found:
    """What a search for an area and season came to."""

    optical: tuple[Observation, ...]
    """Optical scenes, oldest first."""
    radar: tuple[Observation, ...]
    """Radar scenes of the directions that are used, oldest first."""
    heights: tuple[Piece, ...]
    """Images of one elevation model."""
    directions: Directions
    """Which are used where."""
    notes: tuple[str, ...]
    """What a user should know."""

    @property
    def pieces(self) -> tuple[Piece, ...]:
        """All images."""
        scenes = chain.from_iterable(each.pieces for each in (*self.optical, *self.radar))
        return (*scenes, *self.heights)


@dataclass(frozen=True)
class Query:
    """What is wanted of a catalogue."""

    finder: Finder
    """Where items come from."""
    reading: Reading
    """What is read."""
    recipe: Recipe
    """What the model wants."""
    decided: dict[tuple[Cell, str], str] = field(default_factory=dict, compare=False)
    """Radar directions by cell and season, as far as they have been looked for."""

    def products(self, modality: str) -> tuple[str, ...]:
        """Keys in `PRODUCTS` of what there may be of a modality, the best first; () if not wanted."""
        wanted = self.reading.wanted
        if wanted is not None and modality not in wanted:
            return ()
        keys = [key for key in self.finder.products if PRODUCTS[key].modality == modality]
        terrain = SAME_TERRAIN.get(self.recipe.terrain_product, self.recipe.terrain_product)
        return tuple(sorted(keys, key=lambda key: modality == "topography" and PRODUCTS[key].made != terrain))

    def bands(self, modality: str) -> tuple[str, ...]:
        """Bands that are to be read of a modality."""
        keys, wanted = self.products(modality), self.reading.wanted
        measured = PRODUCTS[keys[0]].bands if keys else ()
        if wanted is None or modality == "topography":
            return measured
        asked = wanted.get(modality, ())
        needed = {*asked, *(ndvi_bands(self.recipe) if NDVI in asked else ())}
        return tuple(band for band in measured if band in needed)

    def box(self, grid: GeoBox) -> Box:
        """Longitudes and latitudes to search for a grid, with what cloud dilation reads beyond it.

        Raises:
            AreaError: It lies across the 180th meridian.
        """
        box = grid.extent.to_crs("EPSG:4326", resolution=grid.extent.boundingbox.span_x / 16).boundingbox
        if box.span_x > 180:
            raise AreaError(
                "an area across the 180th meridian",
                expected="an area on one side of it",
                todo="map the two sides one after the other, to 179.999 and from -179.999",
            )
        spare = SPARE + 2 * self.recipe.cloud_dilation / METRES_PER_DEGREE
        return box.left - spare, box.bottom - spare, box.right + spare, box.top + spare

    def items(self, modality: str, box: Box, season: Calendar) -> tuple[str, list[Item]]:
        """(product, items as found) of a modality in a season: of the first product that has any."""
        days = (season.start, min(season.last_day, today()))
        for key in self.products(modality):
            if items := self.finder.items(key, box, days):
                return key, items
        return "", []

    def find(self, grid: GeoBox, season: Calendar) -> Found:
        """The scenes of an area and season."""
        box = self.box(grid)
        optical, notes = self._optical(box, season)
        radar, directions = self._radar(box, season)
        heights, terrain = self.heights(box)
        gaps = [
            note
            for name, scenes in (("optical", optical), ("radar", radar))
            if (bands := self.bands(name))
            for note in (*_gaps(name, scenes, season), *_incomplete(name, scenes, bands))
        ]
        notes = (*self._lacking(), *gaps, *notes, *directions.notes(), *terrain)
        return Found(optical, radar, heights, directions, notes)

    def _optical(self, box: Box, season: Calendar) -> tuple[tuple[Observation, ...], tuple[str, ...]]:
        key, items = self.items("optical", box, season)
        most = self.reading.max_cloud
        clear = [item for item in items if (cloud_cover(item) or 0.0) <= most]
        kept = newest_of_twins(clear)
        rules = {item.id: OFFSETS[key](item) for item in kept}
        cut = len(items) - len(clear)
        notes = [f"{cut} optical images with over {most:g} % cloud cover are left out"] if cut else []
        if len(kept) < len(clear):
            notes.append(f"{len(clear) - len(kept)} optical images are older versions of others: left out")
        notes += _offset_notes(list(rules.values()))
        scenes = by_solar_day(kept, (box[0] + box[2]) / 2)
        return tuple(_prepared(scene, key, rules) for scene in scenes), tuple(notes)

    def _radar(self, box: Box, season: Calendar) -> tuple[tuple[Observation, ...], Directions]:
        """Scenes of the directions that the cells of an area use."""
        key, items = self.items("radar", box, season)
        directions = self.directions(key, box, season) if items else Directions({})
        scenes = (_prepared(scene, key, {}) for scene in by_orbit(items))
        used = set(directions.by_cell.values())
        return tuple(scene for scene in scenes if scene.direction in used), directions

    def directions(self, product: str, box: Box, season: Calendar) -> Directions:
        """The direction used in each cell that an area meets, from all that was taken over the cell."""
        cells = cells_of(box)
        told = self.finder.directions.get(str(season), {})
        new = [cell for cell in cells if (cell, str(season)) not in self.decided and cell not in told]
        if new:
            days = (season.start, min(season.last_day, today()))
            items = self.finder.around(product, around(new), days)
            scenes = [_prepared(scene, product, {}) for scene in by_orbit(items)]
            self.decided.update({(cell, str(season)): best(box_of(cell), scenes) for cell in new})
        return Directions(
            {cell: told.get(cell) or self.decided.get((cell, str(season)), "") for cell in cells}
        )

    def heights(self, box: Box) -> tuple[tuple[Piece, ...], tuple[str, ...]]:
        """Images of an elevation model that reaches over the whole area, and what it is."""
        keys = self.products("topography")
        within = DEM_END[0] < box[1] and box[3] < DEM_END[1]
        for key in keys:
            if PRODUCTS[key].made == "NASADEM" and not within:
                continue
            if items := self.finder.items(key, box, (None, None)):
                other = key != keys[0]
                words = f"terrain is {PRODUCTS[key].made}: {PRODUCTS[keys[0]].made} does not reach here"
                pieces = tuple(_piece(item, key, 0) for item in sorted(items, key=lambda item: item.id))
                return pieces, (words,) if other else ()
        return (), ("topography: no elevation model of this area",) if keys else ()

    def _lacking(self) -> list[str]:
        """Modalities that are wanted and that the catalogue cannot deliver."""
        wanted = self.reading.wanted
        known = self.finder.lacking.items()
        return [
            f"{name}: {self.finder.name} cannot deliver it ({why})"
            for name, why in known
            if wanted is None or name in wanted
        ]


def _prepared(scene: Scene, product: str, rules: dict[str, Offset]) -> Observation:
    none = Offset(0)
    pieces = tuple(_piece(item, product, rules.get(item.id, none).shift) for item in scene.items)
    return Observation(scene.time, pieces, direction(scene.items[0]))


def _piece(item: Item, product: str, shift: int) -> Piece:
    """An item with nothing but the images of its product.

    What its metadata say of scales, types and "no data" goes: they contradict themselves, `PRODUCTS` rules.
    """
    plain = item.clone()
    keys = PRODUCTS[product].assets.values()
    plain.assets = {key: asset for key, asset in plain.assets.items() if key in keys}
    for asset in plain.assets.values():
        for name in ("raster:bands", "bands", "nodata", "data_type"):
            asset.extra_fields.pop(name, None)
    outline = shapely.geometry.shape(item.geometry) if item.geometry else shapely.box(*(item.bbox or ())[:4])
    return Piece(plain, product, shift, outline)


def _offset_notes(rules: Sequence[Offset]) -> list[str]:
    """What was decided about the offset of reflectance, in a line each."""
    shifted = sum(rule.shift > 0 for rule in rules)
    notes = []
    if 0 < shifted < len(rules):
        notes.append(f"the offset of reflectance is taken from {shifted} of {len(rules)} optical images")
    for doubt, number in Counter(rule.doubt for rule in rules if rule.doubt).items():
        notes.append(f"in {number} optical images {doubt}, against their other metadata: not followed")
    return notes


def _gaps(name: str, scenes: Iterable[Observation], season: Calendar) -> list[str]:
    """Steps that have begun and hold no acquisition."""
    times = np.array([scene.time for scene in scenes], "datetime64[ns]")
    seen = set(step_index(times, season).tolist())
    begun = [edge for edge in season.edges()[:-1] if edge <= today()]
    empty = [f"{edge:%Y-%m}" for number, edge in enumerate(begun) if number not in seen]
    if len(empty) == len(begun):
        return [f"{name}: no acquisition in the whole season"]
    return [f"{name}: no acquisition in {', '.join(empty)}"] if empty else []


def _incomplete(name: str, scenes: Iterable[Observation], bands: Sequence[str]) -> Iterator[str]:
    """Which wanted bands scenes lack: without one of them a model sees nothing of the others."""
    pieces = [piece for scene in scenes for piece in scene.pieces]
    for band in bands:
        lacking = sum(PRODUCTS[piece.product].assets[band] not in piece.item.assets for piece in pieces)
        if lacking:
            yield f"{name}: {lacking} of {len(pieces)} images have no {band}"
