"""A cropland mask: where a map is wanted at all."""

import re
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import rasterio
from numpy.typing import NDArray
from odc.geo.geobox import GeoBox
from rasterio.errors import RasterioError
from rasterio.windows import Window

from geocomiss.errors import MapError
from geocomiss.grid import cells_of


@dataclass(frozen=True)
class Mask:
    """A categorical raster of any CRS; pixels of the chosen values are mapped."""

    path: Path
    """The raster file."""
    values: tuple[int, ...]
    """Values to map; empty: all but 0 and nodata."""
    grid: GeoBox
    """Its own grid."""

    def read(self, part: GeoBox, whole: GeoBox) -> NDArray[np.bool_]:
        """Where to map: by the cell of the raster in which each pixel centre lies, exactly.

        Args:
            part: A window of `whole`.
            whole: The grid of the map, from whose origin pixels are counted.

        Returns:
            (H, W) bool; False outside the raster.

        Raises:
            MapError: The file is damaged.
        """
        cells, within = cells_of(part, self.grid, whole)
        if not within.any():
            return within
        row, col = np.divmod(cells, self.grid.width)
        top, left = int(row[within].min()), int(col[within].min())
        height, width = int(row[within].max()) - top + 1, int(col[within].max()) - left + 1
        chosen = self._chosen(Window(left, top, width, height))
        rows, cols = np.clip(row - top, 0, height - 1), np.clip(col - left, 0, width - 1)
        return np.asarray(within & chosen[rows, cols])

    def read_or_all(self, part: GeoBox, whole: GeoBox) -> NDArray[np.bool_]:
        """The same; all pixels where the file is damaged: it is not known which of them it leaves out."""
        try:
            return self.read(part, whole)
        except MapError:
            return np.ones(part.shape, bool)

    def _chosen(self, window: Window) -> NDArray[np.bool_]:
        try:
            with rasterio.open(self.path) as raster:
                band, covered = raster.read(1, window=window), raster.read_masks(1, window=window) > 0
        except RasterioError as error:
            raise MapError(
                f"the mask {self.path.name} is damaged ({str(error).splitlines()[0]})",
                expected="a whole raster file",
                todo="fetch or write it again",
            ) from error
        chosen = np.isin(band, self.values) if self.values else band != 0
        return np.asarray(chosen & covered)


def read_mask(text: str) -> Mask:
    """Parse `--mask FILE[:values]`, for example 'worldcover.tif:40' or 'landuse.tif:10,40'.

    Raises:
        MapError: The file is missing, is no raster, or has no CRS.
    """
    match = re.fullmatch(r"(.+):(\d+(?:,\d+)*)", text)
    if not match and not Path(text).exists() and Path(text.rpartition(":")[0]).is_file():
        raise MapError(
            f"the mask values {text.rpartition(':')[2]!r}",
            expected="whole numbers, as in landuse.tif:10,40",
            todo="correct what follows the colon in --mask",
        )
    name, values = match.groups() if match else (text, "")
    try:
        with rasterio.open(name) as raster:
            crs, shape, affine = raster.crs, raster.shape, raster.transform
    except RasterioError as error:
        raise MapError(
            f"the mask {name!r} cannot be read",
            expected="a raster file",
            todo="check the path given to --mask",
        ) from error
    if crs is None:
        raise MapError(
            f"the mask {name!r} has no CRS", expected="a georeferenced raster", todo="assign its CRS"
        )
    chosen = tuple(int(value) for value in values.split(",")) if values else ()
    return Mask(Path(name).absolute(), chosen, GeoBox(shape, affine, crs.to_wkt()))
