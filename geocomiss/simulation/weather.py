"""Climate by place, and daily weather on the 0.1 degree cells of a global EPSG:4326 grid."""

from dataclasses import dataclass
from datetime import date
from math import cos, pi
from typing import Final

import numpy as np
from numpy.typing import NDArray

from geocomiss.simulation.noise import Lattice, hashed, normal, stream
from geocomiss.simulation.places import Places, places_at
from geocomiss.simulation.terrain import elevation

Floats = NDArray[np.float32]
Ints = NDArray[np.int64]
Doubles = NDArray[np.float64]

CELLS_A_DEGREE: Final = 10
"""Weather cells a degree."""
YEAR: Final = 365.25
COLDEST_DAY: Final = 20
"""Day of the year of the coldest day in the north; half a year later in the south."""
LAPSE: Final = 0.0055
"""Kelvin that a metre of height costs."""
CLIMATE_CELL: Final = 500_000.0
RAIN_FROM: Final = 0.5
"""Rain falls where normal noise exceeds this: on 31 % of the days."""
RAIN_MEAN: Final = 0.19780
"""Mean of max(0, n - 0.5) for normal n."""
MEMORY_DAYS: Final = 20
"""Days of rain and temperature that soil and snow remember."""
DRYING: Final = 0.87
"""Share of its water that soil keeps from one day to the next."""
HALF_WET: Final = 0.012
"""Metres of remembered rain at which soil is half way to its wettest."""
SNOW_BELOW: Final = 270.5
"""Mean temperature of the last days, in kelvin, below which snow lies."""


@dataclass(frozen=True)
class Climate:
    """What is typical of places, of one shape."""

    mean: Floats
    """Mean temperature of the year in kelvin."""
    amplitude: Floats
    """Half the difference between the warmest and the coldest day, in kelvin."""
    rain: Floats
    """Mean precipitation in metres per day."""
    southern: NDArray[np.bool_]
    """Whether seasons are those of the southern hemisphere."""

    @property
    def summer(self) -> Floats:
        """Typical temperature of the growing season in kelvin."""
        return self.mean + np.float32(0.7) * self.amplitude


@dataclass(frozen=True)
class Days:
    """Daily weather of U cells."""

    first: int
    """Ordinal of the first day."""
    temperature: Floats
    """Mean of the day in kelvin, (D, U)."""
    rain: Floats
    """Precipitation in metres per day, (D, U)."""


def climate(seed: int, places: Places, height: Floats) -> Climate:
    """The climate of places at a height in metres."""
    lat = places.lat.astype(np.float32)
    warm = Lattice(places.xyz, CLIMATE_CELL).normal(stream(seed, "warm"))
    inland = Lattice(places.xyz, CLIMATE_CELL).normal(stream(seed, "inland"))
    wet = np.clip(Lattice(places.xyz, CLIMATE_CELL / 2).normal(stream(seed, "wet")), -2.2, 2.2)
    mean = np.float32(300.5) - np.float32(0.0076) * lat * lat + np.float32(1.8) * warm
    swing = np.float32(1.5) + np.float32(0.19) * np.abs(lat)
    swing = swing * (1 + np.float32(0.18) * inland) * np.where(lat < 0, np.float32(0.75), np.float32(1))
    rain = np.float32(1e-3) * (np.float32(2.2) + np.float32(0.95) * wet + np.float32(0.22) * wet * wet)
    return Climate(mean - np.float32(LAPSE) * height, swing, rain, lat < 0)


def cells_at(places: Places) -> tuple[Ints, Ints]:
    """Row (from the equator north) and column (from Greenwich east) of each place's weather cell."""
    size = 10_000_000 // CELLS_A_DEGREE
    return np.floor_divide(places.lat_units, size), np.floor_divide(places.lon_units, size)


def days_of(seed: int, rows: Ints, cols: Ints, first: int, last: int) -> Days:
    """Daily weather of U cells (rows and columns (U,)) from one ordinal day to another, included."""
    lat, lon = ((index + 0.5) / CELLS_A_DEGREE for index in (rows, cols))
    centres = places_at(lon, lat)
    typical = climate(seed, centres, elevation(seed, centres))
    days = np.arange(first, last + 1)
    season = np.array([_coldness(int(day)) for day in days], np.float32)[:, None]  # (D, 1)
    season = np.where(typical.southern, -season, season)
    temperature = typical.mean - typical.amplitude * season
    temperature += np.float32(1.6) * _smooth(seed, "month", lon, lat, days, (5.0, 30.0))
    temperature += np.float32(2.2) * _smooth(seed, "day", lon, lat, days, (4.0, 3.0))
    front = _smooth(seed, "rain", lon, lat, days, (2.0, 1.5))
    local = normal(hashed(stream(seed, "shower"), rows, cols, days[:, None]))
    amount = np.float32(0.85) * front + np.float32(0.5268) * local - np.float32(RAIN_FROM)
    wet_season = 1 + np.float32(0.35) * _smooth(seed, "spell", lon, lat, days, (6.0, 60.0)).clip(-2, 2)
    rain = typical.rain * wet_season * np.maximum(amount, np.float32(0)) / np.float32(RAIN_MEAN)
    return Days(first, temperature.astype(np.float32), rain.astype(np.float32))


def moisture(weather: Days, days: Ints) -> Floats:
    """Water in the soil, 0 dry to 1 wet, from the rain of the last days: (dates, U)."""
    total = np.zeros((len(days), weather.rain.shape[1]), np.float32)
    for back in range(MEMORY_DAYS):
        total += np.float32(DRYING**back) * weather.rain[days - back - weather.first]
    return total / (total + np.float32(HALF_WET))


def snow(weather: Days, days: Ints) -> NDArray[np.bool_]:
    """Whether snow lies: (dates, U)."""
    total = np.zeros((len(days), weather.temperature.shape[1]), np.float32)
    for back in range(MEMORY_DAYS):
        total += weather.temperature[days - back - weather.first]
    return total < np.float32(MEMORY_DAYS * SNOW_BELOW)


def _coldness(day: int) -> float:
    """1 on the coldest day of the northern year, -1 on the warmest."""
    start = date(date.fromordinal(day).year, 1, 1).toordinal()
    return cos(2 * pi * (day - start - COLDEST_DAY) / YEAR)


def _smooth(
    seed: int, name: str, lon: Doubles, lat: Doubles, days: Ints, size: tuple[float, float]
) -> Floats:
    """Noise (D, U) with features of `size` degrees and days."""
    shape = (len(days), len(lon))
    parts = (lon[None] / size[0], lat[None] / size[0], days[:, None] / size[1])
    spread = tuple(np.broadcast_to(part, shape).copy() for part in parts)
    return Lattice(spread, 1.0).normal(stream(seed, name))
