"""What grows: the classes, and for each kind of cover its calendar, spectrum and radar behaviour.

Days of the year are those of a temperate northern place; `growth` shifts them by hemisphere,
temperature, year and field.
"""

from dataclasses import dataclass
from typing import Final

import numpy as np


@dataclass(frozen=True)
class CropClass:
    """A class of the true map. Its value there is its position in `CLASSES` + 1."""

    name: str
    """Name of the class."""
    color: str
    """Colour as #rrggbb."""


CLASSES: Final = (
    CropClass("grassland", "#7fc97f"),
    CropClass("maize", "#f2c618"),
    CropClass("non_crop", "#9a9a9a"),
    CropClass("rapeseed", "#e8f000"),
    CropClass("soybean", "#267300"),
    CropClass("sugar_beet", "#c44e9b"),
    CropClass("wheat", "#b5762b"),
)
"""All classes, alphabetically, as in a table of samples without a legend."""


@dataclass(frozen=True)
class Kind:
    """A kind of cover. Several kinds can be one class."""

    crop: str
    """Name of its class."""
    share: float
    """Logarithm of its share where nothing speaks for or against it."""
    warmth: tuple[float, float]
    """Summer temperature in kelvin that suits it, and how far it strays."""
    hill: float
    """How much a degree of slope adds to the logarithm of its share."""
    upland: float
    """The same for a kilometre of height."""
    wet: float
    """The same for a millimetre of rain a day."""
    lai: float
    """Leaf area index at its best."""
    up: tuple[float, float]
    """Day of the year of half growth, and rate a day."""
    down: tuple[float, float]
    """Day of the year of half ripeness or loss of leaves, and rate a day."""
    standing: float
    """Days that it stands ripe before harvest."""
    brown: float
    """Share of its leaves that stays as dry matter when ripe."""
    winter: float
    """Leaf area index all year (evergreen) or from the autumn before (winter crops)."""
    evergreen: bool
    """Whether `winter` holds all year."""
    flower: tuple[float, float]
    """Day of the year of full flower and its strength (0 none)."""
    visible: float
    """Factor on the visible spectrum of its leaves."""
    infrared: float
    """Factor on the red edge and near infrared."""
    shortwave: float
    """Factor on the short-wave infrared."""
    radar: tuple[float, float, float]
    """Backscatter of a closed canopy VV and VH in dB, and attenuation per leaf area."""


KINDS: Final = (
    # Wheat
    Kind(
        crop="wheat",
        share=0.75,
        warmth=(288.5, 4.4),
        hill=-0.14,
        upland=-0.2,
        wet=-0.3,
        lai=4.8,
        up=(88, 0.07),
        down=(181, 0.11),
        standing=16,
        brown=0.75,
        winter=0.7,
        evergreen=False,
        flower=(0, 0),
        visible=1.0,
        infrared=0.96,
        shortwave=1.02,
        radar=(-15.2, -21.5, 0.32),
    ),
    # Rapeseed
    Kind(
        crop="rapeseed",
        share=1.05,
        warmth=(286.5, 4.0),
        hill=-0.05,
        upland=0.6,
        wet=0.25,
        lai=4.5,
        up=(81, 0.07),
        down=(175, 0.1),
        standing=15,
        brown=0.65,
        winter=0.9,
        evergreen=False,
        flower=(116, 0.24),
        visible=1.02,
        infrared=0.98,
        shortwave=1.0,
        radar=(-10.6, -14.6, 0.27),
    ),
    # Maize
    Kind(
        crop="maize",
        share=0.55,
        warmth=(293.5, 4.2),
        hill=-0.05,
        upland=-0.6,
        wet=0.3,
        lai=4.4,
        up=(164, 0.085),
        down=(256, 0.075),
        standing=18,
        brown=0.6,
        winter=0.0,
        evergreen=False,
        flower=(0, 0),
        visible=1.0,
        infrared=0.98,
        shortwave=0.98,
        radar=(-9.6, -15.4, 0.26),
    ),
    # Soybean
    Kind(
        crop="soybean",
        share=0.65,
        warmth=(297.0, 3.6),
        hill=-0.3,
        upland=-1.0,
        wet=0.1,
        lai=4.6,
        up=(172, 0.085),
        down=(251, 0.1),
        standing=14,
        brown=0.5,
        winter=0.0,
        evergreen=False,
        flower=(0, 0),
        visible=1.02,
        infrared=1.05,
        shortwave=1.02,
        radar=(-12.2, -18.8, 0.26),
    ),
    # Sugar beet
    Kind(
        crop="sugar_beet",
        share=2.5,
        warmth=(291.0, 4.0),
        hill=-0.85,
        upland=-2.2,
        wet=-0.1,
        lai=4.6,
        up=(158, 0.08),
        down=(284, 0.15),
        standing=0,
        brown=0.0,
        winter=0.0,
        evergreen=False,
        flower=(0, 0),
        visible=1.01,
        infrared=1.05,
        shortwave=0.95,
        radar=(-11.6, -14.4, 0.26),
    ),
    # Meadows and pastures
    Kind(
        crop="grassland",
        share=-0.55,
        warmth=(287.5, 7.0),
        hill=0.2,
        upland=1.3,
        wet=0.5,
        lai=3.3,
        up=(88, 0.05),
        down=(305, 0.05),
        standing=0,
        brown=0.15,
        winter=1.2,
        evergreen=True,
        flower=(0, 0),
        visible=1.1,
        infrared=0.94,
        shortwave=1.03,
        radar=(-13.6, -19.6, 0.26),
    ),
    # Woods
    Kind(
        crop="non_crop",
        share=-1.9,
        warmth=(289.0, 9.0),
        hill=0.3,
        upland=1.3,
        wet=0.1,
        lai=4.4,
        up=(104, 0.065),
        down=(300, 0.06),
        standing=0,
        brown=0.1,
        winter=1.1,
        evergreen=True,
        flower=(0, 0),
        visible=0.84,
        infrared=0.86,
        shortwave=0.85,
        radar=(-10.4, -15.9, 0.4),
    ),
    # Villages
    Kind(
        crop="non_crop",
        share=-2.2,
        warmth=(291.0, 12.0),
        hill=-0.1,
        upland=-0.2,
        wet=0.0,
        lai=0.7,
        up=(110, 0.05),
        down=(290, 0.05),
        standing=0,
        brown=0.2,
        winter=0.4,
        evergreen=True,
        flower=(0, 0),
        visible=1.0,
        infrared=0.9,
        shortwave=1.05,
        radar=(-4.5, -13.5, 0.6),
    ),
    # Hedges and tracks between fields
    Kind(
        crop="non_crop",
        share=-99.0,
        warmth=(289.0, 9.0),
        hill=0.0,
        upland=0.0,
        wet=0.0,
        lai=2.3,
        up=(104, 0.06),
        down=(300, 0.06),
        standing=0,
        brown=0.2,
        winter=0.8,
        evergreen=True,
        flower=(0, 0),
        visible=0.95,
        infrared=0.88,
        shortwave=0.95,
        radar=(-11.2, -16.8, 0.3),
    ),
)
"""All kinds of cover. The last one fills the strips between fields."""
STRIP: Final = len(KINDS) - 1
"""Index of the kind between fields."""

_NAMES: Final = tuple(crop.name for crop in CLASSES)
CLASS_OF_KIND: Final = np.array([_NAMES.index(kind.crop) + 1 for kind in KINDS], np.uint8)
"""Class value (1..K) of each kind."""
