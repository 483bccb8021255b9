"""Scattered fields cost what the fields cost: what lies between them is not read, and no value changes."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import shapely
import xarray as xr
from affine import Affine
from gappy import GRID, RECIPE, SEASON, gappy_groups, untrained
from hollow import BLOCK
from hypothesis import given
from hypothesis import strategies as st
from map_process import same
from numpy.typing import NDArray
from odc.geo import Geometry
from odc.geo.geobox import GeoBox
from scattered import SIDE, corners, stack_of_real_blocks, write_fields

from geocomiss.covering import Covering
from geocomiss.mapping import MapRequest, compute, make_map
from geocomiss.sources.within import Within
from geocomiss.stack import COUNT, Origin, groups_of, new_stack, read_spots
from geocomiss.stack.spots import spots

PIXELS = 768
"""Pixels a side of the area over which fields lie: three blocks."""


@given(st.data())
def test_spots_hold_all_that_is_wanted_and_share_no_block(data: st.DataObject) -> None:
    sides = st.lists(st.integers(1, 5), min_size=1, max_size=5).map(tuple)
    rows, cols = data.draw(sides), data.draw(sides)
    wanted = np.zeros((sum(rows), sum(cols)), bool)
    for _ in range(data.draw(st.integers(1, 4))):
        wanted[data.draw(st.integers(0, sum(rows) - 1)), data.draw(st.integers(0, sum(cols) - 1))] = True
    blocks = np.arange(len(rows)).repeat(rows)[:, None] * len(cols) + np.arange(len(cols)).repeat(cols)
    times, held = np.zeros(wanted.shape, int), np.zeros(wanted.shape, bool)
    seen: list[int] = []
    for window in spots(wanted, rows, cols):
        times[window] += 1
        held[window] = True
        seen += np.unique(blocks[window]).tolist()
    assert held[wanted].all() and times.max() == 1
    assert sorted(seen) == np.unique(blocks[wanted]).tolist(), "each block once, and no other"


def test_values_are_those_of_the_whole_and_other_blocks_are_left_alone() -> None:
    read: list[int] = []

    def noted(values: NDArray[Any]) -> NDArray[Any]:
        read.append(values.size)
        return values

    groups = {
        name: group.chunk({"y": 8, "x": 10} if name != "weather" else {}).map(
            lambda each: each.copy(data=each.data.map_blocks(noted, meta=each.data._meta))
        )
        for name, group in gappy_groups().items()
    }
    stack = new_stack(groups, Origin("test", RECIPE, SEASON))
    wanted = np.zeros(GRID.shape, bool)
    wanted[3:9, 12:15] = wanted[40, 55] = wanted[41, 2] = True
    whole = {name: group.compute() for name, group in gappy_groups().items()}
    found = groups_of(read_spots(stack, wanted, GRID))
    assert sum(read) < 0.25 * sum(group[name].size for group in whole.values() for name in group.data_vars)
    for name, group in whole.items():
        assert found[name].attrs == group.attrs and list(found[name]) == list(group)
        for band in group.data_vars:
            one, other = found[name][band], group[band]
            assert (one.dtype, one.dims) == (other.dtype, other.dims)
            at = (..., wanted) if name != "weather" else ...
            np.testing.assert_array_equal(one.values[at], other.values[at])
    some = groups_of(read_spots(stack, np.ones(GRID.shape, bool), GRID))
    np.testing.assert_array_equal(some["optical"]["B2"], whole["optical"]["B2"])


def test_what_lies_between_fields_is_not_read_and_the_map_is_the_same(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Blocks read over blocks that hold fields: 1, as damaged blocks between the fields show."""
    source = stack_of_real_blocks(tmp_path / "stack.zarr", PIXELS)
    grid = GeoBox((PIXELS, PIXELS), Affine(10, 0, 640000, 0, -10, 5610000), "EPSG:32631")
    at = corners(grid, 4, spread=True, seed=3)
    area, model = write_fields(tmp_path / "fields.gpkg", grid, at), untrained(tmp_path)
    # windows whose values are looked at before mapping are larger than fields
    monkeypatch.setattr("geocomiss.mapping.planning.sample_stacks", lambda *rest: ([], ()))
    request = MapRequest(str(source), tmp_path / "map", str(area), model=str(model), device="cpu", tile=768)
    with monkeypatch.context() as plain:
        plain.setattr(compute, "read_spots", lambda lazy, wanted, grid: lazy.compute())
        make_map(replace(request, out=tmp_path / "whole"))
    held = {(y // BLOCK, x // BLOCK) for row, col in at for y in (row, row + 9) for x in (col, col + 9)}
    blocks = [path for path in source.glob("[ort]*/*/c/**/*") if path.is_file()]
    blocks = [path for path in blocks if path.relative_to(source).parts[1] not in ("x", "y", "time")]
    between = [path for path in blocks if (int(path.parent.name), int(path.name)) not in held]
    assert len(between) == 11 * (9 - len(held)) > 0
    for path in between:
        path.unlink()  # else all of them, which are one file
        path.write_bytes(b"damaged")
    report = make_map(request)
    assert sum(each["pixels"] for each in report.classes) == 4 * SIDE * SIDE
    assert same(request.out, tmp_path / "whole")


def test_composites_are_made_where_the_area_lies() -> None:
    asked: list[GeoBox] = []

    def step(part: GeoBox, number: int) -> xr.Dataset | None:
        asked.append(part)
        x, y = np.meshgrid(*(part.coordinates[name].values for name in ("x", "y")))
        values = {"B2": x + 2 * y + number, COUNT: np.ones(part.shape, np.int16)}
        return None if number else xr.Dataset({k: (("time", "y", "x"), v[None]) for k, v in values.items()})

    grid = GeoBox((300, 400), Affine(10, 0, 640000, 0, -10, 5610000), "EPSG:32631")
    fields = [shapely.box(x, 5608000, x + 100, 5608150) for x in (640500, 640900, 643500)]
    area = Geometry(shapely.MultiPolygon(fields), "EPSG:32631")
    within, covering = Within(step, area, grid), Covering(area, grid)
    part = grid[150:300, 0:200]
    inside = covering.inside(part)
    made, whole = within(part, 0), step(part, 0)
    assert made is not None and whole is not None and inside.sum() == 300
    assert asked[0].shape == (15, 50), "the smallest window that holds both fields of the block"
    np.testing.assert_array_equal(made["B2"].values[:, inside], whole["B2"].values[:, inside])
    assert (np.isnan(made["B2"].values) == (made[COUNT].values == 0)).all()
    asked.clear()
    assert within(part, 1) is None and within(grid[:100, :100], 0) is None and len(asked) == 1
