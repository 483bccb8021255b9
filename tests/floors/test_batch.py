"""The Batch: gaps, validity, availability."""

import tracemalloc

import numpy as np
import pytest
import torch
from gappy import BANDS, COARSE, GRID, NO_OPTICAL, NOTHING, SEASON, WEATHER_ONLY, gappy_groups, group
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from odc.geo.geobox import GeoBox

from geocomiss.batch import (
    CLOUDY_BLUE,
    FILL_ENDS,
    FILL_INSIDE,
    Batch,
    Spec,
    batch_of_stack,
    batch_of_values,
    default_min_steps,
    fill_gaps,
    screen,
)
from geocomiss.errors import StackError
from geocomiss.grid import cells_of, tiles_of
from geocomiss.recipes import RECIPES
from geocomiss.stack import Origin, new_stack, window

SPEC = Spec(BANDS, 12, 3, default_min_steps(tuple(BANDS), 12))
RECIPE = RECIPES["monthly-l2a"]
HOLES = arrays(bool, st.tuples(st.integers(1, 5), st.integers(1, 14)))


def slow_fill(x: np.ndarray, valid: np.ndarray) -> np.ndarray:
    """One value at a time: (N, T, C)."""
    filled = np.full_like(x, np.nan)
    for row in range(len(x)):
        steps = np.flatnonzero(valid[row])
        for step in range(x.shape[1]):
            before, after = steps[steps <= step], steps[steps >= step]
            if valid[row, step]:
                filled[row, step] = x[row, step]
            elif before.size and after.size:
                low, high = before[-1], after[0]
                if high - low - 1 <= FILL_INSIDE:
                    share = np.float32((step - low) / (high - low))
                    filled[row, step] = x[row, low] + (x[row, high] - x[row, low]) * share
            elif steps.size:
                nearest = before[-1] if before.size else after[0]
                if abs(nearest - step) <= FILL_ENDS:
                    filled[row, step] = x[row, nearest]
    return filled


def random_values(number: int, seed: int) -> dict[str, np.ndarray]:
    rng = np.random.default_rng(seed)
    values = {}
    for name in SPEC.modalities:
        rows = rng.normal(size=(number, *SPEC.shape(name))).astype("f4")
        rows[rng.random(rows.shape[:2]) < 0.5] = np.nan  # whole steps
        rows[rng.random(rows.shape) < 0.05] = np.nan  # single bands
        values[name] = rows
    return values


@given(HOLES, st.integers(0, 1000))
def test_gaps_are_filled_as_the_slow_way_fills_them(valid: np.ndarray, seed: int) -> None:
    x = np.random.default_rng(seed).normal(size=(*valid.shape, 3)).astype("f4")
    x[~valid] = np.nan
    filled = fill_gaps(torch.from_numpy(x), torch.from_numpy(valid)).numpy()
    np.testing.assert_array_equal(filled, slow_fill(x, valid))
    np.testing.assert_array_equal(filled[valid], x[valid])
    assert filled.dtype == np.float32


def test_a_gap_of_three_is_filled_and_one_of_four_is_not() -> None:
    x = np.arange(12, dtype="f4")[None, :, None].repeat(2, 0)
    valid = np.ones((2, 12), bool)
    valid[0, 3:6] = valid[1, 3:7] = False
    known = np.where(valid[..., None], x, np.float32(np.nan))
    filled = fill_gaps(torch.from_numpy(known), torch.from_numpy(valid)).numpy()
    np.testing.assert_allclose(filled[0, :, 0], np.arange(12))
    assert np.isnan(filled[1, 3:7]).all() and np.isfinite(filled[1, 7:]).all()


@given(st.integers(1, 6), st.integers(0, 1000))
def test_valid_means_that_every_band_read_was_measured(number: int, seed: int) -> None:
    values = random_values(number, seed)
    batch = batch_of_values(values, SPEC)
    for name in SPEC.modalities:
        measured = np.isfinite(values[name]).all(2)
        np.testing.assert_array_equal(batch.valid[name].numpy(), measured)
        np.testing.assert_array_equal(batch.x[name].numpy()[measured], values[name][measured])
    enough = np.stack([np.isfinite(values[n]).all(2).sum(1) >= SPEC.min_steps[n] for n in SPEC.modalities], 1)
    np.testing.assert_array_equal(batch.available.numpy(), enough)


@given(st.integers(1, 6), st.integers(0, 1000), st.data())
def test_hiding_a_modality_changes_availability_and_nothing_else(
    number: int, seed: int, data: st.DataObject
) -> None:
    batch = batch_of_values(random_values(number, seed), SPEC)
    keep = torch.from_numpy(data.draw(arrays(bool, (number, 4))))
    hidden = batch.keep(keep)
    assert torch.equal(hidden.available, batch.available & keep)
    assert all(hidden.x[name] is batch.x[name] for name in batch.modalities)
    assert torch.equal(hidden.keep(keep).available, hidden.available)
    only = batch.keep_only(("radar", "weather"))
    assert torch.equal(only.available, batch.available & torch.tensor([False, True, True, False]))


@given(st.integers(2, 8), st.integers(0, 1000), st.data())
def test_some_of_the_pixels_are_the_same_pixels(number: int, seed: int, data: st.DataObject) -> None:
    batch = batch_of_values(random_values(number, seed), SPEC)
    chosen = torch.tensor(data.draw(st.lists(st.integers(0, number - 1), min_size=1, max_size=9)))
    part = batch[chosen]
    assert len(part) == len(chosen)
    assert torch.equal(part.available, batch.available[chosen])
    for name in batch.modalities:
        assert torch.equal(part.valid[name], batch.valid[name][chosen])
        assert torch.equal(torch.nan_to_num(part.x[name]), torch.nan_to_num(batch.x[name][chosen]))


def test_repeated_rows_are_kept_once_and_found_by_index() -> None:
    values = random_values(6, 3)
    repeated = values | {"weather": values["weather"][:2]}
    rows = np.array([0, 1, 1, 0, 1, 0])
    batch = batch_of_values(repeated, SPEC, {"weather": rows})
    spread = batch_of_values(values | {"weather": values["weather"][rows]}, SPEC)
    assert len(batch) == 6 and len(batch.x["weather"]) == 2
    assert torch.equal(batch.available, spread.available)
    part = batch[torch.tensor([4, 0])]
    assert len(part.x["weather"]) == 2 and part.index["weather"].tolist() == [1, 0]
    assert torch.equal(part.available, spread.available[[4, 0]])


def test_a_modality_that_is_not_there_is_missing_at_every_pixel() -> None:
    values = random_values(5, 0)
    del values["radar"]
    batch = batch_of_values(values, SPEC)
    assert batch.modalities == SPEC.modalities
    assert not batch.available[:, 1].any()


@pytest.mark.parametrize("wrong", ["steps", "bands", "pixels"])
def test_arrays_that_do_not_fit_are_refused(wrong: str) -> None:
    values = random_values(5, 0)
    cut = {
        "steps": values["radar"][:, :-1],
        "bands": values["radar"][..., :1],
        "pixels": values["radar"][:3],
    }
    with pytest.raises(StackError):
        batch_of_values(values | {"radar": cut[wrong]}, SPEC)


def test_no_array_at_all_is_refused() -> None:
    with pytest.raises(StackError, match="no pixels"):
        batch_of_values({}, SPEC)


@given(st.integers(0, 500))
def test_copies_of_earlier_radar_steps_are_found_as_a_loop_finds_them(seed: int) -> None:
    rng = np.random.default_rng(seed)
    x = rng.integers(0, 3, (4, 7, 2)).astype("f4")
    valid = rng.random((4, 7)) < 0.8
    x[~valid] = np.nan
    found = screen("radar", x, valid, SPEC)
    for row in range(4):
        for step in range(7):
            copy = any(valid[row, e] and (x[row, e] == x[row, step]).all() for e in range(step))
            assert found[row, step] == copy


def test_bright_blue_is_cloud_and_other_modalities_are_not_screened() -> None:
    x = np.full((1, 12, 4), 500, "f4")
    x[0, 4, BANDS["optical"].index("B2")] = CLOUDY_BLUE + 1
    assert screen("optical", x, np.ones((1, 12), bool), SPEC).nonzero()[1].tolist() == [4]
    weather = np.ones((1, 12, 2), "f4")
    assert not screen("weather", weather, np.ones((1, 12), bool), SPEC).any()


def test_screening_is_the_recipes_choice() -> None:
    values = random_values(3, 1)
    values["radar"][:] = -10
    screened = Spec(BANDS, 12, 3, SPEC.min_steps, screened=True)
    assert batch_of_values(values, SPEC).valid["radar"].all()
    assert batch_of_values(values, screened).valid["radar"].sum(1).tolist() == [1, 1, 1]


def whole_batch() -> tuple[Batch, np.ndarray]:
    chosen = np.random.default_rng(0).random(GRID.shape) < 0.7
    for pixel in (NO_OPTICAL, WEATHER_ONLY, NOTHING):
        chosen[pixel] = True
    stack = new_stack(gappy_groups(), Origin("test", RECIPE, SEASON))
    return batch_of_stack(stack, SPEC, chosen), chosen


def test_a_stack_becomes_the_pixels_chosen_row_by_row() -> None:
    batch, chosen = whole_batch()
    groups = gappy_groups()
    assert len(batch) == chosen.sum()
    rows, cols = np.nonzero(chosen)
    for place in (0, 17, len(batch) - 1):
        raw = np.stack([groups["radar"][b].values[:, rows[place], cols[place]] for b in BANDS["radar"]], -1)
        np.testing.assert_array_equal(batch.x["radar"][place].numpy(), raw)
    cells, within = cells_of(GRID, COARSE)
    here = within[chosen]
    raw = np.stack([groups["weather"][b].values.reshape(12, -1).T for b in BANDS["weather"]], -1)
    of_pixels = batch.x["weather"][batch.index["weather"]].numpy()
    np.testing.assert_array_equal(of_pixels[here], raw[cells[chosen]][here])
    np.testing.assert_array_equal(batch.available[:, 2].numpy(), within[chosen])


@pytest.mark.parametrize("share", [0.0, 0.02, 0.5, 1.0])
def test_series_of_chosen_pixels_are_those_of_all_of_which_the_others_are_left_out(share: float) -> None:
    chosen = np.random.default_rng(1).random(GRID.shape) < share
    batch = batch_of_stack(new_stack(gappy_groups(), Origin("test", RECIPE, SEASON)), SPEC, chosen)
    groups = gappy_groups()
    for name in ("optical", "radar", "topography"):
        bands = [groups[name][band].values.reshape(-1, *GRID.shape) for band in BANDS[name]]
        plain = np.moveaxis(np.stack(bands, -1), 0, 2)[chosen]  # (N, T, C)
        valid = np.isfinite(plain).all(2)
        np.testing.assert_array_equal(batch.valid[name].numpy(), valid)
        np.testing.assert_array_equal(batch.x[name].numpy()[valid], plain[valid])


def test_what_is_not_chosen_takes_no_memory() -> None:
    grid = GeoBox((400, 400), GRID.affine, GRID.crs)
    groups = {"topography": group("topography", grid, SEASON, np.random.default_rng(2))}
    stack, chosen = new_stack(groups, Origin("test", RECIPE, SEASON)), np.zeros(grid.shape, bool)
    chosen[200, :50] = True
    tracemalloc.start()
    batch_of_stack(stack, SPEC, chosen)
    taken = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert taken < 0.5 * groups["topography"].nbytes


def test_pixels_with_less_and_less_are_seen_as_such() -> None:
    batch, chosen = whole_batch()
    number = chosen.ravel().cumsum().reshape(chosen.shape) - 1
    seen = {pixel: batch.available[number[pixel]].tolist() for pixel in (NO_OPTICAL, WEATHER_ONLY, NOTHING)}
    assert seen[NO_OPTICAL][:2] == [False, True]
    assert seen[WEATHER_ONLY][:2] == [False, False] and seen[WEATHER_ONLY][3]
    assert seen[NOTHING][:2] == [False, False] and not seen[NOTHING][3]


def test_any_tiling_gives_the_same_pixels() -> None:
    stack = new_stack(gappy_groups(), Origin("test", RECIPE, SEASON))
    whole = batch_of_stack(stack, SPEC, np.ones(GRID.shape, bool))
    flat = np.arange(GRID.height * GRID.width).reshape(GRID.shape)
    for tile in tiles_of(GRID, 19):
        part = window(stack, tile.y, tile.x)
        batch = batch_of_stack(part, SPEC, np.ones(tile.geobox.shape, bool), whole=GRID)
        places = torch.from_numpy(flat[tile.y, tile.x].ravel())
        assert torch.equal(batch.available, whole.available[places])
        for name in SPEC.modalities:
            here, there = batch.rows(name), whole.rows(name)[places]
            np.testing.assert_array_equal(batch.x[name][here].numpy(), whole.x[name][there].numpy())
        here, there = batch.around["weather"], whole.around["weather"][places]
        assert torch.equal(here.weights, there.weights)
        np.testing.assert_array_equal(
            batch.x["weather"][here.rows].numpy(), whole.x["weather"][there.rows].numpy()
        )
