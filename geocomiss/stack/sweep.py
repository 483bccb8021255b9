"""Free the memory of stacks that nobody needs any more."""

import gc
from collections.abc import Callable, Iterator
from contextlib import contextmanager


@contextmanager
def swept() -> Iterator[Callable[[], object]]:
    """Gives what frees the values of a tile or window that nobody needs any more; to be called after each.

    Stacks are trees whose nodes know their parents. Python looks for such cycles by the number of objects,
    not by their size, and a tile of some hundred MB is few of them. What was there before is not looked
    through each time: that would take a quarter of a second.
    """
    gc.freeze()
    try:
        yield gc.collect
    finally:
        gc.unfreeze()
