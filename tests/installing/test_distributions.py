"""Wheel and sdist hold what is needed and no more, and work where nothing else of the project is."""

import os
import subprocess
import sys
import tarfile
import tomllib
import zipfile
from pathlib import Path
from shutil import copy, copytree, ignore_patterns

import pytest

import geocomiss

ROOT = Path(__file__).resolve().parents[2]
FOLDERS = ("geocomiss", "cli", "tests", "examples", "notebooks")
BUILD = "import sys; from setuptools import build_meta as m; m.build_sdist({out!r}); m.build_wheel({out!r})"
NEEDED = {
    "geocomiss/py.typed",
    "geocomiss/models/simulated/card.json",
    "geocomiss/models/simulated/model.safetensors",
    "geocomiss/viewing/page/report.html",
    "geocomiss/viewing/page/report.css",
    "geocomiss/viewing/page/report.js",
}
AREA = "5.30,50.60,5.305,50.603"


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a wheel and an sdist of a copy of the working tree, with what must stay out of them."""
    here = tmp_path_factory.mktemp("built")
    tree = here / "tree"
    for name in FOLDERS:
        copytree(ROOT / name, tree / name, ignore=ignore_patterns("__pycache__", "*.egg-info"))
    for path in ROOT.iterdir():
        if path.is_file():
            copy(path, tree)
    for name in ("shared", "map", "out"):  # may lie about in a working tree
        (tree / name).mkdir()
        (tree / name / "large.py").write_text("")
    build = BUILD.format(out=str(here / "dist"))
    subprocess.run([sys.executable, "-c", build], cwd=tree, check=True, capture_output=True)
    return here / "dist"


def in_wheel(built: Path) -> dict[str, bytes]:
    """Contents by name."""
    with zipfile.ZipFile(next(built.glob("*.whl"))) as wheel:
        return {name: wheel.read(name) for name in wheel.namelist()}


def in_sdist(built: Path) -> set[str]:
    with tarfile.open(next(built.glob("*.tar.gz"))) as sdist:
        return {each.name.split("/", 1)[1] for each in sdist if each.isfile()}


def sources() -> set[str]:
    """Every file of the packages in the working tree, by its place in a wheel."""
    return {
        str(path.relative_to(base))
        for base, package in ((ROOT, "geocomiss"), (ROOT / "cli", "geocomiss_cli"))
        for path in (base / package).rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }


def test_the_wheel_holds_the_packages_and_nothing_else(built: Path) -> None:
    held = set(in_wheel(built))
    meta = {name for name in held if name.split("/")[0].endswith(".dist-info")}
    assert sources() == held - meta
    assert held >= NEEDED
    assert any(name.endswith("licenses/LICENSE") for name in meta)


def test_the_sdist_holds_what_builds_the_wheel_and_no_tests(built: Path) -> None:
    held = in_sdist(built)
    top = {name.split("/")[0] for name in held}
    files = {"pyproject.toml", "README.md", "LICENSE", "PKG-INFO", "setup.cfg"}
    assert top == files | {"geocomiss", "cli", "geocomiss.egg-info"}
    inside = {name.removeprefix("cli/") for name in held if name.split("/")[0] in ("geocomiss", "cli")}
    assert inside == sources()


def test_the_version_is_said_once_more_and_alike(built: Path) -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    assert project["version"] == geocomiss.__version__
    assert f"geocomiss-{geocomiss.__version__}-" in next(built.glob("*.whl")).name


def installed(what: Path, folder: Path) -> dict[str, str]:
    """Install a distribution alone into a folder; the environment in which only that is found."""
    pytest.importorskip("pip")
    quiet = ["--quiet", "--disable-pip-version-check", "--no-index", "--no-deps", "--no-build-isolation"]
    command = [sys.executable, "-m", "pip", "install", *quiet, "--target", str(folder), str(what)]
    subprocess.run(command, check=True, capture_output=True, cwd=folder.parent)
    return os.environ | {"PYTHONPATH": str(folder), "OMP_NUM_THREADS": "1"}


def run(folder: Path, environment: dict[str, str], *words: str) -> str:
    """What `geocomiss` of that folder says, started elsewhere."""
    where = folder.parent / "elsewhere"
    where.mkdir(exist_ok=True)
    command = [sys.executable, str(folder / "bin" / "geocomiss"), *words]
    done = subprocess.run(command, env=environment, cwd=where, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout


def code_of(folder: Path, environment: dict[str, str]) -> Path:
    code = "import geocomiss, geocomiss_cli; print(geocomiss.__file__, geocomiss_cli.__file__)"
    told = subprocess.run([sys.executable, "-c", code], env=environment, cwd=folder, capture_output=True)
    places = {Path(word.decode()).parents[1] for word in told.stdout.split()}
    assert len(places) == 1
    return places.pop()


def test_the_wheel_runs_where_nothing_else_of_the_project_is(built: Path, tmp_path: Path) -> None:
    folder = tmp_path / "from_wheel"
    environment = installed(next(built.glob("*.whl")), folder)
    assert code_of(folder, environment) == folder
    assert run(folder, environment, "--version").strip() == f"geocomiss {geocomiss.__version__}"


@pytest.mark.slow
def test_the_sdist_makes_a_map_where_nothing_else_of_the_project_is(built: Path, tmp_path: Path) -> None:
    folder = tmp_path / "from_sdist"
    environment = installed(next(built.glob("*.tar.gz")), folder)
    wheel = {name: data for name, data in in_wheel(built).items() if ".dist-info/" not in name}
    assert wheel == {name: (folder / name).read_bytes() for name in wheel}
    out = tmp_path / "map"
    run(
        folder,
        environment,
        "map",
        "--source",
        "simulated",
        "--aoi",
        AREA,
        "--season",
        "2021",
        "--out",
        str(out),
    )
    run(folder, environment, "view", str(out))
    assert (out / "crop_type.tif").is_file() and (out / "report.html").is_file()
