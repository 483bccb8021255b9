"""A stack as blocks that are made when they are asked for: one task a block and step."""

import uuid
from collections.abc import Callable, Iterator, Sequence
from itertools import pairwise
from typing import Any, Final

import dask.array as da
import numpy as np
import xarray as xr
from numpy.typing import NDArray
from odc.geo.geobox import GeoBox

from geocomiss.composite import step_starts
from geocomiss.modalities import MODALITIES, NDVI
from geocomiss.seasons import Calendar
from geocomiss.stack import COUNT, assign_grid

BLOCK: Final = 512
"""Most pixels a side of a block: that of a map's tile, so that a tile opens each image once."""
_DIMS: Final = ("time", "y", "x")

Step = Callable[[GeoBox, int], xr.Dataset | None]
"""Composites a block in one step; None where no image meets it."""


def lazy_steps(
    modality: str, bands: Sequence[str], grid: GeoBox, season: Calendar, tile: int, step: Step
) -> xr.Dataset:
    """A modality as Dask arrays `(time, y, x)`: one task a block and step for all its variables.

    Args:
        modality: Its name.
        bands: Its bands.
        grid: The pixels.
        season: T steps.
        tile: Pixels a side of the tiles that will be asked for: no block crosses their edges.
        step: Composites a block.
    """
    variables = (*bands, COUNT)
    rows, cols = (sides_of(size, tile) for size in grid.shape)
    top, left = (np.concatenate([[0], np.cumsum(sides)]) for sides in (rows, cols))

    def block(block_id: Any = None) -> NDArray[np.float32]:
        _, time, row, col = block_id
        part = grid[int(top[row]) : int(top[row + 1]), int(left[col]) : int(left[col + 1])]
        result = step(part, time)
        values = np.full((len(variables), 1, *part.shape), np.nan, np.float32)
        values[-1] = 0
        for number, name in enumerate(variables):
            if result is not None and name in result:
                values[number] = result[name].values
        return values

    mapped: Any = da.map_blocks  # dask ships no types for it
    chunks = ((len(variables),), (1,) * season.number, rows, cols)
    name = f"steps-{modality}-{uuid.uuid4().hex}"  # what a server answers has no other name
    cube = mapped(block, chunks=chunks, dtype=np.float32, meta=np.empty((0, 0, 0, 0), np.float32), name=name)
    group = xr.Dataset(coords={"time": step_starts(season)})
    for number, variable in enumerate(variables):
        kind = np.int16 if variable == COUNT else np.float32
        group[variable] = _DIMS, variable_of(cube, (number,), np.dtype(kind))
    return assign_grid(group, grid)


def lazy_blocks(
    variables: Sequence[str],
    times: NDArray[np.datetime64],
    grid: GeoBox,
    sides: tuple[tuple[int, ...], tuple[int, ...]],
    make: Callable[[GeoBox], NDArray[np.float32]],
) -> xr.Dataset:
    """A modality as Dask arrays `(time, y, x)`: one task a block for all its variables and steps.

    Args:
        variables: Their names, `count` among them.
        times: (T,) first days of the steps.
        grid: The pixels.
        sides: Heights and widths of the blocks.
        make: Makes a block (variables, T, H, W).
    """
    top, left = (np.concatenate([[0], np.cumsum(each)]) for each in sides)

    def block(block_id: Any = None) -> NDArray[np.float32]:
        row, col = block_id[2:]
        return make(grid[int(top[row]) : int(top[row + 1]), int(left[col]) : int(left[col + 1])])

    mapped: Any = da.map_blocks  # dask ships no types for it
    chunks, empty = ((len(variables),), (len(times),), *sides), np.empty((0, 0, 0, 0), np.float32)
    cube = mapped(block, chunks=chunks, dtype=np.float32, meta=empty, name=f"blocks-{uuid.uuid4().hex}")
    group = xr.Dataset(coords={"time": times})
    for number, variable in enumerate(variables):
        kind = np.int16 if variable == COUNT else np.float32
        group[variable] = _DIMS, variable_of(cube, (number,), np.dtype(kind))
    return assign_grid(group, grid)


def variable_of(cube: Any, at: tuple[int, ...], kind: np.dtype[Any]) -> Any:
    """One variable of lazy blocks (variables, T, H, W): lazy (T, H, W), or (H, W).

    Block by block: slicing would list every block of a large grid. Nor is an axis dropped by `map_blocks`,
    which joins blocks along it: each of 14 variables copied whole blocks, and kept them as long as it lived.

    Args:
        cube: All blocks have all variables and steps.
        at: Number of the variable; of the step too where only one is wanted.
        kind: Of its numbers.
    """
    blockwise: Any = da.blockwise  # dask ships no types for it
    axes = "vtyx"
    empty = np.empty((0,) * (len(axes) - len(at)), kind)
    return blockwise(
        _picked, axes[len(at) :], cube, axes, at, None, kind, None, dtype=kind, meta=empty, concatenate=False
    )


def blocks_of(grid: GeoBox, tile: int) -> Iterator[GeoBox]:
    """The blocks into which `lazy_steps` cuts a grid."""
    rows, cols = ([0, *np.cumsum(sides_of(size, tile)).tolist()] for size in grid.shape)
    for top, bottom in pairwise(rows):
        for left, right in pairwise(cols):
            yield grid[top:bottom, left:right]


def bands_made(modality: str, bands: Sequence[str], ndvi_from: tuple[str, str]) -> tuple[str, ...]:
    """Bands of a composite, in canonical order: those read, and NDVI where it can be computed."""
    made = {*bands} | ({NDVI} if modality == "optical" and set(ndvi_from) <= set(bands) else set())
    return tuple(name for name in MODALITIES[modality].band_names if name in made)


def _picked(block: Any, at: tuple[int, ...], kind: np.dtype[Any]) -> NDArray[Any]:
    """A copy of a part of a block, which comes in a list for each axis that is left out."""
    for _ in at:
        (block,) = block
    return np.array(block[at], kind)


def sides_of(size: int, tile: int, most: int = BLOCK) -> tuple[int, ...]:
    """Lengths of the blocks along an axis: tiles, cut evenly where they are longer than `most`."""
    sides: list[int] = []
    for start in range(0, size, tile):
        length = min(tile, size - start)
        parts = -(-length // most)
        edges = np.linspace(0, length, parts + 1).astype(int)
        sides.extend(int(side) for side in np.diff(edges))
    return tuple(sides)
