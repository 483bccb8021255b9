"""Compositing is compared with the slow, obvious way, on random scenes full of holes."""

import warnings
from dataclasses import replace
from datetime import date
from itertools import pairwise

import numpy as np
import pytest
import xarray as xr
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import ndimage

from geocomiss import composite
from geocomiss.errors import RecipeError, StackError
from geocomiss.recipes import RECIPES
from geocomiss.seasons import Calendar

L2A = RECIPES["monthly-l2a"]
EXPORT = RECIPES["cropharvest"]
CALENDAR = Calendar(date(2021, 1, 1), "month", 4)
CALENDARS = (CALENDAR, Calendar(date(2021, 2, 6), "30d", 3))
DIMS = ("time", "y", "x")
CLASSES = [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11]


def dates(number: int, rng: np.random.Generator) -> np.ndarray:
    """Unordered dates before, in and after the calendar."""
    start = np.datetime64("2020-12-20", "ns")
    return start + rng.integers(0, 140 * 24, number).astype("timedelta64[h]")


def optical(seed: int, number: int = 30, size: tuple[int, int] = (13, 17), holes: float = 0.1) -> xr.Dataset:
    rng = np.random.default_rng(seed)
    shape = (number, *size)
    share = np.array([1, 1, 3, 1, 20, 20, 20, 20, 1, 1, 1, 1]) / 90
    bands = {
        name: (DIMS, np.where(rng.random(shape) < holes, np.nan, rng.integers(1, 9000, shape)).astype("f4"))
        for name in ("B3", "B4", "B7", "B8")
    }
    scl = rng.choice(CLASSES, p=share, size=shape).astype("u1")
    return xr.Dataset(bands | {"scl": (DIMS, scl)}, coords={"time": dates(number, rng)})


def slow_clear(scl: np.ndarray, reach: int) -> np.ndarray:
    disk = np.hypot(*np.mgrid[-reach : reach + 1, -reach : reach + 1]) <= reach
    grown = np.stack([ndimage.binary_dilation(np.isin(s, [0, 1, 3, 8, 9, 10, 11]), disk) for s in scl])
    return np.isin(scl, [4, 5, 6, 7]) & ~grown


def slow_steps(times: np.ndarray, calendar: Calendar) -> list[np.ndarray]:
    return [
        np.array([np.datetime64(a, "ns") <= t < np.datetime64(b, "ns") for t in times], bool)
        for a, b in pairwise(calendar.edges())
    ]


def quiet(function, values, axis):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)
        return function(values, axis=axis)


@pytest.mark.parametrize("calendar", CALENDARS, ids=str)
@pytest.mark.parametrize("holes", [0.0, 0.3, 1.0])
def test_median_and_count_equal_numpy_on_the_same_clear_observations(calendar, holes):
    scenes = optical(1, holes=holes)
    result = composite.composite_optical(scenes, calendar, L2A, 10.0)
    clear = slow_clear(scenes.scl.values, 3)
    for i, inside in enumerate(slow_steps(scenes.time.values, calendar)):
        seen = np.zeros(scenes.scl.shape[1:], int)
        for name in ("B3", "B4", "B7", "B8"):
            kept = np.where(clear, scenes[name].values, np.nan)
            want = quiet(np.nanmedian, kept[inside], 0) if inside.any() else np.full(kept.shape[1:], np.nan)
            np.testing.assert_array_equal(result[name].values[i], want.astype("f4"))
        for day in np.flatnonzero(inside):
            any_band = np.isfinite([scenes[n].values[day] for n in ("B3", "B4", "B7", "B8")]).any(0)
            seen += clear[day] & any_band
        np.testing.assert_array_equal(result["count"].values[i], seen)
    assert result["count"].dtype == np.int16
    assert result.B4.dtype == np.float32


@settings(max_examples=8)  # each runs hundreds of Dask tasks
@given(
    seed=st.integers(0, 99),
    chunks=st.tuples(st.integers(4, 30), st.integers(2, 13), st.integers(4, 17)),
    recipe=st.sampled_from([L2A, EXPORT, replace(L2A, cloud_dilation=60.0)]),
)
def test_any_chunking_gives_the_same_bits(seed, chunks, recipe):
    scenes = optical(seed)
    whole = composite.composite_optical(scenes, CALENDAR, recipe, 10.0)
    lazy = composite.composite_optical(
        scenes.chunk(dict(zip(DIMS, chunks, strict=True))), CALENDAR, recipe, 10.0
    )
    assert lazy.B4.chunks is not None
    xr.testing.assert_identical(whole, lazy.compute())


@given(seed=st.integers(0, 99), top=st.integers(0, 12), left=st.integers(0, 16))
def test_a_window_with_its_margin_equals_the_same_window_of_the_whole(seed, top, left):
    scenes = optical(seed)
    margin = composite.margin_pixels(L2A, 10.0)
    whole = composite.composite_optical(scenes, CALENDAR, L2A, 10.0)
    y0, x0 = max(0, top - margin), max(0, left - margin)
    part = scenes.isel(y=slice(y0, top + 4 + margin), x=slice(x0, left + 4 + margin))
    result = composite.composite_optical(part, CALENDAR, L2A, 10.0)
    inner = result.isel(y=slice(top - y0, top - y0 + 4), x=slice(left - x0, left - x0 + 4))
    xr.testing.assert_identical(inner, whole.isel(y=slice(top, top + 4), x=slice(left, left + 4)))


def test_margin_covers_the_dilation():
    assert composite.margin_pixels(L2A, 10.0) == 3
    assert composite.margin_pixels(L2A, 20.0) == 1
    assert composite.margin_pixels(replace(L2A, cloud_dilation=0.0), 10.0) == 0


@pytest.mark.parametrize("grown", [0, 1, 3, 8, 9, 10, 11, 99])
def test_cloud_shadow_snow_and_the_edge_take_a_disk_of_30_m(grown):
    scl = np.full((1, 15, 15), 4, "u1")
    scl[0, 7, 7] = grown
    scenes = xr.Dataset(
        {"B4": (DIMS, np.ones((1, 15, 15), "f4")), "scl": (DIMS, scl)},
        coords={"time": [np.datetime64("2021-01-05", "ns")]},
    )
    lost = np.isnan(composite.composite_optical(scenes, CALENDAR, L2A, 10.0).B4.values[0])
    rows, cols = np.mgrid[-7:8, -7:8]
    np.testing.assert_array_equal(lost, np.hypot(rows, cols) <= 3)


def test_dark_areas_are_dropped_but_not_grown_and_water_is_kept():
    scl = np.full((1, 9, 9), 6, "u1")
    scl[0, 4, 4] = 2
    scenes = xr.Dataset(
        {"B4": (DIMS, np.ones((1, 9, 9), "f4")), "scl": (DIMS, scl)},
        coords={"time": [np.datetime64("2021-01-05", "ns")]},
    )
    assert np.isnan(composite.composite_optical(scenes, CALENDAR, L2A, 10.0).B4.values[0]).sum() == 1


def test_dilation_loss_is_the_share_of_clear_observations_that_dilation_takes():
    scl = optical(3).scl
    before, after = slow_clear(scl.values, 0).sum(), slow_clear(scl.values, 3).sum()
    assert composite.dilation_loss(scl, L2A, 10.0) == pytest.approx(1 - after / before)
    assert composite.dilation_loss(scl.chunk(x=5), L2A, 10.0) == composite.dilation_loss(scl, L2A, 10.0)
    assert composite.dilation_loss(scl, replace(L2A, cloud_dilation=0.0), 10.0) == 0
    assert composite.dilation_loss(scl, EXPORT, 10.0) == 0


def test_best_pixel_takes_one_whole_observation_the_clearest_then_the_nearest_to_the_middle():
    scenes = optical(5, number=40, size=(5, 6), holes=0.0)
    result = composite.composite_optical(scenes, CALENDAR, EXPORT, 10.0)
    order = {c: 0 for c in (4, 5, 6, 7)} | {2: 1, 11: 2, 3: 3, 10: 4, 8: 5, 9: 6, 1: 7}
    edges = CALENDAR.edges()
    for i, inside in enumerate(slow_steps(scenes.time.values, CALENDAR)):
        middle = np.datetime64(edges[i] + (edges[i + 1] - edges[i]) // 2, "ns")
        for row, col in np.ndindex(5, 6):
            ranked = sorted(
                (
                    order[int(scenes.scl[t, row, col])],
                    abs(scenes.time.values[t] - middle),
                    scenes.time.values[t],
                    t,
                )
                for t in np.flatnonzero(inside)
                if int(scenes.scl[t, row, col]) in order
            )
            for name in ("B3", "B4", "B7", "B8"):
                value = float(result[name][i, row, col])
                assert value == float(scenes[name][ranked[0][-1], row, col]) if ranked else np.isnan(value)
    assert set(np.unique(result["count"].values)) <= {0, 1}


def test_a_step_that_is_all_cloud_is_missing_with_scl_and_filled_with_best_pixel():
    scenes = optical(2, holes=0.0)
    january = scenes.time.values < np.datetime64("2021-02-01")
    scenes["scl"][:] = 4
    scenes["scl"][january] = 9
    by_scl = composite.composite_optical(scenes, CALENDAR, L2A, 10.0)
    assert np.isnan(by_scl.B4.values[0]).all() and (by_scl["count"].values[0] == 0).all()
    assert np.isfinite(by_scl.B4.values[1]).all()
    assert np.isfinite(composite.composite_optical(scenes, CALENDAR, EXPORT, 10.0).B4.values[0]).all()


@pytest.mark.parametrize("lazy", [False, True])
@pytest.mark.parametrize("recipe", [L2A, EXPORT])
def test_no_date_in_the_season_gives_steps_that_are_missing(lazy, recipe):
    scenes = optical(2)
    scenes = scenes.chunk(x=5) if lazy else scenes
    result = composite.composite_optical(scenes, Calendar(date(1999, 1, 1), "month", 2), recipe, 10.0)
    assert result.B4.shape == (2, 13, 17) and np.isnan(result.B4.values).all()
    assert (result["count"].values == 0).all()
    none = composite.composite_optical(scenes.isel(time=slice(0)), CALENDAR, recipe, 10.0)
    assert np.isnan(none.B4.values).all() and none.B4.shape == (4, 13, 17)


def test_another_cloud_rule_than_scl_is_refused():
    with pytest.raises(RecipeError, match="cloud-score-plus"):
        composite.composite_optical(optical(1), CALENDAR, replace(L2A, cloud_rule="cloud-score-plus"), 10.0)


def radar(seed: int, holes: float = 0.2) -> xr.Dataset:
    rng = np.random.default_rng(seed)
    shape = (25, 5, 6)
    values = {n: np.where(rng.random(shape) < holes, np.nan, rng.normal(-12, 4, shape)) for n in ("VV", "VH")}
    bands = {name: (DIMS, array.astype("f4")) for name, array in values.items()}
    return xr.Dataset(bands, coords={"time": dates(25, rng)})


@pytest.mark.parametrize("calendar", CALENDARS, ids=str)
def test_radar_is_averaged_in_linear_power(calendar):
    scenes = radar(1)
    result = composite.composite_radar(scenes, calendar, L2A)
    for i, inside in enumerate(slow_steps(scenes.time.values, calendar)):
        power = 10 ** (scenes.VV.values[inside].astype(float) / 10)
        want = 10 * np.log10(quiet(np.nanmean, power, 0))
        np.testing.assert_allclose(result.VV.values[i], want, rtol=1e-6)
        passes = (np.isfinite(scenes.VV.values) | np.isfinite(scenes.VH.values))[inside].sum(0)
        np.testing.assert_array_equal(result["count"].values[i], passes)


def test_radar_mean_is_not_the_mean_of_decibels_and_ignores_zero_power():
    times = np.array(["2021-01-02", "2021-01-14", "2021-01-20"], "datetime64[ns]")
    values = np.array([0.0, -20.0, -np.inf], "f4").reshape(3, 1, 1)
    scenes = xr.Dataset({"VV": (DIMS, values)}, coords={"time": times})
    result = composite.composite_radar(scenes, CALENDAR, L2A)
    assert float(result.VV[0, 0, 0]) == pytest.approx(10 * np.log10((1 + 0.01) / 2))
    assert int(result["count"][0, 0, 0]) == 2


def test_radar_median_recipe_takes_the_median():
    scenes = radar(4)
    result = composite.composite_radar(scenes, CALENDAR, EXPORT)
    for i, inside in enumerate(slow_steps(scenes.time.values, CALENDAR)):
        np.testing.assert_array_equal(result.VH.values[i], quiet(np.nanmedian, scenes.VH.values[inside], 0))


@settings(max_examples=8)
@given(seed=st.integers(0, 99), rows=st.integers(2, 5), cols=st.integers(3, 6))
def test_radar_and_weather_give_the_same_bits_in_any_window_and_chunking(seed, rows, cols):
    scenes = radar(seed)
    whole = composite.composite_radar(scenes, CALENDAR, L2A)
    lazy = composite.composite_radar(scenes.chunk(y=rows, x=cols, time=3), CALENDAR, L2A).compute()
    part = composite.composite_radar(scenes.isel(y=slice(0, rows), x=slice(0, cols)), CALENDAR, L2A)
    xr.testing.assert_identical(whole, lazy)
    xr.testing.assert_identical(part, whole.isel(y=slice(0, rows), x=slice(0, cols)))
    warm = composite.composite_weather(scenes, CALENDAR, L2A)
    one = composite.composite_weather(scenes.isel(y=[0], x=[0]), CALENDAR, L2A)
    xr.testing.assert_identical(one, warm.isel(y=[0], x=[0]))


def test_weather_is_the_mean_of_the_days_and_counts_them():
    times = np.arange("2021-01-01", "2021-05-01", dtype="datetime64[D]").astype("datetime64[ns]")
    rng = np.random.default_rng(0)
    kelvin = rng.normal(280, 5, (times.size, 2, 2)).astype("f4")
    kelvin[3] = np.nan
    rain = rng.exponential(0.002, (times.size, 2, 2)).astype("f4")
    daily = xr.Dataset(
        {"temperature_2m": (DIMS, kelvin), "total_precipitation": (DIMS, rain)}, coords={"time": times}
    )
    result = composite.composite_weather(daily, CALENDAR, L2A)
    np.testing.assert_array_equal(result["count"].values[:, 0, 0], [31, 28, 31, 30])
    np.testing.assert_allclose(result.temperature_2m.values[0], np.nanmean(kelvin[:31], 0), rtol=1e-6)
    np.testing.assert_allclose(result.total_precipitation.values[1], rain[31:59].mean(0), rtol=1e-6)


def test_steps_are_half_open():
    times = np.array(
        ["2021-01-01T00:00", "2021-01-31T23:59", "2021-02-01T00:00", "2021-05-01"], "datetime64[ns]"
    )
    assert composite.step_index(times, CALENDAR).tolist() == [0, 0, 1, -1]


def test_ndvi_is_true_or_as_cropharvest_stores_it_and_zero_without_light():
    values = {"B3": [1.0, 0, np.nan], "B4": [2.0, 0, 1], "B7": [3.0, 0, 1], "B8": [6.0, 0, 1]}
    bands = xr.Dataset({name: (("x",), np.array(v, "f4")) for name, v in values.items()})
    np.testing.assert_array_equal(composite.ndvi(bands, L2A), np.array([0.5, 0, 0], "f4"))
    np.testing.assert_array_equal(composite.ndvi(bands, EXPORT), np.array([0.5, 0, np.nan], "f4"))
    with pytest.raises(StackError, match="B8"):
        composite.ndvi(bands.drop_vars("B8"), L2A)


def test_optical_carries_ndvi_only_where_its_bands_are_there_and_bands_come_in_order():
    scenes = optical(1)
    assert list(composite.composite_optical(scenes, CALENDAR, L2A, 10.0)) == [
        "B3",
        "B4",
        "B7",
        "B8",
        "NDVI",
        "count",
    ]
    without = composite.composite_optical(scenes.drop_vars("B8"), CALENDAR, L2A, 10.0)
    assert "NDVI" not in without


def test_slope_of_a_plane_is_exact_and_the_rim_is_missing():
    rows, cols = np.mgrid[0:6, 0:7].astype(float)
    plane = xr.DataArray(30 * rows + 40 * cols, dims=("y", "x"))
    slope = composite.slope_of(plane, 10.0, 10.0)
    np.testing.assert_allclose(slope[1:-1, 1:-1], np.degrees(np.arctan(5)), rtol=1e-6)
    assert np.isfinite(slope.values).sum() == 4 * 5
    assert slope.dtype == np.float32


@settings(max_examples=8)
@given(seed=st.integers(0, 99), rows=st.integers(2, 9), cols=st.integers(2, 9))
def test_slope_equals_horns_loop_in_any_chunking_with_holes(seed, rows, cols):
    rng = np.random.default_rng(seed)
    z = np.where(rng.random((9, 9)) < 0.05, np.nan, rng.normal(200, 30, (9, 9)))
    elevation = xr.DataArray(z, dims=("y", "x"))
    slope = composite.slope_of(elevation, 20.0, 30.0)
    kernel = np.array([[-1, 0, 1], [-2, 0, 2], [-1, 0, 1]])
    for i, j in np.ndindex(7, 7):
        near = z[i : i + 3, j : j + 3]
        gx, gy = (near * kernel).sum() / 160, (near * kernel.T).sum() / 240
        want = np.degrees(np.arctan(np.hypot(gx, gy)))
        np.testing.assert_allclose(slope.values[i + 1, j + 1], want, rtol=1e-5)
    lazy = composite.slope_of(elevation.chunk(y=rows, x=cols), 20.0, 30.0).compute()
    np.testing.assert_array_equal(lazy, slope)


def test_slope_takes_a_spacing_that_varies_by_row():
    z = xr.DataArray(np.tile(np.arange(5.0) * 10, (5, 1)), dims=("y", "x"))
    dx = xr.DataArray(np.array([10.0, 10, 20, 10, 10]), dims="y")
    slope = composite.slope_of(z, dx, 10.0)
    assert float(slope[1, 2]) == pytest.approx(45.0)
    assert float(slope[2, 2]) == pytest.approx(np.degrees(np.arctan(0.5)))
