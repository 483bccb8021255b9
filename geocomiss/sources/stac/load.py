"""What compositing takes: the images of a block in one step are in memory together.

P images (pieces) and S scenes that meet a block in a step, B bands.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import shapely
from numpy.typing import NDArray
from odc.geo.geobox import GeoBox
from pyproj import Transformer

from geocomiss.composite import step_index
from geocomiss.grid import crs_of
from geocomiss.sources.base import Scenes
from geocomiss.sources.blocks import BLOCK
from geocomiss.sources.stac.blocks import AT_WORK, Series

PLACES: Final = 100
"""Most places along a side of an area at which it is counted what meets a block."""
SPARE: Final = 1.1
"""What is taken, in bytes of the arrays: memory comes in pieces."""
OWN: Final = 60.0
"""Bytes a pixel that do not depend on what meets it."""


@dataclass(frozen=True)
class Taken:
    """Bytes a pixel and step: most while scenes are composited, or while many images are read.

    Fitted to what `Series.step` was measured to take (4 to 12 scenes, 1 to 10 bands, 1 or 2 images a scene).
    """

    scene: float
    """For each scene."""
    band: float
    """For each scene and band."""
    image: float
    """For each image and band that has been read: as it came, and on its plane."""

    def bytes(self, scenes: int, images: int, bands: int) -> float:
        """Bytes a pixel."""
        composited = scenes * (self.scene + self.band * bands)
        read = images * (self.image * bands + 5) + scenes * 4 * bands
        return SPARE * (max(composited, read) + OWN)


TAKEN: Final = {"optical": Taken(8, 8.5, 4), "radar": Taken(23, 4.5, 12)}
"""By modality."""


def scenes_of(several: Sequence[Series], grid: GeoBox) -> Scenes | None:
    """What compositing a grid takes, of the step and place that take most; None where nothing was found.

    Args:
        several: The series of each modality.
        grid: The pixels.
    """
    boxes = _boxes(grid, max((each.margin for each in several), default=0))
    pixel = max((_most(each, boxes) for each in several), default=0.0)
    margin = max((each.margin for each in several), default=0)
    return Scenes(pixel, margin, BLOCK, AT_WORK) if pixel else None


def _most(series: Series, boxes: NDArray[np.object_]) -> float:
    """Most bytes a pixel that any step takes in any of some places."""
    times = np.array([each.time for each in series.observations], "datetime64[ns]")
    steps, most = step_index(times, series.season), 0.0
    for step in np.unique(steps[steps >= 0]):
        scenes = [each for each, at in zip(series.observations, steps, strict=True) if at == step]
        number = np.repeat(np.arange(len(scenes)), [len(each.pieces) for each in scenes])
        outlines = np.array([piece.footprint for each in scenes for piece in each.pieces])
        place, image = shapely.STRtree(outlines).query(boxes, predicate="intersects")
        seen = np.unique(np.stack([place, number[image]]), axis=1)[0]
        images, met = (np.bincount(each, minlength=1) for each in (place, seen))
        loads = zip(met.tolist(), images.tolist(), strict=True)
        load = {TAKEN[series.modality].bytes(*each, len(series.bands)) for each in loads if each[0]}
        most = max(most, *load, 0.0)
    return most


def _boxes(grid: GeoBox, margin: int) -> NDArray[np.object_]:
    """Outlines of blocks all over a grid, in longitude and latitude (shapely)."""
    half = BLOCK / 2 + margin
    axes = [
        np.linspace(min(half, size / 2), max(size - half, size / 2), min(PLACES, -(-size // BLOCK)))
        for size in grid.shape
    ]
    rows, cols = (each.ravel() for each in np.meshgrid(*axes, indexing="ij"))
    degrees = Transformer.from_crs(crs_of(grid).proj, 4326, always_xy=True)
    corners = []
    for down, aside in ((-half, -half), (-half, half), (half, -half), (half, half)):
        x, y = grid.affine.c + grid.affine.a * (cols + aside), grid.affine.f + grid.affine.e * (rows + down)
        corners.append(np.stack(degrees.transform(x, y)))
    west, south = np.min(corners, axis=0)
    east, north = np.max(corners, axis=0)
    return np.asarray(shapely.box(west, south, east, north))
