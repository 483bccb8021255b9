"""Terrain and weather: images that are read as they are, each on its own grid."""

from collections.abc import Mapping

import ee

from geocomiss.sources.ee.tables import ERA5_LAND, GLO_30, SRTM, Collection


def heights(model: Collection) -> ee.Image:
    """An elevation model in metres, on its own cells."""
    ((band, name),) = model.bands.items()
    image = ee.Image(model.id) if model is SRTM else ee.ImageCollection(GLO_30.id).mosaic()
    return image.select([name], [band])


def months(days: Mapping[int, tuple[str, int]]) -> ee.Image:
    """The weather of some steps, as bands `temperature_2m_3` and so on.

    Args:
        days: Step -> its month (YYYYMM) and the days of that month: precipitation is a sum over them.
    """
    images = []
    for step, (month, number) in days.items():
        image = ee.Image(f"{ERA5_LAND.id}/{month}")
        temperature, rain = ERA5_LAND.bands
        names = [f"{temperature}_{step}", f"{rain}_{step}"]
        values = image.select(list(ERA5_LAND.bands.values()), names)
        images.append(values.divide(ee.Image.constant([1, number])))
    return ee.Image.cat(images)
