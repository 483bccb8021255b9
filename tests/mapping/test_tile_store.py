"""Tiles survive a crash; anything damaged does not count, anything that fails is tried again and named."""

import errno
import tracemalloc
from pathlib import Path

import numpy as np
import pytest
from affine import Affine
from odc.geo.geobox import GeoBox

from geocomiss.errors import MapError, SourceError, SourceStopped, TilesFailed, unwritable
from geocomiss.grid import Tile, tiles_of
from geocomiss.mapping.queue import ATTEMPTS, IN_A_ROW, Outcome, Queue
from geocomiss.mapping.tiles import TileResult, TileStore
from geocomiss.tiling import Manifest, Worries

TILES = list(tiles_of(GeoBox((20, 30), Affine(10, 0, 0, 0, -10, 0), "EPSG:32631"), 10))
MANY = list(tiles_of(GeoBox((10, 300), Affine(10, 0, 0, 0, -10, 0), "EPSG:32631"), 10))
BROKEN = SourceError("a broken file", expected="a whole one", todo="mend it")


def result(tile: Tile, seed: int = 0) -> TileResult:
    rng = np.random.default_rng(seed)
    layers = (rng.integers(0, 5, tile.geobox.shape, dtype=np.uint8) for _ in range(4))
    return TileResult(*layers, outside=3, masked=4)


def test_a_stored_tile_comes_back_in_another_process(tmp_path: Path) -> None:
    store = TileStore(tmp_path)
    record = store.write_tile(TILES[2], result(TILES[2]))
    again = TileStore(tmp_path)
    assert [tile in again for tile in TILES] == [False, False, True, False, False, False]
    read, want = again.read_tile(TILES[2]), result(TILES[2])
    assert (read.crop_type == want.crop_type).all()
    assert (again.read_layer(TILES[2], "confidence") == want.confidence).all()
    assert (read.outside, read.masked) == (3, 4)
    recorded = again.record_of(TILES[2])
    assert recorded is not None and recorded.counts is not None and record.counts is not None
    assert recorded.counts.as_json() == record.counts.as_json()
    assert recorded.counts.classes.sum() == 100
    assert recorded.window == (0, 10, 20, 30)


def test_a_tile_with_few_mapped_pixels_comes_back_too_also_where_counts_have_its_shape(
    tmp_path: Path,
) -> None:
    grid = GeoBox((2, 12), Affine(10, 0, 0, 0, -10, 0), "EPSG:32631")
    tile, rng = next(tiles_of(grid, 12)), np.random.default_rng(0)
    elsewhere = {"crop_type": 0, "confidence": 255, "modalities": 255, "expected_accuracy": 255}
    layers = {name: np.full(grid.shape, value, np.uint8) for name, value in elsewhere.items()}
    for values in layers.values():
        values[1, 7] = 3
    several = np.full((3, *grid.shape), 9, np.uint16)
    several[:, 1, 7] = (4, 9, 5)
    observed = rng.integers(0, 40, grid.shape)
    result = TileResult(**layers, outside=3, masked=4, further={"several": several}, observed=observed)
    store = TileStore(tmp_path)
    store.write_tile(tile, result)
    read = store.read_tile(tile)
    assert (read.observed == observed).all() and (read.outside, read.masked) == (3, 4)
    for name in (*layers, "several"):
        assert (read.layer(name) == result.layer(name)).all()
        assert (store.read_layer(tile, name) == result.layer(name)).all()


def test_a_damaged_tile_is_done_again_and_said_when_it_is_read(tmp_path: Path) -> None:
    store = TileStore(tmp_path)
    store.write_tile(TILES[0], result(TILES[0]))
    file = tmp_path / f"{TILES[0].name}.npz"
    whole = file.read_bytes()
    for damaged in (whole[:-20], whole[:200] + bytes([whole[200] ^ 1]) + whole[201:], b""):
        file.write_bytes(damaged)
        assert TILES[0] not in TileStore(tmp_path)
        with pytest.raises(MapError, match=r"00000_00000 in .* is damaged"):
            store.read_tile(TILES[0])
    file.write_bytes(whole)
    assert TILES[0] in TileStore(tmp_path)


def test_a_tile_that_was_not_recorded_does_not_count(tmp_path: Path) -> None:
    store = TileStore(tmp_path)
    store.write_tile(TILES[0], result(TILES[0]))
    store.write_tile(TILES[1], result(TILES[1]))
    manifest = tmp_path / "manifest.jsonl"
    manifest.write_text(manifest.read_text()[:-30])  # the last line is cut short, as by a kill
    again = TileStore(tmp_path)
    assert TILES[0] in again
    assert TILES[1] not in again
    again.write_tile(TILES[1], result(TILES[1]))
    assert all(tile in TileStore(tmp_path) for tile in TILES[:2])


def test_what_other_processes_record_counts(tmp_path: Path) -> None:
    here, there = TileStore(tmp_path), TileStore(tmp_path, "manifest-there-1.jsonl")
    assert TILES[0] not in here
    for tile in TILES[:2]:
        there.write_tile(tile, result(tile))
    assert TILES[0] not in here
    here.look_for(TILES[0])
    assert [tile in here for tile in TILES[:3]] == [True, False, False]
    here.reload()
    assert [tile in here for tile in TILES[:3]] == [True, True, False]


def test_who_only_computes_reads_nothing_of_what_was_recorded(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    TileStore(tmp_path).write_tile(TILES[1], result(TILES[1]))
    worker, asked = TileStore(tmp_path, "manifest-there-1.jsonl"), []
    read = worker.manifest.read
    monkeypatch.setattr(worker.manifest, "read", lambda tile="": [asked.append(tile), read(tile)][1])
    worker.note_start(TILES[0])
    worker.write_tile(TILES[0], result(TILES[0]))
    assert TILES[0] in worker and asked == []
    worker.look_for(TILES[1])
    assert TILES[1] in worker and asked == [TILES[1].name]


def test_what_is_known_of_many_tiles_takes_little_memory(tmp_path: Path) -> None:
    store, number = TileStore(tmp_path), 500
    counts = result(TILES[0]).counts(TILES[0])
    for at in range(number):
        store.manifest.finish(f"{at:05d}_00000", (0, 10, 0, 10), f"{at:064d}", counts)
    tracemalloc.start()
    try:
        known = Manifest(tmp_path).read()
        held = tracemalloc.get_traced_memory()[0]
    finally:
        tracemalloc.stop()
    assert len(known) == number and held / number < 2000, "8,000 where each value of a byte has a number"
    found = known["00007_00000"][0].counts
    assert found is not None and found.as_json() == counts.as_json()


def test_a_failing_tile_is_tried_after_the_others_and_then_named(tmp_path: Path) -> None:
    store = TileStore(tmp_path)
    queue, order = Queue(TILES, store), []
    while (tile := queue.next()) is not None:
        order.append(tile.name)
        if tile is TILES[1]:
            queue.fail(tile, BROKEN)
        else:
            queue.finish(tile, Outcome(store.write_tile(tile, result(tile))))
    assert order == [tile.name for tile in TILES] + [TILES[1].name] * (ATTEMPTS - 1)
    with pytest.raises(TilesFailed, match=r"1 tiles failed .*00000_00001 \(a broken file\)"):
        queue.check()
    again = Queue(TILES, TileStore(tmp_path))
    assert again.next() == TILES[1] and again.next() is None
    assert again.kept == 500


def test_tiles_that_failed_before_come_last(tmp_path: Path) -> None:
    store = TileStore(tmp_path)
    store.note_failure(TILES[0], "a broken file")
    queue = Queue(TILES, TileStore(tmp_path))
    assert [queue.next() for _ in TILES] == [*TILES[1:], TILES[0]]


def test_where_nothing_succeeds_the_input_is_blamed_and_not_the_tiles(tmp_path: Path) -> None:
    queue = Queue(MANY, TileStore(tmp_path))
    for _ in range(IN_A_ROW - 1):
        queue.fail(queue.next(), BROKEN)  # type: ignore[arg-type]
    with pytest.raises(SourceError, match="a broken file"):
        queue.fail(queue.next(), BROKEN)  # type: ignore[arg-type]


def test_many_failures_in_a_row_end_a_run_and_keep_what_is_done(tmp_path: Path) -> None:
    store = TileStore(tmp_path)
    queue = Queue(MANY, store)
    tile = queue.next()
    assert tile is not None
    queue.finish(tile, Outcome(store.write_tile(tile, result(tile))))
    with pytest.raises(TilesFailed, match="1 are done, the run was given up"):
        while (tile := queue.next()) is not None:
            queue.fail(tile, RuntimeError("something"))


@pytest.mark.parametrize(
    "error",
    [
        SourceStopped("x", expected="y", todo="z"),
        MemoryError(),
        unwritable(Path("map"), OSError(errno.ENOSPC, "no space left")),
    ],
)
def test_what_is_no_fault_of_a_tile_ends_the_run_at_once(tmp_path: Path, error: Exception) -> None:
    queue = Queue(MANY, TileStore(tmp_path))
    tile = queue.next()
    assert tile is not None
    with pytest.raises(type(error)):
        queue.fail(tile, error)


def test_worries_of_earlier_runs_are_those_they_ended_with(tmp_path: Path) -> None:
    first, second = Worries(tmp_path), Worries(tmp_path)
    assert first.earlier() == ()
    first.note(())
    assert not list(tmp_path.iterdir())
    for worries in (["1 image"], ["1 image"], ["2 images", "haze"]):
        first.note(worries)
    (path,) = tmp_path.iterdir()
    assert path.read_text().count("run") == 2
    path.write_bytes(path.read_bytes() + b'{"run": "cut sh')
    second.note(["haze"])
    assert first.earlier() == ("haze",) and second.earlier() == ("2 images", "haze")
