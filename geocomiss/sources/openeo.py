"""Monthly composites as WorldCereal's openEO pipeline writes them: NetCDF with scaled integers.

Two naming schemes are in use (`S2-L2A-B02`, `S1-SIGMA0-VV`, `AGERA5-TMEAN` and `B2`, `VV`,
`temperature_2m`), with one scaling: reflectance x 10000; backscatter in dB = 20 log10(DN) - 83;
temperature DN / 100 in K; precipitation DN / 1e5 in metres per month, here divided by the days of
the month; elevation in metres; slope in whole degrees (the slope of the delivered elevation has the
same mean in degrees, about half of it in per cent). 65535 is missing whether or not the file says so.
Such files do not tell how many observations lie behind a step, nor the radar's pass direction.
"""

import re
from dataclasses import dataclass, replace
from datetime import date
from pathlib import Path
from typing import Final

import numpy as np
import xarray as xr
from odc.geo.geobox import GeoBox

from geocomiss.composite import ndvi, ndvi_bands, step_starts
from geocomiss.errors import SourceError, StackError
from geocomiss.grid import window_in
from geocomiss.modalities import MODALITIES, NDVI
from geocomiss.recipes import RECIPES, Recipe
from geocomiss.seasons import Calendar, add_months
from geocomiss.sources import files, layout
from geocomiss.stack import MAX_OUTSIDE, Origin, assign_grid, new_stack
from geocomiss.worldcereal import HIGHEST_REFLECTANCE, NODATA, backscatter

SAMPLE: Final = 96
"""Pixels a side of the window in which the unit of reflectance is looked at."""
OPTICAL: Final = re.compile(r"(?:S2-(L\d[AC])-)?B0?(\d{1,2}A?)")
RADAR: Final = re.compile(r"(?:S1-(SIGMA0|GAMMA0)-)?(VV|VH)")
WEATHER: Final = {"AGERA5-TMEAN": 0, "AGERA5-PRECIP": 1} | {
    name: i for i, name in enumerate(MODALITIES["weather"].band_names)
}
"""Position among the bands of weather."""
TERRAIN: Final = re.compile(r"(?:COP-?DEM-)?(" + "|".join(MODALITIES["topography"].band_names) + ")", re.I)


@dataclass(frozen=True)
class Variable:
    """What a variable of the file holds."""

    name: str
    """Its name in the file."""
    modality: str
    """Modality it belongs to."""
    band: str
    """Canonical band."""
    product: str = ""
    """Level or product where the name tells: 'L2A', 'sigma0'."""


class OpenEOSource:
    """A NetCDF file of monthly composites.

    Args:
        path: The file.

    Raises:
        SourceError: It is damaged, without georeferencing, or holds dates other than first days of
            months.
    """

    simulated = False

    def __init__(self, path: Path) -> None:
        self.name = f"openEO NetCDF {path.name}"
        self._path = path
        self._variables = variables_of(files.open_netcdf(path))
        self._months = _months(path)
        self.grid: GeoBox = files.netcdf_grid(path)

    @staticmethod
    def recognise(path: Path) -> bool:
        """Whether a file is NetCDF with a dimension `t` and variables of a known naming scheme."""
        if not files.has_format(path, "netcdf"):
            return False
        dataset = files.open_netcdf(path)
        has_axes = {"y", "x"} <= set(dataset.dims) and any(name in dataset.dims for name in ("t", "time"))
        return has_axes and bool(variables_of(dataset))

    @property
    def recipe(self) -> Recipe:
        """`monthly-l2a`, with the level and product that the variables' names state."""
        told = {item.modality: item.product for item in self._variables if item.product}
        recipe = RECIPES["monthly-l2a"]
        return replace(
            recipe,
            s2_level=told.get("optical", recipe.s2_level),
            s1_product=told.get("radar", recipe.s1_product),
        )

    @property
    def bands(self) -> dict[str, tuple[str, ...]]:
        """Bands per modality; NDVI where its two bands are there."""
        found = {name: [v.band for v in self._variables if v.modality == name] for name in MODALITIES}
        if set(ndvi_bands(self.recipe)) <= set(found["optical"]):
            found["optical"].append(NDVI)
        return {name: layout.in_order(name, bands) for name, bands in found.items() if bands}

    @property
    def held(self) -> Calendar:
        """From its first to its last month."""
        first, last = min(self._months), max(self._months)
        number = (last.year - first.year) * 12 + last.month - first.month + 1
        return Calendar(first, "month", number)

    def open(self, grid: GeoBox, season: Calendar) -> xr.DataTree:
        """A window of it, cut to a season (see `Source.open`).

        Raises:
            StackError: Reflectance is not x 10000.
        """
        self._check_reflectance(grid)
        groups = {name: self._group(name) for name in self.bands}
        return layout.part_of(new_stack(groups, self._origin()), grid, season)

    def _check_reflectance(self, grid: GeoBox) -> None:
        """Values smeared next to nodata are few; many too high ones are another unit."""
        y, x = (_middle(part) for part in window_in(grid, self.grid))
        for item in self._variables:
            if item.modality != "optical":
                continue
            raw = files.lazy_variable(self._path, item.name, missing=(NODATA,))
            values = raw.isel(y=y, x=x).values
            known = values[np.isfinite(values)]
            high = known > HIGHEST_REFLECTANCE
            if known.size and high.mean() > MAX_OUTSIDE:
                raise StackError(
                    f"optical: {high.mean():.0%} of the values of {item.name} in {self._path.name} lie above "
                    f"{HIGHEST_REFLECTANCE:,.0f} (median {np.median(known):,.0f})",
                    expected="reflectance x 10000",
                    todo="convert the file to this unit",
                )

    def _origin(self) -> Origin:
        absent = self.held.number - len(self._months)
        notes = (f"{absent} months between the first and the last are not in the file",) if absent else ()
        return Origin(self.name, self.recipe, self.held, notes=notes)

    def _group(self, modality: str) -> xr.Dataset:
        dynamic = MODALITIES[modality].dynamic
        members = [item for item in self._variables if item.modality == modality]
        group = xr.Dataset({item.band: self._band(item, dynamic=dynamic) for item in members})
        if modality == "optical" and NDVI in self.bands[modality]:
            group[NDVI] = ndvi(group, self.recipe)
        group = group[list(self.bands[modality])]
        return assign_grid(layout.with_count(group) if dynamic else group, self.grid)

    def _band(self, item: Variable, *, dynamic: bool) -> xr.DataArray:
        raw = files.lazy_variable(self._path, item.name, missing=(NODATA,)).reset_coords(drop=True)
        raw.attrs = {}
        if not dynamic:
            return raw.isel(time=0, drop=True) if "time" in raw.dims else raw
        values = physical(raw, item, self._months)
        starts = step_starts(self.held)
        dated = values.assign_coords(time=np.array(self._months, "datetime64[ns]")).sortby("time")
        return dated if dated.sizes["time"] == starts.size else dated.reindex(time=starts)


def _middle(span: slice) -> slice:
    """The middle of a span of pixels, at most `SAMPLE` long."""
    start = max(span.start, (span.start + span.stop - SAMPLE) // 2)
    return slice(start, min(span.stop, start + SAMPLE))


def variables_of(dataset: xr.Dataset) -> tuple[Variable, ...]:
    """The variables whose names are understood, one per band."""
    found = (known for name in dataset.data_vars if (known := variable_named(str(name))))
    spatial = [item for item in found if {"y", "x"} <= set(dataset[item.name].dims)]
    timed = [i for i in spatial if not MODALITIES[i.modality].dynamic or files.time_dim(dataset[i.name])]
    return tuple({(item.modality, item.band): item for item in timed}.values())


def variable_named(name: str) -> Variable | None:
    """What a name means, or None where it means nothing to us (SCL, B1, coordinates)."""
    if match := OPTICAL.fullmatch(name):
        product, band = match[1] or "", f"B{match[2]}"
        return Variable(name, "optical", band, product) if _is_band("optical", band) else None
    if match := RADAR.fullmatch(name):
        return Variable(name, "radar", match[2], (match[1] or "").lower())
    if name in WEATHER:
        return Variable(name, "weather", MODALITIES["weather"].band_names[WEATHER[name]])
    if match := TERRAIN.fullmatch(name):
        return Variable(name, "topography", match[1].lower())
    return None


def _is_band(modality: str, name: str) -> bool:
    return name in MODALITIES[modality].band_names


def physical(raw: xr.DataArray, item: Variable, months: list[date]) -> xr.DataArray:
    """Canonical units from stored numbers: `(time, y, x)` float32."""
    if item.modality == "optical":
        return raw.where(raw <= HIGHEST_REFLECTANCE)
    if item.modality == "radar":
        wide = raw.astype(np.float64)
        decibels: xr.DataArray = xr.apply_ufunc(
            backscatter, wide, dask="parallelized", output_dtypes=[np.float64]
        )
        return decibels.astype(np.float32)
    if item.band == MODALITIES["weather"].band_names[0]:
        return raw / np.float32(100)
    days = [(add_months(month, 1) - month).days for month in months]
    per_day = xr.DataArray(1.0 / (1e5 * np.array(days)), dims="time")
    return (raw * per_day).astype(np.float32)


def _months(path: Path) -> list[date]:
    """First days of the months held, as the file orders them."""
    dataset = files.open_netcdf(path)
    times = dataset[files.time_dim(dataset)].values
    if not np.issubdtype(times.dtype, np.datetime64) or not times.size:
        raise SourceError(
            f"{path.name} has no dates along its time axis",
            expected="the first day of a month for each step",
            todo="export it again with a dated time axis",
        )
    days: list[date] = times.astype("datetime64[D]").tolist()
    if any(day.day != 1 for day in days) or len(set(days)) < len(days):
        raise SourceError(
            f"{path.name} holds {len(days)} single dates ({min(days)} to {max(days)}), no monthly composites",
            expected="one step a month, dated by its first day",
            todo="composite it by month first, or give a folder of raw acquisitions with SCL",
        )
    return days
