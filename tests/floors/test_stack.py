"""The Stack: layout, seasons, units, and the way to disk and back."""

from collections.abc import Callable
from dataclasses import replace
from datetime import date
from pathlib import Path

import numpy as np
import pytest
import xarray as xr
from gappy import COARSE, GRID, RECIPE, SEASON, gappy_groups
from gappy import group as random_group
from hypothesis import given
from hypothesis import strategies as st

from geocomiss import seasons
from geocomiss.errors import SeasonError, StackError
from geocomiss.grid import same_grid
from geocomiss.modalities import MODALITIES
from geocomiss.seasons import Calendar, Cycle
from geocomiss.stack import (
    Origin,
    assign_grid,
    bands_of,
    check_units,
    cut_to_season,
    grid_of_group,
    grid_of_stack,
    groups_of,
    new_stack,
    origin_of,
    periods,
    read_stack,
    window,
    with_origin,
    without,
    write_stack,
)

SMALL = GRID[:6, :7]
ORIGIN = Origin("test", RECIPE, SEASON)


def stack_of(calendar: Calendar = SEASON, seed: int = 0) -> xr.DataTree:
    groups = gappy_groups(GRID, calendar, seed)
    for name, group in groups.items():
        if name != "weather":
            groups[name] = group.isel(y=slice(0, 10), x=slice(0, 12))
    return new_stack(groups, replace(ORIGIN, calendar=calendar))


def assert_same(one: xr.DataTree, other: xr.DataTree) -> None:
    assert origin_of(one) == origin_of(other)
    assert bands_of(one) == bands_of(other)
    for name, group in groups_of(one).items():
        xr.testing.assert_identical(group.compute(), groups_of(other)[name].compute())


def test_a_stack_states_how_and_when_it_was_made() -> None:
    origin = replace(ORIGIN, simulated=True, radar_pass="descending", notes=("lost 3 % to dilation",))
    stack = with_origin(stack_of(), origin)
    assert origin_of(stack) == origin
    assert list(groups_of(stack)) == list(MODALITIES)
    assert same_grid(grid_of_stack(stack), GRID[:10, :12])


def test_modalities_and_bands_come_in_canonical_order_whatever_the_order_given() -> None:
    groups = gappy_groups()
    groups["optical"] = groups["optical"][["NDVI", "B8", "count", "B2", "B4"]]
    stack = new_stack(dict(reversed(groups.items())), ORIGIN)
    assert list(bands_of(stack)) == list(MODALITIES)
    assert bands_of(stack)["optical"] == ("B2", "B4", "B8", "NDVI")


def broken(name: str, change: Callable[[xr.Dataset], xr.Dataset]) -> dict[str, xr.Dataset]:
    groups = gappy_groups()
    return groups | {name: change(groups[name])}


@pytest.mark.parametrize(
    ("groups", "said"),
    [
        (lambda: {"lidar": gappy_groups()["radar"]}, "no such modality"),
        (lambda: broken("radar", lambda g: g.rename(VV="HH")), "unknown variable 'HH'"),
        (lambda: broken("radar", lambda g: g.drop_vars("count")), "no variable 'count'"),
        (lambda: broken("radar", lambda g: g.drop_vars(["VV", "VH"])), "no band at all"),
        (lambda: broken("radar", lambda g: g.isel(time=slice(3))), "3 time steps where the calendar has 12"),
        (lambda: broken("radar", lambda g: g.transpose("y", "x", "time")), "has dimensions"),
        (lambda: broken("topography", lambda g: g.expand_dims("time")), "has dimensions"),
    ],
)
def test_a_layout_that_is_none_is_refused(groups: Callable[[], dict[str, xr.Dataset]], said: str) -> None:
    with pytest.raises(StackError, match=said):
        new_stack(groups(), ORIGIN)


def test_an_array_of_another_shape_is_no_filling_of_the_grid() -> None:
    with pytest.raises(StackError, match="6 x 7"):
        assign_grid(gappy_groups()["radar"], SMALL)


@given(st.data())
def test_a_window_of_a_dataset_knows_its_grid_down_to_one_pixel(data: st.DataObject) -> None:
    group = random_group("topography", SMALL, SEASON, np.random.default_rng(0))
    y0, x0 = data.draw(st.integers(0, 5)), data.draw(st.integers(0, 6))
    y1, x1 = data.draw(st.integers(y0 + 1, 6)), data.draw(st.integers(x0 + 1, 7))
    part = group.isel(y=slice(y0, y1), x=slice(x0, x1))
    assert same_grid(grid_of_group(part), SMALL[y0:y1, x0:x1])


def test_two_grids_in_one_stack_are_refused() -> None:
    groups = gappy_groups() | {"radar": random_group("radar", SMALL, SEASON, np.random.default_rng(0))}
    with pytest.raises(StackError, match="radar lies on another grid"):
        grid_of_stack(new_stack(groups, ORIGIN))


def test_weather_alone_has_no_pixel_grid() -> None:
    with pytest.raises(StackError, match="a stack with weather only"):
        grid_of_stack(new_stack({"weather": gappy_groups()["weather"]}, ORIGIN))


def test_a_window_cuts_the_grid_and_leaves_weather_whole() -> None:
    part = window(stack_of(), slice(2, 5), slice(1, 9))
    assert same_grid(grid_of_stack(part), GRID[2:5, 1:9])
    assert same_grid(grid_of_group(groups_of(part)["weather"]), COARSE)
    np.testing.assert_array_equal(part["radar"]["VV"].values, stack_of()["radar"]["VV"].values[:, 2:5, 1:9])


def test_without_takes_modalities_away() -> None:
    assert list(bands_of(without(stack_of(), ("optical", "weather")))) == ["radar", "topography"]


def test_a_longer_stack_is_cut_to_the_season() -> None:
    long = Calendar(date(2020, 8, 1), "month", 20)
    stack = stack_of(long)
    cut = cut_to_season(stack, SEASON)
    assert origin_of(cut).calendar == SEASON
    np.testing.assert_array_equal(cut["radar"]["VV"].values, stack["radar"]["VV"].values[5:17])
    np.testing.assert_array_equal(cut["weather"]["count"].values, stack["weather"]["count"].values[5:17])
    xr.testing.assert_identical(groups_of(cut)["topography"], groups_of(stack)["topography"])


@pytest.mark.parametrize("season", ["2019", "2022"])
def test_a_season_that_a_stack_does_not_hold_is_refused(season: str) -> None:
    wanted = RECIPE.cycle.ending_in(int(season))
    with pytest.raises(SeasonError, match="the stack holds 2021-01-01 to 2021-12-31"):
        cut_to_season(stack_of(), wanted)


def test_steps_are_not_silently_shifted() -> None:
    november = Cycle(11, "month", 12).ending_in(2021)
    with pytest.raises(SeasonError):
        cut_to_season(stack_of(), november)


def test_unobserved_months_are_missing_where_they_lie_in_the_future_only(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    seven_months = Calendar(date(2021, 1, 1), "month", 7)
    stack = stack_of(seven_months)
    monkeypatch.setattr(seasons, "today", lambda: date(2021, 7, 20))
    monkeypatch.setattr("geocomiss.stack.season.today", lambda: date(2021, 7, 20))
    cut = cut_to_season(stack, SEASON)
    assert origin_of(cut).calendar == SEASON
    vv = cut["radar"]["VV"].values
    np.testing.assert_array_equal(vv[:7], stack["radar"]["VV"].values)
    assert np.isnan(vv[7:]).all()
    assert (cut["radar"]["count"].values[7:] == 0).all()
    monkeypatch.setattr("geocomiss.stack.season.today", lambda: date(2022, 3, 1))
    with pytest.raises(SeasonError):
        cut_to_season(stack, SEASON)


def test_thirty_day_and_monthly_steps_meet_by_their_middle_days() -> None:
    held = Calendar(date(2017, 10, 26), "30d", 12)
    wanted = Cycle(11, "month", 12).ending_in(2018)
    assert origin_of(cut_to_season(stack_of(held), wanted)).calendar == held


@given(st.integers(1, 12), st.integers(0, 40))
def test_periods_are_those_that_lie_wholly_within(first_month: int, number: int) -> None:
    held = Calendar(date(2018, first_month, 1), "month", 1 + number)
    cycle = RECIPE.cycle
    inside = [
        year
        for year in range(2015, 2025)
        if date(year, 1, 1) >= held.start and date(year + 1, 1, 1) <= held.end
    ]
    assert periods(held, cycle) == tuple(cycle.ending_in(year) for year in inside)


def test_units_are_checked_per_band_and_single_outliers_stay() -> None:
    stack = stack_of()
    check_units(stack)
    radar = stack["radar"].to_dataset()
    few = radar.copy(deep=True)
    few["VH"].values[0, 0, 0] = 55.0
    check_units(new_stack(groups_of(stack) | {"radar": few}, ORIGIN))
    linear = radar.assign(VH=10 ** (radar["VH"] / 10))
    with pytest.raises(StackError, match="VH"):
        check_units(new_stack(groups_of(stack) | {"radar": linear}, ORIGIN))


@pytest.mark.parametrize(
    ("name", "change"),
    [
        ("optical", lambda g: g.assign(B4=g.B4 / 10_000)),
        ("weather", lambda g: g.assign(temperature_2m=g.temperature_2m - 273.15)),
        ("weather", lambda g: g.assign(total_precipitation=g.total_precipitation * 1000)),
        ("topography", lambda g: g.assign(elevation=g.elevation * 100)),
    ],
    ids=["reflectance 0..1", "celsius", "millimetres", "centimetres"],
)
def test_the_usual_wrong_units_are_refused(name: str, change: Callable[[xr.Dataset], xr.Dataset]) -> None:
    groups = groups_of(stack_of())
    with pytest.raises(StackError, match=name):
        check_units(new_stack(groups | {name: change(groups[name])}, ORIGIN))


def test_a_stack_comes_back_from_disk_as_it_was(tmp_path: Path) -> None:
    stack = stack_of()
    write_stack(stack, tmp_path / "s.zarr")
    back = read_stack(tmp_path / "s.zarr")
    assert_same(back, stack)
    assert back["radar"]["VV"].chunks  # lazy
    assert [path.name for path in tmp_path.iterdir()] == ["s.zarr"]


def test_what_is_no_stack_of_ours_is_refused(tmp_path: Path) -> None:
    (tmp_path / "junk.zarr").mkdir()
    (tmp_path / "junk.zarr" / "zarr.json").write_text("{not json")
    xr.Dataset({"a": ("x", [1, 2])}).to_zarr(tmp_path / "other.zarr", consolidated=False)
    for name in ("junk.zarr", "other.zarr", "nowhere.zarr"):
        with pytest.raises(StackError):
            read_stack(tmp_path / name)


def test_a_stack_without_its_statement_is_refused() -> None:
    stack = stack_of().copy()
    stack.attrs = {"origin": '{"source": "x"}'}
    with pytest.raises(StackError, match="does not state"):
        origin_of(stack)
