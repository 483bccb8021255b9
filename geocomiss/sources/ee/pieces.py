"""A stack as files of an export: all steps of the imaging modalities of a tile in one image.

A GeoTIFF has one type and one number for "missing" for all bands: signed numbers are turned around, so that
everything is `uint16` and 65535 is missing, and not a bit is lost.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby

import ee
import numpy as np
from odc.geo.geobox import GeoBox

from geocomiss.errors import SeasonError
from geocomiss.grid import window_in
from geocomiss.modalities import MODALITIES
from geocomiss.seasons import Calendar
from geocomiss.sources.ee.estimate import Need
from geocomiss.sources.ee.kept import digest
from geocomiss.sources.ee.source import EarthEngineSource
from geocomiss.sources.ee.tables import CODINGS, MAX_BANDS
from geocomiss.sources.ee.tiler import Graph, Tile
from geocomiss.sources.exports.manifest import TURNED, Kind, Part

Block = Callable[[GeoBox], bool]


@dataclass(frozen=True)
class Piece:
    """A file to be computed."""

    part: Part
    """What it holds."""
    tile: Tile
    """How it is computed."""


def pieces(
    source: EarthEngineSource,
    grid: GeoBox,
    season: Calendar,
    side: int,
    wanted: Block = lambda block: True,
) -> Iterator[Piece]:
    """Everything that the stack of a grid and season is made of; tiles without any image are none.

    Args:
        source: Earth Engine.
        grid: The pixels.
        season: The time steps.
        side: Pixels, or cells of the elevation model, a side of a file.
        wanted: Whether a tile of the grid is exported at all.

    Raises:
        SeasonError: The steps have more bands than an image may have.
    """
    joined: dict[tuple[str, ...], Graph] = {}
    every = list(source.needs(grid, season, wanted, side))
    steps = (need for need in every if MODALITIES[need.modality].imaging)
    for needs in (list(group) for _, group in groupby(steps, lambda need: _where(need.tile.grid))):
        key = tuple(f"{need.modality} {need.step} {need.tile.graph.digest}" for need in needs)
        if key not in joined:
            joined[key] = _joined(needs)
        rows, cols = window_in(needs[0].tile.grid, grid)
        place = f"{rows.start // side:05d}_{cols.start // side:05d}"
        yield _piece(f"tile_{place}", "tile", Tile(joined[key], needs[0].tile.grid))
    for number, need in enumerate(need for need in every if need.modality == "topography"):
        yield _piece(f"topography_{number:05d}", "topography", need.tile)
    for need in every:
        if need.modality == "weather":
            yield _piece("weather", "weather", need.tile)


def _piece(name: str, kind: Kind, tile: Tile) -> Piece:
    return Piece(Part(name, kind, tile.grid, tile.graph.bands, tile.graph.digest), tile)


def _where(grid: GeoBox) -> tuple[float, ...]:
    return (*grid.affine[:6], *grid.shape)


def _joined(needs: Sequence[Need]) -> Graph:
    """All steps of all modalities of a tile as one image."""
    images, bands = [], []
    for need in needs:
        names = [f"{need.modality}_{need.step}_{band}" for band in need.tile.graph.bands]
        image = need.tile.graph.image.rename(names)
        if np.dtype(CODINGS[need.modality].dtype) == np.int16:
            image = ee.Image.constant(TURNED).subtract(image).rename(names).toUint16()
        images.append(image)
        bands += names
    if len(bands) > MAX_BANDS:
        raise SeasonError(
            f"a season of {len(bands)} bands",
            expected=f"at most {MAX_BANDS}, the most that an image of Earth Engine has",
            todo="export a shorter season",
        )
    whole = ee.Image.cat(images)
    return Graph(whole, tuple(bands), np.dtype(np.uint16).itemsize, digest(whole.serialize()))
