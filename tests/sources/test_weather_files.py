"""Weather from a user's file: days made of hours as each product counts them, units, names, gaps."""

from datetime import date
from pathlib import Path

import numpy as np
import pytest
import xarray as xr
from affine import Affine
from odc.geo.geobox import GeoBox

from geocomiss.errors import SourceError
from geocomiss.grid import cells_of
from geocomiss.seasons import Calendar
from geocomiss.sources import open_source
from geocomiss.sources.weather import WeatherSource
from geocomiss.stack import check_units, groups_of, origin_of

GRID = GeoBox((40, 30), Affine(10, 0, 640_000, 0, -10, 5_610_000), "EPSG:32631")  # 4.98 E, 50.63 N
MAY = Calendar(date(2021, 5, 1), "month", 1)
SPRING = Calendar(date(2021, 4, 1), "month", 3)


def hours(first: str = "2021-04-30", last: str = "2021-06-02") -> np.ndarray:
    return np.arange(first, last, np.timedelta64(1, "h"), dtype="datetime64[h]").astype("datetime64[ns]")


def file(
    times: np.ndarray, size: float, temperature: np.ndarray, rain: np.ndarray, east: float = 0.0, **names: str
) -> xr.Dataset:
    """The same series in 7 x 7 cells around the area; the temperature 1 K warmer a cell to the north."""
    latitude = np.round(50.6 - size * 3 + size * np.arange(7), 4)
    longitude = np.round(5.0 - size * 3 + size * np.arange(7), 4) % 360 + east
    warm = temperature[:, None, None] + np.arange(7)[None, :, None] + np.zeros((1, 1, 7))
    wet = np.broadcast_to(rain[:, None, None], warm.shape)
    dims = (names.get("time", "valid_time"), "latitude", "longitude")
    coords = dict(zip(dims, (times, latitude, longitude), strict=True))
    data = xr.Dataset({"t2m": (dims, warm), "tp": (dims, wet)}, coords=coords)
    data.t2m.attrs["units"], data.tp.attrs["units"] = names.get("kelvin", "K"), names.get("metres", "m")
    return data


def weather(path: Path, season: Calendar = MAY) -> xr.Dataset:
    stack = WeatherSource(path).open(GRID, season).compute()
    check_units(stack)
    return groups_of(stack)["weather"]


def amounts(times: np.ndarray) -> np.ndarray:
    """Rain of the hour that ends at each time: another amount each day."""
    return (times - np.timedelta64(1, "h")).astype("datetime64[D]").astype(int) % 7 * 1e-4


def test_era5_hours_are_summed_and_stamped_at_their_end(tmp_path: Path) -> None:
    times = hours()
    file(times, 0.25, np.full(times.size, 280.0), amounts(times)).to_netcdf(tmp_path / "era5.nc")
    found = weather(tmp_path / "era5.nc")
    days = np.arange("2021-05-01", "2021-06-01", dtype="datetime64[D]").astype(int) % 7 * 1e-4 * 24
    assert found.total_precipitation.values[0, 0, 0] == pytest.approx(days.mean(), rel=1e-5)
    assert int(found["count"].max()) == 31
    assert WeatherSource(tmp_path / "era5.nc").recipe.weather_product == "ERA5"


def test_era5_land_is_accumulated_since_midnight(tmp_path: Path) -> None:
    times = hours()
    hour = (times - times.astype("datetime64[D]")).astype("timedelta64[h]").astype(int)
    total = amounts(times) * np.where(hour == 0, 24, hour)
    file(times, 0.1, np.full(times.size, 280.0), total).to_netcdf(tmp_path / "land.nc")
    found = weather(tmp_path / "land.nc")
    days = np.arange("2021-05-01", "2021-06-01", dtype="datetime64[D]").astype(int) % 7 * 1e-4 * 24
    assert found.total_precipitation.values[0, 0, 0] == pytest.approx(days.mean(), rel=1e-5)
    assert WeatherSource(tmp_path / "land.nc").recipe.weather_product == "ERA5-Land"


def test_daily_millimetres_and_celsius_in_zarr(tmp_path: Path) -> None:
    times = np.arange("2021-05-01", "2021-06-01", dtype="datetime64[D]").astype("datetime64[ns]")
    data = file(times, 0.1, np.arange(31.0), np.full(31, 3.0), kelvin="degC", metres="mm", time="time")
    data.to_zarr(tmp_path / "daily.zarr")
    found = weather(tmp_path / "daily.zarr")
    assert found.total_precipitation.values.ravel()[0] == pytest.approx(0.003)
    assert 273.15 + 15 < found.temperature_2m.values.min() < found.temperature_2m.values.max() < 273.15 + 22


def test_monthly_means_hold_for_every_day_and_a_month_not_there_is_missing(tmp_path: Path) -> None:
    times = np.array(["2021-04-01", "2021-05-01"], "datetime64[ns]")
    file(times, 0.1, np.array([281.0, 285.0]), np.array([0.001, 0.002])).to_netcdf(tmp_path / "monthly.nc")
    source = WeatherSource(tmp_path / "monthly.nc")
    stack = source.open(GRID, SPRING).compute()
    found = groups_of(stack)["weather"]
    np.testing.assert_allclose(found.total_precipitation.values[:, 0, 0], [0.001, 0.002, np.nan])
    assert found["count"].values[:, 0, 0].tolist() == [30, 31, 0]
    assert any("no day of 1 of 3 steps" in note for note in origin_of(stack).notes)


@pytest.mark.parametrize("east", [0.0, 360.0])
def test_each_pixel_takes_the_cell_it_lies_in_however_longitudes_are_counted(
    tmp_path: Path, east: float
) -> None:
    times = np.arange("2021-05-01", "2021-06-01", dtype="datetime64[D]").astype("datetime64[ns]")
    data = file(times, 0.1, np.full(31, 280.0), np.zeros(31))
    data = data.assign_coords(longitude=data.longitude - 5.1 + east)
    data.to_netcdf(tmp_path / "w.nc")
    box = GeoBox((4, 4), Affine(0.001, 0, -0.05, 0, -0.001, 50.65), "EPSG:4326")
    group = groups_of(WeatherSource(tmp_path / "w.nc").open(box, MAY).compute())["weather"]
    from geocomiss.stack import grid_of_group

    at, within = cells_of(box, grid_of_group(group))
    assert within.all()
    assert set(group.temperature_2m.values[0].ravel()[at].ravel()) == {283.0}, "the cell around 50.6 N"


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda data: data.drop_vars(["t2m", "tp"]).assign(wind=data.t2m), "t2m"),
        (lambda data: data.assign_coords(latitude=data.latitude - 30), "no cell around latitude"),
        (lambda data: data.assign_coords(valid_time=data.valid_time - np.timedelta64(900, "D")), "no day of"),
        (lambda data: data.assign(tp=data.tp.assign_attrs(units="kg m**-2 s**-1")), "kg m"),
        (lambda data: data.assign(t2m=data.t2m.assign_attrs(units="F")), "'f'"),
        (lambda data: data.isel(valid_time=[0]), "1 moments in time"),
    ],
)
def test_what_does_not_fit_is_said_in_words(tmp_path: Path, change: object, words: str) -> None:
    times = np.arange("2021-05-01", "2021-06-01", dtype="datetime64[D]").astype("datetime64[ns]")
    change(file(times, 0.1, np.full(31, 280.0), np.zeros(31))).to_netcdf(tmp_path / "w.nc")  # type: ignore[operator]
    with pytest.raises(SourceError, match=words):
        WeatherSource(tmp_path / "w.nc").open(GRID, MAY)


def test_damaged_files_are_said_in_words(tmp_path: Path) -> None:
    (tmp_path / "a.nc").write_bytes(b"CDF....")
    for name, words in (("a.nc", "cannot be read"), ("b.nc", "does not exist")):
        with pytest.raises(SourceError, match=words):
            WeatherSource(tmp_path / name)


def test_weather_joins_any_source(tmp_path: Path) -> None:
    times = np.arange("2021-05-01", "2021-06-01", dtype="datetime64[D]").astype("datetime64[ns]")
    file(times, 0.1, np.full(31, 280.0), np.zeros(31)).to_netcdf(tmp_path / "w.nc")
    source = open_source(f"radar=simulated,weather={tmp_path / 'w.nc'}")
    assert set(source.bands) == {"radar", "weather"} and not source.simulated
    stack = source.open(GRID, MAY).compute()
    assert float(groups_of(stack)["weather"].temperature_2m.max()) < 290
    assert origin_of(stack).recipe.weather_product == "ERA5-Land"
