"""What is remembered of values while they are written, to be compared with what is read back.

Of each value how often it was written, and of each block a checksum that knows where in the block a value
stood. It is a sum, so that values may come in any order and cut in any way:

    sum over pixels of (value - nodata) w(row, column) modulo 2^64,

with weights w drawn once at random. A block that was never written has the checksum 0.

B bands, H x W pixels.
"""

from functools import cache
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from geocomiss.maps.layers import Layer

BLOCK: Final = 512
"""Pixels a side of the blocks in a map."""


class Tally:
    """What was written to, or read from, the bands of a raster.

    Args:
        layer: What the values are.
        shape: (height, width) of the raster.
    """

    def __init__(self, layer: Layer, shape: tuple[int, int]) -> None:
        bands = len(layer.band_names)
        self._nodata = layer.nodata
        self.counts = np.zeros((bands, int(np.iinfo(layer.dtype).max) + 1), np.int64)
        """(B, values) how often each value occurs."""
        self.checksums = np.zeros((bands, *(-(-side // BLOCK) for side in shape)), np.uint64)
        """(B, rows of blocks, columns of blocks)."""

    def add(self, bands: NDArray[Any], top: int, left: int) -> None:
        """Take notice of a window.

        Args:
            bands: Its values (B, H, W).
            top: Its first row.
            left: Its first column.
        """
        for number, values in enumerate(bands):
            self.counts[number] += np.bincount(values.ravel(), minlength=self.counts.shape[1])
        height, width = bands.shape[1:]
        for row in range(top // BLOCK, -(-(top + height) // BLOCK)):
            rows = slice(max(top, row * BLOCK), min(top + height, (row + 1) * BLOCK))
            for col in range(left // BLOCK, -(-(left + width) // BLOCK)):
                cols = slice(max(left, col * BLOCK), min(left + width, (col + 1) * BLOCK))
                part = bands[:, rows.start - top : rows.stop - top, cols.start - left : cols.stop - left]
                weights = _weights()[_from(rows, row * BLOCK), _from(cols, col * BLOCK)]
                self.checksums[:, row, col] += self._checksums(part, weights)

    @property
    def occupied(self) -> NDArray[np.bool_]:
        """(rows of blocks, columns of blocks) those that hold more than "no data"."""
        return np.asarray(self.checksums.any(0))

    def differs(self, other: "Tally") -> str:
        """In what, in words; '' where nothing differs."""
        pixels = (int(abs(self.counts - other.counts).sum()) + 1) // 2  # one that is lost counts, too
        blocks = int((self.checksums != other.checksums).sum())
        if not pixels and not blocks:
            return ""
        return f"{pixels:,} pixels" if pixels else f"the order of pixels in {blocks:,} blocks"

    def _checksums(self, part: NDArray[Any], weights: NDArray[np.uint64]) -> NDArray[np.uint64]:
        """Of each band of a part of a block; whole numbers below 2^64 that overflow by design."""
        values = part.astype(np.uint64) - np.uint64(self._nodata)
        return np.asarray((values * weights).sum((1, 2), dtype=np.uint64))


@cache
def _weights() -> NDArray[np.uint64]:
    """(BLOCK, BLOCK) odd numbers: a single wrong value always shows."""
    drawn = np.random.default_rng(0).integers(0, 2**64, (BLOCK, BLOCK), np.uint64)
    return np.asarray(drawn | np.uint64(1))


def _from(span: slice, start: int) -> slice:
    return slice(span.start - start, span.stop - start)
