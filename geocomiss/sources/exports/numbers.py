"""Numbers out of the GeoTIFFs of an export, in windows of the whole."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import rasterio
from numpy.typing import NDArray
from odc.geo.geobox import GeoBox
from rasterio.errors import RasterioError
from rasterio.windows import Window

from geocomiss.errors import SourceError
from geocomiss.sources.remote import GDAL_SETTINGS

VSIGS: Final = "/vsigs/"
"""Before a bucket in GDAL."""
SETTINGS: Final = GDAL_SETTINGS | {
    "CPL_VSIL_CURL_ALLOWED_EXTENSIONS": "tif",  # nothing else is looked for beside a file
}
"""How GDAL reads files of an export."""


@dataclass(frozen=True)
class File:
    """A file, or what Earth Engine has split off one."""

    path: str
    """Its path, as GDAL wants it."""
    bands: tuple[str, ...]
    """What its bands hold."""
    y: slice
    """Rows of the whole that it covers."""
    x: slice
    """Columns of the whole that it covers."""


class Numbers:
    """Numbers of named bands on a grid, from many files.

    Args:
        grid: The whole.
        files: Where they are.
        nothing: Number where no file has a band.
    """

    def __init__(self, grid: GeoBox, files: Sequence[File], nothing: int) -> None:
        self.grid, self._files, self._nothing = grid, files, nothing
        edges = [(f.y.start, f.y.stop, f.x.start, f.x.stop) for f in files]
        self._edges = np.array(edges, np.int64).reshape(-1, 4)

    def read(self, bands: Sequence[str], y: slice, x: slice) -> NDArray[np.int32]:
        """A window: (bands, h, w).

        Raises:
            SourceError: A file cannot be read.
        """
        values = np.full((len(bands), y.stop - y.start, x.stop - x.start), self._nothing, np.int32)
        for file in self._met(y, x):
            at = {band: number for number, band in enumerate(file.bands, 1)}
            there = [number for number, band in enumerate(bands) if band in at]
            if not there:
                continue
            rows = slice(max(y.start, file.y.start), min(y.stop, file.y.stop))
            cols = slice(max(x.start, file.x.start), min(x.stop, file.x.stop))
            read = _window(file, [at[bands[number]] for number in there], rows, cols)
            down = slice(rows.start - y.start, rows.stop - y.start)
            across = slice(cols.start - x.start, cols.stop - x.start)
            values[there, down, across] = read
        return values

    def _met(self, y: slice, x: slice) -> Iterator[File]:
        """Files that meet a window."""
        top, bottom, left, right = self._edges.T
        met = (top < y.stop) & (bottom > y.start) & (left < x.stop) & (right > x.start)
        return (file for file, meets in zip(self._files, met, strict=True) if meets)


def _window(file: File, numbers: Sequence[int], y: slice, x: slice) -> NDArray[Any]:
    """Some bands of rows and columns of the whole."""
    rows = slice(y.start - file.y.start, y.stop - file.y.start)
    cols = slice(x.start - file.x.start, x.stop - file.x.start)
    try:
        with rasterio.Env(**SETTINGS), rasterio.open(file.path) as source:
            values: NDArray[Any] = source.read(list(numbers), window=Window.from_slices(rows, cols))
            return values
    except (RasterioError, OSError) as error:
        raise unreadable(file.path, error) from error


def unreadable(path: str, error: Exception) -> SourceError:
    """What to say of a file that GDAL cannot read."""
    reason = str(error.__cause__ or error).split("\n")[0].replace(path, name_of(path)).rstrip(". ")
    return SourceError(
        f"{name_of(path)} cannot be read ({reason[:200] or type(error).__name__})",
        expected="a whole, readable GeoTIFF",
        todo="give GDAL the right to read the bucket (GOOGLE_APPLICATION_CREDENTIALS), or copy the files to "
        "a folder and give it as --files"
        if path.startswith(VSIGS)
        else "copy or download it again: it may be truncated",
    )


def name_of(path: str) -> str:
    """The last part of a path or address."""
    return path.rpartition("/")[2]
