"""What a plan says is what a run takes; limits stop a run before they are passed."""

from dataclasses import replace
from datetime import date
from pathlib import Path
from typing import Any

import pytest
from ee_scenes import GRID
from ee_server import PIXELS, EarthEngineServer
from gappy import untrained_for
from odc.geo.geom import box
from typer.testing import CliRunner

from geocomiss.costing import CostRequest, cost_of_fetch, plan_costs
from geocomiss.errors import MapError, SourceError
from geocomiss.fetching import FetchRequest, fetch_stack
from geocomiss.seasons import Calendar
from geocomiss.sources.base import EarthEngine, Reading
from geocomiss.sources.ee.profile import eecu_seconds
from geocomiss.sources.ee.source import EarthEngineSource
from geocomiss.stack import write_stack
from geocomiss.zones import Zone
from geocomiss_cli import main as entry

SEASON = "2021-04:2021-07"
BOX = "4.978,50.622,4.982,50.624"


def run(*arguments: str) -> Any:
    return CliRunner().invoke(entry.app, [*arguments], env={"COLUMNS": "200"})


def test_a_plan_counts_exactly_what_a_fetch_asks_for(
    server: EarthEngineServer, options: EarthEngine, tmp_path: Path
) -> None:
    request = FetchRequest("ee", tmp_path / "s.zarr", BOX, SEASON, crs="EPSG:32631", ee=options)
    report = cost_of_fetch(request)
    found = report.estimate
    tried = server.asked()
    assert found.trials == len(tried) == 3 and found.there == 3
    assert [(row.modality, row.step) for row in found.rows] == [
        *(("optical", step) for step in (0, 1, 2)),
        *(("radar", step) for step in (0, 1, 3)),
        ("weather", None),
        ("topography", None),
    ]
    assert not request.out.exists() and request.kept.exists(), "trials are kept for the run"
    server.set()
    stack = fetch_stack(request)
    assert len(server.asked()) == found.requests == sum(row.requests for row in found.rows)
    assert any("3 there already" in note for note in stack.notes)


def test_an_area_in_two_zones_is_planned_as_it_is_fetched_and_mapped(
    server: EarthEngineServer, options: EarthEngine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    left, right = (
        box(*each, "EPSG:4326") for each in ((4.978, 50.622, 4.98, 50.624), (4.98, 50.622, 4.982, 50.624))
    )
    zones = (Zone(31, False, left), Zone(32, False, right))  # as if a border lay there
    for room in ("costing", "fetching.workflow"):
        monkeypatch.setattr(f"geocomiss.{room}.zones_of", lambda _: zones)
    request = FetchRequest("ee", tmp_path / "stacks", BOX, SEASON, ee=options)
    report = cost_of_fetch(request)
    found, tried = report.estimate, len(server.asked())
    assert [name for name, _ in report.zones] == ["utm31n", "utm32n"] and tried == found.trials == 3
    server.set()
    stacks = fetch_stack(request)
    assert len(server.asked()) == found.requests and stacks.zones == report.zones
    assert found.eecu_hours is not None and not request.kept.exists()
    with pytest.raises(MapError, match=r"limits hold for a stack.*--crs"):
        fetch_stack(replace(request, out=tmp_path / "other", ee=replace(options, max_requests=5)))


def test_bytes_and_hours_are_those_of_the_answers(server: EarthEngineServer, options: EarthEngine) -> None:
    request = CostRequest(BOX, SEASON, crs="EPSG:32631", ee=options)
    nothing = plan_costs(replace(request, trials=0)).estimate
    assert nothing.eecu_hours is None and server.asked() == [] and nothing.there == 0
    found = plan_costs(request)
    pixels = found.grid.height * found.grid.width
    sizes = {(row.modality, row.step): row.bytes for row in nothing.rows}
    assert sizes["optical", 0] == pixels * 12 * 2 and sizes["radar", 3] == pixels * 3 * 2
    # the server's price: two microseconds a pixel, band and image; weather and heights come on top
    left = [row for row in found.estimate.rows if row.step is not None and row.requests]
    seconds = sum(2e-6 * pixels * {"optical": 12, "radar": 3}[row.modality] * row.images for row in left)
    assert len(left) == 3 and found.estimate.trials == 3 and found.estimate.eecu_hours is not None
    assert seconds < found.estimate.eecu_hours * 3600 < 1.3 * seconds


def test_trials_that_must_be_divided_count_with_all_of_their_parts(
    server: EarthEngineServer, options: EarthEngine
) -> None:
    request = CostRequest(BOX, SEASON, crs="EPSG:32631", ee=options)
    whole = plan_costs(request).estimate.eecu_hours
    server.set(memory_pixels=300)
    divided = plan_costs(request).estimate
    assert whole and divided.eecu_hours == pytest.approx(whole, rel=1e-3)
    sent = [each for each in server.asked() if each["status"] == 200]
    assert divided.trials == 3 and len(sent) == 3 * 4 and divided.there == 3


def test_profiles_are_read_as_the_client_prints_them() -> None:
    text = (
        " EECU·s PeakMem Count  Description\n  0.280     59k     6  Algorithm\n  0.250    571k    86  Load\n"
    )
    assert eecu_seconds(text) == pytest.approx(0.53)
    with pytest.raises(SourceError, match="--trials 0"):
        eecu_seconds("nothing of the kind")


def test_a_run_stops_at_the_number_of_requests_and_goes_on_later(
    server: EarthEngineServer, options: EarthEngine, tmp_path: Path
) -> None:
    request = FetchRequest(
        "ee", tmp_path / "s.zarr", BOX, SEASON, ee=replace(options, max_requests=4, parallel=1)
    )
    with pytest.raises(SourceError, match="4 requests of pixels have been sent"):
        fetch_stack(request)
    assert len(server.asked()) == 4
    report = fetch_stack(replace(request, ee=options))
    assert len(server.asked()) == 8 and any("4 there already" in note for note in report.notes)


def test_requests_that_are_sent_again_count_too(
    server: EarthEngineServer, options: EarthEngine, tmp_path: Path
) -> None:
    server.set(faults=[{"path": PIXELS, "status": 503, "times": 99}])
    request = FetchRequest(
        "ee", tmp_path / "s.zarr", BOX, SEASON, ee=replace(options, max_requests=2, parallel=1)
    )
    with pytest.raises(SourceError, match="2 requests of pixels"):
        fetch_stack(request)
    assert len(server.asked()) == 2


def test_a_run_that_would_compute_too_much_does_not_begin(
    server: EarthEngineServer, options: EarthEngine, tmp_path: Path
) -> None:
    request = FetchRequest("ee", tmp_path / "s.zarr", BOX, SEASON, ee=replace(options, max_eecu_hours=1e-6))
    with pytest.raises(
        SourceError, match=r"EECU-hours for what is left; expected at most --max-eecu-hours 1e-06"
    ):
        fetch_stack(request)
    assert len(server.asked()) == 3 and not request.out.exists()
    fetch_stack(replace(request, ee=replace(options, max_eecu_hours=1.0)))
    assert request.out.exists()


def test_a_map_is_planned_for_what_its_model_reads(
    server: EarthEngineServer, options: EarthEngine, tmp_path: Path
) -> None:
    season = Calendar(date(2021, 4, 1), "month", 4)
    wanted = {"optical": ("B2", "B4"), "radar": ("VV",)}
    source = EarthEngineSource(None, Reading(wanted, ee=options))
    write_stack(source.open(GRID, season).compute(), tmp_path / "s.zarr")
    model = untrained_for(tmp_path / "s.zarr", tmp_path, season.cycle())
    server.set()
    done = run(
        *("map", "--source", "ee", "--ee-url", server.url, "--ee-credentials", "none", "--dry-run"),
        *("--ee-project", "my-project", "--season", "2021", "--aoi", BOX, "--model", str(model)),
        *("--out", str(tmp_path / "map"), "--without", "radar"),
    )
    assert done.exit_code == 0, done.output
    assert "optical" in done.output and "radar" not in done.output
    assert "0 requests of 0.0 MB to be sent, 3 answered already (3 of them just now, on trial)" in done.output
    assert {each["bands"] for each in server.asked()} == {3} and not (tmp_path / "map" / "run.json").exists()


def test_plan_shows_share_price_and_where_the_tier_stands(server: EarthEngineServer) -> None:
    arguments = (
        *("plan", "--ee-url", server.url, "--ee-credentials", "none", "--ee-project", "my-project"),
        *("--season", SEASON, "--aoi", BOX, "--tile", "32"),
    )
    done = run(*arguments, "--price", "0.4")
    assert done.exit_code == 0, done.output
    for words in (
        "What is asked for",
        "2021-07-01",
        "EECU-hours, ",
        "% of the 150 a month",
        "at 0.4 an hour",
    ):
        assert words in done.output, words
    assert "project my-project: its registration and tier" in done.output
    paid = run(*arguments, "--tier", "commercial", "--trials", "0")
    assert "not estimated" in paid.output


@pytest.mark.parametrize(
    ("config", "words"),
    [
        (
            {"registrationState": "REGISTERED_NOT_COMMERCIALLY", "maxConcurrentExports": 2},
            ("of the 150 a month of community", "registered for noncommercial use", "; 2 export tasks run"),
        ),
        ({"registrationState": "REGISTERED_COMMERCIALLY"}, ("every EECU-hour is charged", "EECU-hours\n")),
        ({"registrationState": "NOT_REGISTERED"}, ("NOT registered for Earth Engine: register it at",)),
        ({"registrationState": "NEW"}, ("its registration and tier stand in",)),
    ],
)
def test_a_plan_says_how_the_project_is_registered(
    config: dict[str, Any], words: tuple[str, ...], server: EarthEngineServer
) -> None:
    server.set(config=config)
    done = run(
        *("plan", "--ee-url", server.url, "--ee-credentials", "none", "--ee-project", "my-project"),
        *("--season", "2021-04:2021-04", "--aoi", BOX, "--without", "radar,topography,weather"),
    )
    assert done.exit_code == 0, done.output
    for each in words:
        assert each in done.output, done.output


def test_a_dry_run_is_for_earth_engine_only(tmp_path: Path) -> None:
    done = run("fetch", "--source", "simulated", "--dry-run", "--out", str(tmp_path / "s.zarr"))
    assert isinstance(done.exception, SourceError) and "--source ee" in str(done.exception)
