"""Starting tasks: as many as are due and allowed, each once."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from geocomiss.errors import SourceError
from geocomiss.exporting.request import Limits
from geocomiss.exporting.state import (
    Attempt,
    Journal,
    description_of,
    due,
    identifier_of,
    refresh,
    state_of,
)
from geocomiss.sources.ee.pieces import Piece, pieces
from geocomiss.sources.ee.source import EarthEngineSource
from geocomiss.sources.ee.tasks import AlreadyStarted, QueueFull, Tasks, Written
from geocomiss.sources.exports.manifest import Destination, Manifest, Part

Stop = Literal["queue", "tasks", "hours", "cancelled"]
"""Why no further task was started: the queue is full, a limit of the user's is reached, or the export was
cancelled, perhaps by another process."""


@dataclass(frozen=True)
class Sent:
    """What was started."""

    tasks: int
    """Number of tasks."""
    left: int
    """Tasks that are still to be started."""
    stop: Stop | None
    """Why they were not."""


class Queue:
    """The tasks of an export at Earth Engine.

    Args:
        manifest: The export.
        journal: Its tasks.
        source: Earth Engine, as the export asks for it.
        made: Pieces that are known already.
    """

    def __init__(
        self, manifest: Manifest, journal: Journal, source: EarthEngineSource, made: Mapping[str, Piece]
    ) -> None:
        self.manifest, self.journal = manifest, journal
        self._source, self._made = source, dict(made)
        self._tasks = Tasks(source.client)

    def send(
        self, limits: Limits, *, asked: bool, progress: Callable[[int, int], None] | None = None
    ) -> Sent:
        """See what has become of the tasks, and start those that are due and allowed.

        Args:
            limits: How many.
            asked: Whether the user asks for it: then what was given up or cancelled is started again.
            progress: Told (tasks started, tasks to start).

        Raises:
            SourceError: Earth Engine refuses, or does not answer.
        """
        queued = refresh(self.manifest, self.journal, self._tasks)
        ahead = list(due(self.manifest, self.journal, limits.retries, asked=asked))
        used = state_of(self.manifest, self.journal).eecu_hours
        if ahead and self.journal.cancelled:
            return Sent(0, len(ahead), "cancelled")
        allowed, stop = _allowed(len(ahead), limits, queued, used)
        self._make([part for part, _ in ahead[:allowed]])
        for number, (part, attempt) in enumerate(ahead[:allowed]):
            if self.journal.cancelled:
                return Sent(number, len(ahead) - number, "cancelled")
            if not self._start(part, attempt):
                return Sent(number, len(ahead) - number, "queue")
            if progress:
                progress(number + 1, allowed)
        return Sent(allowed, len(ahead) - allowed, stop)

    def _start(self, part: Part, number: int) -> bool:
        """Start a task and note it; False where the queue is full."""
        description = description_of(self.manifest, part.name, number)
        written = Written(_wire(self.manifest.destination, part.name), part.nothing)
        identifier = identifier_of(self.manifest, part.name, number)
        try:
            started = self._tasks.start(identifier, description, self._made[part.name].tile, written)
        except QueueFull:
            return False
        except AlreadyStarted as error:  # by a process that died before it noted it
            refresh(self.manifest, self.journal, self._tasks)
            if number not in {each.number for each in self.journal.of(part.name)}:
                raise SourceError(
                    f"Earth Engine says that the task {description} exists, and does not list it",
                    expected="a task that is listed",
                    todo="try again in a few minutes",
                ) from error
            return True
        self.journal.note([Attempt(part.name, number, started.name, started.state)])
        return True

    def _make(self, parts: list[Part]) -> None:
        """See to it that the expressions of some parts are there.

        Raises:
            SourceError: They are not those with which the export was begun.
        """
        wanted = {part.name: part for part in parts if part.name not in self._made}
        if not wanted:
            return
        places = {(*part.grid.affine[:6], *part.grid.shape) for part in wanted.values()}
        manifest = self.manifest
        every = pieces(
            self._source,
            manifest.grid,
            manifest.origin.calendar,
            manifest.side,
            lambda block: (*block.affine[:6], *block.shape) in places,
        )
        self._made |= {piece.part.name: piece for piece in every}
        for name, part in wanted.items():
            if name not in self._made or self._made[name].part.digest != part.digest:
                raise SourceError(
                    f"{name} would not be computed as the export was begun",
                    expected="the version of geocomiss that began it, and its folder as it was",
                    todo="start the export again in a new folder",
                )


def _allowed(ahead: int, limits: Limits, queued: int, used: float) -> tuple[int, Stop | None]:
    """Tasks that may be started, and what keeps it from being more."""
    if limits.eecu_hours is not None and used >= limits.eecu_hours:
        return 0, "hours" if ahead else None
    room = max(0, limits.queued - queued)
    most = room if limits.tasks is None else min(room, limits.tasks)
    if ahead <= most:
        return ahead, None
    return most, "tasks" if most < room else "queue"


def _wire(destination: Destination, part: str) -> dict[str, Any]:
    """The destination of a file, as it stands in the request."""
    prefix = f"{destination.prefix}{part}"
    if destination.kind == "drive":
        return {"driveDestination": {"folder": destination.name, "filenamePrefix": prefix}}
    return {"cloudStorageDestination": {"bucket": destination.name, "filenamePrefix": prefix}}
