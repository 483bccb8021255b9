"""How fields grow: leaf area, dry matter and blossom on any day, by double logistic curves.

The double logistic in time is the usual description of a season (Beck et al. 2006, Remote Sens.
Environ. 100): growth rises about one day and falls about another. Both shift with hemisphere,
temperature, year and field, so that classes overlap as they do in reality.
"""

from dataclasses import dataclass
from datetime import date
from typing import Final

import numpy as np
from numpy.typing import NDArray

from geocomiss.simulation.crops import KINDS, STRIP, Kind
from geocomiss.simulation.fields import Fields
from geocomiss.simulation.noise import hashed, normal, stream

Floats = NDArray[np.float32]
Doubles = NDArray[np.float64]
Ints = NDArray[np.int64]

HALF_YEAR: Final = 183
"""Days by which southern seasons are ahead."""
FIELD_DAYS: Final = 19.0
"""Standard deviation of a field's sowing date from the region's."""
YEAR_DAYS: Final = 6.0
"""Standard deviation of a year from another, everywhere alike."""
DAYS_A_KELVIN: Final = 3.0
"""Days by which a warmer place is earlier."""
MAX_REGION_DAYS: Final = 24.0
AUTUMN: Final = (-65.0, 0.06)
"""Day (before the year of harvest) at which winter crops have half their autumn leaves, and rate."""
COVER_CROP: Final = 0.35
"""Share of fields and years with a cover crop in the months without a crop."""
COVER_LAI: Final = 1.8


@dataclass(frozen=True)
class Growth:
    """State of F kinds of stands on some dates, each (F, dates)."""

    green: Floats
    """Leaf area index of green leaves."""
    brown: Floats
    """The same of standing dry matter."""
    blossom: Floats
    """Share of the canopy that flowers hide."""


def growth(seed: int, fields: Fields, days: Ints) -> Growth:
    """State of every field on the given ordinal days."""
    southern = fields.climate.southern[:, None]
    north = days[None, :] + np.where(southern, HALF_YEAR, 0)  # (F, dates) as if in the north
    years = _years(north)
    green, brown, blossom = (np.zeros(north.shape) for _ in range(3))
    for number, kind in enumerate(KINDS[:STRIP]):
        rows = np.flatnonzero(fields.kind == number)
        if not rows.size:
            continue
        for year in range(int(years.min()) - 1, int(years.max()) + 2):
            shift, size = _season(seed, fields, year)
            near = np.abs(years[rows] - year) <= 1  # so that a date's state needs no other date
            t = north[rows] - date(year, 1, 1).toordinal() - shift[rows, None]
            parts = _stand(kind, t, size[rows, None])
            green[rows] += near * (parts[0] + _cover_crop(seed, fields, kind, year, t, rows))
            brown[rows] += near * parts[1]
            blossom[rows] += near * parts[2]
        green[rows] = _with_evergreen(kind, green[rows])
        if kind.crop == "grassland":
            green[rows] *= _mowing(seed, fields, north, years)[rows]
    return Growth(*(part.astype(np.float32) for part in (green, brown, blossom)))


def strip_growth(fields: Fields, days: Ints) -> Growth:
    """State of the strip beside every field: no sowing, so no shift but the region's."""
    kind = KINDS[STRIP]
    north = days[None, :] + np.where(fields.climate.southern[:, None], HALF_YEAR, 0)
    t = north - _ordinal(_years(north)) - _region(fields)[:, None]
    green, brown, blossom = _stand(kind, t, np.ones((len(north), 1)))
    parts = (_with_evergreen(kind, green), brown, blossom)
    return Growth(*(part.astype(np.float32) for part in parts))


def _years(days: Ints) -> Ints:
    """Year of each ordinal day."""
    first = int(days.min())
    lookup = [date.fromordinal(day).year for day in range(first, int(days.max()) + 1)]
    return np.array(lookup)[days - first]


def _ordinal(years: Ints) -> Ints:
    """Ordinal of the first day of each year."""
    first = int(years.min())
    lookup = [date(year, 1, 1).toordinal() for year in range(first, int(years.max()) + 1)]
    return np.array(lookup)[years - first]


def _region(fields: Fields) -> Doubles:
    """Days by which the season of a place is later than that of the temperate reference, (F,)."""
    away = DAYS_A_KELVIN * (291.0 - fields.climate.summer.astype(np.float64))
    return np.clip(away, -MAX_REGION_DAYS, MAX_REGION_DAYS)


def _season(seed: int, fields: Fields, year: int) -> tuple[Doubles, Doubles]:
    """Shift in days and vigour of each field in a year, each (F,)."""
    everywhere = float(normal(hashed(stream(seed, "year", year), np.zeros(1, np.int64)))[0])
    own = fields.draw(seed, "sowing", year).astype(np.float64)
    vigour = np.clip(1 + 0.25 * fields.draw(seed, "vigour", year), 0.35, 1.5)
    return _region(fields) + FIELD_DAYS * own + YEAR_DAYS * everywhere, vigour.astype(np.float64)


def _stand(kind: Kind, t: Doubles, size: Doubles) -> tuple[Doubles, Doubles, Doubles]:
    """Green and brown leaf area and blossom of one year's stand, each (F, dates)."""
    risen, ripe = _logistic(t, *kind.up), _logistic(t, *kind.down)
    green = kind.lai * size * risen * (1 - ripe)
    standing = ripe * (1 - _logistic(t, kind.down[0] + kind.standing, 0.35))
    stubble = 0.25 * _logistic(t, kind.down[0] + kind.standing, 0.35)
    stubble *= 1 - _logistic(t, kind.down[0] + kind.standing + 35, 0.08)
    brown = kind.lai * size * kind.brown * (standing + stubble)
    if kind.winter and not kind.evergreen:
        green += kind.winter * size * _logistic(t, *AUTUMN) * (1 - risen)
    distance = (t - kind.flower[0]) / 11.0
    return green, brown, kind.flower[1] * np.exp(-0.5 * distance * distance)


def _with_evergreen(kind: Kind, green: Doubles) -> Doubles:
    return np.maximum(green, kind.winter) if kind.evergreen else green


def _cover_crop(seed: int, fields: Fields, kind: Kind, year: int, t: Doubles, rows: Ints) -> Doubles:
    """Leaf area between crops: before spring crops, and after early harvests."""
    if kind.evergreen or kind.crop == "sugar_beet":
        return np.zeros(t.shape)
    grown = (fields.chance(seed, "cover crop", year) < COVER_CROP)[rows, None]
    early = kind.down[0] < 200
    begin, end = (232.0, 320.0) if early else (-80.0, 95.0)
    return np.asarray(COVER_LAI * grown * _logistic(t, begin, 0.07) * (1 - _logistic(t, end, 0.10)))


def _mowing(seed: int, fields: Fields, north: Ints, years: Ints) -> Doubles:
    """Factor on the leaf area of meadows, cut up to three times a year: (F, dates)."""
    factor = np.ones(north.shape)
    for year in range(int(years.min()) - 1, int(years.max()) + 1):
        near = (years == year) | (years == year + 1)
        for cut in range(3):
            day = 135 + 50 * cut + 14 * fields.draw(seed, "mowing", year, cut).astype(np.float64)
            mown = fields.chance(seed, "mown", year, cut) < 0.6
            since = north - date(year, 1, 1).toordinal() - day[:, None]
            dip = np.where(since < 0, 0.0, np.exp(-np.maximum(since, 0) / 18.0))
            factor *= 1 - 0.7 * mown[:, None] * dip * near
    return factor


def _logistic(t: Doubles, middle: float, rate: float) -> Doubles:
    return np.asarray(1 / (1 + np.exp(np.clip(-rate * (t - middle), -30, 30))))
