"""Which classes a raster has, by what lies beside it or, without that, by the raster itself."""

from pathlib import Path
from typing import Final

import numpy as np
import rasterio

from geocomiss.errors import MapError
from geocomiss.maps.layers import Category
from geocomiss.maps.legend import read_map_legend
from geocomiss.maps.sidecar import read_categories, sidecar_of
from geocomiss.maps.summary import read_summary

LEGEND: Final = "legend.csv"
"""The legend beside a map."""
MOST: Final = 254
"""Most classes that a raster can have."""
PLAIN: Final = "#808080"
"""Colour of a class that has none."""


def classes_stated(raster: Path) -> tuple[tuple[Category, ...], tuple[str, ...]]:
    """The classes of a raster, and what a user should know where their names are missing.

    Args:
        raster: A GeoTIFF of classes: ours, with or without the files beside it, or another's.

    Raises:
        MapError: It is no raster of classes, or a file beside it is damaged.
        RasterioError: It cannot be read.
    """
    if found := read_categories(raster) or _of_folder(raster.parent, raster.name):
        return found, ()
    values = _values(raster)
    said = f"{raster.name} does not say what its classes are called ({sidecar_of(raster).name} is not there)"
    return tuple(Category(value, f"class {value}", PLAIN) for value in values), (
        f"{said}: they are named by their values",
    )


def _of_folder(folder: Path, name: str) -> tuple[Category, ...]:
    """What the folder of a map says of its classes; none where it is no such folder."""
    if name != "crop_type.tif":
        return ()
    try:
        stated = read_summary(folder).get("classes", [])
        return tuple(Category(each["value"], each["name"], each["color"]) for each in stated)
    except (MapError, KeyError, TypeError):
        pass
    if not (folder / LEGEND).exists():
        return ()
    every = tuple(Category(value, f"class {value}", PLAIN) for value in range(256))
    legend = read_map_legend(folder / LEGEND, every)
    return tuple(legend[value] for value in sorted(legend))


def _values(raster: Path) -> list[int]:
    """The values that occur, block by block, without "no data"."""
    found: set[int] = set()
    with rasterio.open(raster) as file:
        if file.count != 1 or np.dtype(file.dtypes[0]).kind not in "iu":
            raise _no_classes(raster, f"{file.count} bands of {file.dtypes[0]}")
        for _, window in file.block_windows(1):
            values = file.read(1, window=window)
            found |= set(np.unique(values[file.read_masks(1, window=window) > 0]).tolist())
            if len(found) > MOST:
                raise _no_classes(raster, f"more than {MOST} values")
    if not found:
        raise _no_classes(raster, "no value but nodata")
    return sorted(found)


def _no_classes(raster: Path, what: str) -> MapError:
    return MapError(
        f"{raster.name} holds {what}",
        expected=f"a map of classes: one band of at most {MOST} whole numbers",
        todo="give the raster of classes",
    )
