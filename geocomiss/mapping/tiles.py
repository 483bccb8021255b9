"""Tiles on disk: what makes an interrupted map go on where it stopped.

A tile is written to a temporary file, hashed, renamed, and only then recorded in the manifest with its
digest and what it holds. A tile counts as done when its file has a recorded digest; anything else is done
again. Each time it is read its digest is compared once more.
"""

import hashlib
import os
import uuid
import zipfile
import zlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from io import BytesIO
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from geocomiss.errors import MapError, unwritable
from geocomiss.grid import Tile, pixel_hectares
from geocomiss.mapping.peaks import peak
from geocomiss.mapping.sparse import packed, unpacked
from geocomiss.maps import NOT_MAPPED
from geocomiss.tiling import Counts, Manifest, Record, Worries
from geocomiss.tiling.counts import VALUES
from geocomiss.tiling.manifest import MAIN

MAPPED: Final = ("crop_type", "confidence", "modalities", "expected_accuracy")
"""The layers that every tile has, in the order of `TileResult`."""
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

    def counts(self, tile: Tile) -> Counts:
        """What it holds, in numbers.

        Args:
            tile: Where it lies.
        """
        classes = self.crop_type.ravel()
        return Counts(
            self.outside,
            self.masked,
            np.bincount(classes, minlength=VALUES),
            np.bincount(classes, pixel_hectares(tile.geobox).ravel(), minlength=VALUES).astype(np.float64),
            np.bincount(self.modalities.ravel(), minlength=VALUES),
            self.observed,
        )

    def layer(self, name: str) -> NDArray[Any]:
        """The values of a layer."""
        if name in self.further:
            return self.further[name]
        return np.asarray(getattr(self, name))


class TileStore:
    """The files of a map's tiles.

    What was recorded of them is read when it is first asked for: who only computes needs nothing of it.

    Args:
        folder: Where; what `WorkFolder.claim` gave: no tile of another map is ever in it.
        own: Manifest that this process writes.
    """

    def __init__(self, folder: Path, own: str = MAIN) -> None:
        self.folder = folder
        self.manifest = Manifest(folder, own)
        self._worries = Worries(folder)
        self._done: dict[str, list[Record]] = {}
        self._failed: set[str] = set()
        self._verified: dict[str, Record] = {}
        self._read = False

    def reload(self) -> None:
        """Take notice of what other processes have recorded."""
        lines = self.manifest.read()
        self._done = {name: _done(records) for name, records in lines.items()}
        self._failed = {name for name, records in lines.items() if records[-1].state == "failed"}
        self._read = True

    def look_for(self, tile: Tile) -> None:
        """Take notice of what other processes have recorded of one tile, and of nothing else."""
        self._done[tile.name] = _done(self.manifest.read(tile.name).get(tile.name, []))

    def record_of(self, tile: Tile) -> Record | None:
        """What is recorded of a tile that is done and whose file is undamaged; else None."""
        if not (self._read or tile.name in self._done or tile.name in self._verified):
            self.reload()
        if tile.name not in self._verified and self._done.get(tile.name):
            digest = _digest(self._path(tile))
            for record in self._done[tile.name]:
                if record.sha256 == digest and record.packed:
                    self._verified[tile.name] = record
        return self._verified.get(tile.name)

    def __contains__(self, tile: Tile) -> bool:
        """Whether a tile is done and its file undamaged."""
        return self.record_of(tile) is not None

    def damaged(self, tile: Tile) -> bool:
        """Whether a tile is recorded as done, but its file is gone or is not what was recorded."""
        return tile not in self and any(record.packed for record in self._done.get(tile.name, ()))

    def written(self, tile: Tile) -> bool:
        """Whether a tile has a file, recorded or not, whole or damaged."""
        return self._path(tile).exists()

    def failed_before(self, tile: Tile) -> bool:
        """Whether what was last recorded of a tile, when this was first asked, is that it failed."""
        if not self._read:
            self.reload()
        return tile.name in self._failed

    def note_start(self, tile: Tile) -> None:
        """Record that a tile is being computed. Raises MapError when the disk is full."""
        self._note(lambda: self.manifest.begin(tile.name))

    def note_failure(self, tile: Tile, reason: str) -> None:
        """Record that a tile could not be computed. Raises MapError when the disk is full."""
        self._note(lambda: self.manifest.fail(tile.name, reason))

    def note_worries(self, worries: Sequence[str]) -> None:
        """Remember what tiles computed by now suffer from. Raises MapError when the disk is full."""
        self._note(lambda: self._worries.note(worries))

    def earlier_worries(self) -> tuple[str, ...]:
        """What tiles of earlier runs suffer from."""
        return tuple(f"in a run before this one, {each}" for each in self._worries.earlier())

    def write_tile(self, tile: Tile, result: TileResult) -> Record:
        """Store a tile and record it. Raises MapError when the disk is full."""
        path = self._path(tile)
        # another process may be at the same tile, on a machine whose numbers of processes are the same
        partial = path.with_suffix(f".{uuid.uuid4().hex}.partial")
        try:
            with partial.open("wb") as file:
                np.savez_compressed(file, **_stored(result))
                file.flush()
                os.fsync(file.fileno())
            digest = _digest(partial)
            partial.replace(path)
            spans = (tile.y.start, tile.y.stop, tile.x.start, tile.x.stop)
            held = result.counts(tile)
            record = self.manifest.finish(tile.name, spans, digest, held, peak() or 0)
        except OSError as error:
            partial.unlink(missing_ok=True)
            raise unwritable(self.folder.parent.parent, error) from error
        self.accept(record)
        return record

    def accept(self, record: Record) -> None:
        """Take notice of a tile that has just been written, here or elsewhere."""
        self._verified[record.tile] = record

    def read_tile(self, tile: Tile) -> TileResult:
        """A tile that is done. Raises MapError where its file was damaged since."""
        with self._opened(tile) as stored:
            outside, masked = stored["counts"].tolist()
            crop_type, confidence, modalities, expected = (unpacked(stored, name) for name in MAPPED)
            further = {
                name[len(FURTHER) :]: unpacked(stored, name) for name in stored if name.startswith(FURTHER)
            }
            return TileResult(
                crop_type, confidence, modalities, expected, outside, masked, further, stored["observed"]
            )

    def read_layer(self, tile: Tile, name: str) -> NDArray[Any]:
        """One layer of a tile that is done, and nothing else of it. Raises MapError like `read_tile`."""
        with self._opened(tile) as stored:
            return unpacked(stored, name if name in stored else FURTHER + name)

    @contextmanager
    def _opened(self, tile: Tile) -> Iterator[Any]:
        """The file of a tile, which must be what was recorded, whenever it is read."""
        known = self.record_of(tile)
        try:
            content = self._path(tile).read_bytes()
        except OSError as error:
            raise self._damaged(tile, type(error).__name__) from error
        if known is None or hashlib.sha256(content).hexdigest() != known.sha256:
            raise self._damaged(tile, "it is not what was written")
        try:
            with np.load(BytesIO(content), allow_pickle=False) as stored:
                yield stored
        except (ValueError, KeyError, EOFError, zipfile.BadZipFile, zlib.error) as error:
            raise self._damaged(tile, type(error).__name__) from error

    def _damaged(self, tile: Tile, why: str) -> MapError:
        return MapError(
            f"the tile {tile.name} in {self.folder} is damaged ({why})",
            expected="a file as it was written",
            todo="check the disk and give the same command again: it computes this tile anew",
        )

    def _note(self, write: Callable[[], None]) -> None:
        try:
            write()
        except OSError as error:
            raise unwritable(self.folder.parent.parent, error) from error

    def _path(self, tile: Tile) -> Path:
        return self.folder / f"{tile.name}.npz"


def _stored(result: TileResult) -> dict[str, Any]:
    """What a tile's file holds."""
    layers = {name: result.layer(name) for name in MAPPED}
    layers |= {FURTHER + name: values for name, values in result.further.items()}
    numbers = {"counts": np.array([result.outside, result.masked]), "observed": result.observed}
    return numbers | packed(layers, result.modalities != NOT_MAPPED)


def _done(records: list[Record]) -> list[Record]:
    return [each for each in records if each.state == "done"]


def _digest(path: Path) -> str:
    """SHA-256 of a file; empty where there is none."""
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except FileNotFoundError:
        return ""
