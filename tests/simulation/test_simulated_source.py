"""The simulated source and samples: one world, one way of compositing, maps and samples agree."""

from datetime import date, timedelta

import numpy as np
import pytest
from affine import Affine
from odc.geo.geobox import GeoBox
from pyproj import Transformer

from geocomiss import seasons
from geocomiss.batch import screen
from geocomiss.errors import SampleError
from geocomiss.grid import cells_of
from geocomiss.modalities import MODALITIES
from geocomiss.recipes import RECIPES, Recipe
from geocomiss.samples.simulated import simulated_samples
from geocomiss.seasons import Calendar
from geocomiss.simulation import CLASSES, World
from geocomiss.simulation.optical import optical_scenes
from geocomiss.simulation.places import places_of
from geocomiss.sources.simulated import SimulatedSource, pixel_metres, weather_grid
from geocomiss.stack import bands_of, check_units, groups_of, origin_of, window

MONTHLY, CROPHARVEST = RECIPES["monthly-l2a"], RECIPES["cropharvest"]
UTM = GeoBox((40, 50), Affine(10, 0, 600000, 0, -10, 5600000), "EPSG:32631")
DEGREES = GeoBox((40, 50), Affine(8.983e-5, 0, 4.41231, 0, -8.983e-5, -20.532123), "EPSG:4326")
HALF = Calendar(date(2021, 4, 1), "month", 4)


@pytest.mark.parametrize("recipe", [MONTHLY, CROPHARVEST], ids=lambda recipe: recipe.name)
@pytest.mark.parametrize("grid", [UTM, DEGREES], ids=["utm", "degrees"])
def test_every_recipe_gives_whole_stacks_in_canonical_units(grid: GeoBox, recipe: Recipe) -> None:
    source = SimulatedSource(recipe, 0)
    stack = source.open(grid, recipe.cycle.ending_in(2021)).compute()
    check_units(stack)
    assert bands_of(stack) == source.bands
    assert origin_of(stack).recipe == recipe and origin_of(stack).simulated
    assert all(np.isfinite(group[b]).any() for group in groups_of(stack).values() for b in group.data_vars)


@pytest.mark.parametrize("grid", [UTM, DEGREES], ids=["utm", "degrees"])
def test_a_window_of_the_source_equals_the_window_of_its_stack(grid: GeoBox) -> None:
    source = SimulatedSource(MONTHLY, 1)
    y, x = slice(7, 24), slice(11, 43)
    part = source.open(grid[y, x], HALF).compute()
    whole = window(source.open(grid, HALF), y, x).compute()
    for name in ("optical", "radar", "topography"):
        for band in part[name].data_vars:
            np.testing.assert_array_equal(part[name][band], whole[name][band], err_msg=band)


def test_blocks_do_not_show() -> None:
    source = SimulatedSource(MONTHLY, 1)
    one = source.open(UTM, HALF)
    source.cut(17)
    many = source.open(UTM, HALF)
    assert one["optical"]["B4"].data.numblocks == (1, 1, 1)
    assert many["optical"]["B4"].data.numblocks == (1, 3, 3)
    assert one.compute().identical(many.compute())


def test_opening_computes_no_pixel(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("geocomiss.simulation.observe.optical_scenes", None)
    monkeypatch.setattr("geocomiss.simulation.observe.radar_scenes", None)
    huge = GeoBox((20000, 20000), UTM.affine, UTM.crs)
    stack = SimulatedSource(MONTHLY, 0).open(huge, HALF)
    assert stack["optical"]["B4"].shape == (4, 20000, 20000)


def test_optical_is_missing_exactly_where_no_clear_observation_lies_behind_the_step() -> None:
    north = GeoBox((40, 50), Affine(10, 0, 600000, 0, -10, 6300000), "EPSG:32633")
    stack = SimulatedSource(MONTHLY, 0).open(north, MONTHLY.cycle.ending_in(2021)).compute()
    optical = groups_of(stack)["optical"]
    for band in MODALITIES["optical"].band_names:
        np.testing.assert_array_equal(np.isnan(optical[band]), optical["count"] == 0)
    assert np.isnan(optical["B2"]).any() and np.isfinite(optical["B2"]).any()


def test_a_monthly_median_equals_the_slow_way() -> None:
    may = Calendar(date(2021, 5, 1), "month", 1)
    wide = UTM.pad(3)
    scenes = optical_scenes(0, places_of(wide), may.start.toordinal(), may.last_day.toordinal(), top=False)
    shape = (-1, wide.height, wide.width)
    red, scl = scenes.bands[2].reshape(shape), scenes.scl.reshape(shape)
    optical = groups_of(SimulatedSource(MONTHLY, 0).open(UTM, may).compute())["optical"]
    for row, col in ((0, 0), (13, 22), (39, 49)):
        values = []
        for when in range(len(scl)):
            around = [
                scl[when, row + 3 + i, col + 3 + j]
                for i in range(-3, 4)
                for j in range(-3, 4)
                if i * i + j * j <= 9
            ]
            if scl[when, row + 3, col + 3] in (4, 5, 6, 7) and not set(around) & {0, 1, 3, 8, 9, 10, 11}:
                values.append(red[when, row + 3, col + 3])
        assert optical["count"].values[0, row, col] == len(values)
        if values:
            assert optical["B4"].values[0, row, col] == pytest.approx(np.median(values))


def test_an_export_without_gaps_has_none_and_its_copies_are_recognised() -> None:
    season = CROPHARVEST.cycle.ending_in(2023)  # one radar satellite: 12 days
    rng = np.random.default_rng(0)
    found = 0
    for east in rng.integers(3, 7, 4) * 100000.0:
        grid = GeoBox((2, 2), Affine(10, 0, east, 0, -10, 5600000), "EPSG:32631")
        groups = groups_of(SimulatedSource(CROPHARVEST, 0).open(grid, season).compute())
        assert np.isfinite(groups["optical"]["B2"]).all()
        radar = groups["radar"]
        if (radar["count"] > 0).any():
            assert np.isfinite(radar["VV"]).all() and np.isfinite(radar["VH"]).all()
            found += 1
    assert found


def test_unobserved_radar_steps_are_copies_of_the_nearest(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("geocomiss.simulation.orbits.PASS_LOST", 0.85)
    season = CROPHARVEST.cycle.ending_in(2023)
    radar = groups_of(SimulatedSource(CROPHARVEST, 0).open(UTM[:1, :1], season).compute())["radar"]
    seen = radar["count"].values[:, 0, 0] > 0
    values = np.stack([radar[b].values[:, 0, 0] for b in ("VV", "VH")], -1)
    assert seen.any() and not seen.all()
    steps = np.flatnonzero(seen)
    for step in np.flatnonzero(~seen):
        nearest = min(steps, key=lambda other: (abs(other - step), other))
        np.testing.assert_array_equal(values[step], values[nearest])
    spec = type("Spec", (), {"bands": {"radar": ("VV", "VH")}})()
    dropped = screen("radar", values[None], np.ones((1, 12), bool), spec)
    assert dropped.sum() == (~seen).sum()


def test_steps_in_the_future_are_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(seasons, "today", lambda: date(2021, 6, 1))
    monkeypatch.setattr("geocomiss.simulation.observe.today", lambda: date(2021, 6, 1))
    stack = SimulatedSource(MONTHLY, 0).open(UTM, Calendar(date(2021, 4, 1), "month", 4)).compute()
    for name in ("optical", "radar", "weather"):
        group = groups_of(stack)[name]
        assert (group["count"].values[2:] == 0).all()
        assert np.isnan(group[MODALITIES[name].band_names[0]].values[2:]).all()
        assert (group["count"].values[:2] > 0).any()


def test_a_season_that_has_not_begun_is_missing_altogether(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("geocomiss.simulation.observe.today", lambda: date(2021, 1, 1))
    stack = SimulatedSource(MONTHLY, 0).open(UTM[:3, :3], HALF).compute()
    assert np.isnan(stack["optical"]["B2"]).all() and np.isnan(stack["radar"]["VV"]).all()
    assert np.isnan(stack["weather"]["temperature_2m"]).all()


def test_weather_lies_on_tenths_of_a_degree_that_cover_the_grid() -> None:
    for grid in (UTM, DEGREES):
        cells = weather_grid(grid)
        _, within = cells_of(grid, cells)
        assert within.all() and cells.crs.epsg == 4326
        corner = np.array([cells.affine.c, cells.affine.f]) * 10
        np.testing.assert_allclose(corner, np.rint(corner), atol=1e-9)


def test_weather_of_a_30_day_step_is_that_of_the_month_it_starts_in() -> None:
    season = CROPHARVEST.cycle.ending_in(2021)
    stepped = SimulatedSource(CROPHARVEST, 0).open(UTM, season).compute()["weather"]
    month = season.edges()[4].replace(day=1)
    monthly = SimulatedSource(MONTHLY, 0).open(UTM, Calendar(month, "month", 1)).compute()["weather"]
    np.testing.assert_array_equal(stepped["temperature_2m"][4], monthly["temperature_2m"][0])


def test_the_pixel_of_a_geographic_grid_is_measured_in_metres() -> None:
    assert pixel_metres(DEGREES) == pytest.approx(10.0, rel=0.01)
    assert pixel_metres(UTM) == 10.0


@pytest.mark.parametrize("recipe", [MONTHLY, CROPHARVEST], ids=lambda recipe: recipe.name)
def test_samples_equal_the_map_at_their_pixels(recipe: Recipe) -> None:
    samples = simulated_samples(42, 9, recipe)
    for i in (0, 7, 19, 20, 41):
        zone = int((samples.lon[i] + 180) // 6) + 1
        epsg = (32600 if samples.lat[i] >= 0 else 32700) + zone
        x, y = Transformer.from_crs(4326, epsg, always_xy=True).transform(samples.lon[i], samples.lat[i])
        grid = GeoBox((3, 4), Affine(10, 0, x // 10 * 10 - 20, 0, -10, y // 10 * 10 + 20), epsg)
        season = recipe.cycle.ending_in(int(samples.columns["year"][i]))
        groups = groups_of(SimulatedSource(recipe, 9).open(grid, season).compute())
        cells, _ = cells_of(grid, weather_grid(grid))
        for name, modality in MODALITIES.items():
            for number, band in enumerate(modality.band_names):
                values = groups[name][band].values
                mapped = (
                    values.reshape(len(values), -1)[:, cells[1, 2]]
                    if name == "weather"
                    else values[..., 1, 2]
                )
                np.testing.assert_array_equal(
                    np.ravel(mapped), samples.values[name][i, :, number], err_msg=band
                )
        assert CLASSES[World(9).true_class(grid)[1, 2] - 1].name == samples.labels[i]


def test_samples_are_clustered_in_groups_on_both_hemispheres() -> None:
    samples = simulated_samples(200, 3, MONTHLY)
    assert len(samples) == 200 and (samples.lat < 0).any() and (samples.lat > 0).any()
    groups = np.unique(samples.group)
    assert 8 <= len(groups) <= 40
    assert samples.simulated and samples.recipe_stated
    assert samples.cycle is not None and samples.cycle.months() == MONTHLY.cycle.months()
    assert set(samples.labels) <= {crop.name for crop in CLASSES}
    missing = np.isnan(samples.values["optical"]).mean()
    assert 0.005 < missing < 0.3


def test_samples_are_the_same_again_and_others_for_another_seed() -> None:
    one, again, other = (simulated_samples(21, seed, MONTHLY) for seed in (1, 1, 2))
    np.testing.assert_array_equal(one.values["optical"], again.values["optical"])
    assert one.sha256 == again.sha256 != other.sha256
    assert not np.array_equal(one.lat, other.lat)


def test_no_samples_are_refused() -> None:
    with pytest.raises(SampleError, match="0 simulated samples"):
        simulated_samples(0, 0, MONTHLY)


def test_yesterday_is_observed_but_not_today() -> None:
    yesterday = date.today() - timedelta(days=1)
    season = Calendar(yesterday.replace(day=1), "month", 1)
    stack = SimulatedSource(MONTHLY, 0).open(UTM[:1, :1], season).compute()
    assert int(stack["weather"]["count"].values.max()) == yesterday.day
