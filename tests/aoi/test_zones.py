"""Areas are cut at the meridians between UTM zones, without a gap and without an overlap."""

import numpy as np
import pytest
import shapely
from odc.geo import Geometry
from pyproj import CRS, Geod

from geocomiss.aoi import read_aoi
from geocomiss.zones import zones_of


def zones(text: str) -> dict[str, str]:
    return {zone.name: zone.crs for zone in zones_of(read_aoi(text).geometry)}


@pytest.mark.parametrize(
    ("aoi", "expected"),
    [
        ("5,50,5.5,51", {"utm31n": "EPSG:32631"}),
        ("5,50,6,51", {"utm31n": "EPSG:32631"}),
        ("6,50,7,51", {"utm32n": "EPSG:32632"}),
        ("5,50,7,51", {"utm31n": "EPSG:32631", "utm32n": "EPSG:32632"}),
        ("5,-3,7,1", {"utm31s": "EPSG:32731", "utm32s": "EPSG:32732"}),
        ("5,-1,13,2", {"utm31n": "EPSG:32631", "utm32n": "EPSG:32632", "utm33n": "EPSG:32633"}),
        ("-180,50,-173,51", {"utm01n": "EPSG:32601", "utm02n": "EPSG:32602"}),
        ("173,50,180,51", {"utm59n": "EPSG:32659", "utm60n": "EPSG:32660"}),
        ("2,60,7,61", {"utm31n": "EPSG:32631", "utm32n": "EPSG:32632"}),  # Norway is like everywhere
    ],
)
def test_the_zones_of_an_area(aoi: str, expected: dict[str, str]) -> None:
    assert zones(aoi) == expected
    for code in expected.values():
        assert CRS(code).to_epsg()


def test_a_hair_over_a_border_is_no_zone_of_its_own() -> None:
    assert zones("5,50,6.0000005,51") == {"utm31n": "EPSG:32631"}


def test_zones_between_scattered_parts_have_no_map() -> None:
    parts = "MULTIPOLYGON(((1 50,2 50,2 51,1 50)),((13 50,14 50,14 51,13 50)))"
    assert list(zones(parts)) == ["utm31n", "utm33n"]


def test_parts_cover_an_area_once() -> None:
    rng = np.random.default_rng(0)
    circles = [
        shapely.Point(x, y).buffer(r)
        for x, y, r in zip(
            rng.uniform(1, 17, 60), rng.uniform(44, 53, 60), rng.uniform(0.05, 1, 60), strict=True
        )
    ]
    area = shapely.union_all(circles)
    found = zones_of(Geometry(area, "EPSG:4326"))
    parts = [zone.part.geom for zone in found]
    assert sum(part.area for part in parts) == pytest.approx(area.area, rel=1e-12)
    assert shapely.union_all(parts).symmetric_difference(area).area < 1e-9
    for zone, part in zip(found, parts, strict=True):
        assert zone.west <= part.bounds[0] and part.bounds[2] <= zone.west + 6


def test_an_area_in_another_crs_is_cut_at_the_same_meridians() -> None:
    area = read_aoi("5,50,7,51").geometry.to_crs("EPSG:3035", resolution=0.01)
    geod = Geod(ellps="WGS84")
    west, east = (abs(geod.geometry_area_perimeter(zone.part.geom)[0]) for zone in zones_of(area))
    assert west == pytest.approx(east, rel=1e-5)


def test_borders_drawn_in_both_zones_are_the_same_to_millimetres() -> None:
    west, east = zones_of(read_aoi("5.5,48,6.5,52").geometry)
    points = np.array([(6.0, lat) for lat in np.linspace(48.0012, 51.999, 500)])
    for zone in (west, east):
        local = zone.part.to_crs(zone.crs)
        there = Geometry(shapely.multipoints(points), "EPSG:4326").to_crs(zone.crs).geom
        assert shapely.distance(shapely.get_parts(there), local.geom.boundary).max() < 0.003
