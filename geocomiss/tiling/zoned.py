"""The folder of a map that consists of one for each UTM zone: which there are, and which are finished."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from geocomiss.errors import MapError, unwritable
from geocomiss.maps import SUMMARY, zones_in
from geocomiss.maps.summary import failed_zones_in, zone_names
from geocomiss.tiling.folder import TILES
from geocomiss.tiling.status import MapStatus, read_status

PLANNED: Final = "zones.json"
"""File that is there as long as zones are still to be mapped."""


@dataclass(frozen=True)
class ZonedFolder:
    """The folder above those of the zones."""

    path: Path
    """Where."""

    def begin(self, zones: tuple[str, ...], area: str, *, give_up: bool, replace: bool) -> None:
        """State which zones are to be mapped, or check that they are the same as before.

        Args:
            zones: Names of the zones.
            area: Stands for the area of interest.
            give_up: Whether an unfinished map of another area may be given up.
            replace: Whether zones that are finished here are mapped once more.

        Raises:
            MapError: Another map is unfinished here, or the folder cannot be written.
        """
        before = self.planned()
        same = before.get("area") == area
        if not give_up and ((before and not same) or (self.path / TILES).exists()):
            raise MapError(
                f"{self.path} holds an unfinished map of another area",
                expected="the same arguments, to go on",
                todo="give them, choose another --out, or start afresh with --overwrite",
            )
        if not same:
            self._write({"zones": list(zones), "area": area, "replace": replace, "done": []})

    def planned(self) -> dict[str, Any]:
        """What is being made here; a damaged file is like none."""
        try:
            stored = json.loads((self.path / PLANNED).read_text())
        except (OSError, ValueError):
            return {}
        return stored if isinstance(stored, dict) else {}

    def done(self, zone: str) -> bool:
        """Whether a zone was finished for this map."""
        planned = self.planned()
        fresh = not planned.get("replace")  # else a map there may be the one that is to be replaced
        return zone in planned.get("done", []) or (fresh and (self.path / zone / SUMMARY).exists())

    def note(self, zone: str) -> None:
        """Note that a zone is finished."""
        planned = self.planned()
        failed = {name: why for name, why in self.failed().items() if name != zone}
        self._write(planned | {"done": sorted({*planned.get("done", []), zone}), "failed": failed})

    def note_failure(self, zone: str, why: str) -> None:
        """Note that nothing came of a zone."""
        self._write(self.planned() | {"failed": self.failed() | {zone: why}})

    def failed(self) -> dict[str, str]:
        """Why zones have no map that should have one, by name."""
        planned = self.planned()
        if not planned:
            return failed_zones_in(self.path)
        stated = planned.get("failed")
        return {name: str(stated[name]) for name in zone_names(stated)} if isinstance(stated, dict) else {}

    def leave(self) -> None:
        """Delete what says that zones are still to be mapped; the folder, too, where it is empty."""
        (self.path / PLANNED).unlink(missing_ok=True)
        if self.path.is_dir() and not any(self.path.iterdir()):
            self.path.rmdir()

    def _write(self, content: dict[str, Any]) -> None:
        partial = self.path / f"{PLANNED}.partial"
        try:
            self.path.mkdir(parents=True, exist_ok=True)
            partial.write_text(json.dumps(content, indent=1))
            partial.replace(self.path / PLANNED)
        except OSError as error:
            raise unwritable(self.path, error) from error


def zones_of_folder(folder: Path) -> tuple[str, ...]:
    """Names of the zones that have a map in a folder, finished or not; none where it is one map."""
    planned = ZonedFolder(folder).planned().get("zones")
    if isinstance(planned, list):
        return zone_names(planned)
    return tuple(sorted({*zones_in(folder), *failed_zones_in(folder)}))


def read_zones(folder: Path) -> tuple[tuple[str, MapStatus | None], ...]:
    """How far each zone of a map is; None where it has not begun or nothing is to be mapped in it."""
    found: list[tuple[str, MapStatus | None]] = []
    for zone in zones_of_folder(folder):
        try:
            found.append((zone, read_status(folder / zone)))
        except MapError:
            found.append((zone, None))
    return tuple(found)
