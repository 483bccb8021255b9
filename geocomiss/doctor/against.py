"""Earth Engine's recipe `cropharvest` beside a real export of that data set: the one true test.

The same box and season are fetched, and every band is compared pixel by pixel and step by step. Images are
cut to the box before they are judged, as the exporter did. Of the two directions of radar the one is taken
that agrees better, because the exporter took that of the first image it met.

N pixels, T steps, C bands.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from geocomiss.errors import SourceError
from geocomiss.modalities import MODALITIES, NDVI
from geocomiss.recipes import RECIPES
from geocomiss.sources.base import EarthEngine, RadarPass, Reading
from geocomiss.sources.cropharvest import CropHarvestSource
from geocomiss.stack import series_at

ENOUGH: Final = 0.95
"""Share of the values of a band that must agree."""
TOLERANCE: Final[Mapping[str, float]] = {
    **dict.fromkeys(MODALITIES["radar"].band_names, 0.01),
    **dict.fromkeys((name for name in MODALITIES["optical"].band_names if name != NDVI), 1.0),
    **dict(zip(MODALITIES["weather"].band_names, (0.01, 2e-6), strict=True)),
    **dict(zip(MODALITIES["topography"].band_names, (0.5, 0.05), strict=True)),
}
"""By how much values may differ and agree, canonical units: rounding on the way, products made anew."""
DIRECTIONS: Final[tuple[RadarPass, ...]] = ("asc", "desc")


@dataclass(frozen=True)
class Agreement:
    """How a band compares."""

    band: str
    """Its name."""
    values: int
    """Values that both have."""
    share: float
    """Share of them (0..1) that agree; 0 where there is none."""
    median: float
    """Median difference, absolute, canonical units; NaN where there is none."""
    largest: float
    """Largest difference, likewise."""
    only_export: int
    """Values that only the export has."""

    @property
    def agrees(self) -> bool:
        """Whether the band is the same, for all that matters."""
        lacking = self.only_export / max(1, self.values + self.only_export)
        return self.share >= ENOUGH and lacking <= 1 - ENOUGH


@dataclass(frozen=True)
class Comparison:
    """How a fetch compares with an export."""

    export: str
    """Name of the file."""
    pixels: int
    """Pixels of the box."""
    steps: int
    """Time steps."""
    radar_pass: str
    """The direction of radar that agrees better."""
    bands: tuple[Agreement, ...]
    """All bands that the export has."""

    @property
    def agrees(self) -> bool:
        """Whether all bands are the same."""
        return all(band.agrees for band in self.bands)


def compare(path: Path, options: EarthEngine, keep: Path | None = None) -> Comparison:
    """Fetch the box and season of an export, and compare.

    Args:
        path: A GeoTIFF in CropHarvest's format, its dates in its name.
        options: How Earth Engine is reached.
        keep: Folder in which what has come is kept; None: a temporary one.

    Raises:
        SourceError: No such file or no export, or Earth Engine refuses.
    """
    export = _export(path)
    expected = export.open(export.grid, export.held)
    bands = {name: tuple(b for b in each if b != NDVI) for name, each in export.bands.items()}
    found: list[Agreement] = []
    others = {name: each for name, each in bands.items() if name != "radar"}
    if others:
        found += _compared(export, expected, others, replace(options, s1_pass="auto", cut=True), keep)
    chosen = "none"
    if "radar" in bands:
        wanted = {"radar": bands["radar"]}
        tried = {
            each: _compared(export, expected, wanted, replace(options, s1_pass=each, cut=True), keep)
            for each in DIRECTIONS
        }
        chosen = max(tried, key=lambda each: sum(band.share for band in tried[each]))
        found = [*tried[chosen], *found]
    height, width = export.grid.shape
    return Comparison(path.name, height * width, export.held.number, chosen, tuple(found))


def _export(path: Path) -> CropHarvestSource:
    if not path.is_file() or not CropHarvestSource.recognise(path):
        raise SourceError(
            f"{path} is {'no export of CropHarvest' if path.is_file() else 'not there'}",
            expected="a GeoTIFF in CropHarvest's format, such as 98-togo_2019-02-06_2020-02-01.tif",
            todo="check the path",
        )
    return CropHarvestSource(path)


def _compared(
    export: CropHarvestSource,
    expected: xr.DataTree,
    bands: Mapping[str, tuple[str, ...]],
    options: EarthEngine,
    keep: Path | None,
) -> list[Agreement]:
    """The bands of some modalities."""
    from geocomiss.sources.ee.source import EarthEngineSource  # only here is Google's client needed

    source = EarthEngineSource(RECIPES["cropharvest"], Reading(bands, ee=options, keep=keep))
    every = np.ones(export.grid.shape, bool)
    stacks = source.open(export.grid, export.held).compute(), expected.compute()
    ours, theirs = (series_at(stack, bands, every, export.grid) for stack in stacks)
    return [
        agreement
        for name in bands
        for agreement in _agreements(
            bands[name], theirs.of_each(name), ours.of_each(name) if name in ours.values else None
        )
    ]


def _agreements(
    names: tuple[str, ...], theirs: NDArray[np.float32], ours: NDArray[np.float32] | None
) -> list[Agreement]:
    """Of (N, T, C) values each band."""
    made = np.full_like(theirs, np.nan) if ours is None else ours
    return [_agreement(band, theirs[..., at], made[..., at]) for at, band in enumerate(names)]


def _agreement(band: str, theirs: NDArray[np.float32], ours: NDArray[np.float32]) -> Agreement:
    both = np.isfinite(theirs) & np.isfinite(ours)
    only = int((np.isfinite(theirs) & ~np.isfinite(ours)).sum())
    if not both.any():
        return Agreement(band, 0, 0.0, float("nan"), float("nan"), only)
    off = np.abs(theirs[both].astype(np.float64) - ours[both])
    share = float((off <= TOLERANCE[band]).mean())
    return Agreement(band, int(both.sum()), share, float(np.median(off)), float(off.max()), only)
