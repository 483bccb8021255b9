"""The table of modalities holds together."""

import ast
from pathlib import Path

import pytest

import geocomiss
from geocomiss.modalities import IMAGING, MODALITIES, patterns

ROOM = Path(geocomiss.__file__).parent


def test_bits_are_those_of_the_output_format() -> None:
    assert {name: m.bit for name, m in MODALITIES.items()} == {
        "optical": 1,
        "radar": 2,
        "weather": 4,
        "topography": 8,
    }
    assert IMAGING == ("optical", "radar")


def test_no_band_name_stands_for_two_things() -> None:
    names = [band for modality in MODALITIES.values() for band in modality.band_names]
    assert len(names) == len(set(names))
    for modality in MODALITIES.values():
        assert all(band.low < band.high for band in modality.bands)
        assert modality.band(modality.band_names[0]) is modality.bands[0]


@pytest.mark.parametrize(
    ("name", "steps", "enough"), [("optical", 12, 3), ("radar", 12, 3), ("weather", 12, 1)]
)
def test_default_minimum_of_steps(name: str, steps: int, enough: int) -> None:
    assert MODALITIES[name].min_steps(steps) == enough
    assert MODALITIES["topography"].min_steps(1) == 1


def test_there_are_fifteen_patterns_the_full_one_first() -> None:
    names = tuple(MODALITIES)
    found = patterns(names)
    assert len(found) == len(set(found)) == 15
    assert found[0] == names
    assert all(list(pattern) == sorted(pattern, key=names.index) for pattern in found)
    assert patterns(("a",)) == (("a",),)


def test_only_the_table_spells_optical_band_names_beyond_the_files_own() -> None:
    """Sources must translate names of files; published encoders read bands in an order of their own."""
    allowed = {"modalities.py", "pretrained/inputs.py"}
    spelled = {
        path.relative_to(ROOM).as_posix()
        for path in ROOM.rglob("*.py")
        if "sources" not in path.parts and "samples" not in path.parts
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Constant) and node.value in ("B8A", "B11", "B12", "B5")
    }
    assert spelled <= allowed
