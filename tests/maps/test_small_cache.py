"""What GDAL has in its cache decides on no value: large maps do not fit into it."""

from pathlib import Path

import numpy as np
import rasterio
from affine import Affine
from odc.geo.geobox import GeoBox

from geocomiss.maps import Category, Layer, map_layers, write_sparse_cog

GRID = GeoBox((45, 60), Affine(10, 0, 640000, 0, -10, 5610000), "EPSG:32631")
SIZE = 10
HOLE = (10, 20)


def write(path: Path, layer: Layer, cache: int) -> bytes:
    corners = [(y, x) for y in range(0, 45, SIZE) for x in range(0, 60, SIZE) if (y, x) != HOLE]
    windows = (
        (
            slice(y, min(y + SIZE, 45)),
            slice(x, x + SIZE),
            np.full((len(layer.band_names), min(SIZE, 45 - y), SIZE), y + x + 1, np.uint16),
        )
        for y, x in corners
    )
    with rasterio.Env(GDAL_CACHEMAX=cache):  # bytes
        write_sparse_cog(path, layer, GRID, windows, {}, path.parent / "work")
    return path.read_bytes()


def test_blocks_of_several_bands_may_leave_the_cache_before_they_are_full(tmp_path: Path) -> None:
    layers = map_layers((Category(1, "maize", "#ffd300"),), (), "calibrated")
    layer = next(each for each in layers if len(each.band_names) > 1)
    small = write(tmp_path / "small.tif", layer, 64)
    assert small == write(tmp_path / "large.tif", layer, 64_000_000)
    with rasterio.open(tmp_path / "small.tif") as file:
        hole = file.read(window=((HOLE[0], HOLE[0] + SIZE), (HOLE[1], HOLE[1] + SIZE)))
        assert (hole == layer.nodata).all()
