"""A cropland mask: where a map is wanted at all."""

import re
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import rasterio
from numpy.typing import NDArray
from odc.geo.geobox import GeoBox
from rasterio.errors import RasterioError
from rasterio.vrt import WarpedVRT

from geocomiss.errors import MapError
from geocomiss.grid import crs_of


@dataclass(frozen=True)
class Mask:
    """A categorical raster of any CRS; pixels of the chosen values are mapped."""

    path: Path
    """The raster file."""
    values: tuple[int, ...]
    """Values to map; empty: all but 0 and nodata."""

    def read(self, grid: GeoBox) -> NDArray[np.bool_]:
        """Where to map on a grid, by the nearest pixel of the raster: (H, W)."""
        with (
            rasterio.open(self.path) as raster,
            WarpedVRT(
                raster,
                crs=crs_of(grid).to_wkt(),
                transform=grid.affine,
                height=grid.height,
                width=grid.width,
                add_alpha=raster.nodata is None,  # else warped-in corners read as 0 or worse
            ) as warped,
        ):
            band, covered = warped.read(1), warped.dataset_mask() > 0
        chosen = np.isin(band, self.values) if self.values else band != 0
        return np.asarray(chosen & covered)


def read_mask(text: str) -> Mask:
    """Parse `--mask FILE[:values]`, for example 'worldcover.tif:40' or 'landuse.tif:10,40'.

    Raises:
        MapError: The file is missing, is no raster, or has no CRS.
    """
    match = re.fullmatch(r"(.+):(\d+(?:,\d+)*)", text)
    name, values = match.groups() if match else (text, "")
    path = Path(name)
    try:
        with rasterio.open(path) as raster:
            crs = raster.crs
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
    return Mask(path, tuple(int(value) for value in values.split(",")) if values else ())
