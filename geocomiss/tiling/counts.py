"""What a tile holds, in numbers: summed over all tiles they are what a map states of itself.

They are taken where a tile is computed, before anything is written, so that a finished map can be held to
them.
"""

from dataclasses import dataclass, fields
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

VALUES: Final = 256
"""Values that a byte can have."""


@dataclass(frozen=True)
class Counts:
    """Numbers of one tile, or of several together."""

    outside: int
    """Pixels outside the area of interest."""
    masked: int
    """Pixels inside the area that the mask leaves out."""
    classes: NDArray[np.int64]
    """(256,) pixels of each class value."""
    hectares: NDArray[np.float64]
    """(256,) true area of each class value."""
    patterns: NDArray[np.int64]
    """(256,) pixels of each value of the modalities' bit field."""
    observed: NDArray[np.int64]
    """(modalities, T) clear observations, all mapped pixels together."""

    def __add__(self, other: "Counts") -> "Counts":
        """Of both together."""
        pairs = ((getattr(self, each.name), getattr(other, each.name)) for each in fields(self))
        return Counts(*(one + two for one, two in pairs))

    @property
    def looked_at(self) -> int:
        """Pixels in the area and the mask."""
        return int(self.patterns[: VALUES - 1].sum())

    @classmethod
    def nothing(cls, observed: tuple[int, int]) -> "Counts":
        """Of no tile at all.

        Args:
            observed: (modalities, T).
        """
        whole = np.zeros(VALUES, np.int64)
        return cls(0, 0, whole, np.zeros(VALUES), whole, np.zeros(observed, np.int64))

    def as_json(self) -> dict[str, Any]:
        """As what JSON can hold; values that do not occur are left out."""
        return {
            "outside": self.outside,
            "masked": self.masked,
            "classes": _sparse(self.classes),
            "hectares": _sparse(self.hectares),
            "patterns": _sparse(self.patterns),
            "observed": self.observed.tolist(),
        }

    @classmethod
    def from_json(cls, stored: dict[str, Any]) -> "Counts":
        """What `as_json` gave. Raises KeyError, TypeError or ValueError where it is something else."""
        return cls(
            int(stored["outside"]),
            int(stored["masked"]),
            _dense(stored["classes"], np.zeros(VALUES, np.int64)),
            _dense(stored["hectares"], np.zeros(VALUES)),
            _dense(stored["patterns"], np.zeros(VALUES, np.int64)),
            np.asarray(stored["observed"], np.int64),
        )


def _sparse(values: NDArray[Any]) -> dict[str, Any]:
    return {str(at): values[at].item() for at in np.flatnonzero(values)}


def _dense(stored: dict[str, Any], values: NDArray[Any]) -> NDArray[Any]:
    for at, value in stored.items():
        values[int(at)] = value
    return values
