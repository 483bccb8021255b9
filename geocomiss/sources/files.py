"""Reading local NetCDF and GeoTIFF files lazily, with one clear error where they are damaged.

Pixels are read block by block inside Dask tasks. Whatever goes wrong there reaches the user as a
`SourceError`, not as a message of the HDF5 or TIFF library.
"""

import functools
import threading
from collections.abc import Callable, Hashable
from pathlib import Path
from typing import Any, Final

import dask.array as da
import numpy as np
import rasterio
import xarray as xr
from affine import Affine
from dask.base import tokenize
from numpy.typing import NDArray
from odc.geo import CRS
from odc.geo.geobox import GeoBox
from rasterio.windows import Window

from geocomiss.errors import SourceError

CHUNK: Final = 256
"""Pixels a side of the blocks that are read at once: a year of single dates of a band is 40 MB."""
MAGIC: Final = {
    "netcdf": (b"\x89HDF\r\n\x1a\n", b"CDF\x01", b"CDF\x02", b"CDF\x05"),
    "tiff": (b"II*\x00", b"MM\x00*", b"II+\x00", b"MM\x00+"),
}
"""First bytes by which a file format is known, whatever the file is called."""
BLOCK_BYTES: Final = 64e6
"""Most that is read of a variable at once, where the file's own blocks are larger than `CHUNK`."""
_NETCDF: Final = threading.RLock()
"""The HDF5 library serves one thread at a time, also while a file is opened."""
TIME_DIMS: Final = ("t", "time", "timestamp")
"""Names that writers give to the dimension of time."""

Read = Callable[[tuple[slice, ...]], NDArray[Any]]
"""Reads one block of an array."""


def has_format(path: Path, kind: str) -> bool:
    """Whether a file's first bytes say that it is 'netcdf' or 'tiff'."""
    if not path.is_file():
        return False
    try:
        with path.open("rb") as file:
            return file.read(8).startswith(MAGIC[kind])
    except OSError as error:
        raise damaged(path, error) from error


def damaged(path: Path, error: Exception) -> SourceError:
    """What to say of a file that cannot be read."""
    reason = str(error).split("\n")[0].replace(str(path), path.name).rstrip(". ")
    return SourceError(
        f"{path.name} cannot be read ({reason or type(error).__name__})",
        expected="a whole, readable file",
        todo="copy or download it again: it may be truncated",
    )


def open_netcdf(path: Path) -> xr.Dataset:
    """Open a NetCDF file without decoding values: no fill value, no scale, no sign.

    Raises:
        SourceError: It is damaged.
    """
    with _NETCDF:
        return _open_netcdf(path.absolute(), path.stat().st_mtime_ns)


@functools.lru_cache(maxsize=64)
def _open_netcdf(path: Path, _changed: int) -> xr.Dataset:
    try:
        return xr.open_dataset(path, mask_and_scale=False, cache=False)
    except (OSError, ValueError, KeyError, RuntimeError) as error:
        raise damaged(path, error) from error


def lazy_variable(
    path: Path, name: str, missing: tuple[float, ...] = (), factor: float = 1.0
) -> xr.DataArray:
    """A variable `(time, y, x)` or `(y, x)` as physical float32, NaN missing, north up, lazily.

    Unsigned integers stored as signed ones (`_Unsigned`) are restored; the fill value may stand at
    the variable or at the file; `scale_factor` and `add_offset` are applied.

    Args:
        path: NetCDF file.
        name: Variable.
        missing: Numbers that mean "missing" even where the file does not say so.
        factor: From the unit of the file to another; joined with the file's own scale before
            rounding, so that 0.0001 x 10000 is exact.
    """
    dataset = open_netcdf(path)
    decoded = raw_variable(path, name)
    fills, scale, offset = _coding(dataset, name)
    unsigned = dataset[name].attrs.get("_Unsigned") == "true"

    def decode(raw: NDArray[Any]) -> NDArray[np.float32]:
        numbers = raw.view(f"u{raw.dtype.itemsize}") if unsigned else raw
        values = (numbers.astype(np.float64) * (scale * factor) + offset * factor).astype(np.float32)
        return np.where(np.isin(numbers, [*fills, *missing]), np.float32(np.nan), values)

    return decoded.copy(data=decoded.data.map_blocks(decode, dtype=np.float32))


def raw_variable(path: Path, name: str) -> xr.DataArray:
    """A variable as stored, `(time, y, x)` or `(y, x)`, north up, lazily."""
    variable = open_netcdf(path)[name]
    time = time_dim(variable)
    order = tuple(dim for dim in (time, "y", "x") if dim is not None)
    variable = variable.transpose(*order)
    read = functools.partial(_read_netcdf, path, name, order)
    side = _side(variable)
    lazy = variable.copy(data=lazy_array(read, variable.shape, variable.dtype, (path, name, side), side))
    lazy = lazy.rename({time: "time"}) if time and time != "time" else lazy
    rows = variable["y"].values
    return lazy.isel(y=slice(None, None, -1)) if rows.size > 1 and rows[0] < rows[-1] else lazy


def time_dim(variable: xr.DataArray | xr.Dataset) -> str | None:
    """Name of the dimension of time, or None."""
    return next((name for name in TIME_DIMS if name in variable.dims), None)


def netcdf_grid(path: Path) -> GeoBox:
    """The north-up pixel grid of a NetCDF file with `y`, `x` coordinates of pixel centres.

    A single row or column does not tell the pixel size: the attribute `resolution` then does.

    Raises:
        SourceError: Coordinates are missing or uneven, or no CRS is stated.
    """
    dataset = open_netcdf(path)
    x, width = _axis(dataset, "x", path)
    y, height = _axis(dataset, "y", path)
    affine = Affine(width, 0, x.min() - width / 2, 0, -height, y.max() + height / 2)
    return GeoBox((y.size, x.size), affine, _netcdf_crs(dataset, path))


def _axis(dataset: xr.Dataset, name: str, path: Path) -> tuple[NDArray[np.float64], float]:
    """Pixel centres along an axis and the distance between them, above 0."""
    if name not in dataset.coords:
        raise _no_grid(path, f"no coordinate {name!r}")
    values = np.asarray(dataset[name].values, np.float64)
    if values.size > 1:
        size = abs(values[-1] - values[0]) / (values.size - 1)
        if not np.allclose(np.abs(np.diff(values)), size, rtol=1e-3, atol=0):
            raise _no_grid(path, f"unevenly spaced {name!r}")
        return values, float(size)
    if "resolution" not in dataset.attrs:
        raise _no_grid(path, f"one value of {name!r} and no attribute 'resolution'")
    return values, float(dataset.attrs["resolution"])


def _netcdf_crs(dataset: xr.Dataset, path: Path) -> CRS:
    holders = [dataset[name].attrs for name in ("crs", "spatial_ref") if name in dataset.variables]
    texts = [holder.get(key) for holder in holders for key in ("crs_wkt", "spatial_ref")]
    for text in (*texts, dataset.attrs.get("epsg"), dataset.attrs.get("crs")):
        if text is not None:
            try:
                return short_crs(text if isinstance(text, str) else f"EPSG:{int(text)}")
            except Exception as error:  # odc and PROJ raise many kinds here
                raise _no_grid(path, f"a CRS that is not known ({str(text)[:60]})") from error
    raise _no_grid(path, "no CRS")


def short_crs(text: str) -> CRS:
    """A CRS by its EPSG code where it has one: writers differ in how they spell it out."""
    crs = CRS(text)
    code = crs.proj.to_epsg(min_confidence=100)
    return CRS(f"EPSG:{code}") if code else crs


def _no_grid(path: Path, problem: str) -> SourceError:
    return SourceError(
        f"{path.name} has {problem}",
        expected="evenly spaced pixel centres `x`, `y` and a CRS",
        todo="export it again with its georeferencing",
    )


def _coding(dataset: xr.Dataset, name: str) -> tuple[list[float], float, float]:
    """(fill values, scale, offset) of a variable."""
    attrs = dataset[name].attrs
    found = (attrs.get("_FillValue"), attrs.get("missing_value"), attrs.get("nodata"))
    wide = (dataset.attrs.get(key) for key in ("_FillValue", "nodata", "NoData"))
    fills = [float(value) for value in found if value is not None]
    fills = fills or [float(value) for value in wide if value is not None]
    bits = dataset[name].dtype.itemsize * 8
    # netCDF stores the fill value of an unsigned variable as signed too: 65535 as -1
    fills += [value + 2**bits for value in fills if value < 0 and attrs.get("_Unsigned") == "true"]
    return fills, float(attrs.get("scale_factor", 1.0)), float(attrs.get("add_offset", 0.0))


def _read_netcdf(path: Path, name: str, order: tuple[str, ...], where: tuple[slice, ...]) -> NDArray[Any]:
    try:
        with _NETCDF:
            variable = open_netcdf(path)[name].transpose(*order)
            return np.asarray(variable[where].values)
    except (OSError, RuntimeError, ValueError, KeyError) as error:
        raise damaged(path, error) from error


def lazy_tiff(path: Path) -> da.Array:
    """All bands of a GeoTIFF as float32 `(band, y, x)`, NaN missing, lazily."""
    with open_tiff(path) as file:
        shape = (file.count, file.height, file.width)
    return lazy_array(functools.partial(_read_tiff, path), shape, np.dtype(np.float32), (path,), CHUNK)


def open_tiff(path: Path) -> Any:
    """Open a GeoTIFF.

    Raises:
        SourceError: It is damaged.
    """
    try:
        return rasterio.open(path)
    except rasterio.errors.RasterioError as error:
        raise damaged(path, error) from error


def tiff_grid(path: Path) -> GeoBox:
    """The grid of a north-up GeoTIFF.

    Raises:
        SourceError: It has no CRS or is rotated.
    """
    with open_tiff(path) as file:
        affine, crs, shape = file.transform, file.crs, (file.height, file.width)
    if crs is None:
        raise _no_grid(path, "no CRS")
    if affine.b or affine.d or affine.a <= 0 or affine.e >= 0:
        raise _no_grid(path, "a rotated or mirrored pixel grid")
    return GeoBox(shape, affine, short_crs(crs.to_wkt()))


def _read_tiff(path: Path, where: tuple[slice, ...]) -> NDArray[np.float32]:
    try:
        with rasterio.open(path) as file:
            rows, cols = where[-2:]
            values = file.read(window=Window.from_slices(rows, cols)).astype(np.float32)
            if file.nodata is not None:
                values[values == np.float32(file.nodata)] = np.nan
    except (rasterio.errors.RasterioError, OSError) as error:
        raise damaged(path, error) from error
    return np.asarray(values)


def _side(variable: xr.DataArray) -> int:
    """Pixels a side of the blocks to read: not less than the file's, each of which is decoded whole."""
    stored = max(variable.encoding.get("chunksizes") or (CHUNK,))
    others = variable.dtype.itemsize * variable.size / (variable.sizes["y"] * variable.sizes["x"])
    return max(CHUNK, min(stored, int((BLOCK_BYTES / others) ** 0.5)))


def lazy_array(
    read: Read,
    shape: tuple[int, ...],
    dtype: np.dtype[Any],
    key: tuple[Hashable, ...],
    side: int,
) -> da.Array:
    """An array read in blocks of `side` rows and columns, other axes whole.

    It takes the same time whatever its size: where a block lies is told from its number.

    Args:
        read: Reads a block, raising a `SourceError` where that fails; in a Dask task.
        shape: Of the array, rows and columns last.
        dtype: Of the array.
        key: What tells it from other arrays, the file first.
        side: Pixels a side of the blocks.
    """
    edges = tuple([*range(0, size, side), size] for size in shape[-2:])
    chunks = (*((size,) for size in shape[:-2]), *(tuple(np.diff(each).tolist()) for each in edges))
    blocks: Any = da.map_blocks  # dask ships no types for it
    path = key[0]
    changed = path.stat().st_mtime_ns if isinstance(path, Path) else 0
    name = f"read-{tokenize(key, changed, shape)}"
    meta = np.empty((0,) * len(shape), dtype)
    lazy: da.Array = blocks(_load, read=read, edges=edges, chunks=chunks, dtype=dtype, meta=meta, name=name)
    return lazy


def _load(read: Read, edges: tuple[list[int], list[int]], block_id: tuple[int, ...] = ()) -> NDArray[Any]:
    others = (slice(None),) * (len(block_id) - 2)
    spans = (slice(*along[at : at + 2]) for along, at in zip(edges, block_id[-2:], strict=True))
    return read((*others, *spans))
