"""Composites of Earth Engine's graphs equal those of our own compositing of the same scenes."""

from dataclasses import replace
from datetime import date
from functools import cache

import ee_local
import numpy as np
import pytest
import xarray as xr
from affine import Affine
from ee_scenes import GRID, catalogue, daily_weather, terrain_cells, weather_cells
from ee_server import EarthEngineServer
from odc.geo.geobox import GeoBox

from geocomiss.composite import composite_weather
from geocomiss.errors import AreaError, RecipeError
from geocomiss.recipes import RECIPES
from geocomiss.seasons import Calendar
from geocomiss.sources import open_source, terrain
from geocomiss.sources.base import Reading
from geocomiss.sources.ee.source import EarthEngineSource
from geocomiss.sources.ee.tables import CODINGS
from geocomiss.stack import check_units, groups_of, origin_of

SEASON = Calendar(date(2021, 4, 1), "month", 4)
MONTHLY = RECIPES["monthly-l2a"]
HALF_A_STEP = 0.5 / CODINGS["radar"].per_unit["VV"]


@cache
def local(name: str, dilation: float = 30.0, bands: tuple[str, ...] = ()) -> xr.Dataset:
    """What our compositing makes of the scenes."""
    recipe = replace(MONTHLY, cloud_dilation=dilation)
    if name == "optical":
        return ee_local.optical(catalogue(), GRID, SEASON, recipe, bands)
    return ee_local.radar(catalogue(), GRID, SEASON, recipe, "DESCENDING")


def test_optical_composites_are_ours_bit_for_bit(source: EarthEngineSource) -> None:
    found, expected = groups_of(source.open(GRID, SEASON).compute())["optical"], local("optical")
    assert set(found) == set(expected)
    for name in expected.data_vars:
        np.testing.assert_array_equal(found[name].values, expected[name].values, err_msg=name)
    clear = found["count"].values
    assert clear[0].min() < clear[0].max(), "clouds and swath edges take observations"
    assert (clear[0] == 0).any() and (clear[1] == 0).all() and (clear[3] == 0).all(), "gaps in time and space"


@pytest.mark.parametrize("dilation", [0.0, 55.0])
def test_clouds_are_grown_as_far_as_the_recipe_says(reading: Reading, dilation: float) -> None:
    source = EarthEngineSource(
        replace(MONTHLY, cloud_dilation=dilation), Reading({"optical": ("B2",)}, ee=reading.ee)
    )
    found = groups_of(source.open(GRID, SEASON).compute())["optical"]
    for name in ("B2", "count"):
        np.testing.assert_array_equal(found[name].values, local("optical", dilation, ("B2",))[name].values)


def test_radar_composites_are_ours_within_half_a_step(source: EarthEngineSource) -> None:
    stack = source.open(GRID, SEASON).compute()
    found, expected = groups_of(stack)["radar"], local("radar")
    np.testing.assert_array_equal(found["count"].values, expected["count"].values)
    for name in ("VV", "VH"):
        np.testing.assert_allclose(found[name].values, expected[name].values, atol=HALF_A_STEP + 1e-5)
    assert np.isnan(found["VV"].values[2]).all(), "June has one pass with VV only and one in another mode"
    assert origin_of(stack).radar_pass == "descending"


def test_weather_is_the_mean_of_the_days_on_its_own_cells(source: EarthEngineSource) -> None:
    stack = source.open(GRID, SEASON).compute()
    days, values = daily_weather()
    daily = xr.Dataset({n: (("time", "y", "x"), v) for n, v in values.items()}, coords={"time": days})
    expected, found = composite_weather(daily, SEASON, MONTHLY), groups_of(stack)["weather"]
    cells = weather_cells()
    top, left = (
        round(v)
        for v in (
            (cells.affine.f - found.attrs["affine"][5]) * 10,
            (found.attrs["affine"][2] - cells.affine.c) * 10,
        )
    )
    inside = expected.isel(y=slice(top, top + found.sizes["y"]), x=slice(left, left + found.sizes["x"]))
    sea = np.isnan(inside["temperature_2m"].values)
    assert sea.any() and np.isfinite(found["temperature_2m"].values).all(), "the cell of sea is filled"
    for name, atol in (("temperature_2m", 6e-4), ("total_precipitation", 6e-8)):
        np.testing.assert_allclose(found[name].values[~sea], inside[name].values[~sea], atol=atol, rtol=1e-6)
    assert any("1 cells of sea" in note for note in origin_of(stack).notes)


def test_terrain_is_ours_on_the_cells_of_the_shuttle(source: EarthEngineSource) -> None:
    found = groups_of(source.open(GRID, SEASON).compute())["topography"]
    cells = terrain_cells()
    (heights, _, _) = catalogue()["USGS/SRTMGL1_003"].bands["elevation"]
    elevation = xr.DataArray(heights.astype(np.float32), dims=("y", "x")).chunk()
    expected = terrain.topography(elevation, cells, GRID, GRID).compute()
    for name, atol in (("elevation", 2e-3), ("slope", 2e-3)):
        np.testing.assert_allclose(found[name].values, expected[name].values, atol=atol)


def test_a_window_reads_the_tiles_of_the_whole(source: EarthEngineSource, server: EarthEngineServer) -> None:
    whole = source.open(GRID, SEASON).compute()
    before = len(server.asked())
    window = source.open(GRID[10:30, 5:25], SEASON).compute()
    assert len(server.asked()) == before, "nothing is asked for twice"
    for name, group in groups_of(window).items():
        if name != "weather":
            xr.testing.assert_equal(group, groups_of(whole)[name].isel(y=slice(10, 30), x=slice(5, 25)))


def test_small_tiles_make_the_same_stack(reading: Reading, server: EarthEngineServer) -> None:
    whole = EarthEngineSource(None, reading).open(GRID, SEASON).compute()
    pieces = EarthEngineSource(None, replace(reading, tile=17)).open(GRID, SEASON).compute()
    for name, group in groups_of(whole).items():
        xr.testing.assert_equal(groups_of(pieces)[name].drop_attrs(), group.drop_attrs())


def test_another_grid_in_another_zone_is_filled_exactly(reading: Reading) -> None:
    degrees = GeoBox((31, 27), Affine(1e-4, 0, 4.9776, 0, -1e-4, 50.6242), "EPSG:4326")
    reading = Reading({"radar": ("VV",)}, ee=reading.ee)
    found = groups_of(EarthEngineSource(None, reading).open(degrees, SEASON).compute())["radar"]
    expected = ee_local.radar(catalogue(), degrees, SEASON, MONTHLY, "DESCENDING")
    np.testing.assert_allclose(found["VV"].values, expected["VV"].values, atol=HALF_A_STEP + 1e-5)
    assert np.isfinite(found["VV"].values).any()


def test_what_was_left_out_and_what_is_lacking_is_said(source: EarthEngineSource) -> None:
    stack = source.open(GRID, SEASON)
    notes = origin_of(stack).notes
    assert any("1 optical images are older versions" in note for note in notes)
    assert "optical: no acquisition in 2021-07" in notes and "radar: no acquisition in 2021-06" in notes
    recipe = origin_of(stack).recipe
    made = (recipe.s2_level, recipe.s1_product, recipe.weather_product, recipe.terrain_product)
    assert made == ("L2A", "sigma0", "ERA5-Land", "SRTM")
    check_units(stack)


def test_every_request_is_tagged_complete_and_of_several_bands(
    source: EarthEngineSource, server: EarthEngineServer
) -> None:
    source.open(GRID, SEASON).compute()
    asked = server.asked()
    assert {each["tag"] for each in (*asked, *server.asked("value:compute"))} == {"geocomiss"}
    # three optical months of eleven bands and a count, three of radar, the weather, the heights
    assert sorted(each["bands"] for each in asked) == [1, 3, 3, 3, 8, 12, 12, 12]
    assert len(server.asked("value:compute")) == 3


def test_only_what_a_model_reads_is_asked_for(reading: Reading, server: EarthEngineServer) -> None:
    reading = Reading({"optical": ("NDVI",)}, ee=reading.ee)
    source = EarthEngineSource(None, reading)
    assert source.bands == {"optical": ("B4", "B8", "NDVI")}
    found = groups_of(source.open(GRID, SEASON).compute())
    assert set(found) == {"optical"} and {each["bands"] for each in server.asked()} == {3}
    np.testing.assert_array_equal(found["optical"]["NDVI"].values, local("optical")["NDVI"].values)


def test_cloudy_images_are_left_out_when_asked(reading: Reading) -> None:
    reading = Reading({"optical": ("B2",)}, max_cloud=40.0, ee=reading.ee)
    stack = EarthEngineSource(None, reading).open(GRID, SEASON)
    assert any("6 optical images with over 40 % cloud" in note for note in origin_of(stack).notes)


def test_a_season_without_any_image_is_missing(reading: Reading) -> None:
    stack = EarthEngineSource(None, reading).open(GRID, Calendar(date(2019, 1, 1), "month", 2)).compute()
    groups = groups_of(stack)
    assert "weather" not in groups and np.isnan(groups["optical"]["B2"].values).all()
    assert "radar: no acquisition in the whole season" in origin_of(stack).notes


def test_recipes_without_a_graph_and_areas_across_the_date_line_are_refused(
    source: EarthEngineSource,
) -> None:
    with pytest.raises(RecipeError, match="best-pixel, linear-mean"):
        mixed = replace(RECIPES["cropharvest"], radar_averaging="linear-mean")
        open_source("ee", mixed, reading=source._reading)
    far = GeoBox((10, 200), Affine(1000, 0, 740_000, 0, -1000, 1_000_000), "EPSG:32660")
    with pytest.raises(AreaError, match="180th meridian"):
        source.open(far, SEASON)
