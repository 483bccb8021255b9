"""Tiles on disk: what makes an interrupted map go on where it stopped.

A tile is written to a temporary file, renamed, and only then recorded in the manifest with its
digest. A tile counts as done when its file has the recorded digest; anything else is done again.
"""

import hashlib
import json
import os
import shutil
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from geocomiss.errors import MapError, unwritable
from geocomiss.grid import Tile

FURTHER: Final = "further_"
"""Begins the names of further layers in a tile's file."""


@dataclass(frozen=True)
class TileResult:
    """What was mapped in one tile; (H, W) uint8 where nothing else is said."""

    crop_type: NDArray[np.uint8]
    """Class value, 0 where there is none."""
    confidence: NDArray[np.uint8]
    """Probability of the class in steps of 0.005, 255 where there is none."""
    modalities: NDArray[np.uint8]
    """Bit field of the available modalities, 255 outside the area and the mask."""
    expected_accuracy: NDArray[np.uint8]
    """Expected accuracy of the class in steps of 0.005, 255 where there is none or it is not known."""
    outside: int
    """Pixels outside the area of interest."""
    masked: int
    """Pixels inside the area that the mask leaves out."""
    further: Mapping[str, NDArray[Any]] = field(default_factory=dict)
    """Values of the other layers by name, (bands, H, W); of illustrations the picked pixels only."""
    observed: NDArray[np.int64] = field(default_factory=lambda: np.zeros((0, 0), np.int64))
    """(modalities, T) clear observations, all mapped pixels together."""

    def layer(self, name: str) -> NDArray[Any]:
        """The values of a layer."""
        if name in self.further:
            return self.further[name]
        return np.asarray(getattr(self, name))


class TileStore:
    """The folder `tiles/` of a map in the making.

    Args:
        folder: The folder; made when missing.
        fingerprint: What must be equal for earlier tiles to count.
        discard: Throw away tiles of another fingerprint instead of refusing.

    Raises:
        MapError: The folder holds tiles of another fingerprint, or cannot be written.
    """

    def __init__(self, folder: Path, fingerprint: dict[str, Any], *, discard: bool = False) -> None:
        self.folder = folder
        self._manifest = folder / "manifest.jsonl"
        self._made_parent = not folder.parent.exists()
        try:
            self._claim(json.loads(json.dumps(fingerprint)), discard)
        except OSError as error:
            raise unwritable(folder.parent, error) from error
        self._digests = dict(self._recorded())

    def __contains__(self, tile: Tile) -> bool:
        """Whether a tile is done and its file undamaged."""
        path, digest = self._path(tile), self._digests.get(tile.name)
        return digest is not None and path.exists() and _digest(path) == digest

    def write_tile(self, tile: Tile, result: TileResult) -> None:
        """Store a tile and record it. Raises MapError when the disk is full."""
        path = self._path(tile)
        partial = path.with_suffix(".partial")
        try:
            with partial.open("wb") as file:
                np.savez_compressed(file, **_arrays(result))
                file.flush()
                os.fsync(file.fileno())
            partial.replace(path)
            self._record(tile, _digest(path))
        except OSError as error:
            partial.unlink(missing_ok=True)
            raise unwritable(self.folder.parent, error) from error

    def read_tile(self, tile: Tile) -> TileResult:
        """A tile that is done."""
        with np.load(self._path(tile)) as stored:
            outside, masked = stored["counts"].tolist()
            return TileResult(
                stored["crop_type"],
                stored["confidence"],
                stored["modalities"],
                stored["expected_accuracy"],
                outside,
                masked,
                {name[len(FURTHER) :]: stored[name] for name in stored if name.startswith(FURTHER)},
                stored["observed"],
            )

    @property
    def empty(self) -> bool:
        """Whether no tile is done."""
        return not self._digests

    def remove(self) -> None:
        """Delete the folder, and the map's own where this made it and it is empty now."""
        shutil.rmtree(self.folder, ignore_errors=True)
        if self._made_parent and self.folder.parent.exists() and not any(self.folder.parent.iterdir()):
            self.folder.parent.rmdir()

    def _path(self, tile: Tile) -> Path:
        return self.folder / f"{tile.name}.npz"

    def _claim(self, fingerprint: dict[str, Any], discard: bool) -> None:
        stated = self.folder / "request.json"
        if stated.exists():
            earlier = _json(stated)
            changed = [key for key in fingerprint | earlier if earlier.get(key) != fingerprint.get(key)]
            if not changed:
                return
            if not discard:
                was = ", ".join(f"{key} was {earlier.get(key)!r}" for key in sorted(changed))
                raise MapError(
                    f"{self.folder.parent} holds an unfinished map with other arguments ({was})",
                    expected="the same arguments, to go on",
                    todo="give them, choose another --out, or start afresh with --overwrite",
                )
            shutil.rmtree(self.folder)
        self.folder.mkdir(parents=True, exist_ok=True)
        partial = stated.with_suffix(".partial")
        partial.write_text(json.dumps(fingerprint, indent=1))
        partial.replace(stated)

    def _recorded(self) -> Iterator[tuple[str, str]]:
        lines = self._manifest.read_text().splitlines() if self._manifest.exists() else []
        for line in lines:
            try:
                record = json.loads(line)
                yield record["tile"], record["sha256"]
            except (ValueError, KeyError):
                continue  # the last line of a killed process may be cut short

    def _record(self, tile: Tile, digest: str) -> None:
        spans = [tile.y.start, tile.y.stop, tile.x.start, tile.x.stop]
        line = json.dumps({"tile": tile.name, "window": spans, "sha256": digest, "state": "done"})
        with self._manifest.open("a") as file:
            file.write(f"\n{line}" if file.tell() else line)  # first: never glued to a line cut short
            file.flush()
            os.fsync(file.fileno())
        self._digests[tile.name] = digest


def _arrays(result: TileResult) -> dict[str, Any]:
    """What a tile's file holds."""
    return {
        "crop_type": result.crop_type,
        "confidence": result.confidence,
        "modalities": result.modalities,
        "expected_accuracy": result.expected_accuracy,
        "counts": np.array([result.outside, result.masked]),
        "observed": result.observed,
    } | {FURTHER + name: values for name, values in result.further.items()}


def _json(path: Path) -> dict[str, Any]:
    """A stored fingerprint; a damaged one is like none."""
    try:
        stored = json.loads(path.read_text())
    except ValueError:
        return {}
    return stored if isinstance(stored, dict) else {}


def _digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()
