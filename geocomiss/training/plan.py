"""What all runs of a training share: samples, what is asked, who is held out and who tells when to stop.

N samples.
"""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import numpy as np
import torch
from numpy.typing import NDArray
from pydantic import JsonValue

from geocomiss.batch import Spec
from geocomiss.checkpoint import Checkpoint, ClassInfo
from geocomiss.errors import SampleError
from geocomiss.methods import checked_options, readable_spec, stated_options
from geocomiss.samples import Legend, Samples
from geocomiss.samples.folds import fold_of, grouped_split, strata_of
from geocomiss.samples.tensors import batch_of_samples, spec_of, truth_of
from geocomiss.training.classes import classes_of
from geocomiss.training.finetune import spec_for
from geocomiss.training.identity import REVISION, digest_of
from geocomiss.training.loop import Labelled, Settings
from geocomiss.training.state import Unfinished

HELD_OUT: Final = 0.2
"""Share of the samples that a model is scored on where no fold is given."""
INNER: Final = 0.15
"""Share of the training part that decides when to stop."""


FEWEST_GROUPS: Final = 3
"""Spatial groups that a training without --fold takes apart."""


@dataclass(frozen=True)
class TrainRequest:
    """What to train."""

    label: str
    """Column the labels or the target came from, for the card."""
    legend: Legend | None = None
    """Legend that made the classes."""
    method: str = "comiss+"
    """Key in `METHODS`."""
    options: dict[str, JsonValue] = field(default_factory=dict)
    """Options of the method by name."""
    fold: str | None = None
    """KEY=VALUE: samples held out of training altogether, and scored."""
    settings: Settings = field(default_factory=Settings)
    """How to train."""
    begin: Checkpoint | None = None
    """Trained model to begin from, of the same method and options; None begins afresh."""


@dataclass(frozen=True)
class Plan:
    """What all runs of one training share."""

    samples: Samples
    """The table, N samples."""
    request: TrainRequest
    """What to train."""
    spec: Spec
    """What the method reads."""
    classes: tuple[ClassInfo, ...]
    """The K classes; none where a target is predicted."""
    data: Labelled
    """All samples as tensors."""
    unfinished: Unfinished | None
    """Where the state after each epoch is kept."""

    @property
    def y(self) -> NDArray[Any]:
        """(N,) class indices, or values of the target."""
        return np.asarray(self.data.y.numpy())


def plan_of(samples: Samples, request: TrainRequest, state: Path | None) -> Plan:
    """Prepare a training; what is wrong with it is said before any.

    Raises:
        SampleError: The table cannot be used for it.
        MethodError: No such method or option.
        CheckpointError: The state kept in the folder `state` is damaged, or that of another training.
    """
    classes = classes_of(samples, request.legend)
    names = tuple(info.name for info in classes)
    checked_options(request.method, request.options)  # a wrong option is said before any training
    if request.begin:
        spec = spec_for(request.begin, samples, len(names))
    else:
        spec = readable_spec(request.method, spec_of(samples, len(names)))
    data = Labelled(batch_of_samples(samples, spec), truth_of(samples, names))
    unfinished = Unfinished(state, _identity(samples, request, data)) if state else None
    if unfinished:
        unfinished.check()
    return Plan(samples, request, spec, classes, data, unfinished)


def _identity(samples: Samples, request: TrainRequest, data: Labelled) -> dict[str, JsonValue]:
    """What was asked for, as far as it decides the bits of the model; the card states the rest."""
    settings = {name.replace("_", " "): value for name, value in vars(request.settings).items()}
    return {
        "revision": REVISION,
        "label": request.label,
        "legend": request.legend.name if request.legend else None,
        "fold": request.fold,
        "samples": digest_of(data, samples.group),
        "method": request.method,
        "options": stated_options(request.method, request.options),
        **settings,
        "device": str(request.settings.device),
        "model it begins from": request.begin.card.model_sha256 if request.begin else None,
    }


def held_out(plan: Plan) -> NDArray[np.bool_]:
    """The samples to score on: (N,) bool.

    Raises:
        SampleError: Fewer than two classes, or values, would be left to train on, or too few groups.
    """
    if plan.request.fold:
        held = fold_of(plan.samples, plan.request.fold)
    else:
        _check_groups(plan.samples)
        held = grouped_split(plan.samples.group, strata_of(plan.y), HELD_OUT, rng_of(plan, 0))
    left = np.unique(plan.y[~held]).size
    if plan.request.fold and left < 2:
        what, several = ("class", "classes") if plan.classes else ("value", "values of the target")
        raise SampleError(
            f"{left} {what} outside {plan.request.fold}",
            expected=f"at least 2 {several} to train on",
            todo="hold out another fold",
        )
    return held


def _check_groups(samples: Samples) -> None:
    number = len(set(samples.group.tolist()))
    if number < FEWEST_GROUPS:
        several = "one spatial group" if number == 1 else f"{number} spatial groups"
        raise SampleError(
            f"{len(samples)} samples in {several} ({samples.grouped_by})",
            expected=f"{FEWEST_GROUPS} or more: one to score, one to stop training by, one to learn from",
            todo="group them by another column with --group, such as that of fields, or sample more places",
        )


def sides_of(plan: Plan, part: NDArray[np.bool_]) -> tuple[Labelled, Labelled]:
    """The samples (N,) bool that a run learns from, and those that tell it when to stop."""
    rows = np.flatnonzero(part)
    inner = grouped_split(plan.samples.group[rows], strata_of(plan.y[rows]), INNER, rng_of(plan, 1))
    train, validation = (plan.data[torch.from_numpy(rows[side])] for side in (~inner, inner))
    return train, validation


def rng_of(plan: Plan, purpose: int) -> np.random.Generator:
    """Randomness of a split; its own for each purpose, so that one does not shift the other."""
    return np.random.default_rng([plan.request.settings.seed, purpose])
