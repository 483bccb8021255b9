"""Weather from a user's file: ERA5, ERA5-Land or AgERA5 as the Climate Data Store names and stores it.

NetCDF, Zarr, or GRIB where cfgrib is installed. Whatever the file's time step, days are made first:

* temperature: the mean of a day's values;
* precipitation of ERA5, hourly: 24 times the mean of a day's hours, each stamped with its end, so that the
  value at 00:00 belongs to the day before;
* precipitation of ERA5-Land, hourly: accumulated since 00:00, so that a day's total stands at 00:00 of the
  next day;
* daily files: as they are; monthly means: the same every day of the month (their precipitation is per day).

Documented at https://confluence.ecmwf.int/display/CKB/ERA5-Land%3A+data+documentation and
https://confluence.ecmwf.int/pages/viewpage.action?pageId=197702790 (ERA5: conversion of accumulations).
"""

import re
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

import numpy as np
import xarray as xr
from affine import Affine
from odc.geo import CRS
from odc.geo.geobox import GeoBox

from geocomiss.composite import composite_weather, step_starts
from geocomiss.errors import SourceError
from geocomiss.modalities import MODALITIES
from geocomiss.recipes import RECIPES, Recipe
from geocomiss.seasons import Calendar
from geocomiss.sources import files
from geocomiss.stack import COUNT, Origin, assign_grid, new_stack

TEMPERATURE: Final = re.compile(r"t2m|2t|2m_temperature|temperature_2m|temperature_air_2m_mean(_24h)?", re.I)
PRECIPITATION: Final = re.compile(r"tp|total_precipitation(_hourly|_sum)?|precipitation_flux", re.I)
DIMENSIONS: Final = {"valid_time": "time", "lat": "latitude", "lon": "longitude"}
"""Other names of the dimensions."""
ZERO_CELSIUS: Final = 273.15
METRES: Final = {"m": 1.0, "mm": 1e-3, "kg": 1e-3}
"""Metres of water in the first word of a unit: a kilogram on a square metre is a millimetre."""
FINE: Final = 0.15
"""Degrees between cells below which hourly data are of ERA5-Land (0.1), not ERA5 (0.25)."""
HOUR: Final = np.timedelta64(1, "h")
DAY: Final = np.timedelta64(1, "D")
HOURS_A_DAY: Final = 24
CELLS: Final = 2
"""Cells beyond the area that are read."""
GRIB: Final = b"GRIB"
"""Begins each field of a file of that kind."""


class WeatherSource:
    """Temperature and precipitation from a file. Implements `Source`, for weather alone.

    Args:
        path: NetCDF or GRIB file, or Zarr folder.
        recipe: What the model wants.

    Raises:
        SourceError: It cannot be read, or holds neither quantity.
    """

    simulated = False
    grid = None
    held = None

    def __init__(self, path: Path, recipe: Recipe | None = None) -> None:
        self.name = f"weather {path.name}"
        self._path = path
        data = _opened(path)
        self._variables = _variables(data, path)
        self._data = _tidy(data[list(self._variables.values())], path)
        self._step = _time_step(self._data, path)
        self.recipe: Recipe = replace(recipe or RECIPES["monthly-l2a"], weather_product=self._product())

    @property
    def bands(self) -> dict[str, tuple[str, ...]]:
        """What the file holds of weather."""
        return {"weather": tuple(b for b in MODALITIES["weather"].band_names if b in self._variables)}

    def open(self, grid: GeoBox, season: Calendar) -> xr.DataTree:
        """The weather of the cells around a grid; steps that the file does not reach are missing.

        Raises:
            SourceError: The file holds nothing of the area or the season.
        """
        cells = self._around(grid)
        own = _grid_of(cells)
        parts = [self._days(cells, month) for month in _months(season)]
        held = [part for part in parts if part.sizes["time"]]
        if not held:
            raise self._elsewhere(f"no day of {season}", "weather of the season")
        daily = xr.concat(held, "time").drop_vars(["latitude", "longitude"])
        daily = daily.rename(latitude="y", longitude="x").transpose("time", "y", "x")
        group = composite_weather(daily, season, self.recipe).assign_coords(time=step_starts(season))
        empty = int((group[COUNT].max(("y", "x")) == 0).sum())
        notes = (f"{self.name} holds no day of {empty} of {season.number} steps",) if empty else ()
        groups = {"weather": assign_grid(group.chunk(), own)}
        return new_stack(groups, Origin(self.name, self.recipe, season, notes=notes))

    def _around(self, grid: GeoBox) -> xr.Dataset:
        """The cells that a grid meets, and some more on each side; north up, longitudes from -180."""
        box = grid.extent.to_crs("EPSG:4326", resolution=grid.extent.boundingbox.span_x / 16).boundingbox
        cells = self._data
        for name, low, high in (("longitude", box.left, box.right), ("latitude", box.bottom, box.top)):
            size = _spacing(cells[name].values, self._path) * CELLS
            within = (cells[name] > low - size) & (cells[name] < high + size)
            cells = cells.isel({name: np.flatnonzero(within.values)})
            if cells.sizes[name] < 2:
                raise self._elsewhere(f"no cell around {name} {low:.2f} to {high:.2f}", "weather of the area")
        return cells

    def _days(self, cells: xr.Dataset, month: Calendar) -> xr.Dataset:
        """Daily means in canonical units of a month; nothing where the file does not reach."""
        first, end = (np.datetime64(day, "ns") for day in month.edges())
        if self._step > 20 * DAY:
            first = first.astype("datetime64[M]").astype("datetime64[ns]")
            held = cells.sel(time=slice(first, end - HOUR)).load()
            days = np.arange(*(np.datetime64(day, "D") for day in month.edges())).astype("datetime64[ns]")
            held = held.reindex(time=days, method="ffill", tolerance="31D") if held.sizes["time"] else held
        else:
            held = cells.sel(time=slice(first, end)).load()
        return xr.Dataset(
            {band: self._daily(held[name], band, first, end) for band, name in self._variables.items()}
        )

    def _daily(self, values: xr.DataArray, band: str, first: Any, end: Any) -> xr.DataArray:
        rain = band == MODALITIES["weather"].band_names[1]
        known = _in_metres(values, self._path) if rain else _in_kelvin(values, self._path)
        if self._step < DAY and values.sizes["time"]:
            known = self._summed(known, first) if rain else known.resample(time="1D").mean()
        within = (known.time >= first) & (known.time < end)
        return known.isel(time=np.flatnonzero(within.values)).astype(np.float32)

    def _summed(self, hours: xr.DataArray, first: Any) -> xr.DataArray:
        """Metres a day: at 00:00 stands what fell the day before."""
        moved = hours.assign_coords(time=hours.time.values - HOUR)
        moved = moved.isel(time=np.flatnonzero(moved.time.values >= first))
        if not moved.sizes["time"]:
            return moved
        if self._accumulates:
            ends = moved.isel(time=np.flatnonzero(moved.time.dt.hour.values == 23))
            return ends.assign_coords(time=ends.time.dt.floor("D").values)
        return moved.resample(time="1D").mean() * np.float32(HOURS_A_DAY)

    @property
    def _accumulates(self) -> bool:
        """Whether hourly precipitation is counted since midnight, as in ERA5-Land."""
        return bool(self._step < DAY) and _spacing(self._data.longitude.values, self._path) < FINE

    def _product(self) -> str:
        """ERA5, ERA5-Land or AgERA5, by the names of variables and the size of cells."""
        if any("24h" in name or "flux" in name.lower() for name in self._variables.values()):
            return "AgERA5"
        return "ERA5-Land" if _spacing(self._data.longitude.values, self._path) < FINE else "ERA5"

    def _elsewhere(self, found: str, expected: str) -> SourceError:
        return SourceError(
            f"{self._path.name} holds {found}", expected=expected, todo="download it for this area and season"
        )


def _opened(path: Path) -> xr.Dataset:
    """The file, lazily, decoded."""
    if not path.exists():
        raise SourceError(f"the weather file {path} does not exist", expected="a file", todo="check the path")
    try:
        if path.is_dir():
            stored: xr.Dataset = xr.open_zarr(path, consolidated=None, chunks=None)
            return stored
        if _is_grib(path):
            return _opened_grib(path)
        return xr.open_dataset(path, engine="netcdf4" if files.has_format(path, "netcdf") else None)
    except (OSError, ValueError, KeyError, RuntimeError) as error:
        raise files.damaged(path, error) from error


def _opened_grib(path: Path) -> xr.Dataset:
    """GRIB by cfgrib, whose quantities of one file may lie on axes of their own."""
    try:
        import cfgrib  # optional: it brings a library of ECMWF
        from eccodes import CodesInternalError
    except (ImportError, RuntimeError) as error:  # RuntimeError: its library is not there
        raise SourceError(
            f"{path.name} is GRIB, and cfgrib is not installed",
            expected="cfgrib, or the same data as NetCDF",
            todo='pip install "geocomiss[grib]", or download NetCDF from the Climate Data Store',
        ) from error
    # no index beside a user's file; what is damaged is not passed over
    options = {"indexpath": "", "errors": "raise"}
    try:
        parts = [_stamped(part) for part in cfgrib.open_datasets(str(path), backend_kwargs=options)]
    except (EOFError, CodesInternalError, cfgrib.DatasetBuildError) as error:
        raise files.damaged(path, error) from error
    merged: xr.Dataset = xr.merge(parts, compat="override", join="outer")
    return merged


def _is_grib(path: Path) -> bool:
    """By its first bytes, whatever its name."""
    with path.open("rb") as file:
        return file.read(len(GRIB)) == GRIB


def _stamped(part: xr.Dataset) -> xr.Dataset:
    """GRIB's run and step as one axis of valid times."""
    axes = tuple(name for name in ("time", "step") if name in part.dims)
    part = part.stack(moment=axes).reset_index("moment", drop=True).set_coords("valid_time")
    part = part.drop_vars(["time", "step"], errors="ignore")
    return part.swap_dims(moment="valid_time").drop_vars("moment", errors="ignore").rename(valid_time="time")


def _variables(data: xr.Dataset, path: Path) -> dict[str, str]:
    """Canonical band -> name in the file."""
    patterns = zip(MODALITIES["weather"].band_names, (TEMPERATURE, PRECIPITATION), strict=True)
    found = {
        band: [str(n) for n in data.data_vars if pattern.fullmatch(str(n))] for band, pattern in patterns
    }
    if not any(found.values()):
        raise SourceError(
            f"{path.name} holds {', '.join(map(str, data.data_vars)) or 'nothing'}",
            expected="t2m (2 m temperature) and tp (total precipitation), as the CDS names them",
            todo="download these two variables",
        )
    return {band: names[0] for band, names in found.items() if names}


def _tidy(data: xr.Dataset, path: Path) -> xr.Dataset:
    """Dimensions time, latitude (north first), longitude (-180 to 180); one version of each hour."""
    data = data.rename(
        {old: new for old, new in DIMENSIONS.items() if old in data.dims and new not in data.dims}
    )
    if "expver" in data.dims:  # final data and the newest preliminary ones, each NaN where the other is
        data = data.ffill("expver").isel(expver=-1)
    extra = [name for name in data.dims if name not in ("time", "latitude", "longitude")]
    data = data.isel({name: 0 for name in extra})
    if missing := [name for name in ("time", "latitude", "longitude") if name not in data.dims]:
        raise SourceError(
            f"{path.name} has no dimension {' and '.join(missing)}",
            expected="time, latitude and longitude, as the Climate Data Store stores them",
            todo="download it again as it is",
        )
    data = data.drop_vars([name for name in data.coords if name not in data.dims])
    data = data.assign_coords(longitude=(data.longitude.values + 180) % 360 - 180)
    return data.sortby("longitude").sortby("latitude", ascending=False).sortby("time")


def _time_step(data: xr.Dataset, path: Path) -> np.timedelta64:
    times = data.time.values
    if times.size < 2 or not np.issubdtype(times.dtype, np.datetime64):
        raise SourceError(
            f"{path.name} holds {times.size} moments in time",
            expected="a series of dates",
            todo="add more days",
        )
    step: np.timedelta64 = np.median(np.diff(times).astype("timedelta64[s]").astype(np.int64)).astype(
        "timedelta64[s]"
    )
    return step


def _spacing(values: Any, path: Path) -> float:
    """Degrees between cells, even within a thousandth."""
    steps = np.abs(np.diff(np.asarray(values, np.float64)))
    if not steps.size or steps.max() - steps.min() > max(1e-3, 0.01 * steps.min()):
        raise SourceError(
            f"{path.name} has cells at uneven distances",
            expected="a regular grid",
            todo="download it as it is",
        )
    return float(np.median(steps))


def _grid_of(cells: xr.Dataset) -> GeoBox:
    x, y = (np.asarray(cells[name].values, np.float64) for name in ("longitude", "latitude"))
    width, height = (abs(each[-1] - each[0]) / (each.size - 1) for each in (x, y))
    affine = Affine(width, 0, x[0] - width / 2, 0, -height, y[0] + height / 2)
    return GeoBox((y.size, x.size), affine, CRS("EPSG:4326"))


def _months(season: Calendar) -> list[Calendar]:
    """The steps one by one: an hourly year is never held as a whole."""
    return [Calendar(edge, season.step, 1) for edge in season.edges()[:-1]]


def _in_kelvin(values: xr.DataArray, path: Path) -> xr.DataArray:
    unit = str(values.attrs.get("units", "K")).strip().lower()
    if unit in ("k", "kelvin"):
        return values
    if unit in ("c", "degc", "°c", "celsius", "degrees_celsius", "degree_celsius"):
        return values + ZERO_CELSIUS
    raise _unit(path, values, unit, "K or degC")


def _in_metres(values: xr.DataArray, path: Path) -> xr.DataArray:
    unit = str(values.attrs.get("units", "m")).strip().lower()
    first = re.match(r"[a-z]+", unit)
    if first is None or first[0] not in METRES or re.search(r"s\**-1|/ ?s\b", unit):
        raise _unit(path, values, unit, "m, mm or kg m**-2")
    return values * METRES[first[0]]


def _unit(path: Path, values: xr.DataArray, unit: str, expected: str) -> SourceError:
    return SourceError(
        f"{path.name} gives {values.name} in {unit!r}",
        expected=expected,
        todo="convert it, or correct `units`",
    )
