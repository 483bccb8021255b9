"""Planning passes over windows that cannot be read; their tiles are named, and maps are made without them."""

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import xarray as xr
from affine import Affine
from gappy import SEASON, gappy_groups, store
from odc.geo.geobox import GeoBox

from geocomiss.errors import SourceError, SourceStopped, TilesFailed
from geocomiss.grid import Tile
from geocomiss.mapping import MapRequest, make_map
from geocomiss.mapping.checks import SPARE, sample_stacks, windows_in
from geocomiss.sources import open_source, stored
from geocomiss.stack import groups_of

GRID = GeoBox((100, 300), Affine(10, 0, 640000, 0, -10, 5610000), "EPSG:32631")


def everything(tile: Tile) -> np.ndarray:
    return np.ones(tile.geobox.shape, bool)


def windows() -> Iterator[Tile]:
    return windows_in(GRID, None, everything)


class Broken:
    """A source that fills any grid and cannot read west of a column."""

    grid = None

    def __init__(self, stored: Path, west: int, error: Exception | None = None) -> None:
        self._source, self._west, self.asked = open_source(str(stored)), west, 0
        self._error = error or SourceError("a broken [file]", expected="a whole one", todo="mend it")

    def open(self, grid: GeoBox, season: object) -> xr.DataTree:
        self.asked += 1
        if grid.affine.c < GRID.affine.c + 10 * self._west:
            raise self._error
        return self._source.open(grid, SEASON)


def test_windows_that_cannot_be_read_are_passed_over(tmp_path: Path) -> None:
    path = store(tmp_path, gappy_groups(GRID))
    stack = open_source(str(path)).open(GRID, SEASON)
    samples, notes = sample_stacks(stack, Broken(path, 100), GRID, windows())  # type: ignore[arg-type]
    assert len(samples) == 3 and all("optical" in groups_of(each) for each in samples)
    assert len(notes) == 1 and "a broken [file]" in notes[0]
    assert sample_stacks(stack, Broken(path, 0), GRID, windows())[1] == ()  # type: ignore[arg-type]
    nothing = Broken(path, 999)
    with pytest.raises(SourceError, match="a broken"):
        sample_stacks(stack, nothing, GRID, windows())  # type: ignore[arg-type]
    assert nothing.asked == SPARE
    stopped = Broken(path, 100, SourceStopped("no more", expected="some", todo="wait"))
    with pytest.raises(SourceStopped):
        sample_stacks(stack, stopped, GRID, windows())  # type: ignore[arg-type]


def test_a_map_is_made_without_the_tile_of_such_a_window(
    tmp_path: Path, model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = store(tmp_path, gappy_groups(GeoBox((40, 400), GRID.affine, GRID.crs)))
    read = stored._Band._read

    def failing(band: stored._Band, where: tuple[slice, ...]) -> np.ndarray:
        if band._modality == "optical" and where[-1].start < 256:
            raise SourceError("a broken [file]", expected="a whole one", todo="mend it")
        return read(band, where)

    monkeypatch.setattr(stored._Band, "_read", failing)
    request = MapRequest(str(path), tmp_path / "map", model=str(model), tile=256)
    with pytest.raises(TilesFailed, match="00000_00000"):
        make_map(request)
    assert len(make_map(replace(request, skip_failed=True)).failed) == 1
    notes = json.loads((tmp_path / "map" / "run.json").read_text())["notes"]
    assert any("looked at before" in each for each in notes)
