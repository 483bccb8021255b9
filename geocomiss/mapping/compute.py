"""Compute one tile: read its window of the stack, classify its pixels, keep what the map shows of it."""

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import numpy as np
import torch
import xarray as xr
from numpy.typing import NDArray
from odc.geo.geobox import GeoBox

from geocomiss.batch import batch_of_stack
from geocomiss.grid import Tile
from geocomiss.inference import Prediction, dissimilarity_of, joined, predict
from geocomiss.mapping.checks import required_bits
from geocomiss.mapping.clock import Clock
from geocomiss.mapping.far import stored_index
from geocomiss.mapping.illustrate import IMAGING, MANY, count_observations, illustrate, picked
from geocomiss.mapping.memory import FEWEST, STRIP
from geocomiss.mapping.plan import Plan
from geocomiss.mapping.tiles import TileResult
from geocomiss.maps import APPLICABILITY, NOT_MAPPED, PROBABILITIES, STEP, Layer
from geocomiss.stack import read_spots, window
from geocomiss.threads import side_by_side, threads_for


@dataclass(frozen=True)
class Window:
    """Rows and columns of a tile, read."""

    stack: xr.DataTree
    """Their computed stack; blocks in which nothing is wanted were not read, and are 0."""
    wanted: NDArray[np.bool_]
    """(H, W) pixels to be classified."""
    grid: GeoBox
    """Their own grid."""

    def strips(self, pixels: int) -> "Iterator[Window]":
        """Full rows at a time with about so many pixels to classify, without those that have none."""
        ends = np.cumsum(self.wanted.sum(1))
        if ends[-1] <= pixels:
            yield self
            return
        height = len(ends)
        first = 0
        while first < height:
            before = ends[first - 1] if first else 0
            end = min(height, max(first + 1, int(np.searchsorted(ends, before + pixels, "right"))))
            rows, whole = slice(first, end), slice(None)
            if self.wanted[rows].any():
                stack = window(self.stack, rows, whole, self.grid)
                yield Window(stack, self.wanted[rows], self.grid[rows, whole])
            first = end


@dataclass(frozen=True)
class Gathered:
    """A tile with all that is to be read for it: the rest is computing."""

    tile: Tile
    """The tile."""
    area: NDArray[np.bool_]
    """(H, W) pixels in the area of interest."""
    wanted: NDArray[np.bool_]
    """(H, W) those of them that are to be mapped."""
    window: Window | None
    """The rows and columns that hold them; None where there are none."""
    seconds: float
    """What reading took."""


def gather(plan: Plan, tile: Tile) -> Gathered:
    """Read a tile; what is not wanted is not read.

    Args:
        plan: The map.
        tile: A tile of its grid.
    """
    begin = time.perf_counter()
    area = plan.within_area(tile)
    wanted = plan.wanted(tile)
    window_read = None
    if wanted.any():
        y, x = _extent(wanted)
        lazy = window(plan.stack, _within(tile.y, y), _within(tile.x, x), plan.grid)
        part = read_spots(lazy, wanted[y, x], tile.geobox[y, x])
        window_read = Window(part, wanted[y, x], tile.geobox[y, x])
    return Gathered(tile, area, wanted, window_read, time.perf_counter() - begin)


def map_tile(
    plan: Plan,
    gathered: Gathered,
    device: torch.device,
    clock: Clock,
    tell: Callable[[int, int], None] = lambda done, of: None,
) -> TileResult:
    """Classify the pixels of one tile that lie in the area and the mask.

    Args:
        plan: The map.
        gathered: A tile of its grid, read.
        device: Where the network runs.
        clock: Told where the time goes.
        tell: Told (pixels done, pixels to do).
    """
    area, wanted, here = gathered.area, gathered.wanted, gathered.window
    counts = {"outside": int((~area).sum()), "masked": int((area & ~wanted).sum())}
    if here is None:
        return _nothing(plan, gathered.tile, counts)
    prediction = _classified(plan, here, device, clock, tell)
    with clock.measure("layers"):
        result = _result(prediction, wanted, required_bits(plan.request.require), counts)
        return _with_further(plan, gathered, result, prediction, here)


def _classified(
    plan: Plan, here: Window, device: torch.device, clock: Clock, tell: Callable[[int, int], None]
) -> Prediction:
    """Classify the wanted pixels of a window in strips: a batch takes several times its pixels."""
    threads, abreast, parts, number = threads_for(device), Clock(), [], int(here.wanted.sum())
    strips = here.strips(max(FEWEST, STRIP // threads))
    for found, seconds in side_by_side(partial(_predicted, plan, device), strips, threads):
        abreast.add(seconds, len(found.value))
        parts.append(found)
        tell(abreast.pixels, number)
    clock.add(abreast.passed(), abreast.pixels)
    return joined(parts)


def _predicted(plan: Plan, device: torch.device, strip: Window) -> tuple[Prediction, dict[str, float]]:
    """What is said of the wanted pixels of a strip, and the seconds that it took."""
    clock = Clock()
    with clock.measure("batch"):
        batch = batch_of_stack(strip.stack, plan.spec, strip.wanted, strip.grid, plan.grid)
    with clock.measure("inference"):
        found = predict(
            plan.method, batch, device, readout=plan.readout, probabilities=plan.request.needs_probabilities
        )
    if known := plan.applicability:
        with clock.measure("applicability"):
            found = replace(found, dissimilarity=dissimilarity_of(known, batch, device))
    return found, clock.seconds


def _result(
    prediction: Prediction, wanted: NDArray[np.bool_], required: int, counts: dict[str, int]
) -> TileResult:
    shown = _shown(prediction, required)
    trusted = shown & (prediction.expected is not None)
    if prediction.dissimilarity is not None:  # outside of it the training regions tell nothing
        trusted &= prediction.dissimilarity <= 1
    expected = prediction.confidence if prediction.expected is None else prediction.expected
    return TileResult(
        _spread(np.where(shown, prediction.value, 0).astype(np.uint8), wanted, 0),
        _spread(_steps(prediction.confidence, shown), wanted, NOT_MAPPED),
        _spread(prediction.modalities, wanted, NOT_MAPPED),
        _spread(_steps(expected, trusted), wanted, NOT_MAPPED),
        counts["outside"],
        counts["masked"],
    )


def _steps(probability: NDArray[np.float32], known: NDArray[np.bool_]) -> NDArray[np.uint8]:
    """Probabilities (N,) in steps of `STEP`, nodata where they are not known."""
    steps = np.rint(probability / STEP).astype(np.uint8)
    return np.where(known, steps, NOT_MAPPED).astype(np.uint8)


def _shown(prediction: Prediction, required: int) -> NDArray[np.bool_]:
    """Which of N pixels get a class."""
    shown = prediction.value > 0
    return shown & ((prediction.modalities & required) > 0) if required else shown


def _nothing(plan: Plan, tile: Tile, counts: dict[str, int]) -> TileResult:
    """A tile without a pixel to map."""
    none = np.zeros(tile.geobox.shape, bool)
    empty = Prediction(*(np.zeros(0, kind) for kind in ("u1", "f4", "u1")))
    further = {layer.name: _blank(plan, tile, layer) for layer in plan.further}
    steps = np.zeros((len(IMAGING), plan.calendar.number), np.int64)
    return replace(_result(empty, none, 0, counts), further=further, observed=steps)


def _blank(plan: Plan, tile: Tile, layer: Layer) -> NDArray[Any]:
    """A layer of a tile, full of nodata: (bands, h, w)."""
    at = picked(plan.grid, tile, layer.every)
    return np.full((len(layer.band_names), at.y.size, at.x.size), layer.nodata, layer.dtype)


def _with_further(
    plan: Plan, gathered: Gathered, result: TileResult, prediction: Prediction, here: Window
) -> TileResult:
    """A tile with the layers beyond class, confidence, modalities and expected accuracy.

    Args:
        plan: The map.
        gathered: The tile.
        result: What is known of it.
        prediction: Of its wanted pixels.
        here: Its rows and columns with wanted pixels.
    """
    tile, wanted, part = gathered.tile, gathered.wanted, here.stack
    y, x = _extent(wanted)
    counts = count_observations(part, wanted[y, x], plan.calendar.number)
    further = {layer.name: _blank(plan, tile, layer) for layer in plan.further}
    further["observations"][:, wanted] = np.minimum(counts.by_pixel, MANY).astype(np.uint16)
    for layer in plan.further:
        if layer.name == PROBABILITIES and prediction.probabilities is not None:
            shown = (result.crop_type > 0)[wanted]
            further[layer.name][:, wanted] = _steps(prediction.probabilities.T, shown)
        elif layer.name == APPLICABILITY and prediction.dissimilarity is not None:
            shown = (result.crop_type > 0)[wanted]
            further[layer.name][:, wanted] = stored_index(prediction.dissimilarity, shown)
        elif layer.illustrates:
            at = picked(plan.grid, tile, layer.every)
            from_corner = replace(at, y=at.y - y.start, x=at.x - x.start)
            further[layer.name] = illustrate(layer, part, wanted[y, x], from_corner)
    return replace(result, further=further, observed=counts.by_step)


def _spread(values: NDArray[np.uint8], wanted: NDArray[np.bool_], elsewhere: int) -> NDArray[np.uint8]:
    layer = np.full(wanted.shape, elsewhere, np.uint8)
    layer[wanted] = values
    return layer


def _extent(wanted: NDArray[np.bool_]) -> tuple[slice, slice]:
    """The smallest window (rows, columns) that holds all wanted pixels."""
    rows, cols = np.flatnonzero(wanted.any(1)), np.flatnonzero(wanted.any(0))
    return slice(int(rows[0]), int(rows[-1]) + 1), slice(int(cols[0]), int(cols[-1]) + 1)


def _within(outer: slice, inner: slice) -> slice:
    """A slice of a slice."""
    return slice(outer.start + inner.start, outer.start + inner.stop)
