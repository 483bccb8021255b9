"""The command line: starts at once, says what went wrong in a line, and passes options on."""

import errno
import os
import re
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from geocomiss import __version__
from geocomiss.errors import MapError
from geocomiss_cli import main as entry

ROOT = Path(__file__).resolve().parents[2]
COMMANDS = ("map", "fetch", "plan", "train", "evaluate", "info", "design", "assess")


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


def test_the_extra_of_serve_is_named_in_its_help() -> None:
    assert "geocomiss[serve]" in geocomiss("serve", "--help").stdout  # brackets are markup unless escaped


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
        (
            ["map", "--source", "s", "--out", "o", "--workers", "2", "--scheduler", "tcp://h:1"],
            "leave one out",
        ),
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
    hears = signal.getsignal(signal.SIGINT)
    with pytest.raises(SystemExit) as end:
        entry.main()
    signal.signal(signal.SIGINT, hears)  # else Ctrl-C is ignored from here on
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
