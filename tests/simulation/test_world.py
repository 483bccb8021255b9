"""The simulated world: a function of seed, place and date, and nothing else."""

from dataclasses import replace
from datetime import date

import numpy as np
import pytest
from affine import Affine
from hypothesis import given
from hypothesis import strategies as st
from odc.geo.geobox import GeoBox

from geocomiss.recipes import RECIPES
from geocomiss.seasons import Calendar
from geocomiss.simulation import CLASSES, World
from geocomiss.simulation.noise import Lattice, hashed, normal, stream, uniform
from geocomiss.simulation.optical import optical_scenes
from geocomiss.simulation.orbits import RADAR_DAYS, RADAR_FAILURE, radar_passes
from geocomiss.simulation.places import METRES_PER_DEGREE, places_at, places_of
from geocomiss.simulation.radar import radar_scenes
from geocomiss.simulation.weather import days_of, snow

MONTHLY = RECIPES["monthly-l2a"]
UTM = GeoBox((60, 70), Affine(10, 0, 600000, 0, -10, 5600000), "EPSG:32631")
SOUTH = GeoBox((60, 70), Affine(10, 0, 500000, 0, -10, 6200000), "EPSG:32720")
DEGREES = GeoBox((60, 70), Affine(8.983e-5, 0, 4.41231, 0, -8.983e-5, 50.532123), "EPSG:4326")
ACROSS_ZONES = GeoBox((60, 70), Affine(1e-4, 0, 5.9967, 0, -1e-4, 46.2), "EPSG:4326")
GRIDS = (UTM, SOUTH, DEGREES, ACROSS_ZONES)
JUNE = (date(2021, 6, 1).toordinal(), date(2021, 6, 20).toordinal())


@st.composite
def windows(draw: st.DrawFn) -> tuple[GeoBox, slice, slice]:
    grid = draw(st.sampled_from(GRIDS))
    top, left = draw(st.integers(0, grid.height - 1)), draw(st.integers(0, grid.width - 1))
    height, width = draw(st.integers(1, grid.height - top)), draw(st.integers(1, grid.width - left))
    return grid, slice(top, top + height), slice(left, left + width)


WHOLE: dict[int, dict[str, np.ndarray]] = {}


def seen_in(grid: GeoBox) -> dict[str, np.ndarray]:
    """Everything about a grid, by day where it has days."""
    places = places_of(grid)
    world, shape = World(3), places.shape
    optical = optical_scenes(3, places, *JUNE, top=False)
    radar = radar_scenes(3, places, *JUNE)
    ground = world.topography(places)
    layers = {"class": world.true_class(grid)} | {name: ground[name].values for name in ground}
    for number, day in enumerate(optical.passes.days):
        layers[f"scl {day}"] = optical.scl[number].reshape(shape)
        layers[f"bands {day}"] = optical.bands[:, number].reshape(-1, *shape)
    for number, day in enumerate(radar.passes.days):
        layers[f"radar {day}"] = radar.bands[:, number].reshape(-1, *shape)
    return layers


def whole(grid: GeoBox) -> dict[str, np.ndarray]:
    if id(grid) not in WHOLE:
        WHOLE[id(grid)] = seen_in(grid)
    return WHOLE[id(grid)]


@given(windows())
def test_any_window_equals_the_same_window_of_the_whole(drawn: tuple[GeoBox, slice, slice]) -> None:
    grid, y, x = drawn
    part = seen_in(grid[y, x])
    for name, layer in whole(grid).items():
        if name in part:
            np.testing.assert_array_equal(part[name], layer[..., y, x], err_msg=name)
        else:  # a swath that this window does not touch
            expected = layer[..., y, x]
            assert (expected == 0).all() if name.startswith("scl") else np.isnan(expected).all()


def test_a_date_is_the_same_whatever_season_it_is_asked_for_in() -> None:
    places = places_of(UTM[:9, :9])
    day = date(2021, 1, 14).toordinal()
    short = optical_scenes(0, places, day - 10, day + 10, top=False)
    long = optical_scenes(0, places, day - 160, day + 200, top=False)
    at = np.isin(long.passes.days, short.passes.days)
    assert len(short.passes.days) >= 4
    np.testing.assert_array_equal(long.bands[:, at], short.bands)
    np.testing.assert_array_equal(long.scl[at], short.scl)
    ours, others = (radar_scenes(0, places, day - back, day + 30) for back in (10, 200))
    at = np.isin(others.passes.days, ours.passes.days)
    np.testing.assert_array_equal(others.bands[:, at], ours.bands)


def test_another_seed_is_another_world() -> None:
    one, other = World(0), World(1)
    assert (one.true_class(UTM) != other.true_class(UTM)).any()
    places = places_of(UTM)
    assert not np.array_equal(one.topography(places).elevation, other.topography(places).elevation)


def test_the_same_place_has_the_same_class_and_height_on_another_grid() -> None:
    places = places_of(UTM)
    again = places_at(places.lon, places.lat)
    np.testing.assert_array_equal(World(0).class_at(again), World(0).true_class(UTM))
    np.testing.assert_array_equal(again.x, places.x)


def test_all_classes_occur_and_none_dominates() -> None:
    rng = np.random.default_rng(0)
    lat = np.concatenate([rng.uniform(12, 57, 700), rng.uniform(-42, -12, 300)])
    value = World(5).class_at(places_at(rng.uniform(-180, 180, 1000), lat))
    shares = np.bincount(value, minlength=len(CLASSES) + 1)[1:] / value.size
    assert value.min() >= 1 and value.max() <= len(CLASSES)
    assert shares.min() > 0.03 and shares.max() < 0.4


def test_classes_are_in_alphabetical_order_with_colours() -> None:
    names = [crop.name for crop in CLASSES]
    assert names == sorted(names) and len(set(crop.color for crop in CLASSES)) == len(names)


def test_fields_are_polygons_of_one_crop() -> None:
    grid = GeoBox((200, 200), Affine(10, 0, 600000, 0, -10, 5600000), "EPSG:32631")
    truth = World(0).true_class(grid)
    same = (truth[:, 1:] == truth[:, :-1]).mean()
    assert 0.75 < same < 0.99  # white noise of these classes would be far below
    assert len(np.unique(truth)) >= 3


def test_seasons_are_half_a_year_apart_across_the_equator() -> None:
    season = Calendar(date(2021, 1, 1), "month", 12)
    rng = np.random.default_rng(1)
    peaks = []
    for lat in (45.0, -40.0):
        places = places_at(rng.uniform(0, 100, (400, 1)), np.full((400, 1), lat))
        apart = replace(MONTHLY, cloud_dilation=0.0)  # neighbours here are far from each other
        ndvi = np.nanmean(World(2).optical(places, season, apart, 10.0).NDVI.values, (1, 2))
        angle = 2 * np.pi * np.arange(12) / 12
        peaks.append(np.angle((ndvi * np.exp(1j * angle)).sum()) / (2 * np.pi) * 12)
    assert 4.5 < abs(peaks[0] - peaks[1]) % 12 < 7.5
    assert 5.0 <= peaks[0] % 12 <= 7.5  # June to August


def test_clouds_hide_a_fifth_to_three_fifths_of_the_optical_observations() -> None:
    rng = np.random.default_rng(2)
    season = Calendar(date(2021, 1, 1), "month", 12)
    hidden, total = 0.0, 0
    for lat, lon in zip(rng.uniform(-40, 56, 12), rng.uniform(-180, 180, 12), strict=True):
        side = np.arange(-3, 4) * 10 / METRES_PER_DEGREE
        places = places_at(lon + np.tile(side, (7, 1)), lat + np.tile(side[:, None], (1, 7)))
        days = optical_scenes(4, places, *_bounds(season), top=False).passes.days
        seen = World(4).optical(places, season, MONTHLY, 10.0)["count"].values[:, 3, 3].sum()
        hidden, total = hidden + len(days) - seen, total + len(days)
    assert 0.2 < hidden / total < 0.6


def test_clouds_are_correlated_in_space_and_come_with_shadows() -> None:
    grid = GeoBox((150, 150), Affine(10, 0, 600000, 0, -10, 5600000), "EPSG:32631")
    scl = optical_scenes(0, places_of(grid), *_bounds(Calendar(date(2021, 1, 1), "month", 12)), top=False).scl
    scl = scl.reshape(-1, 150, 150)
    cloud = np.isin(scl, (8, 9))
    assert 0.1 < cloud.mean() < 0.7
    assert (cloud[:, :, 1:] == cloud[:, :, :-1]).mean() > 0.98
    partly = (cloud.mean((1, 2)) > 0.05) & (cloud.mean((1, 2)) < 0.95)
    assert partly.any()
    assert {3, 4, 5, 7, 8, 9} <= set(np.unique(scl))


def test_cirrus_and_snow_occur() -> None:
    lon = np.random.default_rng(0).uniform(-180, 180, 300)
    winter = Calendar(date(2021, 1, 1), "month", 2)
    scl = optical_scenes(0, places_at(lon, np.full(300, 52.0)), *_bounds(winter), top=False).scl
    assert 0.01 < (scl[scl > 0] == 10).mean() < 0.08
    assert 0.02 < (scl[scl > 0] == 11).mean() < 0.6


def test_optical_is_missing_only_outside_the_swath() -> None:
    scenes = optical_scenes(3, places_of(ACROSS_ZONES), *JUNE, top=False)
    np.testing.assert_array_equal(np.isnan(scenes.bands).any(0), scenes.scl == 0)
    np.testing.assert_array_equal(scenes.scl == 0, ~scenes.passes.seen)


def test_clouds_are_bright_and_shadows_dark() -> None:
    scenes = optical_scenes(0, places_of(UTM), *_bounds(Calendar(date(2021, 4, 1), "month", 6)), top=False)
    blue, infrared = scenes.bands[0], scenes.bands[6]
    clear = np.isin(scenes.scl, (4, 5))
    assert np.median(blue[scenes.scl == 9]) > 3 * np.median(blue[clear])
    assert np.median(infrared[scenes.scl == 3]) < 0.7 * np.median(infrared[clear])


def test_the_top_of_the_atmosphere_is_bluer_than_the_surface() -> None:
    places = places_of(UTM[:20, :20])
    top, surface = (optical_scenes(0, places, *JUNE, top=top).bands for top in (True, False))
    assert np.nanmedian(top[0] - surface[0]) > 500
    assert abs(np.nanmedian(top[9] - surface[9])) < 300


def _bounds(season: Calendar) -> tuple[int, int]:
    return season.start.toordinal(), season.last_day.toordinal()


def test_one_radar_satellite_is_silent_during_its_failure() -> None:
    places = places_of(UTM[:2, :2]).reshape(4)
    before = radar_passes(0, places, RADAR_FAILURE[0] - 360, RADAR_FAILURE[0] - 1)
    during = radar_passes(0, places, RADAR_FAILURE[0], RADAR_FAILURE[0] + 359)
    assert (np.diff(during.days) % RADAR_DAYS == 0).all()
    assert (np.diff(before.days) % RADAR_DAYS != 0).any()
    assert 1.5 < len(before.days) / len(during.days) < 2.7


def test_radar_leaves_gaps_between_swaths() -> None:
    lon = np.linspace(0, 60, 4000)
    passes = radar_passes(
        0, places_at(lon, np.full(lon.shape, 45.0)), *_bounds(Calendar(date(2021, 1, 1), "month", 12))
    )
    never = ~passes.seen.any(0)
    assert 0.01 < never.mean() < 0.1
    assert (never[1:] == never[:-1]).mean() > 0.95  # stripes


def test_winters_are_cold_and_snow_lies_in_the_north() -> None:
    january, july = (
        days_of(
            0,
            np.array([550, -350]),
            np.array([600, 600]),
            date(2021, m, 1).toordinal(),
            date(2021, m, 31).toordinal(),
        )
        for m in (1, 7)
    )
    north, south = january.temperature.mean(0) - july.temperature.mean(0)
    assert north < -10 and south > 4
    days = np.arange(date(2021, 1, 25).toordinal(), date(2021, 1, 31).toordinal())
    cold = days_of(0, np.array([650]), np.array([600]), int(days[0]) - 20, int(days[-1]))
    assert snow(cold, days).any()
    assert (january.rain >= 0).all() and 5e-4 < january.rain.mean() < 8e-3


def test_noise_has_mean_nought_and_variance_one_everywhere() -> None:
    points = np.random.default_rng(0).uniform(0, 1e7, (2, 20000))
    noise = Lattice((points[0], points[1]), 1000.0).normal(stream(0, "test"))
    assert abs(noise.mean()) < 0.03 and abs(noise.std() - 1) < 0.03
    bits = hashed(stream(0, "bits"), np.arange(100000), 7)
    assert abs(uniform(bits).mean() - 0.5) < 0.005 and abs(normal(bits).std() - 1) < 0.01
    assert len(np.unique(bits)) == bits.size


@pytest.mark.parametrize("cell", [40.0, 1000.0, 1e6])
def test_a_lattice_interpolates_the_same_however_its_nodes_are_looked_up(cell: float) -> None:
    rng = np.random.default_rng(1)
    points = rng.uniform(0, 5000, (2, 300))
    far = np.concatenate([points, [[9e7], [9e7]]], 1)  # makes the bounding box too large for a table
    near = Lattice((points[0], points[1]), cell).normal(7)
    np.testing.assert_array_equal(near, Lattice((far[0], far[1]), cell).normal(7)[:-1])
