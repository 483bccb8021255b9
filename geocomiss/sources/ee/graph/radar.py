"""Radar time steps: the mean power of the passes of one direction, in decibels again."""

from collections.abc import Sequence

import ee

from geocomiss.sources.ee.graph.optical import mosaic
from geocomiss.sources.ee.listing import Acquisition, Box
from geocomiss.stack import COUNT

Part = tuple[Sequence[Acquisition], Sequence[Box] | None]
"""Acquisitions, and the boxes within which they are used; None: everywhere."""


def linear_mean(parts: Sequence[Part], bands: Sequence[str]) -> ee.Image:
    """A time step: the bands in dB, and the passes behind each pixel.

    Args:
        parts: Acquisitions of this step of each direction, and where it is used.
        bands: VV, VH.
    """
    decibels = [
        _clipped(mosaic(each, bands), boxes) for acquisitions, boxes in parts for each in acquisitions
    ]
    # renamed: of two images with one band each the result has the first one's name, `constant`
    raised = [ee.Image.constant(10).pow(each.divide(10)).rename(list(bands)) for each in decibels]
    power = ee.ImageCollection.fromImages(raised)
    count = power.select([bands[0]], [COUNT]).count().rename(COUNT).unmask(0, False)
    return power.mean().log10().multiply(10).addBands(count)


def _clipped(image: ee.Image, boxes: Sequence[Box] | None) -> ee.Image:
    """An image within some boxes."""
    if boxes is None:
        return image
    rings = [[[[w, s], [e, s], [e, n], [w, n], [w, s]]] for w, s, e, n in boxes]
    return image.clip(ee.Geometry.MultiPolygon(rings, None, False))
