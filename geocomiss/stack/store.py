"""Stacks on disk: a Zarr folder that appears under its name only when it is whole."""

import shutil
from collections.abc import Callable, Hashable
from pathlib import Path
from typing import Any, Final

import xarray as xr
from dask.callbacks import Callback

from geocomiss.errors import StackError
from geocomiss.stack.layout import FORMAT, new_stack, origin_of

BLOCK: Final = 256
"""Pixels a side of blocks, where those of a source are of several sizes."""
Progress = Callable[[int, int], None]
"""Told (tasks done, tasks in all)."""


def write_stack(stack: xr.DataTree, path: Path, progress: Progress | None = None) -> None:
    """Write a stack as Zarr, replacing one that is there. The name appears when it is whole.

    Args:
        stack: A stack, lazy or not.
        path: The folder.
        progress: Told (tasks done, tasks in all).
    """
    partial = path.with_name(f".{path.name}.partial")
    shutil.rmtree(partial, ignore_errors=True)
    try:
        # the encoding of the file that values came from would round them and chunk them its way
        with _Telling(progress):
            stack.map_over_datasets(_stored).to_zarr(partial, mode="w", consolidated=False)
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


def _stored(group: xr.Dataset) -> xr.Dataset:
    """In blocks of one size, as Zarr wants it, and without the coding of the file that values came from."""
    sides = [group.chunksizes.get(dim, ()) for dim in ("y", "x")]
    uneven = any(len({*each[:-1]}) > 1 or (each and each[-1] > each[0]) for each in sides)
    plain = group.drop_encoding()
    return plain.chunk(y=BLOCK, x=BLOCK) if uneven else plain


class _Telling(Callback):
    """Tell a user of Dask's finished tasks."""

    def __init__(self, progress: Progress | None) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self._progress = progress

    def _posttask(self, key: Hashable, result: Any, dsk: Any, state: dict[str, Any], worker_id: Any) -> None:
        if self._progress:
            done = len(state["finished"])
            left = sum(len(state[each]) for each in ("ready", "waiting", "running"))
            self._progress(done, done + left)
