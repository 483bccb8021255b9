"""The land that satellites look at: cover, growth, soil water and snow on the days they pass."""

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from geocomiss.simulation.fields import Cover, cover
from geocomiss.simulation.growth import Growth, growth, strip_growth
from geocomiss.simulation.noise import Lattice, hashed, stream
from geocomiss.simulation.places import Places
from geocomiss.simulation.weather import MEMORY_DAYS, cells_at, days_of, moisture, snow

Floats = NDArray[np.float32]
Ints = NDArray[np.int64]

PATCHES: Final = ((90.0, 0.13), (28.0, 0.08))
"""(Size of features in metres, standard deviation) of growth within fields, as a share."""


@dataclass(frozen=True)
class Land:
    """N places on some dates; F distinct fields among them."""

    cover: Cover
    """What covers each place."""
    grown: Growth
    """State of each field, (F, dates)."""
    strip: Growth
    """State of the strip beside each field, (F, dates)."""
    moisture: Floats
    """Soil water of each field, 0..1, (F, dates)."""
    snow: NDArray[np.bool_]
    """Whether snow lies on each field, (F, dates)."""
    vigour: Floats
    """Growth within the field relative to its mean, (N,)."""
    pixel: NDArray[np.uint64]
    """A hash that names each place, (N,)."""

    def noise_bits(self, key: int) -> NDArray[np.uint64]:
        """Random bits for every place, (N,)."""
        return hashed(key, self.pixel.view(np.int64))


def land_at(seed: int, places: Places, days: Ints) -> Land:
    """The land at places, flattened to N, on ordinal days in ascending order."""
    here = cover(seed, places)
    rows, cols = cells_at(here.fields.places)
    cells, at = np.unique(np.stack([rows, cols]), axis=1, return_inverse=True)
    weather = days_of(seed, cells[0], cells[1], int(days[0]) - MEMORY_DAYS, int(days[-1]))
    at = at.ravel()
    vigour = np.ones(places.x.size, np.float32)
    plane = (places.x.ravel(), places.y.ravel())
    for number, (size, deviation) in enumerate(PATCHES):
        vigour += np.float32(deviation) * Lattice(plane, size).normal(stream(seed, "patches", number))
    return Land(
        here,
        growth(seed, here.fields, days),
        strip_growth(here.fields, days),
        np.ascontiguousarray(moisture(weather, days)[:, at].T),
        np.ascontiguousarray(snow(weather, days)[:, at].T),
        np.maximum(vigour, np.float32(0.2)),
        hashed(stream(seed, "pixel"), places.lon_units.ravel(), places.lat_units.ravel()),
    )
