"""Windows of a stored stack: the values of the file, in its blocks, at a cost that does not grow with it."""

import pickle
from itertools import accumulate
from pathlib import Path

import numpy as np
import pytest
import xarray as xr
from gappy import GRID, SEASON, gappy_groups, store
from hollow import hollow_stack

from geocomiss.sources.stored import StoredSource
from geocomiss.stack import groups_of, read_stack, writing

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
            for sides, span in zip((found[name].chunksizes[dim] for dim in "yx"), (rows, cols), strict=True):
                inner = [*accumulate(sides, initial=span.start)][1:-1]
                assert inner == [edge for edge in range(0, span.stop, SIDE) if span.start < edge < span.stop]


def test_a_window_is_told_by_its_corner_and_not_by_a_list_of_its_blocks(tmp_path: Path) -> None:
    """What lists blocks is gone through whenever one of them is read."""
    hollow_stack(tmp_path / "stack.zarr", 2000)
    source = StoredSource(tmp_path / "stack.zarr")
    part = source.open(source.grid[100:-100, 300:], source.held)
    for name, group in groups_of(part).items():
        for band in group.data_vars.values():
            layers = band.data.__dask_graph__().layers
            assert not any(layer.is_materialized() for layer in layers.values()), name


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
