"""Stacks on disk: a Zarr folder that appears under its name only when it is whole."""

import shutil
from pathlib import Path

import xarray as xr

from geocomiss.errors import StackError
from geocomiss.stack.layout import FORMAT, new_stack, origin_of


def write_stack(stack: xr.DataTree, path: Path) -> None:
    """Write a stack as Zarr, replacing one that is there. The name appears when it is whole."""
    partial = path.with_name(f".{path.name}.partial")
    shutil.rmtree(partial, ignore_errors=True)
    try:
        # the encoding of the file that values came from would round them and chunk them its way
        stack.map_over_datasets(xr.Dataset.drop_encoding).to_zarr(partial, mode="w", consolidated=False)
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
        raise StackError(
            f"{path} cannot be read as a stack ({error})",
            expected="a Zarr folder written by `geocomiss fetch`",
            todo="fetch it again",
        ) from error
    if stack.attrs.get("geocomiss_stack") != FORMAT:
        raise StackError(
            f"{path} has stack layout {stack.attrs.get('geocomiss_stack', 'none')}",
            expected=f"layout {FORMAT}",
            todo="fetch it again with this version of geocomiss",
        )
    groups = {name: group.to_dataset(inherit=False) for name, group in stack.children.items()}
    return new_stack(groups, origin_of(stack))
