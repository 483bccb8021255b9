"""Optical time steps by scene classification: the rule of `geocomiss.composite.clouds`, and the median.

Granules of one pass are mosaicked first. Beyond the swath the classification is masked, which counts as
class 0, "no data", as everywhere else. The neighbourhood of a cloud is a kernel in pixels of the grid that
is asked for: Earth Engine evaluates neighbourhoods there, and the same pixels are grown as locally.
"""

from collections.abc import Sequence

import ee

from geocomiss.composite.clouds import CLEAR_CLASSES, GROWN_CLASSES, disk
from geocomiss.recipes import Recipe
from geocomiss.sources.ee.listing import Acquisition
from geocomiss.sources.ee.tables import SCL
from geocomiss.stack import COUNT


def by_classes(
    acquisitions: Sequence[Acquisition], bands: Sequence[str], recipe: Recipe, pixel: float
) -> ee.Image:
    """A time step: the bands, and the clear observations behind each pixel.

    Args:
        acquisitions: Of this step, with the granules that meet the area.
        bands: Bands of Sentinel-2.
        recipe: Metres by which clouds are grown.
        pixel: Pixel size in metres.
    """
    clear = ee.ImageCollection.fromImages(
        [_clear(each, bands, recipe.cloud_dilation, pixel) for each in acquisitions]
    )
    count = clear.select([bands[0]], [COUNT]).count().rename(COUNT).unmask(0, False)
    return clear.median().addBands(count)


def mosaic(acquisition: Acquisition, bands: Sequence[str]) -> ee.Image:
    """The granules of a pass as one image; where they overlap the first counts."""
    last_on_top = [ee.Image(granule.id).select(list(bands)) for granule in reversed(acquisition.granules)]
    return ee.ImageCollection.fromImages(last_on_top).mosaic()


def _clear(acquisition: Acquisition, bands: Sequence[str], reach: float, pixel: float) -> ee.Image:
    """The bands of a pass where no cloud, shadow or edge is within reach."""
    image = mosaic(acquisition, (*bands, SCL))
    classes = image.select([SCL]).unmask(0, False)
    clear = classes.remap(list(CLEAR_CLASSES), [1] * len(CLEAR_CLASSES), 0)
    offsets = disk(reach, pixel)
    if len(offsets) > 1:
        clear = clear.And(_grown(classes, offsets).Not())
    return image.select(list(bands)).updateMask(clear)


def _grown(classes: ee.Image, offsets: Sequence[tuple[int, int]]) -> ee.Image:
    """1 where a class that is grown lies within some offsets (rows, columns)."""
    kept = [each for each in range(12) if each not in GROWN_CLASSES]
    grown = classes.remap(kept, [0] * len(kept), 1)  # classes that nobody has heard of: no data
    radius = max(row for row, _ in offsets)
    span, within = range(-radius, radius + 1), set(offsets)
    weights = [[int((row, col) in within) for col in span] for row in span]
    size = 2 * radius + 1
    return grown.focalMax(kernel=ee.Kernel.fixed(size, size, weights, radius, radius))
