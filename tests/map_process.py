"""Maps made in processes of their own, to be killed. They begin with everything imported, to save seconds."""

import multiprocessing
import os
import resource
import signal
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any

from geocomiss.tiling import Manifest, Record, WorkFolder

FILES = (
    *("crop_type.tif", "crop_type.tif.aux.xml", "confidence.tif", "modalities.tif", "observations.tif"),
    *("ndvi.tif", "legend.csv"),
)
"""Files of a map that hold nothing of the run."""
_context = multiprocessing.get_context("forkserver")
_context.set_forkserver_preload(["geocomiss.mapping", "torch"])


@dataclass(frozen=True)
class Moment:
    """When a process kills itself: just before it does something to a file."""

    event: str
    """What it does, as Python's audit events are called: 'open', 'os.rename'."""
    path: str
    """Part of the file's path."""
    time: int
    """The how manieth time, from 1."""

    def wait(self) -> None:
        """Have this process killed then."""
        left = self.time

        def look(event: str, arguments: tuple[Any, ...]) -> None:
            nonlocal left
            if event == self.event and self.path in str(arguments[0]):
                left -= 1
                if left == 0:
                    os.kill(os.getpid(), signal.SIGKILL)

        sys.addaudithook(look)


def start(
    request: object,
    *,
    file_limit: int | None = None,
    said: Path | None = None,
    threads: int = 1,
    dies: Moment | None = None,
) -> BaseProcess:
    """Begin to make a map.

    Args:
        request: A `MapRequest`.
        file_limit: Bytes beyond which no file can grow, as on a full disk.
        said: File for the message of an error.
        threads: Threads of matrix products; 0: one a core.
        dies: When it is killed.
    """
    arguments = (request, file_limit, said, threads, dies)
    process = _context.Process(target=_make, args=arguments, daemon=True)
    process.start()
    return process


def _make(
    request: object, file_limit: int | None, said: Path | None, threads: int, dies: Moment | None
) -> None:
    import torch

    from geocomiss.errors import GeocomissError
    from geocomiss.mapping import make_map
    from geocomiss.threads import cores

    torch.set_num_threads(threads or cores())
    if file_limit:
        resource.setrlimit(resource.RLIMIT_FSIZE, (file_limit, file_limit))
    if dies:
        dies.wait()
    try:
        make_map(request)  # type: ignore[arg-type]
    except GeocomissError as error:
        if said:
            said.write_text(str(error))
        raise SystemExit(1) from error


def finish(process: BaseProcess, seconds: float = 120) -> int | None:
    """Wait for the end, no longer than so many seconds; the exit code."""
    process.join(seconds)
    return process.exitcode


def wait_for(process: BaseProcess, happened: Callable[[], bool]) -> None:
    """Wait until something happened, or the process has ended."""
    while process.is_alive() and not happened():
        time.sleep(0.001)


def lines(out: Path) -> list[Record]:
    """All that is recorded of the tiles of a map in the making, oldest first."""
    found = Manifest(WorkFolder(out / "tiles").current).read()
    return sorted((each for records in found.values() for each in records), key=lambda each: each.at)


def names(out: Path, state: str) -> list[str]:
    """The tiles with a line of this state, as often as there is one."""
    return [record.tile for record in lines(out) if record.state == state]


def same(one: Path, other: Path) -> bool:
    """Whether two maps are equal, byte by byte."""
    return all((one / name).read_bytes() == (other / name).read_bytes() for name in FILES)
