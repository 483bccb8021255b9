"""A stored stack of any size that takes no space: blocks that were never written read as one value."""

from pathlib import Path

import dask.array as da
import numpy as np
import xarray as xr
import zarr
from affine import Affine
from gappy import BANDS, RANGES, RECIPE, SEASON
from odc.geo.geobox import GeoBox

from geocomiss.modalities import MODALITIES
from geocomiss.stack import Origin, assign_grid, new_stack

WEATHER = GeoBox((14, 20), Affine(0.1, 0, 4.9, 0, -0.1, 50.7), "EPSG:4326")
BLOCK = 256


def hollow_stack(path: Path, side: int) -> Path:
    """A stack of `side` x `side` pixels, every pixel alike."""
    grid = GeoBox((side, side), Affine(10, 0, 640000, 0, -10, 5610000), "EPSG:32631")
    groups = {name: _group(name, WEATHER if name == "weather" else grid) for name in BANDS}
    stack = new_stack(groups, Origin("hollow", RECIPE, SEASON))
    zarr.open_group(path, mode="w", zarr_format=3).attrs.update(stack.attrs)
    for name, group in groups.items():
        values = {band: sum(RANGES[band]) / 2 for band in BANDS[name]} | {"count": 1}
        encoding = {band: {"fill_value": values[str(band)]} for band in group.data_vars}
        group.to_zarr(
            path, group=name, mode="a", compute=False, consolidated=False, encoding=encoding, zarr_format=3
        )
    return path


def _group(name: str, grid: GeoBox) -> xr.Dataset:
    dynamic = MODALITIES[name].dynamic
    shape = (*([SEASON.number] if dynamic else []), grid.height, grid.width)
    chunks = (*shape[:-2], BLOCK, BLOCK)
    kinds = dict.fromkeys(BANDS[name], "f4") | ({"count": "i2"} if dynamic else {})
    dims = ("time", "y", "x")[-len(shape) :]
    data = {band: (dims, da.zeros(shape, dtype=kind, chunks=chunks)) for band, kind in kinds.items()}
    coords = {"time": np.array(SEASON.edges()[:-1], "datetime64[ns]")} if dynamic else {}
    return assign_grid(xr.Dataset(data, coords=coords), grid)
