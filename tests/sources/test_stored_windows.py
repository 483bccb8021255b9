"""Windows of a stored stack: the values of the file, in its blocks, at a cost that does not grow with it."""

import pickle
from dataclasses import replace
from itertools import accumulate
from pathlib import Path

import numpy as np
import pytest
import xarray as xr
from gappy import GRID, SEASON, gappy_groups, store
from hollow import hollow_stack

from geocomiss.sources import stored
from geocomiss.sources.stored import StoredSource
from geocomiss.stack import COUNT, chunked, groups_of, read_stack, window, writing

SIDE = 16


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(writing, "BLOCK", SIDE)
        return store(tmp_path_factory.mktemp("windows"), gappy_groups())


@pytest.mark.parametrize("seed", range(12))
def test_any_window_holds_what_the_file_does_there_in_blocks_of_the_file(path: Path, seed: int) -> None:
    rng = np.random.default_rng(seed)
    rows, cols = (slice(*np.sort(rng.choice(size + 1, 2, replace=False))) for size in GRID.shape)
    found = groups_of(StoredSource(path).open(GRID[rows, cols], SEASON))
    for name, group in groups_of(read_stack(path)).items():
        known = group if name == "weather" else group.isel(y=rows, x=cols)
        xr.testing.assert_equal(found[name].compute(), known.compute())
        if name != "weather":
            blocks = chunked(found[name]).chunksizes
            for sides, span in zip((blocks[dim] for dim in "yx"), (rows, cols), strict=True):
                inner = [*accumulate(sides, initial=span.start)][1:-1]
                assert inner == [edge for edge in range(0, span.stop, SIDE) if span.start < edge < span.stop]


def test_a_part_of_a_window_is_read_in_blocks_of_the_file(path: Path) -> None:
    part = StoredSource(path).open(GRID[5:, 7:], SEASON)
    for name, group in groups_of(part).items():
        if name != "weather":
            blocks = chunked(group.isel(y=slice(3, None), x=slice(2, 30))).chunksizes
            assert blocks["y"][0] == SIDE - 8 and blocks["y"][1] == SIDE
            assert blocks["x"] == (SIDE - 9, SIDE, 30 - 2 - SIDE - (SIDE - 9))


def test_nothing_is_read_before_values_are_asked_for(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str] = []
    real = stored._group
    monkeypatch.setattr(
        stored, "_group", lambda at, name, changed: asked.append(name) or real(at, name, changed)
    )
    source = StoredSource(path)
    part = window(source.open(source.grid, source.held), slice(0, 5), slice(0, 5))
    assert asked == []
    groups_of(part)["topography"]["slope"].load()
    assert asked == ["topography"]


def test_a_season_that_is_not_over_stays_lazy(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    source = StoredSource(path)
    later = replace(source.held, start=source.held.edges()[3])
    monkeypatch.setattr("geocomiss.stack.season.today", lambda: source.held.last_day)
    with monkeypatch.context() as blind:
        blind.setattr(stored, "_group", None)
        part = groups_of(source.open(source.grid, later))
    known = groups_of(read_stack(path))
    for name in ("optical", "radar", "weather"):
        for band in part[name].data_vars:
            found, expected = part[name][band].values, known[name][band].values
            np.testing.assert_array_equal(found[:-3], expected[3:])
            assert (found[-3:] == 0).all() if band == COUNT else np.isnan(found[-3:]).all()


def test_a_source_travels_to_other_processes_as_the_name_of_its_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    hollow_stack(tmp_path / "stack.zarr", 2000)
    monkeypatch.chdir(tmp_path)
    sent = pickle.dumps(StoredSource(Path("stack.zarr")))
    assert len(sent) < 1000
    monkeypatch.chdir("/")
    source = pickle.loads(sent)
    assert source.grid.shape == (2000, 2000)
    assert source.name == "stack stack.zarr"
