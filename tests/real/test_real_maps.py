"""Maps of real acquisitions and exports: georeferencing, tilings, gaps, and what must be refused.

The models are untrained: what is tested here holds whatever the weights are. Accuracy on real data
is in the README, with the commands that give it.
"""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import rasterio
import xarray as xr
from gappy import untrained_for
from numpy.typing import NDArray

from geocomiss.errors import RecipeError
from geocomiss.mapping import MapRequest, make_map
from geocomiss.recipes import RECIPES
from geocomiss.seasons import Cycle

HESBAYE, NOVEMBER = "aoi/hesbaye_2020-08_2022-03.nc", "aoi/hesbaye_2020-11_2021-10.nc"
EXPORTS = ("aoi/98-togo_2019-02-06_2020-02-01.tif", "aoi/373-croplands_2016-02-07_2017-02-01.tif")
MONTHLY = RECIPES["monthly-l2a"]
WINTER_CROPS = Cycle(11, "month", 12)


def read(folder: Path, layer: str) -> NDArray[np.uint8]:
    with rasterio.open(folder / f"{layer}.tif") as file:
        return file.read(1)


def bytes_of(request: MapRequest, tile: int) -> list[bytes]:
    folder = make_map(replace(request, tile=tile, out=request.out / str(tile))).folder
    return [path.read_bytes() for path in sorted(folder.iterdir()) if path.name != "run.json"]


def test_hesbaye_has_the_files_own_georeferencing(shared: Path, tmp_path: Path) -> None:
    source = shared / "data" / HESBAYE
    model = untrained_for(source, tmp_path, MONTHLY.cycle)
    report = make_map(MapRequest(str(source), tmp_path / "map", season="2021", model=str(model)))
    with xr.open_dataset(source) as file, rasterio.open(report.folder / "crop_type.tif") as mapped:
        assert mapped.crs.to_epsg() == 32631
        assert mapped.shape == (file.sizes["y"], file.sizes["x"])
        x, y = mapped.transform.c + 5, mapped.transform.f - 5
        assert (x, y) == pytest.approx((float(file.x[0]), float(file.y[0])), abs=0.01)
    assert report.modality_share["radar"] == 1
    assert 0.9 < report.modality_share["optical"] <= 1


def test_hesbaye_in_any_tiling_gives_the_same_bytes(shared: Path, tmp_path: Path) -> None:
    source = shared / "data" / HESBAYE
    model = untrained_for(source, tmp_path, MONTHLY.cycle)
    request = MapRequest(str(source), tmp_path / "map", season="2021", model=str(model))
    assert bytes_of(request, 32) == bytes_of(request, 100)


def test_raw_acquisitions_in_any_tiling_give_the_same_bytes(shared: Path, tmp_path: Path) -> None:
    source = shared / "data" / "patches"
    model = untrained_for(source, tmp_path, WINTER_CROPS)
    request = MapRequest(str(source), tmp_path / "map", season="2017-11:2018-10", model=str(model))
    first = bytes_of(request, 16)
    assert first == bytes_of(request, 24)
    assert first == bytes_of(request, 64)


def test_an_area_within_the_raw_acquisitions_maps_as_a_window(shared: Path, tmp_path: Path) -> None:
    source = shared / "data" / "patches"
    model = untrained_for(source, tmp_path, WINTER_CROPS)
    request = MapRequest(str(source), tmp_path / "whole", season="2018", model=str(model))
    whole = make_map(request)
    x, y = whole.grid.affine.c + 200, whole.grid.affine.f - 150
    box = whole.grid[15:42, 20:51].extent.to_crs("EPSG:4326")
    report = make_map(replace(request, aoi=box.wkt, out=tmp_path / "part"))
    inside = read(report.folder, "modalities") < 255
    row = round((whole.grid.affine.f - report.grid.affine.f) / 10)
    col = round((report.grid.affine.c - whole.grid.affine.c) / 10)
    part = np.s_[row : row + report.grid.height, col : col + report.grid.width]
    assert inside.sum() == pytest.approx(27 * 31, rel=0.05)
    assert (x, y) == pytest.approx((report.grid.affine.c, report.grid.affine.f), abs=10)
    for layer in ("crop_type", "confidence", "modalities"):
        assert (read(report.folder, layer)[inside] == read(whole.folder, layer)[part][inside]).all()


@pytest.mark.parametrize("left_out", ["optical", "radar"])
def test_raw_acquisitions_without_a_sensor_still_make_a_map(
    shared: Path, tmp_path: Path, left_out: str
) -> None:
    source = shared / "data" / "patches"
    model = untrained_for(source, tmp_path, WINTER_CROPS)
    request = MapRequest(str(source), tmp_path / "map", season="2018", model=str(model), without=(left_out,))
    report = make_map(request)
    assert report.modality_share[left_out] == 0
    assert (read(report.folder, "crop_type") > 0).all()


@pytest.mark.parametrize("name", EXPORTS)
def test_earth_engine_exports_map_on_their_own_grid(shared: Path, tmp_path: Path, name: str) -> None:
    source = shared / "data" / name
    model = untrained_for(source, tmp_path, RECIPES["cropharvest"].cycle, simulated=True)
    request = MapRequest(str(source), tmp_path / "map", model=str(model), simulated_model_on_real_data=True)
    report = make_map(request)
    with rasterio.open(source) as file, rasterio.open(report.folder / "crop_type.tif") as mapped:
        assert mapped.crs == file.crs
        assert mapped.transform.almost_equals(file.transform, 1e-12)
        assert mapped.shape == file.shape
        slope = file.read(file.count)
    modalities = read(report.folder, "modalities")
    assert ((modalities & 8 > 0) == np.isfinite(slope)).all(), "no slope, no topography"
    assert 0.3 < np.isnan(slope).mean() < 0.45
    assert report.simulated_model


@pytest.mark.parametrize("name", EXPORTS)
def test_a_monthly_model_is_refused_for_an_export_with_each_reason(
    shared: Path, tmp_path: Path, name: str
) -> None:
    model = untrained_for(shared / "data" / NOVEMBER, tmp_path, WINTER_CROPS)
    with pytest.raises(RecipeError) as caught:
        make_map(MapRequest(str(shared / "data" / name), tmp_path / "map", model=str(model)))
    for reason in ("calendar", "s2 level L1C", "30 days"):
        assert reason in str(caught.value)
    assert not (tmp_path / "map").exists()
