"""One process at a time works in a folder, and takes with it what is worth nothing."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final

from filelock import FileLock, Timeout

from geocomiss.errors import MapError, unwritable

PATIENCE: Final = 1.0
"""Seconds to wait for a lock: whoever looks whether a process is at work holds it for a moment."""
TRIES: Final = 3
"""How often to make the folder of a lock that others delete as they leave."""


@contextmanager
def alone(lock: Path, out: Path, taken: MapError, worth: Callable[[], bool]) -> Iterator[None]:
    """Keep other processes out of a folder. In the end nothing stays of it unless it is worth something.

    Args:
        lock: File to hold locked, in `out` or in a folder of our own within: the system lets go of it however
            the process ends.
        out: The user's folder, made where there is none.
        taken: What to say where another process is in.
        worth: Asked before others can come in: whether anything of what was done is to stay.

    Raises:
        MapError: `taken`, or the folder cannot be written.
    """
    held, made = FileLock(lock), not out.exists()
    try:
        _acquire(held, lock)
    except Timeout as error:
        raise taken from error
    except NotImplementedError:
        pass  # a file system without locks: then nobody can be kept out
    except OSError as error:
        raise unwritable(out, error) from error
    kept = True
    try:
        yield
    finally:
        try:
            kept = worth()
            if not kept:
                lock.unlink(missing_ok=True)  # while it is held: later it may be another process's
        finally:
            held.release()
        if not kept:
            _leave(lock.parent, out, made)


def is_held(lock: Path) -> bool:
    """Whether a process holds a lock."""
    if not lock.exists():
        return False
    try:
        with FileLock(lock).acquire(timeout=0):
            return False
    except Timeout:
        return True
    except (NotImplementedError, OSError):
        return False  # not ours to lock: someone else's finished or given-up work


def _acquire(held: FileLock, lock: Path) -> None:
    for left in reversed(range(TRIES)):
        lock.parent.mkdir(parents=True, exist_ok=True)
        try:
            held.acquire(timeout=PATIENCE)
            return
        except FileNotFoundError:  # whoever was in has just left, and deleted the folder
            if not left:
                raise


def _leave(own: Path, out: Path, made: bool) -> None:
    """Delete the empty folder of the lock where it is our own, and the user's where this made it."""
    with suppress(OSError):  # another process has begun here, or something else lies here: not ours to delete
        if own != out:
            own.rmdir()
        if made:
            out.rmdir()
