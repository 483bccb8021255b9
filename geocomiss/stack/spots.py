"""Reading the spots of a lazy stack where something is wanted, and nothing between them.

Blocks of a source are decoded whole. So what is read is told block by block: of each block that holds
something wanted the smallest window that does, neighbours in a row of blocks as one. No block is read twice,
and where every block holds something the whole is read at once.

H x W pixels.
"""

from collections.abc import Iterator
from itertools import pairwise
from typing import Any, Final

import dask
import numpy as np
import xarray as xr
from numpy.typing import NDArray
from odc.geo.geobox import GeoBox

from geocomiss.grid import same_grid
from geocomiss.stack.layout import grid_of_group, groups_of, new_stack, origin_of

Bools = NDArray[np.bool_]
Window = tuple[slice, slice]
"""Rows and columns."""
STORED: Final = "preferred_chunks"
"""Where the encoding of an array that is not Dask's tells the lengths of its file's blocks by dimension, as
xarray has it. Blocks are counted from the corner of the grid that the attribute `affine` states."""
Values = dict[str, xr.Variable]
"""What a window of a modality holds, by variable."""
COMPUTE: Any = dask.compute  # type: ignore[attr-defined]
"""Dask ships no types for it."""


def read_spots(stack: xr.DataTree, wanted: Bools, grid: GeoBox) -> xr.DataTree:
    """A lazy stack in memory, read where something is wanted.

    Args:
        stack: A window of a stack.
        wanted: (H, W) pixels whose values will be used: in blocks without any, values are 0.
        grid: Its pixel grid (H, W). Modalities on another one are read whole.
    """
    groups = groups_of(stack)
    pieces = {
        name: spots(wanted, *_blocks(group))
        for name, group in groups.items()
        if same_grid(grid_of_group(group), grid)
    }
    every = (slice(None), slice(None))
    lazy = {name: _cut(group, pieces.get(name, [every])) for name, group in groups.items()}
    read: dict[str, list[Values]] = COMPUTE(lazy)[0]  # those that are not Dask's are read when they are used
    found = {name: _filled(group, pieces.get(name, [every]), read[name]) for name, group in groups.items()}
    return new_stack(found, origin_of(stack))


def spots(wanted: Bools, rows: tuple[int, ...], cols: tuple[int, ...]) -> list[Window]:
    """Windows that hold all that is wanted: none meets a block that another one meets.

    Args:
        wanted: (H, W).
        rows: Heights of the blocks; () for one.
        cols: Their widths.
    """
    down, across = (_spans(sides, size) for sides, size in zip((rows, cols), wanted.shape, strict=True))
    held = np.array([[bool(wanted[y, x].any()) for x in across] for y in down])
    if held.all():
        return [(slice(0, wanted.shape[0]), slice(0, wanted.shape[1]))]
    found = []
    for number, y in enumerate(down):
        for first, end in _runs(held[number]):
            x = slice(across[first].start, across[end - 1].stop)
            here = wanted[y, x]
            found.append((_shrunk(y, np.any(here, 1)), _shrunk(x, np.any(here, 0))))
    return found


def pieces(size: int, side: int, first: int = 0) -> tuple[int, ...]:
    """Lengths of the blocks of a side along an axis; the first and the last one may be shorter.

    Args:
        size: Length of the axis.
        side: Length of a block.
        first: How far from the beginning of a block the axis begins.
    """
    ends = [first, *range(first - first % side + side, first + size, side), first + size]
    return tuple(np.diff(ends).tolist())


def chunked(group: xr.Dataset) -> xr.Dataset:
    """A modality whose arrays are Dask's, in the blocks in which they are read."""
    if any(band.chunksizes for band in group.data_vars.values()):
        return group
    rows, cols = _blocks(group)
    return group.chunk({"y": rows or -1, "x": cols or -1})


def _blocks(group: xr.Dataset) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """Heights and widths of the blocks in which a modality is read, () where it is in memory."""
    bands = list(group.data_vars.values())
    lazy = next((band for band in bands if band.chunksizes), None)
    if lazy is not None:
        return lazy.chunksizes["y"], lazy.chunksizes["x"]
    stored = next((band.encoding[STORED] for band in bands if STORED in band.encoding), None)
    if stored is None:
        return (), ()
    here, (a, _, c, _, e, f) = grid_of_group(group), group.attrs["affine"]
    top, left = round((here.affine.f - f) / e), round((here.affine.c - c) / a)
    return pieces(here.height, stored["y"], top), pieces(here.width, stored["x"], left)


def _spans(sides: tuple[int, ...], size: int) -> list[slice]:
    """Where the blocks along an axis begin and end."""
    ends = np.cumsum([0, *(sides or (size,))]).tolist()
    return [slice(first, end) for first, end in pairwise(ends)]


def _runs(held: Bools) -> Iterator[tuple[int, int]]:
    """Beginning and end of what follows one another: (blocks,)."""
    turns = np.flatnonzero(np.diff(held.astype(np.int8), prepend=0, append=0))
    yield from zip(turns[::2].tolist(), turns[1::2].tolist(), strict=True)


def _shrunk(span: slice, some: Bools) -> slice:
    """From the first to the last place of a span that holds something."""
    at = np.flatnonzero(some)
    return slice(span.start + int(at[0]), span.start + int(at[-1]) + 1)


def _cut(group: xr.Dataset, pieces: list[Window]) -> list[Values]:
    """The lazy values of windows of a modality."""
    variables = {str(name): band.variable for name, band in group.data_vars.items()}
    return [{name: values[..., y, x] for name, values in variables.items()} for y, x in pieces]


def _filled(group: xr.Dataset, pieces: list[Window], read: list[Values]) -> xr.Dataset:
    """A modality in memory."""
    found = {}
    for name, lazy in group.data_vars.items():
        parts = [part[str(name)] for part in read]
        if parts[0].shape == lazy.shape:
            values = parts[0].values
        else:
            values = np.zeros(lazy.shape, lazy.dtype)  # memory that is never written to is never taken
            for (y, x), part in zip(pieces, parts, strict=True):
                values[..., y, x] = part.values
        found[name] = (lazy.dims, values)
    return group.assign(found)
