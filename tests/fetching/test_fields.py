"""A stack of scattered fields holds these and nothing between them; maps and samples keep to them."""

from dataclasses import replace
from pathlib import Path

import geopandas
import numpy as np
import pytest
import shapely
import xarray as xr
from affine import Affine
from gappy import GRID, gappy_groups, store
from odc.geo import Geometry
from odc.geo.geobox import GeoBox
from scattered import SIDE, write_fields

from geocomiss.errors import AreaError, SourceError
from geocomiss.fetching import FetchRequest, fetch_stack
from geocomiss.grid import centres
from geocomiss.inspection import inspect
from geocomiss.mapping import MapRequest, make_map
from geocomiss.sampling import SamplingRequest, sample_points
from geocomiss.sources import open_source, stored
from geocomiss.sources.combined import CombinedSource
from geocomiss.sources.stored import StoredSource
from geocomiss.stack import (
    COUNT,
    groups_of,
    new_stack,
    origin_of,
    read_area,
    read_stack,
    write_stack,
    writing,
)
from geocomiss.stack.writing import Blocks

WORLD = GeoBox((700, 700), Affine(10, 0, 640000, 0, -10, 5610000), "EPSG:32631")
PLACES = np.array([(3, 5), (60, 650), (680, 20)])
"""First row and column of three fields."""


@pytest.fixture(scope="module")
def fields(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_fields(tmp_path_factory.mktemp("fields") / "fields.gpkg", WORLD, PLACES)


@pytest.fixture(scope="module")
def stack(fields: Path) -> Path:
    request = FetchRequest("simulated", fields.parent / "stack.zarr", str(fields), "2021", crs="EPSG:32631")
    told = fetch_stack(request).notes
    assert any("only blocks that hold some of it were fetched" in note for note in told)
    return request.out


@pytest.mark.parametrize("seed", range(8))
def test_blocks_that_hold_some_of_an_area_are_stored_whole_and_no_others(
    tmp_path: Path, seed: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in (("TILE", 24), ("BLOCK", 12), ("SMALL", 4)):
        monkeypatch.setattr(writing, name, value)
    groups, area = gappy_groups(seed=seed), blobs(seed)
    path = tmp_path / "stack.zarr"
    origin = origin_of(read_stack(store(tmp_path / "whole", groups)))
    write_stack(new_stack(groups, origin), path, area=area)
    assert read_area(path) == area
    kept = in_blocks(area, Blocks(GRID, area).side)
    for name, group in groups_of(read_stack(path).compute()).items():
        for band, values in groups[name].data_vars.items():
            missing = 0 if band == COUNT else np.nan
            known = values if name == "weather" else values.where(kept, missing)
            assert np.array_equal(group[band].values, known.values, equal_nan=True), (name, band)


def in_blocks(area: Geometry, side: int) -> xr.DataArray:
    """Pixels whose block holds the centre of one of an area, found pixel by pixel."""
    held = np.zeros(GRID.shape, bool)
    x, y = centres(GRID)
    local = area.to_crs("EPSG:32631").geom
    for row, col in np.ndindex(*GRID.shape):
        if local.intersects(shapely.Point(x[col], y[row])):
            top, left = row // side * side, col // side * side
            held[top : top + side, left : left + side] = True
    return xr.DataArray(held, dims=("y", "x"))


def blobs(seed: int) -> Geometry:
    """One large blob or many small ones, some of them beyond the grid."""
    rng = np.random.default_rng(seed)
    number, radius = (1, 200) if seed % 2 else (5, 9)
    middles = rng.uniform((640000, 5609550), (640620, 5610010), (number, 2))
    return Geometry(shapely.union_all([shapely.Point(*at).buffer(radius) for at in middles]), "EPSG:32631")


def test_blocks_are_small_where_the_area_is_scattered(fields: Path) -> None:
    scattered = Geometry(geopandas.read_file(fields).union_all(), "EPSG:32631")
    assert Blocks(WORLD, scattered).side == writing.SMALL
    assert Blocks(WORLD, WORLD.extent).side == Blocks(WORLD, None).side == writing.BLOCK


def test_values_of_the_fields_are_those_of_the_source(stack: Path) -> None:
    found = read_stack(stack)
    origin, grid = origin_of(found), StoredSource(stack).grid
    held = open_source("simulated").open(grid, origin.calendar)
    for row, col in PLACES - PLACES.min(0):
        part = {"y": slice(row, row + SIDE), "x": slice(col, col + SIDE)}
        for name in ("optical", "radar", "topography"):
            one, other = (groups_of(each)[name].isel(part).compute() for each in (found, held))
            xr.testing.assert_equal(one, other)
            assert bool(one[COUNT].any() if COUNT in one else one.to_array().notnull().all())


def test_of_a_stored_stack_only_blocks_with_some_of_the_area_are_read(
    stack: Path, fields: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    read, told, real = [], [], stored._Band._read

    def noted(band: stored._Band, where: tuple[slice, ...]) -> np.ndarray:
        if band._name == "B2":
            read.append(tuple((span.start // writing.SMALL, span.stop - span.start) for span in where[-2:]))
        return real(band, where)

    monkeypatch.setattr(stored._Band, "_read", noted)
    fetch_stack(FetchRequest(str(stack), tmp_path / "again.zarr", str(fields)), lambda *at: told.append(at))
    assert [tuple(number for number, _ in at) for at in read] == [(0, 0), (0, 10), (1, 10), (10, 0)]
    assert all(size <= writing.SMALL for at in read for _, size in at)
    assert len(told) > 2 and told == sorted(told) and told[-1][0] == told[-1][1]
    one, other = (groups_of(read_stack(path)) for path in (stack, tmp_path / "again.zarr"))
    for name, group in one.items():
        xr.testing.assert_equal(group.compute(), other[name].compute())


def test_a_map_of_the_stack_is_the_map_of_the_fields(stack: Path, fields: Path, tmp_path: Path) -> None:
    direct = MapRequest("simulated", tmp_path / "direct", str(fields), "2021", crs="EPSG:32631")
    kept = MapRequest(str(stack), tmp_path / "stored", str(fields), model="simulated")
    for request in (direct, kept, replace(kept, aoi=None, out=tmp_path / "whole")):
        report = make_map(request)
        assert sum(each["pixels"] for each in report.classes) == len(PLACES) * SIDE**2
        name = "crop_type.tif"
        assert (request.out / name).read_bytes() == (direct.out / name).read_bytes()
    assert any("the area that the stack was fetched for" in note for note in report.notes)


def test_what_was_not_fetched_is_left_out_and_said(stack: Path, tmp_path: Path) -> None:
    field = (GRID.affine.c, GRID.affine.f)  # the grid of both begins at the same corner
    x, y = field[0] + 50, field[1] - 30
    wide = geopandas.GeoDataFrame(geometry=[shapely.box(x, y - 200, x + 100, y)], crs="EPSG:32631")
    wide.to_file(tmp_path / "wide.gpkg")
    asked = MapRequest(str(stack), tmp_path / "map", str(tmp_path / "wide.gpkg"), model="simulated")
    report = make_map(asked)
    assert sum(each["pixels"] for each in report.classes) == SIDE**2
    assert any("50.0% of the area of interest lies outside" in warning for warning in report.warnings)
    apart = geopandas.GeoDataFrame(geometry=[shapely.box(x, y - 900, x + 90, y - 800)], crs="EPSG:32631")
    apart.to_file(tmp_path / "apart.gpkg")
    with pytest.raises(AreaError, match="shares nothing with what was fetched"):
        make_map(replace(asked, out=tmp_path / "none", aoi=str(tmp_path / "apart.gpkg")))


def test_samples_are_taken_of_what_was_fetched_alone(stack: Path, tmp_path: Path) -> None:
    grid = StoredSource(stack).grid
    x, y = grid.affine * (4.5, 4.5)
    both = shapely.box(x, y - 40, x + 400, y - 20)
    places = {"wheat": shapely.Point(x, y), "maize": shapely.Point(x + 300, y), "oats": both}
    points = geopandas.GeoDataFrame({"label": list(places)}, geometry=list(places.values()), crs="EPSG:32631")
    points.to_file(tmp_path / "points.gpkg")
    out = tmp_path / "samples.parquet"
    request = SamplingRequest(tmp_path / "points.gpkg", str(stack), out, edge=0, per_polygon=10**4)
    report = sample_points(request)
    assert [left.label for left in report.left_out] == ["maize"]


def test_a_source_of_several_parts_holds_what_all_of_them_do(stack: Path) -> None:
    one, other = StoredSource(stack), StoredSource(stack)
    assert CombinedSource({"optical": one, "weather": open_source("simulated")}).area == one.area
    other.area = Geometry(shapely.box(0, 0, 9, 9), "EPSG:32631")
    with pytest.raises(SourceError, match="another area"):
        CombinedSource({"optical": one, "radar": other})


def test_facts_are_those_of_the_fields(stack: Path) -> None:
    facts = inspect(str(stack))
    assert facts["fetched for"]["polygons"] == len(PLACES)
    assert facts["fetched for"]["hectares"] == pytest.approx(len(PLACES), rel=1e-3)
    assert all(row["valid in the middle"] > 0.5 for row in facts["modalities"])
