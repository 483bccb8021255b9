"""One process at a time works in a folder, with the same arguments, and leaves nothing useless behind."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from geocomiss.errors import MapError
from geocomiss.tiling import Counts, Manifest, WorkFolder, changes, read_status
from geocomiss_cli import main as entry

HOLD = """
import sys, time
from pathlib import Path
from geocomiss.tiling import WorkFolder
with WorkFolder(Path(sys.argv[1])).held():
    print("in", flush=True)
    time.sleep(60)
"""


def counts(seed: int) -> Counts:
    rng = np.random.default_rng(seed)
    classes, patterns = np.zeros((2, 256), np.int64)
    classes[:4], patterns[[0, 3, 15, 255]] = rng.integers(1, 99, (2, 4))
    return Counts(seed, 2, classes, classes / 100, patterns, rng.integers(0, 9, (2, 12)))


def test_counts_come_back_from_json_and_add_up() -> None:
    one, other = counts(1), counts(2)
    back = Counts.from_json(json.loads(json.dumps(one.as_json())))
    assert back.as_json() == one.as_json()
    both = one + other
    assert both.outside == 3 and (both.classes == one.classes + other.classes).all()
    assert (both.observed == one.observed + other.observed).all()
    assert (Counts.nothing((2, 12)) + one).as_json() == one.as_json()


def test_other_arguments_are_refused_with_what_changed_or_discarded(tmp_path: Path) -> None:
    work = WorkFolder(tmp_path / "tiles")
    tiles = work.claim({"tile": 256, "season": "2021"}, 4, discard=False)
    (tiles / "00000_00000.npz").write_bytes(b"x")
    assert work.claim({"season": "2021", "tile": 256}, 4, discard=False) == work.current == tiles
    with pytest.raises(MapError, match='season: "2021" before, "2022" now'):
        work.claim({"tile": 256, "season": "2022"}, 4, discard=False)
    assert (tiles / "00000_00000.npz").exists()
    other = work.claim({"tile": 256, "season": "2022"}, 4, discard=True)
    assert sorted(work.path.iterdir()) == sorted([other, work.path / "request.json"])
    assert other != tiles and not list(other.iterdir())


def test_of_long_values_only_what_changed_is_shown() -> None:
    files = [f"file {number}" for number in range(100)]
    (line,) = changes({"source": [*files, "old"], "same": 1}, {"source": [*files, "new"], "same": 1})
    assert line == 'source: ["old"] before, ["new"] now'
    (line,) = changes({"a": "x" * 999}, {})
    assert len(line) < 200 and line.endswith("nothing now")


def test_arguments_are_called_as_their_options_are() -> None:
    (told,) = changes({"bands": {"radar": ["VV"]}}, {"bands": {}})
    assert told.startswith("bands read (--without, --on-mismatch): ")


def test_what_follows_from_another_change_is_not_told() -> None:
    before = {"model": "a", "readout": "x", "season": "2021", "found": "1", "precision": "float32"}
    now = {"model": "b", "readout": "y", "season": "2021", "found": "1", "precision": "bfloat16"}
    assert changes(before, now) == ['model: "a" before, "b" now']
    assert changes(before, before | {"readout": "y"}) == ['probabilities (--priors): "x" before, "y" now']
    assert changes(before, before | {"season": "2022", "found": "2"}) == ['season: "2021" before, "2022" now']


def test_nothing_stays_of_work_that_came_to_nothing(tmp_path: Path) -> None:
    work = WorkFolder(tmp_path / "map" / "tiles")
    with work.held():
        work.claim({}, 1, discard=False)
    assert not (tmp_path / "map").exists()
    (tmp_path / "map").mkdir()
    (tmp_path / "map" / "notes.txt").write_text("mine")
    with work.held():
        work.claim({}, 1, discard=False)
    assert [path.name for path in (tmp_path / "map").iterdir()] == ["notes.txt"]
    with work.held():
        (work.path / "00000_00000.npz").touch()
    assert (work.path / "00000_00000.npz").exists()


def test_a_folder_is_held_by_one_process_and_free_when_it_is_killed(tmp_path: Path) -> None:
    work = WorkFolder(tmp_path / "map" / "tiles")
    holder = subprocess.Popen([sys.executable, "-c", HOLD, str(work.path)], stdout=subprocess.PIPE, text=True)
    assert holder.stdout is not None and holder.stdout.readline() == "in\n"
    assert work.busy
    with pytest.raises(MapError, match="another process is mapping"), work.held():
        pass
    os.kill(holder.pid, signal.SIGKILL)
    holder.wait()
    assert not work.busy
    with work.held():
        assert work.busy


def begun(folder: Path) -> Manifest:
    """A map of 5 tiles: one done, one failed, one begun and left."""
    work = WorkFolder(folder / "tiles")
    work.claim({}, 5, discard=False)
    manifest = Manifest(work.current)
    for name in ("a", "b", "c"):
        manifest.begin(name)
    manifest.finish("a", (0, 1, 0, 1), "0" * 64, counts(1))
    manifest.fail("b", "a broken file with [brackets]")
    return manifest


def test_the_status_counts_each_tile_once_by_what_was_written_last(tmp_path: Path) -> None:
    manifest = begun(tmp_path)
    status = read_status(tmp_path)
    states = [[each.tile for each in part] for part in (status.done, status.interrupted, status.failed)]
    assert states == [["a"], ["c"], ["b"]]
    assert (status.waiting, status.busy, status.running, status.finished) == (2, False, (), False)
    assert status.pixels == counts(1).patterns[:255].sum()
    Manifest(WorkFolder(tmp_path / "tiles").current, "manifest-other-1.jsonl").begin("b")
    manifest.begin("a")  # whatever comes later: done is done
    with WorkFolder(tmp_path / "tiles").held():
        (tmp_path / "tiles" / "a.npz").touch()
        status = read_status(tmp_path)
        assert sorted(each.tile for each in status.running) == ["b", "c"]
        assert (len(status.done), len(status.failed), status.waiting) == (1, 0, 2)


def test_the_command_shows_a_table_and_its_exit_code_tells_of_failures(tmp_path: Path) -> None:
    manifest = begun(tmp_path)
    done = CliRunner().invoke(entry.app, ["status", str(tmp_path)], env={"COLUMNS": "150"})
    assert done.exit_code == 3
    for words in ("not finished", "20.0%", "interrupted", "a broken file with [brackets]"):
        assert words in done.output
    manifest.finish("b", (0, 1, 0, 1), "0" * 64, counts(1))
    assert CliRunner().invoke(entry.app, ["status", str(tmp_path)]).exit_code == 0
    with pytest.raises(MapError, match="no map in"):
        read_status(tmp_path / "tiles")


def test_a_map_that_is_being_planned_is_no_missing_one(tmp_path: Path) -> None:
    """Before its tiles are known a process may ask a catalogue for minutes."""
    with WorkFolder(tmp_path / "tiles").held():
        shown = CliRunner().invoke(entry.app, ["status", str(tmp_path)])
    assert shown.exit_code == 0 and "being planned" in shown.output.replace("\n", "")
