"""Reading ahead: while one tile is computed, the next one is read.

Reading waits for disks and networks, and what it computes itself (unpacking, compositing) lets go of Python's
lock most of the time.
"""

import sys
import threading
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from contextlib import contextmanager
from queue import Empty, SimpleQueue

from geocomiss.grid import Tile
from geocomiss.mapping.compute import Gathered
from geocomiss.mapping.memory import AHEAD
from geocomiss.mapping.queue import Queue

Read = Callable[[Tile], Gathered]
_Asked = tuple[Tile, "Future[Gathered]"]


@contextmanager
def reading_ahead(queue: Queue, read: Read) -> Iterator[Iterator[tuple[Tile, Callable[[], Gathered]]]]:
    """The tiles of a queue, each with what waits until it is read and raises what reading it raised.

    Args:
        queue: The tiles; one that fails may come again.
        read: Reads a tile; called in a thread of its own, for one tile at a time.
    """
    asked: SimpleQueue[_Asked | None] = SimpleQueue()
    # a daemon, so that Ctrl-C does not wait for what a network has not sent
    reader = threading.Thread(target=_read_all, args=(asked, read), name="reader", daemon=True)
    reader.start()
    try:
        yield _tiles(queue, asked)
    finally:
        _dismiss(asked)
        if not isinstance(sys.exception(), KeyboardInterrupt):
            reader.join()


def _tiles(
    queue: Queue, asked: "SimpleQueue[_Asked | None]"
) -> Iterator[tuple[Tile, Callable[[], Gathered]]]:
    waiting: deque[_Asked] = deque()
    while True:
        # the one that is computed next, and those that are read meanwhile
        while len(waiting) < 1 + AHEAD and (tile := queue.next()) is not None:
            waiting.append((tile, Future()))
            asked.put(waiting[-1])
        if not waiting:
            return
        tile = waiting[0][0]
        yield tile, _once(waiting.popleft()[1])


def _once(future: "Future[Gathered]") -> Callable[[], Gathered]:
    """What waits for a tile and then forgets it: else it would stay in memory until the next one is done."""
    held = [future]
    return lambda: held.pop().result()


def _read_all(asked: "SimpleQueue[_Asked | None]", read: Read) -> None:
    while (each := asked.get()) is not None:
        tile, future = each
        if not future.set_running_or_notify_cancel():
            continue
        try:
            future.set_result(read(tile))
        except BaseException as error:  # whoever waits for the tile gets it, or would wait for ever
            future.set_exception(error)
        del each, future  # its values are as large as a tile


def _dismiss(asked: "SimpleQueue[_Asked | None]") -> None:
    """Let the reader end after what it is at: what it has not begun is not read."""
    try:
        while (each := asked.get_nowait()) is not None:
            each[1].cancel()
    except Empty:
        asked.put(None)
