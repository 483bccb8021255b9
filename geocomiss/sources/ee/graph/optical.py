"""Optical time steps of clear observations: the rules of `geocomiss.composite.clouds`, and the median.

Granules of one pass are mosaicked first. Beyond the swath the classification is masked, which counts as
class 0, "no data", as everywhere else; so does a pixel without Cloud Score+, or with too low a one. The
neighbourhood of a cloud is a kernel in pixels of the grid that is asked for: Earth Engine evaluates
neighbourhoods there, and the same pixels are grown as locally.
"""

from collections.abc import Sequence

import ee

from geocomiss.composite.clouds import CLEAR_CLASSES, GROWN_CLASSES, SCORE, SCORE_RULE, disk
from geocomiss.recipes import Recipe
from geocomiss.sources.ee.listing import Acquisition, Granule
from geocomiss.sources.ee.tables import CLOUD_SCORE, SCL
from geocomiss.stack import COUNT


def clear_median(
    acquisitions: Sequence[Acquisition], bands: Sequence[str], recipe: Recipe, pixel: float
) -> ee.Image:
    """A time step: the bands, and the clear observations behind each pixel.

    Args:
        acquisitions: Of this step, with the granules that meet the area.
        bands: Bands of Sentinel-2.
        recipe: What is clear, and metres by which what is not is grown.
        pixel: Pixel size in metres.
    """
    clear = ee.ImageCollection.fromImages(
        [_clear(each, bands, recipe, disk(recipe.cloud_dilation, pixel)) for each in acquisitions]
    )
    count = clear.select([bands[0]], [COUNT]).count().rename(COUNT).unmask(0, False)
    return clear.median().addBands(count)


def mosaic(acquisition: Acquisition, bands: Sequence[str]) -> ee.Image:
    """The granules of a pass as one image; where they overlap the first counts."""
    return _on_top([ee.Image(granule.id).select(list(bands)) for granule in acquisition.granules])


def _on_top(images: Sequence[ee.Image]) -> ee.Image:
    """One image; where several have data the first counts."""
    return ee.ImageCollection.fromImages(list(reversed(images))).mosaic()


def _clear(
    acquisition: Acquisition, bands: Sequence[str], recipe: Recipe, offsets: Sequence[tuple[int, int]]
) -> ee.Image:
    """The bands of a pass where neither it nor a pixel at one of the offsets is cloud, shadow or edge."""
    if recipe.cloud_rule == SCORE_RULE:
        image = _on_top([_scored(granule, bands) for granule in acquisition.granules])
        clear = image.select([SCORE]).unmask(-1, False).gte(recipe.cloud_score)
        grown = clear.Not()
    else:
        image = mosaic(acquisition, (*bands, SCL))
        classes = image.select([SCL]).unmask(0, False)
        clear = classes.remap(list(CLEAR_CLASSES), [1] * len(CLEAR_CLASSES), 0)
        kept = [each for each in range(12) if each not in GROWN_CLASSES]
        grown = classes.remap(kept, [0] * len(kept), 1)  # classes that nobody has heard of: no data
    if len(offsets) > 1:
        clear = clear.And(_near(grown, offsets).Not())
    return image.select(list(bands)).updateMask(clear)


def _scored(granule: Granule, bands: Sequence[str]) -> ee.Image:
    """The bands of a granule, and its Cloud Score+, which has the same index."""
    ((name, band),) = CLOUD_SCORE.bands.items()
    score = ee.Image(f"{CLOUD_SCORE.id}/{granule.index}").select([band], [name])
    return ee.Image(granule.id).select(list(bands)).addBands(score)


def _near(grown: ee.Image, offsets: Sequence[tuple[int, int]]) -> ee.Image:
    """1 where a 1 lies at one of some offsets (rows, columns)."""
    radius = max(row for row, _ in offsets)
    span, within = range(-radius, radius + 1), set(offsets)
    weights = [[int((row, col) in within) for col in span] for row in span]
    size = 2 * radius + 1
    return grown.focalMax(kernel=ee.Kernel.fixed(size, size, weights, radius, radius))
