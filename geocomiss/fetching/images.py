"""A stack as images that any GIS opens: a COG for each modality and time step, and true colours.

Values are floats in canonical units, NaN where nothing was seen; names tell modality and date.
"""

import json
import shutil
from collections.abc import Callable, Iterator
from datetime import timedelta
from itertools import pairwise
from pathlib import Path
from typing import Any, Final

import numpy as np
import rasterio
import rasterio.shutil
import xarray as xr
from numpy.typing import NDArray
from odc.geo.geobox import GeoBox
from rasterio.windows import Window

from geocomiss.grid import Tile, crs_of, tiles_of
from geocomiss.maps import true_color, write_cog
from geocomiss.maps.cog import COG, PLAIN
from geocomiss.maps.eye import COLORS, bright
from geocomiss.modalities import MODALITIES
from geocomiss.stack import COUNT, bands_of, grid_of_group, groups_of, origin_of, swept

LISTED: Final = "images.json"
"""What a folder of images says about itself."""
TILE: Final = 1024
"""Pixels a side that are read at once."""
FLOATS: Final = PLAIN | {"dtype": "float32", "nodata": float("nan")}
"""How a file of floats begins."""


def is_images(path: Path) -> bool:
    """Whether a folder holds images written here."""
    return (path / LISTED).is_file()


def write_images(stack: xr.DataTree, out: Path, progress: Callable[[int, int], None] | None = None) -> None:
    """Write a stack as images into a folder that appears under its name only when it is whole.

    Args:
        stack: The lazy stack; values are read tile by tile.
        out: The folder; replaced where it exists.
        progress: Told (images done, images in all).
    """
    partial = out.with_name(f".{out.name}.partial")
    shutil.rmtree(partial, ignore_errors=True)
    try:
        partial.mkdir(parents=True)
        images = list(_images(stack))
        files: list[dict[str, Any]] = []
        for done, (name, group, bands, tags) in enumerate(images, 1):
            _write_floats(partial / f"{name}.tif", group, bands, tags)
            files.append({"file": f"{name}.tif", "bands": list(bands)} | tags)
            if set(COLORS) <= set(bands):
                _write_colors(partial, f"true_color_{tags['first_day']}", group, tags)
                files.append({"file": f"true_color_{tags['first_day']}.tif"} | tags)
            if progress:
                progress(done, len(images))
        (partial / LISTED).write_text(json.dumps({"images": files}, indent=1) + "\n", encoding="utf-8")
        if out.exists():
            shutil.rmtree(out)
        partial.rename(out)
    finally:
        shutil.rmtree(partial, ignore_errors=True)


def _images(stack: xr.DataTree) -> Iterator[tuple[str, xr.Dataset, tuple[str, ...], dict[str, str]]]:
    """Name, values, bands and tags of each image, in the order of modalities and time."""
    origin = origin_of(stack)
    said = {"source": origin.source, "recipe": origin.recipe.name}
    bands = bands_of(stack)
    for name, group in groups_of(stack).items():
        if not MODALITIES[name].dynamic:
            yield name, group, bands[name], said | {"modality": name}
            continue
        listed = (*bands[name], *((COUNT,) if COUNT in group else ()))
        for step, (first, after) in enumerate(pairwise(origin.calendar.edges())):
            last = str(after - timedelta(days=1))
            tags = said | {"modality": name, "first_day": str(first), "last_day": last}
            yield f"{name}_{first}", group.isel(time=step), listed, tags


def _write_floats(path: Path, group: xr.Dataset, bands: tuple[str, ...], tags: dict[str, str]) -> None:
    """One COG; the bands in canonical units, each with its name and unit."""
    grid = grid_of_group(group)
    plain = path.with_suffix(".plain.tif")
    size = {"width": grid.width, "height": grid.height, "count": len(bands)}
    place = {"crs": rasterio.crs.CRS.from_wkt(crs_of(grid).to_wkt()), "transform": grid.affine}
    units = {band.name: band.unit for band in MODALITIES[tags["modality"]].bands}
    with rasterio.open(plain, "w", **FLOATS | size | place) as file, swept() as sweep:
        for tile in tiles_of(grid, TILE):
            file.write(_values(group, bands, tile), window=Window.from_slices(tile.y, tile.x))
            sweep()
        file.descriptions = bands
        file.units = tuple(units.get(band, "1") for band in bands)
        file.update_tags(**tags)
    rasterio.shutil.copy(plain, path, driver="COG", OVERVIEW_RESAMPLING="AVERAGE", PREDICTOR="YES", **COG)
    for leftover in path.parent.glob(f"{plain.name}*"):
        leftover.unlink()


def _values(group: xr.Dataset, bands: tuple[str, ...], tile: Tile) -> NDArray[np.float32]:
    """Values (B, h, w) of a tile."""
    part = group[list(bands)].isel(y=tile.y, x=tile.x).compute()
    return np.stack([part[band].values for band in bands]).astype(np.float32)


def _write_colors(folder: Path, name: str, group: xr.Dataset, tags: dict[str, str]) -> None:
    """The same step for the eye."""
    grid = grid_of_group(group)
    write_cog(folder / f"{name}.tif", true_color(1), grid, _colored(group, grid), tags, folder)


def _colored(group: xr.Dataset, grid: GeoBox) -> Iterator[tuple[slice, slice, NDArray[Any]]]:
    for tile in tiles_of(grid, TILE):
        yield tile.y, tile.x, bright(_values(group, COLORS, tile))
