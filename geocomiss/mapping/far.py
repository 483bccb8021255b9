"""How much of a map lies outside the area of applicability, counted and in words."""

from typing import Final

import numpy as np
from numpy.typing import NDArray

from geocomiss.maps import INDEX_STEP, NOT_MAPPED

EDGE: Final = round(1 / INDEX_STEP)
"""Stored dissimilarity at the edge; what is higher lies outside."""
FEW: Final = 0.0005
"""Share of the pixels outside below which they are not worth a number: it would read 0.0%."""
MUCH: Final = 0.1
"""Share of the pixels outside from which it is a warning."""


def stored_index(dissimilarity: NDArray[np.float32], shown: NDArray[np.bool_]) -> NDArray[np.uint8]:
    """Dissimilarities (N,) as stored, nodata where not shown.

    Rounded up: pixels inside, and only they, have `EDGE` or less.
    """
    steps = np.ceil(np.nan_to_num(dissimilarity, posinf=np.inf).astype(np.float64) / INDEX_STEP)
    return np.where(shown, np.minimum(steps, NOT_MAPPED - 1), NOT_MAPPED).astype(np.uint8)


def share_outside(pixels: NDArray[np.int64]) -> float | None:
    """Share of the pixels with an index that lie outside; None where there are no such pixels.

    Args:
        pixels: (256,) how many have each stored value.
    """
    known = int(pixels[:NOT_MAPPED].sum())
    return float(pixels[EDGE + 1 : NOT_MAPPED].sum() / known) if known else None


def outside_in_words(share: float | None, known: bool = True) -> tuple[list[str], list[str]]:
    """What a user should know, as notes and as warnings.

    Args:
        share: Of the pixels with a class; None: there are none.
        known: Whether the area of applicability is known at all.
    """
    if not known:
        return [], []
    if share is None:
        return ["no pixel has a class: nothing can be said of the area of applicability"], []
    if not share:
        return ["all pixels with a class lie inside the area of applicability"], []
    if share < FEW:
        few = f"a few (under {FEW:.2%})"
        return [f"all pixels with a class but {few} lie inside the area of applicability"], []
    said = (
        f"{share:.1%} of the pixels with a class lie outside the area of applicability: nothing that the "
        "model learnt from is like them, and how often it is right there is not known"
    )
    return ([], [said]) if share > MUCH else ([said], [])
