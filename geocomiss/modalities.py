"""The four modalities and their bands: sensors are data, not code.

This is the only module that spells band names. Every other room asks this table. The order of
`MODALITIES` is the order of the columns of `available (N, M)` everywhere.
"""

import math
from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True)
class Band:
    """One measured quantity."""

    name: str
    """Name in stacks, samples and model cards."""
    unit: str
    """Canonical unit, whatever the source delivered."""
    low: float
    """Lower end of the physical range. See `high`."""
    high: float
    """Upper end. A stack with over 5 % of a band's valid values outside is refused: wrong unit."""
    colour: str = ""
    """Its name in catalogues that name optical bands by colour."""


@dataclass(frozen=True)
class Modality:
    """One kind of sensor, with its own encoder in every method."""

    name: str
    """Name of the group in a stack and of the key in a batch."""
    bit: int
    """Its bit in `modalities.tif`."""
    bands: tuple[Band, ...]
    """All bands a stack may hold, in canonical order. A model reads a subset."""
    dynamic: bool
    """Whether it changes over time, `(time, y, x)`, or not, `(y, x)`."""
    imaging: bool
    """Whether it sees single fields; climate and terrain do not tell crops of one valley apart."""
    min_share: float
    """Share of the steps that must be valid before the modality counts as available at a pixel."""

    @property
    def band_names(self) -> tuple[str, ...]:
        """Names of all bands, in canonical order."""
        return tuple(band.name for band in self.bands)

    def band(self, name: str) -> Band:
        """The band called `name`. Raises KeyError where there is none."""
        return {band.name: band for band in self.bands}[name]

    def min_steps(self, steps: int) -> int:
        """Valid steps needed to be available, of `steps`: 3 of 12 imaging, 1 weather, all static."""
        return max(1, math.ceil(self.min_share * steps))


def _reflectance(name: str, colour: str) -> Band:
    # 2: reflectance left in 0..1 falls below; 18000: snow reaches 15,500 in real data
    return Band(name, "reflectance x 10000", 2.0, 18000.0, colour)


NDVI: Final = "NDVI"
"""Derived optical band, see `geocomiss.composite.ndvi`."""
BLUE: Final = "B2"
GREEN: Final = "B3"
RED: Final = "B4"
RED_EDGE_3: Final = "B7"
NIR: Final = "B8"

MODALITIES: Final[dict[str, Modality]] = {
    modality.name: modality
    for modality in (
        Modality(
            "optical",
            1,
            (
                *(
                    _reflectance(name, colour)
                    for name, colour in (
                        ("B2", "blue"),
                        ("B3", "green"),
                        ("B4", "red"),
                        ("B5", "rededge1"),
                        ("B6", "rededge2"),
                        ("B7", "rededge3"),
                        ("B8", "nir"),
                        ("B8A", "nir08"),
                        ("B9", "nir09"),
                        ("B11", "swir16"),
                        ("B12", "swir22"),
                    )
                ),
                Band(NDVI, "1", -1.0, 1.0),
            ),
            dynamic=True,
            imaging=True,
            min_share=0.25,
        ),
        Modality(
            "radar",
            2,
            # VH above 0 dB means linear power; VV reaches +12.7 dB over real buildings
            (Band("VV", "dB", -60.0, 15.0), Band("VH", "dB", -60.0, 0.0)),
            dynamic=True,
            imaging=True,
            min_share=0.25,
        ),
        Modality(
            "weather",
            4,
            (
                Band("temperature_2m", "K", 190.0, 335.0),
                # 0.05: a monthly mean of 50 mm a day; monthly sums and millimetres lie above
                Band("total_precipitation", "m day-1", -1e-4, 0.05),
            ),
            dynamic=True,
            imaging=False,
            min_share=0.0,
        ),
        Modality(
            "topography",
            8,
            (Band("elevation", "m", -500.0, 9000.0), Band("slope", "degree", 0.0, 90.0)),
            dynamic=False,
            imaging=False,
            min_share=1.0,
        ),
    )
}
"""All modalities by name, in the fixed order of the papers."""

IMAGING: Final = tuple(name for name, modality in MODALITIES.items() if modality.imaging)
"""Modalities of which at least one must be available before a class is written, by default."""


def patterns(names: tuple[str, ...]) -> tuple[tuple[str, ...], ...]:
    """All 2^M - 1 non-empty subsets of `names`, the full set first, each in the given order."""
    masks = range(2 ** len(names) - 1, 0, -1)
    chosen = (tuple(name for i, name in enumerate(names) if mask >> i & 1) for mask in masks)
    return tuple(sorted(chosen, key=len, reverse=True))
