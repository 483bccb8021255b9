"""The source contract: is a stack made the way the model was trained on?

Per modality, because a modality that does not fit can be treated as missing, which is what the
method is good at.
"""

from dataclasses import dataclass
from typing import Final

from geocomiss.checkpoint import Card
from geocomiss.errors import RecipeError
from geocomiss.mapping.request import OnMismatch
from geocomiss.recipes import Difference, Recipe, differences

BANDS: Final = "bands"
"""What differs where a stack lacks bands: then no step of the modality is valid, whatever is allowed."""


@dataclass(frozen=True)
class Contract:
    """The outcome of the comparison."""

    dropped: tuple[str, ...]
    """Modalities to be treated as missing."""
    warnings: tuple[str, ...]
    """A sentence per difference that was let pass."""


def settle(found: tuple[Difference, ...], on_mismatch: OnMismatch, without: tuple[str, ...]) -> Contract:
    """Decide what happens about the differences between a stack and a model.

    Args:
        found: All differences; those of a modality in `without` do not count.
        on_mismatch: 'refuse' raises, 'drop' treats the modality as missing, 'allow' goes on.
        without: Modalities that the user leaves out.

    Raises:
        RecipeError: A difference that matters, and `on_mismatch` is 'refuse'; or the calendar
            differs, which nothing can make right. The message names each difference.
    """
    counted = [each for each in found if each.modality not in without]
    grave = [each for each in counted if each.severity == "refuse"]
    if any(each.modality == "calendar" for each in grave) or (grave and on_mismatch == "refuse"):
        raise RecipeError(
            "the stack does not fit the model: " + "; ".join(str(each) for each in grave),
            expected="a stack made as the model's training data were",
            todo=_way_out(grave),
        )
    dropped = {each.modality for each in grave} if on_mismatch == "drop" else set()
    warnings = [_warning(each, each.modality in dropped) for each in counted]
    return Contract(tuple(sorted(dropped)), tuple(warnings))


def recipe_differences(recipe: Recipe, card: Card, modalities: tuple[str, ...]) -> tuple[Difference, ...]:
    """Differences between how a stack was made and how the model wants it.

    Args:
        recipe: The stack's recipe.
        card: The model's card.
        modalities: Modalities that both the stack has and the model reads.
    """
    return tuple(each for each in differences(recipe, card.recipe) if each.modality in modalities)


def band_differences(bands: dict[str, tuple[str, ...]], card: Card) -> tuple[Difference, ...]:
    """Bands that the model reads and a stack lacks, in modalities that the stack has."""
    found = []
    for modality, wanted in card.bands.items():
        missing = [band for band in wanted if band not in bands.get(modality, wanted)]
        if missing:
            found.append(
                Difference(modality, BANDS, f"without {', '.join(missing)}", "all that it reads", "refuse")
            )
    return tuple(found)


def _way_out(grave: list[Difference]) -> str:
    if any(each.modality == "calendar" for each in grave):
        return "map with a model of this calendar, or fetch a stack of the model's"
    names = sorted({each.modality for each in grave})
    drop = f"--on-mismatch drop maps on without {' and '.join(names)}"
    if any(each.what == BANDS for each in grave):
        return f"{drop}; a model that was trained without these bands needs none of them"
    return f"{drop}; --on-mismatch allow uses them as they are"


def _warning(each: Difference, dropped: bool) -> str:
    if dropped:
        return f"{each}; {each.modality} is treated as missing"
    if each.what == BANDS:  # a step without all of its bands is no valid one
        return f"{each}; mapped all the same, but {each.modality} counts as missing"
    return f"{each}; mapped all the same" if each.severity == "refuse" else str(each)
