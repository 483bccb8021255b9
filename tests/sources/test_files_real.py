"""Every kind of local source on real files: values, georeferencing, windows, seasons."""

import re
import shutil
from dataclasses import replace
from datetime import date
from pathlib import Path

import netCDF4
import numpy as np
import pytest
import rasterio
import xarray as xr

from geocomiss.errors import GeocomissError, SeasonError, SourceError
from geocomiss.recipes import RECIPES
from geocomiss.seasons import Calendar, Cycle, add_months
from geocomiss.sources import open_source
from geocomiss.sources.acquisitions import AcquisitionsSource
from geocomiss.stack import bands_of, check_units, groups_of, origin_of, write_stack

YEAR_2021 = Calendar(date(2021, 1, 1), "month", 12)
FLANDERS = Calendar(date(2017, 11, 1), "month", 12)
LONG, SHORT = "aoi/hesbaye_2020-08_2022-03.nc", "aoi/hesbaye_2020-11_2021-10.nc"
TOGO, CROPLANDS = "aoi/98-togo_2019-02-06_2020-02-01.tif", "aoi/373-croplands_2016-02-07_2017-02-01.tif"
ALL = {LONG: YEAR_2021, SHORT: None, TOGO: None, CROPLANDS: None, "patches": FLANDERS}


def opened(shared: Path, name: str) -> tuple:
    source = open_source(str(shared / "data" / name))
    season = ALL[name] or source.held
    return source, season


@pytest.mark.parametrize("name", ALL)
def test_real_files_open_lazily_in_canonical_units(shared, name):
    source, season = opened(shared, name)
    stack = source.open(source.grid, season)
    assert all(v.chunks is not None for g in groups_of(stack).values() for v in g.data_vars.values())
    loaded = stack.compute()
    check_units(loaded)
    assert bands_of(loaded) == source.bands
    assert origin_of(loaded).calendar.months() == season.months()
    assert not origin_of(loaded).simulated
    assert "/" not in source.name


@pytest.mark.parametrize("name", ALL)
@pytest.mark.parametrize("window", [(0, 9, 0, 9), (5, 14, 3, 16), (1, 2, 4, 5)])
def test_every_window_holds_the_same_bits_as_the_whole(shared, name, window):
    source, season = opened(shared, name)
    top, bottom, left, right = window
    whole = groups_of(source.open(source.grid, season).compute())
    part = source.open(source.grid[top:bottom, left:right], season).compute()
    for modality, group in groups_of(part).items():
        expected = whole[modality]
        if expected.sizes["y"] > 1:
            expected = expected.isel(y=slice(top, bottom), x=slice(left, right))
        assert group.equals(expected), modality


@pytest.mark.parametrize(("name", "time"), [(LONG, 5), (SHORT, 0)])
def test_openeo_values_follow_the_documented_scaling(shared, name, time):
    source, season = opened(shared, name)
    groups = groups_of(source.open(source.grid, season).compute())
    raw = netCDF4.Dataset(shared / "data" / name)
    raw.set_auto_maskandscale(False)

    def stored(pattern: str) -> np.ndarray:
        (found,) = (v for v in raw.variables if re.fullmatch(pattern, v))
        array = np.asarray(raw[found][:])
        return array.view("u2")[time] if array.ndim == 3 else array.view("u2")

    red = stored("B4|S2-L2A-B04").astype(float)
    red[(red == 65535) | (red > 16000)] = np.nan
    np.testing.assert_array_equal(groups["optical"].B4.values[0], red.astype("f4"))
    vv = 20 * np.log10(stored("VV|S1-SIGMA0-VV").astype(float)) - 83
    np.testing.assert_allclose(groups["radar"].VV.values[0], vv, atol=1e-5)
    kelvin = stored("temperature_2m|AGERA5-TMEAN") / 100
    np.testing.assert_allclose(groups["weather"].temperature_2m.values[0], kelvin, rtol=1e-6)
    days = (add_months(season.start, 1) - season.start).days
    rain = stored("total_precipitation|AGERA5-PRECIP") / 1e5 / days
    np.testing.assert_allclose(groups["weather"].total_precipitation.values[0], rain, rtol=1e-6)
    np.testing.assert_array_equal(groups["topography"].elevation.values, stored("elevation"))
    x, y = np.asarray(raw["x"][:]), np.asarray(raw["y"][:])
    np.testing.assert_array_equal(groups["optical"].x, x)
    np.testing.assert_array_equal(groups["optical"].y, y)
    assert source.grid.crs == "EPSG:32631" and source.grid.resolution.x == 10


def test_openeo_states_what_it_knows(shared):
    source, _ = opened(shared, LONG)
    assert source.held == Calendar(date(2020, 8, 1), "month", 20)
    assert (source.recipe.s2_level, source.recipe.s1_product) == ("L2A", "sigma0")
    assert (source.recipe.weather_product, source.recipe.terrain_product) == ("AgERA5", "Copernicus DEM")
    assert "B8A" not in source.bands["optical"] and "NDVI" in source.bands["optical"]
    stack = source.open(source.grid, YEAR_2021)
    assert groups_of(stack)["optical"]["count"].attrs["count_kind"] == "composite"
    empty = groups_of(stack)["optical"].isel(time=0).compute()  # January 2021 was cloudy throughout
    assert np.isnan(empty.B2).all() and (empty["count"] == 0).all()


def test_slope_of_the_openeo_files_is_in_degrees(shared):
    for name in (LONG, SHORT):
        source, season = opened(shared, name)
        terrain = groups_of(source.open(source.grid, season).compute())["topography"]
        smooth = xr.DataArray(terrain.elevation).rolling(y=5, x=5, center=True).mean().values
        gy, gx = np.gradient(smooth, 10.0)
        steep = np.hypot(gx, gy)[8:-8, 8:-8]
        degrees, percent = np.degrees(np.arctan(steep)).mean(), 100 * steep.mean()
        stored = terrain.slope.values[8:-8, 8:-8].mean()
        assert abs(stored - degrees) < abs(stored - percent)


@pytest.mark.parametrize("name", [LONG, SHORT])
def test_a_season_that_openeo_does_not_hold_is_refused(shared, name):
    source, _ = opened(shared, name)
    with pytest.raises(SeasonError, match="2019"):
        source.open(source.grid, Calendar(date(2019, 1, 1), "month", 12))


@pytest.mark.parametrize("name", ["openeo_gfmap_cdse_sentinel1_grd.nc", "openeo_gfmap_cdse_sentinel2_l2a.nc"])
def test_single_dates_are_no_monthly_composites(shared, name):
    with pytest.raises(SourceError, match="single dates"):
        open_source(str(shared / "data/aoi" / name))


def test_a_folder_of_openeo_windows_is_composited(shared, tmp_path):
    for name in ("openeo_gfmap_cdse_sentinel1_grd.nc", "openeo_gfmap_cdse_sentinel2_l2a.nc"):
        shutil.copy(shared / "data/aoi" / name, tmp_path)
    source = open_source(str(tmp_path))
    stack = source.open(source.grid, Calendar(date(2023, 4, 1), "month", 1)).compute()
    check_units(stack)
    assert source.bands == {"optical": ("B4", "B8", "B11", "NDVI"), "radar": ("VV", "VH")}
    assert int(groups_of(stack)["radar"]["count"].min()) == 10


@pytest.mark.parametrize(
    ("name", "share", "start"), [(TOGO, 0.377, "2019-02-06"), (CROPLANDS, 0.391, "2016-02-07")]
)
def test_cropharvest_bands_come_from_their_places(shared, name, share, start):
    source, season = opened(shared, name)
    groups = groups_of(source.open(source.grid, season).compute())
    with rasterio.open(shared / "data" / name) as file:
        raw = file.read().astype("f4")
        assert source.grid.affine == file.transform and source.grid.crs == "EPSG:4326"
    for step in range(12):
        for band, at in (("VV", 0), ("VH", 1)):
            np.testing.assert_array_equal(groups["radar"][band][step], raw[17 * step + at])
        for band, at in (("B2", 3), ("B8A", 10), ("B9", 11), ("B12", 14)):
            np.testing.assert_array_equal(groups["optical"][band][step], raw[17 * step + at])
        np.testing.assert_array_equal(groups["weather"].total_precipitation[step], raw[17 * step + 16])
    np.testing.assert_array_equal(groups["topography"].slope, raw[205])
    assert float(np.isnan(groups["topography"].slope).mean()) == pytest.approx(share, abs=1e-3)
    b7, b3 = groups["optical"].B7, groups["optical"].B3
    np.testing.assert_allclose(groups["optical"].NDVI, (b7 - b3) / (b7 + b3), rtol=1e-5)
    assert source.held == Calendar(date.fromisoformat(start), "30d", 12)
    assert source.held.cycle() == RECIPES["cropharvest"].cycle
    assert source.recipe == RECIPES["cropharvest"]


def test_raw_acquisitions_without_dilation_equal_the_reference_cube(shared):
    folder = shared / "data/patches"
    source = AcquisitionsSource(folder, replace(RECIPES["monthly-l2a"], cloud_dilation=0.0))
    groups = groups_of(source.open(source.grid, FLANDERS).compute())
    with np.load(next(folder.glob("*.npz"))) as cube:
        names, valid = list(cube["bands"]), cube["valid"]
        want = np.where(valid, cube["X"], np.nan)
        np.testing.assert_array_equal(groups["optical"].x, cube["x"])
        np.testing.assert_array_equal(groups["optical"].y, cube["y"])
    for band in source.bands["optical"]:
        np.testing.assert_array_equal(groups["optical"][band], want[..., names.index(band)])
    for band in ("VV", "VH"):
        np.testing.assert_allclose(groups["radar"][band], want[..., names.index(band)], atol=1e-5)
    kelvin = want[:, 0, 0, names.index("temperature_2m")]
    np.testing.assert_allclose(groups["weather"].temperature_2m[:, 0, 0], kelvin, rtol=1e-6)
    days = np.diff(np.array(FLANDERS.edges(), "datetime64[D]")).astype(int)
    metres = want[:, 0, 0, names.index("total_precipitation")] / days
    np.testing.assert_allclose(groups["weather"].total_precipitation[:, 0, 0], metres, rtol=1e-5)


def test_raw_acquisitions_state_pass_loss_and_what_is_absent(shared):
    source, season = opened(shared, "patches")
    origin = origin_of(source.open(source.grid, season))
    assert origin.radar_pass == "ascending"
    (note,) = origin.notes
    assert re.fullmatch(r"growing clouds by 30 m removed \d+\.\d% of the clear observations", note)
    assert "topography" not in source.bands
    assert source.held == Calendar(date(2017, 8, 1), "month", 16)


def test_the_weather_cell_covers_the_patch(shared):
    from geocomiss.grid import cells_of
    from geocomiss.stack import grid_of_group

    source, season = opened(shared, "patches")
    weather = groups_of(source.open(source.grid, season))["weather"]
    cell = grid_of_group(weather)
    assert cell.shape == (1, 1) and cell.resolution.x == 1000
    assert cells_of(source.grid, cell)[1].all()


def test_raw_acquisitions_follow_the_recipe_of_a_cropharvest_model_in_what_can_be_chosen(shared):
    source = AcquisitionsSource(shared / "data/patches", RECIPES["cropharvest"])
    season = Cycle(2, "30d", 12).ending_in(2018)
    with pytest.raises(SeasonError):
        source.open(source.grid, season)  # begins in February 2017
    season = Calendar(date(2017, 11, 3), "30d", 12)
    groups = groups_of(source.open(source.grid, season).compute())
    assert np.isfinite(groups["optical"].B4.values).all()  # nothing is masked out
    assert (source.recipe.s2_level, source.recipe.ndvi) == ("L2A", "cropharvest")


@pytest.mark.parametrize("name", [LONG, TOGO, "patches"])
def test_a_stack_written_and_read_again_is_the_same(shared, tmp_path, name):
    source, season = opened(shared, name)
    stack = source.open(source.grid[2:11, 3:15], season)
    write_stack(stack, tmp_path / "s.zarr")
    again = open_source(str(tmp_path / "s.zarr"))
    assert (again.name, again.held, again.recipe) == (
        "stack s.zarr",
        origin_of(stack).calendar,
        source.recipe,
    )
    assert again.bands == source.bands and not again.simulated
    assert again.grid == source.grid[2:11, 3:15]
    loaded = again.open(again.grid, season)
    assert origin_of(loaded) == origin_of(stack)
    for modality, group in groups_of(stack.compute()).items():
        assert groups_of(loaded.compute())[modality].equals(group)


def cut_file(path: Path, target: Path, share: float) -> Path:
    content = path.read_bytes()
    target.write_bytes(content[: int(len(content) * share)])
    return target


@pytest.mark.parametrize("share", [0.002, 0.5, 0.98])
@pytest.mark.parametrize("name", [LONG, SHORT, TOGO, CROPLANDS])
def test_a_truncated_file_gives_one_clear_error(shared, tmp_path, name, share):
    path = cut_file(shared / "data" / name, tmp_path / Path(name).name, share)
    with pytest.raises(SourceError) as raised:
        source = open_source(str(path))
        source.open(source.grid, source.held).compute()
    assert path.name in str(raised.value) and "\n" not in str(raised.value)
    assert "truncated" in raised.value.todo


def test_a_truncated_acquisition_gives_one_clear_error(shared, tmp_path):
    for path in (shared / "data/patches").glob("S*.nc"):
        shutil.copy(path, tmp_path)
    victim = next(tmp_path.glob("S1*.nc"))
    cut_file(victim, victim, 0.6)
    with pytest.raises(SourceError, match="S1_GRD"):
        open_source(str(tmp_path))


@pytest.mark.parametrize("name", [LONG, TOGO])
def test_errors_inside_dask_tasks_are_ours(shared, tmp_path, name):
    path = tmp_path / Path(name).name
    shutil.copy(shared / "data" / name, path)
    source = open_source(str(path))
    stack = source.open(source.grid, source.held)
    cut_file(path, path, 0.3)  # the file breaks after it was opened
    with pytest.raises(GeocomissError, match=re.escape(path.name)):
        stack.compute(scheduler="threads")
