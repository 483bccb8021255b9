"""Workers tell what memory they took, and it is said where that was more than their share."""

import json
from dataclasses import replace
from pathlib import Path

import distributed
import numpy as np
import pytest
from clusters import cluster
from gappy import GRID, untrained
from hollow import hollow_stack
from typer.testing import CliRunner

from geocomiss.grid import tiles_of
from geocomiss.mapping.budget import share_of
from geocomiss.mapping.memory import PLANNER
from geocomiss.mapping.peaks import forget_peak, overdrawn, peak, workers_stated
from geocomiss.mapping.queue import Outcome, Queue
from geocomiss.mapping.request import MapRequest
from geocomiss.mapping.sums import _memory
from geocomiss.mapping.tiles import TileStore
from geocomiss.tiling import Counts, Manifest, Record
from geocomiss_cli import main as entry

BEFORE, GREED = 800_000_000, 500_000_000
GREEDY = f"""
import numpy as np
from geocomiss.mapping import work
from geocomiss.mapping.compute import map_tile as plain

def greedy(*arguments):
    work.map_tile = plain
    np.ones({GREED} // 8)
    return plain(*arguments)

def dask_setup(worker):
    if str(worker.name) == "1":
        work.map_tile = greedy
    else:
        np.ones({BEFORE} // 8)
"""
"""What makes one worker take much before a map, and the other one with its first tile."""
COUNTS = Counts.nothing((2, 12))


@pytest.mark.slow
def test_a_worker_that_takes_more_than_its_share_is_named(tmp_path: Path) -> None:
    source, model = hollow_stack(tmp_path / "stack.zarr", 192), untrained(tmp_path)
    (tmp_path / "greedy.py").write_text(GREEDY)
    asked = ["map", "--source", str(source), "--model", str(model), "--out", str(tmp_path / "map")]
    with cluster(tmp_path, 2, "--preload", str(tmp_path / "greedy.py")) as running:
        with distributed.Client(running.address, set_as_default=False) as client:
            client.wait_for_workers(2, timeout=120)
        asked += ["--memory", "900MB", "--scheduler", running.address]
        done = CliRunner().invoke(entry.app, asked, env={"COLUMNS": "300"})
        modest, greedy = (each.pid for each in running.workers)
    assert done.exit_code == 0, done.output
    facts = json.loads((tmp_path / "map" / "run.json").read_text())
    taken = facts["memory"]["workers"]
    peaks = {int(name.rpartition(":")[2]): most for name, most in taken["peaks_mb"].items()}
    assert peaks.keys() == {modest, greedy} and taken["number"] == 2
    assert 100 < peaks[modest] < taken["share_mb"] == 900
    assert GREED / 1e6 + 100 < peaks[greedy] == taken["largest_mb"]
    (warning,) = (each for each in facts["warnings"] if "their share of --memory" in each)
    assert warning.startswith("1 of 2 workers") and f":{greedy} " in warning and f":{modest} " not in warning
    assert warning in done.output


def test_what_a_process_took_before_is_forgotten() -> None:
    np.ones(25_000_000)
    before = peak()
    forget_peak()
    after = peak()
    if before is None or after is None:
        pytest.skip("the system does not tell")
    assert after < before - 100e6


def test_shares_follow_from_who_computes() -> None:
    request = MapRequest("a stack", Path("map"), memory=4_000_000_000)
    assert share_of(replace(request, memory=None, workers=2)) is None
    assert share_of(request) == share_of(replace(request, scheduler="tcp://there:1")) == 4e9
    assert share_of(replace(request, workers=3)) == (4e9 - PLANNER) / 3


def test_only_who_took_more_is_named_the_greediest_first() -> None:
    peaks = {f"host:{number}": number * 100_000_000 for number in range(1, 7)}
    assert overdrawn(peaks, None) == overdrawn(peaks, 600e6) == overdrawn({}, 1.0) == ()
    (told,) = overdrawn(peaks, 599e6)
    assert told.startswith("1 of 6 workers took more") and "599 MB each: host:6 600 MB; the map" in told
    (told,) = overdrawn(peaks, 150e6)
    assert "5 of 6" in told
    assert "host:6 600 MB, host:5 500 MB, host:4 400 MB and 2 more (see run.json)" in told


def test_peaks_of_this_run_are_those_of_its_processes_and_of_workers_that_died(tmp_path: Path) -> None:
    first, second, *others = tiles_of(GRID, 20)
    store = TileStore(tmp_path)
    (tmp_path / f"{first.name}.npz").touch()
    empty = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
    store.manifest.finish(first.name, (0, 20, 0, 20), empty, COUNTS, 9_000)
    queue = Queue([first, second, *others], store)
    for tile, name, taken in (
        (second, "host:2", 500),
        (others[0], "host:1", 300),
        (others[1], "host:2", 400),
        (others[2], "host:3", 0),  # one whose system does not tell
    ):
        queue.finish(tile, Outcome(Record(tile.name, "done", 0.0, name, peak=taken)))
    assert dict(queue.peaks.own) == {"host:2": 500, "host:1": 300}
    assert queue.peaks.kept == 9_000


def test_a_peak_is_recorded_with_each_tile_and_lines_without_one_are_read(tmp_path: Path) -> None:
    manifest = Manifest(tmp_path)
    manifest.finish("a", (0, 1, 0, 1), "", COUNTS, 123)
    path = next(tmp_path.glob("*.jsonl"))
    path.write_text(path.read_text() + path.read_text().replace('"peak": 123, ', "").replace('"a"', '"b"'))
    (one,), (other,) = manifest.read()["a"], manifest.read()["b"]
    assert (one.peak, other.peak) == (123, 0) and other.counts is not None


def test_a_worker_of_several_zones_is_one_worker() -> None:
    west = {"peak_mb": 5.0, "kept_peak_mb": None, "workers": workers_stated({"a": 1.0, "b": 4.0}, 3.0)}
    east = {"peak_mb": 4.0, "kept_peak_mb": 2.0, "workers": workers_stated({"a": 2.0, "c": 1.0}, 3.0)}
    found = _memory([west, east, east | {"workers": None}])
    assert found["workers"] == {
        "number": 3,
        "share_mb": 3.0,
        "largest_mb": 4.0,
        "peaks_mb": {"a": 2.0, "b": 4.0, "c": 1.0},
    }
    assert (found["peak_mb"], found["kept_peak_mb"]) == (5.0, 2.0)
    assert _memory([{"peak_mb": 5.0}]) == {"peak_mb": 5.0, "workers": None}  # as earlier versions wrote it
