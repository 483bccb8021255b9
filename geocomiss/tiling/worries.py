"""What runs had to worry about while they computed tiles: whoever keeps these tiles has to say it, too."""

import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final
from uuid import uuid4

WORRIES: Final = "worries.jsonl"
"""File with a line whenever the worries of a run changed: all that it had up to then."""


class Worries:
    """Those of the runs of a map, this one's and earlier ones'.

    Args:
        folder: That of its tiles.
    """

    def __init__(self, folder: Path) -> None:
        self._path, self._run = folder / WORRIES, uuid4().hex
        self._noted: tuple[str, ...] = ()

    def note(self, worries: Sequence[str]) -> None:
        """Remember what this run worries about. Raises OSError on a full disk."""
        if tuple(worries) != self._noted:
            with self._path.open("a", encoding="utf-8") as file:
                file.write(f"\n{json.dumps({'run': self._run, 'worries': list(worries)})}\n")
            self._noted = tuple(worries)

    def earlier(self) -> tuple[str, ...]:
        """What earlier runs worried about in the end, each once."""
        last = {run: worries for run, worries in self._lines() if run != self._run}
        return tuple(dict.fromkeys(each for worries in last.values() for each in worries))

    def _lines(self) -> Iterator[tuple[str, list[str]]]:
        try:
            lines = self._path.read_text(encoding="utf-8", errors="replace").splitlines()
        except OSError:  # no run had any
            return
        for line in lines:
            try:
                stored = json.loads(line)
                yield str(stored["run"]), [str(each) for each in stored["worries"]]
            except (ValueError, KeyError, TypeError):  # empty, or cut short with its process
                continue
