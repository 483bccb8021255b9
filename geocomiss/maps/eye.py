"""Reflectance for the eye: red, green and blue as bytes."""

from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from geocomiss.modalities import BLUE, GREEN, RED

COLORS: Final = (RED, GREEN, BLUE)
"""Optical bands of a true-colour picture."""
BRIGHT: Final = 2800.0
"""Reflectance x 10000 that is shown white: fields and bare soil lie below."""
GAMMA: Final = 1.5
"""Brightens what is dark, as screens and eyes want it."""


def bright(reflectance: NDArray[Any]) -> NDArray[np.uint8]:
    """Bytes 1..255 of reflectance x 10000, (3, ...); 0 where any of the three is NaN."""
    seen = np.isfinite(reflectance).all(0)
    shown = np.clip(np.nan_to_num(reflectance) / BRIGHT, 0, 1) ** (1 / GAMMA)
    return np.where(seen, 1 + np.rint(254 * shown), 0).astype(np.uint8)
