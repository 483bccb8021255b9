"""Optical time steps of CropHarvest: at each pixel the image that looks clearest; nothing is masked.

The steps are those of the data set's exporter (nasaharvest/cropharvest, `eo/sentinel2.py`), image by image
and in its order, so that Earth Engine meets the same expression and breaks ties in the same way: most clear
observations are equally clear. A score of cloud and one of shadow, 0 to 1, make the quality. As there, the
score of cloud itself is displaced, not a mask of it, and it is nowhere 0: a shadow is, in effect, a dark
pixel, whether a cloud stands towards the sun or not.
"""

from collections.abc import Sequence
from functools import reduce
from math import cos, pi, sin, tan
from typing import Final

import ee

from geocomiss.sources.ee.listing import Acquisition, Box, Granule
from geocomiss.sources.ee.tables import (
    CLOUD_RATIOS,
    CLOUD_SUMS,
    DARK_BANDS,
    REFLECTANCE,
    S2_L1C_BANDS,
    WATER_RATIO,
)
from geocomiss.stack import COUNT

QUALITY: Final = "quality"
LEAST: Final = 0.001
"""Lowest score of cloud."""
NEAR: Final = 5
"""Pixels to each side over which scores are averaged."""
CLOUDY: Final = 0.2
"""Score of cloud above which a pixel is no shadow."""
DARK: Final = 0.3
"""Sum of the dark bands, as reflectance, below which a pixel may be a shadow."""
WATER: Final = -0.1
"""Ratio of the water bands below which it is water."""
HEIGHTS: Final = (200.0, 10_000.0, 250.0)
"""Heights of clouds in metres, a literal list of the authors."""
SCALE: Final = 20.0
"""Metres of the pixels on which shadows and quality are found."""
CRS: Final = "EPSG:4326"
REACH: Final = 30
"""Pixels within which distances are measured."""
ERODED: Final = 1.5
"""Metres (pixels, the authors call them) from anything else below which a shadow is dropped."""
DILATED: Final = 3.0
"""Likewise, from a shadow below which a pixel belongs to it."""


def best_pixel(acquisitions: Sequence[Acquisition], bands: Sequence[str], cut: Box | None) -> ee.Image:
    """A time step: the bands, and 1 for each pixel that was seen.

    Args:
        acquisitions: Of this step, with the granules that meet the area; with cloud cover and sun.
        bands: Bands of Sentinel-2.
        cut: Where images are cut before they are judged: clouds beyond are not known of. None: nowhere.
    """
    granules = [granule for each in acquisitions for granule in each.granules]
    in_order = sorted(granules, key=lambda granule: (granule.cloud, granule.index))
    images = [_judged(granule, bands, cut) for granule in in_order]
    best = ee.ImageCollection.fromImages(images).qualityMosaic(QUALITY)
    seen = best.select([bands[0]], [COUNT]).gte(0).unmask(0, False)
    return best.select(list(bands)).addBands(seen)


def _judged(granule: Granule, bands: Sequence[str], cut: Box | None) -> ee.Image:
    """The bands of an image, and its quality."""
    image = ee.Image(granule.id).select(list(S2_L1C_BANDS))
    if cut is not None:
        image = image.clip(ee.Geometry.Rectangle(list(cut), None, False))
    cloud = cloud_score(image)
    shadow = shadow_score(image, cloud, granule.sun)
    worst = cloud.max(shadow).reproject(CRS, None, SCALE)
    quality = worst.reduceNeighborhood(ee.Reducer.mean(), ee.Kernel.square(NEAR), optimization="boxcar")
    return image.select(list(bands)).addBands(quality.multiply(-1).rename([QUALITY]))


def cloud_score(image: ee.Image) -> ee.Image:
    """How much a pixel and those around it look like cloud: the least of some signs of it."""
    toa = image.divide(REFLECTANCE)
    signs = [_rescaled(_sum_of(toa, names), *limits) for names, limits in CLOUD_SUMS]
    signs += [_rescaled(image.normalizedDifference(list(names)), *limits) for names, limits in CLOUD_RATIOS]
    score = reduce(lambda least, sign: least.min(sign), signs, ee.Image.constant(1))
    least = score.max(ee.Image.constant(LEAST))
    return least.reduceNeighborhood(ee.Reducer.mean(), ee.Kernel.square(NEAR)).rename(["cloud"])


def shadow_score(image: ee.Image, cloud: ee.Image, sun: tuple[float, float]) -> ee.Image:
    """1 beside and in a dark place that is neither water nor cloud and towards whose sun the image goes on.

    Args:
        image: An image, with the bands that this takes.
        cloud: Its score of cloud.
        sun: Azimuth and zenith angle of the sun, degrees.
    """
    dark = image.select(list(DARK_BANDS)).divide(REFLECTANCE).reduce(ee.Reducer.sum()).lt(DARK)
    water = image.normalizedDifference(list(WATER_RATIO)).lt(WATER)
    candidates = dark.And(water.Not()).And(cloud.gt(CLOUDY).Not())
    cast = ee.ImageCollection.fromImages([_displaced(cloud, sun, height) for height in HEIGHTS]).mean()
    opened = _opened(cast.multiply(candidates))
    return opened.reduceNeighborhood(ee.Reducer.max(), ee.Kernel.square(1)).rename(["shadow"])


def _displaced(cloud: ee.Image, sun: tuple[float, float], height: float) -> ee.Image:
    """The score of cloud at each pixel's place in the direction of the sun, at a height."""
    azimuth, zenith = (sun[0] + 180) * pi / 180, sun[1] * pi / 180
    away = tan(zenith) * height
    east, north = -sin(azimuth) * away, -cos(azimuth) * away
    return cloud.displace(ee.Image.constant(east).addBands(ee.Image.constant(north)))


def _opened(shadow: ee.Image) -> ee.Image:
    """Eroded, then dilated: 1 in a shadow, 0 elsewhere."""
    on_grid = shadow.reproject(CRS, None, SCALE)
    outside = _metres_to(on_grid.Not().unmask(1))
    eroded = on_grid.updateMask(outside.gt(ERODED))
    return _metres_to(eroded).lt(DILATED).reproject(CRS, None, SCALE)


def _metres_to(image: ee.Image) -> ee.Image:
    """Distance to the nearest pixel that is not 0."""
    side = ee.Image.pixelArea().sqrt()
    return image.fastDistanceTransform(REACH).sqrt().multiply(side)


def _sum_of(image: ee.Image, names: Sequence[str]) -> ee.Image:
    return reduce(lambda total, band: total.add(band), [image.select([name]) for name in names])


def _rescaled(image: ee.Image, low: float, high: float) -> ee.Image:
    """0 at the lower limit, 1 at the upper one."""
    return image.subtract(low).divide(high - low)
