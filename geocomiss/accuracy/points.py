"""Validation points as a GeoPackage: a layer to label, and the outlines of the pixels that labels are for.

N points.
"""

import os
from pathlib import Path
from typing import Any, Final

import geopandas
import numpy as np
import pyogrio
import shapely
from numpy.typing import NDArray

from geocomiss.accuracy.raster import MapOnDisk, pixel_centres
from geocomiss.errors import MapError, SampleError
from geocomiss.grid import crs_of

POINTS: Final = "points"
"""Layer with the points."""
FOOTPRINTS: Final = "pixels"
"""Layer with the outlines of their pixels: what a label describes."""


def check_file(out: Path, overwrite: bool) -> None:
    """Refuse a file that is no GeoPackage, or may hold labels.

    Raises:
        SampleError: It is no `*.gpkg`.
        MapError: It is there, and may not be overwritten.
    """
    if out.suffix.lower() != ".gpkg":
        raise SampleError(f"the file {out.name!r}", expected="a GeoPackage, *.gpkg", todo="correct --out")
    if out.exists() and not overwrite:
        raise MapError(
            f"{out} exists already, perhaps with labels in it",
            expected="a new file",
            todo="choose another --out, or give --overwrite to lose what it holds",
        )


def write_points(
    path: Path, one: MapOnDisk, pixels: tuple[NDArray[np.int64], NDArray[np.int64]], columns: dict[str, Any]
) -> None:
    """Write points and the outlines of their pixels; the file appears when it is whole.

    Args:
        path: GeoPackage to write.
        one: The map.
        pixels: Rows and columns of N pixels.
        columns: What is said of each, (N,), among it `id`.

    Raises:
        MapError: It cannot be written.
    """
    affine, crs = one.grid.affine, crs_of(one.grid).to_wkt()
    x, y = pixel_centres(one.grid, *pixels)
    points = geopandas.GeoDataFrame(columns, geometry=shapely.points(x, y), crs=crs)
    degrees = points.geometry.to_crs(4326)
    points["lon"], points["lat"] = degrees.x.round(7), degrees.y.round(7)
    half_x, half_y = abs(affine.a) / 2, abs(affine.e) / 2
    outlines = geopandas.GeoDataFrame(
        {"id": points["id"]}, geometry=shapely.box(x - half_x, y - half_y, x + half_x, y + half_y), crs=crs
    )
    partial = path.with_name(f".{path.stem}.{os.getpid()}.partial.gpkg")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        points.to_file(partial, layer=POINTS, driver="GPKG", engine="pyogrio")
        outlines.to_file(partial, layer=FOOTPRINTS, driver="GPKG", engine="pyogrio", mode="a")
        partial.replace(path)
    except (OSError, pyogrio.errors.DataSourceError, pyogrio.errors.DataLayerError) as error:
        partial.unlink(missing_ok=True)
        raise MapError(
            f"{path} cannot be written ({str(error).splitlines()[0]})",
            expected="a folder that can be written to, with free space",
            todo="choose another --out",
        ) from error
