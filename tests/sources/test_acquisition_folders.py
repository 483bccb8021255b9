"""Folders of raw acquisitions made on the spot: grids, passes, terrain, damage."""

from datetime import date
from pathlib import Path

import numpy as np
import pytest
import rasterio
import xarray as xr

from geocomiss.composite import slope_of
from geocomiss.errors import SeasonError, SourceError
from geocomiss.recipes import RECIPES
from geocomiss.seasons import Calendar
from geocomiss.sources import open_source
from geocomiss.sources.acquisitions import AcquisitionsSource
from geocomiss.stack import groups_of, origin_of

SEASON = Calendar(date(2021, 3, 1), "month", 2)
DAYS = np.arange("2021-03-02", "2021-04-30", 4, dtype="datetime64[D]").astype("datetime64[ns]")
LEFT, TOP = 600000.0, 5500000.0


def grid(rows: int, cols: int, pixel: float, left: float = LEFT, top: float = TOP) -> dict[str, np.ndarray]:
    return {"y": top - pixel * (np.arange(rows) + 0.5), "x": left + pixel * (np.arange(cols) + 0.5)}


def write(
    path: Path, bands: dict[str, np.ndarray], where: dict, times=DAYS, crs="EPSG:32631", **attrs
) -> Path:
    dims = ("timestamp", "y", "x") if times is not None else ("y", "x")
    coords = where | ({"timestamp": times} if times is not None else {})
    dataset = xr.Dataset({n: (dims, a) for n, a in bands.items()}, coords=coords, attrs=attrs)
    dataset["spatial_ref"] = ((), 0, {"crs_wkt": crs})
    for name, array in bands.items():
        if array.dtype == np.uint16:
            dataset[name].attrs |= {"scale_factor": 1e-4, "_FillValue": np.uint16(0)}
        if array.dtype == np.int32:
            dataset[name].attrs |= {"scale_factor": 1e-4, "_FillValue": np.int32(0)}
    dataset.to_netcdf(path)
    return path


def write_optical(folder: Path, seed: int = 0, scl: bool = True, **changes) -> None:
    rng = np.random.default_rng(seed)
    fine = {n: rng.integers(1, 9000, (DAYS.size, 20, 24)).astype("u2") for n in ("B02", "B04", "B08")}
    coarse = {"B05": rng.integers(1, 9000, (DAYS.size, 10, 12)).astype("u2")}
    if scl:
        share = [0.02, 0.03, 0.9, 0.03, 0.02]
        coarse["SCL"] = rng.choice([0, 3, 4, 9, 11], p=share, size=(DAYS.size, 10, 12)).astype("u1")
    write(folder / "a_10m.nc", fine, grid(20, 24, 10), **changes)
    write(folder / "a_20m.nc", coarse, grid(10, 12, 20), **changes)


def write_radar(folder: Path, name: str, level: int, times=DAYS) -> None:
    rng = np.random.default_rng(abs(level))
    shape = (times.size, 10, 12)
    bands = {n: (rng.normal(level, 1, shape) * 1e4).astype("i4") for n in ("VV", "VH")}
    write(folder / f"S1-{name}.nc", bands, grid(10, 12, 20), times)


def opened(folder: Path) -> tuple[AcquisitionsSource, dict[str, xr.Dataset]]:
    source = open_source(str(folder))
    assert isinstance(source, AcquisitionsSource)
    return source, groups_of(source.open(source.grid, SEASON).compute())


def test_coarse_bands_keep_their_values_on_the_fine_grid(tmp_path):
    write_optical(tmp_path)
    source = AcquisitionsSource(tmp_path, RECIPES["cropharvest"])  # takes whole observations
    optical = groups_of(source.open(source.grid, SEASON).compute())["optical"]
    assert (source.grid.shape, source.grid.resolution.x) == ((20, 24), 10)
    coarse = optical.B05 if "B05" in optical else optical.B5
    blocks = coarse.values.reshape(2, 10, 2, 12, 2)
    same = np.isclose(blocks, blocks[:, :, :1, :, :1]) | np.isnan(blocks)
    assert same.all()


def test_every_window_equals_the_whole_wherever_clouds_lie(tmp_path):
    write_optical(tmp_path, seed=3)
    write_radar(tmp_path, "ASCENDING", -12)
    source, groups = opened(tmp_path)
    for top, left in ((0, 0), (3, 5), (11, 13), (16, 20)):
        part = groups_of(source.open(source.grid[top : top + 4, left : left + 4], SEASON).compute())
        for name in ("optical", "radar"):
            whole = groups[name].isel(y=slice(top, top + 4), x=slice(left, left + 4))
            assert part[name].equals(whole)
    assert 0.05 < float((groups["optical"]["count"] == 0).mean()) < 0.95


def test_the_pass_with_more_dates_is_taken_and_the_other_named(tmp_path):
    write_radar(tmp_path, "DESCENDING", -8, DAYS[::3])
    write_radar(tmp_path, "ASCENDING", -15)
    source, groups = opened(tmp_path)
    origin = origin_of(source.open(source.grid, SEASON))
    assert origin.radar_pass == "ascending"
    assert origin.notes == ("only ascending radar passes are used, not the descending ones",)
    assert float(groups["radar"].VV.max()) < -11
    assert set(groups) == {"radar"}


def test_a_pass_in_two_files_is_joined(tmp_path):
    write_radar(tmp_path, "ASCENDING_one", -15, DAYS[:5])
    write_radar(tmp_path, "ASCENDING_two", -15, DAYS[5:])
    _, groups = opened(tmp_path)
    assert int(groups["radar"]["count"].sum("time").min()) == DAYS.size


def plane(rows: int, cols: int, pixel: float) -> np.ndarray:
    y, x = np.mgrid[:rows, :cols]
    return (100 + pixel * (0.1 * x + 0.05 * y)).astype("f4")


def test_slope_is_computed_on_the_grid_of_the_elevation_model(tmp_path):
    write_radar(tmp_path, "ASCENDING", -12)
    write(tmp_path / "dem.nc", {"elevation": plane(12, 14, 30)}, grid(12, 14, 30, LEFT - 90, TOP + 90), None)
    source, groups = opened(tmp_path)
    terrain = groups["topography"]
    assert source.bands["topography"] == ("elevation", "slope")
    np.testing.assert_allclose(terrain.slope, np.degrees(np.arctan(np.hypot(0.1, 0.05))), rtol=1e-5)
    # bilinear: a plane stays a plane
    np.testing.assert_allclose(np.diff(terrain.elevation, axis=1), 0.1 * 20, rtol=1e-3)
    for top, left in ((0, 0), (4, 6)):
        part = groups_of(source.open(source.grid[top : top + 3, left : left + 3], SEASON).compute())
        assert part["topography"].equals(terrain.isel(y=slice(top, top + 3), x=slice(left, left + 3)))


def test_terrain_of_a_longitude_latitude_geotiff_is_in_metres(tmp_path):
    write_radar(tmp_path, "ASCENDING", -12)
    cell = 1 / 3600
    lon, lat = 4.375, 49.655
    _, cols = np.mgrid[:80, :80]
    with rasterio.open(
        tmp_path / "srtm_dem.tif",
        "w",
        driver="GTiff",
        width=80,
        height=80,
        count=1,
        dtype="float32",
        crs="EPSG:4326",
        transform=rasterio.Affine(cell, 0, lon, 0, -cell, lat),
    ) as file:
        file.write((5.0 * cols).astype("f4"), 1)
    source, groups = opened(tmp_path)
    metres = 111_320 * cell * np.cos(np.radians(49.65))
    assert source.recipe.terrain_product == "SRTM"
    slope = groups["topography"].slope.values
    np.testing.assert_allclose(slope, np.degrees(np.arctan(5 / metres)), rtol=2e-3)


def test_pixels_beyond_the_elevation_model_have_no_topography(tmp_path):
    write_radar(tmp_path, "ASCENDING", -12)
    write(tmp_path / "dem.nc", {"elevation": plane(5, 5, 20)}, grid(5, 5, 20), None)
    _, groups = opened(tmp_path)
    expected = np.zeros((10, 12), bool)
    expected[:5, :5] = True
    np.testing.assert_array_equal(np.isfinite(groups["topography"].elevation), expected)
    expected[:] = False
    expected[1:4, 1:4] = True  # the outer ring has no slope
    np.testing.assert_array_equal(np.isfinite(groups["topography"].slope), expected)
    slow = slope_of(xr.DataArray(plane(5, 5, 20), dims=("y", "x")), 20.0, 20.0)
    np.testing.assert_array_equal(groups["topography"].slope[:5, :5], slow)


def test_dates_that_one_file_lacks_are_missing_in_its_bands_only(tmp_path):
    write_optical(tmp_path)
    with xr.open_dataset(tmp_path / "a_10m.nc", mask_and_scale=False) as dataset:
        shorter = dataset.isel(timestamp=slice(0, 3)).load()
    shorter.to_netcdf(tmp_path / "a_10m.nc")
    _, groups = opened(tmp_path)
    assert np.isnan(groups["optical"].B2[1]).all()
    assert np.isfinite(groups["optical"].B5[1]).any()


def test_optical_images_without_scene_classification_are_refused(tmp_path):
    write_optical(tmp_path, scl=False)
    with pytest.raises(SourceError, match="SCL"):
        open_source(str(tmp_path))


def test_two_places_in_one_folder_are_refused(tmp_path):
    write_optical(tmp_path, location_id="A")
    rng = np.random.default_rng(0)
    red = {"B04": rng.integers(1, 9, (DAYS.size, 4, 4)).astype("u2")}
    path = write(tmp_path / "b.nc", red, grid(4, 4, 10), location_id="B")
    with pytest.raises(SourceError, match="2 places"):
        open_source(str(tmp_path))
    path.unlink()
    path = write(tmp_path / "c.nc", red, grid(4, 4, 10, left=LEFT + 5e4))
    with pytest.raises(SourceError, match="do not overlap"):
        open_source(str(tmp_path))
    path.unlink()
    write(tmp_path / "d.nc", red, grid(4, 4, 10), crs="EPSG:32632")
    with pytest.raises(SourceError, match="EPSG:32631 and EPSG:32632"):
        open_source(str(tmp_path))


def test_one_file_of_a_folder_is_answered_with_the_way_out(tmp_path):
    write_radar(tmp_path, "ASCENDING", -12)
    with pytest.raises(SourceError, match="give the folder"):
        open_source(str(next(tmp_path.glob("S1*.nc"))))


def test_files_that_are_none_of_these_are_left_alone(tmp_path):
    write_radar(tmp_path, "ASCENDING", -12)
    write(tmp_path / "OUTPUT.nc", {"CT": np.ones((10, 12), "u2")}, grid(10, 12, 20), None)
    (tmp_path / "notes.txt").write_text("x")
    np.savez(tmp_path / "cube.npz", x=np.zeros(3))
    (tmp_path / "sub").mkdir()
    assert open_source(str(tmp_path)).bands == {"radar": ("VV", "VH")}


def test_a_season_outside_the_acquisitions_is_refused_and_the_future_is_missing(tmp_path, monkeypatch):
    write_radar(tmp_path, "ASCENDING", -12)
    source, _ = opened(tmp_path)
    assert source.held == SEASON
    with pytest.raises(SeasonError, match="2021-03-01"):
        source.open(source.grid, Calendar(date(2021, 2, 1), "month", 2))
    monkeypatch.setattr("geocomiss.stack.season.today", lambda: date(2021, 4, 30))
    stack = source.open(source.grid, Calendar(date(2021, 4, 1), "month", 3)).compute()
    radar = groups_of(stack)["radar"]
    assert np.isfinite(radar.VV[:, 0, 0]).values.tolist() == [True, False, False]
    assert radar["count"][:, 0, 0].values.tolist()[1:] == [0, 0]


@pytest.mark.parametrize("attrs", [{"resolution": 1000}, {}])
def test_one_weather_cell_needs_its_resolution(tmp_path, attrs):
    write_radar(tmp_path, "ASCENDING", -12)
    days = np.arange("2021-03-01", "2021-05-01", dtype="datetime64[D]").astype("datetime64[ns]")
    weather = {
        "temperature_mean": np.full((days.size, 1, 1), 284.0, "f4"),
        "precipitation_flux": np.full((days.size, 1, 1), 2.5, "f4"),
    }
    write(tmp_path / "weather.nc", weather, grid(1, 1, 1000), days, **attrs)
    source = open_source(str(tmp_path))
    if not attrs:
        with pytest.raises(SourceError, match="resolution"):
            source.open(source.grid, SEASON)
        return
    group = groups_of(source.open(source.grid, SEASON).compute())["weather"]
    assert group.temperature_2m.values.tolist() == [[[284.0]], [[284.0]]]
    np.testing.assert_allclose(group.total_precipitation, 0.0025, rtol=1e-6)
    assert group["count"][:, 0, 0].values.tolist() == [31, 30]
