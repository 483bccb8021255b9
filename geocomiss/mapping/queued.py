"""Reading the tile that waits on a worker while it computes another."""

import threading
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor

from geocomiss.grid import Tile
from geocomiss.mapping.compute import Gathered


class QueuedReading:
    """Reads, in a thread of its own, what waits: never more than one tile beside the one that is computed.

    Args:
        tile_named: The tile that a task is to compute.
        read: Reads a tile.
    """

    def __init__(self, tile_named: Callable[[str], Tile], read: Callable[[Tile], Gathered]) -> None:
        self._tile_named, self._read = tile_named, read
        self._lock = threading.Lock()  # a worker tells of its tasks in another thread than it computes in
        self._waiting: dict[str, None] = {}
        self._reading: tuple[str, Future[Gathered]] | None = None
        self._pool = ThreadPoolExecutor(1, "reader")

    def wait(self, task: str) -> None:
        """Take notice of a task that waits."""
        with self._lock:
            self._waiting[task] = None
            self._go_on()

    def take(self, task: str, tile: Tile) -> Callable[[], Gathered]:
        """What waits for the tile of a task that is computed now; what waits next is read meanwhile."""
        with self._lock:
            held = [self._taken(task) or self._pool.submit(self._read, tile)]
            self._go_on()
        return lambda: held.pop().result()  # forgotten then: it is as large as a tile

    def drop(self, task: str) -> None:
        """Forget a task that another worker computes, or that is over."""
        with self._lock:
            if dropped := self._taken(task):
                dropped.cancel()
            self._go_on()

    def close(self) -> None:
        """Read nothing further."""
        with self._lock:
            self._waiting.clear()
            self._reading = None
        self._pool.shutdown(wait=False, cancel_futures=True)

    def _taken(self, task: str) -> "Future[Gathered] | None":
        self._waiting.pop(task, None)
        if self._reading is None or self._reading[0] != task:
            return None
        future, self._reading = self._reading[1], None
        return future

    def _go_on(self) -> None:
        if self._reading is None and self._waiting:
            task = next(iter(self._waiting))
            del self._waiting[task]
            self._reading = task, self._pool.submit(self._read, self._tile_named(task))
