"""A folder of raw acquisitions: Sentinel-2 dates with scene classification, Sentinel-1, daily weather.

The pixel grid is that of the finest optical file. Coarser images keep their values: each pixel takes
the cell in which its centre lies. Around a block scene classes are read as far as the dilation of clouds
reaches, so that every window gives the same bits. Terrain comes from an elevation file, if there is one.
"""

from dataclasses import replace
from math import cos, radians
from pathlib import Path
from typing import Final

import numpy as np
import xarray as xr
from odc.geo.geobox import GeoBox

from geocomiss import composite
from geocomiss.errors import SeasonError, SourceError
from geocomiss.grid import centres, crs_of, window_in
from geocomiss.modalities import BLUE, GREEN, MODALITIES, NDVI, RED
from geocomiss.recipes import RECIPES, Recipe
from geocomiss.seasons import Calendar
from geocomiss.sources import files, layout, terrain
from geocomiss.sources.base import Reading, Scenes
from geocomiss.sources.blocks import BLOCK, lazy_blocks, sides_of
from geocomiss.sources.folder import CLASSES, Member, check_one_place, members_of
from geocomiss.sources.images import AT_WORK, Images, widened
from geocomiss.stack import Origin, assign_grid, holds, new_stack

SAMPLE: Final = 1024
"""Pixels a side of the central window in which observations lost to dilation are counted."""
SHOWN: Final = (RED, GREEN, BLUE, NDVI)
"""Optical bands that pictures of maps are made of, whatever else is used."""
Passes = dict[str, tuple[Member, ...]]
"""Radar files by pass direction."""


class AcquisitionsSource:
    """A folder of raw acquisitions that goes through compositing. Implements `Source`, `Compositing`.

    Args:
        path: The folder.
        recipe: How to composite; `monthly-l2a` where nobody asks for another.
        reading: Bands that will be used, and the size of the tiles that will be asked for.

    Raises:
        SourceError: A file is damaged, several places lie in the folder, or SCL is missing.
    """

    simulated = False

    def __init__(self, path: Path, recipe: Recipe | None = None, reading: Reading | None = None) -> None:
        self._reading = reading or Reading()
        self.name = f"acquisitions {path.name}"
        self._members = members_of(path)
        check_one_place(path, self._members)
        self.grid: GeoBox = _finest(self._of("optical") or self._of("radar"))
        self.recipe: Recipe = self._recipe(recipe or RECIPES["monthly-l2a"])
        if self._of("optical") and CLASSES not in _bands(self._of("optical")):
            raise SourceError(
                f"the folder {path.name} holds Sentinel-2 images without scene classification (SCL)",
                expected="a variable SCL, by which clouds are told from land",
                todo="add the file that holds it (the 20 m bands of Level-2A)",
            )

    @staticmethod
    def recognise(path: Path) -> bool:
        """Whether a folder holds NetCDF files with optical or radar images along a time axis."""
        return any(MODALITIES[member.modality].imaging for member in members_of(path))

    @property
    def bands(self) -> dict[str, tuple[str, ...]]:
        """Bands per modality; NDVI where its two bands are there."""
        found = {name: set(_bands(self._of(name))) for name in MODALITIES}
        if set(composite.ndvi_bands(self.recipe)) <= found["optical"]:
            found["optical"].add(NDVI)
        if self._of("topography"):
            found["topography"] |= set(MODALITIES["topography"].band_names)
        return {name: layout.in_order(name, bands) for name, bands in found.items() if bands}

    @property
    def held(self) -> Calendar:
        """All calendar months in which an image was taken, from the first to the last."""
        imaging = [member.times for member in (*self._of("optical"), *self._of("radar"))]
        days = np.concatenate(imaging).astype("datetime64[D]")
        first, last = (day.replace(day=1) for day in (days.min().item(), days.max().item()))
        return Calendar(first, "month", (last.year - first.year) * 12 + last.month - first.month + 1)

    def scenes(self, grid: GeoBox, season: Calendar) -> Scenes | None:
        """See `Compositing.scenes`: of a block all dates of a band are in memory."""
        imaging = self._imaging(season)[0].values()
        if not imaging:
            return None
        margin, side = max(each.margin for each in imaging), max(map(_block, imaging))
        return Scenes(max(each.bytes() for each in imaging), margin, side, AT_WORK)

    def cut(self, tile: int) -> None:
        """See `Compositing.cut`."""
        self._reading = replace(self._reading, tile=tile)

    def open(self, grid: GeoBox, season: Calendar) -> xr.DataTree:
        """The composites of a window and season (see `Source.open`)."""
        _check_held(season, self.held)
        window_in(grid, self.grid)
        imaging, passes, chosen = self._imaging(season)
        groups = {name: self._composited(images, grid) for name, images in imaging.items()}
        notes = _pass_notes(passes, chosen)
        if optical := imaging.get("optical"):
            notes.append(_loss_note(optical, grid))
        if self._of("weather"):
            groups["weather"] = layout.tidy(self._weather(season))
        if self._of("topography"):
            groups["topography"] = layout.tidy(self._topography(grid))
        origin = Origin(self.name, self.recipe, season, radar_pass=chosen, notes=tuple(filter(None, notes)))
        return new_stack(groups, origin)

    def _of(self, modality: str) -> tuple[Member, ...]:
        return tuple(member for member in self._members if member.modality == modality)

    def _recipe(self, wanted: Recipe) -> Recipe:
        """As wanted, with what the files are and nobody can choose."""
        names = " ".join(member.path.name.lower() for member in self._of("topography"))
        product = "NASADEM" if "nasadem" in names else "SRTM" if "srtm" in names else "Copernicus DEM"
        return replace(
            wanted, s2_level="L2A", s1_product="sigma0", weather_product="AgERA5", terrain_product=product
        )

    def _imaging(self, season: Calendar) -> tuple[dict[str, Images], Passes, str]:
        """Optical and radar images of a season; radar files by pass direction, and the one that is used."""
        passes, chosen = _one_pass(self._of("radar"), season)
        members = {"optical": self._of("optical"), "radar": passes.get(chosen, ())}
        found = {name: self._images(each, self.grid, season) for name, each in members.items() if each}
        return found, passes, chosen

    def _images(self, members: tuple[Member, ...], whole: GeoBox, season: Calendar) -> Images:
        modality, wanted = members[0].modality, self._reading.wanted
        used = None if wanted is None or modality != "optical" else {*wanted.get(modality, ()), *SHOWN}
        return Images.of(members, whole, season, self.recipe, _metres(self.grid), used)

    def _composited(self, images: Images, grid: GeoBox) -> xr.Dataset:
        """A modality on some pixels, in blocks that no tile's edge crosses."""
        return _lazy(images, grid, self._reading.tile, _block(images))

    def _weather(self, season: Calendar) -> xr.Dataset:
        """On its own coarse grid, whole."""
        members = self._of("weather")
        images, side = self._images(members, members[0].grid, season), max(members[0].grid.shape)
        return _lazy(images, images.whole, side, side)

    def _topography(self, grid: GeoBox) -> xr.Dataset:
        member = self._of("topography")[0]
        if member.bands:
            (name,) = member.bands.values()
            elevation = files.lazy_variable(member.path, name).reset_coords(drop=True).drop_vars(["y", "x"])
        else:
            elevation = xr.DataArray(files.lazy_tiff(member.path)[0], dims=("y", "x"))
        return assign_grid(terrain.topography(elevation, member.grid, grid, self.grid), grid)


def _block(images: Images) -> int:
    """Most pixels a side of a block: more where files are stored in larger ones, each unpacked whole."""
    return files.CHUNK if images.stored_side <= files.CHUNK else BLOCK


def _lazy(images: Images, grid: GeoBox, tile: int, most: int) -> xr.Dataset:
    """A modality as blocks that are composited when they are asked for."""
    rows, cols = (sides_of(size, tile, most) for size in grid.shape)
    starts = composite.step_starts(images.season)
    group = lazy_blocks(images.variables, starts, grid, (rows, cols), images.composited)
    return composite.told(group, images.recipe) if images.modality == "optical" else group


def _bands(members: tuple[Member, ...]) -> tuple[str, ...]:
    return tuple({band: None for member in members for band in member.bands})


def _finest(members: tuple[Member, ...]) -> GeoBox:
    grids = [member.grid for member in members]
    return min(grids, key=lambda grid: abs(grid.resolution.x))


def _metres(grid: GeoBox) -> float:
    """Pixel size in metres, east-west where the CRS is geographic."""
    if not crs_of(grid).geographic:
        return float(abs(grid.resolution.x))
    _, latitudes = centres(grid)
    return float(abs(grid.resolution.x)) * terrain.METRES_PER_DEGREE * cos(radians(float(latitudes.mean())))


def _one_pass(members: tuple[Member, ...], season: Calendar) -> tuple[Passes, str]:
    """Files by pass direction, and the direction with most passes in the season."""
    by_pass: Passes = {}
    for member in members:
        by_pass[member.radar_pass] = (*by_pass.get(member.radar_pass, ()), member)
    counts = {name: sum(_dates(one, season) for one in group) for name, group in by_pass.items()}
    return by_pass, max(sorted(counts), key=counts.__getitem__, default="unknown")


def _dates(member: Member, season: Calendar) -> int:
    return int((composite.step_index(member.times, season) >= 0).sum())


def _pass_notes(passes: Passes, chosen: str) -> list[str]:
    others = sorted(set(passes) - {chosen})
    return [f"only {chosen} radar passes are used, not the {' and '.join(others)} ones"] if others else []


def _loss_note(images: Images, grid: GeoBox) -> str:
    """What growing clouds costs, counted in a central window of large areas."""
    if images.recipe.cloud_rule != "scl" or not images.times.size:
        return ""
    wide, _ = widened(grid, images.whole, images.margin)
    rows, cols = (_central(size) for size in wide.shape)
    classes = images.classes(wide[rows, cols])
    loss = composite.dilation_loss(classes, images.recipe, images.pixel)
    return (
        f"growing clouds by {images.recipe.cloud_dilation:g} m removed {loss:.1%} of the clear observations"
    )


def _central(size: int) -> slice:
    start = max(0, (size - SAMPLE) // 2)
    return slice(start, min(size, start + SAMPLE))


def _check_held(season: Calendar, held: Calendar) -> None:
    """Refuse a season of which a month was not observed; months in the future are missing."""
    if not holds(held, season):
        raise SeasonError(
            f"the acquisitions cover {held}",
            expected=f"the season {season}",
            todo="ask for a --season within them, or add the missing months",
        )
