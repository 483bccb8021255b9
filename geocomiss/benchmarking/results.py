"""What all runs of a comparison found, out of fold.

N samples, S seeds, C conditions, K classes.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final, Literal

import numpy as np
from numpy.typing import NDArray

from geocomiss.benchmarking.contenders import Contender

NOT_DEFINED: Final = -2
"""Predicted class where a contender cannot be asked: an embedding has no modality to take away."""


@dataclass(frozen=True)
class Results:
    """Predictions of every contender for every sample, by models that never saw its fold."""

    table: str
    """Name of the samples table."""
    label: str
    """Its column that was predicted."""
    task: Literal["classes", "value"]
    """Whether classes or a number is predicted."""
    classes: tuple[str, ...]
    """Names of the K classes; none for a number."""
    modalities: tuple[str, ...]
    """Names of the modalities, in canonical order."""
    truth: NDArray[Any]
    """(N,) class index, or the number."""
    group: NDArray[np.str_]
    """(N,) spatial group."""
    grouped_by: str
    """What a spatial group is, in words."""
    fold: NDArray[np.str_]
    """(N,) name of the fold in which each sample was tested."""
    folds_by: str
    """'random', 'spatial', or a column of the table."""
    contenders: tuple[Contender, ...]
    """In the order of the table."""
    seeds: tuple[int, ...]
    """The S seeds."""
    conditions: tuple[str, ...]
    """The C conditions, patterns first."""
    predicted: Mapping[str, NDArray[Any]]
    """By key of a contender (S, C, N): class index, -1 where no modality was left, `NOT_DEFINED`
    where the contender cannot be asked; or the number, NaN for both."""
    seconds: Mapping[str, float]
    """Mean seconds of training a fold took, by key of a contender."""
    step: Literal["months", "steps"]
    """What the steps of a season are: months that follow each other, or anything else."""
    published: bool
    """Whether these are the samples of the poster, whose numbers are then shown beside."""
    notes: tuple[str, ...] = ()
    """What a reader should know, a sentence each."""
