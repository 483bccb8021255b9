"""Limits are never exceeded, many tiles run at a time, passes are decided once; ids stand in one table."""

import logging
import resource
from dataclasses import replace
from datetime import date
from pathlib import Path

import ee
import ee_local
import numpy as np
import pytest
import shapely
from affine import Affine
from ee_evaluator import Evaluator, Image, Refused
from ee_scenes import GRID, catalogue
from ee_server import EarthEngineServer
from hypothesis import given
from hypothesis import strategies as some
from odc.geo.geobox import GeoBox
from pyproj import Transformer

from geocomiss.recipes import RECIPES
from geocomiss.seasons import Calendar
from geocomiss.sources.base import EarthEngine, RadarPass, Reading
from geocomiss.sources.ee import tables
from geocomiss.sources.ee.graph.radar import linear_mean
from geocomiss.sources.ee.graph.static import heights
from geocomiss.sources.ee.graph.wire import decoded, encoded
from geocomiss.sources.ee.kept import Kept
from geocomiss.sources.ee.listing import Acquisition, Granule
from geocomiss.sources.ee.passes import decide
from geocomiss.sources.ee.source import EarthEngineSource
from geocomiss.sources.ee.tables import CODINGS, MAX_BANDS, MAX_BYTES, MAX_SIDE, SRTM
from geocomiss.sources.ee.tiler import Graph, Tile, requests_of, size_of
from geocomiss.sources.passes import Directions, box_of, cells_of

APRIL = Calendar(date(2021, 4, 1), "month", 1)


def test_collections_and_bands_are_those_of_the_catalogue() -> None:
    known = [each.id for each in vars(tables).values() if isinstance(each, tables.Collection)]
    assert sorted(known) == sorted(set(known)) and set(known) == {
        "COPERNICUS/S2_SR_HARMONIZED",
        "COPERNICUS/S2_HARMONIZED",
        "GOOGLE/CLOUD_SCORE_PLUS/V1/S2_HARMONIZED",
        "COPERNICUS/S1_GRD",
        "ECMWF/ERA5_LAND/MONTHLY_AGGR",
        "USGS/SRTMGL1_003",
        "COPERNICUS/DEM/GLO30",
    }
    s2 = "B2 B3 B4 B5 B6 B7 B8 B8A B9 B11 B12".split()
    assert list(tables.S2_L2A.bands.values()) == s2 and list(tables.S1.bands.values()) == ["VV", "VH"]
    assert list(tables.ERA5_LAND.bands.values()) == ["temperature_2m", "total_precipitation_sum"]


@given(
    height=some.integers(1, 70_000),
    width=some.integers(1, 70_000),
    bands=some.integers(1, 2_600),
    itemsize=some.sampled_from([2, 4, 8]),
)
def test_no_request_exceeds_a_limit_and_together_they_are_the_tile(
    height: int, width: int, bands: int, itemsize: int
) -> None:
    if size_of((height, width), bands, itemsize) > 400 * MAX_BYTES:
        height, width = height % 2000 + 1, width % 2000 + 1  # a reasonable number of requests
    grid = GeoBox((height, width), Affine(10, 0, 0, 0, -10, 0), "EPSG:32631")
    graph = Graph(None, tuple(map(str, range(bands))), itemsize, "x")  # type: ignore[arg-type]
    parts = list(requests_of(Tile(graph, grid)))
    assert sum(p.grid.height * p.grid.width * len(p.graph.bands) for p in parts) == height * width * bands
    for part in parts:
        assert part.size <= MAX_BYTES and max(part.grid.shape) <= MAX_SIDE
        assert len(part.graph.bands) <= MAX_BANDS
    assert len({part.key for part in parts}) == len(parts)


def test_a_tile_just_within_the_limit_is_one_request() -> None:
    graph = Graph(None, tuple(map(str, range(17))), 2, "x")  # type: ignore[arg-type]
    one, two = (GeoBox((n, n), Affine(10, 0, 0, 0, -10, 0), "EPSG:32631") for n in (993, 994))
    assert len(list(requests_of(Tile(graph, one)))) == 1, "EARTH_ENGINE.md: 993 pixels for 17 bands of int16"
    assert len(list(requests_of(Tile(graph, two)))) == 4


@pytest.mark.slow
def test_a_thousand_tiles_run_in_parallel_in_flat_memory(
    server: EarthEngineServer, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    options = EarthEngine("my-project", server.url, "none", parallel=24)
    source = EarthEngineSource(None, Reading(ee=options, keep=tmp_path / "kept"))
    graph = encoded(heights(SRTM), ["elevation"], CODINGS["topography"])
    tiles = [Tile(graph, GRID[0:8, 0:8].translate_pix(8 * n, 0)) for n in range(1000)]
    server.set(slow=0.5)
    caplog.set_level(logging.WARNING)
    source._tiler.start(tiles[:200])
    for tile in tiles[:200]:
        source._tiler.read(tile)
    early = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    assert 20 <= server.most <= 24, f"{server.most} at a time"
    server.tell(settings={"slow": 0.0})
    source._tiler.start(tiles)
    for tile in tiles:
        assert source._tiler.read(tile).shape == (1, 8, 8)
    grown = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - early
    assert len(server.asked()) == 1000 and source._tiler.fetched == 1000 and not source._tiler.reused
    assert server.most <= 24 and grown < 20_000, f"{server.most} at a time, {grown} kB more"
    assert not [record for record in caplog.records if "pool" in record.getMessage()]


@given(values=some.lists(some.floats(-60, 15, width=32), min_size=1, max_size=6))
def test_numbers_come_back_within_half_a_step(values: list[float]) -> None:
    coding = CODINGS["radar"]
    numbers = np.rint(np.array(values) * coding.per_unit["VV"]).astype(coding.dtype).reshape(1, 1, -1)
    found = decoded(numbers, ["VV"], coding)["VV"]
    np.testing.assert_allclose(found[0], values, atol=0.5 / coding.per_unit["VV"] + 1e-5)
    assert np.isnan(decoded(np.full((1, 1, 1), coding.nothing), ["VV"], coding)["VV"]).all()


def test_an_algorithm_that_our_graphs_do_not_use_is_refused_by_name(source: EarthEngineSource) -> None:
    expression = ee.Image.constant(1).sin().serialize(for_cloud_api=True)
    with pytest.raises(Refused, match=r"Image\.sin"):
        Evaluator(ee.deserializer.json.loads(expression), {}).result()


def acquisition(day: int, direction: str, west: float, east: float) -> Acquisition:
    granule = Granule(f"S1/{direction}{day}", shapely.box(west, 50, east, 52))
    return Acquisition(np.datetime64(f"2021-04-{day:02d}", "ns"), (granule,), direction)


def test_a_cell_takes_the_direction_that_covers_more_then_the_one_seen_more_often() -> None:
    (cell,) = cells_of((5.0, 50.5, 5.01, 50.51))
    west, south, east, north = box_of(cell).bounds
    assert north - south == pytest.approx(0.9) and (east - west) * np.cos(np.radians(50.85)) == pytest.approx(
        0.9, rel=0.01
    )
    often = [acquisition(day, "ascending", west - 1, east + 1) for day in (1, 2, 3)]
    seldom = [acquisition(day, "descending", west - 1, east + 1) for day in (4, 5)]
    half = [acquisition(day, "descending", west, (west + east) / 2) for day in range(6, 20)]

    def decided(*seen: Acquisition, asked: RadarPass = "auto") -> str:
        return decide([cell], seen, APRIL, asked, Kept(None)).name

    assert decided(*often, *seldom) == "ascending"
    assert decided(*often, *half) == "ascending", "14 passes over half of it"
    assert decided() == decided(asked="both") == "unknown"
    assert [decided(*often, *half, asked=asked) for asked in ("asc", "desc", "both")] == [
        *("ascending", "descending", "both")
    ]
    assert decided(*often, asked="desc") == "unknown"
    every = cells_of((-180, -90, 180, 90))
    assert sum(box_of(each).area for each in every if box_of(each).bounds[0] < 180) == pytest.approx(
        360 * 180, rel=1e-3
    )


def test_neighbouring_cells_with_other_directions_do_not_mix(source: EarthEngineSource) -> None:
    images = catalogue()
    edge = 4.9805
    boxes = {"descending": (0.0, 0.0, edge, 60.0), "ascending": (edge, 0.0, 10.0, 60.0)}
    found = source._listing.radar((4.9, 50.5, 5.1, 50.7), APRIL)
    parts = [([each for each in found if each.direction == name], [box]) for name, box in boxes.items()]
    expression = linear_mean(parts, ["VV"]).serialize(for_cloud_api=True)
    image = Evaluator(ee.deserializer.json.loads(expression), images).result()
    assert isinstance(image, Image)
    values, valid = image.bands["VV"].on(GRID)
    x, y = np.meshgrid(640_005 + 10 * np.arange(GRID.width), 5_609_995 - 10 * np.arange(GRID.height))
    left = Transformer.from_crs(32631, 4326, always_xy=True).transform(x, y)[0] < edge
    down, up = (
        ee_local.radar(images, GRID, APRIL, RECIPES["monthly-l2a"], name)["VV"].values[0]
        for name in ("DESCENDING", "ASCENDING")
    )
    expected = np.where(left, down, up)
    assert left.any() and not left.all() and (valid == np.isfinite(expected)).all()
    np.testing.assert_allclose(values[valid], expected[valid], atol=1e-3)


def test_directions_are_boxes_only_where_cells_differ() -> None:
    one, two = cells_of((4.0, 50.5, 5.4, 50.6))[:2]
    area = shapely.union(box_of(one), box_of(two))
    same = Directions({one: "ascending", two: "ascending"})
    other = Directions({one: "ascending", two: "descending"})
    assert same.areas(area) == [("ascending", None)] and same.name == "ascending"
    assert [name for name, _ in other.areas(area)] == ["ascending", "descending"] and other.name == "mixed"
    assert "radar passes by cell" in next(iter(other.notes()))
    assert other.areas(box_of(one).buffer(-0.1)) == [("ascending", None)]


def test_what_was_decided_is_part_of_the_state(reading: Reading) -> None:
    source = EarthEngineSource(None, replace(reading, wanted={"radar": ("VV",)}))
    source.open(GRID, APRIL)
    first = source.state
    source.open(GRID, Calendar(date(2021, 5, 1), "month", 1))
    assert len(first) == 64 and source.state != first
