"""What Sentinel-2 would see: linear mixtures of soil, green and dry leaves, under haze and clouds.

N places, C bands of `spectra.OPTICAL`. Linear mixing of endmembers: Adams et al. 1986, J. Geophys. Res. 91.
"""

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from geocomiss.simulation import spectra
from geocomiss.simulation.clouds import RIM, THICK, Sky, Weatherman
from geocomiss.simulation.crops import STRIP
from geocomiss.simulation.land import Land, land_at
from geocomiss.simulation.noise import Lattice, normal, stream
from geocomiss.simulation.orbits import Passes, optical_passes
from geocomiss.simulation.places import Places

Floats = NDArray[np.float32]

FIELD_SPREAD: Final = 0.19
"""Standard deviation of a field's leaf spectrum from its kind's, as a share, per part of the spectrum."""
DATE_SPREAD: Final = 0.06
"""The same of a field on one date (sun and view angle, dew)."""
SENSOR_NOISE: Final = (0.02, 20.0)
"""Noise of a pixel on a date: a share of its value, and reflectance x 10000."""
SOIL_SPREAD: Final = (700.0, 0.14)
"""Size of features in metres and standard deviation of the brightness of soils."""
AEROSOL: Final = (30_000.0, 0.55)
"""Size of features in metres and strength of haze."""
LEAST: Final = 20.0
"""Darkest surface, reflectance x 10000."""


@dataclass(frozen=True)
class OpticalScenes:
    """Single acquisitions of N places."""

    passes: Passes
    """Their days and who is in the swath."""
    scl: NDArray[np.uint8]
    """Scene classification (dates, N), 0 outside the swath."""
    bands: Floats
    """Reflectance x 10000 (C, dates, N), NaN outside the swath."""


def optical_scenes(seed: int, places: Places, first: int, last: int, top: bool) -> OpticalScenes:
    """Optical acquisitions of places, flattened to N, from one ordinal day to another, included.

    Args:
        seed: Seed of the world.
        places: Where.
        first: First ordinal day.
        last: Last ordinal day.
        top: At the top of the atmosphere (level 1C) instead of at the surface (level 2A).
    """
    passes = optical_passes(seed, places, first, last)
    size, dates = places.x.size, len(passes.days)
    scl = np.zeros((dates, size), np.uint8)
    bands = np.full((len(spectra.OPTICAL), dates, size), np.nan, np.float32)
    if not dates:
        return OpticalScenes(passes, scl, bands)
    flat = places.reshape(size)
    land, weatherman = land_at(seed, flat, passes.days), Weatherman(seed, flat)
    surface = _Surface(seed, land, flat)
    aerosol = Lattice((flat.x, flat.y), AEROSOL[0])
    for number, day in enumerate(passes.days):
        sky, seen = weatherman.sky(int(day)), passes.seen[number]
        dust = np.maximum(aerosol.normal(stream(seed, "haze", int(day))), 0) * np.float32(AEROSOL[1])
        ground, greenness = surface.reflectance(number, int(day))
        lying = land.snow[land.cover.field, number]
        scl[number] = np.where(seen, _classify(sky, lying, greenness), 0)
        for band in range(len(spectra.OPTICAL)):
            value = _through_the_air(ground[band], band, sky, dust, lying)
            if top:
                value = spectra.PATH[band] + spectra.TRANSMITTED[band] * value
            value = _measured(value, land, stream(seed, "sensor", int(day), band))
            bands[band, number] = np.where(seen, value, np.float32(np.nan))
    return OpticalScenes(passes, scl, bands)


class _Surface:
    """Reflectance of the ground; what does not change with the date is computed once."""

    def __init__(self, seed: int, land: Land, places: Places) -> None:
        self._seed, self._land = seed, land
        fields = land.cover.fields
        parts = np.stack([fields.draw(seed, "leaves", part) for part in range(4)])  # (4, F)
        spread = 1 + np.float32(FIELD_SPREAD) * parts[spectra.REGION_OF_BAND]  # (C, F)
        leaves = spectra.leaf_spectra()
        own = leaves[fields.kind].T * np.maximum(spread, np.float32(0.5))  # (C, F)
        at, strip = land.cover.field, land.cover.strip
        self._leaf = own[:, at] * (1 - strip) + leaves[STRIP][:, None] * strip  # (C, N)
        n = Lattice((places.x, places.y), SOIL_SPREAD[0]).normal(stream(seed, "soil"))
        share = n + np.float32(0.6) * fields.draw(seed, "tilth")[at]
        self._bright = np.clip(1 + np.float32(SOIL_SPREAD[1]) * share, 0.5, 1.6).astype(np.float32)

    def reflectance(self, number: int, day: int) -> tuple[Floats, Floats]:
        """Reflectance x 10000 (C, N), and the share under green leaves (N,), on the n-th date."""
        land = self._land
        at, strip = land.cover.field, land.cover.strip

        def mixed(field: Floats, beside: Floats) -> Floats:
            own = field[:, number][at] * land.vigour
            return np.asarray(own + (beside[:, number][at] - own) * strip, np.float32)

        green = _hidden(mixed(land.grown.green, land.strip.green))
        dry = _hidden(mixed(land.grown.brown, land.strip.brown)) * (1 - green)
        bare = (1 - green - dry) * self._bright
        blossom = land.grown.blossom[:, number][at] * (1 - strip) * green
        wet = land.moisture[:, number][at]
        tone = 1 + np.float32(DATE_SPREAD) * land.cover.fields.draw(self._seed, "tone", day)[at]
        result = np.empty((len(spectra.OPTICAL), at.size), np.float32)
        for band in range(len(result)):
            soil = spectra.DRY_SOIL[band] * (1 - (1 - spectra.WET_SOIL[band]) * wet)
            total = green * self._leaf[band] + dry * spectra.DRY_LEAF[band] + bare * soil
            result[band] = (total + blossom * (spectra.BLOSSOM[band] - np.float32(0.3) * total)) * tone
        return result, np.asarray(green, np.float32)


def _hidden(leaf_area: Floats) -> Floats:
    """Share of the ground that leaves hide: 0.43 at a leaf area index of 1, 0.91 at 5.

    Close to 1 - exp(-0.5 LAI) (Beer's law), but of exact operations only, whatever the array's shape.
    """
    denser = leaf_area * (np.float32(0.45) + np.float32(0.3) * leaf_area)
    return np.asarray(denser / (1 + denser))


def _classify(sky: Sky, snow: NDArray[np.bool_], greenness: Floats) -> NDArray[np.uint8]:
    """Scene classes, in order: thick cloud, cloud, cirrus, shadow, snow, rim, plants, soil."""
    tests = [sky.depth > THICK, sky.cloud, sky.cirrus, sky.shadow, snow, sky.depth > -RIM, greenness > 0.45]
    return np.select(tests, [9, 8, 10, 3, 11, 7, 4], 5).astype(np.uint8)


def _through_the_air(ground: Floats, band: int, sky: Sky, dust: Floats, snow: NDArray[np.bool_]) -> Floats:
    """Ground of one band, under snow, shadow, haze, cirrus and clouds: (N,)."""
    value = np.where(snow, np.float32(0.2) * ground + np.float32(0.8) * spectra.SNOW[band], ground)
    value = np.where(sky.shadow, value * np.float32(0.45), value)
    near = np.clip(sky.depth + np.float32(0.22), 0, np.float32(0.22)) * np.float32(4)
    value = value + spectra.HAZE[band] * (dust + near + np.float32(2.5) * sky.cirrus)
    opaque = np.where(sky.cloud, np.minimum(np.float32(0.3) + np.float32(1.1) * sky.depth, 1), 0)
    return np.asarray(value + (spectra.CLOUD[band] - value) * opaque.astype(np.float32))


def _measured(value: Floats, land: Land, key: int) -> Floats:
    """With the sensor's noise, in whole numbers."""
    share, level = (np.float32(part) for part in SENSOR_NOISE)
    noisy = value + (share * value + level) * normal(land.noise_bits(key))
    return np.asarray(np.rint(np.maximum(noisy, np.float32(LEAST))))
