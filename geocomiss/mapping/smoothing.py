"""Smoothing of a finished classification that respects how sure it is of each pixel.

It is empirical Bayes on log-odds (Camara et al. 2024, "Bayesian inference
for post-processing of remote-sensing image classification"): a pixel keeps its class where the model is
sure or the neighbours disagree, and takes over the neighbours' where it is unsure and they agree.

K classes, H x W pixels.
"""

from dataclasses import replace
from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import correlate1d

from geocomiss.grid import Tile
from geocomiss.mapping.assemble import Finished
from geocomiss.mapping.plan import Plan
from geocomiss.mapping.tiles import TileResult, TileStore
from geocomiss.maps import NOT_MAPPED, PROBABILITIES, STEP
from geocomiss.tiling import WorkFolder

CERTAIN: Final = 0.9975
"""Largest probability that is believed: half a step of the stored ones below 1. Log-odds stay finite."""
SMOOTHNESS: Final = 2.0
"""Variance of log-odds beyond which a neighbourhood says little of its pixels.

Chosen on one simulated map of fields of 1 to 4 ha with strips of 20 m between them (accuracy .874): with
2 it was .879 to .880 for windows of 3, 5 and 7 pixels, with 0.5 to 1 nearly so. The 20 that was published
for large fields took the strips away: .850 with 5 pixels.
"""

Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]


def smooth(probabilities: Floats, valid: Bools, window: int, smoothness: float = SMOOTHNESS) -> Floats:
    """Probabilities after a look at the neighbours.

    For each class, with x the log-odds of a pixel, m and s2 mean and variance of its neighbourhood and
    v the smoothness: (s2 x + v m) / (s2 + v), turned back into probabilities that sum to 1.

    Args:
        probabilities: (K, H, W).
        valid: (H, W) pixels that have any; others neither give nor get.
        window: Pixels a side of the neighbourhood, odd.
        smoothness: v.

    Returns:
        (K, H, W), 0 where not valid.
    """
    believed = np.clip(probabilities, 1 - CERTAIN, CERTAIN)
    logits = np.where(valid, np.log(believed / (1 - believed)), 0.0)
    many = np.maximum(_sums(valid.astype(float), window), 1.0)
    mean = _each(logits, window) / many
    variance = np.maximum(_each(logits**2, window) / many - mean**2, 0.0)
    posterior = (variance * logits + smoothness * mean) / (variance + smoothness)
    odds = 1 / (1 + np.exp(-posterior))
    return np.where(valid, odds / odds.sum(0), 0.0)


def _each(values: Floats, window: int) -> Floats:
    """Sums over the neighbourhood, class by class."""
    return np.stack([_sums(each, window) for each in values])


def _sums(values: Floats, window: int) -> Floats:
    """Sums over the neighbourhood (H, W); nothing lies beyond the edges.

    Each window is summed on its own, in the same order: running sums would round differently from tile
    to tile.
    """
    ones = np.ones(window)
    return np.asarray(correlate1d(correlate1d(values, ones, 0, mode="constant"), ones, 1, mode="constant"))


def smooth_tiles(plan: Plan, unsmoothed: Finished) -> Finished:
    """Smooth the tiles of a map, each with the margin that its pixels look at.

    Args:
        plan: The map, with `smooth` pixels a side of the neighbourhood.
        unsmoothed: Its tiles, with probabilities.

    Returns:
        The smoothed tiles, in a folder within that of the others: an interrupted run goes on.
    """
    folder = WorkFolder(unsmoothed.store.folder / "smooth")
    tiles = {(tile.row, tile.col): tile for tile in unsmoothed.tiles(plan)}
    # a tile that comes later changes its neighbours
    claimed = folder.claim({"failed": sorted(unsmoothed.failed)}, len(tiles), discard=True)
    smoothed, done = TileStore(claimed), {}
    for tile in tiles.values():
        record = smoothed.record_of(tile)
        if record is None:
            record = smoothed.write_tile(tile, _smooth_tile(plan, unsmoothed.store, tiles, tile))
        done[tile.name] = record
    return replace(unsmoothed, store=smoothed, done=done)


def _smooth_tile(plan: Plan, store: TileStore, tiles: dict[tuple[int, int], Tile], tile: Tile) -> TileResult:
    own = store.read_tile(tile)
    if not own.crop_type.any():
        return own
    margin = plan.request.smooth // 2
    stored = _with_margin(plan, store, tiles, tile, margin)
    valid = (stored != NOT_MAPPED).all(0)
    whole = smooth(np.where(valid, stored * STEP, 0.0), valid, plan.request.smooth)
    inner = (slice(margin, margin + own.crop_type.shape[0]), slice(margin, margin + own.crop_type.shape[1]))
    shares, mapped = whole[:, *inner], own.crop_type > 0
    steps = np.where(mapped, np.rint(shares / STEP), NOT_MAPPED).astype(np.uint8)
    return replace(
        own,
        crop_type=np.where(mapped, shares.argmax(0) + 1, 0).astype(np.uint8),
        confidence=np.where(mapped, np.rint(shares.max(0) / STEP), NOT_MAPPED).astype(np.uint8),
        expected_accuracy=np.full_like(own.expected_accuracy, NOT_MAPPED),
        further={**own.further, PROBABILITIES: steps},
    )


def _with_margin(
    plan: Plan, store: TileStore, tiles: dict[tuple[int, int], Tile], tile: Tile, margin: int
) -> NDArray[np.uint8]:
    """The stored probabilities of a tile and its surroundings, (K, H + 2 margin, W + 2 margin)."""
    top, left = tile.y.start - margin, tile.x.start - margin
    shape = (tile.y.stop - tile.y.start + 2 * margin, tile.x.stop - tile.x.start + 2 * margin)
    found = np.full((len(plan.classes), *shape), NOT_MAPPED, np.uint8)
    size = plan.request.tile
    for row in range(top // size, (top + shape[0] - 1) // size + 1):
        for col in range(left // size, (left + shape[1] - 1) // size + 1):
            if (row, col) not in tiles:
                continue
            other = tiles[row, col]
            y = slice(max(top, other.y.start), min(top + shape[0], other.y.stop))
            x = slice(max(left, other.x.start), min(left + shape[1], other.x.stop))
            part = store.read_layer(other, PROBABILITIES)
            found[:, y.start - top : y.stop - top, x.start - left : x.stop - left] = part[
                :,
                y.start - other.y.start : y.stop - other.y.start,
                x.start - other.x.start : x.stop - other.x.start,
            ]
    return found
