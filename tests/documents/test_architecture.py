"""The page on the architecture names what exists, and leaves no room out."""

import re
import tomllib
from importlib import import_module
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PAGE = (ROOT / "examples" / "ARCHITECTURE.md").read_text()
PATHS = sorted(set(re.findall(r"(?:geocomiss|cli|tests)/[\w/.]*", PAGE)))
NAMES = sorted(set(re.findall(r"`((?:geocomiss|geocomiss_cli)(?:\.\w+)+)`", PAGE)))


def resolved(name: str) -> object:
    """What a dotted name stands for: the longest module, then its attributes."""
    parts = name.split(".")
    for end in range(len(parts), 0, -1):
        try:
            found: object = import_module(".".join(parts[:end]))
        except ModuleNotFoundError:
            continue
        for part in parts[end:]:
            found = getattr(found, part)
        return found
    raise ModuleNotFoundError(name)


@pytest.mark.parametrize("path", PATHS)
def test_a_path_exists(path: str) -> None:
    found = ROOT / path
    assert found.is_dir() if path.endswith("/") else found.is_file()


@pytest.mark.parametrize("name", NAMES)
def test_a_name_exists(name: str) -> None:
    assert resolved(name) is not None


def test_what_is_gone_is_noticed() -> None:
    with pytest.raises((AttributeError, ModuleNotFoundError)):
        resolved("geocomiss.grid.no_such_thing")
    assert len(PATHS) > 40 and len(NAMES) > 10


def test_every_room_is_on_the_page_and_on_a_floor() -> None:
    inside = [path for path in (ROOT / "geocomiss").iterdir() if path.name not in ("models", "py.typed")]
    rooms = {path.stem for path in inside if not path.name.startswith("_")}
    on_page = {re.split(r"[/.]", path)[1] for path in PATHS if path.startswith("geocomiss/")}
    assert rooms == on_page
    floors = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["importlinter"]["contracts"][0][
        "layers"
    ]
    on_floors = {room.strip().removeprefix("geocomiss.") for floor in floors for room in floor.split("|")}
    assert rooms == on_floors - {"geocomiss_cli"}
