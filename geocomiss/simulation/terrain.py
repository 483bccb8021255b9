"""Terrain: a smooth fractal by place, and its slope."""

from typing import Final

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from geocomiss.composite import slope_of
from geocomiss.simulation.noise import Lattice, stream
from geocomiss.simulation.places import METRES_PER_DEGREE, Places, places_at

Floats = NDArray[np.float32]

COARSE: Final = ((300_000.0, 330.0), (60_000.0, 190.0))
"""(Feature size in metres, standard deviation in metres) of mountains and basins."""
FINE: Final = ((9_000.0, 70.0), (2_400.0, 32.0), (700.0, 11.0))
"""The same of hills, before `ruggedness`."""
MEAN_ELEVATION: Final = 380.0
SOFTNESS: Final = 180.0
"""Metres over which low land levels off above the sea."""
RUGGED_CELL: Final = 60_000.0
DEM_PIXEL: Final = 30.0
"""Metres between the nine heights a slope is taken from, as in a 30 m elevation model."""


def elevation(seed: int, places: Places) -> Floats:
    """Height above sea level in metres, always positive."""
    height = np.full(places.shape, MEAN_ELEVATION, np.float32)
    for number, (cell, deviation) in enumerate(COARSE):
        height += np.float32(deviation) * Lattice(places.xyz, cell).normal(stream(seed, "coarse", number))
    hills = np.zeros(places.shape, np.float32)
    for number, (cell, deviation) in enumerate(FINE):
        hills += np.float32(deviation) * Lattice(places.xyz, cell).normal(stream(seed, "hills", number))
    height += hills * ruggedness(seed, places)
    level = np.float32(SOFTNESS)
    return np.asarray((height + np.sqrt(height * height + level * level)) / np.float32(2))


def ruggedness(seed: int, places: Places) -> Floats:
    """Factor on the height of hills: plains 0.2, hill country 3."""
    n = Lattice(places.xyz, RUGGED_CELL).normal(stream(seed, "rugged"))
    n = np.clip(n, np.float32(-1.9), np.float32(1.9))
    # a polynomial, because an exponential may differ in the last bit between array shapes
    return np.asarray(np.float32(0.85) + n * np.float32(0.75) + n * n * np.float32(0.2))


def slope(seed: int, places: Places) -> Floats:
    """Slope in degrees by Horn's formula on the eight neighbours 30 m away."""
    north = np.array([1, 0, -1]) * DEM_PIXEL
    east = np.array([-1, 0, 1]) * DEM_PIXEL
    lat, lon = places.lat.ravel(), places.lon.ravel()
    around_lat = lat[:, None, None] + north[None, :, None] / METRES_PER_DEGREE + np.zeros((1, 1, 3))
    wide = METRES_PER_DEGREE * np.cos(np.radians(lat))[:, None, None]
    around_lon = lon[:, None, None] + east[None, None, :] / wide + np.zeros((1, 3, 1))
    heights = elevation(seed, places_at(around_lon, around_lat))  # (N, 3, 3)
    block = xr.DataArray(heights.reshape(-1, 3), dims=("y", "x"))  # each place on top of the next
    steep = slope_of(block, DEM_PIXEL, DEM_PIXEL).values.reshape(-1, 3, 3)
    return np.ascontiguousarray(steep[:, 1, 1]).reshape(places.shape)
