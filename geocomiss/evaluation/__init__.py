"""Evaluation: how well a model does on labelled samples, for every pattern of modalities.

N samples, K classes.
"""

import json
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from geocomiss.calibration import Readout, read_priors
from geocomiss.checkpoint import Card, Checkpoint
from geocomiss.errors import RecipeError, SampleError
from geocomiss.recipes import differences
from geocomiss.samples import Samples
from geocomiss.samples.seen import learnt_from
from geocomiss.samples.tensors import batch_of_samples, truth_of
from geocomiss.scores import Scores, ValueScores, absent_in_words, score_patterns


@dataclass(frozen=True)
class Evaluation:
    """Scores, and what to know about them."""

    scores: Scores | ValueScores
    """F1 per pattern, or the errors of a value."""
    warnings: tuple[str, ...]
    """Reasons to read the scores with care, a sentence each."""


def evaluate_model(
    checkpoint: Checkpoint, samples: Samples, device: torch.device | str = "cpu", priors: Path | None = None
) -> Evaluation:
    """Score a model on samples, by all patterns of its modalities.

    Samples of classes that the model does not know are left out, and said. A model that predicts a
    value wants samples with a target.

    Args:
        checkpoint: The model.
        samples: Labelled samples.
        device: Where to compute.
        priors: CSV of known class shares, see `read_priors`.

    Raises:
        SampleError: No sample of the model's classes, labels for a regression or a target for a
            classifier, other steps, or bands missing; or priors that are not of the model's classes.
        RecipeError: The table states a recipe that the model cannot use.
    """
    card = checkpoint.card
    warnings = _recipe_warnings(card, samples)
    _check_steps(card, samples)
    _check_task(card, samples)
    names = tuple(info.name for info in card.classes)
    readout = _readout(card, priors)
    if readout.calibration is None and names:
        warnings.append("the model's card holds no calibration: its confidence is uncalibrated")
    known = np.isin(samples.labels, names) if samples.target is None else np.isfinite(samples.target)
    if samples.target is None and not known.all():
        warnings.append(_left_out(samples, known, names))
    kept = samples.take(known)
    warnings += _training_warnings(card, kept)
    warnings += [f"{samples.name} has no {name}" for name in card.bands if name not in samples.values]
    method = checkpoint.method.to(device)
    batch, y = batch_of_samples(kept, card.spec).to(device), np.asarray(truth_of(kept, names))
    protocol = f"{len(kept)} samples of {samples.name}"
    if priors:
        protocol += f", re-weighted to the class shares of {priors.name}"
    scores = score_patterns(method, batch, y, protocol + absent_in_words(y, names), readout)
    return Evaluation(scores, tuple(warnings))


def _readout(card: Card, priors: Path | None) -> Readout:
    """How logits become classes, with known shares where there are any."""
    if card.target and priors:
        raise SampleError(
            f"the priors {priors} for a model that predicts {card.target.name}, a value",
            expected="a model of classes",
            todo="leave --priors out",
        )
    known = read_priors(priors, tuple(info.name for info in card.classes)) if priors else None
    return Readout() if card.target else card.readout(known)


def write_scores(scores: Scores | ValueScores, path: Path) -> None:
    """Write scores as JSON, for machines.

    Raises:
        SampleError: The file cannot be written.
    """
    try:
        path.write_text(json.dumps(scores.model_dump(), indent=1) + "\n", encoding="utf-8")
    except OSError as error:
        raise SampleError(
            f"the scores cannot be written to {path} ({error})",
            expected="a file in a folder that exists and can be written",
            todo="correct --json",
        ) from error


def _recipe_warnings(card: Card, samples: Samples) -> list[str]:
    if not samples.recipe_stated:
        return []
    found = [each for each in differences(samples.recipe, card.recipe) if each.modality in samples.values]
    if refused := [str(each) for each in found if each.severity == "refuse"]:
        raise RecipeError(
            f"{samples.name} does not fit the model ({'; '.join(refused)})",
            expected=f"the recipe {card.recipe.name}",
            todo="use a table made like the model's",
        )
    return [str(each) for each in found]


def _training_warnings(card: Card, samples: Samples) -> list[str]:
    warnings = []
    same, places = samples.sha256 == card.training.sha256, card.training.places
    found = learnt_from(places, samples) if places else ""
    if found or (same and not places):
        what = found or f"{samples.name} is the table the model was trained on"
        held = card.training.held_out if same else None
        warnings.append(
            f"{what}: these scores flatter it; see the scores in its card"
            + (f", or score only the fold it never saw, --fold {held}" if held else "")
        )
    if card.simulated and not samples.simulated:
        warnings.append("the model was trained on the simulated world, the samples are real")
    return warnings


def _check_steps(card: Card, samples: Samples) -> None:
    same = samples.months.shape[1] == card.steps
    if same and card.cycle and samples.months.all():  # 0 where the table does not tell its months
        same = bool((samples.months == np.array(card.cycle.months())).all())
    if not same:
        raise SampleError(
            f"{samples.name} has {samples.calendar}",
            expected=str(card.cycle or f"{card.steps} steps"),
            todo="use a table with the model's calendar, or cut it by --season; nothing is shifted silently",
        )


def _check_task(card: Card, samples: Samples) -> None:
    wanted = f"a target such as the model's {card.target.name}" if card.target else "labels of classes"
    if card.spec.task != samples.task:
        raise SampleError(
            f"{samples.name} was read with {'labels' if card.target else 'a target'}",
            expected=f"{wanted}, for a model that predicts {'a value' if card.target else 'classes'}",
            todo="give the column with " + ("--target" if card.target else "--label"),
        )


def _left_out(samples: Samples, known: NDArray[np.bool_], names: tuple[str, ...]) -> str:
    counts = Counter(samples.labels[~known].tolist())
    several = ", ".join(f"{name} ({count})" for name, count in counts.most_common(6))
    if not known.any():
        raise SampleError(
            f"no sample of {samples.name} has a class of the model (found {several})",
            expected=f"labels among {', '.join(names)}",
            todo="check --label, or translate the labels with --legend",
        )
    return f"{int((~known).sum())} samples left out, of classes that the model does not know: {several}"
