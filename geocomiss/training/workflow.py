"""From samples to a model and its card: split in space, train, score, train again on everything.

N samples, K classes.
"""

import math
from collections import Counter
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Final

import numpy as np
import torch
from numpy.typing import NDArray
from pydantic import JsonValue

from geocomiss.batch import Spec
from geocomiss.calibration import Calibration, Readout, calibrate
from geocomiss.checkpoint import Card, ClassInfo, HashedPlaces, Target, Training, statistics_of
from geocomiss.errors import SampleError
from geocomiss.footprint import footprint_of, joined
from geocomiss.methods import Method, checked_options, new_method, readable_spec, stated_options
from geocomiss.samples import Legend, Samples
from geocomiss.samples.folds import fold_of, grouped_split, strata_of
from geocomiss.samples.tensors import batch_of_samples, spec_of, truth_of
from geocomiss.scores import Scores, ValueScores, score_patterns
from geocomiss.training.classes import classes_of
from geocomiss.training.identity import REVISION, digest_of
from geocomiss.training.loop import Labelled, Progress, Run, Settings, fit
from geocomiss.training.state import Epoch, Unfinished

HELD_OUT: Final = 0.2
"""Share of the samples that a model is scored on where no fold is given."""
INNER: Final = 0.15
"""Share of the training part that decides when to stop."""


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


@dataclass(frozen=True)
class Trained:
    """A trained model, ready to be written."""

    card: Card
    """What it is."""
    method: Method
    """The network, in evaluation mode."""
    history: tuple[Epoch, ...] = ()
    """All epochs of all runs."""


def train_model(
    samples: Samples, request: TrainRequest, progress: Progress | None = None, state: Path | None = None
) -> Trained:
    """Train a method and score it on places it was not trained on.

    With a fold, the model is trained on the rest and scored on the fold. Without, a first run
    holds out about a fifth of the samples in whole spatial groups and is scored on them; then the
    model is trained on everything.

    Args:
        samples: Samples with labels, or with a target to predict.
        request: What to train.
        progress: Told of each epoch, also of those before an interruption.
        state: Folder for the state after each epoch. Where it holds that of the same training,
            this one goes on from there; the caller removes it when the model is written.

    Raises:
        SampleError: Too few groups, or a class that only the held-out part has, or one value only.
        MethodError: No such method or option, or losses that are not finite.
        CheckpointError: The state is damaged, that of another training, or cannot be written.
    """
    history: list[Epoch] = []

    def tell(epoch: Epoch) -> None:
        history.append(epoch)
        if progress:
            progress(epoch)

    trained = _train(_plan(samples, request, state), tell)
    return replace(trained, history=tuple(history))


def _train(plan: "_Plan", progress: Progress) -> Trained:
    fold, held = plan.request.fold, _held_out(plan)
    part = ~held
    method, epochs = _run(plan, part, progress, "model" if fold else "scoring run")
    calibration = _calibration(method, plan, part)
    scores = _scores(method, plan, held, calibration)
    if not fold:
        part = np.ones(len(held), bool)
        method, epochs = _run(plan, part, progress, "final model")
        calibration = _calibration(method, plan, part)
    card = _card(plan, method, epochs, plan.samples.take(part), scores)
    return Trained(card.model_copy(update={"calibration": calibration}), method)


@dataclass(frozen=True)
class _Plan:
    """What all runs of one training share."""

    samples: Samples
    request: TrainRequest
    spec: Spec
    classes: tuple[ClassInfo, ...]
    data: Labelled
    unfinished: Unfinished | None

    @property
    def y(self) -> NDArray[Any]:
        """(N,) class indices, or values of the target."""
        return np.asarray(self.data.y.numpy())


def _plan(samples: Samples, request: TrainRequest, state: Path | None) -> _Plan:
    classes = classes_of(samples, request.legend)
    names = tuple(info.name for info in classes)
    checked_options(request.method, request.options)  # a wrong option is said before any training
    spec = readable_spec(request.method, spec_of(samples, len(names)))
    data = Labelled(batch_of_samples(samples, spec), truth_of(samples, names))
    unfinished = Unfinished(state, _identity(samples, request, data)) if state else None
    if unfinished:
        unfinished.check()
    return _Plan(samples, request, spec, classes, data, unfinished)


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
    }


def _held_out(plan: _Plan) -> NDArray[np.bool_]:
    """The samples to score on: (N,) bool.

    Raises:
        SampleError: Fewer than two classes, or values, would be left to train on.
    """
    if plan.request.fold:
        held = fold_of(plan.samples, plan.request.fold)
    else:
        held = grouped_split(plan.samples.group, strata_of(plan.y), HELD_OUT, _rng(plan, 0))
    left = np.unique(plan.y[~held]).size
    if plan.request.fold and left < 2:
        what, several = ("class", "classes") if plan.classes else ("value", "values of the target")
        raise SampleError(
            f"{left} {what} outside {plan.request.fold}",
            expected=f"at least 2 {several} to train on",
            todo="hold out another fold",
        )
    return held


def _run(plan: _Plan, part: NDArray[np.bool_], progress: Progress, name: str) -> tuple[Method, int]:
    """Train on part of the samples (N,) bool, of which some whole groups decide when to stop."""
    train, validation = _sides(plan, part)
    request = plan.request
    return fit(
        lambda: new_method(request.method, plan.spec, request.options),
        train, validation, request.settings, progress, Run(name, plan.unfinished),
    )  # fmt: skip


def _sides(plan: _Plan, part: NDArray[np.bool_]) -> tuple[Labelled, Labelled]:
    """The samples (N,) bool that a run learns from, and those that tell it when to stop."""
    rows = np.flatnonzero(part)
    inner = grouped_split(plan.samples.group[rows], strata_of(plan.y[rows]), INNER, _rng(plan, 1))
    train, validation = (plan.data[torch.from_numpy(rows[side])] for side in (~inner, inner))
    return train, validation


def _calibration(method: Method, plan: _Plan, part: NDArray[np.bool_]) -> Calibration | None:
    """How sure a method may be that learnt from part of the samples; not known of a regression.

    Learnt from the samples of that part that told it when to stop: its network never learnt from them.
    """
    if not plan.classes:
        return None
    _, validation = _sides(plan, part)
    what = f"{len(validation)} samples of {plan.samples.name}, the groups that told training when to stop"
    return calibrate(method, validation.batch, validation.y, what, plan.request.settings.seed)


def _scores(
    method: Method, plan: _Plan, held: NDArray[np.bool_], calibration: Calibration | None
) -> Scores | ValueScores:
    part = plan.data[torch.from_numpy(np.flatnonzero(held))]
    readout = Readout(calibration)
    return score_patterns(method, part.batch, np.asarray(part.y), _protocol(plan, held), readout)


def _protocol(plan: _Plan, held: NDArray[np.bool_]) -> str:
    samples, group = plan.samples, plan.samples.group
    inside, outside = set(group[held].tolist()), set(group[~held].tolist())
    if plan.request.fold:
        shared = len(inside & outside)
        sides = f"{shared} of {len(inside)} spatial groups have samples on both sides" if shared else (
            "no spatial group has samples on both sides"
        )  # fmt: skip
        what = f"the held-out fold {plan.request.fold}, which this model never saw; {sides}"
    else:
        what = (
            f"a hold-out of {len(inside)} of {len(inside | outside)} spatial groups, scored by a model "
            "of the same kind trained on the other groups; this model was then trained on all samples"
        )
    return (
        f"{int(held.sum())} samples of {samples.name}: {what}. Groups: {samples.grouped_by}. Training "
        f"stopped by about {INNER:.0%} of the training part, split by the same groups"
    )


def _card(plan: _Plan, method: Method, epochs: int, used: Samples, scores: Scores | ValueScores) -> Card:
    samples, request = plan.samples, plan.request
    return Card(
        method=request.method,
        options=_stated(method),
        classes=plan.classes,
        target=_target(plan, method),
        recipe=replace(samples.recipe),
        cycle=samples.cycle,
        steps=plan.spec.steps,
        bands=dict(plan.spec.bands),
        min_steps=dict(plan.spec.min_steps),
        statistics=statistics_of(method),
        training=_training(plan, used, epochs, method),
        scores=scores,
        simulated=samples.simulated,
    )


def _target(plan: _Plan, method: Method) -> Target | None:
    """What a regression predicts, with the statistics that its weights hold."""
    if plan.samples.target is None:
        return None
    mean, std = float(method.target_mean), float(method.target_std)
    return Target(name=plan.request.label, mean=mean, std=std)


def _training(plan: _Plan, used: Samples, epochs: int, method: Method) -> Training:
    samples, request = plan.samples, plan.request
    counts = Counter(used.labels.tolist())
    weights = {each.name: round(float(method.class_weight[each.value - 1]), 5) for each in plan.classes}
    cells = {(math.floor(lat), math.floor(lon)) for lat, lon in zip(used.lat, used.lon, strict=True)}
    return Training(
        table=samples.name,
        sha256=samples.sha256,
        label=request.label,
        legend=request.legend.name if request.legend else None,
        n=len(used),
        n_by_class={info.name: counts[info.name] for info in plan.classes},
        seed=request.settings.seed,
        epochs=epochs,
        years=samples.years,
        cells=tuple(sorted(cells)),
        groups=f"{len(set(samples.group.tolist()))} groups by {samples.grouped_by}",
        held_out=request.fold,
        recipe_stated=samples.recipe_stated,
        footprint=None if samples.simulated else _footprint(used),
        class_weights=weights if plan.classes else None,
    )


def _footprint(used: Samples) -> HashedPlaces:
    places = footprint_of(used.lat, used.lon, used.sha256)
    return HashedPlaces(salt=places.salt, pixels=joined(places.pixels))


def _stated(method: Method) -> dict[str, JsonValue]:
    """All options of a method, also those left at their defaults."""
    return dict(vars(method.shared_options))


def _rng(plan: _Plan, purpose: int) -> np.random.Generator:
    """Randomness of a split; its own for each purpose, so that one does not shift the other."""
    return np.random.default_rng([plan.request.settings.seed, purpose])
