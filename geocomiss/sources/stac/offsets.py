"""The reflectance offset of Sentinel-2 L2A, one function per catalogue.

Since processing baseline 04.00 (25 January 2022) ESA adds 1000 to the numbers of L2A products, so that
noise over dark water does not go below zero (Sentinel-2 Products Specification, 14.9). Some catalogues
take it away again, some do not, and their metadata may contradict each other: `raster:bands.offset` of
Earth Search says -0.1 for images whose offset has been removed, so it is never trusted on its own.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from pystac import Item

SHIFT: Final = 1000
"""What a product of the new baseline has too much, in reflectance x 10000."""
FIRST_SHIFTED: Final = (4, 0)
"""First processing baseline with the offset."""
FIRST_DAY: Final = datetime(2022, 1, 25, tzinfo=UTC)
"""Day on which it came into force: decides where an item tells no baseline."""
BASELINE_IN_NAME: Final = re.compile(r"_N(\d{2})(\d{2})_")
"""Processing baseline in the name of a product: N0400 is 04.00."""


@dataclass(frozen=True)
class Offset:
    """What is to be taken from an item's numbers."""

    shift: int
    """0 or 1000."""
    doubt: str = ""
    """Metadata that say otherwise and were not followed; '' where all agree."""


def unapplied(item: Item) -> Offset:
    """Planetary Computer, and Collection 1 at Earth Search: numbers are as ESA delivers them."""
    return Offset(SHIFT if _is_shifted(item) else 0)


def flagged(item: Item) -> Offset:
    """Earth Search's `sentinel-2-l2a`: `earthsearch:boa_offset_applied` says whether it was removed."""
    removed = item.properties.get("earthsearch:boa_offset_applied") is True
    shift = SHIFT if _is_shifted(item) and not removed else 0
    stated = _stated_offset(item)
    if stated is not None and (stated < 0) != (shift > 0):
        return Offset(shift, f"raster:bands.offset says {stated:g}")
    return Offset(shift)


OFFSETS: Final[dict[str, Callable[[Item], Offset]]] = {
    "s2": unapplied,
    "s2-cogs": flagged,
    "s2-c1": unapplied,
}
"""The rule of each optical product."""


def baseline_of(item: Item) -> tuple[int, int]:
    """Processing baseline, (4, 0) for 04.00; from the product's name or the day where it is not stated."""
    stated = str(item.properties.get("s2:processing_baseline", ""))
    if match := re.fullmatch(r"(\d{1,2})\.(\d{1,2})", stated):
        return int(match[1]), int(match[2])
    for text in (str(item.properties.get("s2:product_uri", "")), item.id):
        if match := BASELINE_IN_NAME.search(text):
            return int(match[1]), int(match[2])
    taken = item.datetime
    return FIRST_SHIFTED if taken is not None and taken >= FIRST_DAY else (0, 0)


def without_offset(numbers: NDArray[Any], shift: int) -> NDArray[np.float32]:
    """Reflectance x 10000 from stored numbers: NaN where 0 (no data), never below 0."""
    values = numbers.astype(np.float32)
    corrected = np.maximum(values - np.float32(shift), np.float32(0)) if shift else values
    return np.where(numbers == 0, np.float32(np.nan), corrected)


def _is_shifted(item: Item) -> bool:
    return baseline_of(item) >= FIRST_SHIFTED


def _stated_offset(item: Item) -> float | None:
    """The offset that any asset states in `raster:bands`, the lowest."""
    bands = [band for asset in item.assets.values() for band in asset.extra_fields.get("raster:bands", ())]
    stated = [float(band["offset"]) for band in bands if "offset" in band]
    return min(stated, default=None)
