"""Tiles survive a crash; anything damaged or made with other arguments does not count."""

from pathlib import Path

import numpy as np
import pytest
from affine import Affine
from odc.geo.geobox import GeoBox

from geocomiss.errors import MapError
from geocomiss.grid import Tile, tiles_of
from geocomiss.mapping.tiles import TileResult, TileStore

TILES = list(tiles_of(GeoBox((20, 30), Affine(10, 0, 0, 0, -10, 0), "EPSG:32631"), 10))


def result(tile: Tile, seed: int = 0) -> TileResult:
    rng = np.random.default_rng(seed)
    layers = (rng.integers(0, 5, tile.geobox.shape, dtype=np.uint8) for _ in range(4))
    return TileResult(*layers, outside=3, masked=4)


def test_a_stored_tile_comes_back_in_another_process(tmp_path: Path) -> None:
    store = TileStore(tmp_path / "tiles", {"season": "2021"})
    store.write_tile(TILES[2], result(TILES[2]))
    again = TileStore(tmp_path / "tiles", {"season": "2021"})
    assert [tile in again for tile in TILES] == [False, False, True, False, False, False]
    read = again.read_tile(TILES[2])
    assert (read.crop_type == result(TILES[2]).crop_type).all()
    assert (read.outside, read.masked) == (3, 4)


def test_a_damaged_tile_is_done_again(tmp_path: Path) -> None:
    store = TileStore(tmp_path / "tiles", {})
    store.write_tile(TILES[0], result(TILES[0]))
    file = tmp_path / "tiles" / f"{TILES[0].name}.npz"
    file.write_bytes(file.read_bytes()[:-20])
    assert TILES[0] not in TileStore(tmp_path / "tiles", {})


def test_a_tile_that_was_not_recorded_does_not_count(tmp_path: Path) -> None:
    store = TileStore(tmp_path / "tiles", {})
    store.write_tile(TILES[0], result(TILES[0]))
    store.write_tile(TILES[1], result(TILES[1]))
    manifest = tmp_path / "tiles" / "manifest.jsonl"
    manifest.write_text(manifest.read_text()[:-30])  # the last line is cut short, as by a kill
    again = TileStore(tmp_path / "tiles", {})
    assert TILES[0] in again
    assert TILES[1] not in again
    again.write_tile(TILES[1], result(TILES[1]))
    assert all(tile in TileStore(tmp_path / "tiles", {}) for tile in TILES[:2])


def test_other_arguments_are_refused_by_name_or_discarded(tmp_path: Path) -> None:
    TileStore(tmp_path / "tiles", {"tile": 256, "season": "2021"}).write_tile(TILES[0], result(TILES[0]))
    with pytest.raises(MapError, match="season was '2021'"):
        TileStore(tmp_path / "tiles", {"tile": 256, "season": "2022"})
    fresh = TileStore(tmp_path / "tiles", {"tile": 256, "season": "2022"}, discard=True)
    assert TILES[0] not in fresh


def test_removal_takes_an_empty_map_folder_along_but_nothing_else(tmp_path: Path) -> None:
    store = TileStore(tmp_path / "map" / "tiles", {})
    store.remove()
    assert not (tmp_path / "map").exists()
    store = TileStore(tmp_path / "map" / "tiles", {})
    (tmp_path / "map" / "notes.txt").write_text("mine")
    store.remove()
    assert [path.name for path in (tmp_path / "map").iterdir()] == ["notes.txt"]
