"""A mask of any CRS, by value, compared with looking up each pixel centre."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import rasterio
from affine import Affine
from gappy import gappy_groups, store, untrained
from odc.geo.geobox import GeoBox
from pyproj import Transformer

from geocomiss.errors import MapError, TilesFailed
from geocomiss.grid import tiles_of
from geocomiss.mapping import MapRequest, make_map
from geocomiss.mapping.mask import read_mask

GRID = GeoBox((30, 40), Affine(10, 0, 640000, 0, -10, 5610000), "EPSG:32631")


def write_raster(path: Path, values: np.ndarray, crs: str | None, affine: Affine, nodata: int | None) -> str:
    height, width = values.shape
    shape = {"height": height, "width": width, "count": 1, "dtype": "uint8"}
    with rasterio.open(path, "w", driver="GTiff", crs=crs, transform=affine, nodata=nodata, **shape) as file:
        file.write(values, 1)
    return str(path)


@pytest.mark.parametrize("nodata", [None, 255])
def test_reprojected_mask_equals_looking_up_each_centre(tmp_path: Path, nodata: int | None) -> None:
    rng = np.random.default_rng(0)
    values = rng.choice([0, 10, 40, 50], (16, 16)).astype(np.uint8)
    affine = Affine(0.0004, 0, 4.976, 0, -0.0003, 50.6265)  # covers a part of the grid only
    name = write_raster(tmp_path / "m.tif", values, "EPSG:4326", affine, nodata)
    x, y = np.meshgrid(640005 + 10 * np.arange(40), 5609995 - 10 * np.arange(30))
    lon, lat = Transformer.from_crs(32631, 4326, always_xy=True).transform(x, y)
    col, row = _inverse(affine, lon.ravel(), lat.ravel())
    within = (row >= 0) & (row < 16) & (col >= 0) & (col < 16)
    found = values[np.clip(row, 0, 15), np.clip(col, 0, 15)]
    for text, wanted in ((":40", [40]), (":10,40", [10, 40]), ("", [10, 40, 50])):
        expected = (within & np.isin(found, wanted)).reshape(30, 40)
        assert (read_mask(name + text).read(GRID, GRID) == expected).all()
    assert 0.1 < within.mean() < 0.9


def _inverse(affine: Affine, x: np.ndarray, y: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    inverse = ~affine
    return (
        np.floor(inverse.a * x + inverse.c).astype(int),
        np.floor(inverse.e * y + inverse.f).astype(int),
    )


def test_any_window_of_a_mask_is_the_same_bits(tmp_path: Path) -> None:
    rng = np.random.default_rng(1)
    values = rng.choice([0, 40], (300, 300)).astype(np.uint8)
    affine = Affine(0.00002, 0, 4.9765, 0, -0.00002, 50.626)
    mask = read_mask(write_raster(tmp_path / "m.tif", values, "EPSG:4326", affine, None))
    whole = mask.read(GRID, GRID)
    assert 0.1 < whole.mean() < 0.9
    for tile in tiles_of(GRID, 7):
        assert (mask.read(tile.geobox, GRID) == whole[tile.y, tile.x]).all()


def test_a_damaged_mask_is_named(tmp_path: Path) -> None:
    values = np.random.default_rng(0).integers(0, 200, (400, 400), dtype=np.uint8)
    affine = Affine(10, 0, 640000, 0, -10, 5610000)
    name = write_raster(tmp_path / "cut.tif", values, "EPSG:32631", affine, None)
    Path(name).write_bytes(Path(name).read_bytes()[:20000])
    corner = GeoBox((20, 20), Affine(10, 0, 643700, 0, -10, 5606300), "EPSG:32631")
    with pytest.raises(MapError, match=r"cut\.tif"):
        read_mask(name).read(corner, corner)


def test_tiles_of_a_damaged_part_of_a_mask_are_named_and_left_out(tmp_path: Path) -> None:
    mask = tmp_path / "mask.tif"
    profile: Any = {"width": 60, "height": 45, "count": 1, "dtype": "uint8", "blockysize": 1}
    with rasterio.open(mask, "w", driver="GTiff", crs="EPSG:32631", transform=GRID.affine, **profile) as file:
        file.write(np.ones((45, 60), np.uint8), 1)
    mask.write_bytes(mask.read_bytes()[: -5 * 60])  # its last rows
    source, model = str(store(tmp_path, gappy_groups())), str(untrained(tmp_path))
    request = MapRequest(source, tmp_path / "map", model=model, mask=str(mask), tile=30)
    with pytest.raises(
        TilesFailed, match=r"2 tiles .*00001_00000 \(the mask mask.tif is damaged.*; the others"
    ):
        make_map(request)
    report = make_map(replace(request, skip_failed=True))
    assert sorted(report.failed) == ["00001_00000", "00001_00001"]
    assert report.nodata["failed"] == 15 * 60 and report.nodata["masked"] == 0
    assert report.kept == 30 * 60
    with pytest.raises(MapError, match=r"without the tiles that failed.*again with --overwrite"):
        make_map(replace(request, skip_failed=True))


def test_mask_values_that_are_no_numbers_are_told_from_a_bad_file(tmp_path: Path) -> None:
    affine = Affine(10, 0, 640000, 0, -10, 5610000)
    name = write_raster(tmp_path / "m.tif", np.ones((4, 4), np.uint8), "EPSG:32631", affine, None)
    with pytest.raises(MapError, match="mask values 'abc'"):
        read_mask(f"{name}:abc")


def test_a_missing_mask_or_one_without_crs_is_refused(tmp_path: Path) -> None:
    with pytest.raises(MapError, match="cannot be read"):
        read_mask(str(tmp_path / "none.tif:40"))
    with pytest.warns(rasterio.errors.NotGeoreferencedWarning):
        name = write_raster(tmp_path / "m.tif", np.ones((4, 4), np.uint8), None, Affine.identity(), None)
        with pytest.raises(MapError, match="no CRS"):
            read_mask(name)
