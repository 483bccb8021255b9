"""Stacks on disk: a Zarr folder that appears under its name only when it is whole.

An area that the stack was asked for is stored with it: blocks in which none of it lies are neither read nor
stored. What is missing elsewhere was not asked for, which is not the same as not seen.
"""

import shutil
from pathlib import Path
from typing import Final

import numpy as np
import shapely
import xarray as xr
import zarr
from odc.geo import CRS, Geometry

from geocomiss.errors import StackError
from geocomiss.grid import crs_text
from geocomiss.stack.layout import FORMAT, new_stack, origin_of
from geocomiss.stack.writing import Progress, Writing

AREA: Final = "area"
"""Array of the root that holds the area as WKB, a byte each, with its CRS as an attribute."""


def write_stack(
    stack: xr.DataTree, path: Path, progress: Progress | None = None, area: Geometry | None = None
) -> None:
    """Write a stack as Zarr, replacing one that is there. The name appears when it is whole.

    Args:
        stack: A stack, lazy or not.
        path: The folder.
        progress: Told (steps done, steps in all).
        area: Where its values were asked for, stored with it; None: everywhere.
    """
    partial = path.with_name(f".{path.name}.partial")
    shutil.rmtree(partial, ignore_errors=True)
    try:
        _root(stack, area).to_zarr(partial, mode="w", consolidated=False)
        Writing(stack, partial, area).write(progress)
        if path.exists():
            shutil.rmtree(path)
        partial.rename(path)
    finally:
        shutil.rmtree(partial, ignore_errors=True)


def read_stack(path: Path) -> xr.DataTree:
    """Open a stack written by `write_stack`, lazily.

    Raises:
        StackError: It is damaged, or of another version of the layout.
    """
    try:
        stack = xr.open_datatree(path, engine="zarr", chunks={}, consolidated=False)
    except (OSError, ValueError, KeyError) as error:
        raise _unreadable(path, error) from error
    if stack.attrs.get("geocomiss_stack") != FORMAT:
        raise StackError(
            f"{path} has stack layout {stack.attrs.get('geocomiss_stack', 'none')}",
            expected=f"layout {FORMAT}",
            todo="fetch it again with this version of geocomiss",
        )
    groups = {name: group.to_dataset(inherit=False) for name, group in stack.children.items()}
    return new_stack(groups, origin_of(stack))


def read_area(path: Path) -> Geometry | None:
    """The area that a stored stack was asked for; None: all over its grid.

    Raises:
        StackError: It is damaged.
    """
    if not (path / AREA).is_dir():
        return None
    try:
        stored = zarr.open_array(path / AREA, mode="r")
        crs = CRS(str(stored.attrs["crs"]))
        return Geometry(shapely.from_wkb(np.asarray(stored[:]).tobytes()), crs)
    except (OSError, ValueError, KeyError, RuntimeError, shapely.errors.ShapelyError) as error:
        raise _unreadable(path, error) from error


def _unreadable(path: Path, error: Exception) -> StackError:
    return StackError(
        f"{path} cannot be read as a stack ({error})",
        expected="a Zarr folder written by `geocomiss fetch`",
        todo="fetch it again",
    )


def _root(stack: xr.DataTree, area: Geometry | None) -> xr.Dataset:
    """What a stack says of itself."""
    if area is None or area.crs is None:
        return xr.Dataset(attrs=stack.attrs)
    stored = np.frombuffer(shapely.to_wkb(area.geom), np.uint8)
    return xr.Dataset({AREA: ("byte", stored, {"crs": crs_text(area.crs)})}, attrs=stack.attrs)
