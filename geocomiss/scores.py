"""F1 for every pattern of available modalities.

N pixels, M modalities, K classes.
"""

from statistics import fmean
from typing import Final

import numpy as np
import torch
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field

from geocomiss.batch import Batch
from geocomiss.methods.base import Method
from geocomiss.modalities import patterns

NO_MODALITY: Final = -1
"""Predicted class of a pixel that has no modality under a pattern: always an error."""


class Score(BaseModel):
    """How well one pattern of modalities does, between 0 and 1."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    macro_f1: float = Field(ge=0, le=1)
    """Mean of the classes' F1."""
    weighted_f1: float = Field(ge=0, le=1)
    """Mean of the classes' F1, weighted by how often each class occurs."""


class Scores(BaseModel):
    """Scores of a model on one set of samples."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    patterns: dict[str, Score]
    """By pattern, 'optical+radar'; all 2^M - 1 of the model, the full one first."""
    full: float
    """Macro F1 with all modalities."""
    moderate: float
    """Mean macro F1 with one modality missing."""
    extreme: float
    """Mean macro F1 with one modality left."""
    overall: float
    """Mean macro F1 over full, one missing and one left."""
    n: int
    """Number of samples scored."""
    protocol: str
    """Which samples these were."""


def score_patterns(method: Method, batch: Batch, y: NDArray[np.int64], protocol: str) -> Scores:
    """Score all patterns of available modalities on labelled pixels.

    Args:
        method: A trained method; put into evaluation mode.
        batch: N pixels.
        y: (N,) class indices 0..K-1.
        protocol: Which samples these are, in words.
    """
    names = method.spec.modalities
    found: dict[str, Score] = {}
    for pattern in patterns(names):
        predicted = predict_classes(method, batch.keep_only(pattern))
        found["+".join(pattern)] = f1_scores(y, predicted, method.spec.classes)
    return summarise(found, names, len(y), protocol)


def predict_classes(method: Method, batch: Batch) -> NDArray[np.int64]:
    """Class index (N,) of each pixel, `NO_MODALITY` where it has no modality."""
    method.eval()
    with torch.inference_mode():
        best = method(batch).argmax(1)
        best[~batch.available.any(1)] = NO_MODALITY
    return np.asarray(best.cpu().numpy())


def f1_scores(y: NDArray[np.int64], predicted: NDArray[np.int64], classes: int) -> Score:
    """Macro and weighted F1 over all K classes; a class without any pixel or prediction has F1 0.

    F1_c = 2 TP_c / (occurring_c + predicted_c).
    """
    occurring = np.bincount(y, minlength=classes)
    claimed = np.bincount(predicted[predicted != NO_MODALITY], minlength=classes)
    hits = np.bincount(y[y == predicted], minlength=classes)
    f1 = 2 * hits / np.maximum(occurring + claimed, 1)
    return Score(macro_f1=float(f1.mean()), weighted_f1=float(f1 @ occurring / max(len(y), 1)))


def summarise(found: dict[str, Score], names: tuple[str, ...], n: int, protocol: str) -> Scores:
    """Add the means over the patterns with none, one, and all but one modality missing.

    Args:
        found: Score of each pattern.
        names: The model's modalities.
        n: Number of samples scored.
        protocol: Which samples these were.
    """
    macro = {frozenset(pattern.split("+")): score.macro_f1 for pattern, score in found.items()}
    every = frozenset(names)
    missing_one = [every - {name} for name in names if len(names) > 1]
    single = [frozenset({name}) for name in names]
    nine = list(dict.fromkeys([every, *missing_one, *single]))
    return Scores(
        patterns=found,
        full=macro[every],
        moderate=fmean(macro[pattern] for pattern in missing_one or [every]),
        extreme=fmean(macro[pattern] for pattern in single),
        overall=fmean(macro[pattern] for pattern in nine),
        n=n,
        protocol=protocol,
    )
