"""One type for every table of labelled samples, whatever its file.

N samples, T steps, C bands.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from geocomiss.recipes import Recipe
from geocomiss.seasons import Cycle, monthly_cycle


@dataclass(frozen=True)
class Samples:
    """N labelled pixels with their series. NaN, and only NaN, says "missing"."""

    name: str
    """Short name of the table: a file's stem, or 'simulated'."""
    sha256: str
    """Digest of the file or, for simulated samples, of what defines them."""
    values: Mapping[str, NDArray[np.float32]]
    """Per modality (N, T, C) in canonical units; topography has T = 1. Modalities that are valid
    nowhere in the table are absent."""
    bands: Mapping[str, tuple[str, ...]]
    """The C bands of each modality, in canonical order. Bands valid nowhere are absent."""
    labels: NDArray[np.str_]
    """(N,) class names, after a legend where one was given; '' where a target is to be predicted."""
    lat: NDArray[np.float64]
    """(N,) degrees north."""
    lon: NDArray[np.float64]
    """(N,) degrees east."""
    group: NDArray[np.str_]
    """(N,) spatial group: samples of one group are never split between training and testing."""
    months: NDArray[np.int64]
    """(N, T) month 1..12 that holds the middle day of each step; 0 where the table does not tell."""
    years: tuple[int, ...]
    """Years of the seasons' last days, where known."""
    columns: Mapping[str, NDArray[Any]]
    """Other columns (N,), for `--fold KEY=VALUE`."""
    recipe: Recipe
    """How the values were made."""
    recipe_stated: bool
    """Whether the table itself states the recipe (else the user or the default did)."""
    simulated: bool = False
    """Whether the values come from the simulated world."""
    grouped_by: str = "the table's own groups"
    """What a spatial group is, in words."""
    starts: NDArray[np.datetime64] | None = None
    """(N, T) first day of each step, type datetime64[D]; None where the table does not tell."""
    ends: NDArray[np.datetime64] | None = None
    """(N, T) day after each step, like `starts`."""
    counts: Mapping[str, NDArray[np.int16]] = field(default_factory=dict)
    """Clear observations behind each step (N, T) per dynamic modality, where known."""
    notes: tuple[str, ...] = ()
    """What a user should know of the reading, a sentence each."""
    target: NDArray[np.float64] | None = None
    """(N,) values to predict, for a regression; None where classes are told apart."""

    def __len__(self) -> int:
        """Number of samples N."""
        return len(self.labels)

    @property
    def task(self) -> Literal["classes", "value"]:
        """What is to be learnt from these samples."""
        return "classes" if self.target is None else "value"

    @property
    def cycle(self) -> Cycle | None:
        """The time steps all samples share, or None where they are mixed."""
        first = self.months[0]
        if (self.months != first).any():
            return None
        cycle = monthly_cycle(tuple(int(month) for month in first))
        return cycle and replace(cycle, step=self.recipe.step)

    @property
    def calendar(self) -> str:
        """Its time steps in words, also where they are no cycle."""
        if cycle := self.cycle:
            return str(cycle)
        number = self.months.shape[1]
        steps = f"{number} step{'s'[: number != 1]}"
        if not self.months.all():
            return f"{steps}, of which the table does not tell the months"
        if (self.months == self.months[0]).all():
            return f"{steps} that are no months that follow each other"
        return f"{steps}, not of the same months in all samples"

    def take(self, chosen: NDArray[Any]) -> "Samples":
        """Some of the samples, by index or mask."""
        return replace(
            self,
            values={name: rows[chosen] for name, rows in self.values.items()},
            labels=self.labels[chosen],
            lat=self.lat[chosen],
            lon=self.lon[chosen],
            group=self.group[chosen],
            months=self.months[chosen],
            columns={name: column[chosen] for name, column in self.columns.items()},
            starts=None if self.starts is None else self.starts[chosen],
            ends=None if self.ends is None else self.ends[chosen],
            counts={name: rows[chosen] for name, rows in self.counts.items()},
            target=None if self.target is None else self.target[chosen],
        )
