"""How far apart two colours are to people of any colour vision."""

from functools import cache
from typing import Final

import numpy as np
from numpy.typing import NDArray

CONES: Final = (
    ((1.0, 0.0, 0.0), (0.0, 1.0, 0.0), (0.0, 0.0, 1.0)),
    ((0.152286, 1.052583, -0.204868), (0.114503, 0.786281, 0.099216), (-0.003882, -0.048116, 1.051998)),
    ((0.367322, 0.860646, -0.227968), (0.280085, 0.672501, 0.047413), (-0.011820, 0.042940, 0.968881)),
    ((1.255528, -0.076749, -0.178779), (-0.078411, 0.930809, 0.147602), (0.004733, 0.691367, 0.303900)),
)
"""What linear RGB looks like with all cones, and without those for long, middle and short waves
(Machado, Oliveira, Fernandes 2009, severity 1)."""


def distance(one: str, other: str) -> tuple[float, float]:
    """Distances in RGB, 0..1.73, of two colours '#rrggbb': with all cones, and to whom they are nearest."""
    each = np.linalg.norm(_seen(one) - _seen(other), axis=1)
    return float(each[0]), float(each.min())


@cache
def _seen(color: str) -> NDArray[np.float64]:
    """(4, 3) RGB, 0..1, as each kind of eye sees it."""
    rgb = np.array([*bytes.fromhex(color.removeprefix("#"))]) / 255
    linear = np.where(rgb <= 0.04045, rgb / 12.92, ((rgb + 0.055) / 1.055) ** 2.4)  # sRGB, IEC 61966-2-1
    seen = np.clip(np.array(CONES) @ linear, 0, 1)
    shown: NDArray[np.float64] = np.where(seen <= 0.0031308, 12.92 * seen, 1.055 * seen ** (1 / 2.4) - 0.055)
    return shown
