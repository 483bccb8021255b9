"""Pixels on the cells of a coarser grid: the cell that each lies in, and those between whose centres it lies.

N pixels, U cells in use.
"""

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray
from odc.geo.geobox import GeoBox

from geocomiss.grid import places_in

Bools = NDArray[np.bool_]
Numbers = NDArray[np.int64]

CORNERS: Final = ((0, 0), (0, 1), (1, 0), (1, 1))
"""Rows and columns from the first of four neighbouring cells to each."""


@dataclass(frozen=True)
class Cells:
    """Where N pixels lie among the cells that they use."""

    used: Numbers
    """(U,) flat index into the coarse grid of the cells in use."""
    own: Numbers
    """(N,) which of these each pixel lies in; where it lies in none, one that says nothing."""
    within: Bools
    """(N,) whether each pixel lies in the coarse grid."""
    around: Numbers
    """(N, 4) which of these lie around each pixel: its own and its nearest neighbours."""
    weights: NDArray[np.float32]
    """(N, 4) how much each of them counts, bilinear between cell centres; 0 where there is no such cell."""


def cells_at(part: GeoBox, coarse: GeoBox, chosen: Bools, whole: GeoBox | None = None) -> Cells:
    """The cells of a coarse grid that the chosen pixels lie in and between.

    Args:
        part: Fine grid (H, W), a window of `whole`.
        coarse: Coarse grid, any CRS.
        chosen: (H, W) the N pixels, row by row.
        whole: Fine grid from whose origin pixels are counted, so that any window gives the same bits.
    """
    col, row = places_in(part, coarse, chosen, whole)
    own, within = _flat(np.floor(row), np.floor(col), coarse)
    left, top = np.floor(col - 0.5), np.floor(row - 0.5)
    right, low = col - 0.5 - left, row - 0.5 - top  # shares of the neighbours on these sides, 0..1
    around, weights = np.empty((own.size, 4), np.int64), np.empty((own.size, 4), np.float32)
    for corner, (down, aside) in enumerate(CORNERS):
        cells, there = _flat(top + down, left + aside, coarse)
        share = (low if down else 1 - low) * (right if aside else 1 - right)
        around[:, corner] = np.where(there, cells, own)
        weights[:, corner] = np.where(there, share, 0)
    used = np.zeros(coarse.height * coarse.width, bool)
    used[own], used[around] = True, True
    number = np.cumsum(used) - 1
    return Cells(np.flatnonzero(used), number[own], within, number[around], weights)


def _flat(row: NDArray[np.float64], col: NDArray[np.float64], coarse: GeoBox) -> tuple[Numbers, Bools]:
    """Flat index of cells (0 where there is none), and whether there is one."""
    within = (row >= 0) & (row < coarse.height) & (col >= 0) & (col < coarse.width)
    return np.where(within, row * coarse.width + col, 0).astype(np.int64), within
