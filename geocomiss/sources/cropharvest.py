"""Earth Engine exports in the format of CropHarvest and OpenMapFlow: one GeoTIFF, all steps as bands.

For each step t the bands VV VH B1 B2 ... B12 temperature_2m total_precipitation, named `VV`, then
`VV_1` and so on; last elevation and slope. Twelve steps make 206 bands. The dates stand in the file's
name only. Units are canonical already (precipitation is metres per day). Nothing is masked in these
exports: see `Recipe.screened`. B1 and B10 are not read. Where the slope is NaN (the outer ring) the
pixel has no topography.
"""

import re
from collections import defaultdict
from dataclasses import replace
from datetime import date, timedelta
from pathlib import Path
from typing import Final

import dask.array as da
import xarray as xr
from odc.geo.geobox import GeoBox

from geocomiss.composite import ndvi, ndvi_bands, step_starts
from geocomiss.errors import SourceError
from geocomiss.modalities import MODALITIES, NDVI
from geocomiss.recipes import RECIPES, Recipe
from geocomiss.seasons import DAYS_30, Calendar, add_months
from geocomiss.sources import files, layout
from geocomiss.stack import Origin, assign_grid, new_stack

STEP_BANDS: Final = (
    *MODALITIES["radar"].band_names,
    *("B1", "B2", "B3", "B4", "B5", "B6", "B7", "B8", "B8A", "B9", "B10", "B11", "B12"),
    *MODALITIES["weather"].band_names,
)
"""Bands of each step, in the order of the export; used where the file names no bands."""
STATIC_BANDS: Final = MODALITIES["topography"].band_names
"""Bands after the last step."""
DATES: Final = re.compile(r"(\d{4}-\d{2}-\d{2})_(\d{4}-\d{2}-\d{2})")
"""First day and the day after the last, in the name of the file or of its folder."""

Layout = dict[str, dict[int, int]]
"""Band name -> step -> position in the file, counted from 0. Static bands have step 0 only."""


class CropHarvestSource:
    """A GeoTIFF with a band per quantity and step.

    Args:
        path: The file, named `..._START_END.tif` or `...dates=START_END....tif`.

    Raises:
        SourceError: It is damaged, without dates in its name, or lacks steps of a band.
    """

    simulated = False

    def __init__(self, path: Path) -> None:
        self.name = f"CropHarvest GeoTIFF {path.name}"
        self._path = path
        self._layout = _layout(path)
        self.held: Calendar = _calendar(path, _steps(self._layout, path))
        self.grid: GeoBox = files.tiff_grid(path)

    @staticmethod
    def recognise(path: Path) -> bool:
        """Whether a file is a TIFF with the bands of such an export, by name or by number."""
        if not files.has_format(path, "tiff"):
            return False
        with files.open_tiff(path) as file:
            named = {name for name in file.descriptions if name}
            count = file.count
        if named:
            return len(named & set(STEP_BANDS)) > 1
        return _whole_steps(count)

    @property
    def recipe(self) -> Recipe:
        """Recipe `cropharvest`."""
        recipe = RECIPES["cropharvest"]
        return replace(recipe, step=self.held.step, steps=self.held.number)

    @property
    def bands(self) -> dict[str, tuple[str, ...]]:
        """Bands per modality; NDVI, as the recipe defines it, where its two bands are there."""
        names = set(self._layout)
        if set(ndvi_bands(self.recipe)) <= names:
            names.add(NDVI)
        found = {modality: layout.in_order(modality, names) for modality in MODALITIES}
        return {modality: bands for modality, bands in found.items() if bands}

    def open(self, grid: GeoBox, season: Calendar) -> xr.DataTree:
        """A window of it, cut to a season (see `Source.open`)."""
        pixels = files.lazy_tiff(self._path)
        groups = {name: self._group(name, pixels) for name in self.bands}
        stack = new_stack(groups, Origin(self.name, self.recipe, self.held))
        return layout.part_of(stack, grid, season)

    def _group(self, modality: str, pixels: da.Array) -> xr.Dataset:
        dynamic = MODALITIES[modality].dynamic
        dims = ("time", "y", "x") if dynamic else ("y", "x")
        names = [name for name in self.bands[modality] if name != NDVI]
        steps = range(self.held.number if dynamic else 1)
        where = {name: [self._layout[name][step] for step in steps] for name in names}
        group = xr.Dataset(
            {name: (dims, pixels[at] if dynamic else pixels[at[0]]) for name, at in where.items()},
            coords={"time": step_starts(self.held)} if dynamic else None,
        )
        if NDVI in self.bands[modality]:
            group[NDVI] = ndvi(group, self.recipe)
        return assign_grid(layout.with_count(group) if dynamic else group, self.grid)


def _layout(path: Path) -> Layout:
    """Where each band and step stands, by the names of the bands or, without names, by their number."""
    with files.open_tiff(path) as file:
        names, count = file.descriptions, file.count
    if not any(names):
        names = _default_names(count)
    layout: Layout = defaultdict(dict)
    known = {band for modality in MODALITIES.values() for band in modality.band_names} - {NDVI}
    for position, name in enumerate(names):
        band, _, step = _split(name or "")
        if band in known:
            layout[band].setdefault(int(step or 0), position)
    return dict(layout)


def _split(name: str) -> tuple[str, str, str]:
    """('VV', '_', '3') of 'VV_3'; ('temperature_2m', '', '') of 'temperature_2m'."""
    match = re.fullmatch(r"(.+?)(?:(_)(\d+))?", name)
    return (match[1], match[2] or "", match[3] or "") if match else (name, "", "")


def _default_names(count: int) -> list[str]:
    steps = (count - len(STATIC_BANDS)) // len(STEP_BANDS)
    dynamic = [f"{band}_{step}" for step in range(steps) for band in STEP_BANDS]
    return [*dynamic, *STATIC_BANDS]


def _whole_steps(count: int) -> bool:
    """Whether `count` bands are a whole number of steps and the two static bands."""
    dynamic = count - len(STATIC_BANDS)
    return dynamic > 0 and dynamic % len(STEP_BANDS) == 0


def _steps(layout: Layout, path: Path) -> int:
    """Number of steps, the same for all bands that change over time."""
    static = set(STATIC_BANDS)
    numbers = {band: sorted(steps) for band, steps in layout.items() if band not in static}
    longest = max((len(steps) for steps in numbers.values()), default=0)
    lacking = [band for band, steps in numbers.items() if steps != list(range(longest))]
    if lacking or not longest:
        raise SourceError(
            f"{path.name} lacks steps of {', '.join(lacking) or 'every band'}",
            expected=f"each band once a step, {longest or 'some'} steps, and elevation and slope",
            todo="export it again",
        )
    return longest


def _calendar(path: Path, steps: int) -> Calendar:
    start, end = _dates(path)
    if start + steps * DAYS_30 == end:
        return Calendar(start, "30d", steps)
    if start.day == 1 and add_months(start, steps) == end:
        return Calendar(start, "month", steps)
    raise SourceError(
        f"{path.name} names {(end - start).days} days ({start} to {end}) and holds {steps} steps",
        expected=f"{steps} steps of 30 days, so {steps * 30} days",
        todo=f"correct the dates in the file's name, for example {start}_{start + timedelta(steps * 30)}",
    )


def _dates(path: Path) -> tuple[date, date]:
    """First day and the day after the last, from the file's name, else from its folders'."""
    path = path.absolute()
    for text in (path.stem, path.parent.name, path.parent.parent.name):
        if match := DATES.search(text):
            try:
                return date.fromisoformat(match[1]), date.fromisoformat(match[2])
            except ValueError:
                continue
    raise SourceError(
        f"{path.name} does not say when it was observed",
        expected="START_END in its name, such as '98-togo_2019-02-06_2020-02-01.tif' or "
        "'dates=2019-02-06_2020-02-01'",
        todo="rename it; END is the day after the last one",
    )
