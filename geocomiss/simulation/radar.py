"""What Sentinel-1 would see: a water-cloud model of plants over soil, with speckle.

Water cloud: Attema and Ulaby 1978, Radio Science 13. Speckle: multi-look intensity is gamma distributed;
the gamma variate is made from a normal one by Wilson and Hilferty's cube (1931, PNAS 17).
"""

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from geocomiss.modalities import MODALITIES
from geocomiss.simulation.crops import KINDS, STRIP
from geocomiss.simulation.growth import Growth
from geocomiss.simulation.land import Land, land_at
from geocomiss.simulation.noise import Lattice, normal, stream
from geocomiss.simulation.orbits import Passes, radar_passes
from geocomiss.simulation.places import Places

Floats = NDArray[np.float32]
Doubles = NDArray[np.float64]

POLARISATIONS: Final = MODALITIES["radar"].band_names
"""Order of the first axis of scenes: like-polarised, cross-polarised."""
SOIL: Final = ((-15.5, 7.5), (-24.0, 6.0))
"""Backscatter of dry soil in dB, and what full wetness adds, per polarisation."""
FIELD_SPREAD: Final = 1.5
"""Standard deviation in dB of a field's plants from its kind's, per polarisation."""
TILLAGE_SPREAD: Final = 1.5
"""The same of its soil's roughness, from quarter to quarter of a year."""
DATE_SPREAD: Final = 0.9
"""The same of both on one date (dew, wind, view)."""
TEXTURE: Final = (35.0, 0.12)
"""Size of features in metres, and spread as a share, of texture within fields."""
LOOKS: Final = 4.4
"""Equivalent number of looks of a 10 m ground range product."""
SNOW_LOSS: Final = 1.5
"""Backscatter in dB that wet snow takes."""


@dataclass(frozen=True)
class RadarScenes:
    """Single passes over N places."""

    passes: Passes
    """Their days and who is in the swath."""
    bands: Floats
    """Backscatter in dB (polarisation, dates, N), NaN outside the swath."""


def radar_scenes(seed: int, places: Places, first: int, last: int) -> RadarScenes:
    """Radar passes over places, flattened to N, from one ordinal day to another, included."""
    passes = radar_passes(seed, places, first, last)
    size, dates = places.x.size, len(passes.days)
    bands = np.full((len(POLARISATIONS), dates, size), np.nan, np.float32)
    if not dates:
        return RadarScenes(passes, bands)
    flat = places.reshape(size)
    land = land_at(seed, flat, passes.days)
    at, strip = land.cover.field, land.cover.strip
    texture = Lattice((flat.x, flat.y), TEXTURE[0]).normal(stream(seed, "texture")) * np.float32(TEXTURE[1])
    texture = np.maximum(1 + texture, np.float32(0.4))
    for band in range(len(POLARISATIONS)):
        field, beside = (_power(seed, land, passes, band, on_strip) for on_strip in (False, True))
        for number, day in enumerate(passes.days):
            own = field[:, number][at]
            power = (own + (beside[:, number][at] - own) * strip) * texture
            power = power * _speckle(land, stream(seed, "speckle", int(day), band))
            level = np.float32(10) * np.log10(power)
            bands[band, number] = np.where(passes.seen[number], level, np.float32(np.nan))
    return RadarScenes(passes, bands)


def _power(seed: int, land: Land, passes: Passes, band: int, on_strip: bool) -> Floats:
    """Backscattered power of every field, or of the strip beside it: (F, dates)."""
    fields = land.cover.fields
    stand: Growth = land.strip if on_strip else land.grown
    kinds = np.full(fields.kind.shape, STRIP) if on_strip else fields.kind
    closed = np.array([kind.radar[band] for kind in KINDS])[kinds][:, None]
    dense = np.array([kind.radar[2] for kind in KINDS])[kinds][:, None]
    leaves = stand.green.astype(np.float64) + 0.4 * stand.brown
    through = np.exp(-2 * dense * leaves)
    dry, wet = SOIL[band]
    soil = dry + wet * land.moisture + TILLAGE_SPREAD * _by_quarter(seed, land, passes)
    plants = closed + FIELD_SPREAD * fields.draw(seed, "structure", band).astype(np.float64)[:, None]
    power = _from_db(plants) * (1 - through) + _from_db(soil) * through
    moment = [fields.draw(seed, "moment", int(day), band).astype(np.float64) for day in passes.days]
    level = DATE_SPREAD * np.stack(moment, 1) - SNOW_LOSS * land.snow
    return np.asarray(power * _from_db(level), np.float32)


def _by_quarter(seed: int, land: Land, passes: Passes) -> Doubles:
    """Standard normal roughness of each field's soil, new in each quarter of a year: (F, dates)."""
    quarters, at = np.unique(passes.days // 91, return_inverse=True)
    drawn = [land.cover.fields.draw(seed, "tillage", int(quarter)) for quarter in quarters]
    return np.stack(drawn, 1)[:, at.ravel()].astype(np.float64)


def _speckle(land: Land, key: int) -> Floats:
    """Gamma variates with mean 1 and `LOOKS` looks, (N,)."""
    n = normal(land.noise_bits(key))
    root = np.float32(1 - 1 / (9 * LOOKS)) + n * np.float32(1 / (3 * np.sqrt(LOOKS)))
    return np.asarray(root * root * root)


def _from_db(level: Doubles) -> Doubles:
    return np.asarray(10.0 ** (level / 10.0))
