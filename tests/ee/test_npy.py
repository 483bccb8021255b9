"""Arrays are read as NumPy reads them, and in threads without a syntax tree."""

import ast
import io
from dataclasses import replace
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from ee_scenes import GRID
from numpy.typing import NDArray

from geocomiss.seasons import Calendar
from geocomiss.sources.base import Reading
from geocomiss.sources.ee.kept import Kept
from geocomiss.sources.ee.npy import parsed_npy
from geocomiss.sources.ee.source import EarthEngineSource


def saved(values: NDArray[Any], version: tuple[int, int] | None = None) -> bytes:
    file = io.BytesIO()
    np.lib.format.write_array(file, values, version=version)
    return file.getvalue()


@pytest.mark.parametrize(
    "values",
    [
        np.arange(24, dtype="u2").reshape(2, 3, 4),
        np.asfortranarray(np.arange(6.0).reshape(2, 3)),
        np.arange(5, dtype=">i4"),
        np.array(7, "i2"),
        np.zeros((0, 3), "f4"),
        np.array([[(1, -2), (3, 4)]], [("B2", "<u2"), ("temperature_2m_0", "<i4")]),
    ],
    ids=["cube", "by columns", "big-endian", "scalar", "empty", "table"],
)
@pytest.mark.parametrize("version", [(1, 0), (2, 0), (3, 0)])
def test_an_array_is_read_as_numpy_reads_it(values: NDArray[Any], version: tuple[int, int]) -> None:
    content = saved(values, version)
    found, expected = parsed_npy(content), np.load(io.BytesIO(content))
    assert found.dtype == expected.dtype and found.shape == expected.shape
    np.testing.assert_array_equal(found, expected)


def test_what_is_damaged_is_refused_wherever_it_is_cut() -> None:
    content = saved(np.arange(6, dtype="u2"))
    for length in range(len(content)):
        with pytest.raises(ValueError):
            parsed_npy(content[:length])
    for other in (b"GIF89a", content[:6] + b"\x09" + content[7:], content.replace(b"descr", b"dexcr")):
        with pytest.raises(ValueError):
            parsed_npy(other)
    with pytest.raises(ValueError, match="objects"):
        parsed_npy(content.replace(b"'<u2'", b"'|O' "))


def test_a_kept_file_with_any_byte_damaged_is_no_other_array(tmp_path: Path) -> None:
    kept, values = Kept(tmp_path), np.arange(6, dtype="u2").reshape(1, 2, 3)
    kept.keep_pixels("tile", values)
    path = tmp_path / "tile.npz"
    content, lost = path.read_bytes(), 0
    for at in range(len(content)):
        path.write_bytes(content[:at] + bytes([content[at] ^ 255]) + content[at + 1 :])
        found = kept.pixels("tile")
        lost += found is None
        assert found is None or (found.dtype == values.dtype and np.array_equal(found, values))
    assert lost > len(content) // 3


def test_tiles_are_read_without_a_syntax_tree(reading: Reading, monkeypatch: pytest.MonkeyPatch) -> None:
    """CPython builds one safely in one thread at a time only; tiles arrive in many."""

    def refused(*args: Any, **kwargs: Any) -> Any:
        raise AssertionError("a syntax tree in a thread of the tiler")

    reading = replace(reading, wanted={"radar": ("VV",)})
    for name in ("literal_eval", "parse"):
        monkeypatch.setattr(ast, name, refused)
    for _ in range(2):  # from Earth Engine, then from what is kept
        source = EarthEngineSource(None, reading)
        stack = source.open(GRID, Calendar(date(2021, 4, 1), "month", 1)).compute()
        assert np.isfinite(stack["radar"]["VV"].values).any()
    assert source._tiler.reused == 1
