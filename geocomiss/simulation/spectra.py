"""Spectra of what is seen: leaves, soil, blossom, snow, clouds and air.

Reflectance x 10000 in the order of `OPTICAL`, values typical of temperate farmland.
"""

from typing import Final

import numpy as np
from numpy.typing import NDArray

from geocomiss.modalities import MODALITIES, NDVI
from geocomiss.simulation.crops import KINDS

Floats = NDArray[np.float32]

OPTICAL: Final = tuple(name for name in MODALITIES["optical"].band_names if name != NDVI)
"""Bands of the optical scenes: B2 B3 B4 B5 B6 B7 B8 B8A B9 B11 B12."""
GREEN_LEAF: Final = np.array([290, 600, 330, 950, 2850, 3600, 3800, 4000, 3950, 1950, 900], np.float32)
DRY_LEAF: Final = np.array([800, 1100, 1450, 1750, 2100, 2350, 2550, 2750, 2750, 3100, 2250], np.float32)
DRY_SOIL: Final = np.array([950, 1250, 1600, 1850, 2050, 2200, 2400, 2550, 2550, 3050, 2650], np.float32)
BLOSSOM: Final = np.array([250, 1750, 1700, 1500, 700, 500, 500, 400, 400, 150, 100], np.float32)
CLOUD: Final = np.array([5600, 5500, 5400, 5500, 5700, 5800, 5800, 5800, 3200, 4100, 3300], np.float32)
SNOW: Final = np.array([8800, 8800, 8700, 8600, 8500, 8400, 8200, 8000, 5200, 1300, 1000], np.float32)
HAZE: Final = np.array([420, 330, 250, 220, 180, 170, 150, 140, 100, 60, 40], np.float32)
"""Reflectance that one unit of haze adds."""
PATH: Final = np.array([950, 560, 320, 250, 190, 160, 130, 100, 60, 30, 20], np.float32)
"""Reflectance that a clear atmosphere adds at its top (level 1C)."""
TRANSMITTED: Final = np.array([0.80, 0.86, 0.90, 0.91, 0.92, 0.92, 0.94, 0.96, 0.35, 0.96, 0.95], np.float32)
"""Share of the surface's reflectance seen from the top of the atmosphere (B9: water vapour)."""
WET_SOIL: Final = np.array([0.60, 0.60, 0.60, 0.60, 0.61, 0.62, 0.62, 0.63, 0.60, 0.48, 0.42], np.float32)
"""Factor on soil that is fully wet."""
REGION_OF_BAND: Final = np.array([0, 0, 0, 1, 2, 2, 2, 2, 2, 3, 3])
"""Part of the spectrum: 0 visible, 1 red edge, 2 near infrared, 3 short-wave."""


def leaf_spectra() -> Floats:
    """Reflectance x 10000 of the green leaves of every kind: (kinds, bands)."""
    factors = np.array([[k.visible, (k.visible + k.infrared) / 2, k.infrared, k.shortwave] for k in KINDS])
    return np.asarray(GREEN_LEAF * factors[:, REGION_OF_BAND], np.float32)
