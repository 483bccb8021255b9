"""What an extra brings is asked for in words: its name, and the command that installs it."""

import builtins
import importlib
import re
import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from packaging.requirements import Requirement

from geocomiss import zonal
from geocomiss.benchmarking import baselines
from geocomiss.doctor.installation import EXTRAS
from geocomiss.errors import GeocomissError
from geocomiss.sources import weather
from geocomiss.viewing import served

ROOT = Path(__file__).resolve().parents[2]
DECLARED = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"]
OFFERED = sorted(set(DECLARED) - {"dev"})
"""Extras of users; `dev` takes all of them."""
NAMED = re.compile(r"geocomiss\\?\[(\w+)\\?\]|-e \"\.\[(\w+)\]\"")
NEEDED: dict[str, Callable[[Path], object]] = {
    "baselines": lambda _: baselines._optional("lightgbm"),
    "grib": weather._opened_grib,
    "serve": lambda _: served._check_installed(),
    "zonal": lambda _: zonal._library(),
}
"""Where each is used first."""


@pytest.mark.parametrize("extra", OFFERED)
def test_a_missing_extra_is_named_with_its_command(
    extra: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    absent = {Requirement(line).name.split(".")[0].replace("-", "_") for line in DECLARED[extra]}
    real, loaded = builtins.__import__, importlib.import_module

    def check(name: str) -> None:
        if name.split(".")[0] in absent:
            raise ModuleNotFoundError(f"No module named {name!r}")

    def without(name: str, *rest: Any, **named: Any) -> Any:
        check(name)
        return real(name, *rest, **named)

    def not_loaded(name: str, *rest: Any) -> Any:
        check(name)
        return loaded(name, *rest)

    monkeypatch.setattr(builtins, "__import__", without)
    monkeypatch.setattr(importlib, "import_module", not_loaded)
    with pytest.raises(GeocomissError, match=re.escape(f'pip install "geocomiss[{extra}]"')):
        NEEDED[extra](tmp_path / "era5.grib")


def test_the_doctor_looks_for_every_package_of_an_extra() -> None:
    declared = {(Requirement(line).name, extra) for extra in OFFERED for line in DECLARED[extra]}
    assert {(package, extra) for package, (extra, _) in EXTRAS.items()} == declared


def test_dev_takes_every_extra() -> None:
    taken = next(Requirement(line) for line in DECLARED["dev"] if line.startswith("geocomiss"))
    assert taken.extras == set(OFFERED)


def test_no_text_names_an_extra_that_is_not_there() -> None:
    files = [path for place in ("geocomiss", "cli", "examples") for path in (ROOT / place).rglob("*.[pms]*")]
    texts = [path.read_text() for path in files if path.suffix in {".py", ".md", ".sh"}]
    texts += [(ROOT / name).read_text() for name in ("README.md", ".ci/run")]
    found = [match for text in texts for match in NAMED.finditer(text)]
    named = {match[1] or match[2] for match in found}
    assert {"dev", "serve"} <= named <= set(DECLARED)
