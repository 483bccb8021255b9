"""Series of single pixels out of a stack: what a batch and a table of samples are made from.

N pixels, T steps, C bands; U distinct rows of a modality whose rows repeat.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

import numpy as np
import xarray as xr
from numpy.typing import NDArray
from odc.geo.geobox import GeoBox

from geocomiss.grid import same_grid
from geocomiss.stack.cells import Cells, cells_at
from geocomiss.stack.layout import COUNT, grid_of_group, groups_of

AT_ONCE: Final = 1024
"""Pixels whose series are put together at a time: as many as a processor keeps close."""

Floats = NDArray[np.float32]
Bools = NDArray[np.bool_]
Numbers = NDArray[np.int64]


@dataclass(frozen=True)
class PixelSeries:
    """What a stack says of N pixels. NaN, and only NaN, says "missing"."""

    values: Mapping[str, Floats]
    """Per modality (U, T, C); T is 1 where nothing changes over time. Modalities that the stack does not
    have, or not with all bands, are absent."""
    cells: Mapping[str, Cells]
    """Of modalities on a grid of their own, the cells that pixels use, a row each; otherwise pixel i is
    row i."""
    counts: Mapping[str, NDArray[np.int16]]
    """Clear observations behind each step (U, T), per dynamic modality."""

    def of_each(self, name: str) -> Floats:
        """The values of a modality, a row for each pixel: (N, T, C)."""
        if name not in self.cells:
            return self.values[name]
        cells = self.cells[name]
        return np.where(cells.within[:, None, None], self.values[name][cells.own], np.float32(np.nan))

    def counts_of_each(self, name: str) -> NDArray[np.int16]:
        """The counts of a modality, a row for each pixel: (N, T)."""
        if name not in self.cells:
            return self.counts[name]
        cells = self.cells[name]
        return np.where(cells.within[:, None], self.counts[name][cells.own], np.int16(0))


def series_at(
    stack: xr.DataTree,
    bands: Mapping[str, tuple[str, ...]],
    chosen: Bools,
    grid: GeoBox,
    whole: GeoBox | None = None,
) -> PixelSeries:
    """The series of the chosen pixels of a stack (of one tile, already in memory).

    Args:
        stack: A stack or a window of one.
        bands: Bands to read per modality.
        chosen: (H, W) bool, the N pixels to take, row by row.
        grid: Its pixel grid (H, W).
        whole: The grid that this is a window of, so that any tiling gives the same bits.
    """
    values: dict[str, Floats] = {}
    cells: dict[str, Cells] = {}
    counts: dict[str, NDArray[np.int16]] = {}
    pixels = np.flatnonzero(chosen)
    for name, group in groups_of(stack).items():
        if name not in bands or not set(bands[name]) <= set(group.data_vars):
            continue
        taken, own = pixels, grid_of_group(group)
        if not same_grid(own, grid):
            cells[name] = cells_at(grid, own, chosen, whole)
            taken = cells[name].used
        values[name] = _rows(group, bands[name], taken)
        if COUNT in group:
            counts[name] = _rows(group, (COUNT,), taken)[..., 0].astype(np.int16)
    return PixelSeries(values, cells, counts)


def _rows(group: xr.Dataset, bands: tuple[str, ...], taken: Numbers) -> Floats:
    """Some pixels (N,) of a modality by flat index, (N, T, C); T is 1 where there is no time."""
    arrays = [group[band].values for band in bands]
    flat = [each.reshape(*each.shape[:-2], -1) for each in arrays]  # (T, H * W) or (H * W,)
    flat = [each if each.ndim == 2 else each[None] for each in flat]
    rows = np.empty((taken.size, len(flat[0]), len(bands)), np.float32)
    for start in range(0, taken.size, AT_ONCE):
        some = _span(taken[start : start + AT_ONCE])
        for column, values in enumerate(flat):
            rows[start : start + AT_ONCE, :, column] = values[:, some].T
    return rows


def _span(pixels: Numbers) -> slice | Numbers:
    """Pixels (R,) in ascending order, R > 0; neighbours as a slice, which costs no copy."""
    first, end = int(pixels[0]), int(pixels[-1]) + 1
    return slice(first, end) if end - first == pixels.size else pixels
