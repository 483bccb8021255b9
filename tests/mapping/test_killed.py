"""Killed within a tile's writing, a manifest's line or the assembly, or with its workers: a map goes on."""

import json
import os
import random
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import pytest
from gappy import GRID, gappy_groups, store, untrained
from map_process import Moment, finish, lines, names, same, start

from geocomiss.errors import MapError
from geocomiss.mapping import MapRequest, make_map
from geocomiss.tiling import read_status

TILES = 30
LAYERS = 5
"""Rasters of this map; each is published with at least one further file."""


@pytest.fixture(scope="module")
def request_map(tmp_path_factory: pytest.TempPathFactory) -> MapRequest:
    """A map of 30 tiles."""
    folder = tmp_path_factory.mktemp("killed")
    return MapRequest(
        str(store(folder, gappy_groups())), folder / "map", model=str(untrained(folder)), tile=10
    )


@pytest.fixture(scope="module")
def undisturbed(request_map: MapRequest) -> Path:
    return make_map(replace(request_map, out=request_map.out.with_name("undisturbed"), tile=512)).folder


@pytest.mark.slow
def test_killed_while_it_writes_a_map_ends_byte_identical(
    request_map: MapRequest, undisturbed: Path, tmp_path: Path
) -> None:
    seed = random.randrange(2**32)
    dice, request = random.Random(seed), replace(request_map, out=tmp_path / "map")
    a_third = TILES // 3
    moments = (
        Moment("open", ".partial", dice.randint(2, a_third)),  # the file of a tile, or the request's
        Moment("os.rename", ".partial", dice.randint(2, a_third)),  # written, and not named yet
        Moment(
            "open", "manifest.jsonl", 2 * dice.randint(2, a_third // 2) + 1
        ),  # named, and not recorded yet: it is read once
        Moment("open", os.path.join("finished", ""), dice.randint(1, LAYERS)),  # sidecars and styles
        Moment("os.rename", os.path.join("finished", ""), dice.randint(1, 2 * LAYERS)),  # some final names
    )
    for moment in moments:
        process = start(request, dies=moment)
        finish(process)
        assert process.exitcode == -signal.SIGKILL, (seed, moment)
        again = len(names(request.out, "running")) - len(set(names(request.out, "running")))
        assert again <= moments.index(moment), (seed, moment)
        assert not (request.out / "run.json").exists(), (seed, moment)
    assert finish(start(request)) == 0
    assert same(request.out, undisturbed), seed
    assert not (request.out / "tiles").exists()


def test_killed_while_it_cleans_up_nothing_stays_of_what_was_fetched(
    request_map: MapRequest, tmp_path: Path
) -> None:
    request = replace(request_map, out=tmp_path / "map", tile=512)
    block = request.kept / "blocks" / "0"
    block.parent.mkdir(parents=True)
    block.touch()
    process = start(request, dies=Moment("shutil.rmtree", request.kept.name, 1))
    finish(process)
    assert process.exitcode == -signal.SIGKILL and (request.out / "run.json").exists() and block.exists()
    with pytest.raises(MapError, match="holds a finished map"):
        make_map(request)
    assert not request.kept.exists() and not (request.out / "tiles").exists()


@pytest.mark.slow
def test_with_the_planner_of_two_workers_killed_a_map_goes_on(
    request_map: MapRequest, undisturbed: Path, tmp_path: Path
) -> None:
    out = tmp_path / "map"
    quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    wait = random.Random(seed := random.randrange(2**32)).randint(2, TILES - 8)
    planner = subprocess.Popen(_command(replace(request_map, out=out, workers=2)), **quiet)
    while planner.poll() is None and len(set(names(out, "done"))) < wait:
        time.sleep(0.005)
    planner.kill()
    assert planner.wait() == -signal.SIGKILL, f"done before it was killed (seed {seed})"
    workers = _writers(out)
    deadline = time.monotonic() + 60
    while any(map(_alive, workers)) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not any(map(_alive, workers)), "workers end with their planner"
    status = read_status(out)
    assert not status.busy and len(status.interrupted) <= 2, seed
    kept = sum((each.window[1] - each.window[0]) * (each.window[3] - each.window[2]) for each in status.done)
    make_map(replace(request_map, out=out))  # whoever goes on need not have workers
    tiles = json.loads((out / "run.json").read_text())["tiles"]
    assert (tiles["kept_px"], tiles["computed_px"]) == (kept, GRID.height * GRID.width - kept), seed
    assert same(out, undisturbed), seed


@pytest.mark.parametrize(
    ("workers", "group"),
    [
        (0, False),
        pytest.param(2, False, marks=pytest.mark.slow),
        pytest.param(2, True, marks=pytest.mark.slow),
    ],
    ids=["alone", "with two workers", "with two workers that hear it, too"],
)
def test_ended_by_sigterm_a_map_says_so_leaves_nothing_half_written_and_goes_on(
    request_map: MapRequest, undisturbed: Path, tmp_path: Path, workers: int, group: bool
) -> None:
    """As Slurm, Kubernetes, `docker stop` and `timeout` do it: to the process, or to all it has started."""
    request = replace(request_map, out=tmp_path / "map", tile=5, workers=workers)
    mapping = subprocess.Popen(
        _command(request), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True
    )
    while mapping.poll() is None and len(names(request.out, "done")) < 4:
        time.sleep(0.005)
    assert mapping.poll() is None, mapping.communicate()
    (os.killpg if group else os.kill)(mapping.pid, signal.SIGTERM)
    told, said = mapping.communicate(timeout=60)
    assert (mapping.returncode, told) == (128 + signal.SIGTERM, ""), said
    *progress, last = said.splitlines()
    assert last.startswith("error: Interrupted. A map") and "the same command" in last, said
    assert all(line.startswith("mapping") for line in progress), said
    assert not any(map(_alive, _writers(request.out))), "its workers have ended before it"
    assert [path.name for path in request.out.iterdir()] == ["tiles"]
    tiles = request.out / "tiles"
    assert not [*tiles.rglob("*.plain.tif*"), *tiles.rglob("*.cog.tif*")]
    if not (workers and group):  # workers that are ended themselves leave what they were at
        assert not [*tiles.rglob("*.partial")]
    done = len(set(names(request.out, "done")))
    make_map(request)
    kept = json.loads((request.out / "run.json").read_text())["tiles"]["kept_px"]
    assert kept >= done * 5 * 5 > 0
    assert same(request.out, undisturbed)
    assert not (request.out / "tiles").exists()


def _command(request: MapRequest) -> list[str]:
    """The command line that makes a map, to be run in a process of its own."""
    what = ["--source", request.source, "--model", str(request.model), "--out", str(request.out)]
    how = ["--tile", str(request.tile), "--workers", str(request.workers)]
    return [sys.executable, "-c", "from geocomiss_cli.main import main; main()", "map", *what, *how]


def _writers(out: Path) -> set[int]:
    """The processes that computed tiles of a map in the making."""
    return {int(each.writer.rpartition(":")[2]) for each in lines(out)}


def _alive(process: int) -> bool:
    """Whether a process runs; one that has ended and that nobody asked for does not."""
    try:
        state = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return False
    return state != "Z"
