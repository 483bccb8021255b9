"""Writing the values of a stack, tile by tile: memory does not grow with the stack.

Blocks hold all time steps, as whoever maps needs them. Where an area is scattered they are small: a block is
read and unpacked whole for a field of a few pixels.

H x W pixels of a tile.
"""

from collections.abc import Callable, Hashable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, Final

import dask.array as da
import numpy as np
import xarray as xr
import zarr
from dask.callbacks import Callback
from numpy.typing import NDArray
from odc.geo import Geometry
from odc.geo.geobox import GeoBox

from geocomiss.covering import Covering
from geocomiss.grid import Tile, crs_of, densify, tiles_of
from geocomiss.modalities import MODALITIES
from geocomiss.stack.layout import grid_of_group, groups_of, new_stack, origin_of
from geocomiss.stack.spots import read_spots, spots
from geocomiss.stack.sweep import swept

TILE: Final = 512
"""Pixels a side that are read at a time, as many as sources composite together."""
BLOCK: Final = 256
"""Pixels a side of a block."""
SMALL: Final = 64
"""Pixels a side of a block where the area is scattered."""
SCATTERED: Final = 8
"""The area is scattered where it fills less than one in so many of the pixels of the blocks that it meets."""
PARTS: Final = 100
"""Steps by which progress is told within a tile."""

Bools = NDArray[np.bool_]


class Writing:
    """The values of a stack on their way into a Zarr folder.

    Args:
        stack: A stack, lazy or not.
        folder: The folder; its root is there.
        area: Where values are wanted; None: everywhere. The weather, on its coarse grid, is always whole.
    """

    def __init__(self, stack: xr.DataTree, folder: Path, area: Geometry | None) -> None:
        self._stack, self._folder = stack, folder
        on_grid = {name: MODALITIES[name].imaging or not MODALITIES[name].dynamic for name in MODALITIES}
        self._parts = {
            name: Part(group, area if on_grid[name] else None) for name, group in groups_of(stack).items()
        }

    def write(self, progress: Callable[[int, int], None] | None) -> None:
        """Write all modalities, one after the other.

        Args:
            progress: Told (steps done, steps in all).
        """
        work = [(name, part, tile) for name, part in self._parts.items() for tile in part.tiles()]
        for name, part in self._parts.items():
            part.hollow().to_zarr(
                self._folder, group=name, mode="w", compute=False, consolidated=False, encoding=part.coding()
            )
        # one tile is packed and written while the next one is read
        with ThreadPoolExecutor(1) as writer, swept() as sweep:
            before = writer.submit(lambda: None)
            for number, (name, part, tile) in enumerate(work):
                wanted = part.wanted(tile)
                if wanted.any():
                    with _Telling(progress, number, len(work)):
                        values = self._read(name, part, tile, wanted)
                    before.result()
                    before = writer.submit(part.store, self._folder / name, tile, wanted, values)
                    del values
                    sweep()
            before.result()

    def _read(self, name: str, part: "Part", tile: Tile, wanted: Bools) -> xr.Dataset:
        """The values of a tile, 0 where they are not wanted."""
        lazy = new_stack({name: part.group.isel(y=tile.y, x=tile.x)}, origin_of(self._stack))
        return groups_of(read_spots(lazy, wanted, tile.geobox))[name]


class Part:
    """A modality on its way into a Zarr folder.

    Args:
        group: Its arrays (T, y, x) or (y, x), lazy or not.
        area: Where values are wanted; None: everywhere.
    """

    def __init__(self, group: xr.Dataset, area: Geometry | None) -> None:
        self.group = group.drop_encoding()
        self.grid = grid_of_group(group)
        self._covering = Covering(area, self.grid) if area else None
        self._side = block_side(area, self.grid)

    def tiles(self) -> Iterator[Tile]:
        """The tiles that are read."""
        return self._covering.tiles(TILE) if self._covering else tiles_of(self.grid, TILE)

    def hollow(self) -> xr.Dataset:
        """Its arrays without values."""

        def hollow(band: xr.DataArray) -> xr.DataArray:
            return band.copy(data=da.zeros(band.shape, chunks=band.shape, dtype=band.dtype))

        return self.group.map(hollow, keep_attrs=True)

    def coding(self) -> dict[Hashable, dict[str, Any]]:
        """Its blocks, by variable."""
        sides = tuple(min(self._side, size) for size in self.grid.shape)
        return {name: {"chunks": (*band.shape[:-2], *sides)} for name, band in self.group.data_vars.items()}

    def wanted(self, tile: Tile) -> Bools:
        """The pixels (H, W) of a tile that are stored: blocks that hold some of the area, whole."""
        if self._covering is None:
            return np.ones(tile.geobox.shape, bool)
        held = self._covering.inside(tile.geobox)
        for axis, size in enumerate(held.shape):
            edges = np.arange(0, size, self._side)
            some = np.logical_or.reduceat(held, edges, axis)
            held = np.repeat(some, np.diff(edges, append=size), axis)
        return held

    def store(self, folder: Path, tile: Tile, wanted: Bools, values: xr.Dataset) -> None:
        """Store values of a tile.

        Args:
            folder: Its Zarr group.
            tile: The tile.
            wanted: (H, W) the pixels that are stored; see `wanted`.
            values: In memory.
        """
        windows = spots(wanted, *(_pieces(size, self._side) for size in wanted.shape))
        for name, band in values.data_vars.items():
            array: Any = zarr.open_array(folder / str(name), mode="r+")
            for y, x in windows:
                place = (_moved(y, tile.y.start), _moved(x, tile.x.start))
                array[(..., *place)] = band.values[..., y, x]


def block_side(area: Geometry | None, grid: GeoBox) -> int:
    """Pixels a side of the blocks in which the values of an area are stored."""
    if area is None:
        return BLOCK
    local = area.to_crs(crs_of(grid), resolution=densify(area))
    tiles = Covering(area, grid).tiles(BLOCK)
    met = sum(tile.geobox.width * tile.geobox.height for tile in tiles) * abs(grid.affine.determinant)
    return SMALL if local.area * SCATTERED < met else BLOCK


def _pieces(size: int, side: int) -> tuple[int, ...]:
    """Lengths of the blocks along an axis."""
    whole, rest = divmod(size, side)
    return (side,) * whole + ((rest,) if rest else ())


def _moved(span: slice, by: int) -> slice:
    return slice(span.start + by, span.stop + by)


class _Telling(Callback):
    """Tells of Dask's finished tasks as of parts of one piece of work among others."""

    def __init__(self, progress: Callable[[int, int], None] | None, before: int, number: int) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self._progress, self._before, self._number = progress, before, number

    def _posttask(self, key: Hashable, result: Any, dsk: Any, state: dict[str, Any], worker_id: Any) -> None:
        if self._progress:
            done = len(state["finished"])
            left = sum(len(state[each]) for each in ("ready", "waiting", "running"))
            self._progress(self._before * PARTS + PARTS * done // (done + left), self._number * PARTS)
