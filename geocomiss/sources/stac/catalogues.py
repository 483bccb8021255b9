"""Which catalogues there are, and which of their products can be read: data, not code."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from pystac import Item

from geocomiss.modalities import MODALITIES, NDVI

CLASSES: Final = "scl"
"""Stands for the scene classification among the bands of a product."""
NO_DATA: Final = 0
"""Number that means "no data" in Sentinel-2 products."""
BEYOND: Final = 255
"""Stands for "outside the image" where scene classes are read."""
RTC_NO_DATA: Final = -32768.0
"""Number that means "no data" in terrain-corrected radar and NASADEM."""
DEM_END: Final = (-56.0, 60.0)
"""Latitudes between which the shuttle measured: NASADEM ends there."""


@dataclass(frozen=True)
class Product:
    """A collection whose values we understand."""

    modality: str
    """The modality it fills."""
    collection: str
    """Identifier of the collection."""
    assets: Mapping[str, str]
    """Canonical band (or `scl`) -> key of the asset."""
    made: str
    """What the recipe states of it: reflectance level, radar product or terrain model."""
    dtype: str
    """Type of its pixels."""
    nodata: float | None
    """Number that means "no data"."""

    @property
    def bands(self) -> tuple[str, ...]:
        """Canonical bands that are measured, in canonical order."""
        return tuple(name for name in MODALITIES[self.modality].band_names if name in self.assets)

    def has(self, item: Item) -> bool:
        """Whether an item is of this product."""
        return item.collection_id == self.collection and any(
            key in item.assets for key in self.assets.values()
        )


def _numbered() -> dict[str, str]:
    """Assets called B02, B03, ...: two digits where a band's own name has one."""
    measured = (band.name for band in MODALITIES["optical"].bands if band.name != NDVI)
    return {name: name[0] + name[1:].zfill(2) for name in measured} | {CLASSES: "SCL"}


def _coloured() -> dict[str, str]:
    """Assets called blue, green, ..."""
    return {band.name: band.colour for band in MODALITIES["optical"].bands if band.colour} | {CLASSES: "scl"}


def _polarised() -> dict[str, str]:
    return {name: name.lower() for name in MODALITIES["radar"].band_names}


_ELEVATION: Final = MODALITIES["topography"].band_names[0]

PRODUCTS: Final[dict[str, Product]] = {
    "s2": Product("optical", "sentinel-2-l2a", _numbered(), "L2A", "uint16", NO_DATA),
    "s2-cogs": Product("optical", "sentinel-2-l2a", _coloured(), "L2A", "uint16", NO_DATA),
    "s2-c1": Product("optical", "sentinel-2-c1-l2a", _coloured(), "L2A", "uint16", NO_DATA),
    "s1-rtc": Product("radar", "sentinel-1-rtc", _polarised(), "gamma0", "float32", RTC_NO_DATA),
    "nasadem": Product("topography", "nasadem", {_ELEVATION: "elevation"}, "NASADEM", "float32", RTC_NO_DATA),
    "glo-30": Product(
        "topography", "cop-dem-glo-30", {_ELEVATION: "data"}, "Copernicus DEM", "float32", None
    ),
}
"""All products that can be read; of one modality the first that has items is taken."""


@dataclass(frozen=True)
class Catalogue:
    """A STAC API."""

    name: str
    """What users call it."""
    url: str
    """Its landing page."""
    products: tuple[str, ...]
    """Keys in `PRODUCTS` of what is read from it."""
    lacking: Mapping[str, str]
    """Modalities that it cannot deliver, and why."""


CATALOGUES: Final[dict[str, Catalogue]] = {
    catalogue.name: catalogue
    for catalogue in (
        Catalogue(
            "planetary-computer",
            "https://planetarycomputer.microsoft.com/api/stac/v1",
            ("s2", "s1-rtc", "nasadem", "glo-30"),
            {},
        ),
        Catalogue(
            "earth-search",
            "https://earth-search.aws.element84.com/v1",
            ("s2-cogs", "glo-30"),
            {"radar": "its Sentinel-1 is neither calibrated nor gridded, and costs money to read"},
        ),
    )
}
"""Catalogues with a name of their own."""


def product_of(item: Item) -> str | None:
    """Key in `PRODUCTS` of an item's product, or None where it is not understood."""
    return next((key for key, product in PRODUCTS.items() if product.has(item)), None)
