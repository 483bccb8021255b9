"""Arrays of a tile of which few pixels are mapped: these pixels, and what is everywhere else.

Of thousands of scattered fields each tile holds a few: compressing what lies between them took as long as
all the rest of writing a tile. Nothing is lost: an array that is not the same everywhere else stays whole.

H x W pixels of a tile, n of them mapped.
"""

from collections.abc import Mapping
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

FEW: Final = 8
"""One mapped pixel in so many, and fewer, is few."""
PLACES: Final = "places"
"""Name of the flat indices (n,) of the mapped pixels."""
SHAPE: Final = "shape"
"""Name of (H, W)."""
ELSEWHERE: Final = "elsewhere_"
"""Begins the names of what is everywhere else, a value a band."""

Arrays = Mapping[str, NDArray[Any]]


def packed(arrays: Arrays, mapped: NDArray[np.bool_]) -> dict[str, Any]:
    """The same arrays; where few pixels are mapped, those (..., H, W) as (..., n) and what is elsewhere.

    Args:
        arrays: By name.
        mapped: (H, W) bool.
    """
    places = np.flatnonzero(mapped)
    found = dict(arrays)
    if places.size * FEW > mapped.size:
        return found
    found |= {PLACES: places, SHAPE: np.array(mapped.shape)}
    other = np.argmin(mapped)  # the first pixel that is not mapped
    for name, values in arrays.items():
        if values.shape[-2:] != mapped.shape:
            continue
        flat = values.reshape(*values.shape[:-2], -1)
        kept, elsewhere = flat[..., places], flat[..., other]
        differ = (np.count_nonzero(each != elsewhere[..., None]) for each in (flat, kept))
        if next(differ) == next(differ):
            found |= {name: kept, ELSEWHERE + name: elsewhere}
    return found


def unpacked(stored: Arrays, name: str) -> NDArray[Any]:
    """One of the arrays that were packed.

    Raises:
        KeyError: It is not there.
        ValueError: What is there does not belong together.
    """
    values = stored[name]
    if ELSEWHERE + name not in stored:
        return values
    shape = (*values.shape[:-1], *stored[SHAPE].tolist())
    whole = np.empty(shape, values.dtype)
    whole[...] = stored[ELSEWHERE + name][..., None, None]
    whole.reshape(*values.shape[:-1], -1)[..., stored[PLACES]] = values
    return whole
