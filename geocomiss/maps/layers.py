"""The layers of a map. A layer is declared here and nowhere else.

Its raster, its style for QGIS, its asset in the STAC Item and its button in the report follow from
its row: `map_layers`.
"""

from dataclasses import dataclass, replace
from typing import Final, Literal

from geocomiss.modalities import MODALITIES

NOT_MAPPED: Final = 255
"""Value of layers of bytes where nothing was mapped."""
STEP: Final = 0.005
"""Probability of one unit of `confidence.tif` and `probabilities.tif`."""
NDVI_STEP: Final = 0.01
"""One unit of `ndvi.tif`, which begins at -1."""
EXPECTED_ACCURACY: Final = "expected_accuracy"
"""Name of the layer that maps of calibrated models have."""
APPLICABILITY: Final = "applicability"
"""Name of the layer that tells how unlike the training samples a pixel is."""
INDEX_STEP: Final = 0.01
"""Dissimilarity of one unit of `applicability.tif`; 254 units are so much or more."""
PROBABILITIES: Final = "probabilities"
"""Name of the layer that is written on request."""
VIRIDIS: Final = ("#440154", "#3b528b", "#21918c", "#5ec962", "#fde725")
"""Colours from low to high that people of all colour vision can order (van der Walt, Smith 2015)."""
BLUES: Final = ("#f7fbff", "#c6dbef", "#6baed6", "#2171b5", "#08306b")
"""One hue from light to dark (Brewer)."""

OTHER_COLORS: Final = (
    *("#0072b2", "#e69f00", "#009e73", "#cc79a7", "#56b4e9", "#d55e00", "#f0e442", "#000000"),  # Okabe, Ito
    *("#882255", "#44aa99", "#999933", "#aa4499", "#332288", "#88ccee", "#ddcc77", "#117733"),  # Tol, muted
)
"""Colours for classes that people of all colour vision can tell apart, the most distinct first."""

Look = Literal["classes", "ramp", "rgb"]
"""How a layer is drawn: by class, by a ramp of colours, or as it is."""


@dataclass(frozen=True)
class Category:
    """One class of a categorical map."""

    value: int
    """Value in the file, 0..255."""
    name: str
    """What GIS software shows."""
    color: str
    """'#rrggbb'."""

    @property
    def rgb(self) -> tuple[int, int, int]:
        """Red, green, blue, 0..255."""
        red, green, blue = bytes.fromhex(self.color.removeprefix("#"))
        return red, green, blue


@dataclass(frozen=True)
class Layer:
    """What a raster holds."""

    name: str
    """Stem of the file, and name of the band where there is one only."""
    nodata: int
    """Value that says "nothing here"."""
    description: str
    """What the values mean, a line; becomes the tag DESCRIPTION."""
    dtype: Literal["uint8", "uint16"] = "uint8"
    """Type of the values."""
    unit: str = ""
    """Unit of the values once scaled; empty where they have none."""
    scale: float = 1.0
    """Factor from stored to true values."""
    offset: float = 0.0
    """True value of a stored 0."""
    categories: tuple[Category, ...] = ()
    """Classes, for palette and names; none for quantities."""
    overviews: Literal["mode", "average", "nearest"] = "nearest"
    """How coarser levels are made: 'mode' for classes, 'average' for quantities, 'nearest' for bits."""
    title: str = ""
    """Its heading in legends and lists."""
    bands: tuple[str, ...] = ()
    """Names of the bands; none: one band, called like the layer."""
    ramp: tuple[str, ...] = VIRIDIS
    """Colours of a quantity from its lowest to its highest value, evenly spaced."""
    span: tuple[float, float] | None = None
    """True values at the ends of the ramp; None: the lowest and highest that occur."""
    rgb: bool = False
    """Whether its three bands are red, green and blue for the eye."""
    every: int = 1
    """It holds every so many-th pixel of the map, down and across."""
    illustrates: bool = False
    """Whether it shows the images behind the map, for the report, and is no result."""

    @property
    def band_names(self) -> tuple[str, ...]:
        """Names of all bands."""
        return self.bands or (self.name,)

    @property
    def look(self) -> Look:
        """How it is drawn."""
        if self.categories:
            return "classes"
        return "rgb" if self.rgb else "ramp"


def map_layers(
    classes: tuple[Category, ...], patterns: tuple[int, ...] = (), sure: str = "", cleaned: str = ""
) -> tuple[Layer, ...]:
    """The layers that every map has.

    Args:
        classes: What the map tells apart.
        patterns: Values of the modalities that occur; none: all.
        sure: 'calibrated' or 'uncalibrated'; empty: not known.
        cleaned: What was done to the classes after they were chosen; empty: nothing.
    """
    return (_crop_type(classes, cleaned), _confidence(sure), _modalities(patterns), _observations())


def _crop_type(classes: tuple[Category, ...], cleaned: str) -> Layer:
    """The classes."""
    return Layer(
        "crop_type",
        0,
        "crop type" + (f"; {cleaned}" if cleaned else ""),
        categories=classes,
        overviews="mode",
        title="Crop type",
    )


def _confidence(sure: str) -> Layer:
    """How probable the mapped class is."""
    return Layer(
        "confidence",
        NOT_MAPPED,
        "probability of the mapped class" + (f", {sure}" if sure else ""),
        scale=STEP,
        unit="1",
        overviews="average",
        title="Confidence",
        span=(0.0, 1.0),
    )


def _modalities(patterns: tuple[int, ...]) -> Layer:
    """What each pixel was classified with."""
    return Layer(
        "modalities",
        NOT_MAPPED,
        "modalities used: " + ", ".join(f"{m.bit} {m.name}" for m in MODALITIES.values()),
        categories=tuple(_pattern(bits) for bits in (patterns or tuple(range(16)))),
        overviews="mode",
        title="Modalities used",
    )


def _observations() -> Layer:
    """How often each pixel was seen."""
    return Layer(
        "observations",
        65535,
        "clear observations in the season, by modality",
        dtype="uint16",
        unit="1",
        overviews="average",
        title="Clear observations",
        bands=tuple(name for name, each in MODALITIES.items() if each.imaging),
        ramp=BLUES,
    )


def expected_accuracy() -> Layer:
    """How often the mapped class is right in the training regions."""
    return Layer(
        EXPECTED_ACCURACY,
        NOT_MAPPED,
        "expected accuracy, from the training regions: how often the mapped class is right given its "
        "modalities and their valid steps",
        scale=STEP,
        unit="1",
        overviews="average",
        title="Expected accuracy",
        span=(0.0, 1.0),
    )


def applicability() -> Layer:
    """How unlike the training samples a pixel is."""
    return Layer(
        APPLICABILITY,
        NOT_MAPPED,
        "dissimilarity to the training samples, relative to the edge of the area of applicability: above 1 "
        "lies outside (2.54: so much or more)",
        scale=INDEX_STEP,
        unit="1",
        overviews="average",
        title="Dissimilarity to the training samples (above 1: outside)",
        ramp=("#2166ac", "#92c5de", "#f7f7f7", "#f4a582", "#b2182b"),  # one hue inside, another outside
        span=(0.0, 2.0),
    )


def probabilities(classes: tuple[Category, ...]) -> Layer:
    """The probability of each class, a band a class."""
    return Layer(
        PROBABILITIES,
        NOT_MAPPED,
        "probability of each class",
        scale=STEP,
        unit="1",
        overviews="average",
        title="Probability of each class",
        bands=tuple(f"p_{each.name}" for each in classes),
        span=(0.0, 1.0),
    )


def true_color(every: int) -> Layer:
    """What the eye would have seen: the median of the season, for orientation."""
    return Layer(
        "true_color",
        0,
        "median of the clear observations of the season as red, green, blue, for the eye only",
        overviews="average",
        title="True colour",
        bands=("red", "green", "blue"),
        rgb=True,
        every=every,
        illustrates=True,
    )


def ndvi_curve(every: int, steps: tuple[str, ...]) -> Layer:
    """The vegetation index of each time step.

    Args:
        every: It holds every so many-th pixel.
        steps: First day of each step, '2021-01-01'.
    """
    return Layer(
        "ndvi",
        NOT_MAPPED,
        "NDVI of each time step (first day of the step)",
        unit="1",
        scale=NDVI_STEP,
        offset=-1.0,
        overviews="average",
        title="NDVI",
        bands=steps,
        ramp=("#8c510a", "#dfc27d", "#f5f5f5", "#80cdc1", "#01665e"),
        span=(-0.2, 1.0),
        every=every,
        illustrates=True,
    )


def renamed(classes: tuple[Category, ...], other: dict[int, Category]) -> tuple[Category, ...]:
    """Classes with the names and colours of others where these have the same value."""
    return tuple(other.get(each.value, each) for each in classes)


def other_color(number: int) -> str:
    """The colour of a class that has none; beyond the first sixteen paler, then darker ones of these."""
    red, green, blue = Category(0, "", OTHER_COLORS[number % len(OTHER_COLORS)]).rgb
    turn = number // len(OTHER_COLORS)
    toward, share = (255, 0.5) if turn % 2 else (0, 0.0 if turn == 0 else 0.4)
    return "#" + "".join(f"{round(part + (toward - part) * share):02x}" for part in (red, green, blue))


def _pattern(bits: int) -> Category:
    """A combination of modalities: hue tells the sensors, paleness that weather or terrain are missing.

    The four hues are told apart by people of all colour vision (Okabe, Ito 2008).
    """
    names = [name for name, each in MODALITIES.items() if bits & each.bit]
    imaging = sum(each.bit for each in MODALITIES.values() if each.imaging)
    hue = {0: "#7f7f7f", 1: "#e69f00", 2: "#0072b2", 3: "#009e73"}[bits & imaging]
    missing = [each.bit for each in MODALITIES.values() if not each.imaging and not bits & each.bit]
    pale = {0: 0.0, 1: 0.35, 2: 0.65}[len(missing)] + (0.12 if missing == [4] else 0.0)
    plain = Category(bits, " + ".join(names) or "nothing available", hue)
    mixed = (round(part + (255 - part) * pale) for part in plain.rgb)
    return replace(plain, color="#" + "".join(f"{part:02x}" for part in mixed))
