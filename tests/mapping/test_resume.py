"""An interrupted map goes on where it stopped and ends as if nothing had happened."""

import os
import random
import signal
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from gappy import gappy_groups, store, untrained
from map_process import finish, names, same, start, wait_for

from geocomiss.errors import MapError
from geocomiss.mapping import MapRequest, make_map
from geocomiss.maps import SUMMARY
from geocomiss.tiling import read_status

TILES = 30


@pytest.fixture(scope="module")
def request_map(tmp_path_factory: pytest.TempPathFactory) -> MapRequest:
    """A map of 30 tiles."""
    folder = tmp_path_factory.mktemp("resume")
    return MapRequest(
        str(store(folder, gappy_groups())), folder / "map", model=str(untrained(folder)), tile=10
    )


@pytest.fixture(scope="module")
def undisturbed(request_map: MapRequest) -> Path:
    return make_map(replace(request_map, out=request_map.out.with_name("undisturbed"))).folder


def killed(
    request: MapRequest,
    happened: Callable[[], bool],
    seconds: float,
    seed: int,
    latest: Callable[[], bool] = lambda: False,
) -> None:
    """Begin a map, and kill it so many seconds after something happened, or when `latest` does.

    What took long when it was timed may be over soon, where others leave this machine more of its time.
    """
    process = start(request)
    wait_for(process, happened)
    end = time.perf_counter() + seconds
    wait_for(process, lambda: time.perf_counter() >= end or latest())
    assert process.is_alive(), f"killed in the middle (seed {seed})"
    process.kill()
    process.join()


def taken(request: MapRequest) -> tuple[float, float]:
    """Seconds that a tile takes in a process of its own, and putting all together."""
    process = start(request)
    wait_for(process, lambda: len(names(request.out, "running")) > 1)
    first = time.perf_counter()
    wait_for(process, lambda: any((request.out / "tiles").glob("*/finished")))
    last = time.perf_counter()
    assert finish(process) == 0
    return (last - first) / (TILES - 1), time.perf_counter() - last


@pytest.mark.slow
def test_killed_five_times_and_with_a_damaged_tile_a_map_ends_byte_identical(
    request_map: MapRequest, undisturbed: Path
) -> None:
    out, seed = request_map.out, random.randrange(2**32)
    dice = random.Random(seed)
    a_tile, assembly = taken(replace(request_map, out=out.with_name("timed")))
    # places in the run, in tiles: 7.3 is when of the time of the eighth 0.3 have passed. A kill comes before
    # two further tiles are begun: enough are left for each of four that all draw the last place
    moments = sorted(dice.uniform(0.5, TILES - 8) for _ in range(4))
    for number, moment in enumerate(moments, 1):
        before = {path.name: path.stat().st_mtime_ns for path in (out / "tiles").glob("*/*.npz")}
        begun = max(int(moment), len(set(names(out, "done"))))
        killed(
            request_map,
            lambda begun=begun: len(set(names(out, "running"))) > begun,
            a_tile * (moment % 1),
            seed,
            lambda begun=begun: len(set(names(out, "running"))) > begun + 1,
        )
        after = {path.name: path.stat().st_mtime_ns for path in (out / "tiles").glob("*/*.npz")}
        assert len(names(out, "running")) - len(set(names(out, "running"))) <= number, seed
        lost = [name for name in before if before[name] != after[name]]
        assert len(lost) <= 1, f"only a tile that was not recorded yet is computed again (seed {seed})"
        status = read_status(out)
        assert (status.busy, status.finished, status.tiles) == (False, False, TILES), seed
        assert len(status.done) < TILES and not any((out / "tiles").glob("*/finished")), seed
        assert len(status.interrupted) <= 1, seed  # none where it was killed between two tiles
    # before a second raster has its name: it is not over then
    finished = "*/finished"
    killed(
        request_map,
        lambda: any((out / "tiles").glob(finished)),
        dice.uniform(0, assembly / 10),
        seed,
        lambda: any((out / "tiles").glob(f"{finished}/*.tif")),
    )
    assert len(names(out, "running")) - TILES <= 4, seed
    assert not (out / "run.json").exists(), seed

    (victim,) = (out / "tiles").glob("*/00002_00003.npz")
    damaged = bytearray(victim.read_bytes())
    damaged[len(damaged) // 2] ^= 0xFF
    victim.write_bytes(damaged)
    report = make_map(request_map)
    assert (report.computed, report.tiles) == (10 * 10, TILES), "one tile of 10 x 10 pixels is computed again"
    assert any("1 (00002_00003), were damaged or gone" in each for each in report.warnings), seed
    assert same(out, undisturbed), seed
    assert not (out / "tiles").exists()


def test_a_full_disk_is_said_and_the_map_goes_on_later(
    request_map: MapRequest, undisturbed: Path, tmp_path: Path
) -> None:
    request = replace(request_map, out=tmp_path / "map")
    # no tile is as large, but the manifest outgrows it
    process = start(request, file_limit=6000, said=tmp_path / "said")
    assert finish(process) == 1
    assert "cannot be written" in (tmp_path / "said").read_text()
    assert 0 < len(names(request.out, "done")) < TILES
    assert sorted(path.name for path in request.out.iterdir()) == ["tiles"]
    make_map(request)
    assert same(request.out, undisturbed)


def test_another_torch_or_processor_does_not_go_on_with_a_map(
    request_map: MapRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    request = replace(request_map, out=tmp_path / "map")
    killed(request, lambda: len(names(request.out, "done")) > 2, seconds=0, seed=0)
    monkeypatch.setattr("torch.__version__", "9.9.0")
    monkeypatch.setattr("geocomiss.mapping.plan.fuses", lambda dtype: False)
    with pytest.raises(MapError, match=r'other arguments \(arithmetic: .*"torch": .*now.*the same arguments'):
        make_map(request)
    assert len(names(request.out, "done")) > 2


def test_a_second_process_is_kept_out_and_the_status_tells_of_the_first(
    request_map: MapRequest, undisturbed: Path, tmp_path: Path
) -> None:
    request = replace(request_map, out=tmp_path / "map")
    process = start(request)
    wait_for(process, lambda: len(names(request.out, "done")) > 2)
    assert process.pid is not None
    os.kill(process.pid, signal.SIGSTOP)  # else it may be through before the second has begun
    status = read_status(request.out)
    with pytest.raises(MapError, match="another process is mapping"):
        make_map(request)
    os.kill(process.pid, signal.SIGCONT)
    assert finish(process) == 0
    assert same(request.out, undisturbed)
    assert (status.busy, status.tiles) == (True, TILES) and len(status.done) > 2 and status.pixels > 0
    assert read_status(request.out).finished


def test_a_map_that_another_process_finishes_just_before_this_begins_is_a_finished_map(
    request_map: MapRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    request = replace(request_map, out=tmp_path / "map", tile=30)
    written: list[float] = []

    def meanwhile(_: MapRequest) -> None:
        monkeypatch.undo()
        make_map(request)
        written.append((request.out / SUMMARY).stat().st_mtime)

    monkeypatch.setattr("geocomiss.mapping.run.device_of", meanwhile)  # asked between looking and locking
    with pytest.raises(MapError, match="holds a finished map"):
        make_map(request)
    assert [(request.out / SUMMARY).stat().st_mtime] == written
    assert not (request.out / "tiles").exists()


def test_a_finished_map_whose_process_was_killed_just_before_tidying_up_is_a_finished_map(
    request_map: MapRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    request = replace(request_map, out=tmp_path / "map", tile=30)
    with monkeypatch.context() as patch:
        patch.setattr("geocomiss.tiling.folder.WorkFolder.clear", interrupted)
        with pytest.raises(KeyboardInterrupt):
            make_map(request)
    assert (request.out / "run.json").exists() and (request.out / "tiles").exists()
    with pytest.raises(MapError, match="holds a finished map"):
        make_map(request)
    assert not (request.out / "tiles").exists()


def interrupted(*_: object) -> None:
    raise KeyboardInterrupt
