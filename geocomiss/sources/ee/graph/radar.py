"""Radar time steps: the mean power of the passes of one direction, or CropHarvest's median of near ones."""

from collections.abc import Sequence

import ee

from geocomiss.sources.ee.graph.optical import mosaic
from geocomiss.sources.ee.listing import Acquisition, Box
from geocomiss.stack import COUNT

Part = tuple[Sequence[Acquisition], Sequence[Box] | None]
"""Acquisitions, and the boxes within which they are used; None: everywhere."""
NearPart = tuple[Sequence[Acquisition], Sequence[Acquisition], Sequence[Box] | None]
"""As `Part`, with acquisitions further away in time after those near the middle of a step."""


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


def nearest_median(parts: Sequence[NearPart], bands: Sequence[str]) -> ee.Image:
    """A time step of CropHarvest: the median in dB of the passes near its middle, else the nearest one.

    Args:
        parts: Passes near the middle of the step, those further away, nearest first, and where both are used.
        bands: VV, VH.
    """
    layers: list[ee.Image] = []
    for near, far, boxes in parts:
        images = [_median(near, bands)] if near else []
        images += [_counted(mosaic(each, bands), bands) for each in far]
        layers += [_clipped(image, boxes) for image in images]
    step = ee.ImageCollection.fromImages(list(reversed(layers))).mosaic()
    return step.select(list(bands)).addBands(step.select([COUNT]).unmask(0, False))


def _median(passes: Sequence[Acquisition], bands: Sequence[str]) -> ee.Image:
    """The median of some passes, and how many there are of a pixel."""
    images = ee.ImageCollection.fromImages([mosaic(each, bands) for each in passes])
    return images.median().addBands(images.select([bands[0]], [COUNT]).count().rename(COUNT))


def _counted(image: ee.Image, bands: Sequence[str]) -> ee.Image:
    """With the count of the one pass that it is."""
    one = image.select([bands[0]], [COUNT])
    return image.addBands(one.multiply(0).add(1))


def _clipped(image: ee.Image, boxes: Sequence[Box] | None) -> ee.Image:
    """An image within some boxes."""
    if boxes is None:
        return image
    rings = [[[[w, s], [e, s], [e, n], [w, n], [w, s]]] for w, s, e, n in boxes]
    return image.clip(ee.Geometry.MultiPolygon(rings, None, False))
