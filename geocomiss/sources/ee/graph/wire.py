"""Values as whole numbers on the way: scaled and cast by Earth Engine, floating point again here."""

from collections.abc import Sequence
from typing import Any

import ee
import numpy as np
from numpy.typing import NDArray

from geocomiss.sources.ee.kept import digest
from geocomiss.sources.ee.tables import Coding
from geocomiss.sources.ee.tiler import Graph


def encoded(image: ee.Image, bands: Sequence[str], coding: Coding) -> Graph:
    """An image with its values scaled, rounded, clamped, and a number where it is masked.

    Args:
        image: With these bands, by their canonical names.
        bands: In the order in which they are to arrive; also `NAME_3` for step 3 of NAME.
        coding: How they travel.
    """
    steps = [coding.per_unit.get(band.rpartition("_")[0], coding.per_unit.get(band, 1)) for band in bands]
    scaled = image.select(list(bands)).multiply(ee.Image.constant(steps)).round()
    whole = scaled.clamp(*coding.span).unmask(coding.nothing, False)
    cast = {"uint16": whole.toUint16, "int16": whole.toInt16, "int32": whole.toInt32}[coding.dtype]()
    return Graph(cast, tuple(bands), coding.itemsize, digest(cast.serialize()))


def decoded(numbers: NDArray[Any], bands: Sequence[str], coding: Coding) -> dict[str, NDArray[np.float32]]:
    """Values by band, NaN where they are missing: from (bands, H, W)."""
    values = {}
    for band, plane in zip(bands, numbers, strict=True):
        steps = coding.per_unit.get(band.rpartition("_")[0], coding.per_unit.get(band, 1))
        value = (plane.astype(np.float64) / steps).astype(np.float32)
        values[band] = np.where(plane == coding.nothing, np.float32(np.nan), value)
    return values
