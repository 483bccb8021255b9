"""Writing predictions as GeoTIFFs."""

import json
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any, Final

import numpy as np
import xarray as xr
from numpy.typing import NDArray
from odc.geo.geobox import GeoBox

from geocomiss.api.predicting import FIELDS
from geocomiss.errors import MapError, StackError
from geocomiss.mapping.far import stored_index
from geocomiss.maps import (
    APPLICABILITY,
    NOT_MAPPED,
    QML_SUFFIX,
    STEP,
    Category,
    Layer,
    applicability,
    expected_accuracy,
    map_layers,
    write_cog,
    write_style,
)
from geocomiss.stack import grid_of_group

GRID: Final = ("crs", "affine")
"""Attributes that say where pixels lie: a file says so in its own way."""


def write(prediction: xr.Dataset, folder: str | Path) -> tuple[Path, ...]:
    """Compute a prediction chunk by chunk and write it as GeoTIFFs that GIS software opens with names.

    Args:
        prediction: From `predict`, or a part of it cut out by `isel` and `sel`.
        folder: Where to; it is made, and files of the same names in it are replaced.

    Returns:
        The files, cloud optimised, each with a style for QGIS beside it.

    Raises:
        MapError: It is no prediction, or cannot be written.
    """
    folder = Path(folder)
    classes, grid = _facts_of(prediction)
    layers = {layer.name: layer for layer in (*map_layers(classes), expected_accuracy(), applicability())}
    tags = {name: str(value) for name, value in prediction.attrs.items() if name not in GRID}
    paths = []
    for name in (each for each in FIELDS if each in prediction):
        layer, path = layers[name], folder / f"{name}.tif"
        windows = _windows(prediction[name], layer)
        statistics = write_cog(path, layer, grid, windows, tags, folder / ".writing")
        write_style(path.with_suffix(QML_SUFFIX), layer, statistics[0])
        paths.append(path)
    return tuple(paths)


def _facts_of(prediction: xr.Dataset) -> tuple[tuple[Category, ...], GeoBox]:
    """The classes and the grid that a prediction states."""
    try:
        stored = json.loads(prediction["crop_type"].attrs["classes"])
        classes, grid = tuple(Category(**each) for each in stored), grid_of_group(prediction)
    except (KeyError, TypeError, ValueError, StackError) as error:
        raise MapError(
            "a dataset without classes or grid",
            expected="what `geocomiss.predict` returns, or a window of it with its attributes",
            todo="keep its attributes: `xr.set_options(keep_attrs=True)`",
        ) from error
    for name, first, step in (("x", grid.affine.c, grid.affine.a), ("y", grid.affine.f, grid.affine.e)):
        expected = first + (np.arange(prediction.sizes[name]) + 0.5) * step
        if not np.allclose(prediction[name], expected, rtol=0, atol=abs(step) / 100):
            raise MapError(
                f"a prediction with gaps or turns along {name}",
                expected="neighbouring rows and columns, as they were predicted",
                todo="write a window of it",
            )
    return classes, grid


def _windows(values: xr.DataArray, layer: Layer) -> Iterator[tuple[slice, slice, NDArray[Any]]]:
    """Parts of a field as its file holds them, computed one after the other."""
    tall, wide = (np.cumsum((0, *sizes)) for sizes in values.data.chunks)
    for top, bottom in pairwise(tall.tolist()):
        for left, right in pairwise(wide.tolist()):
            part = values[top:bottom, left:right].to_numpy()
            if layer.name == APPLICABILITY:
                part = stored_index(part, ~np.isnan(part))
            elif layer.scale == STEP:
                part = np.where(np.isnan(part), NOT_MAPPED, np.rint(part / STEP)).astype(np.uint8)
            yield slice(top, bottom), slice(left, right), part
