"""Map an area: compute each tile, store it, and put the tiles together."""

import shutil
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
import xarray as xr
from numpy.typing import NDArray

from geocomiss.batch import batch_of_stack
from geocomiss.errors import GeocomissError, MapError, StackError
from geocomiss.grid import Tile
from geocomiss.inference import Prediction, device_named, predict
from geocomiss.mapping.assemble import assemble
from geocomiss.mapping.checks import required_bits
from geocomiss.mapping.illustrate import IMAGING, MANY, count_observations, illustrate, picked
from geocomiss.mapping.mapping_unit import apply_mapping_unit
from geocomiss.mapping.plan import Plan
from geocomiss.mapping.planning import plan_map
from geocomiss.mapping.request import MapReport, MapRequest, Progress
from geocomiss.mapping.smoothing import smooth_tiles
from geocomiss.mapping.tiles import TileResult, TileStore
from geocomiss.maps import NOT_MAPPED, PROBABILITIES, STEP, SUMMARY, Layer
from geocomiss.stack import window


@dataclass
class Clock:
    """Where the time went."""

    seconds: dict[str, float] = field(default_factory=dict)
    """Seconds per kind of work."""
    pixels: int = 0
    """Pixels classified in this run."""
    started: float = field(default_factory=time.perf_counter)
    """When it was started."""

    @contextmanager
    def measure(self, what: str) -> Iterator[None]:
        """Add the time spent inside to `what`."""
        begin = time.perf_counter()
        yield
        self.seconds[what] = self.seconds.get(what, 0.0) + time.perf_counter() - begin

    @property
    def total(self) -> float:
        """Seconds since the start."""
        return time.perf_counter() - self.started


def make_map(request: MapRequest, progress: Progress | None = None) -> MapReport:
    """Map an area of interest and write the map's folder.

    An interrupted map goes on where it stopped when called again with equal arguments, and asks a metered
    source for nothing that has come already.

    Args:
        request: What to map.
        progress: Told (pixels done, pixels in all).

    Raises:
        GeocomissError: Input that cannot be used; nothing half-written stays, except finished
            tiles under `tiles/`.
    """
    clock = Clock()
    check_free(request.out, SUMMARY, request.overwrite, "a finished map")
    device = device_named(request.device)
    with clock.measure("plan"):
        plan = plan_map(request)
    store = TileStore(request.out / "tiles", plan.fingerprint(), discard=request.overwrite)
    try:
        _map_tiles(plan, store, device, clock, progress)
        finished = store
        if request.smooth:
            with clock.measure("smooth"):
                finished = smooth_tiles(plan, finished)
        if request.mapping_unit:
            with clock.measure("mapping unit"):
                plan, finished = apply_mapping_unit(plan, finished)
        report = assemble(plan, finished, clock.seconds, clock.pixels, lambda: clock.total)
    except GeocomissError:
        if store.empty:
            store.remove()
        raise
    store.remove()
    shutil.rmtree(request.kept, ignore_errors=True)
    return report


def check_free(out: Path, marker: str, overwrite: bool, what: str) -> None:
    """Refuse to write over something finished.

    Raises:
        MapError: `out` is a file, or holds `marker` and may not be overwritten.
    """
    if out.exists() and not out.is_dir():
        raise MapError(f"{out} is a file", expected="a folder", todo="choose another --out")
    if (out / marker).exists() and not overwrite:
        raise MapError(
            f"{out} holds {what}",
            expected="an empty or new folder",
            todo="choose another --out, or replace it with --overwrite",
        )


def _map_tiles(
    plan: Plan, store: TileStore, device: torch.device, clock: Clock, progress: Progress | None
) -> None:
    total, done, wanted, seen = plan.grid.height * plan.grid.width, 0, 0, False
    for tile in plan.tiles():
        size = tile.geobox.height * tile.geobox.width
        tell = _teller(progress, done, size, total)
        if tile in store:
            result = store.read_tile(tile)
        else:
            result = map_tile(plan, tile, device, clock, tell)
            store.write_tile(tile, result)
        wanted += size - result.outside - result.masked
        seen |= bool(((result.modalities > 0) & (result.modalities < NOT_MAPPED)).any())
        done += size
        if progress:
            progress(done, total)
    if not wanted:
        store.remove()
        raise MapError(
            "no pixel whose centre lies in the area of interest and in the mask",
            expected="at least one",
            todo="check --aoi and --mask, or give a finer --resolution",
        )
    if not seen:
        store.remove()
        raise StackError(
            "a stack without a single valid value in the area of interest",
            expected="values other than NaN or nodata",
            todo="check the file, the area, the mask and the season",
        )


def map_tile(
    plan: Plan,
    tile: Tile,
    device: torch.device,
    clock: Clock,
    tell: Callable[[int, int], None] = lambda done, of: None,
) -> TileResult:
    """Classify the pixels of one tile that lie in the area and the mask.

    Args:
        plan: The map.
        tile: A tile of its grid.
        device: Where the network runs.
        clock: Told where the time goes.
        tell: Told (pixels done, pixels to do).
    """
    area, wanted = plan.within_area(tile), plan.wanted(tile)
    counts = {"outside": int((~area).sum()), "masked": int((area & ~wanted).sum())}
    if not wanted.any():
        return _nothing(plan, tile, counts)
    y, x = _extent(wanted)  # what is not wanted is not read
    with clock.measure("read"):
        part = window(plan.stack, _within(tile.y, y), _within(tile.x, x), plan.grid).compute()
    with clock.measure("batch"):
        batch = batch_of_stack(part, plan.spec, wanted[y, x], tile.geobox[y, x], plan.grid)
    done = 0

    def tick(pixels: int) -> None:
        nonlocal done
        done += pixels
        tell(done, len(batch))

    with clock.measure("inference"):
        prediction = predict(plan.method, batch, device, tick, plan.readout, plan.needs_probabilities)
    clock.pixels += len(batch)
    result = _result(prediction, wanted, required_bits(plan.request.require), counts)
    return _with_further(plan, tile, result, prediction, part)


def _result(
    prediction: Prediction, wanted: NDArray[np.bool_], required: int, counts: dict[str, int]
) -> TileResult:
    shown = _shown(prediction, required)
    # an area of applicability narrows this one down: outside it the training regions tell nothing
    trusted = shown & (prediction.expected is not None)
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
    plan: Plan, tile: Tile, result: TileResult, prediction: Prediction, part: xr.DataTree
) -> TileResult:
    """A tile with the layers beyond class, confidence, modalities and expected accuracy.

    Args:
        plan: The map.
        tile: The tile.
        result: What is known of it.
        prediction: Of its wanted pixels.
        part: The computed stack of the rows and columns with wanted pixels.
    """
    wanted = plan.wanted(tile)
    y, x = _extent(wanted)
    counts = count_observations(part, wanted[y, x])
    further = {layer.name: _blank(plan, tile, layer) for layer in plan.further}
    sums = np.minimum(counts.sum(1), MANY).astype(np.uint16)
    further["observations"][:, y, x] = np.where(wanted[y, x], sums, further["observations"][:, y, x])
    for layer in plan.further:
        if layer.name == PROBABILITIES and prediction.probabilities is not None:
            shown = (result.crop_type > 0)[wanted]
            further[layer.name][:, wanted] = _steps(prediction.probabilities.T, shown)
        elif layer.illustrates:
            at = picked(plan.grid, tile, layer.every)
            here = replace(at, y=at.y - y.start, x=at.x - x.start)
            further[layer.name] = illustrate(layer, part, wanted[y, x], here)
    return replace(result, further=further, observed=counts.sum((2, 3)))


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


def _teller(progress: Progress | None, before: int, size: int, total: int) -> Callable[[int, int], None]:
    """Within a tile, progress is in proportion to the pixels classified."""

    def tell(done: int, of: int) -> None:
        if progress:
            progress(before + size * done // of, total)

    return tell
