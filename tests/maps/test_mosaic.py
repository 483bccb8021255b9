"""Rasters of two zones as one: no gap at the border, nothing beyond the area, every GIS can read it."""

from pathlib import Path

import numpy as np
import pytest
import rasterio
from odc.geo import Geometry
from pyproj import Transformer

from geocomiss.aoi import read_aoi
from geocomiss.covering import Covering
from geocomiss.grid import grid_of
from geocomiss.maps import Category, Piece, map_layers, mosaic_grid, read_categories, write_mosaic
from geocomiss.zones import Zone, zones_of

CLASSES = (Category(1, "west", "#ff0000"), Category(2, "east & <more>", "#00ff00"))
LAYER = map_layers(CLASSES)[0]
AREAS = {
    "Belgium": "5.985,50.6,6.016,50.64",
    "Norway": "11.97,64.0,12.04,64.02",
    "Chile": "-72.02,-40.03,-71.99,-40.0",
    "the equator": "-0.01,-0.01,0.012,0.013",
}


def written(folder: Path, zone: Zone, value: int) -> Piece:
    """A map in which exactly the pixels with their centre in the zone's part have a class."""
    grid = grid_of(zone.part, zone.crs)
    inside = Covering(zone.part, grid).inside(grid)
    path = folder / zone.name / "crop_type.tif"
    path.parent.mkdir(parents=True)
    profile = dict(driver="GTiff", count=1, dtype="uint8", nodata=0, crs=zone.crs, transform=grid.affine)
    with rasterio.open(path, "w", width=grid.width, height=grid.height, **profile) as file:
        file.write(np.where(inside, value, 0).astype("u1"), 1)
    return Piece(path, zone.name, zone.west)


def made(folder: Path, aoi: str) -> tuple[Geometry, Path]:
    area = read_aoi(aoi).geometry
    pieces = tuple(written(folder, zone, value) for value, zone in enumerate(zones_of(area), 1))
    write_mosaic(folder, LAYER, mosaic_grid(area, 10), pieces, folder)
    return area, folder / "crop_type.vrt"


def test_every_place_in_the_area_shows_the_class_of_its_zone(tmp_path: Path) -> None:
    for name, aoi in AREAS.items():
        area, path = made(tmp_path / name, aoi)
        with rasterio.open(path) as file:
            values = file.read(1)
            grid = mosaic_grid(area, 10)
            assert (file.shape, file.transform) == (tuple(grid.shape), grid.affine)
        rows, cols = np.indices(values.shape) + 0.5
        lon, lat = grid.affine.c + cols * grid.affine.a, grid.affine.f + rows * grid.affine.e
        west, south, east, north = (float(part) for part in aoi.split(","))
        border = round((west + east) / 12) * 6
        # further than a pixel's diagonal from the outline: nothing is missing, and no class in the wrong zone
        spare_y = 15 / 111_000
        spare_x = spare_y / np.cos(np.radians(max(abs(south), abs(north))))
        within = (
            (lon > west + spare_x)
            & (lon < east - spare_x)
            & (lat > south + spare_y)
            & (lat < north - spare_y)
        )
        assert within.any() and (values[within] > 0).all(), name
        clear = within & (abs(lon - border) > spare_x)
        assert np.array_equal(values[clear], np.where(lon < border, 1, 2)[clear]), name
        outside = (
            (lon < west - spare_x)
            | (lon > east + spare_x)
            | (lat < south - spare_y)
            | (lat > north + spare_y)
        )
        assert not values[outside].any(), name


def test_without_the_strip_there_would_be_gaps(tmp_path: Path) -> None:
    _, path = made(tmp_path, AREAS["Belgium"])
    with rasterio.open(path) as file:
        values = file.read(1)
    bare = path.read_text()
    first = bare.index("<ComplexSource>")
    path.write_text(bare[:first] + bare[bare.index("</ComplexSource>") + len("</ComplexSource>") :])
    with rasterio.open(path) as file:
        gaps = (file.read(1) == 0) & (values > 0)
    assert 10 < gaps.sum() < values.shape[0]


def test_pixels_of_two_zones_share_no_centre_and_their_areas_add_up(tmp_path: Path) -> None:
    aoi = AREAS["Belgium"]
    found = []
    for value, zone in enumerate(zones_of(read_aoi(aoi).geometry), 1):
        piece = written(tmp_path, zone, value)
        with rasterio.open(piece.path) as file:
            row, col = np.nonzero(file.read(1))
            x, y = file.transform.c + (col + 0.5) * 10, file.transform.f - (row + 0.5) * 10
            lon, _ = Transformer.from_crs(zone.crs, 4326, always_xy=True).transform(x, y)
            assert ((lon <= 6) if value == 1 else (lon >= 6)).all()
            found.append(lon.size)
    assert sum(found) / 100 == pytest.approx(31 * 0.7058 * 40 * 1.1124, rel=0.01)  # ha, by hand


def test_the_virtual_raster_has_names_colours_and_can_be_moved(tmp_path: Path) -> None:
    _, path = made(tmp_path / "here", AREAS["Belgium"])
    with rasterio.open(path) as file:
        before = file.read(1)
        assert file.colormap(1)[2] == (0, 255, 0, 255) and file.nodata == 0
        assert file.descriptions == ("crop_type",)
        coarse = file.read(1, out_shape=(file.height // 8, file.width // 8))
    assert (coarse[2:-2, 2:-2] > 0).all()
    assert read_categories(path) == CLASSES
    (tmp_path / "here").rename(tmp_path / "there")
    with rasterio.open(tmp_path / "there" / "crop_type.vrt") as file:
        assert np.array_equal(file.read(1), before)
