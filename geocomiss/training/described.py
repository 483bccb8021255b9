"""The card of a model: what it is, what it was trained on, how well it does.

N samples.
"""

import math
from collections import Counter
from dataclasses import replace
from typing import Final

import numpy as np
from numpy.typing import NDArray
from pydantic import JsonValue

from geocomiss.card import Card, Distilled, HashedPlaces, Target, Training
from geocomiss.checkpoint import statistics_of
from geocomiss.footprint import OUTLINE, footprint_of, joined
from geocomiss.methods import Method
from geocomiss.samples import Samples
from geocomiss.samples.seen import learnt_from
from geocomiss.scores import Scores, ValueScores, absent_in_words
from geocomiss.training.distil import Learnt
from geocomiss.training.finetune import begun_from
from geocomiss.training.plan import INNER, Plan

FEATURE: Final = "feature"
"""Column with the row of each point or polygon in the user's file, as `geocomiss sample` writes it."""


def card_of(plan: Plan, learnt: Learnt, used: Samples, scores: Scores | ValueScores) -> Card:
    """What a model is.

    Args:
        plan: The training.
        learnt: The trained network, and who taught it.
        used: The samples it learnt from, or was stopped by.
        scores: How well it does.
    """
    samples, request, method = plan.samples, plan.request, learnt.method
    return Card(
        method=request.method,
        options=_stated(method),
        classes=plan.classes,
        target=_target(plan, method),
        recipe=request.begin.card.recipe if request.begin else replace(samples.recipe),
        cycle=samples.cycle,
        steps=plan.spec.steps,
        bands=dict(plan.spec.bands),
        min_steps=dict(plan.spec.min_steps),
        statistics=statistics_of(method),
        training=_training(plan, used, learnt),
        scores=scores,
        simulated=samples.simulated,
    )


def protocol_of(plan: Plan, held: NDArray[np.bool_]) -> str:
    """Which samples (N,) bool a model is scored on, and what it knew of their neighbours."""
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
        + _seen_before(plan, held)
        + absent_in_words(plan.y[held], tuple(info.name for info in plan.classes))
    )


def _seen_before(plan: Plan, held: NDArray[np.bool_]) -> str:
    """What to add where the model that training began from had learnt from held-out samples (N,) bool."""
    places = plan.request.begin.card.training.places if plan.request.begin else None
    found = learnt_from(places, plan.samples.take(held), "the model it began from") if places else ""
    return f"; {found}, which flatters these scores" if found else ""


def _target(plan: Plan, method: Method) -> Target | None:
    """What a regression predicts, with the statistics that its weights hold."""
    if plan.samples.target is None:
        return None
    mean, std = float(method.target_mean), float(method.target_std)
    return Target(name=plan.request.label, mean=mean, std=std)


def _training(plan: Plan, used: Samples, learnt: Learnt) -> Training:
    samples, request, method = plan.samples, plan.request, learnt.method
    counts = Counter(used.labels.tolist())
    weights = {each.name: round(float(method.class_weight[each.value - 1]), 5) for each in plan.classes}
    cells = {(math.floor(lat), math.floor(lon)) for lat, lon in zip(used.lat, used.lon, strict=True)}
    earlier = request.begin.card.training if request.begin else None
    # anyone can draw these again; what a user sampled in the simulated world has features of its own
    generated = samples.simulated and FEATURE not in samples.columns
    return Training(
        table=samples.name,
        sha256=samples.sha256,
        label=request.label,
        legend=request.legend.name if request.legend else None,
        n=len(used),
        n_by_class={info.name: counts[info.name] for info in plan.classes},
        seed=request.settings.seed,
        epochs=learnt.epochs,
        years=tuple(sorted({*samples.years, *(earlier.years if earlier else ())})),
        cells=tuple(sorted({*cells, *(earlier.cells if earlier else ())})),
        groups=f"{len(set(samples.group.tolist()))} groups by {samples.grouped_by}",
        held_out=request.fold,
        recipe_stated=samples.recipe_stated,
        footprint=None if generated else _footprint(used),
        class_weights=weights if plan.classes else None,
        begun_from=begun_from(request.begin, plan.classes) if request.begin else None,
        distilled=_distilled(request.method, learnt.teacher, method) if learnt.teacher else None,
    )


def _distilled(name: str, teacher: Learnt, student: Method) -> Distilled:
    return Distilled(
        method=name,
        options=_stated(teacher.method),
        epochs=teacher.epochs,
        parameters=_parameters(teacher.method),
        own_parameters=_parameters(student),
    )


def _parameters(method: Method) -> int:
    return sum(weights.numel() for weights in method.parameters())


def _footprint(used: Samples) -> HashedPlaces:
    outlines = used.columns.get(OUTLINE, np.zeros(0, np.str_)).astype(np.str_).tolist()
    places = footprint_of(used.lat, used.lon, used.sha256, outlines)
    return HashedPlaces(salt=places.salt, pixels=joined(places.pixels))


def _stated(method: Method) -> dict[str, JsonValue]:
    """All options of a method, also those left at their defaults."""
    return dict(vars(method.shared_options))
