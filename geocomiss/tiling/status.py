"""How far a map is, read from its folder while another process works in it, or after it."""

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from geocomiss.errors import MapError
from geocomiss.maps import SUMMARY
from geocomiss.tiling.folder import TILES, WorkFolder
from geocomiss.tiling.manifest import Manifest, Record

RECENT: Final = 300.0
"""Seconds over which the speed is told."""


@dataclass(frozen=True)
class MapStatus:
    """How far a map is."""

    folder: Path
    """Where it lies."""
    finished: bool
    """Whether a finished map lies there."""
    busy: bool
    """Whether a process is working at it."""
    tiles: int
    """Tiles in all; 0 while a process plans them."""
    done: tuple[Record, ...]
    """Last line of each tile that is done."""
    running: tuple[Record, ...]
    """Of each that is being computed; none where nobody works."""
    interrupted: tuple[Record, ...]
    """Of each that was begun and that nobody works at any more."""
    failed: tuple[Record, ...]
    """Of each that failed."""

    @property
    def waiting(self) -> int:
        """Tiles that nobody has begun."""
        parts = (self.done, self.running, self.interrupted, self.failed)
        return max(0, self.tiles - sum(map(len, parts)))

    @property
    def pixels(self) -> int:
        """Pixels mapped so far."""
        return sum(_mapped(record) for record in self.done)

    @property
    def seconds_left(self) -> float | None:
        """Until all tiles are done, at the speed of the last minutes; None where nothing tells."""
        if not self.busy or len(self.done) < 2:
            return None
        ends = sorted(record.at for record in self.done)
        recent = [at for at in ends if at >= ends[-1] - RECENT]
        rate = (len(recent) - 1) / max(recent[-1] - recent[0], 1e-3)
        return (self.tiles - len(self.done)) / rate if rate else None


def read_status(folder: Path) -> MapStatus:
    """How far the map in a folder is.

    Raises:
        MapError: There is no map, finished or not.
    """
    work = WorkFolder(folder / TILES)
    finished, request, busy = (folder / SUMMARY).exists(), work.request(), work.busy
    if not (finished or request or busy):
        raise MapError(
            f"no map in {folder}",
            expected="the folder of a map, finished or in the making",
            todo="give the --out of a `geocomiss map`",
        )
    last = [_last(records) for records in Manifest(work.current).read().values()]
    begun = tuple(record for record in last if record.state == "running")
    return MapStatus(
        folder=folder,
        finished=finished,
        busy=busy,
        tiles=int(request.get("tiles", len(last))),
        done=tuple(record for record in last if record.state == "done"),
        running=begun if busy else (),
        interrupted=() if busy else begun,
        failed=tuple(record for record in last if record.state == "failed"),
    )


def _last(records: Iterable[Record]) -> Record:
    """What counts of a tile: once done it stays so, else what was written last."""
    ordered = list(records)
    return next((record for record in reversed(ordered) if record.state == "done"), ordered[-1])


def _mapped(record: Record) -> int:
    return 0 if record.counts is None else record.counts.looked_at
