"""An area over several UTM zones: one part a zone, cut at the meridians between them.

Zones are the 60 of 6 degrees each. The wider and narrower grid zones that the military grid has around
Norway and Svalbard are not followed: they number squares, and the projections are the same. Nothing is cut
at the equator: north and south of it a zone's projection differs only in the number that northings begin
with, so a part keeps that of the side its centre lies on.
"""

from dataclasses import dataclass
from math import ceil, floor
from typing import Any, Final

import shapely
from odc.geo import CRS, Geometry

from geocomiss.aoi import WGS84
from geocomiss.grid import densify

WIDTH: Final = 6.0
"""Degrees of longitude of a zone."""
TOUCH: Final = 1e-6
"""Degrees (a decimetre) that an area may reach over a border and still not lie in the next zone."""
STRAIGHT: Final = 0.01
"""Longest edge in degrees that is left straight: a meridian, drawn so, is right to 2 mm in any zone."""


@dataclass(frozen=True)
class Zone:
    """What an area has in one UTM zone."""

    number: int
    """1 (180 to 174 degrees west) to 60."""
    south: bool
    """Whether its northings begin below the equator, with 10,000 km there."""
    part: Geometry
    """Polygons in degrees."""

    @property
    def name(self) -> str:
        """For example 'utm31n'."""
        return f"utm{self.number:02d}{'s' if self.south else 'n'}"

    @property
    def crs(self) -> str:
        """For example 'EPSG:32631'."""
        return f"EPSG:{(32700 if self.south else 32600) + self.number}"

    @property
    def west(self) -> float:
        """Longitude of its western border."""
        return (self.number - 1) * WIDTH - 180


def zones_of(area: Geometry) -> tuple[Zone, ...]:
    """The UTM zones in which an area lies, from west to east, with its part in each.

    Args:
        area: Polygons in any CRS, on one side of the antimeridian.
    """
    degrees = area.to_crs(WGS84, resolution=densify(area)).geom
    first, last = _numbers(degrees)
    if first == last:
        return (_zone(first, degrees),)
    whole = shapely.segmentize(degrees, STRAIGHT)
    cut = ((number, _cut(whole, number, first, last)) for number in range(first, last + 1))
    return tuple(_zone(number, part) for number, part in cut if not part.is_empty)


def _numbers(degrees: Any) -> tuple[int, int]:
    """The first and the last zone."""
    west, _, east, _ = degrees.bounds
    first = floor((west + 180 + TOUCH) / WIDTH) + 1
    last = ceil((east + 180 - TOUCH) / WIDTH)
    first = min(60, max(1, first))
    return first, min(60, max(first, last))


def _cut(whole: Any, number: int, first: int, last: int) -> Any:
    """What lies in a zone; the outermost ones hold what reaches over their outer border by a hair."""
    west = (number - 1) * WIDTH - 180 - (number == first) * WIDTH
    east = number * WIDTH - 180 + (number == last) * WIDTH
    found = shapely.intersection(whole, shapely.segmentize(shapely.box(west, -90, east, 90), STRAIGHT))
    parts = [part for part in shapely.get_parts(found) if part.geom_type == "Polygon" and part.area > 0]
    return shapely.multipolygons(parts) if parts else shapely.Polygon()


def _zone(number: int, part: Any) -> Zone:
    return Zone(number, part.centroid.y < 0, Geometry(part, CRS(WGS84)))
