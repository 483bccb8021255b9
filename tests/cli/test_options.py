"""Commands pass every option on, and tell what came of it."""

from pathlib import Path
from typing import Any

import pytest
from odc.geo.geobox import GeoBox
from typer.testing import CliRunner

from geocomiss.fetching import FetchReport, FetchRequest
from geocomiss.mapping import MapReport, MapRequest
from geocomiss.seasons import Calendar, Cycle
from geocomiss_cli import main as entry
from geocomiss_cli.checks import min_steps_of, required_of

SEASON: Calendar = Cycle(1, "month", 12).ending_in(2021)
GRID = GeoBox((20, 30), (10.0, 0.0, 600_000.0, 0.0, -10.0, 5_600_000.0), "EPSG:32631")


def report(request: MapRequest) -> MapReport:
    return MapReport(
        folder=request.out,
        grid=GRID,
        calendar=SEASON,
        notes=["a note with [brackets]"],
        warnings=["a warning"],
        classes=[
            {"value": 1, "name": "maize", "color": "#ffd300", "pixels": 300, "area_ha": 3.0},
            {"value": 2, "name": "[b]wheat", "color": "#a57000", "pixels": 100, "area_ha": 1.0},
        ],
        modality_share={"optical": 0.5, "radar": 1.0},
        observed={"optical": [1.0, 2.0]},
        nodata={"outside": 7, "masked": 0, "required_missing": 3},
        files=["crop_type.tif", "run.json"],
        px_per_s=1234.5,
        seconds=2.0,
        simulated_model=True,
    )


def test_map_passes_every_option_on(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    asked: list[MapRequest] = []

    def note(request: MapRequest, progress: Any) -> MapReport:
        asked.append(request)
        progress(5, 10)
        return report(request)

    monkeypatch.setattr("geocomiss.mapping.make_map", note)
    text = (
        f"map --source s.nc --out {tmp_path}/o --aoi a.geojson --season 2021 --model m --resolution 20 "
        "--crs EPSG:3035 --min-steps 4 --min-steps radar=6 --without weather --without topography "
        "--without weather --require radar --mask c.tif:40 --on-mismatch drop --device cpu --tile 64 "
        "--overwrite --simulated-model-on-real-data --seed 3 --probabilities --smooth 5 --legend l.csv "
        "--skip-failed"
    )
    done = CliRunner().invoke(entry.app, text.split(), env={"COLUMNS": "200"})
    assert done.exit_code == 0, done.output
    (request,) = asked
    assert request.command.startswith("geocomiss")
    expected = MapRequest(
        source="s.nc",
        out=tmp_path / "o",
        aoi="a.geojson",
        season="2021",
        model="m",
        resolution=20.0,
        crs="EPSG:3035",
        min_steps={"optical": 4, "radar": 6},
        without=("weather", "topography"),
        require=("radar",),
        mask="c.tif:40",
        on_mismatch="drop",
        device="cpu",
        tile=64,
        overwrite=True,
        simulated_model_on_real_data=True,
        seed=3,
        probabilities=True,
        smooth=5,
        legend="l.csv",
        skip_failed=True,
        command=request.command,
    )
    assert request == expected


@pytest.mark.parametrize(
    ("option", "value"), [("workers", 3), ("scheduler", "tcp://host:1")], ids=["workers", "scheduler"]
)
def test_map_passes_on_who_computes(option: str, value: object, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[MapRequest] = []
    monkeypatch.setattr(
        "geocomiss.mapping.make_map", lambda request, _: asked.append(request) or report(request)
    )
    text = ["map", "--source", "simulated", "--out", "o", f"--{option}", str(value)]
    assert CliRunner().invoke(entry.app, text).exit_code == 0
    assert getattr(asked[0], option) == value


def test_map_defaults_are_those_of_the_request(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[MapRequest] = []
    monkeypatch.setattr(
        "geocomiss.mapping.make_map", lambda request, _: asked.append(request) or report(request)
    )
    assert CliRunner().invoke(entry.app, ["map", "--source", "simulated", "--out", "o"]).exit_code == 0
    assert asked == [MapRequest("simulated", Path("o"), command=asked[0].command)]


def test_map_tells_what_it_saw_and_wrote(monkeypatch: pytest.MonkeyPatch) -> None:
    def tell(request: MapRequest, progress: Any) -> MapReport:
        progress(5, 10)
        progress(10, 10)
        return report(request)

    monkeypatch.setattr("geocomiss.mapping.make_map", tell)
    done = CliRunner().invoke(
        entry.app, ["map", "--source", "simulated", "--out", "o"], env={"COLUMNS": "200"}
    )
    for words in (
        "SIMULATED MODEL",
        "season: 2021-01-01 to 2021-12-31",
        "30 x 20 pixels of 10 metre, EPSG:32631",
        "note: a note with [brackets]",
        "warning: a warning",
        "optical 50.0%, radar 100.0%",
        "mapped area (pixel count, not an estimate)",
        "[b]wheat",
        "75.0%",
        "outside 7, masked 0 (0.0% of the area), required missing 3 (0.5% of the area)",
        "wrote o/crop_type.tif",
        "wrote o/run.json",
    ):
        assert words in done.stdout, words
    assert "mapping" in done.stderr and "10/10 pixels" in done.stderr


def test_fetch_passes_every_option_on(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    asked: list[FetchRequest] = []

    def note(request: FetchRequest, progress: Any) -> FetchReport:
        asked.append(request)
        return FetchReport(request.out, GRID, SEASON, {"radar": ("VV", "VH")}, ("a note",))

    monkeypatch.setattr("geocomiss.fetching.fetch_stack", note)
    text = (
        f"fetch --source s.nc --out {tmp_path}/s.zarr --aoi 1,2,3,4 --season 2021 --recipe cropharvest "
        "--resolution 20 --crs EPSG:3035 --overwrite --seed 4"
    )
    done = CliRunner().invoke(entry.app, text.split(), env={"COLUMNS": "200"})
    assert done.exit_code == 0, done.output
    assert asked == [
        FetchRequest(
            "s.nc", tmp_path / "s.zarr", "1,2,3,4", "2021", "cropharvest", 20.0, "EPSG:3035", True, 4
        )
    ]
    assert "radar: VV VH" in done.stdout and "note: a note" in done.stdout


def test_an_aoi_that_begins_with_a_minus_is_no_option(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[MapRequest] = []
    monkeypatch.setattr(
        "geocomiss.mapping.make_map", lambda request, _: asked.append(request) or report(request)
    )
    arguments = ["map", "--source", "simulated", "--out", "o", "--aoi", "-4.9,-50.7,-4.8,-50.6"]
    assert CliRunner().invoke(entry.app, arguments).exit_code == 0
    assert asked[0].aoi == "-4.9,-50.7,-4.8,-50.6"


def test_small_options_mean_what_they_say() -> None:
    assert min_steps_of(["3"]) == {"optical": 3, "radar": 3}
    assert min_steps_of(["radar=5", "2"]) == {"optical": 2, "radar": 5}
    assert required_of("none") == ()
    assert required_of("optical, weather") == ("optical", "weather")


def test_an_empty_scheduler_is_no_map_in_this_process() -> None:
    asked = CliRunner().invoke(entry.app, ["map", "--source", "s", "--out", "m", "--scheduler", ""])
    assert asked.exit_code == 2 and "it is empty" in asked.output


def test_modalities_are_left_out_with_commas_or_one_by_one(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[MapRequest] = []

    def note(request: MapRequest, progress: Any) -> MapReport:
        asked.append(request)
        return report(request)

    monkeypatch.setattr("geocomiss.mapping.make_map", note)
    for options in (["--without", "radar,weather"], ["--without", "radar", "--without", "weather"]):
        CliRunner().invoke(entry.app, ["map", "--source", "simulated", "--out", "o", *options])
    assert [request.without for request in asked] == [("radar", "weather")] * 2
