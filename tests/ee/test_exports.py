"""Batch exports: every task once, failures seen, and the stack collected is the one that a fetch gives."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import ee
import numpy as np
import pytest
import xarray as xr
from ee_server import EXPORT, PIXELS, EarthEngineServer
from filelock import FileLock
from gappy import untrained_for
from typer.testing import CliRunner

from geocomiss.aoi import read_aoi
from geocomiss.errors import GeocomissError, MapError, SourceError
from geocomiss.exporting import (
    CollectRequest,
    ExportRequest,
    Limits,
    cancel_export,
    collect_export,
    start_export,
    state_of_export,
    wait_for_export,
)
from geocomiss.exporting.start import LOCK
from geocomiss.exporting.state import JOURNAL
from geocomiss.fetching import FetchRequest, fetch_stack
from geocomiss.recipes import RECIPES
from geocomiss.sources.base import EarthEngine
from geocomiss.sources.ee.pieces import pieces
from geocomiss.sources.exports.manifest import MANIFEST, read_manifest
from geocomiss.stack import groups_of, origin_of, read_area, read_stack
from geocomiss_cli import main as entry

ROOT = Path(__file__).resolve().parents[2]
SEASON = "2021-04:2021-07"
BOX = "4.978,50.622,4.982,50.624"
ALL = 7
"""Files: four tiles, two of heights, the weather."""


@pytest.fixture
def request_(server: EarthEngineServer, options: EarthEngine, tmp_path: Path) -> ExportRequest:
    server.set(folder=str(tmp_path / "bucket"))
    return ExportRequest(tmp_path / "ex", BOX, SEASON, bucket="b", crs="EPSG:32631", tile=20, ee=options)


@pytest.fixture
def small(request_: ExportRequest) -> ExportRequest:
    """Two tiles of one band."""
    return replace(request_, without=("radar", "weather", "topography"), season="2021-04:2021-04", tile=24)


def assert_same(found: Path, expected: Path) -> None:
    one, other = groups_of(read_stack(found)), groups_of(read_stack(expected))
    assert list(one) == list(other)
    for name, group in other.items():
        xr.testing.assert_identical(one[name].compute(), group.compute())


def run(*arguments: str) -> Any:
    return CliRunner().invoke(entry.app, [*arguments], env={"COLUMNS": "200"})


def asked_of(server: EarthEngineServer) -> tuple[str, ...]:
    return "--ee-url", server.url, "--ee-credentials", "none", "--ee-project", "my-project"


def test_the_stack_collected_is_the_stack_fetched(
    request_: ExportRequest, server: EarthEngineServer, tmp_path: Path
) -> None:
    report = start_export(request_)
    assert (report.sent.tasks, report.sent.left, report.sent.stop) == (ALL, 0, None)
    assert {each["tag"] for each in server.asked(EXPORT)} == {"geocomiss"}
    state = wait_for_export(request_.out, request_.ee, Limits(), 0.01)
    assert state.done and state.eecu_hours == pytest.approx(ALL * 0.01)
    assert server.asked() == [], "no pixel was asked for interactively"
    files = tmp_path / "bucket" / "ex"
    collected = collect_export(CollectRequest(request_.out, tmp_path / "c.zarr", str(files)))
    whole = FetchRequest("ee", tmp_path / "f.zarr", BOX, SEASON, crs="EPSG:32631", ee=request_.ee)
    fetched = fetch_stack(whole)
    assert_same(tmp_path / "c.zarr", tmp_path / "f.zarr")
    assert read_area(tmp_path / "c.zarr") == read_area(tmp_path / "f.zarr") == read_aoi(BOX).geometry
    assert set(collected.notes) <= set(fetched.notes) and "1 cells of sea" in " ".join(collected.notes)
    one, other = (origin_of(read_stack(tmp_path / name)) for name in ("c.zarr", "f.zarr"))
    assert one.source == "Earth Engine, export ex"
    assert replace(one, source=other.source, notes=()) == replace(other, notes=())


@pytest.mark.parametrize("recipe", [name for name in RECIPES if name != "monthly-l2a"])
def test_every_recipe_can_be_exported(recipe: str, request_: ExportRequest, tmp_path: Path) -> None:
    options = replace(request_.ee, s1_pass="asc")
    months = "2021-04:2021-05"
    fetch_stack(FetchRequest("ee", tmp_path / "f.zarr", BOX, months, recipe, crs="EPSG:32631", ee=options))
    exported = replace(request_, recipe=recipe, season=months, ee=options, limits=Limits(tasks=2))
    start_export(exported)
    assert wait_for_export(request_.out, request_.ee, Limits(), 0.01).done, "its passes are remembered"
    collect_export(CollectRequest(request_.out, tmp_path / "c.zarr", str(tmp_path / "bucket" / "ex")))
    assert_same(tmp_path / "c.zarr", tmp_path / "f.zarr")
    one, other = (origin_of(read_stack(tmp_path / name)) for name in ("c.zarr", "f.zarr"))
    assert one.recipe == other.recipe and one.radar_pass == other.radar_pass == "ascending"


def test_files_that_earth_engine_has_split_are_put_together(
    request_: ExportRequest, server: EarthEngineServer, tmp_path: Path
) -> None:
    server.set(folder=str(tmp_path / "bucket"), shard=16)
    whole = replace(request_, tile=64)
    start_export(whole)
    wait_for_export(whole.out, whole.ee, Limits(), 0.01)
    files = tmp_path / "bucket" / "ex"
    names = sorted(path.name for path in files.glob("tile*"))
    assert names == [f"tile_00000_00000-{y:010d}-{x:010d}.tif" for y in (0, 16) for x in (0, 16)]
    collect_export(CollectRequest(whole.out, tmp_path / "c.zarr", str(files)))
    fetch_stack(FetchRequest("ee", tmp_path / "f.zarr", BOX, SEASON, crs="EPSG:32631", ee=whole.ee))
    assert_same(tmp_path / "c.zarr", tmp_path / "f.zarr")
    (files / names[3]).unlink()
    with pytest.raises(SourceError, match=rf"{names[3]} is missing, of the files into which tile_00000"):
        collect_export(CollectRequest(whole.out, tmp_path / "d.zarr", str(files)))


def test_a_repeated_start_makes_no_second_task(small: ExportRequest, server: EarthEngineServer) -> None:
    first = start_export(small)
    again = start_export(small)
    assert (first.sent.tasks, again.sent.tasks, len(server.tasks)) == (2, 0, 2)
    (small.out / JOURNAL).unlink()  # as if it had died before it noted anything
    assert start_export(small).sent.tasks == 0 and len(server.asked(EXPORT)) == 2
    (small.out / JOURNAL).write_text('{"part": "tile_0')  # or in the middle of a line
    assert start_export(small).sent.tasks == 0 and len(server.tasks) == 2
    _, *lines = (small.out / JOURNAL).read_text().splitlines()
    assert {json.loads(line)["part"] for line in lines} == {"tile_00000_00000", "tile_00000_00001"}


def test_two_that_start_at_the_same_time_start_no_task_twice(
    small: ExportRequest, server: EarthEngineServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("geocomiss.tiling.lock.PATIENCE", 0.05)

    def meanwhile(*given: Any) -> Any:  # the other one, while this one lists what it will start
        monkeypatch.setattr("geocomiss.exporting.start.pieces", pieces)
        with pytest.raises(MapError, match=r"another process is starting an export"):
            start_export(small)
        return pieces(*given)

    monkeypatch.setattr("geocomiss.exporting.start.pieces", meanwhile)
    assert start_export(small).sent.tasks == 2 == len(server.tasks)
    with FileLock(small.out / LOCK), pytest.raises(MapError, match=r"another process is starting an export"):
        start_export(small)
    assert start_export(small).sent.tasks == 0
    with pytest.raises(SourceError, match="nothing to export"):
        start_export(replace(small, out=small.out.with_name("none"), season="2019-04:2019-04"))
    assert not (small.out.with_name("none") / LOCK).exists()


@pytest.mark.parametrize("duplicates", [False, True], ids=["answered", "refused"])
def test_a_request_that_was_sent_before_starts_nothing(
    duplicates: bool, small: ExportRequest, server: EarthEngineServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    start_export(small)
    (small.out / JOURNAL).unlink()
    server.tell(settings={"duplicates": duplicates})
    listed, answers = ee.data.listOperations, [[]]  # the list lags behind once
    monkeypatch.setattr(ee.data, "listOperations", lambda: answers.pop() if answers else listed())
    sent = start_export(small).sent
    assert sent.left == 0 and len(server.tasks) == 2
    assert {row.attempts for row in state_of_export(small.out, small.ee).rows} == {1}


def test_the_same_request_always_has_the_same_identifier(
    small: ExportRequest, server: EarthEngineServer
) -> None:
    start_export(replace(small, limits=Limits(tasks=1)))
    (small.out / JOURNAL).unlink()
    start_export(small)
    wait_for_export(small.out, small.ee, Limits(), 0.01)
    identifiers = [each["metadata"]["requestId"] for each in server.tasks]
    assert len(set(identifiers)) == 2 and all(len(each) <= 60 for each in identifiers)
    names = [each["metadata"]["description"] for each in server.tasks]
    assert [name.partition("-tile")[2] for name in names] == ["_00000_00000-1", "_00000_00001-1"]


def command(server: EarthEngineServer, out: Path) -> list[str]:
    code = "import sys; from geocomiss_cli.main import main; main()"
    asked = f"export start --season {SEASON} --aoi {BOX} --crs EPSG:32631 --tile 16 --bucket b --out {out}"
    return [sys.executable, "-c", code, *asked.split(), *asked_of(server)]


@pytest.mark.slow
def test_a_start_that_was_killed_goes_on_and_starts_nothing_twice(
    server: EarthEngineServer, options: EarthEngine, tmp_path: Path
) -> None:
    out, environment = tmp_path / "ex", os.environ | {"PYTHONPATH": f"{ROOT}{os.pathsep}{ROOT / 'cli'}"}
    server.set(folder=str(tmp_path / "bucket"), slow_export=0.3, hold=True)
    child = subprocess.Popen(command(server, out), env=environment, stdout=subprocess.DEVNULL)
    while child.poll() is None and len(server.asked(EXPORT)) < 2:
        time.sleep(0.02)
    os.kill(child.pid, signal.SIGKILL)
    assert child.wait() == -signal.SIGKILL
    server.settle()
    before = len(server.tasks)
    parts = len(read_manifest(out).parts)
    assert 2 <= before < parts
    server.tell(settings={"slow_export": 0})
    done = subprocess.run(command(server, out), env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert f"{parts - before} tasks started, {before} of {parts} were there already" in done.stdout
    names = [each["metadata"]["description"] for each in server.tasks]
    assert len(names) == len(set(names)) == parts
    assert len({each["metadata"]["requestId"] for each in server.tasks}) == parts


def test_a_task_that_fails_once_is_started_again(small: ExportRequest, server: EarthEngineServer) -> None:
    server.tell(settings={"failing": {"tile_00000_00001": 1}})
    start_export(small)
    state = wait_for_export(small.out, small.ee, Limits(), 0.01)
    assert [(row.part, row.attempts, row.state) for row in state.rows] == [
        ("tile_00000_00000", 1, "SUCCEEDED"),
        ("tile_00000_00001", 2, "SUCCEEDED"),
    ]
    assert state.eecu_hours == pytest.approx(3 * 0.01), "what failed was computed, too"


def test_a_task_that_always_fails_is_given_up_and_not_counted_as_done(
    small: ExportRequest, server: EarthEngineServer, tmp_path: Path
) -> None:
    server.tell(settings={"failing": {"tile_00000_00001": 99}})
    start_export(small)
    with pytest.raises(
        SourceError, match=r"1 of 2 files failed, each 2 times; tile_00000_00001: .* a smaller"
    ):
        wait_for_export(small.out, small.ee, Limits(retries=1), 0.01)
    state = state_of_export(small.out, replace(small.ee, project=None))  # it stands in the manifest
    assert not state.done and state.number("FAILED") == 1 and len(server.tasks) == 3
    with pytest.raises(SourceError, match=r"1 of 2 files of the export are not in ex: tile_00000_00001\.tif"):
        collect_export(CollectRequest(small.out, tmp_path / "c.zarr", str(tmp_path / "bucket" / "ex")))
    server.tell(settings={"failing": {}})
    assert start_export(small).sent.tasks == 1, "whoever starts it again has remedied the cause"
    assert wait_for_export(small.out, small.ee, Limits(), 0.01).done


def test_an_export_started_elsewhere_asks_to_be_told_again(
    small: ExportRequest, server: EarthEngineServer
) -> None:
    start_export(replace(small, ee=replace(small.ee, url=f"{server.url}/")))
    assert read_manifest(small.out).ee_url == server.url
    for command in ("status", "wait", "cancel"):  # a manifest does not decide where a login is sent
        refused = run("export", command, str(small.out), "--ee-credentials", "none")
        assert f"started at {server.url}" in str(refused.exception)
    with pytest.raises(SourceError, match=f"started at {server.url}.*--ee-url {server.url}"):
        start_export(replace(small, ee=replace(small.ee, url=None)))  # would ask Google
    assert wait_for_export(small.out, small.ee, Limits(), 0.01).done

    path = small.out / MANIFEST
    told = json.loads(path.read_text())
    path.write_text(json.dumps({name: each for name, each in told.items() if name != "ee_url"}))
    assert read_manifest(small.out).ee_url is None and state_of_export(small.out, small.ee).done
    path.write_text(json.dumps(told | {"ee_url": 7}))
    with pytest.raises(SourceError, match="is damaged"):
        state_of_export(small.out, small.ee)


def test_no_more_tasks_are_queued_than_allowed(request_: ExportRequest, server: EarthEngineServer) -> None:
    server.tell(settings={"queue": 3})
    report = start_export(request_)
    assert (report.sent.tasks, report.sent.left, report.sent.stop) == (3, ALL - 3, "queue")
    refused = [each for each in server.asked(EXPORT) if each["status"] == 400]
    assert len(refused) == 1, "a full queue is no error, and not knocked at again and again"
    assert wait_for_export(request_.out, request_.ee, Limits(queued=3), 0.01).done
    assert len(server.tasks) == ALL
    assert len([each for each in server.asked(EXPORT) if each["status"] == 400]) == 1


def test_limits_of_the_user_hold(small: ExportRequest, server: EarthEngineServer) -> None:
    server.tell(settings={"hold": True})
    assert start_export(replace(small, limits=Limits(queued=1))).sent.stop == "queue"
    assert start_export(replace(small, limits=Limits(queued=1))).sent.tasks == 0, "the queue holds one still"
    sent = start_export(replace(small, limits=Limits(tasks=0))).sent
    assert (sent.tasks, sent.left, sent.stop) == (0, 1, "tasks") and len(server.tasks) == 1
    server.tell(settings={"hold": False})
    with pytest.raises(SourceError, match="1 tasks not started; expected at most --max-requests 0"):
        wait_for_export(small.out, small.ee, Limits(tasks=0), 0.01)
    with pytest.raises(SourceError, match=r"0\.01 EECU-hours are used .* --max-eecu-hours 0\.005"):
        wait_for_export(small.out, small.ee, Limits(eecu_hours=0.005), 0.01)
    assert wait_for_export(small.out, small.ee, Limits(eecu_hours=0.02), 0.01).done


def test_an_export_that_would_compute_too_much_is_not_begun(
    small: ExportRequest, server: EarthEngineServer
) -> None:
    with pytest.raises(SourceError, match=r"EECU-hours for the export; expected at most --max-eecu-hours"):
        start_export(replace(small, limits=Limits(eecu_hours=1e-9)))
    assert server.tasks == [] and not (small.out / MANIFEST).exists()
    assert start_export(replace(small, limits=Limits(eecu_hours=1.0))).sent.tasks == 2


def test_a_cancelled_export_can_be_started_again(small: ExportRequest, server: EarthEngineServer) -> None:
    start_export(small)
    state_of_export(small.out, small.ee)  # they run
    assert state_of_export(small.out, small.ee).done
    server.set(hold=True, folder="")
    other = replace(small, out=small.out.with_name("other"))
    start_export(other)
    number, state = cancel_export(other.out, other.ee)
    assert number == 2 and state.number("CANCELLED") == 2
    with pytest.raises(SourceError, match="2 tasks were cancelled"):
        wait_for_export(other.out, other.ee, Limits(), 0.01)
    assert cancel_export(other.out, other.ee)[0] == 0
    assert start_export(other).sent.tasks == 2 and len(server.tasks) == 4


def test_tasks_that_earth_engine_forgets_are_not_started_again(
    small: ExportRequest, server: EarthEngineServer
) -> None:
    start_export(small)
    wait_for_export(small.out, small.ee, Limits(), 0.01)
    server.tell(settings={"forgets": True})
    assert state_of_export(small.out, small.ee).done, "what has ended stands on disk"
    other = replace(small, out=small.out.with_name("other"))
    start_export(other)
    server.set()  # all of them gone
    assert state_of_export(other.out, other.ee).number("LOST") == 2
    assert start_export(other).sent.tasks == 0
    with pytest.raises(SourceError, match="2 are no longer known to Earth Engine"):
        wait_for_export(other.out, other.ee, Limits(), 0.01)


def test_trouble_that_passes_starts_nothing_twice(small: ExportRequest, server: EarthEngineServer) -> None:
    faults = [
        {"path": EXPORT, "status": 503, "text": "Down."},
        {"path": EXPORT, "status": -1, "text": ""},  # started, and the answer is lost
        {"path": "operations", "status": 429, "text": "Slow down."},
    ]
    server.tell(settings={"faults": faults})
    assert start_export(small).sent.tasks == 2 and len(server.tasks) == 2
    server.tell(
        settings={"faults": [{"path": EXPORT, "status": 403, "text": "Permission denied on bucket b."}]}
    )
    with pytest.raises(SourceError, match="Permission denied on bucket b"):
        start_export(replace(small, out=small.out.with_name("other")))


def test_tiles_outside_the_area_are_left_out(request_: ExportRequest, tmp_path: Path) -> None:
    triangle = "POLYGON((4.978 50.6221, 4.978 50.624, 4.9795 50.624, 4.978 50.6221))"
    request = replace(request_, aoi=triangle, tile=8, without=("radar", "weather", "topography"))
    parts = [part.name for part in start_export(request).manifest.parts]
    assert "tile_00000_00000" in parts and "tile_00002_00001" not in parts
    wait_for_export(request.out, request.ee, Limits(), 0.01)
    collect_export(CollectRequest(request.out, tmp_path / "c.zarr", str(tmp_path / "bucket" / "ex")))
    group = groups_of(read_stack(tmp_path / "c.zarr"))["optical"].compute()
    far = group.isel(y=slice(16, 24), x=slice(8, None))
    assert np.isfinite(group["B2"].values).any() and np.isnan(far["B2"].values).all()
    assert (far["count"].values == 0).all()


def test_another_export_or_a_damaged_one_is_refused(small: ExportRequest, options: EarthEngine) -> None:
    start_export(small)
    with pytest.raises(MapError, match="holds another export"):
        start_export(replace(small, tile=16))
    path = small.out / MANIFEST
    content = path.read_text()
    for change, said in (
        (content[:500], "is damaged"),
        (content.replace('"geocomiss_export": 1', '"geocomiss_export": 2'), "another version"),
        (content.replace('"per_unit"', '"per_other"', 1), "another version"),
        (content.replace('"asked"', '"askew"'), "is damaged"),
    ):
        path.write_text(change)
        with pytest.raises(SourceError, match=said):
            state_of_export(small.out, options)
    path.unlink()
    with pytest.raises(SourceError, match="holds no export"):
        wait_for_export(small.out, options, Limits(), 0.01)
    path.write_text(content)
    shutil.rmtree(small.kept)
    manifest = json.loads(content)
    manifest["parts"][0]["digest"] = "0" * 40
    path.write_text(json.dumps(manifest))
    (small.out / JOURNAL).unlink()
    assert start_export(small).sent.tasks == 0, "they are in the list still"


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"bucket": None}, "to nowhere"),
        ({"drive_folder": "d"}, "to two places"),
        ({"prefix": "a b"}, "letters, digits"),
        ({"bucket": "gs://b/maps"}, "folders in it as --prefix"),
        ({"bucket": None, "drive_folder": "d", "prefix": "a/b"}, "one without /"),
        ({"season": "2019"}, "nothing to export"),
    ],
)
def test_requests_that_cannot_be_are_refused(
    change: dict[str, Any], said: str, small: ExportRequest, server: EarthEngineServer
) -> None:
    with pytest.raises(GeocomissError, match=said):
        start_export(replace(small, **change))
    assert server.tasks == [] and not (small.out / MANIFEST).exists()


def test_the_command_line_from_plan_to_map(server: EarthEngineServer, tmp_path: Path) -> None:
    server.set(folder=str(tmp_path / "bucket"))
    out, arguments = tmp_path / "ex", asked_of(server)
    begin = (
        *("export", "start", "--season", SEASON, "--aoi", BOX, "--crs", "EPSG:32631", "--tile", "20"),
        *("--drive-folder", "maps", "--out", str(out), *arguments),
    )
    planned = run(*begin, "--dry-run", "--price", "0.4")
    assert planned.exit_code == 0, planned.output
    for words in ("What is asked for", f"export: {ALL} tasks, one a file", "EECU-hours", "at 0.4 an hour"):
        assert words in planned.output, words
    assert server.tasks == [] and not out.exists() and len(server.asked(PIXELS)) == 3
    rows = [line.split("│") for line in planned.output.splitlines() if "radar" in line]
    assert [row[5].strip() for row in rows] == ["1"] * 3, "what was tried is computed again"
    started = run(*begin)
    assert started.exit_code == 0, started.output
    assert f"{ALL} tasks started" in started.output and "the folder 'maps' of Google Drive" in started.output
    known = run("info", str(out))
    assert "an export of Earth Engine" in known.output and "Google Drive" in known.output, known.output
    told = run("export", "status", str(out), *arguments)
    assert "RUNNING" in told.output and f"{ALL} files: " in told.output, told.output
    waited = run("export", "wait", str(out), "--interval", "0.01", *arguments)
    assert waited.exit_code == 0, waited.output
    assert f"{ALL} SUCCEEDED; 0.07 EECU-hours used" in waited.output
    early = run("export", "collect", str(out), "--out", str(tmp_path / "s.zarr"))
    assert isinstance(early.exception, SourceError) and "download them from the folder 'maps'" in str(
        early.exception
    )
    assert "7 files to download" in early.output and "ex_weather.tif" in early.output
    for path in (tmp_path / "bucket").iterdir():  # as if downloaded
        shutil.copy(path, out)
    collected = run("export", "collect", str(out), "--out", str(tmp_path / "s.zarr"))
    assert collected.exit_code == 0 and "wrote" in collected.output, collected.output
    again = run("export", "collect", str(out), "--out", str(tmp_path / "s.zarr"))
    assert isinstance(again.exception, MapError)
    model = untrained_for(out, tmp_path, read_manifest(out).origin.calendar.cycle())
    for_model = ("--model", str(model), "--season", "2021", "--without", "radar", "--out", f"{out}-of-model")
    assert run(*begin, *for_model).exit_code == 0
    fewer = read_manifest(Path(f"{out}-of-model"))
    assert fewer.bands == {k: v for k, v in read_manifest(out).bands.items() if k != "radar"}
    assert fewer.origin.calendar == read_manifest(out).origin.calendar
    for source in (out, tmp_path / "s.zarr"):
        mapped = run(
            *("map", "--source", str(source), "--model", str(model), "--min-steps", "1"),
            *("--out", str(tmp_path / f"map-{source.name}")),
        )
        assert mapped.exit_code == 0, mapped.output
    one, other = ((tmp_path / f"map-{name}" / "crop_type.tif").read_bytes() for name in ("ex", "s.zarr"))
    assert one == other
    stated = json.loads((tmp_path / "map-ex" / "run.json").read_text())["source"]
    assert stated["name"] == "Earth Engine, export ex" and stated["radar_pass"] == "descending"
    cancelled = run("export", "cancel", str(out), *arguments)
    assert cancelled.exit_code == 0 and "0 tasks cancelled" in cancelled.output
