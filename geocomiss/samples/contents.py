"""What a file of samples holds, before a label is chosen and a season is cut.

N samples, T steps, C bands.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from geocomiss.recipes import Recipe
from geocomiss.samples.steps import Steps

Columns = Mapping[str, NDArray[Any]]
"""Columns with one value a sample, each (N,)."""


@dataclass(frozen=True)
class Contents:
    """N pixels with their series, as a reader hands them on. NaN, and only NaN, says "missing"."""

    name: str
    """Short name of the table: the stem of its file, or its folder's name."""
    sha256: str
    """Digest of the file or, for a folder, of what was read from it."""
    values: Mapping[str, NDArray[np.float32]]
    """Per modality (N, T, C) in canonical units; topography has T = 1."""
    bands: Mapping[str, tuple[str, ...]]
    """The C bands of each modality, in canonical order."""
    steps: Steps
    """When the steps lie."""
    lat: NDArray[np.float64]
    """(N,) degrees north."""
    lon: NDArray[np.float64]
    """(N,) degrees east."""
    columns: Columns
    """Columns that labels, folds and groups may be taken from."""
    recipe: Recipe | None = None
    """How the values were made, where the file knows."""
    recipe_stated: bool = True
    """Whether such a recipe is stated by who made the values, or was assumed when they were kept."""
    group: NDArray[np.str_] | None = None
    """(N,) the table's own spatial groups, if it has any."""
    grouped_by: str = ""
    """What these groups are, in words."""
    counts: Mapping[str, NDArray[np.int16]] = field(default_factory=dict)
    """Clear observations behind each step (N, T) per dynamic modality, where known."""
    simulated: bool = False
    """Whether the values come from the simulated world."""
    notes: tuple[str, ...] = ()
    """What a user should know of the reading, a sentence each."""

    def __len__(self) -> int:
        """Number of samples N."""
        return len(self.lat)

    def take(self, chosen: NDArray[Any]) -> "Contents":
        """Some of the samples, by index or mask."""
        return replace(
            self,
            values={name: rows[chosen] for name, rows in self.values.items()},
            steps=self.steps.take(chosen),
            lat=self.lat[chosen],
            lon=self.lon[chosen],
            columns={name: column[chosen] for name, column in self.columns.items()},
            group=None if self.group is None else self.group[chosen],
            counts={name: rows[chosen] for name, rows in self.counts.items()},
        )
