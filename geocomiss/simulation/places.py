"""Where on Earth: the coordinates in which the world is defined, whatever the grid asked for.

A pixel centre is reduced to longitude and latitude in whole ten-millionths of a degree (1 cm), so that
the same place gives the same integers from any window or grid. Two frames are made of these:

* the plane `x`, `y` in metres for fields and clouds: a sinusoidal projection about the central
  meridian of each 6 degree zone, zones standing `ZONE_APART` metres apart. Areas are true and angles
  nearly so; fields end at the meridians between zones, as they would at a border.
* the sphere `xyz` in metres for terrain and climate, continuous everywhere.
"""

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray
from odc.geo.geobox import GeoBox
from pyproj import Transformer

from geocomiss.grid import centres, crs_of

Ints = NDArray[np.int64]
Doubles = NDArray[np.float64]

RADIUS: Final = 6_371_000.0
"""Radius of the spherical world in metres."""
METRES_PER_DEGREE: Final = RADIUS * np.pi / 180
UNITS: Final = 10_000_000
"""Parts of a degree in which places are counted."""
ZONE: Final = 6
"""Width of a zone in degrees."""
ZONE_APART: Final = 1_000_000.0
"""Distance between the zones' central meridians in the plane, wider than any zone."""
MILLIMETRES: Final = 1000.0


@dataclass(frozen=True)
class Places:
    """Points of one shape, here (H, W)."""

    lon_units: Ints
    """Longitude in ten-millionths of a degree."""
    lat_units: Ints
    """Latitude in ten-millionths of a degree."""
    x: Doubles
    """Metres east in the plane, whole millimetres."""
    y: Doubles
    """Metres north in the plane, whole millimetres."""

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape of all arrays."""
        return self.x.shape

    @property
    def lat(self) -> Doubles:
        """Degrees north."""
        return self.lat_units / UNITS

    @property
    def lon(self) -> Doubles:
        """Degrees east."""
        return self.lon_units / UNITS

    @property
    def xyz(self) -> tuple[Doubles, Doubles, Doubles]:
        """Position on the sphere in metres, whole millimetres."""
        lat, lon = np.radians(self.lat), np.radians(self.lon)
        parts = (np.cos(lat) * np.cos(lon), np.cos(lat) * np.sin(lon), np.sin(lat))
        x, y, z = (_whole(RADIUS * part) for part in parts)
        return x, y, z

    def reshape(self, *shape: int) -> "Places":
        """The same points in another shape."""
        x, y = self.x.reshape(shape), self.y.reshape(shape)
        return Places(self.lon_units.reshape(shape), self.lat_units.reshape(shape), x, y)


def places_of(grid: GeoBox) -> Places:
    """The pixel centres of a north-up grid, (H, W)."""
    x, y = np.meshgrid(*centres(grid))
    transformer = Transformer.from_crs(crs_of(grid).proj, 4326, always_xy=True)
    lon, lat = transformer.transform(x, y)
    return places_at(np.asarray(lon), np.asarray(lat))


def places_at(lon: Doubles, lat: Doubles) -> Places:
    """Points at longitudes and latitudes in degrees."""
    lon_units = np.rint(np.ascontiguousarray(lon) * UNITS).astype(np.int64)
    lat_units = np.rint(np.ascontiguousarray(lat) * UNITS).astype(np.int64)
    zone = np.floor_divide(lon_units, ZONE * UNITS)
    east = (lon_units - zone * (ZONE * UNITS)) / UNITS - ZONE / 2
    latitude = lat_units / UNITS
    x = METRES_PER_DEGREE * east * np.cos(np.radians(latitude)) + zone * ZONE_APART
    return Places(lon_units, lat_units, _whole(x), _whole(METRES_PER_DEGREE * latitude))


def places_in_plane(x: Doubles, y: Doubles) -> Places:
    """Points given in the plane. Beyond a zone's edge the zone is continued."""
    zone = np.rint(x / ZONE_APART)
    lat = np.clip(y / METRES_PER_DEGREE, -89.0, 89.0)
    east = (x - zone * ZONE_APART) / (METRES_PER_DEGREE * np.cos(np.radians(lat)))
    lon = zone * ZONE + ZONE / 2 + east
    lon_units, lat_units = (np.rint(value * UNITS).astype(np.int64) for value in (lon, lat))
    return Places(lon_units, lat_units, x, y)


def _whole(metres: Doubles) -> Doubles:
    # rounding hides the last bits, in which vectorised sines may differ between array shapes
    return np.rint(metres * MILLIMETRES) / MILLIMETRES
