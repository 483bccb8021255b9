"""Series of single pixels out of a stack: what a batch and a table of samples are made from.

N pixels, T steps, C bands; U distinct rows of a modality whose rows repeat.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import xarray as xr
from numpy.typing import NDArray
from odc.geo.geobox import GeoBox

from geocomiss.grid import cells_of, same_grid
from geocomiss.stack.layout import COUNT, grid_of_group, groups_of

Floats = NDArray[np.float32]
Bools = NDArray[np.bool_]


@dataclass(frozen=True)
class PixelSeries:
    """What a stack says of N pixels. NaN, and only NaN, says "missing"."""

    values: Mapping[str, Floats]
    """Per modality (U, T, C); T is 1 where nothing changes over time. Modalities that the stack does not
    have, or not with all bands, are absent."""
    rows: Mapping[str, NDArray[np.int64]]
    """Row (N,) of each pixel, for modalities on a coarser grid; otherwise pixel i is row i."""
    within: Mapping[str, Bools]
    """(N,) whether each pixel lies in that coarser grid; where not, its row says nothing."""
    counts: Mapping[str, NDArray[np.int16]]
    """Clear observations behind each step (U, T), per dynamic modality."""

    def of_each(self, name: str) -> Floats:
        """The values of a modality, a row for each pixel: (N, T, C)."""
        if name not in self.rows:
            return self.values[name]
        inside = self.within[name][:, None, None]
        return np.where(inside, self.values[name][self.rows[name]], np.float32(np.nan))

    def counts_of_each(self, name: str) -> NDArray[np.int16]:
        """The counts of a modality, a row for each pixel: (N, T)."""
        if name not in self.rows:
            return self.counts[name]
        return np.where(self.within[name][:, None], self.counts[name][self.rows[name]], np.int16(0))


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
    rows: dict[str, NDArray[np.int64]] = {}
    within: dict[str, Bools] = {}
    counts: dict[str, NDArray[np.int16]] = {}
    for name, group in groups_of(stack).items():
        if name not in bands or not set(bands[name]) <= set(group.data_vars):
            continue
        taken: slice | Bools = chosen.ravel()
        own = grid_of_group(group)
        if not same_grid(own, grid):
            cells, inside = cells_of(grid, own, whole)
            rows[name], within[name], taken = cells[chosen], inside[chosen], slice(None)
        values[name] = _rows(group, bands[name])[taken]
        if COUNT in group:
            counts[name] = _rows(group, (COUNT,))[taken, :, 0].astype(np.int16)
    return PixelSeries(values, rows, within, counts)


def _rows(group: xr.Dataset, bands: tuple[str, ...]) -> Floats:
    """All pixels of a modality, (H*W, T, C); T is 1 where there is no time."""
    arrays = [group[band].values.astype(np.float32, copy=False) for band in bands]
    stacked = np.stack(arrays, -1)  # (T, H, W, C) or (H, W, C)
    if stacked.ndim == 3:
        stacked = stacked[None]
    return np.ascontiguousarray(np.moveaxis(stacked, 0, 2)).reshape(-1, len(stacked), len(bands))
