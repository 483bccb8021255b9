"""The command line: starts at once, says what went wrong in a line, and passes options on."""

import errno
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from geocomiss_cli import main as entry
from geocomiss_cli.options import min_steps_of, required_of
from odc.geo.geobox import GeoBox
from typer.testing import CliRunner

from geocomiss import __version__
from geocomiss.errors import MapError
from geocomiss.mapping import FetchRequest, MapReport, MapRequest
from geocomiss.mapping.fetch import FetchReport
from geocomiss.seasons import Calendar, Cycle

ROOT = Path(__file__).resolve().parents[2]
COMMANDS = ("map", "fetch", "train", "evaluate", "info")
SEASON: Calendar = Cycle(1, "month", 12).ending_in(2021)
GRID = GeoBox((20, 30), (10.0, 0.0, 600_000.0, 0.0, -10.0, 5_600_000.0), "EPSG:32631")


def geocomiss(*arguments: str, **options: Any) -> subprocess.CompletedProcess[str]:
    """Run the real program in its own process."""
    code = "import sys; from geocomiss_cli.main import main; main()"
    environment = os.environ | {
        "PYTHONPATH": os.pathsep.join([str(ROOT), str(ROOT / "cli")]),
        "COLUMNS": "120",
    }
    command = [sys.executable, "-c", code, *arguments]
    return subprocess.run(command, capture_output=True, text=True, env=environment, check=False, **options)


@pytest.mark.parametrize("arguments", [["--help"], *([name, "--help"] for name in COMMANDS)])
def test_help_imports_nothing_heavy(arguments: list[str]) -> None:
    code = (
        f"import sys; sys.argv = ['geocomiss', *{arguments!r}]\n"
        "from geocomiss_cli.main import main\n"
        "try: main()\n"
        "except SystemExit as end: assert not end.code\n"
        "heavy = {'torch', 'xarray', 'numpy', 'rasterio', 'dask', 'geopandas'} & set(sys.modules)\n"
        "assert not heavy, heavy"
    )
    environment = os.environ | {"PYTHONPATH": os.pathsep.join([str(ROOT), str(ROOT / "cli")])}
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, env=environment, check=False
    )
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("name", COMMANDS)
def test_every_option_explains_itself(name: str) -> None:
    import typer.main

    command = typer.main.get_command(entry.app).commands[name]  # type: ignore[attr-defined]
    assert command.help
    for parameter in command.params:
        assert getattr(parameter, "help", None) or parameter.param_type_name == "argument", parameter.name


def test_the_version_is_told() -> None:
    done = geocomiss("--version")
    assert (done.returncode, done.stdout.strip()) == (0, f"geocomiss {__version__}")


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["map"], "Missing option"),
        (["nonsense"], "No such command"),
        (["map", "--source", "s", "--out", "o", "--without", "lidar"], "'lidar' is no modality"),
        (["map", "--source", "s", "--out", "o", "--require", "optical,lidar"], "'lidar' is no modality"),
        (["map", "--source", "s", "--out", "o", "--min-steps", "optical=0"], "'optical=0' is neither"),
        (["map", "--source", "s", "--out", "o", "--min-steps", "lidar=3"], "'lidar' is no modality"),
        (["map", "--source", "s", "--out", "o", "--on-mismatch", "shrug"], "'shrug' is none of refuse"),
        (["map", "--source", "s", "--out", "o", "--tile", "0"], "--tile"),
        (["map", "--source", "s", "--out", "o", "--resolution", "ten"], "--resolution"),
        (["fetch", "--source", "s", "--out", "o", "--recipe", "weekly"], "'weekly' is no recipe"),
    ],
)
def test_wrong_usage_is_code_2(arguments: list[str], said: str) -> None:
    done = CliRunner().invoke(entry.app, arguments, env={"COLUMNS": "200"})
    assert done.exit_code == 2
    assert said in done.output


@pytest.mark.parametrize(
    "arguments",
    [
        ["map", "--source", "nowhere.nc", "--model", "nowhere", "--out", "o"],
        ["map", "--source", "nowhere.nc", "--out", "o"],
        ["fetch", "--source", "nowhere.nc", "--out", "s.zarr"],
        ["fetch", "--source", "simulated", "--aoi", "5,50,4,51", "--season", "2021", "--out", "s.zarr"],
        ["info", "nowhere"],
    ],
)
def test_bad_input_is_one_line_and_code_1_and_leaves_nothing(tmp_path: Path, arguments: list[str]) -> None:
    done = geocomiss(*arguments, cwd=tmp_path)
    assert done.returncode == 1, done.stderr
    assert done.stdout == ""
    (line,) = done.stderr.splitlines()
    assert re.fullmatch(r"error: .+; expected .+; .+[.?]", line), line
    assert list(tmp_path.iterdir()) == []


def test_debug_shows_the_traceback_wherever_it_stands(tmp_path: Path) -> None:
    for arguments in (["--debug", "info", "nowhere"], ["info", "nowhere", "--debug"]):
        done = geocomiss(*arguments, cwd=tmp_path)
        assert done.returncode == 1
        assert "Traceback" in done.stderr


def run_failing(
    error: BaseException, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> tuple[int, str]:
    """What `map` ends with when the library raises."""

    def fail(*_: object) -> None:
        raise error

    monkeypatch.setattr("geocomiss.mapping.make_map", fail)
    monkeypatch.setattr(sys, "argv", ["geocomiss", "map", "--source", "simulated", "--out", "o"])
    monkeypatch.setattr(entry, "_quieten", lambda: None)
    with pytest.raises(SystemExit) as end:
        entry.main()
    told = capsys.readouterr()
    assert told.out == ""
    return int(end.value.code or 0), told.err


@pytest.mark.parametrize(
    ("error", "code", "said"),
    [
        (MapError("the disk", expected="space", todo="free some"), 1, "the disk; expected space; free some."),
        (OSError(errno.ENOSPC, "No space left on device", "o/x.tif"), 1, "No space left on device (o/x.tif)"),
        (MemoryError(), 1, "--tile"),
        (ZeroDivisionError("division\nby zero"), 1, "ZeroDivisionError: division by zero. This is a bug"),
        (KeyboardInterrupt(), 130, "Interrupted"),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, BaseException) else "",
)
def test_whatever_happens_is_one_line(
    error: BaseException,
    code: int,
    said: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    found, told = run_failing(error, monkeypatch, capsys)
    assert found == code
    assert len(told.splitlines()) == 1 and said in told


def test_the_line_is_red_on_a_terminal(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("FORCE_COLOR", "1")
    monkeypatch.delenv("NO_COLOR", raising=False)
    monkeypatch.setenv("TERM", "xterm-256color")
    _, told = run_failing(MapError("x [red]y", expected="z", todo="w"), monkeypatch, capsys)
    assert "\x1b[1;31m" in told and "[red]" in told


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
        "--overwrite --simulated-model-on-real-data --seed 3"
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
        command=request.command,
    )
    assert request == expected


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
        "outside 7, masked 0, required missing 3",
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

    monkeypatch.setattr("geocomiss.mapping.fetch_stack", note)
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
