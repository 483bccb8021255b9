"""Collections, bands, codings and limits of Earth Engine: data, not code."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

import numpy as np

from geocomiss.composite import SCORE
from geocomiss.modalities import MODALITIES, NDVI

MAX_BYTES: Final = 48 * 2**20
"""Bytes of one answer, uncompressed (reference of `projects.image.computePixels`)."""
MASK_BYTES: Final = 1
"""Bytes a pixel and band that its mask counts as."""
MAX_SIDE: Final = 32_000
"""Pixels a side of one answer: "32K", read as the smaller of its two meanings."""
MAX_BANDS: Final = 1024
"""Bands of one answer."""


@dataclass(frozen=True)
class Collection:
    """Images whose values we understand."""

    id: str
    """Its identifier, or that of the one image that it is."""
    bands: Mapping[str, str]
    """Canonical band -> band in Earth Engine."""
    made: str
    """What the recipe states of it: reflectance level, radar product, weather or terrain model."""


_S2: Final = tuple(name for name in MODALITIES["optical"].band_names if name != NDVI)
_TEMPERATURE, _RAIN = MODALITIES["weather"].band_names
_ELEVATION: Final = MODALITIES["topography"].band_names[0]

SCL: Final = "SCL"
"""Band of the scene classification; outside the swath it is masked."""
S2_L2A: Final = Collection("COPERNICUS/S2_SR_HARMONIZED", {name: name for name in _S2}, "L2A")
"""Surface reflectance x 10000; the offset of newer baselines is taken away already."""
S2_L1C: Final = Collection("COPERNICUS/S2_HARMONIZED", {name: name for name in _S2}, "L1C")
"""Top of atmosphere x 10000; the offset of newer baselines is taken away already."""
S2_L1C_BANDS: Final = (*("B1", "B2", "B3", "B4", "B5", "B6", "B7", "B8", "B8A", "B9", "B10", "B11", "B12"),)
"""All bands of Level-1C: those for aerosol and cirrus tell of clouds."""
REFLECTANCE: Final = 10_000.0
"""Numbers of an optical band to one of reflectance."""
CLOUD_SUMS: Final = (
    (("B2",), (0.1, 0.5)),
    (("B1",), (0.1, 0.3)),
    (("B1", "B10"), (0.15, 0.2)),
    (("B4", "B3", "B2"), (0.2, 0.8)),
)
"""CropHarvest's signs of cloud: sums of reflectance, and between which limits it begins and is certain."""
CLOUD_RATIOS: Final = ((("B8", "B11"), (-0.1, 0.1)), (("B3", "B11"), (0.8, 0.6)))
"""Likewise normalised differences: clouds are moist, and no snow."""
DARK_BANDS: Final = ("B8", "B11", "B12")
"""Bands whose sum is small in a shadow."""
WATER_RATIO: Final = ("B8", "B4")
"""Bands whose normalised difference is small over water."""
CLOUD_SCORE: Final = Collection("GOOGLE/CLOUD_SCORE_PLUS/V1/S2_HARMONIZED", {SCORE: "cs_cdf"}, "Cloud Score+")
"""How clear a pixel is, 0 to 1; an image of the same index for each of Sentinel-2, if there is one."""
S1: Final = Collection("COPERNICUS/S1_GRD", {name: name for name in MODALITIES["radar"].band_names}, "sigma0")
"""Backscatter in dB, calibrated and terrain-corrected, not flattened."""
ERA5_LAND: Final = Collection(
    "ECMWF/ERA5_LAND/MONTHLY_AGGR",
    {_TEMPERATURE: "temperature_2m", _RAIN: "total_precipitation_sum"},
    "ERA5-Land",
)
"""Months as YYYYMM: mean temperature in K, and the SUM of precipitation in m."""
SRTM: Final = Collection("USGS/SRTMGL1_003", {_ELEVATION: "elevation"}, "SRTM")
"""One image, from 56 S to 60 N."""
GLO_30: Final = Collection("COPERNICUS/DEM/GLO30", {_ELEVATION: "DEM"}, "Copernicus DEM")
"""Images of a degree each, everywhere."""
SRTM_REACH: Final = (-56.0, 60.0)
"""Latitudes between which the shuttle measured."""

ERA5_CELL: Final = 0.1
"""Degrees; cell centres lie at multiples of it."""
SRTM_CELL: Final = 1 / 3600
"""Degrees; cell centres lie at multiples of it."""
GLO_30_WIDER: Final = ((50, 1.0), (60, 1.5), (70, 2.0), (80, 3.0), (85, 5.0), (90, 10.0))
"""Up to this latitude a cell of GLO-30 is so many times as wide as it is high, in degrees."""


@dataclass(frozen=True)
class Coding:
    """How the values of a modality travel as whole numbers."""

    dtype: str
    """Type of all bands."""
    nothing: int
    """Number that means "missing" on the way; a stack never holds it."""
    per_unit: Mapping[str, float]
    """Steps to one canonical unit, of each band; 1 for others, such as the count."""

    @property
    def itemsize(self) -> int:
        """Bytes a pixel and band, without its mask."""
        return int(np.dtype(self.dtype).itemsize)

    @property
    def span(self) -> tuple[int, int]:
        """Lowest and highest number that is a value."""
        limits = np.iinfo(self.dtype)
        low, high = int(limits.min), int(limits.max)
        return (low + 1, high) if self.nothing == low else (low, high - 1)


CODINGS: Final[dict[str, Coding]] = {
    # half steps: the median of an even number of whole numbers arrives exactly
    "optical": Coding("uint16", 65_535, dict.fromkeys(_S2, 2)),
    "radar": Coding("int16", -32_768, dict.fromkeys(S1.bands, 500)),
    "weather": Coding("int32", -(2**31), {_TEMPERATURE: 1_000, _RAIN: 1e7}),
    "topography": Coding("int32", -(2**31), {_ELEVATION: 100}),
}
"""Of each modality. The largest error of a value is half a step; of `radar` 0.001 dB."""
