"""Clouds and their shadows on each date, spatially correlated: smooth noise below a threshold."""

from dataclasses import dataclass
from datetime import date
from math import cos, pi
from typing import Final

import numpy as np
from numpy.typing import NDArray

from geocomiss.simulation.noise import Lattice, stream
from geocomiss.simulation.places import Places
from geocomiss.simulation.weather import COLDEST_DAY, YEAR

Floats = NDArray[np.float32]
Bools = NDArray[np.bool_]

OCTAVES: Final = ((60_000.0, 0.76), (7_000.0, 0.54), (1_300.0, 0.36))
"""(Size of features in metres, weight) of cloud fields; the squares of the weights add up to 1."""
USUAL: Final = -0.52
"""Threshold of normal noise below which clouds stand, before place, season and month: 30 %."""
OF_PLACE: Final = (250_000.0, 0.25)
"""Size of features and standard deviation of what a place adds to the threshold."""
OF_MONTH: Final = 0.45
"""Standard deviation of what a month adds: gloomy and bright months."""
OF_WINTER: Final = 0.35
"""What midwinter adds (midsummer takes off) at 45 degrees and beyond."""
SUNWARD: Final = (380.0, 620.0)
"""Metres east and towards the equator at which a place's shadow-casting cloud stands."""
CIRRUS: Final = (25_000.0, -1.65)
"""Size of cirrus fields and the threshold below which they stand: 5 %."""
THICK: Final = 0.45
"""Depth below the threshold from which the cloud class is 'high probability'."""
CASTS: Final = 0.12
"""Depth from which a cloud casts a shadow."""
RIM: Final = 0.07
"""How far above the threshold the rim of a cloud is called unclassified."""


@dataclass(frozen=True)
class Sky:
    """The sky over N places on one date."""

    depth: Floats
    """How far the noise lies below the threshold, (N,): cloud where positive."""
    shadow: Bools
    """Whether a cloud's shadow falls there, (N,)."""
    cirrus: Bools
    """Whether there is thin cirrus, (N,)."""

    @property
    def cloud(self) -> Bools:
        """Whether a cloud stands there, (N,)."""
        return self.depth > 0


class Weatherman:
    """Tells the sky over N places on any date."""

    def __init__(self, seed: int, places: Places) -> None:
        self._seed = seed
        south = places.lat < 0
        self._winter = np.minimum(np.abs(places.lat) / 45.0, 1.0) * np.where(south, -1.0, 1.0)
        above = (places.x, places.y)
        sunward = (places.x + SUNWARD[0], places.y + np.where(south, SUNWARD[1], -SUNWARD[1]))
        self._above = [Lattice(above, size) for size, _ in OCTAVES]
        self._sunward = [Lattice(sunward, size) for size, _ in OCTAVES]
        self._cirrus = Lattice(above, CIRRUS[0])
        self._wide = Lattice(places.xyz, OF_PLACE[0])
        self._place = np.float32(OF_PLACE[1]) * self._wide.normal(stream(seed, "cloudy place"))

    def sky(self, day: int) -> Sky:
        """The sky on one ordinal day."""
        limit = self._limit(date.fromordinal(day))
        depth = limit - self._noise(self._above, day)
        shadow = (limit - self._noise(self._sunward, day) > CASTS) & (depth <= 0)
        cirrus = (self._cirrus.normal(stream(self._seed, "cirrus", day)) < CIRRUS[1]) & (depth <= 0)
        return Sky(depth, shadow, cirrus)

    def _noise(self, lattices: list[Lattice], day: int) -> Floats:
        total = np.zeros(self._place.shape, np.float32)
        for number, (lattice, (_, weight)) in enumerate(zip(lattices, OCTAVES, strict=True)):
            total += np.float32(weight) * lattice.normal(stream(self._seed, "clouds", day, number))
        return total

    def _limit(self, day: date) -> Floats:
        """Threshold of the noise below which clouds stand, (N,)."""
        since = day.toordinal() - date(day.year, 1, 1).toordinal() - COLDEST_DAY
        winter = (OF_WINTER * cos(2 * pi * since / YEAR) * self._winter).astype(np.float32)
        month = self._wide.normal(stream(self._seed, "gloom", day.year, day.month))
        return np.float32(USUAL) + self._place + winter + np.float32(OF_MONTH) * month
