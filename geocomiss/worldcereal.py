"""How WorldCereal stores numbers, in NetCDF stacks and in tables alike."""

from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

NODATA: Final = 65535.0
"""Missing, in all variables."""
HIGHEST_REFLECTANCE: Final = 16000.0
"""Resampling next to missing pixels smears 65535 into its neighbours: what lies above is missing."""


def backscatter(numbers: NDArray[Any]) -> NDArray[np.float64]:
    """Backscatter in dB, 20 log10(DN) - 83, from stored numbers; NaN where these are not above 0."""
    positive = np.where(numbers > 0, numbers, np.nan)
    return np.asarray(20 * np.log10(positive) - 83)
