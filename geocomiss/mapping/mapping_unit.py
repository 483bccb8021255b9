"""The minimum mapping unit: patches below it take the class of their largest neighbour.

GDAL's sieve does it, on the classes of the whole map at once: how large a patch is, and which neighbour is
the largest, cannot be seen from a tile. It needs about six bytes a pixel of the map.

H x W pixels.
"""

from dataclasses import asdict, dataclass, replace
from math import ceil, isfinite
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from odc.geo.geobox import GeoBox
from rasterio.features import sieve

from geocomiss.errors import MapError
from geocomiss.grid import Tile, pixel_hectares
from geocomiss.mapping.assemble import Finished
from geocomiss.mapping.plan import Plan
from geocomiss.mapping.tiles import TileResult, TileStore
from geocomiss.maps import NOT_MAPPED, PROBABILITIES
from geocomiss.tiling import WorkFolder

CROP_TYPE: Final = "crop_type"
"""The layer of classes."""
CONNECTED: Final = 4
"""Neighbours by which pixels belong to one patch: those that share an edge, GDAL's and QGIS's default."""
ROUNDING: Final = 2e-3
"""Share of the unit by which a patch may miss it: pixels of UTM are not exactly 0.01 ha."""


@dataclass(frozen=True)
class Dissolved:
    """What the minimum mapping unit changed."""

    hectares: float
    """The unit."""
    pixels: int
    """The unit in pixels."""
    changed_pixels: int
    """Pixels that have another class now."""
    changed_ha: float
    """Their area."""

    def as_json(self) -> dict[str, Any]:
        """For `run.json`."""
        return asdict(self) | {"connectivity": CONNECTED}


def check_mapping_unit(hectares: float) -> None:
    """Refuse what is no area.

    Raises:
        MapError: It is negative or no number.
    """
    if not (isfinite(hectares) and hectares >= 0):
        raise MapError(
            f"--minimum-mapping-unit {hectares:g}", expected="hectares, 0 or more", todo="correct it"
        )


def unit_in_pixels(grid: GeoBox, hectares: float) -> int:
    """How many pixels a patch in the middle of a grid must have so as not to be smaller than an area."""
    row, col = grid.height // 2, grid.width // 2
    exact = hectares / float(pixel_hectares(grid[row : row + 1, col : col + 1])[0, 0])
    near = round(exact)
    return max(1, near if abs(exact - near) <= ROUNDING * exact else ceil(exact))


def dissolve(classes: NDArray[np.uint8], size: int) -> NDArray[np.uint8]:
    """Give patches of fewer than `size` pixels the class of their largest neighbour.

    A patch whose neighbours are all smaller than `size` stays until one of them has grown; patches between
    nothing but "no class" stay. Pixels without a class never get one, and join no patches.

    Args:
        classes: (H, W), 0 where there is no class.
        size: Pixels that a patch must have.
    """
    valid = classes > 0
    if size <= 1 or size >= classes.size or not valid.any():
        return classes
    while True:  # each round leaves fewer patches
        cleaned = sieve(classes, size, mask=valid, connectivity=CONNECTED)
        cleaned[~valid] = 0  # sieve writes no class there, whatever GDAL's version does with masked pixels
        if np.array_equal(cleaned, classes):
            return np.asarray(cleaned)
        classes = cleaned


def apply_mapping_unit(plan: Plan, finished: Finished) -> tuple[Plan, Finished]:
    """Dissolve small patches of a map.

    Args:
        plan: The map, with its minimum mapping unit.
        finished: Its tiles, with probabilities.

    Returns:
        The plan, which knows what was changed, and the tiles after it, in a folder within that of the others.
    """
    size = unit_in_pixels(plan.grid, plan.request.mapping_unit)
    before = np.zeros(plan.grid.shape, np.uint8)
    for tile in finished.tiles(plan):
        before[tile.y, tile.x] = finished.store.read_layer(tile, CROP_TYPE)
    after = dissolve(before, size)
    pixels, hectares = 0, 0.0
    for tile in finished.tiles(plan):
        changed = after[tile.y, tile.x] != before[tile.y, tile.x]
        pixels += int(changed.sum())
        hectares += float(pixel_hectares(tile.geobox)[changed].sum()) if changed.any() else 0.0
    done = Dissolved(plan.request.mapping_unit, size, pixels, round(hectares, 4))
    share = pixels / max(int((before > 0).sum()), 1)
    note = (
        f"minimum mapping unit of {done.hectares:g} ha ({size:,} pixels): {pixels:,} pixels ({share:.1%}) of "
        "smaller patches took the class of their largest neighbour"
    )
    known = replace(plan, notes=(*plan.notes, note), dissolved=done.as_json())
    return known, _rewritten(plan, finished, before, after)


def _rewritten(
    plan: Plan, finished: Finished, before: NDArray[np.uint8], after: NDArray[np.uint8]
) -> Finished:
    """The tiles with other classes."""
    folder = WorkFolder(finished.store.folder / "unit")
    # a tile that comes later changes its neighbours
    claimed = folder.claim({"failed": sorted(finished.failed)}, len(finished.done), discard=True)
    cleaned, done = TileStore(claimed), {}
    for tile in finished.tiles(plan):
        record = cleaned.record_of(tile)
        if record is None:
            here = after[tile.y, tile.x]
            record = cleaned.write_tile(
                tile, _changed(finished.store, tile, here, here != before[tile.y, tile.x])
            )
        done[tile.name] = record
    return replace(finished, store=cleaned, done=done)


def _changed(
    store: TileStore, tile: Tile, classes: NDArray[np.uint8], changed: NDArray[np.bool_]
) -> TileResult:
    """A tile with other classes: its confidence is the probability of the class that is written now."""
    own = store.read_tile(tile)
    if not changed.any():
        return own
    steps = np.take_along_axis(own.layer(PROBABILITIES), np.maximum(classes, 1)[None] - 1, 0)[0]
    return replace(
        own,
        crop_type=classes,
        confidence=np.where(changed, steps, own.confidence).astype(np.uint8),
        # it was learnt from classes as the model chose them
        expected_accuracy=np.where(changed, NOT_MAPPED, own.expected_accuracy).astype(np.uint8),
    )
