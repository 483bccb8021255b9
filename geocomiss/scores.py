"""How good predictions are for every pattern of available modalities: F1, or errors of a value.

N pixels, M modalities, K classes.
"""

from statistics import fmean
from typing import Any, Final

import numpy as np
import torch
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field

from geocomiss.batch import Batch
from geocomiss.calibration import Readout, calibration_error
from geocomiss.methods.base import Method
from geocomiss.modalities import patterns

NO_MODALITY: Final = -1
"""Predicted class of a pixel that has no modality under a pattern: always an error. A value is
predicted there too, as the mean of the training part."""


class Score(BaseModel):
    """How well one pattern of modalities does, between 0 and 1."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    macro_f1: float = Field(ge=0, le=1)
    """Mean of the classes' F1."""
    weighted_f1: float = Field(ge=0, le=1)
    """Mean of the classes' F1, weighted by how often each class occurs."""
    ece_uncalibrated: float | None = Field(default=None, ge=0, le=1, exclude_if=lambda error: error is None)
    """Expected calibration error of the highest softmax; None (and not written) for old cards."""
    ece: float | None = Field(default=None, ge=0, le=1, exclude_if=lambda error: error is None)
    """The same of the confidence that a map shows; None (and not written) where that is not calibrated."""


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


class ValueScore(BaseModel):
    """How well one pattern of modalities predicts a value, in the target's unit."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    rmse: float = Field(ge=0)
    """Root of the mean squared error."""
    mae: float = Field(ge=0)
    """Mean absolute error."""
    r2: float | None = Field(le=1)
    """Share of the variance explained, 1 - mean squared error / variance; below 0 where the mean of
    these samples would do better; None where all have the same value."""
    bias: float
    """Mean of prediction - truth."""


class Means(BaseModel):
    """One number for the patterns with none, one, and all but one modality missing."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    full: float
    """With all modalities."""
    moderate: float
    """Mean with one modality missing."""
    extreme: float
    """Mean with one modality left."""
    overall: float
    """Mean over full, one missing and one left."""


class ValueScores(BaseModel):
    """Scores of a regression on one set of samples."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    patterns: dict[str, ValueScore]
    """By pattern, as in `Scores`."""
    rmse: Means
    """Of the root mean squared errors."""
    r2: Means | None
    """Of R2; None where all samples have the same value."""
    n: int
    """Number of samples scored."""
    protocol: str
    """Which samples these were."""


def score_patterns(
    method: Method, batch: Batch, y: NDArray[Any], protocol: str, readout: Readout = Readout()
) -> Scores | ValueScores:
    """Score all patterns of available modalities on labelled pixels.

    Args:
        method: A trained method; put into evaluation mode.
        batch: N pixels.
        y: (N,) class indices 0..K-1, or values of the target.
        protocol: Which samples these are, in words.
        readout: How logits become classes; of no account for values.
    """
    names = method.spec.modalities
    kept = {"+".join(pattern): batch.keep_only(pattern) for pattern in patterns(names)}
    if method.spec.task == "value":
        errors = {key: value_score(y, predict_values(method, part)) for key, part in kept.items()}
        return summarise_values(errors, names, len(y), protocol)
    found = {key: _score(method, part, y, readout) for key, part in kept.items()}
    return summarise(found, names, len(y), protocol)


def _score(method: Method, batch: Batch, y: NDArray[np.int64], readout: Readout) -> Score:
    """F1 of the classes written, and how far confidence is from the share of pixels that are right."""
    method.eval()
    with torch.inference_mode():
        logits, some = method(batch), batch.available.any(1).cpu().numpy()
        said, plain = (each.read(logits, batch) for each in (readout, Readout()))
    written, highest = (each.index.cpu().numpy() for each in (said, plain))
    errors = [
        calibration_error(each.confidence.cpu().numpy()[some], (index == y)[some])
        for each, index in ((plain, highest), (said, written))
    ]
    score = f1_scores(y, np.where(some, written, NO_MODALITY), method.spec.classes)
    known = {"ece_uncalibrated": errors[0]} | ({"ece": errors[1]} if readout.calibration else {})
    return score.model_copy(update=known)


def absent_in_words(y: NDArray[Any], names: tuple[str, ...]) -> str:
    """What to add to a protocol where classes of a model have no sample; '' where all have, or for values.

    Args:
        y: (N,) class indices, or values.
        names: Of the K classes; none of a regression.
    """
    absent = [name for place, name in enumerate(names) if not (y == place).any()]
    if not absent:
        return ""
    some = ", ".join(absent[:6]) + (", ..." if len(absent) > 6 else "")
    have, their = ("has", "its") if len(absent) == 1 else ("have", "their")
    return (
        f"; {len(absent)} of {len(names)} classes {have} no sample there ({some}): {their} F1 is 0, so macro "
        f"F1 is at most {1 - len(absent) / len(names):.3f}"
    )


def predict_classes(method: Method, batch: Batch) -> NDArray[np.int64]:
    """Class index (N,) of each pixel, `NO_MODALITY` where it has no modality."""
    method.eval()
    with torch.inference_mode():
        best = method(batch).argmax(1)
        best[~batch.available.any(1)] = NO_MODALITY
    return np.asarray(best.cpu().numpy())


def predict_values(method: Method, batch: Batch) -> NDArray[np.float64]:
    """Value (N,) of each pixel, in the target's unit; the training mean where it has no modality."""
    method.eval()
    with torch.inference_mode():
        return np.asarray(method.in_units(method(batch)).double().cpu().numpy())


def value_score(y: NDArray[Any], predicted: NDArray[np.float64]) -> ValueScore:
    """Errors of values (N,), N at least 1."""
    errors = predicted - y.astype(np.float64)
    mse, variance = float((errors**2).mean()), float(y.astype(np.float64).var())
    return ValueScore(
        rmse=mse**0.5,
        mae=float(np.abs(errors).mean()),
        r2=1 - mse / variance if variance > 0 else None,
        bias=float(errors.mean()),
    )


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
    means = _means({pattern: score.macro_f1 for pattern, score in found.items()}, names)
    return Scores(patterns=found, **means.model_dump(), n=n, protocol=protocol)


def summarise_values(
    found: dict[str, ValueScore], names: tuple[str, ...], n: int, protocol: str
) -> ValueScores:
    """The same for a regression, of RMSE and of R2."""
    r2 = {pattern: score.r2 for pattern, score in found.items() if score.r2 is not None}
    return ValueScores(
        patterns=found,
        rmse=_means({pattern: score.rmse for pattern, score in found.items()}, names),
        r2=_means(r2, names) if r2 else None,  # known for all patterns or for none
        n=n,
        protocol=protocol,
    )


def _means(values: dict[str, float], names: tuple[str, ...]) -> Means:
    """Means over patterns: full, one missing, one left, and all of these."""
    by_set = {frozenset(pattern.split("+")): value for pattern, value in values.items()}
    every = frozenset(names)
    missing_one = [every - {name} for name in names if len(names) > 1]
    single = [frozenset({name}) for name in names]
    nine = list(dict.fromkeys([every, *missing_one, *single]))
    return Means(
        full=by_set[every],
        moderate=fmean(by_set[pattern] for pattern in missing_one or [every]),
        extreme=fmean(by_set[pattern] for pattern in single),
        overall=fmean(by_set[pattern] for pattern in nine),
    )
