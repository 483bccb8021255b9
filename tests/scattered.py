"""Fields of one hectare, spread or side by side, as vector files; stacks whose blocks are real."""

import os
from pathlib import Path

import geopandas
import numpy as np
import shapely
import zarr
from gappy import BANDS, RANGES
from hollow import BLOCK, hollow_stack
from odc.geo.geobox import GeoBox

SIDE = 10
"""Pixels a side of a field."""


def corners(grid: GeoBox, number: int, *, spread: bool, seed: int = 0) -> np.ndarray:
    """(number, 2) first row and column of fields: anywhere, or in rows with a pixel between them."""
    if spread:
        return np.random.default_rng(seed).integers(0, np.array(grid.shape) - SIDE, (number, 2))
    return (SIDE + 1) * np.stack(np.divmod(np.arange(number), int(np.ceil(np.sqrt(number)))), 1)


def write_fields(path: Path, grid: GeoBox, at: np.ndarray) -> Path:
    """Fields whose edges are those of pixels."""
    size, x, y = grid.resolution.x, *(grid.affine * (at[:, 1], at[:, 0]))
    boxes = shapely.box(x, y - SIDE * size, x + SIDE * size, y)
    geopandas.GeoDataFrame(geometry=boxes, crs="EPSG:32631").to_file(path)
    return path


def stack_of_real_blocks(path: Path, side: int) -> Path:
    """A stored stack each block of which has to be read and unpacked: one a band, linked to all places."""
    hollow_stack(path, side)
    rng = np.random.default_rng(0)
    for name in BANDS:
        for band in (*BANDS[name], "count") if name in ("optical", "radar") else BANDS[name]:
            if name == "weather":
                continue
            array = zarr.open_array(path / name / band, mode="r+")
            values = rng.uniform(*RANGES[band], array.chunks) if band in RANGES else np.full(array.chunks, 2)
            array[..., :BLOCK, :BLOCK] = values.astype(array.dtype)
            rows = path.joinpath(name, band, "c", *["0"] * (array.ndim - 2))
            for row in range(-(-side // BLOCK)):
                (rows / str(row)).mkdir(exist_ok=True)
                for col in range(-(-side // BLOCK)):
                    if row or col:
                        os.link(rows / "0" / "0", rows / str(row) / str(col))
    return path
