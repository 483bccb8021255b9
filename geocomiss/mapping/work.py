"""Work through the tiles of a map, in this process."""

from collections.abc import Callable
from typing import Protocol

import torch

from geocomiss.grid import Tile
from geocomiss.inference import device_named
from geocomiss.mapping.ahead import reading_ahead
from geocomiss.mapping.clock import Clock
from geocomiss.mapping.compute import Gathered, gather, map_tile
from geocomiss.mapping.plan import Plan
from geocomiss.mapping.queue import Outcome, Queue, classified
from geocomiss.mapping.request import Progress
from geocomiss.mapping.tiles import TileStore
from geocomiss.stack import swept


class Told(Protocol):
    """Is told how a run goes."""

    def within(self, tile: Tile, done: int, of: int) -> None:
        """Of a tile, `done` of `of` pixels are classified."""

    def finished(self, tile: Tile, outcome: Outcome) -> None:
        """A tile is done."""


class Teller:
    """Where the time of a run went, and how far it is. Implements `Told`.

    Args:
        clock: Of the run.
        total: Pixels to be mapped, of all tiles; an estimate, if they are many.
        tiles: How many are to be computed.
        kept: Pixels of those that were done before.
        progress: Told (pixels mapped, pixels to be mapped).
    """

    def __init__(self, clock: Clock, total: int, tiles: int, kept: int, progress: Progress | None) -> None:
        self._clock, self._total, self._left, self._done = clock, total, tiles, kept
        self._progress = progress
        if progress and kept:
            progress(kept, total)

    def within(self, tile: Tile, done: int, of: int) -> None:
        """Of a tile, `done` of `of` pixels are classified."""
        if self._progress:
            self._progress(self._done + done, max(self._total, self._done + of))

    def finished(self, tile: Tile, outcome: Outcome) -> None:
        """Add what a tile took."""
        self._clock.add(outcome.seconds, outcome.pixels)
        self._done += classified(outcome.record)
        self._left -= 1
        if self._progress:
            self._progress(self._done, max(self._total, self._done) if self._left else self._done)


def map_here(plan: Plan, store: TileStore, queue: Queue, told: Told) -> None:
    """Compute the tiles of a queue one after the other; while one is computed, the next one is read.

    Raises:
        GeocomissError: Nothing further can be computed (see `Queue.fail`).
    """
    device = device_named(plan.request.device)
    with swept() as sweep, reading_ahead(queue, lambda tile: gather(plan, tile)) as tiles:
        for tile, gathered in tiles:
            try:
                outcome = compute(plan, store, tile, device, _within(told, tile), gathered)
            except Exception as error:  # whatever it is, other tiles may be none the worse for it
                queue.fail(tile, error)
                continue
            finally:
                sweep()
            queue.finish(tile, outcome)
            told.finished(tile, outcome)


def compute(
    plan: Plan,
    store: TileStore,
    tile: Tile,
    device: torch.device,
    tell: Callable[[int, int], None] = lambda done, of: None,
    gathered: Callable[[], Gathered] | None = None,
) -> Outcome:
    """Compute a tile and store it.

    Args:
        plan: The map.
        store: Where it goes.
        tile: The tile.
        device: Where the network runs.
        tell: Told (pixels done, pixels to do).
        gathered: Waits for the tile, where somebody reads it already.
    """
    clock = Clock()
    store.note_start(tile)
    with clock.measure("wait"):
        ready = gathered() if gathered else gather(plan, tile)
    clock.add({"read": ready.seconds}, 0)
    result = map_tile(plan, ready, device, clock, tell)
    with clock.measure("store"):
        record = store.write_tile(tile, result)
    return Outcome(record, clock.seconds, clock.pixels)


def _within(told: Told, tile: Tile) -> Callable[[int, int], None]:
    return lambda done, of: told.within(tile, done, of)
