"""WorldCereal's extractions as Parquet: long (a row per point and step) and wide (a row per point).

Stored numbers: reflectance x 10000; backscatter in dB = 20 log10(DN) - 83; temperature DN / 100 in K;
precipitation DN / 1e5 in metres a step, here divided by the days of the step; elevation in metres;
slope in degrees. 65535 is missing, in optical and radar also 0; reflectance above 1.6 is 65535 smeared by
resampling. Long tables date a step by the evening before it (2016-12-31 23:00 is January 2017); a
wide table has 30-day steps from `start_date`.

N samples, T steps, C channels.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import date, timedelta
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from geocomiss.errors import SampleError
from geocomiss.modalities import MODALITIES, NDVI, NIR, RED
from geocomiss.recipes import RECIPES
from geocomiss.samples.contents import Contents
from geocomiss.samples.files import sha256_of
from geocomiss.samples.parquet import as_column, nearest_days, plain_array, read_columns, schema_of
from geocomiss.samples.series import PRECIPITATION, per_day, series_of
from geocomiss.samples.steps import Steps, steps_from, thirty_day_steps
from geocomiss.seasons import add_months
from geocomiss.worldcereal import HIGHEST_REFLECTANCE, NODATA, backscatter

Floats = NDArray[np.float32]

OPTICAL: Final = re.compile(r"(?:S2-L2A-|OPTICAL-)B0?(\d{1,2}A?)")
RADAR: Final = re.compile(r"(?:S1-SIGMA0-|SAR-)(V[VH])")
WEATHER: Final = re.compile(r"(?:AGERA5|METEO)-(?:(temperature.mean|TMEAN)|(?:precipitation.flux|PRECIP))")
TERRAIN: Final = re.compile(r"(?:COP-?)?(?:DEM-)?(?:(alt|elevation)|(?:slo|slope))")
WIDE: Final = re.compile(r"(.+?)(?:-ts(\d+))?(?:-\d+m)?")
"""Quantity, step where there are several, resolution."""
TIME: Final = "timestamp"
POINT: Final = "sample_id"
PLACE: Final = ("lat", "lon")
NOT_COLUMNS: Final = (*PLACE, TIME, "geometry", "index", "__index_level_0__")


@dataclass(frozen=True)
class Channel:
    """What one column of a file holds."""

    band: str
    """Canonical band."""
    step: int | None
    """Step from 0 on in a wide table; None where a column is not of a single step."""


def recognise_long(path: Path) -> bool:
    """Whether a file is Parquet with a row per point and time, and channels of this naming."""
    schema = schema_of(path)
    return schema is not None and {TIME, POINT} <= set(schema.names) and bool(_channels(schema.names))


def recognise_wide(path: Path) -> bool:
    """Whether a file is Parquet with a column per channel and step."""
    schema = schema_of(path)
    return schema is not None and any(c.step is not None for c in _channels(schema.names).values())


def read_long(path: Path) -> Contents:
    """Read a table with a row per point and step.

    Points are ordered by their id. All have the steps from the first to the last of the file;
    those without a row are missing.

    Raises:
        SampleError: Dates, points or units that cannot be used.
    """
    arrays = _arrays(path, (*PLACE, POINT, TIME))
    points, first, row = np.unique(arrays[POINT], return_index=True, return_inverse=True)
    days = nearest_days(arrays[TIME])
    times = _times(path, days)
    step = np.searchsorted(np.array(times, "datetime64[D]"), days)
    if np.unique(row * len(times) + step).size < row.size:
        raise _unusable(path, f"holds points of which a step has several rows ({row.size} rows)")
    channels = _channels(arrays)
    cube = np.full((len(points), len(times), len(channels)), np.nan)
    for place, (name, channel) in enumerate(channels.items()):
        cube[row, step, place] = _decoded(channel.band, arrays[name])
    steps = steps_from(times, len(points))
    constant = {name: column for name, column in arrays.items() if _is_constant(column, first, row)}
    rows = {name: column[first] for name, column in constant.items() if name not in channels}
    return _contents(path, cube.astype(np.float32), [c.band for c in channels.values()], steps, rows)


def read_wide(path: Path) -> Contents:
    """Read a table with a row per point.

    Raises:
        SampleError: Steps, dates or units that cannot be used.
    """
    arrays = _arrays(path, (*PLACE, "start_date"))
    channels = _channels(arrays)
    bands = list(dict.fromkeys(channel.band for channel in channels.values()))
    number = 1 + max(channel.step or 0 for channel in channels.values())
    cube = np.full((len(arrays["lat"]), number, len(bands)), np.nan)
    for name, channel in channels.items():
        at = slice(None) if channel.step is None else slice(channel.step, channel.step + 1)
        cube[:, at, bands.index(channel.band)] = _decoded(channel.band, arrays[name])[:, None]
    steps = thirty_day_steps(_days(path, arrays["start_date"]), number)
    rows = {name: column for name, column in arrays.items() if name not in channels}
    return _contents(path, cube.astype(np.float32), bands, steps, rows)


def _contents(
    path: Path, cube: Floats, bands: list[str], steps: Steps, rows: Mapping[str, NDArray[Any]]
) -> Contents:
    """From decoded channels, with NDVI and precipitation a day."""
    if PRECIPITATION in bands:
        column = bands.index(PRECIPITATION)
        cube[..., column] = per_day(path, "m per step", cube[..., column], steps)
    if {RED, NIR} <= set(bands):
        index = _index(cube[..., bands.index(NIR)], cube[..., bands.index(RED)])
        cube, bands = np.concatenate([cube, index[..., None]], -1), [*bands, NDVI]
    values, found = series_of(path, cube, bands)
    lat, lon = (_degrees(path, rows, name, limit) for name, limit in zip(PLACE, (90, 180), strict=True))
    columns = {name: as_column(column) for name, column in rows.items() if name not in NOT_COLUMNS}
    thirty = steps.days is not None and bool((steps.days == 30).all())
    recipe = replace(RECIPES["monthly-l2a"], step="30d" if thirty else "month")
    return Contents(path.stem, sha256_of(path), values, found, steps, lat, lon, columns, recipe)


def _index(nir: Floats, red: Floats) -> Floats:
    """Normalised difference vegetation index (N, T): (B8 - B4) / (B8 + B4)."""
    return np.asarray((nir - red) / (nir + red), np.float32)


def _decoded(band: str, stored: NDArray[Any]) -> NDArray[np.float64]:
    """Canonical units (precipitation: metres a step) from stored numbers, NaN where missing."""
    numbers = np.where(stored == NODATA, np.nan, stored.astype(np.float64))
    if band in MODALITIES["optical"].band_names:
        return np.where((numbers > 0) & (numbers <= HIGHEST_REFLECTANCE), numbers, np.nan)
    if band in MODALITIES["radar"].band_names:
        return backscatter(numbers)
    if band in MODALITIES["weather"].band_names:
        return numbers / (1e5 if band == PRECIPITATION else 100)
    return numbers


def _channels(names: Any) -> dict[str, Channel]:
    """The columns that hold a band, by name; the first of a band and step."""
    found = {str(name): channel for name in names if (channel := _channel(str(name)))}
    firsts = {channel: name for name, channel in reversed(found.items())}
    return {name: channel for name, channel in found.items() if firsts[channel] == name}


def _channel(name: str) -> Channel | None:
    match = WIDE.fullmatch(name)
    band = _band(match[1]) if match else None
    return Channel(band, int(match[2]) if match[2] else None) if match and band else None


def _band(quantity: str) -> str | None:
    """Canonical band of a quantity, or None where it means nothing to us (B1, labels, places)."""
    if match := OPTICAL.fullmatch(quantity):
        name = f"B{match[1]}"
        return name if name in MODALITIES["optical"].band_names else None
    if match := RADAR.fullmatch(quantity):
        return match[1]
    for pattern, modality in ((WEATHER, "weather"), (TERRAIN, "topography")):
        if match := pattern.fullmatch(quantity):
            return MODALITIES[modality].band_names[0 if match[1] else 1]
    return None


def _arrays(path: Path, needed: tuple[str, ...]) -> dict[str, NDArray[Any]]:
    """All columns with one value a row. Raises SampleError where a needed one is missing."""
    read = read_columns(path)
    if missing := [name for name in needed if name not in read]:
        raise _unusable(path, f"has no column {', '.join(missing)}")
    arrays = {name: plain_array(column) for name, column in read.items()}
    found = {name: array for name, array in arrays.items() if array is not None}
    if not len(found.get(needed[0], ())):
        raise _unusable(path, "has no rows")
    if TIME in needed and (found[TIME].dtype.kind != "M" or np.isnat(found[TIME]).any()):
        raise _unusable(path, f"has a column {TIME} that holds no times, or not everywhere")
    if wrong := [name for name in _channels(found) if found[name].dtype.kind not in "fiub"]:
        raise _unusable(path, f"has columns {', '.join(wrong)} that hold no numbers")
    return found


def _times(path: Path, days: NDArray[np.datetime64]) -> list[date]:
    """First days of all steps from the first to the last: months, or dekads.

    Raises:
        SampleError: The days begin neither months nor dekads.
    """
    present: list[date] = np.unique(days).tolist()
    beginnings = {day.day for day in present}
    if not beginnings <= {1, 11, 21}:
        raise _unusable(path, f"has rows of {len(present)} days such as {present[0]} and {present[-1]}")
    steps, day = [], present[0]
    while day <= present[-1]:
        steps.append(day)
        last_third = day.day == 21 or beginnings == {1}
        day = add_months(day, 1) if last_third else day + timedelta(days=10)
    return steps


def _days(path: Path, texts: NDArray[Any]) -> NDArray[np.datetime64]:
    if texts.dtype.kind == "M":
        return nearest_days(texts)
    try:
        return np.array([date.fromisoformat(str(text)[:10]) for text in texts], "datetime64[D]")
    except ValueError as error:
        raise _unusable(path, f"has a start_date that cannot be read ({error})") from error


def _is_constant(column: NDArray[Any], first: NDArray[np.int64], row: NDArray[np.int64]) -> bool:
    """Whether all rows of each point say the same."""
    expected = column[first][row]
    same = column == expected
    if column.dtype.kind in "fM":
        same |= np.isnan(column) & np.isnan(expected)
    return bool(same.all())


def _degrees(path: Path, rows: Mapping[str, NDArray[Any]], name: str, limit: int) -> NDArray[np.float64]:
    if name not in rows or rows[name].dtype.kind not in "fiu" or not (np.abs(rows[name]) <= limit).all():
        raise _unusable(path, f"has {name} that is not one number within -{limit}..{limit} per point")
    return rows[name].astype(np.float64)


def _unusable(path: Path, why: str) -> SampleError:
    return SampleError(
        f"the samples table {path} {why}",
        expected="a long table with sample_id, timestamp (months or dekads), lat and lon, one row a point "
        "and step; or a wide one with start_date, lat and lon",
        todo="check --samples",
    )
