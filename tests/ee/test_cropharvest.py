"""Recipe `cropharvest` on Earth Engine: its steps are those of the data set, compared with obvious code."""

import json
from dataclasses import replace
from datetime import date
from pathlib import Path
from typing import Any

import ee
import ee_local_best_pixel as local
import numpy as np
import pytest
import rasterio
import shapely
import xarray as xr
from affine import Affine
from ee_evaluator import Evaluator, Image, Stored
from ee_scenes import GRID, catalogue, daily_weather, terrain_cells, weather_cells
from ee_server import EarthEngineServer
from odc.geo.geobox import GeoBox
from small_cropharvest import array, point, write_h5, write_labels
from typer.testing import CliRunner

from geocomiss.composite import composite_weather, ndvi
from geocomiss.errors import RecipeError
from geocomiss.recipes import RECIPES
from geocomiss.seasons import Calendar
from geocomiss.sources import terrain
from geocomiss.sources.base import EarthEngine, Reading
from geocomiss.sources.cropharvest import CropHarvestSource
from geocomiss.sources.ee import season
from geocomiss.sources.ee.client import Client
from geocomiss.sources.ee.graph.best_pixel import cloud_score, shadow_score
from geocomiss.sources.ee.listing import Acquisition
from geocomiss.sources.ee.season import near_middle
from geocomiss.sources.ee.source import EarthEngineSource
from geocomiss.sources.ee.tables import CODINGS, S2_L1C_BANDS
from geocomiss.stack import check_units, groups_of, origin_of
from geocomiss_cli import main as entry

RECIPE = RECIPES["cropharvest"]
SEASON = Calendar(date(2021, 4, 1), "30d", 4)
"""Of the middle days of its steps April to July, but the third starts on 31 May and the fourth on 30 June."""
APRIL = Calendar(date(2021, 4, 1), "30d", 1)
HALF_A_STEP = 0.5 / CODINGS["radar"].per_unit["VV"]
PIXEL = 20 / 111_319.49079327358


def run(*arguments: str) -> Any:
    return CliRunner().invoke(entry.app, [*arguments], env={"COLUMNS": "200"})


@pytest.fixture(scope="module")
def part() -> GeoBox:
    """Pixels across the swath edge and the overlap of granules, few enough for slow code."""
    return GRID[4:30, 8:36]


@pytest.fixture(scope="module")
def stack(loopback: EarthEngineServer, part: GeoBox) -> xr.DataTree:
    options = EarthEngine("my-project", loopback.url, "none", deadline=60.0)
    wanted = {"optical": ("B2", "B3", "B7", "B11", "NDVI"), "radar": ("VV", "VH")}
    return EarthEngineSource(RECIPE, Reading(wanted, ee=options)).open(part, SEASON).compute()


def test_the_clearest_image_of_each_pixel_is_taken(stack: xr.DataTree, part: GeoBox) -> None:
    found = groups_of(stack)["optical"]
    bands = ("B2", "B3", "B7", "B11")
    expected = local.optical(catalogue(), part, SEASON, bands)
    for name in (*bands, "count"):
        np.testing.assert_array_equal(found[name].values, expected[name].values, err_msg=name)
    np.testing.assert_array_equal(found["NDVI"].values, ndvi(expected, RECIPE).values)
    values = found["B2"].values
    seen = np.isfinite(values).mean((1, 2))
    assert seen[:3].min() > 0.9 and (values > 3000).any(), "a cloudy step is a cloudy pixel"
    assert seen[:3].min() < 1, "beyond the swath"
    assert np.isnan(found["B2"].values[3]).all() and (found["count"].values[3] == 0).all()


def test_radar_is_the_median_near_the_middle_or_the_nearest_pass(stack: xr.DataTree, part: GeoBox) -> None:
    found, expected = groups_of(stack)["radar"], local.radar(catalogue(), part, SEASON, "DESCENDING")
    np.testing.assert_array_equal(found["count"].values, expected["count"].values)
    for name in ("VV", "VH"):
        np.testing.assert_allclose(found[name].values, expected[name].values, atol=HALF_A_STEP + 1e-5)
    assert found["count"].values.max((1, 2)).tolist() == [5, 2, 1, 3], "June: the pass of 1 July"
    assert "radar: no acquisition in 2021-05" in origin_of(stack).notes


def test_a_step_that_has_not_begun_copies_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    days = [Acquisition(np.datetime64(f"2021-{day}", "ns"), ()) for day in ("04-10", "05-01", "05-12")]
    monkeypatch.setattr(season, "today", lambda: date(2021, 5, 15))
    assert near_middle(days, SEASON, 0) == (days[:2], days[2:]), "15 days to both sides, and no more"
    assert near_middle(days, SEASON, 1) == (days[1:], days[:1])
    assert near_middle(days, SEASON, 2) == ([], [])


def test_weather_is_of_the_month_in_which_a_step_starts(options: EarthEngine) -> None:
    reading = Reading({"weather": ("temperature_2m", "total_precipitation")}, ee=options)
    found = groups_of(EarthEngineSource(RECIPE, reading).open(GRID, SEASON).compute())["weather"]
    days, values = daily_weather()
    daily = xr.Dataset({n: (("time", "y", "x"), v) for n, v in values.items()}, coords={"time": days})
    months = [composite_weather(daily, Calendar(date(2021, m, 1), "month", 1), RECIPE) for m in (4, 5, 5, 6)]
    cells, own = weather_cells(), found.attrs["affine"]
    top, left = round((cells.affine.f - own[5]) * 10), round((own[2] - cells.affine.c) * 10)
    inside = {"y": slice(top, top + found.sizes["y"]), "x": slice(left, left + found.sizes["x"])}
    for name, atol in (("temperature_2m", 6e-4), ("total_precipitation", 6e-8)):
        expected = np.concatenate([month.isel(inside)[name].values for month in months])
        known = np.isfinite(expected)
        np.testing.assert_allclose(found[name].values[known], expected[known], atol=atol, rtol=1e-6)


def test_terrain_is_of_the_cell_of_a_pixel(options: EarthEngine) -> None:
    reading = Reading({"topography": ("elevation", "slope")}, ee=options)
    found = groups_of(EarthEngineSource(RECIPE, reading).open(GRID, SEASON).compute())["topography"]
    cells = terrain_cells()
    heights, _, _ = catalogue()["USGS/SRTMGL1_003"].bands["elevation"]
    z = heights.astype(float)
    degree = 6_371_000 * np.pi / 180 / 3600
    lat = cells.affine.f + (np.arange(cells.height) + 0.5) * cells.affine.e
    slope = np.full(z.shape, np.nan)
    for i, j in np.ndindex(z.shape[0] - 2, z.shape[1] - 2):
        across = (z[i + 1, j + 2] - z[i + 1, j]) / (2 * degree * np.cos(np.radians(lat[i + 1])))
        along = (z[i, j + 1] - z[i + 2, j + 1]) / (2 * degree)
        slope[i + 1, j + 1] = np.degrees(np.arctan(np.hypot(across, along)))
    for name, values in (("elevation", heights), ("slope", slope)):
        expected = local.cell_of_each_pixel(values, np.isfinite(values), cells, GRID)
        np.testing.assert_allclose(found[name].values, expected, atol=1e-4)


@pytest.mark.parametrize(
    "name", ["98-togo_2019-02-06_2020-02-01.tif", "373-croplands_2016-02-07_2017-02-01.tif"]
)
def test_slopes_of_real_exports_follow_from_their_elevations(name: str, shared: Path) -> None:
    with rasterio.open(shared / "data" / "aoi" / name) as file:
        elevation, slope = file.read(205), file.read(206)
        grid = GeoBox(file.shape, file.transform, "EPSG:4326")
    x, y = (np.floor(v * 3600 + 0.5).astype(int) for v in _centres(grid))  # the cell of each pixel
    cells = np.full((np.ptp(y) + 1, np.ptp(x) + 1), np.nan, np.float32)
    cells[y.max() - y, x - x.min()] = elevation
    own = GeoBox(
        cells.shape,
        Affine(1 / 3600, 0, (x.min() - 0.5) / 3600, 0, -1 / 3600, (y.max() + 0.5) / 3600),
        "EPSG:4326",
    )
    found = terrain.topography_of_cells(
        xr.DataArray(cells, dims=("y", "x")).chunk(), own, grid, grid
    ).compute()
    np.testing.assert_array_equal(found["elevation"].values, elevation)
    inside = np.isfinite(slope)
    np.testing.assert_allclose(found["slope"].values[inside], slope[inside], atol=2e-5)
    assert inside.mean() > 0.6 and np.isnan(found["slope"].values[~inside]).all(), "the same pixels lack it"


def _centres(grid: GeoBox) -> tuple[np.ndarray, np.ndarray]:  # type: ignore[type-arg]
    col, row = np.meshgrid(np.arange(grid.width) + 0.5, np.arange(grid.height) + 0.5)
    return grid.affine.c + col * grid.affine.a, grid.affine.f + row * grid.affine.e


def test_shadows_of_a_scene_that_was_worked_out_by_hand(options: EarthEngine) -> None:
    """A dark field, a dark lake, a dark field under a cloud, and one that has no image towards the sun."""
    Client(options)
    own = GeoBox((40, 40), Affine(PIXEL, 0, 0, 0, -PIXEL, 20 * PIXEL), "EPSG:4326")
    values = {name: np.full(own.shape, 2500, np.uint16) for name in S2_L1C_BANDS}
    values["B1"][:], values["B2"][:], values["B10"][:] = 900, 700, 5  # no cloud
    dark = {"field": (5, 5), "lake": (5, 15), "under cloud": (30, 5), "at the edge": (20, 34)}
    for row, col in dark.values():
        for name in ("B8", "B11", "B12"):
            values[name][row : row + 3, col : col + 3] = 500
        values["B4"][row : row + 3, col : col + 3] = 400
    values["B4"][5:8, 15:18] = 900  # (500 - 900) / (500 + 900) is below -0.1
    for name in ("B1", "B2", "B3", "B4", "B10"):
        values[name][24:40, 0:14] = 6000
    values["B8"][24:40, 0:14], values["B11"][24:40, 0:14] = 800, 500
    values["B12"][24:40, 0:14] = 500
    bands = {name: (v, np.ones(own.shape, bool), own) for name, v in values.items()}
    scene = Stored("COPERNICUS/S2_HARMONIZED/ONE", bands, {}, shapely.box(-1, -1, 1, 1))
    image = ee.Image(scene.id)
    # the sun stands in the east, 45 degrees high: what lies 200, 250 and 10,000 m east of a pixel counts
    graph = shadow_score(image, cloud_score(image), (90.0, 45.0)).serialize(for_cloud_api=True)
    found = Evaluator(json.loads(graph), {scene.id: scene}).result()
    assert isinstance(found, Image)
    shadow, valid = found.bands["shadow"].on(own)
    expected = np.zeros(own.shape)
    expected[4:9, 4:9] = 1  # three dark pixels a side, and those beside them
    assert valid.all()
    np.testing.assert_array_equal(shadow, expected)


def test_small_tiles_make_the_same_stack_and_an_area_may_be_judged_alone(
    options: EarthEngine, part: GeoBox, stack: xr.DataTree
) -> None:
    for name, band, steps in (("optical", "B2", APRIL), ("radar", "VV", SEASON)):
        reading = Reading({name: (band,)}, ee=options, tile=15)
        pieces = groups_of(EarthEngineSource(RECIPE, reading).open(part, steps).compute())
        whole = groups_of(stack)[name][band].values[: steps.number]
        np.testing.assert_array_equal(pieces[name][band].values, whole)
    alone = Reading({"optical": ("B2",)}, ee=replace(options, cut=True))
    cut = groups_of(EarthEngineSource(RECIPE, alone).open(part, APRIL).compute())["optical"]["B2"].values
    same = cut == groups_of(stack)["optical"]["B2"].values[:1]
    assert 0.5 < same.mean() < 1 and same[0, 12:15, 12:15].all(), "clouds beyond the edge are not known"


def test_what_it_is_made_of_is_said(options: EarthEngine, server: EarthEngineServer) -> None:
    source = EarthEngineSource(RECIPE, Reading(ee=options))
    stack = source.open(GRID[:6, :6], SEASON).compute()
    assert origin_of(stack).recipe == RECIPE
    check_units(stack)
    bands = [each["bands"] for each in server.asked()]
    assert sorted(bands) == [1, 3, 3, 3, 3, 8, 12, 12, 12]
    with pytest.raises(RecipeError, match="masks nothing"):
        EarthEngineSource(replace(RECIPE, cloud_dilation=30.0), Reading(ee=options))


def test_bands_are_those_of_an_export(shared: Path) -> None:
    export = CropHarvestSource(shared / "data" / "aoi" / "98-togo_2019-02-06_2020-02-01.tif")
    reading = Reading(ee=EarthEngine("my-project", "http://127.0.0.1:1", "none"))
    made = EarthEngineSource.bands.fget  # type: ignore[attr-defined]
    source = EarthEngineSource.__new__(EarthEngineSource)
    source.recipe, source._reading = RECIPE, reading
    assert made(source) == export.bands


def test_a_model_trained_on_cropharvest_maps_from_earth_engine(
    server: EarthEngineServer, tmp_path: Path
) -> None:
    folder = tmp_path / "cropharvest"
    (folder / "features" / "arrays").mkdir(parents=True)
    labels = ("cereals", "non_crop", "sugar")
    points = [point(n, "kenya", labels[n % 3] != "non_crop", labels[n % 3], lat=-3.0 * n) for n in range(18)]
    for n in range(len(points)):
        write_h5(folder / "features" / "arrays" / f"{n}_kenya.h5", array(n) * (0.98 + 0.02 * (n % 3)))
    write_labels(folder, points)
    model, out = tmp_path / "model", tmp_path / "map"
    done = run(
        *("train", "--samples", str(folder), "--label", "classification_label", "--out", str(model)),
        *("--preset", "small", "--epochs", "2"),
    )
    assert done.exit_code == 0, done.output
    done = run(
        *("map", "--source", "ee", "--ee-url", server.url, "--ee-credentials", "none", "--ee-project", "p"),
        *("--aoi", "4.9800,50.6220,4.9806,50.6224", "--season", "2022", "--model", str(model)),
        *("--out", str(out), "--s1-pass", "desc", "--min-steps", "1"),
    )
    assert done.exit_code == 0, done.output
    told = json.loads((out / "run.json").read_text())
    assert told["source"]["recipe"]["name"] == "cropharvest" and told["source"]["radar_pass"] == "descending"
    assert told["season"]["start"] == "2021-02-06"
    assert min(told["modality_share"].values()) > 0.9
