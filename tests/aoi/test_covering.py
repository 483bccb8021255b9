"""An area on a grid, looked at tile by tile, is the area looked at as a whole."""

import numpy as np
import pytest
import shapely
from affine import Affine
from odc.geo import Geometry
from odc.geo.geobox import GeoBox

from geocomiss.covering import Covering
from geocomiss.grid import centres, densify, grid_of, tiles_of

GRID = GeoBox((200, 260), Affine(10, 0, 640000, 0, -10, 5610000), "EPSG:32631")


def area(seed: int) -> Geometry:
    """Some blobs, also beyond the grid, in the CRS of the grid or in degrees."""
    rng = np.random.default_rng(seed)
    middles = rng.uniform((639800, 5607800), (642900, 5610200), (int(rng.integers(1, 20)), 2))
    blobs = [shapely.Point(*at).buffer(rng.uniform(3, 400), quad_segs=3) for at in middles]
    found = Geometry(shapely.union_all(blobs), "EPSG:32631")
    return found.to_crs("EPSG:4326") if seed % 2 else found


@pytest.mark.parametrize("seed", range(6))
def test_tiles_and_pixels_are_those_of_the_slow_obvious_way(seed: int) -> None:
    shape, size = area(seed), (7, 33, 64, 300)[seed % 4]
    covering = Covering(shape, GRID)
    local = shape.to_crs("EPSG:32631", resolution=densify(shape)).geom
    found = {(tile.row, tile.col): tile for tile in covering.tiles(size)}
    assert list(found) == sorted(found)
    for tile in tiles_of(GRID, size):
        expected = shapely.intersects_xy(local, *np.meshgrid(*centres(tile.geobox, GRID)))
        assert (covering.inside(tile.geobox) == expected).all()
        if expected.any():
            assert found[tile.row, tile.col] == tile


def test_scattered_fields_cost_what_the_fields_cost() -> None:
    whole = GeoBox((100_000, 100_000), Affine(10, 0, 400_000, 0, -10, 5_610_000), "EPSG:32631")
    fields = [
        shapely.box(x, x + 4_200_000, x + 300, x + 4_200_200) for x in range(400_500, 1_400_000, 10_000)
    ]
    tiles = list(Covering(Geometry(shapely.MultiPolygon(fields), "EPSG:32631"), whole).tiles(512))
    assert 100 <= len(tiles) <= 200  # of 38,416


def fields(number: int, *, scattered: bool) -> Geometry:
    """Fields of about 1 ha over a degree each way, or side by side."""
    high = 100 / 111_195
    wide = high / np.cos(np.radians(50.5))
    rng, at = np.random.default_rng(0), np.arange(number)
    x, y = rng.uniform(4, 5 - wide, number), rng.uniform(50, 51 - high, number)
    if not scattered:
        x, y = 4.4 + wide * 1.1 * (at % 25), 50.5 + high * 1.1 * (at // 25)
    return Geometry(shapely.union_all(shapely.box(x, y, x + wide, y + high)), "EPSG:4326")


def test_scattered_fields_cost_no_more_tiles_and_pixels_than_they_meet() -> None:
    area = fields(500, scattered=True)
    grid = grid_of(area)
    covering = Covering(area, grid)
    pixels, looked_at, tiles = 0, 0, list(covering.tiles(64))
    for tile in tiles:
        inside = covering.inside(tile.geobox)
        rows, cols = (np.flatnonzero(inside.any(axis)) for axis in (1, 0))
        pixels += int(inside.sum())
        looked_at += int((np.ptp(rows) + 1) * (np.ptp(cols) + 1)) if rows.size else 0
    assert pixels == pytest.approx(500 * 100, rel=0.03)
    assert len(tiles) < 2 * 500 and grid.width * grid.height > 70_000_000
    assert looked_at < 2 * pixels
    packed = fields(500, scattered=False)
    beside = Covering(packed, grid_of(packed))
    assert pixels == pytest.approx(
        sum(int(beside.inside(t.geobox).sum()) for t in beside.tiles(64)), rel=0.01
    )
