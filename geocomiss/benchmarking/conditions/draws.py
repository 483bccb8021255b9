"""Randomness that belongs to a sample: the same in any fold, any part of a batch, any contender.

N samples.
"""

import zlib
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class Draws:
    """Random numbers by sample. NumPy fills arrays row by row, so row i is the same however many follow."""

    rows: NDArray[np.int64]
    """(N,) place of each sample in its table."""
    condition: str
    """What is drawn for, so that conditions do not share their randomness."""
    seed: int = 0
    """Seed of the benchmark's conditions; no contender's seed."""

    def uniform(self, purpose: str, *shape: int) -> NDArray[np.float64]:
        """Numbers in [0, 1), (N, *shape); another purpose gives others."""
        return np.asarray(self._generator(purpose).random((self._number, *shape))[self.rows])

    def normal(self, purpose: str, *shape: int) -> NDArray[np.float64]:
        """Numbers from N(0, 1), (N, *shape)."""
        return np.asarray(self._generator(purpose).standard_normal((self._number, *shape))[self.rows])

    @property
    def _number(self) -> int:
        return int(self.rows.max(initial=-1)) + 1

    def _generator(self, purpose: str) -> np.random.Generator:
        words = (zlib.crc32(text.encode()) for text in (self.condition, purpose))
        return np.random.default_rng([self.seed, *words])
