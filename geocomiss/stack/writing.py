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
from odc.geo import Geometry
from odc.geo.geobox import GeoBox

from geocomiss.covering import Covering
from geocomiss.grid import Tile, crs_of, densify, tiles_of
from geocomiss.modalities import MODALITIES
from geocomiss.stack.layout import grid_of_group, groups_of, new_stack, origin_of
from geocomiss.stack.spots import Bools, Window, pieces, read_spots, spots
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

Progress = Callable[[int, int], None]
"""Told (steps done, steps in all)."""


class Blocks:
    """Which blocks of a grid are stored: those that hold some of an area.

    Args:
        grid: The grid.
        area: Where values are wanted; None: everywhere.
    """

    def __init__(self, grid: GeoBox, area: Geometry | None) -> None:
        self._grid = grid
        self._covering = Covering(area, grid) if area else None
        self.side = BLOCK
        """Pixels a side of a block."""
        if area and self._covering:
            met = sum(tile.geobox.width * tile.geobox.height for tile in self._covering.tiles(BLOCK))
            local = area.to_crs(crs_of(grid), resolution=densify(area)).area
            if local * SCATTERED < met * abs(grid.affine.determinant):
                self.side = SMALL

    def tiles(self) -> Iterator[Tile]:
        """The tiles that are read."""
        return self._covering.tiles(TILE) if self._covering else tiles_of(self._grid, TILE)

    def wanted(self, tile: Tile) -> Bools:
        """The pixels (H, W) of a tile that are stored: of blocks that hold some of the area all."""
        if self._covering is None:
            return np.ones(tile.geobox.shape, bool)
        held = self._covering.inside(tile.geobox)
        for axis, size in enumerate(held.shape):
            edges = np.arange(0, size, self.side)
            some = np.logical_or.reduceat(held, edges, axis)
            held = np.repeat(some, np.diff(edges, append=size), axis)
        return held

    def windows(self, wanted: Bools) -> list[Window]:
        """The fewest windows of a tile, blocks side by side as one, that hold what is stored of it."""
        return spots(wanted, *(pieces(size, self.side) for size in wanted.shape))


class Writing:
    """The values of a stack on their way into a Zarr folder.

    Args:
        stack: A stack, lazy or not.
        folder: The folder; its root is there.
        area: Where values are wanted; None: everywhere. The weather, on its coarse grid, is always whole.
    """

    def __init__(self, stack: xr.DataTree, folder: Path, area: Geometry | None) -> None:
        self._folder, self._origin = folder, origin_of(stack)
        self._groups = groups_of(stack)
        self._names: dict[GeoBox, list[str]] = {}
        for name, group in self._groups.items():
            self._names.setdefault(grid_of_group(group), []).append(name)
        self._blocks = {
            grid: Blocks(grid, None if all(map(_coarse, names)) else area)
            for grid, names in self._names.items()
        }

    def write(self, progress: Progress | None) -> None:
        """Write all modalities, those of one grid together.

        Args:
            progress: Told (steps done, steps in all).
        """
        self._prepare()
        work = [(grid, tile) for grid, blocks in self._blocks.items() for tile in blocks.tiles()]
        # one tile is packed and written while the next one is read
        with ThreadPoolExecutor(1) as writer, swept() as sweep:
            before = writer.submit(lambda: None)
            for number, (grid, tile) in enumerate(work):
                wanted = self._blocks[grid].wanted(tile)
                if wanted.any():
                    with _Telling(progress, number, len(work)):
                        values = self._read(self._names[grid], tile, wanted)
                    before.result()
                    before = writer.submit(self._store, tile, self._blocks[grid].windows(wanted), values)
                    del values
                    sweep()
                if progress:
                    progress((number + 1) * PARTS, len(work) * PARTS)
            before.result()

    def _prepare(self) -> None:
        """Make arrays without values."""
        for grid, names in self._names.items():
            for name in names:
                coding = _coding(self._groups[name], self._blocks[grid].side)
                _hollow(self._groups[name]).to_zarr(
                    self._folder, group=name, mode="w", compute=False, consolidated=False, encoding=coding
                )

    def _read(self, names: list[str], tile: Tile, wanted: Bools) -> dict[str, xr.Dataset]:
        """The values of a tile, 0 where they are not wanted."""
        lazy = {name: self._groups[name].isel(y=tile.y, x=tile.x) for name in names}
        return groups_of(read_spots(new_stack(lazy, self._origin), wanted, tile.geobox))

    def _store(self, tile: Tile, windows: list[Window], groups: dict[str, xr.Dataset]) -> None:
        for name, group in groups.items():
            for variable, band in group.data_vars.items():
                array: Any = zarr.open_array(self._folder / name / str(variable), mode="r+")
                for y, x in windows:
                    array[..., _moved(y, tile.y.start), _moved(x, tile.x.start)] = band.values[..., y, x]


def _coarse(name: str) -> bool:
    """Whether a modality lies on a coarse grid of its own, as weather does."""
    return MODALITIES[name].dynamic and not MODALITIES[name].imaging


def _hollow(group: xr.Dataset) -> xr.Dataset:
    """The same arrays without values, and without what was said of how they are stored elsewhere."""
    return group.map(
        lambda band: band.copy(data=da.zeros(band.shape, chunks=band.shape, dtype=band.dtype)),
        keep_attrs=True,
    ).drop_encoding()


def _coding(group: xr.Dataset, side: int) -> dict[Hashable, dict[str, Any]]:
    """The blocks in which arrays are stored, by name."""
    sides = min(side, group.sizes["y"]), min(side, group.sizes["x"])
    return {name: {"chunks": (*band.shape[:-2], *sides)} for name, band in group.data_vars.items()}


def _moved(span: slice, by: int) -> slice:
    return slice(span.start + by, span.stop + by)


class _Telling(Callback):
    """Tells of Dask's finished tasks as of parts of one piece of work among others."""

    def __init__(self, progress: Progress | None, before: int, number: int) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self._progress, self._before, self._number = progress, before, number

    def _posttask(self, key: Hashable, result: Any, dsk: Any, state: dict[str, Any], worker_id: Any) -> None:
        if self._progress:
            done = len(state["finished"])
            left = sum(len(state[each]) for each in ("ready", "waiting", "running"))
            self._progress(self._before * PARTS + PARTS * done // (done + left), self._number * PARTS)
