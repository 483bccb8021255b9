"""Windows whose values are looked at lie where something is mapped, however thinly it is spread."""

import tracemalloc
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import rasterio
import shapely
from affine import Affine
from gappy import RANGES, SEASON, untrained
from hollow import hollow_stack
from odc.geo import Geometry
from odc.geo.geobox import GeoBox

from geocomiss.covering import Covering
from geocomiss.errors import RecipeError
from geocomiss.grid import Tile, grid_of, number_of_tiles, tile_at, tiles_of
from geocomiss.mapping import MapRequest
from geocomiss.mapping.checks import SAMPLE, TRIED, sample_stacks, windows_in
from geocomiss.mapping.planning import plan_map
from geocomiss.sources import open_source

SMALL = GeoBox((700, 1100), Affine(10, 0, 640000, 0, -10, 5610000), "EPSG:32631")
SIDE = 4000
HUGE = GeoBox((200_000, 200_000), Affine(10, 0, 0, 0, -10, 5_610_000), "EPSG:32631")


def everything(tile: Tile) -> np.ndarray:
    return np.ones(tile.geobox.shape, bool)


def test_a_tile_by_its_number_is_the_one_in_the_list() -> None:
    for size in (96, 512, 2000):
        tiles = list(tiles_of(SMALL, size))
        assert len(tiles) == number_of_tiles(SMALL, size)
        assert [tile_at(SMALL, size, number) for number in range(len(tiles))] == tiles


def test_scattered_fields_are_looked_at() -> None:
    rng = np.random.default_rng(0)
    corners = rng.uniform((4, 50), (5, 51), (20, 2))
    fields = shapely.union_all([shapely.box(x, y, x + 0.0014, y + 0.0009) for x, y in corners])
    area = Geometry(fields, "EPSG:4326")
    grid = grid_of(area)
    covering = Covering(area, grid)
    found = list(windows_in(grid, covering, lambda tile: covering.inside(tile.geobox)))
    held = {tile.name for tile in covering.tiles(SAMPLE) if covering.inside(tile.geobox).any()}
    assert {tile.name for tile in found} == held and len(found) >= 20


def test_windows_of_a_huge_grid_are_not_listed() -> None:
    tracemalloc.start()
    try:
        found = list(windows_in(HUGE, None, everything))
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert len({tile.name for tile in found}) == TRIED and peak < 2e6
    assert max(tile.y.start for tile in found) > 150_000 and min(tile.y.start for tile in found) < 50_000


@pytest.fixture(scope="module")
def large(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A large stack with optical values in another unit, and a model."""
    folder = tmp_path_factory.mktemp("large")
    with pytest.MonkeyPatch.context() as patch:
        for band in ("B2", "B3", "B4", "B8"):
            patch.setitem(RANGES, band, tuple(each / 10_000 for each in RANGES[band]))
        hollow_stack(folder / "stack.zarr", SIDE)
    untrained(folder)
    return folder


def request(folder: Path, **asked: Any) -> MapRequest:
    area = shapely.box(655_003, 5_595_003, 655_203, 5_595_203)
    degrees = Geometry(area, "EPSG:32631").to_crs("EPSG:4326").wkt
    stack, model = str(folder / "stack.zarr"), str(folder / "model")
    return MapRequest(stack, folder / "map", model=model, aoi=degrees, **asked)


def test_a_wrong_unit_is_found_in_a_field_of_a_large_stack(large: Path) -> None:
    with pytest.raises(RecipeError, match="optical"):
        plan_map(request(large))


def test_where_nothing_could_be_looked_at_it_is_said(large: Path, tmp_path: Path) -> None:
    mask = tmp_path / "mask.tif"
    shape: Any = {"width": 2, "height": 2, "count": 1, "dtype": "uint8", "crs": "EPSG:32631"}
    with rasterio.open(mask, "w", driver="GTiff", transform=SMALL.affine, **shape) as file:
        file.write(np.ones((2, 2), np.uint8), 1)
    assert said(plan_map(request(large, mask=str(mask))).notes) == ["none holds a pixel to be mapped"]
    assert said(plan_map(request(large, on_mismatch="drop")).notes) == []


def test_where_windows_hold_no_value_it_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for band in RANGES:
        monkeypatch.setitem(RANGES, band, (np.nan, np.nan))
    source = open_source(str(hollow_stack(tmp_path / "stack.zarr", 100)))
    assert source.grid is not None
    stack = source.open(source.grid, SEASON)
    samples, notes = sample_stacks(stack, source, source.grid, windows_in(source.grid, None, everything))
    assert len(samples) == 3 and said(notes) == ["the 3 windows looked at hold no value"]


def said(notes: tuple[str, ...]) -> list[str]:
    """What is said of values that could not be looked at."""
    return [each.rpartition(": ")[2].rpartition("pixels ")[2] for each in notes if "not compared" in each]
