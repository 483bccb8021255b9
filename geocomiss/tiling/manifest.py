"""Who began, finished or failed which tile: lines of JSON that are only ever appended.

Every process that computes writes a file of its own, so that none waits for another and no line is ever torn
by two; whoever reads takes them together.
"""

import errno
import json
import os
import socket
import sys
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Literal, cast, get_args

from geocomiss.tiling.counts import Counts

State = Literal["running", "done", "failed"]
"""What became of a tile."""
MAIN: Final = "manifest.jsonl"
"""File of the process that plans the map."""
ALL: Final = "manifest*.jsonl"
"""Files of all processes."""


@dataclass(frozen=True, slots=True)
class Record:
    """A line of a manifest."""

    tile: str
    """Name of the tile."""
    state: State
    """What became of it."""
    at: float
    """When, in seconds since 1970."""
    writer: str
    """Host and number of the process that computes it."""
    window: tuple[int, int, int, int] = (0, 0, 0, 0)
    """First and last row, first and last column, the last ones excluded."""
    sha256: str = ""
    """Digest of its file, once it is done."""
    reason: str = ""
    """Why it failed."""
    peak: int = 0
    """Most bytes of memory that its process had taken when it was done; 0: not known."""
    packed: bytes = b""
    """What it holds, once it is done, as in the file: a map may have a million of these."""

    @property
    def counts(self) -> Counts | None:
        """What it holds, once it is done."""
        return Counts.from_json(json.loads(self.packed)) if self.packed else None


class Manifest:
    """The manifests of a folder, and the one of this process.

    Args:
        folder: Where they lie.
        own: File name of this process's.
    """

    def __init__(self, folder: Path, own: str = MAIN) -> None:
        self._folder, self._path = folder, folder / own
        self._writer = writer()

    def begin(self, tile: str) -> None:
        """Note that a tile is being computed."""
        self._append({"tile": tile, "state": "running"}, safely=False)

    def finish(
        self, tile: str, window: tuple[int, int, int, int], sha256: str, counts: Counts, peak: int = 0
    ) -> Record:
        """Note that a tile is done; only now does it count."""
        held = counts.as_json()
        facts = {"window": list(window), "sha256": sha256, "peak": peak, "counts": held}
        at = self._append({"tile": tile, "state": "done"} | facts)
        return Record(tile, "done", at, self._writer, window, sha256, peak=peak, packed=_packed(held))

    def fail(self, tile: str, reason: str) -> None:
        """Note that a tile could not be computed."""
        self._append({"tile": tile, "state": "failed", "reason": reason})

    def read(self, tile: str = "") -> dict[str, list[Record]]:
        """All lines of all processes by tile, in the order in which they were written.

        Args:
            tile: Name of the only one to look for; '': all.
        """
        found: dict[str, list[Record]] = {}
        for record in sorted(self._lines(tile), key=lambda record: record.at):
            found.setdefault(record.tile, []).append(record)
        return found

    def _lines(self, tile: str) -> Iterator[Record]:
        for path in sorted(self._folder.glob(ALL)):
            try:
                with path.open("rb") as file:
                    yield from _records(line for line in file if tile.encode() in line)
            except FileNotFoundError:  # the map was finished in this moment
                continue

    def _append(self, facts: dict[str, Any], *, safely: bool = True) -> float:
        at = round(time.time(), 6)  # finer than anything that is written twice
        line = json.dumps(facts | {"at": at, "by": self._writer})
        descriptor = os.open(self._path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o666)
        try:
            # one call, so that threads do not tear lines; a line break first: never glued to one cut short
            text = f"\n{line}\n".encode()
            if os.write(descriptor, text) < len(text):
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
            if safely:
                os.fsync(descriptor)
        finally:
            os.close(descriptor)
        return at


def writer() -> str:
    """What this process is called in manifests."""
    return f"{socket.gethostname()}:{os.getpid()}"


def own_file() -> str:
    """File name of the manifest of a process that only computes."""
    return f"manifest-{writer().replace(':', '-')}.jsonl"


def _records(lines: Iterable[bytes]) -> Iterator[Record]:
    for line in lines:
        try:
            yield _record(json.loads(line))
        except (ValueError, KeyError, TypeError, AttributeError, IndexError):
            continue  # the last line of a killed process may be cut short


def _record(stored: dict[str, Any]) -> Record:
    if stored["state"] not in get_args(State):
        raise ValueError(stored["state"])
    first, last, left, right = stored.get("window", (0, 0, 0, 0))
    return Record(
        str(stored["tile"]),
        cast(State, stored["state"]),
        float(stored["at"]),
        sys.intern(str(stored["by"])),
        (int(first), int(last), int(left), int(right)),
        str(stored.get("sha256", "")),
        str(stored.get("reason", "")),
        int(stored.get("peak", 0)),
        _packed(stored["counts"]) if "counts" in stored else b"",
    )


def _packed(counts: dict[str, Any]) -> bytes:
    """Counts as in a file. Raises KeyError, TypeError or ValueError where they are none."""
    Counts.from_json(counts)
    return json.dumps(counts, separators=(",", ":")).encode()
