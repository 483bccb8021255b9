"""`geocomiss doctor`: what is found and said, and Earth Engine beside an export of the loopback scenes."""

import json
from datetime import date
from pathlib import Path
from typing import Any

import ee_local_best_pixel as local
import numpy as np
import pytest
import rasterio
from affine import Affine
from ee_scenes import catalogue, daily_weather, terrain_cells, weather_cells
from ee_server import EarthEngineServer
from numpy.typing import NDArray
from odc.geo.geobox import GeoBox
from typer.testing import CliRunner

from geocomiss.doctor import installation, machine
from geocomiss.seasons import Calendar
from geocomiss.sources.cropharvest import STATIC_BANDS, STEP_BANDS
from geocomiss_cli import main as entry

SEASON = Calendar(date(2021, 4, 1), "30d", 2)
SIZE = 8.983152841195215e-05
"""Degrees of ten metres, the pixels of an export."""
BOX = GeoBox((14, 10), Affine(SIZE, 0, 55_430 * SIZE, 0, -SIZE, 563_534 * SIZE), "EPSG:4326")
"""Whole cells of 20 m, on which quality is found: what a cut does to half a cell is not written down."""
NAME = "7-loop_2021-04-01_2021-05-31.tif"


def run(*arguments: str) -> Any:
    return CliRunner().invoke(entry.app, ["doctor", *arguments], env={"COLUMNS": "200"})


def live(server: EarthEngineServer, *more: str) -> Any:
    return run("--ee-live", "--ee-url", server.url, "--ee-credentials", "none", "--ee-project", "p", *more)


@pytest.fixture(scope="module")
def layers() -> dict[str, NDArray[np.float32]]:
    """What an exporter makes of the scenes, by name and step; its images cut to the box."""
    images, west, north = catalogue(), BOX.affine.c, BOX.affine.f
    cut = (west, north - BOX.height * SIZE, west + BOX.width * SIZE, north)
    bands = [name for name in STEP_BANDS if name.startswith("B") and name not in ("B1", "B10")]
    optical = local.optical(images, BOX, SEASON, bands, cut)
    radar = local.radar(images, BOX, SEASON, "ASCENDING")
    made = {name: optical[name].values for name in bands} | {n: radar[n].values for n in ("VV", "VH")}
    days, weather = daily_weather()
    for name, values in weather.items():
        months = [
            values[days.astype("datetime64[M]") == np.datetime64(m)].mean(0) for m in ("2021-04", "2021-05")
        ]
        seen = [np.isfinite(month) for month in months]
        made[name] = np.stack(
            [local.cell_of_each_pixel(m, s, weather_cells(), BOX) for m, s in zip(months, seen, strict=True)]
        )
    z, _, cells = images["USGS/SRTMGL1_003"].bands["elevation"]
    degree = 6_371_000 * np.pi / 180 / 3600
    lat = cells.affine.f + (np.arange(1, cells.height - 1) + 0.5) * cells.affine.e
    across = (z[1:-1, 2:] - z[1:-1, :-2].astype(float)) / (2 * degree * np.cos(np.radians(lat))[:, None])
    along = (z[:-2, 1:-1] - z[2:, 1:-1].astype(float)) / (2 * degree)
    slope = np.pad(np.degrees(np.arctan(np.hypot(across, along))), 1, constant_values=np.nan)
    for name, heights in (("elevation", z), ("slope", slope)):
        made[name] = local.cell_of_each_pixel(heights, np.isfinite(heights), terrain_cells(), BOX)[None]
    made["slope"][:, :, 0] = np.nan  # the outer ring of an export
    return made


def written(path: Path, layers: dict[str, NDArray[np.float32]]) -> Path:
    nothing = np.zeros((2, *BOX.shape), np.float32)
    bands = [(f"{n}_{t}" if t else n, layers.get(n, nothing)[t]) for t in range(2) for n in STEP_BANDS]
    bands += [(name, layers[name][0]) for name in STATIC_BANDS]
    form = {"driver": "GTiff", "dtype": "float64", "count": len(bands), "crs": "EPSG:4326"}
    with rasterio.open(path, "w", height=BOX.height, width=BOX.width, transform=BOX.affine, **form) as file:
        for number, (name, values) in enumerate(bands, 1):
            file.write(values, number)
            file.set_band_description(number, name)
    return path


def test_earth_engine_agrees_with_an_export_of_its_scenes(
    server: EarthEngineServer, tmp_path: Path, layers: dict[str, NDArray[np.float32]]
) -> None:
    path = written(tmp_path / NAME, layers)
    done = live(server, "--against", str(path), "--json")
    assert done.exit_code == 0, done.output
    told = json.loads(done.output)["comparison"]
    assert told["radar_pass"] == "asc" and told["pixels"] == 140 and told["steps"] == 2 and told["agrees"]
    bands = {each["band"]: each for each in told["bands"]}
    assert list(bands) == [
        *("VV", "VH", "B2", "B3", "B4", "B5", "B6", "B7", "B8", "B8A", "B9", "B11", "B12"),
        *("temperature_2m", "total_precipitation", "elevation", "slope"),
    ]
    assert all(each["share"] == 1 and each["only_export"] == 0 for each in told["bands"])
    assert bands["B2"]["largest"] == 0 and bands["slope"]["values"] == 14 * 9

    swapped = layers | {"B8": layers["B11"], "VV": layers["VV"] + 1}
    done = live(server, "--against", str(written(path, swapped)))
    assert done.exit_code == 1 and "Other values in VV, B8:" in done.output
    assert "please report this table" in done.output


def test_what_is_no_export_is_refused_and_a_comparison_needs_the_network(
    server: EarthEngineServer, tmp_path: Path
) -> None:
    (tmp_path / "no.tif").write_text("nothing")
    for path in (tmp_path / "no.tif", tmp_path / "gone.tif"):
        done = live(server, "--against", str(path))
        assert "CropHarvest's format" in str(done.exception)
    assert run("--against", str(tmp_path / NAME)).exit_code == 2


def test_earth_engine_that_does_not_answer_is_said(server: EarthEngineServer) -> None:
    assert "project p answers in" in live(server).output
    server.set(faults=[{"path": "value:compute", "status": 403, "text": "permission denied", "times": 9}])
    done = live(server)
    assert done.exit_code == 1 and "Earth Engine Resource Viewer" in done.output


def test_everything_in_place_is_said_without_a_secret(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(Path, "home", lambda: tmp_path)
    monkeypatch.delenv(machine.PROJECT, raising=False)
    monkeypatch.delenv(machine.KEY, raising=False)
    done = run("--folder", str(tmp_path))
    assert done.exit_code == 0, done.output
    for words in ("GDAL 3", "a known point is where", "threads on", "bfloat16", "CUDA", "GB free", "memory"):
        assert words in done.output, words
    assert "no credentials" in done.output and "earthengine authenticate" in done.output
    login = tmp_path / machine.LOGIN
    login.parent.mkdir(parents=True)
    login.write_text('{"refresh_token": "secret-42"}')
    monkeypatch.setenv(machine.PROJECT, "secret-project")
    done = run("--folder", str(tmp_path), "--json")
    (found,) = [each for each in json.loads(done.output)["findings"] if each["what"] == "Earth Engine"]
    assert found["level"] == "fine" and "a login of `earthengine authenticate`" in found["found"]
    assert "secret" not in done.output
    monkeypatch.setenv(machine.KEY, str(tmp_path / "gone.json"))
    assert "correct GOOGLE_APPLICATION_CREDENTIALS" in run("--folder", str(tmp_path)).output


def test_what_options_give_is_not_missed(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, server: EarthEngineServer
) -> None:
    monkeypatch.setattr(Path, "home", lambda: tmp_path)
    monkeypatch.delenv(machine.PROJECT, raising=False)
    monkeypatch.setenv(machine.KEY, str(tmp_path / "gone.json"))
    (tmp_path / "key.json").write_text("{}")

    def found(*arguments: str) -> tuple[str, str]:
        told = json.loads(run("--folder", str(tmp_path), "--json", *arguments).output)["findings"]
        (each,) = [each for each in told if each["what"] == "Earth Engine"]
        return each["level"], each["found"]

    given = ("--ee-live", "--ee-url", server.url, "--ee-credentials", "none", "--ee-project", "p")
    assert found(*given) == ("fine", "no credentials wanted (--ee-credentials none); --ee-project is given")
    key = ("--ee-credentials", str(tmp_path / "key.json"))
    assert found(*key) == ("note", f"the key file of --ee-credentials; {machine.PROJECT} is not set")
    assert found("--ee-project", "p")[0] == "note", "a key that is not there is said still"


def test_what_is_wrong_is_named_with_what_to_do(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(installation, "requires", lambda name: ["numpy>=999", "nowhere>=1", "torch>=2"])
    monkeypatch.setattr(installation, "PROJECTED", (500_001.0, 0.0))
    monkeypatch.setattr(machine, "LITTLE_MEMORY", 1e9)
    monkeypatch.setenv("PROJ_LIB", "/elsewhere")
    done = run("--folder", str(tmp_path / "gone"))
    assert done.exit_code == 1
    for words in (
        "numpy is ",
        "nowhere is missing",
        "unset PROJ_LIB",
        "choose another --folder",
        "smaller --tile",
    ):
        assert words in done.output, words
