"""SIGTERM, with which Slurm, Kubernetes, `docker stop` and `timeout` end a command, is heard like Ctrl-C."""

import os
import signal
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from threading import current_thread, main_thread
from typing import Final

INTERRUPTED: Final = 130
"""Exit code after Ctrl-C, as shells have it (128 + SIGINT)."""
TERMINATED: Final = 143
"""Exit code after SIGTERM (128 + SIGTERM)."""
SAME: Final = 1.0
"""Seconds in which a further SIGTERM is the same: `timeout` sends one to the process and one to its group."""


@contextmanager
def sigterm_heard() -> Iterator[None]:
    """Raise KeyboardInterrupt on SIGTERM, and turn the exit code of Ctrl-C into that of SIGTERM.

    A second SIGTERM, while the first is tidied up after, ends the process at once. Nothing happens where the
    signal is not ours: outside the main thread, and where whoever started us ignores or handles it.
    """
    if current_thread() is not main_thread() or signal.getsignal(signal.SIGTERM) is not signal.SIG_DFL:
        yield
        return
    first: float | None = None

    def hear(*_: object) -> None:
        nonlocal first
        if first is None:
            first = time.monotonic()
            raise KeyboardInterrupt
        if time.monotonic() - first > SAME:
            # not by the signal's default, which does nothing in a container's first process
            os._exit(TERMINATED)

    signal.signal(signal.SIGTERM, hear)
    try:
        yield
    except SystemExit as end:
        if first is not None and end.code == INTERRUPTED:
            sys.exit(TERMINATED)
        raise
    finally:
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
