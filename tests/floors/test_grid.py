"""The pixel grid: snapping, windows, tiles, areas."""

import numpy as np
import pytest
import shapely
from affine import Affine
from hypothesis import assume, given
from hypothesis import strategies as st
from odc.geo import CRS, Geometry
from odc.geo.geobox import GeoBox
from pyproj import Geod, Transformer

from geocomiss.covering import Covering
from geocomiss.errors import AreaError
from geocomiss.grid import (
    cells_of,
    centres,
    crop,
    crs_text,
    grid_of,
    pixel_hectares,
    same_grid,
    tiles_of,
    window_in,
)

WGS84 = "EPSG:4326"


@st.composite
def areas(draw: st.DrawFn) -> Geometry:
    """Slanted quadrilaterals of 100 m to 20 km anywhere on land and sea, not at the antimeridian."""
    lon, lat = draw(st.floats(-178, 178)), draw(st.floats(-78, 78))
    size = draw(st.floats(0.001, 0.2))
    turn = draw(st.floats(0, 3))
    corners = [(np.cos(turn + a), np.sin(turn + a) * draw(st.floats(0.3, 1))) for a in (0, 1.6, 3.2, 4.6)]
    return Geometry(shapely.Polygon([(lon + size * x, lat + size * y) for x, y in corners]), WGS84)


@st.composite
def windows(draw: st.DrawFn, grid: GeoBox) -> tuple[slice, slice]:
    """Any non-empty window of a grid."""
    y0, x0 = draw(st.integers(0, grid.height - 1)), draw(st.integers(0, grid.width - 1))
    y1, x1 = draw(st.integers(y0 + 1, grid.height)), draw(st.integers(x0 + 1, grid.width))
    return slice(y0, y1), slice(x0, x1)


def utm(height: int = 40, width: int = 50) -> GeoBox:
    return GeoBox((height, width), Affine(10, 0, 600_000, 0, -10, 5_600_000), "EPSG:32631")


@given(areas(), st.sampled_from([10.0, 20.0, 30.0, 60.0, 7.5]))
def test_edges_lie_at_multiples_and_the_grid_covers_the_area_tightly(
    area: Geometry, resolution: float
) -> None:
    grid = grid_of(area, "auto", resolution)
    for edge in (grid.affine.c, grid.affine.f):
        assert edge / resolution == pytest.approx(round(edge / resolution), abs=1e-9)
    assert (grid.affine.a, grid.affine.e) == (resolution, -resolution)
    to_grid = Transformer.from_crs(4326, str(grid.crs), always_xy=True)
    outline = area.geom.segmentize(0.0005).exterior.coords.xy
    x, y = to_grid.transform(*map(np.asarray, outline))
    left, bottom, right, top = grid.extent.boundingbox.bbox
    slack = 0.05  # metres: edges are densified, not exact
    assert left - slack <= x.min() and x.max() <= right + slack
    assert bottom - slack <= y.min() and y.max() <= top + slack
    assert x.min() - left < resolution + slack and right - x.max() < resolution + slack
    assert y.min() - bottom < resolution + slack and top - y.max() < resolution + slack


@given(areas())
def test_the_automatic_crs_is_the_utm_zone_of_the_centre(area: Geometry) -> None:
    lon, lat = area.centroid.coords[0]
    code = str(grid_of(area, "auto", 60).crs)
    assert code == f"EPSG:{326 if lat >= 0 else 327}{int((lon + 180) // 6) + 1:02d}"


def test_overlapping_areas_share_pixels() -> None:
    one = grid_of(Geometry(shapely.box(4.80, 50.6, 4.9, 50.7), WGS84))
    other = grid_of(Geometry(shapely.box(4.83, 50.62, 4.95, 50.72), WGS84))
    offset = ((other.affine.c - one.affine.c) / 10, (other.affine.f - one.affine.f) / 10)
    assert offset == pytest.approx([round(each) for each in offset], abs=1e-9)


@pytest.mark.parametrize(
    ("crs", "resolution", "said"),
    [
        ("EPSG:999999", 10, "is not known"),
        ("nonsense", 10, "is not known"),
        ("auto", 0, "resolution of 0"),
        ("auto", -10, "resolution of -10"),
        ("auto", float("nan"), "resolution of nan"),
        ("EPSG:4326", 10, "degrees"),
        ("auto", 1e-6, "pixels"),
    ],
)
def test_impossible_grids_are_refused(crs: str, resolution: float, said: str) -> None:
    with pytest.raises(AreaError, match=said):
        grid_of(Geometry(shapely.box(4.8, 50.6, 4.9, 50.7), WGS84), crs, resolution)


@given(st.data())
def test_a_window_knows_where_it_lies(data: st.DataObject) -> None:
    grid = utm()
    rows, cols = data.draw(windows(grid))
    assert window_in(grid[rows, cols], grid) == (rows, cols)
    x, y = centres(grid)
    part_x, part_y = centres(grid[rows, cols], grid)
    np.testing.assert_array_equal(part_x, x[cols])
    np.testing.assert_array_equal(part_y, y[rows])


@pytest.mark.parametrize(
    "other",
    [
        GeoBox((4, 4), Affine(10, 0, 600_005, 0, -10, 5_600_000), "EPSG:32631"),
        GeoBox((4, 4), Affine(20, 0, 600_000, 0, -20, 5_600_000), "EPSG:32631"),
        GeoBox((4, 4), Affine(10, 0, 600_000, 0, -10, 5_600_000), "EPSG:32632"),
        GeoBox((4, 4), Affine(10, 0, 599_980, 0, -10, 5_600_000), "EPSG:32631"),
        GeoBox((41, 4), Affine(10, 0, 600_000, 0, -10, 5_600_000), "EPSG:32631"),
    ],
    ids=["half a pixel", "coarser", "another zone", "to the left", "too tall"],
)
def test_what_is_no_window_is_refused(other: GeoBox) -> None:
    with pytest.raises(AreaError, match="no window"):
        window_in(other, utm())
    assert not same_grid(other, utm())


@given(st.integers(1, 60), st.integers(1, 70), st.integers(1, 80))
def test_tiles_cover_each_pixel_once(height: int, width: int, size: int) -> None:
    grid, seen = utm(height, width), np.zeros((height, width), int)
    names = set()
    for tile in tiles_of(grid, size):
        seen[tile.y, tile.x] += 1
        names.add(tile.name)
        assert max(tile.geobox.shape) <= size
        assert window_in(tile.geobox, grid) == (tile.y, tile.x)
    assert (seen == 1).all()
    assert len(names) == -(-height // size) * -(-width // size)


@given(areas(), st.integers(3, 40))
def test_inside_is_the_same_whatever_the_window(area: Geometry, size: int) -> None:
    grid = grid_of(area, "auto", 60.0)
    assume(grid.height * grid.width < 200_000)
    size = max(size, grid.height // 4, grid.width // 4)
    whole = Covering(area, grid).inside(grid)
    parts = np.zeros_like(whole)
    for tile in tiles_of(grid, size):
        parts[tile.y, tile.x] = Covering(area, grid).inside(tile.geobox)
    np.testing.assert_array_equal(parts, whole)


def test_inside_counts_pixels_by_their_centre() -> None:
    grid = utm(12, 12)
    polygon = shapely.Polygon([(600_012, 5_599_995), (600_101, 5_599_961), (600_055, 5_599_890)])
    found = Covering(Geometry(polygon, "EPSG:32631"), grid).inside(grid)
    x, y = centres(grid)
    slow = [[polygon.contains(shapely.Point(x[col], y[row])) for col in range(12)] for row in range(12)]
    np.testing.assert_array_equal(found, slow)
    assert 0 < found.sum() < 144


@given(st.data())
def test_crop_keeps_the_pixels_of_the_stack(data: st.DataObject) -> None:
    grid = utm()
    rows, cols = data.draw(windows(grid))
    left, bottom, right, top = grid[rows, cols].extent.boundingbox.bbox
    area = Geometry(shapely.box(left + 1, bottom + 1, right - 1, top - 1), "EPSG:32631")
    assert window_in(crop(grid, area), grid) == (rows, cols)


def test_an_area_outside_the_stack_is_refused_with_both_places() -> None:
    with pytest.raises(AreaError, match=r"outside the stack.*within 4\.") as caught:
        crop(utm(), Geometry(shapely.box(10, 50, 10.1, 50.1), WGS84))
    assert "10.0000,50.0000" in str(caught.value)


@pytest.mark.parametrize(
    "grid",
    [
        utm(512, 512),
        utm(1, 300),
        utm(300, 1),
        utm(1, 1),
        GeoBox((512, 512), Affine(10, 0, 300_000, 0, -10, 8_500_000), "EPSG:32633"),
        GeoBox((200, 300), Affine(1e-4, 0, 1.0, 0, -1e-4, 7.0), WGS84),
        GeoBox((60, 60), Affine(10, 0, 1_113_000, 0, -10, 6_800_000), "EPSG:3857"),
    ],
    ids=["utm", "a row", "a column", "a pixel", "far from the meridian", "degrees", "web mercator"],
)
def test_pixel_areas_are_those_on_the_ellipsoid(grid: GeoBox) -> None:
    areas_ha = pixel_hectares(grid)
    assert areas_ha.shape == grid.shape
    random = np.random.default_rng(1)
    to_degrees = Transformer.from_crs(str(grid.crs), 4326, always_xy=True)
    for row, col in zip(random.integers(0, grid.height, 20), random.integers(0, grid.width, 20), strict=True):
        corners = [grid.affine @ (col + dx, row + dy) for dx, dy in ((0, 0), (1, 0), (1, 1), (0, 1))]
        lon, lat = to_degrees.transform(*zip(*corners, strict=True))
        exact = abs(Geod(ellps="WGS84").polygon_area_perimeter(lon, lat)[0]) / 1e4
        assert areas_ha[row, col] == pytest.approx(exact, rel=2e-6)


def test_pixel_areas_add_up_to_the_area_of_the_grid() -> None:
    grid = utm(300, 400)
    outline = grid.extent.geom.segmentize(10).exterior.coords.xy
    lon, lat = Transformer.from_crs(32631, 4326, always_xy=True).transform(*map(np.asarray, outline))
    exact = abs(Geod(ellps="WGS84").polygon_area_perimeter(lon, lat)[0]) / 1e4
    assert pixel_hectares(grid).sum() == pytest.approx(exact, rel=1e-7)


def test_cells_are_found_by_pixel_centre_and_for_any_window_alike() -> None:
    fine = utm(40, 50)
    coarse = GeoBox((2, 2), Affine(0.003, 0, 4.41, 0, -0.003, 50.544), WGS84)
    cells, within = cells_of(fine, coarse)
    x, y = np.meshgrid(*centres(fine))
    lon, lat = Transformer.from_crs(32631, 4326, always_xy=True).transform(x, y)
    col, row = np.floor((lon - 4.41) / 0.003), np.floor((50.544 - lat) / 0.003)
    slow = (row >= 0) & (row < 2) & (col >= 0) & (col < 2)
    np.testing.assert_array_equal(within, slow)
    np.testing.assert_array_equal(cells[slow], (row * 2 + col)[slow])
    assert 0 < slow.sum() < slow.size
    for tile in tiles_of(fine, 17):
        part, there = cells_of(tile.geobox, coarse, fine)
        np.testing.assert_array_equal(part, cells[tile.y, tile.x])
        np.testing.assert_array_equal(there, within[tile.y, tile.x])


def test_a_crs_is_named_by_its_code_where_it_has_one() -> None:
    assert crs_text(CRS(CRS("EPSG:32631").to_wkt())) == "EPSG:32631"
    own = CRS("+proj=laea +lat_0=10 +lon_0=20 +units=m")
    assert CRS(crs_text(own)) == own
