"""Which tiles are still to be computed, and what happens when one fails.

A tile that fails goes to the end of the queue, so that whatever was wrong has time to pass; after some
attempts it is set aside and named. Where nothing but failures come, the run ends: then it is not the tiles.
"""

from collections import deque
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Final

from geocomiss.errors import GeocomissError, MapStopped, SourceStopped, TilesFailed
from geocomiss.grid import Tile
from geocomiss.mapping.peaks import Peaks
from geocomiss.mapping.tiles import TileStore
from geocomiss.tiling import Record

ATTEMPTS: Final = 3
"""How often a tile is tried in a run."""
IN_A_ROW: Final = 10
"""Tiles that fail for the first time, without a success between them, after which a run ends."""
NAMED: Final = 3
"""Failed tiles that are named in a message."""
ENDING: Final = (MapStopped, SourceStopped, MemoryError)
"""Errors that have nothing to do with the tile: a full disk, a source that refuses, no memory."""
TRY_AGAIN: Final = (
    "mend it and give the same command again, which tries these tiles once more (where files of the source "
    "changed, with --overwrite: then it computes all anew), or map without them with --skip-failed"
)
"""What to do about tiles that failed."""


@dataclass(frozen=True)
class Outcome:
    """What came of a tile."""

    record: Record
    """Its line in the manifest."""
    seconds: dict[str, float] = field(default_factory=dict)
    """Seconds per kind of work; empty where another process had done it."""
    pixels: int = 0
    """Pixels classified for it in this run."""
    account: object = None
    """What was read for it over a network, where another process read it."""


class Queue:
    """The tiles of a run.

    Args:
        tiles: All tiles of the map.
        store: Where they lie, some of them from earlier runs.
        worries: What is to be said of the tiles computed up to now.
    """

    def __init__(
        self, tiles: Iterable[Tile], store: TileStore, worries: Callable[[], Sequence[str]] = tuple
    ) -> None:
        self._store, self._worries = store, worries
        self.done: dict[str, Record] = {}
        """Line in the manifest of each tile that is done."""
        self.failed: dict[str, str] = {}
        """Why each tile failed that was set aside."""
        self.kept = 0
        """Pixels classified in tiles that this run did not compute: an earlier one did, or a worker that
        died."""
        self._peaks: dict[str, int] = {}
        self._kept_peak = 0
        self._attempts: dict[str, int] = {}
        self._in_a_row = 0
        self._last: Exception | None = None
        missing = []
        for tile in tiles:
            record = store.record_of(tile)
            if record is None:
                missing.append(tile)
            else:
                self.done[tile.name] = record
                self.kept += classified(record)
                self._kept_peak = max(self._kept_peak, record.peak)
        self._damaged = tuple(tile.name for tile in missing if store.damaged(tile))
        # what failed before comes last: it must not keep a run from going on
        self._waiting = deque(sorted(missing, key=lambda tile: store.failed_before(tile)))

    @property
    def repaired(self) -> tuple[str, ...]:
        """What is to be said of tiles of earlier runs that are computed anew, as their files were damaged."""
        if not (names := self._damaged):
            return ()
        some = ", ".join(names[:NAMED]) + (", ..." if len(names) > NAMED else "")
        return (
            f"tiles that were done, {len(names)} ({some}), were damaged or gone and were computed anew: a "
            "power cut may do that, or a failing disk",
        )

    @property
    def peaks(self) -> Peaks:
        """The most memory that processes took, as they recorded with their tiles."""
        return Peaks({name: taken for name, taken in self._peaks.items() if taken}, self._kept_peak)

    @property
    def waiting(self) -> tuple[Tile, ...]:
        """The tiles that are still to be computed."""
        return tuple(self._waiting)

    def next(self) -> Tile | None:
        """The next tile to compute; None where none is waiting."""
        return self._waiting.popleft() if self._waiting else None

    def finish(self, tile: Tile, outcome: Outcome) -> None:
        """Note that a tile is done."""
        self._in_a_row = 0
        self._store.note_worries(self._worries())
        self.done[tile.name] = record = outcome.record
        self._peaks[record.writer] = max(self._peaks.get(record.writer, 0), record.peak)
        self.kept += 0 if outcome.seconds else classified(outcome.record)

    def fail(self, tile: Tile, error: Exception) -> None:
        """Note that a tile failed.

        Raises:
            GeocomissError: The error itself, where going on makes no sense.
        """
        if isinstance(error, ENDING):
            raise error
        first = tile.name not in self._attempts and not self._store.failed_before(tile)
        self._in_a_row, self._last = self._in_a_row + first, error
        self._attempts[tile.name] = self._attempts.get(tile.name, 0) + 1
        reason = reason_of(error)
        self._store.note_failure(tile, reason)
        if self._attempts[tile.name] < ATTEMPTS:
            self._waiting.append(tile)
        else:
            self.failed[tile.name] = reason
        if first and self._in_a_row >= IN_A_ROW:
            self.check(complete=False)

    def check(self, *, complete: bool = True) -> None:
        """See to it that no tile failed.

        Args:
            complete: Whether all others are done.

        Raises:
            TilesFailed: Some did.
            Exception: The last error itself, where no tile was ever done: it is not the tiles.
        """
        if self._last is not None and not self.done:
            raise self._last
        if complete and not self.failed:
            return
        names = sorted(self.failed or self._attempts)
        named = ", ".join(f"{name} ({self.failed.get(name, str(self._last))})" for name in names[:NAMED])
        more = f" and {len(names) - NAMED} more" if len(names) > NAMED else ""
        rest = "the others are done" if complete else f"{len(self.done)} are done, the run was given up"
        raise TilesFailed(
            f"{len(names)} tiles failed again and again: {named}{more}; {rest}",
            expected="input that can be read",
            todo=TRY_AGAIN,
        ) from self._last


def classified(record: Record) -> int:
    """Pixels of a tile in the area and the mask."""
    return record.counts.looked_at if record.counts else 0


def reason_of(error: Exception) -> str:
    """Why something failed, in a line."""
    return error.found if isinstance(error, GeocomissError) else f"{type(error).__name__}: {error}"
