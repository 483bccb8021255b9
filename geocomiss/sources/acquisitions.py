"""A folder of raw acquisitions: Sentinel-2 dates with scene classification, Sentinel-1, daily weather.

The pixel grid is that of the finest optical file. Coarser images keep their values: each pixel takes
the cell in which its centre lies. Around a window as many pixels are read as the dilation of clouds
reaches, so that every window gives the same bits. Terrain comes from an elevation file, if there is one.
"""

import re
from collections import defaultdict
from dataclasses import dataclass, replace
from math import cos, radians
from pathlib import Path
from typing import Final

import numpy as np
import xarray as xr
from odc.geo.geobox import GeoBox

from geocomiss import composite
from geocomiss.errors import SeasonError, SourceError
from geocomiss.grid import centres, crs_of, window_in
from geocomiss.modalities import MODALITIES, NDVI
from geocomiss.recipes import RECIPES, Recipe
from geocomiss.seasons import Calendar
from geocomiss.sources import files, layout, terrain
from geocomiss.sources.folder import CLASSES, Member, check_one_place, members_of
from geocomiss.sources.openeo import physical, variable_named
from geocomiss.stack import Origin, assign_grid, holds, new_stack
from geocomiss.worldcereal import NODATA

SAMPLE: Final = 1024
"""Pixels a side of the central window in which observations lost to dilation are counted."""
REFLECTANCE: Final = 10000.0
"""From reflectance 0..1 to the canonical unit."""


class AcquisitionsSource:
    """A folder of raw acquisitions that goes through compositing.

    Args:
        path: The folder.
        recipe: How to composite; `monthly-l2a` where nobody asks for another.

    Raises:
        SourceError: A file is damaged, several places lie in the folder, or SCL is missing.
    """

    simulated = False

    def __init__(self, path: Path, recipe: Recipe | None = None) -> None:
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

    def open(self, grid: GeoBox, season: Calendar) -> xr.DataTree:
        """The composites of a window and season (see `Source.open`)."""
        _check_held(season, self.held)
        rows, cols = window_in(grid, self.grid)
        window = Window(self.grid, self.grid[rows, cols], season)
        passes, chosen = _one_pass(self._of("radar"), season)
        groups: dict[str, xr.Dataset] = {}
        notes: list[str] = _pass_notes(passes, chosen)
        if self._of("optical"):
            groups["optical"], note = self._optical(window)
            notes.append(note)
        if passes:
            groups["radar"] = self._radar(window, passes[chosen])
        if self._of("weather"):
            groups["weather"] = self._weather(window)
        if self._of("topography"):
            groups["topography"] = self._topography(window)
        origin = Origin(self.name, self.recipe, season, radar_pass=chosen, notes=tuple(filter(None, notes)))
        return new_stack({name: layout.tidy(group) for name, group in groups.items()}, origin)

    def _of(self, modality: str) -> tuple[Member, ...]:
        return tuple(member for member in self._members if member.modality == modality)

    def _recipe(self, wanted: Recipe) -> Recipe:
        """As wanted, with what the files are and nobody can choose."""
        names = " ".join(member.path.name.lower() for member in self._of("topography"))
        product = "NASADEM" if "nasadem" in names else "SRTM" if "srtm" in names else "Copernicus DEM"
        return replace(
            wanted, s2_level="L2A", s1_product="sigma0", weather_product="AgERA5", terrain_product=product
        )

    def _optical(self, window: "Window") -> tuple[xr.Dataset, str]:
        pixel = _metres(self.grid)
        wide, inner = window.widened(composite.margin_pixels(self.recipe, pixel))
        scenes = _scenes(self._of("optical"), wide)
        result = composite.composite_optical(scenes, window.season, self.recipe, pixel)
        note = _loss_note(scenes[CLASSES], self.recipe, window.season, pixel)
        return assign_grid(result.isel(y=inner[0], x=inner[1]), window.part), note

    def _radar(self, window: "Window", members: tuple[Member, ...]) -> xr.Dataset:
        scenes = _scenes(members, window)
        return assign_grid(composite.composite_radar(scenes, window.season, self.recipe), window.part)

    def _weather(self, window: "Window") -> xr.Dataset:
        """On its own coarse grid, whole."""
        members = self._of("weather")
        own = members[0].grid
        daily = _scenes(members, Window(own, own, window.season))
        return assign_grid(composite.composite_weather(daily, window.season, self.recipe), own)

    def _topography(self, window: "Window") -> xr.Dataset:
        member = self._of("topography")[0]
        if member.bands:
            (name,) = member.bands.values()
            elevation = files.lazy_variable(member.path, name).reset_coords(drop=True).drop_vars(["y", "x"])
        else:
            elevation = xr.DataArray(files.lazy_tiff(member.path)[0], dims=("y", "x"))
        return assign_grid(terrain.topography(elevation, member.grid, window.part, window.whole), window.part)


@dataclass(frozen=True)
class Window:
    """Pixels and season asked for."""

    whole: GeoBox
    """The grid of the source, from whose origin pixels are counted."""
    part: GeoBox
    """The pixels wanted, a window of it."""
    season: Calendar
    """The time steps wanted."""

    def widened(self, margin: int) -> tuple["Window", tuple[slice, slice]]:
        """A window with up to `margin` pixels more on each side, and where this one lies in it."""
        rows, cols = window_in(self.part, self.whole)
        outer = [
            slice(max(0, at.start - margin), min(size, at.stop + margin))
            for at, size in ((rows, self.whole.height), (cols, self.whole.width))
        ]
        inner = [
            slice(at.start - out.start, at.stop - out.start)
            for at, out in zip((rows, cols), outer, strict=True)
        ]
        wide = replace(self, part=self.whole[outer[0], outer[1]])
        return wide, (inner[0], inner[1])


def _scenes(members: tuple[Member, ...], window: Window) -> xr.Dataset:
    """All bands of some files on the pixels of a window, one time axis: `(time, y, x)`."""
    parts: dict[str, list[xr.DataArray]] = defaultdict(list)
    for member in members:
        for band, name in member.bands.items():
            parts[band].append(_on_pixels(_values(member, band, name), member.grid, window))
    series = {
        band: xr.concat(arrays, "time") if len(arrays) > 1 else arrays[0] for band, arrays in parts.items()
    }
    times = next(iter(series.values())).time if CLASSES not in series else series[CLASSES].time
    scenes = xr.Dataset({band: _at_times(array, times, band) for band, array in series.items()})
    return scenes.chunk(y=files.CHUNK, x=files.CHUNK)


def _values(member: Member, band: str, name: str) -> xr.DataArray:
    """A variable in canonical units, without coordinates but time; SCL as stored."""
    if band == CLASSES:
        values = files.raw_variable(member.path, name).astype(np.uint8)
    elif (known := variable_named(name)) and known.product:  # openEO's names mean openEO's integers
        values = physical(files.lazy_variable(member.path, name, missing=(NODATA,)), known, [])
    else:
        values = files.lazy_variable(member.path, name, factor=_factor(member, band, name))
    kept = values.reset_coords(drop=True).drop_vars(["y", "x"]).assign_coords(time=member.times)
    kept.attrs = {}
    return kept


def _factor(member: Member, band: str, name: str) -> float:
    """From the unit of a file to the canonical one."""
    variable = files.open_netcdf(member.path)[name]
    if member.modality == "optical":
        whole_numbers = variable.dtype.kind in "iu" and "scale_factor" not in variable.attrs
        return 1.0 if whole_numbers else REFLECTANCE
    in_metres = re.match(r"m(?![a-z])", str(variable.attrs.get("units", "")))
    is_rain = band == MODALITIES["weather"].band_names[1]
    return 1e-3 if is_rain and not in_metres else 1.0  # AgERA5 gives mm per day


def _on_pixels(values: xr.DataArray, grid: GeoBox, window: Window) -> xr.DataArray:
    """The cell of an image in which each pixel centre lies; missing (0 in SCL) beyond the image."""
    x, y = centres(window.part, window.whole)
    col = np.floor((x - grid.affine.c) / grid.affine.a).astype(int)
    row = np.floor((y - grid.affine.f) / grid.affine.e).astype(int)
    near = values.isel(y=np.clip(row, 0, grid.height - 1), x=np.clip(col, 0, grid.width - 1))
    within_y, within_x = (row >= 0) & (row < grid.height), (col >= 0) & (col < grid.width)
    if within_y.all() and within_x.all():
        return near
    inside = xr.DataArray(within_y, dims="y") & xr.DataArray(within_x, dims="x")
    return near.where(inside, values.dtype.type(0) if values.dtype.kind == "u" else np.nan)


def _at_times(array: xr.DataArray, times: xr.DataArray, band: str) -> xr.DataArray:
    """A band at the dates of the scene classification, missing where it has none."""
    if np.array_equal(array.time.values, times.values):
        return array
    if not (array.indexes["time"].is_unique and times.to_index().is_unique):
        raise SourceError(
            f"{band} has other dates than the scene classification, some of them twice",
            expected="each acquisition once in each file",
            todo="take files that overlap in time apart",
        )
    return array.reindex(time=times)


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


def _one_pass(members: tuple[Member, ...], season: Calendar) -> tuple[dict[str, tuple[Member, ...]], str]:
    """Files by pass direction, and the direction with most passes in the season."""
    by_pass: dict[str, tuple[Member, ...]] = {}
    for member in members:
        by_pass[member.radar_pass] = (*by_pass.get(member.radar_pass, ()), member)
    counts = {name: sum(_dates(one, season) for one in group) for name, group in by_pass.items()}
    return by_pass, max(sorted(counts), key=counts.__getitem__, default="unknown")


def _dates(member: Member, season: Calendar) -> int:
    return int((composite.step_index(member.times, season) >= 0).sum())


def _pass_notes(passes: dict[str, tuple[Member, ...]], chosen: str) -> list[str]:
    others = sorted(set(passes) - {chosen})
    return [f"only {chosen} radar passes are used, not the {' and '.join(others)} ones"] if others else []


def _loss_note(scl: xr.DataArray, recipe: Recipe, season: Calendar, pixel: float) -> str:
    """What growing clouds costs, counted in a central window of large areas."""
    within = scl.isel(time=np.flatnonzero(composite.step_index(scl.time.values, season) >= 0))
    if recipe.cloud_rule != "scl" or not within.sizes["time"]:
        return ""
    centre = {dim: _central(within.sizes[dim]) for dim in ("y", "x")}
    loss = composite.dilation_loss(within.isel(centre), recipe, pixel)
    return f"growing clouds by {recipe.cloud_dilation:g} m removed {loss:.1%} of the clear observations"


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
