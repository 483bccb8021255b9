"""The API reference is made from docstrings by one command, without a warning, and names what is public."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

import geocomiss

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> str:
    folder = tmp_path_factory.mktemp("reference")
    environment = os.environ | {"PYTHONPATH": os.pathsep.join([str(ROOT), str(ROOT / "cli")])}
    command = [sys.executable, str(ROOT / "examples" / "reference.py"), str(folder)]
    done = subprocess.run(command, env=environment, capture_output=True, text=True)
    assert done.returncode == 0 and "warn" not in done.stderr.lower(), done.stderr
    return (folder / "geocomiss.html").read_text()


@pytest.mark.parametrize("name", geocomiss.__all__)
def test_a_public_name_stands_in_the_reference(page: str, name: str) -> None:
    assert f'<section id="{name}">' in page
    assert getattr(geocomiss, name).__doc__


def test_fields_and_arguments_are_described(page: str) -> None:
    for each in ('id="MapRequest.aoi"', "<h6 id=", "Raises"):
        assert each in page
