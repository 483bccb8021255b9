"""Training that begins from a trained model: its encoders stay, its heads as far as classes are the same.

Which weights belong to classes is found by making the same method for one class more: what then has
another shape does. Rows of classes that the model knows are kept by name, rows of new ones are fresh.

K classes.
"""

from collections.abc import Mapping
from dataclasses import replace
from typing import Final

import numpy as np
from torch import Tensor

from geocomiss.batch import Spec
from geocomiss.checkpoint import BegunFrom, Card, Checkpoint, ClassInfo
from geocomiss.errors import CheckpointError, RecipeError
from geocomiss.methods import Method, new_method
from geocomiss.recipes import differences
from geocomiss.samples import Samples

LATER_RATE: Final = 3e-4
"""Of Adam where training begins from a trained model: lower, so that what it knows is not lost at once."""


def spec_for(checkpoint: Checkpoint, samples: Samples, classes: int) -> Spec:
    """What the new model reads: what the old one reads.

    Args:
        checkpoint: The trained model.
        samples: What it is to learn from.
        classes: Number of classes K of the new model.

    Raises:
        CheckpointError: One predicts a value and the other classes, or another calendar.
        RecipeError: The samples were made in a way that the model cannot use.
    """
    card = checkpoint.card
    if (card.target is None) != (samples.target is None):
        kinds = ("classes", "a value")
        raise CheckpointError(
            f"a model that predicts {kinds[card.target is not None]} "
            f"and samples with {kinds[samples.target is not None]}",
            expected="both of the same kind",
            todo="give --label or --target as the model was trained with",
        )
    _check_recipe(card, samples)
    _check_calendar(card, samples)
    return card.spec if card.target else replace(card.spec, classes=classes)


def begin_from(checkpoint: Checkpoint, spec: Spec, classes: tuple[ClassInfo, ...]) -> Method:
    """A method with the weights of a trained model, its statistics, and heads for other classes.

    Args:
        checkpoint: The trained model.
        spec: What the new method reads, see `spec_for`.
        classes: The classes of the new model.
    """
    card = checkpoint.card
    method = new_method(card.method, spec, card.options)
    known = [info.name for info in card.classes]
    places = [(new, known.index(info.name)) for new, info in enumerate(classes) if info.name in known]
    axes = _class_axes(card)
    fresh = method.state_dict()
    kept = {
        name: _rows_kept(fresh[name], weights, axes[name], places) if name in axes else weights
        for name, weights in checkpoint.method.state_dict().items()
    }
    method.load_state_dict(kept)
    return method


def begun_from(checkpoint: Checkpoint, classes: tuple[ClassInfo, ...]) -> BegunFrom:
    """What the new card says of the model that training began from."""
    card = checkpoint.card
    old, new = ([info.name for info in each] for each in (card.classes, classes))
    earlier = card.training.begun_from.footprints if card.training.begun_from else ()
    own = (card.training.footprint,) if card.training.footprint else ()
    return BegunFrom(
        model_sha256=card.model_sha256,
        table=card.training.table,
        n=card.training.n,
        kept=tuple(name for name in new if name in old),
        fresh=tuple(name for name in new if name not in old),
        dropped=tuple(name for name in old if name not in new),
        footprints=(*earlier, *own),
    )


def _class_axes(card: Card) -> Mapping[str, int]:
    """The axis along which each tensor of a method has a row for each class."""
    if card.target:
        return {}
    wider = new_method(card.method, replace(card.spec, classes=card.spec.classes + 1), card.options)
    one = new_method(card.method, card.spec, card.options).state_dict()
    return {
        name: next(
            axis for axis, (a, b) in enumerate(zip(one[name].shape, more.shape, strict=True)) if a != b
        )
        for name, more in wider.state_dict().items()
        if more.shape != one[name].shape
    }


def _rows_kept(fresh: Tensor, old: Tensor, axis: int, places: list[tuple[int, int]]) -> Tensor:
    """Fresh weights with the rows of known classes from the old ones.

    Args:
        fresh: Weights of the new method.
        old: Those of the trained model.
        axis: Axis of the classes.
        places: (new, old) place of each class that both have.
    """
    result = fresh.clone().movedim(axis, 0)
    for new, known in places:
        result[new] = old.movedim(axis, 0)[known]
    return result.movedim(0, axis).contiguous()


def _check_recipe(card: Card, samples: Samples) -> None:
    found = differences(samples.recipe, card.recipe) if samples.recipe_stated else ()
    grave = [each for each in found if each.modality in samples.values and each.severity == "refuse"]
    if grave:
        raise RecipeError(
            f"{samples.name} does not fit the model: " + "; ".join(str(each) for each in grave),
            expected=f"the recipe {card.recipe.name}, as the model was trained on",
            todo="sample again with a source that fits, or train a new model without --from",
        )


def _check_calendar(card: Card, samples: Samples) -> None:
    same = samples.months.shape[1] == card.steps
    if same and card.cycle and samples.months.all():  # 0 where the table does not tell its months
        same = bool((samples.months == np.array(card.cycle.months())).all())
    if not same:
        raise CheckpointError(
            f"{samples.name} has {samples.calendar}",
            expected=f"{card.cycle or f'{card.steps} steps'}, as the model has it",
            todo="sample or cut to the model's season with --season, or train without --from",
        )
