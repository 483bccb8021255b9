"""GRIB as the Climate Data Store delivers it gives the weather that the same data give as NetCDF."""

import sys
from collections.abc import Callable
from datetime import date
from pathlib import Path

import numpy as np
import pytest
import xarray as xr
from affine import Affine
from odc.geo.geobox import GeoBox
from typer.testing import CliRunner

from geocomiss.errors import SourceError
from geocomiss.seasons import Calendar
from geocomiss.sources.weather import WeatherSource
from geocomiss.stack import check_units, grid_of_group, groups_of
from geocomiss_cli.main import app

eccodes = pytest.importorskip("eccodes")
pytest.importorskip("cfgrib")

GRID = GeoBox((40, 30), Affine(10, 0, 640_000, 0, -10, 5_610_000), "EPSG:32631")  # 4.98 E, 50.63 N
MAY = Calendar(date(2021, 5, 1), "month", 1)
START = np.datetime64("2021-05-29T00", "h")
DAYS = 3
HOURS = 24 * DAYS
"""The last days of May are all that files hold."""
CELLS = 5
T2M, TP = 167, 228


def temperature(moment: np.datetime64) -> np.ndarray:
    return 280 + 5 * np.sin(moment.astype("datetime64[h]").astype(int) / 24) + np.arange(CELLS**2)


def rain(end: np.datetime64) -> np.ndarray:
    """Metres in the hour that ends at `end`."""
    return np.full(CELLS**2, 1e-4 * ((end - 1).astype(int) % 5))


def message(name: int, base: np.datetime64, steps: tuple[int, int], values: np.ndarray, size: float) -> bytes:
    """A field of a forecast or, of step 0, of an analysis."""
    handle = eccodes.codes_grib_new_from_samples("regular_ll_sfc_grib1")
    day, hour = (
        str(base.astype("datetime64[D]")).replace("-", ""),
        base.astype("datetime64[h]").astype(int) % 24,
    )
    half = size * (CELLS - 1) / 2
    told = {
        "centre": "ecmf", "Ni": CELLS, "Nj": CELLS, "dataDate": int(day), "dataTime": int(hour) * 100,
        "latitudeOfFirstGridPointInDegrees": 50.6 + half, "latitudeOfLastGridPointInDegrees": 50.6 - half,
        "longitudeOfFirstGridPointInDegrees": 5 - half, "longitudeOfLastGridPointInDegrees": 5 + half,
        "iDirectionIncrementInDegrees": size, "jDirectionIncrementInDegrees": size, "bitsPerValue": 24,
        "paramId": name, "stepType": "accum" if name == TP else "instant",
    }  # fmt: skip
    for key, value in told.items():
        eccodes.codes_set(handle, key, value)
    eccodes.codes_set(handle, "startStep", steps[0])
    eccodes.codes_set(handle, "endStep", steps[1])
    eccodes.codes_set_values(handle, values)
    content: bytes = eccodes.codes_get_message(handle)
    eccodes.codes_release(handle)
    return content


def era5(path: Path) -> Path:
    """Temperature analysed each hour, rain of the hours 1 to 12 of forecasts at 6 and 18 o'clock."""
    content = [message(T2M, START + hour, (0, 0), temperature(START + hour), 0.25) for hour in range(HOURS)]
    for base in START - 6 + 12 * np.arange(2 * DAYS + 1):
        hours = [hour for hour in range(1, 13) if START < base + hour <= START + HOURS]
        content += [message(TP, base, (hour - 1, hour), rain(base + hour), 0.25) for hour in hours]
    path.write_bytes(b"".join(content))
    return path


def era5_land(path: Path) -> Path:
    """All of a day as steps 1 to 24 of a forecast at midnight, rain summed since then."""
    content = [message(T2M, START - 24, (24, 24), temperature(START), 0.1)]
    for base in START + 24 * np.arange(DAYS):
        total = np.zeros(CELLS**2)
        for hour in range(1, 25):
            total = total + rain(base + hour)
            content.append(message(TP, base, (0, hour), total, 0.1))
            if base + hour < START + HOURS:
                content.append(message(T2M, base, (hour, hour), temperature(base + hour), 0.1))
    path.write_bytes(b"".join(content))
    return path


def slowly() -> tuple[np.ndarray, float]:
    """Temperature by cell, north first, and rain a day, from the hours themselves."""
    warm = np.mean([temperature(START + hour) for hour in range(HOURS)], axis=0)
    wet = sum(rain(START + hour)[0] for hour in range(1, HOURS + 1)) / DAYS
    return warm.reshape(CELLS, CELLS), float(wet)


@pytest.mark.parametrize(("write", "product", "size"), [(era5, "ERA5", 0.25), (era5_land, "ERA5-Land", 0.1)])
def test_grib_is_read_as_the_hours_it_holds(
    write: Callable[[Path], Path], product: str, size: float, tmp_path: Path
) -> None:
    path = write(tmp_path / "weather.data")  # known by its content
    source = WeatherSource(path)
    assert source.recipe.weather_product == product
    stack = source.open(GRID, MAY).compute()
    check_units(stack)
    held = groups_of(stack)["weather"].isel(time=0)
    assert (held["count"] == DAYS).all()
    warm, wet = slowly()
    corner = grid_of_group(groups_of(stack)["weather"]).affine
    row = round((50.6 + size * (CELLS / 2) - corner.f) / size)
    col = round((corner.c - (5 - size * (CELLS / 2))) / size)
    wanted = warm[row : row + held.y.size, col : col + held.x.size]
    np.testing.assert_allclose(held.temperature_2m.values, wanted, atol=2e-3)
    np.testing.assert_allclose(held.total_precipitation.values, wet, rtol=1e-4)
    assert [each.name for each in tmp_path.iterdir()] == [path.name], "no index beside a user's file"


@pytest.mark.parametrize("content", [b"GRIB....7777", b"GRIB", 3000, 200], ids=str)
def test_damaged_grib_is_said_in_words(content: bytes | int, tmp_path: Path) -> None:
    path = era5(tmp_path / "era5.grib")
    path.write_bytes(path.read_bytes()[:content] if isinstance(content, int) else content)
    with pytest.raises(SourceError, match=r"era5.grib"):
        WeatherSource(path)


def test_without_cfgrib_its_extra_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "cfgrib", None)
    with pytest.raises(SourceError, match=r'pip install "geocomiss\[grib\]"'):
        WeatherSource(era5(tmp_path / "era5.grib"))


def test_a_map_takes_its_weather_from_grib(tmp_path: Path) -> None:
    path = era5_land(tmp_path / "land.grib")
    box = GRID.extent.to_crs("EPSG:4326").boundingbox
    command = ["fetch", "--source", f"radar=simulated,weather={path}", "--season", "2021-05:2021-05"]
    asked = [*command, "--aoi", ",".join(map(str, box.bbox)), "--out", str(tmp_path / "s.zarr")]
    done = CliRunner().invoke(app, asked)
    assert done.exit_code == 0, done.output
    with xr.open_zarr(tmp_path / "s.zarr", group="weather") as held:
        assert float(held.total_precipitation.max()) == pytest.approx(slowly()[1], rel=1e-4)
