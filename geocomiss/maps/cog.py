"""Cloud Optimised GeoTIFFs that any GIS shows with colours and class names.

A COG cannot be edited once it is finished, so colours and tags are set on a plain tiled GeoTIFF,
which GDAL then copies. Class names stand beside the file, in `<name>.tif.aux.xml` (GDAL's PAM).
"""

import os
import shutil
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
import rasterio
import rasterio.shutil
from numpy.typing import NDArray
from odc.geo.geobox import GeoBox
from rasterio._err import CPLE_BaseError  # what GDAL's own errors derive from; there is no public name
from rasterio.errors import RasterBlockError, RasterioError
from rasterio.windows import Window

from geocomiss.errors import MapError, MapStopped
from geocomiss.grid import crs_of
from geocomiss.maps.layers import Layer
from geocomiss.maps.levels import with_levels
from geocomiss.maps.readback import BLOCK, Tally
from geocomiss.maps.sidecar import sidecar_of, write_categories

PLAIN: Final = {
    "driver": "GTiff",
    "tiled": True,
    "blockxsize": BLOCK,
    "blockysize": BLOCK,
    "interleave": "band",  # GDAL takes unwritten pixels of a block of all bands for 0 once its cache is full
    "compress": "DEFLATE",
    "zlevel": 1,  # thrown away after the copy: quick beats small
    "BIGTIFF": "IF_SAFER",  # compressed files over 2 GB before compression may pass 4 GB
    "SPARSE_OK": True,  # blocks without any pixel of the area take no space and no time
}
"""How the file to be copied is created."""
COG: Final = {
    "COMPRESS": "DEFLATE",  # opens everywhere; ZSTD saves little on classes
    "LEVEL": "6",  # 9 took 1.5 to 10 times as long, for files at most 19 % smaller (class maps: 6 to 17)
    "BLOCKSIZE": str(BLOCK),
    "BIGTIFF": "IF_SAFER",
    "SPARSE_OK": "YES",  # as above; a block that is not there reads as nodata
    "STATISTICS": "YES",  # for GIS software to stretch greys without reading all; see `_gdal_statistics`
    "NUM_THREADS": "ALL_CPUS",
}
"""How the map is created. Overviews depend on the layer."""
ROOM: Final = 3
"""Times its uncompressed size that writing a map takes on disk, at most: two copies and overviews."""
WindowOf = tuple[slice, slice, NDArray[Any]]
"""Rows, columns, and their values (H, W), or (B, H, W) where there are B bands."""


@dataclass(frozen=True)
class Statistics:
    """What a band holds. True values; None where it holds nothing but nodata."""

    minimum: float | None
    """Lowest value."""
    maximum: float | None
    """Highest value."""
    mean: float | None
    """Their mean."""
    stddev: float | None
    """Their standard deviation."""
    valid_percent: float
    """Per cent of the pixels that are not nodata."""


@dataclass(frozen=True)
class _Raster:
    """A map to be written."""

    path: Path
    """Final name."""
    layer: Layer
    """What its values are."""
    grid: GeoBox
    """Its pixels."""
    tags: dict[str, str]
    """Facts for its metadata."""
    work: Path
    """Folder for files in progress."""


def write_cog(
    path: Path, layer: Layer, grid: GeoBox, windows: Iterable[WindowOf], tags: dict[str, str], work: Path
) -> tuple[Statistics, ...]:
    """Write a map; it appears under its name only when it is whole and was read back.

    The bytes depend on the values alone, not on how they are cut into windows. Memory is that of a window,
    GDAL's cache and a few numbers for each block.

    Args:
        path: Final name, `*.tif`. Replaced where it exists.
        layer: What the values are.
        grid: Pixel grid of the map.
        windows: Rows, columns and values of parts that cover the grid once, in any order.
        tags: Facts for the file's metadata, never what changes from run to run (time, tile size).
        work: Folder for files in progress, on the same disk as `path`.

    Returns:
        Statistics of each band.

    Raises:
        MapError: It cannot be written (disk full, no permission), the windows do not cover the
            grid, or what was read back is not what was written.
    """
    return _write(_Raster(path, layer, grid, tags, work), windows, sparse=False)


def write_sparse_cog(
    path: Path, layer: Layer, grid: GeoBox, windows: Iterable[WindowOf], tags: dict[str, str], work: Path
) -> tuple[Statistics, ...]:
    """Write a map as `write_cog` does; pixels that no window holds are nodata."""
    return _write(_Raster(path, layer, grid, tags, work), windows, sparse=True)


def _write(raster: _Raster, windows: Iterable[WindowOf], *, sparse: bool) -> tuple[Statistics, ...]:
    layer, work = raster.layer, raster.work
    plain, cog = work / f"{raster.path.stem}.plain.tif", work / f"{raster.path.stem}.cog.tif"
    pixels = raster.grid.height * raster.grid.width
    size = pixels * len(layer.band_names) * np.dtype(layer.dtype).itemsize
    with _tidy(raster.path, work, (plain, cog), size):
        written = _write_plain(plain, raster, windows)
        if sparse:
            written.counts[:, layer.nodata] += pixels - written.counts.sum(1)
        whole = with_levels(plain, written.occupied, layer.overviews)
        rasterio.shutil.copy(whole, cog, driver="COG", OVERVIEW_RESAMPLING=layer.overviews.upper(), **COG)
        if layer.categories:  # beside the copy, so that the sidecar holds what we wrote and nothing else
            write_categories(cog, layer.categories)
        _check(cog, layer, written, pixels)
        _publish(cog, raster.path)
    return tuple(_statistics(layer, counts) for counts in written.counts)


@contextmanager
def _tidy(path: Path, work: Path, temporary: tuple[Path, ...], size: int) -> Iterator[None]:
    """Make the folders; take the temporary files away whatever happens; say in words what did."""
    made = not work.exists()
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        work.mkdir(parents=True, exist_ok=True)
        yield
    except (OSError, RasterioError, CPLE_BaseError) as error:
        raise _unwritable(path, error, size) from error
    finally:
        for file in temporary:
            for leftover in work.glob(f"{file.name}*"):  # with its sidecar and GDAL's overviews in progress
                leftover.unlink(missing_ok=True)
        if made and work.exists() and not any(work.iterdir()):
            work.rmdir()


def _unwritable(path: Path, error: Exception, size: int) -> MapStopped:
    folder = next((parent for parent in path.parents if parent.exists()), Path())
    free = shutil.disk_usage(folder).free
    why = str(error).splitlines()[0] if str(error) else type(error).__name__
    if free < size * ROOM:  # GDAL's own words for a full disk are many, and none says so
        why = f"the disk is full, {free / 1e6:,.1f} MB are left: {why}"
    return MapStopped(
        f"{path} cannot be written ({why})",
        expected=f"a folder that can be written to, with {max(0.1, size * ROOM / 1e6):,.1f} MB free for this "
        "file, and room for any after it",
        todo="free some space, correct the permissions, or choose another --out",
    )


def _write_plain(plain: Path, raster: _Raster, windows: Iterable[WindowOf]) -> Tally:
    """Write the file to be copied. Returns what was written."""
    layer, grid = raster.layer, raster.grid
    profile = PLAIN | {
        "width": grid.width,
        "height": grid.height,
        "count": len(layer.band_names),
        "dtype": layer.dtype,
        "nodata": layer.nodata,
        "crs": rasterio.crs.CRS.from_wkt(crs_of(grid).to_wkt()),
        "transform": grid.affine,
    }
    if layer.rgb:
        profile["photometric"] = "RGB"
    elif len(layer.band_names) > 1:  # unsaid, GDAL takes three bands of bytes for red, green and blue
        profile["photometric"] = "MINISBLACK"
    written = Tally(layer, (grid.height, grid.width))
    with rasterio.open(plain, "w", **profile) as file:
        for rows, cols, values in windows:
            bands = values.reshape(-1, *values.shape[-2:]).astype(layer.dtype, copy=False)
            file.write(bands, window=Window.from_slices(rows, cols))
            written.add(bands, rows.start, cols.start)
        _describe(file, layer, raster.tags)
        for band, counts in enumerate(written.counts, 1):
            file.update_tags(band, **_gdal_statistics(layer, counts, grid.height * grid.width))
    return written


def _describe(file: Any, layer: Layer, tags: dict[str, str]) -> None:
    """Names, units, scales, tags and colours of an open file."""
    bands = len(layer.band_names)
    file.descriptions = layer.band_names
    file.units, file.scales, file.offsets = (
        (layer.unit,) * bands,
        (layer.scale,) * bands,
        (layer.offset,) * bands,
    )
    file.update_tags(**tags, DESCRIPTION=layer.description)
    if layer.categories:
        file.write_colormap(1, {entry.value: (*entry.rgb, 255) for entry in layer.categories})


def _gdal_statistics(layer: Layer, counts: NDArray[np.int64], pixels: int) -> dict[str, str]:
    """What GDAL states of a band of so many pixels, whose values occur so often: (values,).

    Where a file states it, GDAL does not go through all of its pixels once more.
    """
    found = _moments(layer, counts)
    if found is None:
        return {}
    names = ("MINIMUM", "MAXIMUM", "MEAN", "STDDEV")
    share = 100 * (counts.sum() - counts[layer.nodata]) / pixels
    stated = {name: f"{value:.14g}" for name, value in zip(names, found, strict=True)}
    return {f"STATISTICS_{name}": text for name, text in (stated | {"VALID_PERCENT": f"{share:.4g}"}).items()}


def _statistics(layer: Layer, counts: NDArray[np.int64]) -> Statistics:
    """Of a band whose values occur so often, (values,)."""
    share = round(100 * float(1 - counts[layer.nodata] / counts.sum()), 4)
    found = _moments(layer, counts)
    if found is None:
        return Statistics(None, None, None, None, share)
    low, high, mean = (round(layer.offset + layer.scale * each, 6) for each in found[:3])
    return Statistics(low, high, mean, round(layer.scale * found[3], 6), share)


def _moments(layer: Layer, counts: NDArray[np.int64]) -> tuple[float, float, float, float] | None:
    """Lowest, highest, mean and standard deviation of values as stored; None where all are nodata."""
    valid = counts.copy()
    valid[layer.nodata] = 0
    if not valid.any():
        return None
    values = np.flatnonzero(valid)
    mean = float(np.average(values, weights=valid[values]))
    spread = float(np.sqrt(np.average((values - mean) ** 2, weights=valid[values])))
    return float(values[0]), float(values[-1]), mean, spread


def _check(raster: Path, layer: Layer, written: Tally, pixels: int) -> None:
    """Read every block back: GDAL can leave blocks out on a full disk and still close the file."""
    computed = int(written.counts[0].sum())
    if computed != pixels:
        raise MapError(
            f"{computed:,} pixels computed for {layer.name}",
            expected=f"{pixels:,}, each pixel of the grid once",
            todo="hand over windows that cover the grid and do not overlap",
        )
    with rasterio.open(raster) as file:
        found = Tally(layer, file.shape)
        for (row, col), block in file.block_windows(1):
            if written.occupied[row, col] or _stored(file, row, col):
                found.add(file.read(window=block), int(block.row_off), int(block.col_off))
        found.counts[:, layer.nodata] += pixels - found.counts.sum(1)
    if wrong := found.differs(written):
        raise MapError(
            f"{layer.name} read back differs from what was written in {wrong}",
            expected="the same values",
            todo="check the disk (is it full?) and try once more: a map goes on with the tiles that are done",
        )


def _stored(file: Any, row: int, col: int) -> bool:
    """Whether a file holds a block, of any band; one that it does not hold reads as nodata."""
    for band in file.indexes:
        try:
            file.block_size(band, row, col)
        except RasterBlockError:
            continue
        return True
    return False


def _publish(cog: Path, path: Path) -> None:
    """Give a finished map its name, the sidecar first: a map is never seen without its classes."""
    if sidecar_of(cog).exists():
        os.replace(sidecar_of(cog), sidecar_of(path))
    else:
        sidecar_of(path).unlink(missing_ok=True)  # of the map that is replaced
    try:
        os.replace(cog, path)
    except OSError:
        sidecar_of(path).unlink(missing_ok=True)
        raise
