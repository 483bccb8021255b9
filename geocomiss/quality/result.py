"""What a check of samples finds.

N samples, K classes.
"""

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from geocomiss.quality.confident import Confident
from geocomiss.quality.space import Spread
from geocomiss.samples import Samples

CLEAR: Final = 0.5
"""By how much more probable than its label a class must be for the label to look clearly wrong."""


@dataclass(frozen=True)
class ClassChecked:
    """One class of the samples."""

    name: str
    """Its name."""
    color: str
    """Its colour, '#rrggbb'."""
    n: int
    """Samples it has."""
    groups: int
    """Spatial groups they lie in."""
    suspicious: int
    """Samples that confidently look to be of another class."""
    clear: int
    """Those of them that do so clearly."""
    mistaken_for: str
    """The class that most of these look to be; '' where there are none."""
    apart: float
    """Median distance in metres between a sample and the nearest other one of the class; inf of one."""


@dataclass(frozen=True)
class Suspicion:
    """A label that looks wrong."""

    row: int
    """Row of the sample in the table, from 1, of the samples that have a label."""
    feature: str
    """Row of its point or polygon in the user's file, where the table tells; else ''."""
    label: str
    """Its label."""
    looks_like: str
    """The class that it confidently looks to be."""
    p_label: float
    """Probability of its label, out of fold."""
    p_looks_like: float
    """Probability of what it looks to be."""
    lat: float
    """Degrees north."""
    lon: float
    """Degrees east."""
    group: str
    """Its spatial group."""

    @property
    def clear(self) -> bool:
        """Whether it looks clearly wrong."""
        return self.p_looks_like - self.p_label >= CLEAR


@dataclass(frozen=True)
class Checked:
    """The quality of N samples."""

    samples: Samples
    """The samples."""
    classes: tuple[ClassChecked, ...]
    """Its classes, in the order of a model's."""
    fold: NDArray[np.str_]
    """(N,) fold in which each was predicted."""
    y: NDArray[np.int64]
    """(N,) labels 0..K-1."""
    p: NDArray[np.float64]
    """(N, K) out-of-fold probabilities."""
    judged: NDArray[np.bool_]
    """(N,) whether the model that predicted a sample had learnt its class at all."""
    confident: Confident
    """What confident learning says of the judged ones, in their order."""
    suspicions: tuple[Suspicion, ...]
    """Suspicious labels, the clearest first."""
    spread: Spread
    """How samples lie in space."""
    leaking: float
    """Share of the samples with one of another spatial group within a kilometre."""
    alike: float
    """Share of the samples whose nearest neighbour has the same label."""
    alike_by_chance: float
    """The same if labels were dealt out at random."""
    accuracy: float
    """Share of the judged samples whose most probable class is their label, out of fold."""
    protocol: str
    """How out-of-fold predictions were made."""
    warnings: tuple[str, ...]
    """What stands in the way of a good model or of honest scores."""

    @property
    def clear(self) -> int:
        """Number of labels that look clearly wrong."""
        return sum(each.clear for each in self.suspicions)
