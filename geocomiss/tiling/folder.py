"""The folder of a map in the making: one process at a time plans in it, always with the same arguments.

Tiles lie in a folder of their own, named after these arguments: a worker that still computes for a map that
was given up, its planner killed, finds its folder gone, and can neither leave a tile to another map nor take
one from it.
"""

import hashlib
import json
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from geocomiss.errors import MapError, unwritable
from geocomiss.tiling.lock import alone, is_held

TILES: Final = "tiles"
"""Name of the folder within that of a map."""
REQUEST: Final = "request.json"
"""Everything that decides a pixel, and how many tiles there are."""
DIGITS: Final = 16
"""Of the digest of the arguments, in the name of the folder of their tiles."""
LOCK: Final = "lock"
"""File that the planning process holds locked: the system lets go of it however the process ends."""
PUBLISHED: Final = "published"
"""Empty file: only the summary of the map was still to be written."""
FOLLOWS: Final = {
    "bands": ("source", "model"),
    "found": ("source", "area", "season"),
    "min_steps": ("model",),
    "precision": ("model",),
    "readout": ("model",),
}
"""Arguments that change with others; nobody has to be told of them besides."""
CALLED: Final = {
    "bands": "bands read (--without, --on-mismatch)",
    "readout": "probabilities (--priors)",
}
"""What arguments are called that are not named as their options are."""
SHOWN: Final = 120
"""Most characters of a value in a message."""


@dataclass(frozen=True)
class WorkFolder:
    """The folder `tiles/` of a map."""

    path: Path
    """Where."""

    @contextmanager
    def held(self) -> Iterator[None]:
        """Keep other processes out. In the end nothing stays unless a tile is done.

        Raises:
            MapError: Another one is in, or the folder cannot be written.
        """
        out = self.path.parent
        taken = MapError(
            f"another process is mapping into {out}",
            expected="one at a time",
            todo=f"wait for it (geocomiss status {out}), or choose another --out",
        )
        with alone(self.path / LOCK, out, taken, self._worth):
            yield

    def _worth(self) -> bool:
        """Whether a tile is done; else all goes."""
        worth = any(self.path.rglob("*.npz"))
        if not worth:
            self.clear()
        return worth

    @property
    def busy(self) -> bool:
        """Whether a process holds it."""
        return is_held(self.path / LOCK)

    def claim(self, arguments: dict[str, Any], tiles: int, *, discard: bool) -> Path:
        """State what is being made here, or check that it is the same as before. Returns where tiles go.

        Args:
            arguments: What must be equal for earlier tiles to count.
            tiles: How many tiles there are.
            discard: Throw away tiles made with other arguments instead of refusing.

        Raises:
            MapError: The folder holds tiles made with other arguments, or cannot be written.
        """
        now = json.loads(json.dumps(arguments))
        try:
            before = self.request().get("arguments", {}) if (self.path / REQUEST).exists() else now
            if before != now and not discard:
                raise self._other(before, now)
            if before != now:
                self.clear()
            self._of(now).mkdir(parents=True, exist_ok=True)
            self._write({"tiles": tiles, "arguments": now})
        except OSError as error:
            raise unwritable(self.path.parent, error) from error
        return self._of(now)

    @property
    def current(self) -> Path:
        """Where the tiles lie of what is being made here."""
        return self._of(self.request().get("arguments", {}))

    def _of(self, arguments: dict[str, Any]) -> Path:
        digest = hashlib.sha256(json.dumps(arguments, sort_keys=True).encode()).hexdigest()
        return self.path / digest[:DIGITS]

    def request(self) -> dict[str, Any]:
        """What is being made here; a damaged file is like none."""
        try:
            stored = json.loads((self.path / REQUEST).read_text())
        except (OSError, ValueError):
            return {}
        return stored if isinstance(stored, dict) else {}

    def clear(self) -> None:
        """Delete everything but the lock."""
        for each in self.path.iterdir() if self.path.exists() else ():
            if each.is_dir():
                # first another name: then no worker that is still at it puts anything in
                gone = each.rename(each.with_name(f"{each.name}.{os.getpid()}.gone"))
                shutil.rmtree(gone, ignore_errors=True)  # what stays for a while counts for nothing
            elif each.name != LOCK:
                each.unlink()

    def publish(self) -> None:
        """Note that everything but the map's summary has its final name. Raises OSError on a full disk."""
        (self.path / PUBLISHED).touch()

    def forget_published(self, summary: Path, fetched: Path) -> None:
        """Delete what only served to make a map, finished by a process that was killed before it could do so.

        Args:
            summary: What is there once the map is finished.
            fetched: Folder of what was read for it over a network.
        """
        if (self.path / PUBLISHED).exists() and summary.exists():
            with self.held():
                shutil.rmtree(fetched, ignore_errors=True)
                self.clear()

    def _write(self, request: dict[str, Any]) -> None:
        partial = self.path / f"{REQUEST}.partial"
        partial.write_text(json.dumps(request, indent=1))
        partial.replace(self.path / REQUEST)

    def _other(self, before: dict[str, Any], now: dict[str, Any]) -> MapError:
        changed = "; ".join(changes(before, now))
        return MapError(
            f"{self.path.parent} holds an unfinished map with other arguments ({changed})",
            expected="the same arguments, to go on",
            todo="give them, choose another --out, or start afresh with --overwrite",
        )


def changes(before: dict[str, Any], now: dict[str, Any]) -> list[str]:
    """What changed, one entry a line: 'season: 2020 before, 2021 now'; not what only follows from it."""
    changed = {key for key in before | now if before.get(key) != now.get(key)}
    return [
        f"{CALLED.get(key, key)}: {_pair(before.get(key), now.get(key))}"
        for key in sorted(changed)
        if changed.isdisjoint(FOLLOWS.get(key, ()))
    ]


def _pair(before: Any, now: Any) -> str:
    return f"{_short(before, now)} before, {_short(now, before)} now"


def _short(value: Any, other: Any) -> str:
    """A value; of a long list or table only what the other does not have."""
    if len(json.dumps(value)) > SHOWN:
        if isinstance(value, list) and isinstance(other, list):
            value = [each for each in value if each not in other]
        if isinstance(value, dict) and isinstance(other, dict):
            value = {key: each for key, each in value.items() if other.get(key) != each}
    text = "nothing" if value in (None, [], {}) else json.dumps(value, ensure_ascii=False)
    return text if len(text) <= SHOWN else f"{text[: SHOWN - 3]}..."
