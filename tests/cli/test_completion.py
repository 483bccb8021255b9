"""A shell is told what may come next, by typer's own protocol, in a process as a shell starts it."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from geocomiss.benchmarking.baselines import BASELINES
from geocomiss.methods import METHODS
from geocomiss.nets import SIZES
from geocomiss.recipes import RECIPES
from geocomiss.sources import CATALOGUES
from geocomiss_cli import completing

MAIN = "from geocomiss_cli.main import main; main()"
GUARDED = f"""
import sys, atexit
atexit.register(lambda: sys.stderr.write(",".join(set(sys.modules) & {{"torch", "xarray", "rasterio"}})))
{MAIN}
"""


def told(line: str, shell: str = "bash") -> set[str]:
    """Values offered for the last word of a line."""
    words = line.split(" ")
    environment = os.environ | {
        "_GEOCOMISS_COMPLETE": f"complete_{shell}",
        "COMP_WORDS": line.replace(" ", "\n"),
        "COMP_CWORD": str(len(words) - 1),
        "_TYPER_COMPLETE_ARGS": line,
        "_TYPER_COMPLETE_FISH_ACTION": "get-args",
    }
    done = subprocess.run([sys.executable, "-c", GUARDED], env=environment, capture_output=True, text=True)
    assert done.stderr == "", "completing must load nothing large"
    return set(done.stdout.split())


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("geocomiss se", {"serve", "search"}),
        ("geocomiss map --source p", {"planetary-computer"}),
        ("geocomiss train --method comiss", {"comiss", "comiss+"}),
        ("geocomiss train --preset c", {"compact"}),
        ("geocomiss map --without optical,r", {"optical,radar"}),
        ("geocomiss export start --recipe crop", {name for name in RECIPES if name.startswith("crop")}),
    ],
)
def test_bash_is_told_what_may_come(line: str, expected: set[str]) -> None:
    assert told(line) == expected


def test_zsh_and_fish_are_told_as_well() -> None:
    assert '"comiss+"' in " ".join(told("geocomiss train --method comiss", "zsh"))
    assert "comiss+" in told("geocomiss train --method comiss", "fish")


def test_what_is_completed_is_what_there_is() -> None:
    assert completing.METHODS == tuple(METHODS)
    assert completing.BASELINES == tuple(BASELINES)
    assert set(completing.PRESETS) == set(SIZES)
    assert completing.CATALOGUES == CATALOGUES
    shipped = Path(completing.__file__).parents[2] / "geocomiss" / "models"
    assert set(completing.SHIPPED) == {path.name for path in shipped.iterdir() if path.is_dir()} - {
        "__pycache__"
    }


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_completion_is_installed_into_a_home_of_its_own(shell: str, tmp_path: Path) -> None:
    environment = os.environ | {"HOME": str(tmp_path), "_TYPER_COMPLETE_TEST_DISABLE_SHELL_DETECTION": "1"}
    command = [sys.executable, "-c", MAIN, "--install-completion", shell]
    done = subprocess.run(command, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    written = "".join(path.read_text() for path in tmp_path.rglob("*") if path.is_file())
    assert "_GEOCOMISS_COMPLETE" in written
