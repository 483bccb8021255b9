"""From samples to a model and its card: split in space, train, score, train again on everything.

N samples, K classes.
"""

from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from geocomiss.applicability import Applicability, learn_applicability
from geocomiss.calibration import Calibration, Readout, calibrate
from geocomiss.checkpoint import Card
from geocomiss.methods import Method
from geocomiss.samples import Samples
from geocomiss.scores import Scores, ValueScores, score_patterns
from geocomiss.training.described import card_of, protocol_of
from geocomiss.training.distil import Learnt, learn
from geocomiss.training.finetune import begin_from
from geocomiss.training.loop import Progress, Run, fit
from geocomiss.training.plan import Plan, TrainRequest, held_out, plan_of, sides_of
from geocomiss.training.state import Epoch


@dataclass(frozen=True)
class Trained:
    """A trained model, ready to be written."""

    card: Card
    """What it is."""
    method: Method
    """The network, in evaluation mode."""
    history: tuple[Epoch, ...] = ()
    """All epochs of all runs."""
    applicability: Applicability | None = None
    """How far it may go from its training samples; None for a regression."""


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

    trained = _train(plan_of(samples, request, state), tell)
    return replace(trained, history=tuple(history))


def _train(plan: "Plan", progress: Progress) -> Trained:
    fold, held = plan.request.fold, held_out(plan)
    part = ~held
    learnt = _run(plan, part, progress, "model" if fold else "scoring run")
    calibration = _calibration(learnt.method, plan, part)
    scores = _scores(learnt.method, plan, held, calibration)
    if not fold:
        part = np.ones(len(held), bool)
        learnt = _run(plan, part, progress, "final model")
        calibration = _calibration(learnt.method, plan, part)
    card = card_of(plan, learnt, plan.samples.take(part), scores)
    card = card.model_copy(update={"calibration": calibration})
    return Trained(card, learnt.method, applicability=_applicability(learnt.method, plan, part))


def _run(plan: Plan, part: NDArray[np.bool_], progress: Progress, name: str) -> Learnt:
    """Train on part of the samples (N,) bool, of which some whole groups decide when to stop."""
    train, validation = sides_of(plan, part)
    request, settings, begin = plan.request, plan.request.settings, plan.request.begin
    run = Run(name, plan.unfinished, afresh=begin is None)
    if begin is None:
        return learn(request.method, request.options, plan.spec, train, validation, settings, progress, run)
    return Learnt(
        *fit(
            lambda: begin_from(begin, plan.spec, plan.classes), train, validation, settings, progress, run,
        )
    )  # fmt: skip


def _calibration(method: Method, plan: Plan, part: NDArray[np.bool_]) -> Calibration | None:
    """How sure a method may be that learnt from part of the samples; not known of a regression.

    Learnt from the samples of that part that told it when to stop: its network never learnt from them.
    """
    if not plan.classes:
        return None
    _, validation = sides_of(plan, part)
    what = f"{len(validation)} samples of {plan.samples.name}, the groups that told training when to stop"
    return calibrate(method, validation.batch, validation.y, what, plan.request.settings.seed)


def _applicability(method: Method, plan: Plan, part: NDArray[np.bool_]) -> Applicability | None:
    """How far a method may go that learnt from part of the samples; maps of values are not made."""
    if not plan.classes:
        return None
    rows = np.flatnonzero(part)
    batch = plan.data[torch.from_numpy(rows)].batch
    return learn_applicability(method, batch, plan.samples.group[rows], plan.request.settings.seed)


def _scores(
    method: Method, plan: Plan, held: NDArray[np.bool_], calibration: Calibration | None
) -> Scores | ValueScores:
    part = plan.data[torch.from_numpy(np.flatnonzero(held))]
    readout = Readout(calibration)
    return score_patterns(method, part.batch, np.asarray(part.y), protocol_of(plan, held), readout)
