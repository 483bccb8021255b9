"""What has become of the tasks of an export: a line on disk for each change, and a table of it."""

import json
import os
import re
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Final
from uuid import UUID, uuid5

from geocomiss.errors import unwritable
from geocomiss.sources.ee.tasks import CANCELLED, FAILED, RUNNING, SUCCEEDED, Operation, Tasks
from geocomiss.sources.exports.manifest import Manifest, Part

JOURNAL: Final = "tasks.jsonl"
CANCELS: Final = "cancelled"
"""Empty file that is there from `cancel` on until the export is started again."""
WAITING: Final = "WAITING"
"""State of a part without a task."""
LOST: Final = "LOST"
"""State of a task that Earth Engine no longer remembers: nobody knows how it ended."""
SECONDS_AN_HOUR: Final = 3600.0


@dataclass(frozen=True)
class Attempt:
    """A task that was started for a part."""

    part: str
    """Name of the part."""
    number: int
    """1 for the first."""
    operation: str
    """Earth Engine's identifier of it."""
    state: str
    """As in `Operation`, or LOST."""
    eecu_seconds: float = 0.0
    """Computing that it has taken."""
    progress: float = 0.0
    """0 to 1."""
    error: str = ""
    """Why it failed."""

    @property
    def under_way(self) -> bool:
        """Whether it has not ended."""
        return self.state in RUNNING


@dataclass(frozen=True)
class Row:
    """A part and what has become of it."""

    part: str
    """Its name."""
    attempts: int
    """Tasks that were started for it."""
    state: str
    """That of the last one; WAITING where there is none."""
    progress: float
    """0 to 1, of the last one."""
    eecu_hours: float
    """Computing that all of them have taken."""
    error: str
    """Why the last one failed."""


@dataclass(frozen=True)
class State:
    """An export at a moment."""

    rows: tuple[Row, ...]
    """In the order of the parts."""

    def number(self, *states: str) -> int:
        """Parts in some states."""
        return sum(row.state in states for row in self.rows)

    @property
    def done(self) -> bool:
        """Whether every part is there."""
        return self.number(SUCCEEDED) == len(self.rows)

    @property
    def under_way(self) -> int:
        """Tasks that have not ended."""
        return self.number(*RUNNING)

    @property
    def eecu_hours(self) -> float:
        """Computing that has been used."""
        return sum(row.eecu_hours for row in self.rows)


class Journal:
    """The tasks of an export, on disk; a line that was cut short by a crash counts as none.

    Args:
        folder: Of the export.
    """

    def __init__(self, folder: Path) -> None:
        self._path, self._cancels = folder / JOURNAL, folder / CANCELS
        self._attempts: dict[str, dict[int, Attempt]] = {}
        for attempt in _stored(self._path):
            self._keep(attempt)

    def of(self, part: str) -> tuple[Attempt, ...]:
        """Attempts of a part, oldest first."""
        return tuple(each for _, each in sorted(self._attempts.get(part, {}).items()))

    def every(self) -> tuple[Attempt, ...]:
        """All attempts."""
        return tuple(attempt for part in self._attempts.values() for attempt in part.values())

    def note(self, attempts: Sequence[Attempt]) -> None:
        """Remember attempts; on disk where they are new or their state is.

        Raises:
            MapError: The folder cannot be written.
        """
        lines = [json.dumps(asdict(each)).encode() + b"\n" for each in attempts if self._is_news(each)]
        if lines:
            try:
                with self._path.open("a+b") as file:
                    file.write(b"\n" if _cut_short(file.tell(), self._path) else b"")
                    file.writelines(lines)
                    file.flush()
                    os.fsync(file.fileno())
            except OSError as error:
                raise unwritable(self._path.parent, error) from error
        for attempt in attempts:
            self._keep(attempt)

    @property
    def cancelled(self) -> bool:
        """Whether the export was cancelled, by this process or another: nothing is started any more."""
        return self._cancels.exists()

    def cancel(self, cancelled: bool) -> None:
        """Note that the export is cancelled, or no longer.

        Raises:
            MapError: The folder cannot be written.
        """
        try:
            if cancelled:
                self._cancels.touch()
            else:
                self._cancels.unlink(missing_ok=True)
        except OSError as error:
            raise unwritable(self._path.parent, error) from error

    def _is_news(self, attempt: Attempt) -> bool:
        before = self._attempts.get(attempt.part, {}).get(attempt.number)
        return before is None or before.state != attempt.state

    def _keep(self, attempt: Attempt) -> None:
        self._attempts.setdefault(attempt.part, {})[attempt.number] = attempt


def description_of(manifest: Manifest, part: str, number: int) -> str:
    """What a task is called: found again in Earth Engine's list by it."""
    return f"{_stem(manifest)}{part}-{number}"


def identifier_of(manifest: Manifest, part: str, number: int) -> str:
    """Request identifier of a task, the same whenever it is started."""
    return str(uuid5(UUID(manifest.run), f"{part}/{number}"))


def refresh(manifest: Manifest, journal: Journal, tasks: Tasks) -> int:
    """Ask Earth Engine what has become of the tasks.

    A task that was started by a process that died before it could note it is found by its description.

    Returns:
        Tasks in the queue, those of other programs included.

    Raises:
        SourceError: Earth Engine refuses, or does not answer.
    """
    every = tasks.every()
    names = frozenset(part.name for part in manifest.parts)
    told = []
    for operation in every:
        found = re.fullmatch(rf"{re.escape(_stem(manifest))}(.+)-(\d+)", operation.description)
        if found and found[1] in names:
            attempt = Attempt(found[1], int(found[2]), operation.name, operation.state)
            told.append(_updated(attempt, operation))
    journal.note(told)
    listed = {operation.name for operation in every}
    missing = [each for each in journal.every() if each.under_way and each.operation not in listed]
    journal.note([_looked_up(attempt, tasks) for attempt in missing])
    return sum(operation.state in RUNNING for operation in every)


def due(manifest: Manifest, journal: Journal, retries: int, *, asked: bool) -> Iterator[tuple[Part, int]]:
    """Parts for which a task is to be started, and its number.

    Args:
        manifest: The export.
        journal: Its tasks.
        retries: How often a task that has failed is started again.
        asked: Whether the user asks for it: then what was given up or cancelled is started again, too.
    """
    for part in manifest.parts:
        attempts = journal.of(part.name)
        if not attempts:
            yield part, 1
            continue
        last = attempts[-1]
        failures = sum(each.state == FAILED for each in attempts)
        failed = last.state == FAILED and (asked or failures <= retries)
        if failed or (last.state == CANCELLED and asked):
            yield part, last.number + 1


def state_of(manifest: Manifest, journal: Journal) -> State:
    """What has become of each part, as far as it is known here."""
    return State(tuple(_row(part.name, journal.of(part.name)) for part in manifest.parts))


def _row(part: str, attempts: tuple[Attempt, ...]) -> Row:
    if not attempts:
        return Row(part, 0, WAITING, 0.0, 0.0, "")
    last = attempts[-1]
    hours = sum(each.eecu_seconds for each in attempts) / SECONDS_AN_HOUR
    return Row(part, len(attempts), last.state, last.progress, hours, last.error)


def _looked_up(attempt: Attempt, tasks: Tasks) -> Attempt:
    """A task that is not in the list, asked for by itself."""
    told = tasks.one(attempt.operation)
    return replace(attempt, state=LOST) if told is None else _updated(attempt, told)


def _updated(attempt: Attempt, told: Operation) -> Attempt:
    progress = 1.0 if told.state == SUCCEEDED else told.progress
    return replace(
        attempt, state=told.state, eecu_seconds=told.eecu_seconds, progress=progress, error=told.error
    )


def _stem(manifest: Manifest) -> str:
    return f"geocomiss-{UUID(manifest.run).hex[:12]}-"


def _stored(path: Path) -> Iterator[Attempt]:
    """Attempts on disk, in order."""
    try:
        lines = path.read_text(encoding="utf-8", errors="replace").splitlines()
    except FileNotFoundError:
        return
    for line in lines:
        try:
            yield Attempt(**json.loads(line))
        except (ValueError, TypeError):  # cut short; Earth Engine's list knows the task
            continue


def _cut_short(size: int, path: Path) -> bool:
    """Whether a file ends in the middle of a line."""
    if not size:
        return False
    with path.open("rb") as file:
        file.seek(-1, os.SEEK_END)
        return file.read() != b"\n"
