"""Workers of a Dask cluster make the same map, byte by byte, also when one of them dies."""

import json
import os
import signal
import socket
import subprocess
import sys
import time
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from unittest.mock import Mock

import dask
import distributed
import pytest
import rasterio
import torch
from clusters import Cluster, cluster
from distributed.comm import CommClosedError
from gappy import gappy_groups, store, untrained
from map_process import finish, lines, names, same, start, wait_for
from typer.testing import CliRunner

from geocomiss.errors import MapError, MapStopped, SourceError, TilesFailed
from geocomiss.mapping import MapRequest, make_map, plan_map
from geocomiss.mapping.compute import Gathered, map_tile
from geocomiss.mapping.crew import _local, _register
from geocomiss.mapping.plan import Plan
from geocomiss.mapping.tiles import TileResult
from geocomiss.mapping.worker import MapWorker, abandoned
from geocomiss.tiling import Record, WorkFolder, read_status
from geocomiss_cli import main as entry

TILES = 30
SLOW = """
import time
from pathlib import Path
from geocomiss.mapping import work
from geocomiss.mapping.compute import map_tile as plain

def waiting(*arguments):
    result = plain(*arguments)
    Path({begun!r}).touch()
    while not Path({go!r}).exists():
        time.sleep(0.01)
    return result

work.map_tile = waiting
"""
"""What makes a worker's tiles last until they may end."""


@pytest.fixture(scope="module")
def request_map(tmp_path_factory: pytest.TempPathFactory) -> MapRequest:
    """A map of 30 tiles."""
    folder = tmp_path_factory.mktemp("crew")
    return MapRequest(
        str(store(folder, gappy_groups())), folder / "map", model=str(untrained(folder)), tile=10
    )


@pytest.fixture(scope="module")
def alone(request_map: MapRequest) -> Path:
    """The map of one process, in other tiles."""
    return make_map(replace(request_map, tile=512)).folder


@pytest.mark.slow
def test_a_worker_that_is_killed_costs_one_tile_and_no_byte(
    request_map: MapRequest,
    alone: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with cluster(tmp_path, 2) as running:
        _map_while_a_worker_is_killed(replace(request_map, out=tmp_path / "map"), running)
        assert same(tmp_path / "map", alone)
        taken = json.loads((tmp_path / "map" / "run.json").read_text())["memory"]["workers"]
        numbers = {int(name.rpartition(":")[2]) for name in taken["peaks_mb"]}
        assert numbers == {each.pid for each in running.workers}, "the dead one, too"
        newer = replace(request_map, out=tmp_path / "newer", scheduler=running.address)
        for changed, words in (
            ("geocomiss.mapping.worker.__version__", r"runs geocomiss [\d.]+; expected 9\.9\.0"),
            ("torch.__version__", r"rounds in its own way: torch [\d.]+\S*; expected torch 9\.9\.0, as on"),
        ):
            with monkeypatch.context() as patch:
                patch.setattr(changed, "9.9.0")
                with pytest.raises(MapError, match=words):
                    make_map(newer)
            assert not newer.out.exists()
        assert not registered(running), "workers forget what they refused, too"


def registered(running: Cluster) -> list[str]:
    """What the workers of a cluster have of maps."""
    with distributed.Client(running.address, set_as_default=False) as client:
        known = client.run_on_scheduler(lambda dask_scheduler: list(dask_scheduler.worker_plugins))
        had = client.run(lambda dask_worker: list(dask_worker.plugins))
    assert all(
        {each for each in names if each.startswith("geocomiss-")} <= {*known} for names in had.values()
    )
    return [each for each in known if each.startswith("geocomiss-")]


def _map_while_a_worker_is_killed(request: MapRequest, running: Cluster) -> None:
    out, workers = request.out, running.workers
    process = start(replace(request, scheduler=running.address))
    killed = False
    seen: list[Record] = []
    while process.is_alive():
        seen = max(seen, lines(out), key=len)  # manifests go one by one in the end
        busy = {each.writer.rpartition(":")[2] for each in seen if each.state == "done"}
        if not killed and len(busy) == 2 and seen[-1].state == "running":
            next(each for each in workers if str(each.pid) == seen[-1].writer.rpartition(":")[2]).kill()
            killed = True
        time.sleep(0.002)
    assert finish(process) == 0
    assert killed
    begun = [each.tile for each in seen if each.state == "running"]
    assert len(set(begun)) == TILES and len(begun) - TILES <= 1


@pytest.mark.slow
def test_what_a_worker_still_has_and_computes_of_a_map_given_up_is_nothing_of_the_next_one(
    request_map: MapRequest, alone: Path, tmp_path: Path
) -> None:
    out, (begun, go) = tmp_path / "map", (tmp_path / "begun", tmp_path / "go")
    (tmp_path / "slow.py").write_text(SLOW.format(begun=str(begun), go=str(go)))
    with cluster(tmp_path, 1, "--preload", str(tmp_path / "slow.py")) as running:
        asked = replace(request_map, out=out, tile=512, scheduler=running.address)
        given_up = start(replace(asked, without=("radar",)))
        wait_for(given_up, begun.exists)
        given_up.kill()
        given_up.join()
        before, (left,) = WorkFolder(out / "tiles").request(), registered(running)
        with distributed.Client(running.address, set_as_default=False) as client:
            client.register_plugin(living := MapWorker(plan_map(asked), tmp_path, 1, client.id))
            assert sorted(registered(running)) == sorted([left, living.name])
            process = start(replace(asked, overwrite=True))
            wait_for(process, lambda: WorkFolder(out / "tiles").request() not in ({}, before))
            go.touch()
            assert finish(process) == 0
            assert registered(running) == [living.name], "of planners that are gone nothing stays"
            # what holds for the process was set by the first map, and is not set back under the last
            assert set(client.run(lambda: dask.config.get("scheduler", None)).values()) == {"threads"}
    assert same(out, alone)


def test_whose_planner_is_gone_is_known_by_its_connection() -> None:
    plan = SimpleNamespace(arithmetic=dict)
    made = [MapWorker(plan, Path(), 1, client).name for client in ("Client-a", "Client-b", "Client-a-b")]  # type: ignore[arg-type]
    others = ["shuffle", "geocomiss-0123456789abcdef", "geocomiss/Client-c/x", "other-geocomiss-Client-c/1"]
    assert abandoned([*others, *made], ["Client-a", "Client-a-b", "Client-d"]) == [made[1]]
    assert abandoned([*others, *made], []) == made


@pytest.mark.slow
def test_a_lost_scheduler_is_said_and_the_map_goes_on(
    request_map: MapRequest, alone: Path, tmp_path: Path
) -> None:
    request = replace(request_map, out=tmp_path / "map")
    with cluster(tmp_path, 1) as running:
        process = start(replace(request, scheduler=running.address), said=tmp_path / "said")
        wait_for(process, lambda: len(names(request.out, "done")) > 2)
        running.scheduler.kill()
        assert finish(process) == 1
    said = (tmp_path / "said").read_text()
    assert "the scheduler was lost" in said and "same command again: it goes on" in said
    most = max(each.peak for each in lines(request.out))
    assert make_map(request).kept > 0
    taken = json.loads((request.out / "run.json").read_text())["memory"]
    assert taken["kept_peak_mb"] == round(most / 1e6, 1) > 100 and taken["workers"] is None
    assert same(request.out, alone)


@pytest.mark.slow
def test_processes_of_this_machine_make_the_same_map(
    request_map: MapRequest, alone: Path, tmp_path: Path, recwarn: pytest.WarningsRecorder
) -> None:
    asked = ("map", "--source", request_map.source, "--model", str(request_map.model), "--tile", "20")
    with socket.socket() as taken:
        with suppress(OSError):  # Dask's own port is taken, if not by this
            taken.bind(("127.0.0.1", 8787))
            taken.listen()
        done = CliRunner().invoke(entry.app, [*asked, "--out", str(tmp_path / "map"), "--workers", "2"])
    assert not [each for each in recwarn if "already in use" in str(each.message)]
    assert done.exit_code == 0, done.output
    assert same(tmp_path / "map", alone)
    facts = json.loads((tmp_path / "map" / "run.json").read_text())
    assert facts["tiles"]["computed_px"] == 45 * 60
    workers = facts["memory"]["workers"]
    assert workers["number"] == len(workers["peaks_mb"]) == 2 and workers["share_mb"] is None
    assert min(workers["peaks_mb"].values()) > 100 and workers["largest_mb"] < 2000
    assert not any(name.endswith(f":{os.getpid()}") for name in workers["peaks_mb"])


@pytest.mark.slow
def test_a_script_that_does_not_guard_its_start_is_told_to(request_map: MapRequest, tmp_path: Path) -> None:
    script = tmp_path / "script.py"
    asked = f"{request_map.source!r}, Path({str(tmp_path / 'map')!r}), model={str(request_map.model)!r}"
    lines = ("from pathlib import Path", "from geocomiss.mapping import MapRequest, make_map")
    script.write_text("\n".join((*lines, f"make_map(MapRequest({asked}, workers=1))")))
    done = subprocess.run([sys.executable, str(script)], capture_output=True, text=True)
    assert done.returncode == 1
    assert "MapError: the processes of --workers did not start" in done.stderr.splitlines()[-1]
    assert '`if __name__ == "__main__":`' in done.stderr
    assert not (tmp_path / "map").exists()


def test_processes_of_this_machine_keep_freed_memory_from_their_start(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def started(**_: object) -> object:
        return dask.config.get("distributed.nanny.pre-spawn-environ")

    plain = dask.config.get("distributed.nanny.pre-spawn-environ")
    monkeypatch.setattr("geocomiss.mapping.crew.cores", lambda: 6)
    monkeypatch.setattr("distributed.LocalCluster", started)
    environment = _local(2)
    assert int(environment["MALLOC_TRIM_THRESHOLD_"]) == 2**30
    assert environment["OMP_NUM_THREADS"] == "3"
    assert dask.config.get("distributed.nanny.pre-spawn-environ") == plain


def test_interrupted_while_its_processes_start_they_are_ended_once_they_have(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    local = Mock()

    def start(**_: object) -> Mock:
        time.sleep(0.2)  # until it is waited for
        os.kill(os.getpid(), signal.SIGINT)
        time.sleep(0.2)
        assert not local.close.called
        return local

    monkeypatch.setattr("distributed.LocalCluster", start)
    with pytest.raises(KeyboardInterrupt):
        _local(2)
    local.close.assert_called_once_with()


def test_a_worker_is_left_as_it_was_and_computes_one_tile_at_a_time(
    request_map: MapRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("GDAL_CACHEMAX", raising=False)
    threads, scheduler = torch.get_num_threads(), dask.config.get("scheduler", None)
    worker = MapWorker(plan_map(request_map), tmp_path, threads + 1)
    with pytest.raises(MapError, match=r"takes 4 tasks at a time.*`dask worker ADDRESS --nthreads 1`"):
        worker.setup(_Worker(4))
    worker.transition(f"{worker.name}-00000_00000-0", "waiting", "ready")  # it may have joined late
    with pytest.raises(MapStopped, match=r"a worker joined .* takes 4 tasks .* same command then goes on"):
        worker.compute("", Mock())
    worker = MapWorker(plan_map(request_map), tmp_path, threads + 1)
    worker.setup(_Worker(1))
    assert (torch.get_num_threads(), os.environ["GDAL_CACHEMAX"]) == (threads + 1, "64")
    worker.teardown(_Worker(1))
    assert (torch.get_num_threads(), dask.config.get("scheduler", None)) == (threads, scheduler)
    assert "GDAL_CACHEMAX" not in os.environ


def test_workers_that_die_before_they_are_ready_end_no_map() -> None:
    closed = CommClosedError("Stream is closed")
    client = Mock(status="running")
    client.register_plugin.side_effect = [closed, closed, None]
    _register(client, Mock())
    client.register_plugin.side_effect = [closed] * 3
    with pytest.raises(MapStopped, match="workers went while they made themselves ready"):
        _register(client, Mock())
    with pytest.raises(MapStopped, match="the scheduler was lost"):
        _register(Mock(status="closed", **{"register_plugin.side_effect": closed}), Mock())


def test_what_was_set_for_one_map_holds_until_the_last_is_over(
    request_map: MapRequest, tmp_path: Path
) -> None:
    threads, scheduler = torch.get_num_threads(), dask.config.get("scheduler", None)
    plan, worker = plan_map(request_map), _Worker(1)
    refused, *maps = (MapWorker(plan, tmp_path, threads + 1) for _ in range(4))
    worker.plugins = {each.name: each for each in (refused, *maps)}
    for each in maps:
        each.setup(worker)
    for each in (maps[1], maps[0], refused, maps[2]):
        assert (torch.get_num_threads(), dask.config.get("scheduler")) == (threads + 1, "threads")
        del worker.plugins[each.name]
        each.teardown(worker)
    assert (torch.get_num_threads(), dask.config.get("scheduler", None)) == (threads, scheduler)


class _Worker:
    """What a plugin asks a worker for."""

    address, name = "tcp://127.0.0.1:1", "0"

    def __init__(self, threads: int) -> None:
        self.state = SimpleNamespace(nthreads=threads)
        self.plugins: dict[str, MapWorker] = {}


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"workers": 2, "scheduler": "tcp://127.0.0.1:1"}, "--workers and --scheduler"),
        ({"scheduler": "tcp://127.0.0.1:1"}, "no Dask scheduler at 'tcp://127.0.0.1:1'"),
        ({"scheduler": "nonsense://"}, "no Dask scheduler at 'nonsense://'"),
        ({"scheduler": "no_port"}, "no Dask scheduler at 'no_port' .missing port"),
        ({"scheduler": "tcp://127.0.0.1:1", "device": "cuda:7"}, "no Dask scheduler"),  # looked for there
        ({"scheduler": "tcp://127.0.0.1:1", "device": "graphics"}, "the device 'graphics' cannot be used"),
        ({"workers": 1, "device": "cuda:7"}, "the device 'cuda:7' cannot be used"),
        ({"workers": 2, "source": "optical=ee,radar=planetary-computer"}, "leave the option out"),
    ],
)
def test_what_cannot_work_is_said_and_leaves_nothing(
    request_map: MapRequest,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    changes: dict[str, object],
    words: str,
) -> None:
    monkeypatch.setattr("geocomiss.mapping.crew.CONNECT", 0.2)
    with pytest.raises(MapError, match=words):
        make_map(replace(request_map, out=tmp_path / "map", **changes))  # type: ignore[arg-type]
    assert not (tmp_path / "map").exists()


def test_a_worker_without_the_device_is_named(request_map: MapRequest, tmp_path: Path) -> None:
    plan = plan_map(replace(request_map, scheduler="tcp://127.0.0.1:1", device="cuda:7"))
    worker = type("Worker", (), {"address": "tcp://there:1", "name": "gpu-1"})
    with pytest.raises(MapError, match=r"on the worker tcp://there:1 the device 'cuda:7' cannot be used"):
        MapWorker(plan, tmp_path, 1)._own_device(worker)


def test_tiles_that_fail_are_left_out_only_when_asked_and_computed_later(
    request_map: MapRequest, alone: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def failing(plan: Plan, gathered: Gathered, *rest: Any) -> TileResult:
        if gathered.tile.name == "00001_00002":
            raise SourceError("a broken [file]", expected="a whole one", todo="mend it")
        return map_tile(plan, gathered, *rest)

    out = tmp_path / "map"
    asked = ["map", "--source", request_map.source, "--model", str(request_map.model), "--out", str(out)]
    asked += ["--tile", "10"]
    with monkeypatch.context() as patch:
        patch.setattr("geocomiss.mapping.work.map_tile", failing)
        with pytest.raises(
            TilesFailed, match=r"1 tiles .* 00001_00002 \(a broken \[file\]\); the others are"
        ):
            make_map(replace(request_map, out=out, tile=10))
        assert not (out / "run.json").exists() and len(read_status(out).failed) == 1
        done = CliRunner().invoke(entry.app, [*asked, "--skip-failed"])
    assert done.exit_code == 3, done.output
    summary = json.loads((out / "run.json").read_text())
    assert summary["nodata"]["failed"] == 100 and summary["tiles"]["kept_px"] == 45 * 60 - 100
    assert any("00001_00002 (a broken [file])" in each for each in summary["warnings"])
    with rasterio.open(out / "crop_type.tif") as hole, rasterio.open(alone / "crop_type.tif") as whole:
        expected = whole.read(1)
        expected[10:20, 20:30] = 0
        assert (hole.read(1) == expected).all()
    assert CliRunner().invoke(entry.app, ["status", str(out)]).exit_code == 3
    report = make_map(replace(request_map, out=out, tile=10, overwrite=True))
    assert report.computed == 100 and not report.failed
    assert same(out, alone)
