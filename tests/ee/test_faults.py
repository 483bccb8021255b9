"""What goes wrong on the way to Earth Engine, by script: the same stack in the end, or a sentence."""

import os
import signal
import subprocess
import sys
import time
from dataclasses import replace
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import xarray as xr
from ee_scenes import GRID
from ee_server import PIXELS, VALUE, EarthEngineServer

from geocomiss.errors import SourceError
from geocomiss.fetching import FetchRequest, fetch_stack
from geocomiss.seasons import Calendar
from geocomiss.sources.base import EarthEngine, Reading
from geocomiss.sources.ee.failures import Kind, kind_of
from geocomiss.sources.ee.source import EarthEngineSource
from geocomiss.stack import groups_of, read_stack

ROOT = Path(__file__).resolve().parents[2]
APRIL = Calendar(date(2021, 4, 1), "month", 1)
ONLY = {"optical": ("B2", "B8"), "radar": ("VV",)}
BOX = "4.978,50.622,4.982,50.624"


@pytest.fixture(scope="module")
def whole(loopback: EarthEngineServer) -> xr.DataTree:
    """The stack that nothing has disturbed."""
    loopback.set()
    return stack_of(Reading(ONLY, ee=EarthEngine("my-project", loopback.url, "none")))[0]


def stack_of(reading: Reading) -> tuple[xr.DataTree, EarthEngineSource]:
    source = EarthEngineSource(None, reading)
    return source.open(GRID, APRIL).compute(), source


def assert_same(found: xr.DataTree, expected: xr.DataTree) -> None:
    for name, group in groups_of(expected).items():
        xr.testing.assert_equal(groups_of(found)[name], group)


def fault(status: int, text: str = "A fault.", path: str = PIXELS, **more: int) -> dict[str, Any]:
    return {"path": path, "status": status, "text": text, **more}


@pytest.mark.parametrize(
    ("faults", "repeated"),
    [
        ([fault(429, "Too many concurrent aggregations.", times=2)], 2),
        ([fault(500), fault(503)], 2),
        ([fault(403, "Quota exceeded for quota metric 'rate limit'")], 1),
        ([fault(-1)], 1),
        ([fault(-2)], 1),
        ([fault(500, path=VALUE, times=2)], 2),
    ],
    ids=["429 twice", "500 and 503", "403 of a rate limit", "cut short", "damaged", "500 of a list"],
)
def test_passing_trouble_is_tried_again(
    faults: list[dict[str, Any]],
    repeated: int,
    reading: Reading,
    server: EarthEngineServer,
    whole: xr.DataTree,
) -> None:
    server.set(faults=faults)
    found, source = stack_of(replace(reading, wanted=ONLY))
    assert_same(found, whole)
    assert source._client.tally.repeated == repeated
    assert f"{repeated} requests sent again" in source.account()[0][1]


def test_a_connection_that_hangs_has_a_deadline(
    reading: Reading, server: EarthEngineServer, whole: xr.DataTree
) -> None:
    server.set(faults=[fault(0)], hang=4.0)
    begun = time.monotonic()
    found, _ = stack_of(replace(reading, wanted=ONLY, ee=replace(reading.ee, deadline=1.5)))
    assert_same(found, whole)
    assert time.monotonic() - begun < 30


def test_what_hangs_again_and_again_is_asked_for_in_parts(
    reading: Reading, server: EarthEngineServer, whole: xr.DataTree
) -> None:
    server.set(faults=[fault(0, times=2)], hang=4.0)
    options = replace(reading.ee, deadline=1.5, parallel=1)
    found, source = stack_of(replace(reading, wanted=ONLY, ee=options))
    assert_same(found, whole)
    assert source._client.tally.split == 1


@pytest.mark.parametrize(
    "text",
    [
        "User memory limit exceeded.",
        "Computation timed out.",
        "Total request size (60000000 bytes) must be less than or equal to 50331648 bytes.",
    ],
)
def test_a_tile_that_is_too_much_is_divided_and_stays_so(
    text: str, reading: Reading, server: EarthEngineServer, whole: xr.DataTree
) -> None:
    server.set(faults=[fault(400, text)])
    reading = replace(reading, wanted=ONLY, ee=replace(reading.ee, parallel=1))
    found, source = stack_of(reading)
    assert_same(found, whole)
    sizes = sorted(each["pixels"] for each in server.asked() if each["status"] == 200)
    assert sizes == [22 * 19] * 4 + [44 * 38] and source._client.tally.split == 1
    server.set()
    again, source = stack_of(reading)
    assert_same(again, whole)
    assert server.asked() == [] and server.asked(VALUE) == [], "all of it is kept, the division too"


def test_division_goes_on_as_far_as_it_must(
    reading: Reading, server: EarthEngineServer, whole: xr.DataTree
) -> None:
    server.set(memory_pixels=300)
    found, _ = stack_of(replace(reading, wanted=ONLY))
    assert_same(found, whole)
    assert all(each["pixels"] <= 300 for each in server.asked() if each["status"] == 200)
    server.set(memory_pixels=10)
    with pytest.raises(SourceError, match="cannot compute even"):
        stack_of(replace(reading, wanted=ONLY, keep=None))


@pytest.mark.parametrize(
    ("status", "text", "said"),
    [
        (403, "Caller does not have required permission to use project my-project.", "the right to use"),
        (403, "Earth Engine API has not been used in project 1 before or it is disabled.", "register it at"),
        (403, "Project my-project is not registered to use Earth Engine.", "register it at"),
        (403, "Daily Limit Exceeded. It will be reset at midnight; try again then.", "midnight Pacific time"),
        (
            403,
            "Quota exceeded for quota metric 'Requests' and limit 'Requests per day' of service 'x'.",
            "quota that is left in the project 'my-project'",
        ),
        (429, "Overall quota exceeded.", "or give another --ee-project"),
        (401, "Request had invalid authentication credentials.", "earthengine authenticate"),
        (404, "Project my-project not found.", "check --ee-project"),
        (400, "Image.load: Image asset 'x' not found.", "an asset or project that exists"),
        (400, "Parameter 'value' is required.", "report it with these words"),
    ],
)
def test_an_error_that_stays_stops_at_once_in_words(
    status: int, text: str, said: str, reading: Reading, server: EarthEngineServer
) -> None:
    server.set(faults=[fault(status, text, times=99)])
    with pytest.raises(SourceError, match=said):
        stack_of(replace(reading, wanted=ONLY, ee=replace(reading.ee, parallel=1)))
    assert len(server.asked()) == 1, "what is refused is not asked again, and nothing else either"


def test_a_server_that_stays_silent_is_given_up(reading: Reading, server: EarthEngineServer) -> None:
    server.set(faults=[fault(503, "Down.", times=99)])
    with pytest.raises(SourceError, match=r"no answer to 4 requests \(503: Down\.\)"):
        stack_of(replace(reading, wanted=ONLY, ee=replace(reading.ee, parallel=1)))


def test_an_address_without_a_server_is_said_in_words() -> None:
    options = EarthEngine("my-project", "http://127.0.0.1:9", "none", attempts=2, pause=0.01)
    with pytest.raises(SourceError, match="gave no answer to 2 requests"):
        EarthEngineSource(None, Reading(ee=options))


def test_the_restricted_mode_is_told(reading: Reading, server: EarthEngineServer) -> None:
    server.set(quota="parallelism_restricted=true")
    _, source = stack_of(replace(reading, wanted={"radar": ("VV",)}))
    assert "restricted mode" in source.account()[1][0]


def test_a_damaged_tile_is_fetched_again(
    reading: Reading, server: EarthEngineServer, whole: xr.DataTree
) -> None:
    reading = replace(reading, wanted=ONLY)
    stack_of(reading)
    server.set()
    assert reading.keep
    first, *others = sorted(reading.keep.glob("*.npz"))
    content = first.read_bytes()
    first.write_bytes(content[:900] + bytes([content[900] ^ 255]) + content[901:])
    assert_same(stack_of(reading)[0], whole)
    assert len(server.asked()) == 1 and others


def test_errors_are_told_apart() -> None:
    assert kind_of(None, "") is kind_of(429, "") is kind_of(502, "") is Kind.AGAIN
    minute = "Quota exceeded for quota metric 'Requests' and limit 'Requests per minute' of service 'x'."
    assert kind_of(403, minute) is kind_of(429, minute) is Kind.AGAIN
    assert kind_of(400, "User memory limit exceeded.") is Kind.SPLIT
    assert kind_of(400, "Image.select: Band pattern 'B99'") is kind_of(404, "") is Kind.STOP


def command(server: EarthEngineServer, out: Path) -> list[str]:
    code = "import sys; from geocomiss_cli.main import main; main()"
    options = (
        f"--source ee --ee-project my-project --ee-url {server.url} --ee-credentials none --ee-parallel 2"
    )
    asked = f"fetch {options} --season 2021-04:2021-07 --aoi {BOX} --crs EPSG:32631 --out {out}"
    return [sys.executable, "-c", code, *asked.split()]


def environment() -> dict[str, str]:
    return os.environ | {"PYTHONPATH": os.pathsep.join([str(ROOT), str(ROOT / "cli")])}


@pytest.mark.slow
def test_a_killed_fetch_goes_on_and_asks_for_nothing_twice(tmp_path: Path, server: EarthEngineServer) -> None:
    out, kept = tmp_path / "s.zarr", tmp_path / "s.zarr.fetched"
    server.set(slow=0.6)
    child = subprocess.Popen(command(server, out), env=environment(), stdout=subprocess.DEVNULL)
    while child.poll() is None and len(list(kept.glob("*.npz"))) < 3:
        time.sleep(0.02)
    os.kill(child.pid, signal.SIGKILL)
    child.wait()
    server.settle()
    assert not out.exists()
    stored = {path.stem for path in kept.glob("*.npz")}
    first = server.asked()
    server.set()
    done = subprocess.run(command(server, out), env=environment(), capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    again = server.asked()
    assert server.asked(VALUE) == [], "the images are those of the first run"
    assert f"{len(again)} requests of pixels" in done.stdout and f"{len(stored)} there already" in done.stdout
    asked = [each["key"] for each in first], [each["key"] for each in again]
    both = set(asked[0]) & set(asked[1])
    assert len(both) <= 2, "only what was under way when it was killed"
    assert len(stored) + len(again) == len(set(asked[0]) | set(asked[1]))
    assert not kept.exists() and not list(tmp_path.glob(".*"))

    whole = tmp_path / "whole.zarr"
    request = FetchRequest("ee", whole, BOX, "2021-04:2021-07", crs="EPSG:32631")
    fetch_stack(replace(request, ee=EarthEngine("my-project", server.url, "none")))
    for name, group in groups_of(read_stack(whole)).items():
        xr.testing.assert_identical(groups_of(read_stack(out))[name].compute(), group.compute())
        assert any(np.isfinite(band.values).any() for band in group.data_vars.values())
