"""Series read so far, on disk: what makes an interrupted sampling go on where it stopped.

A file appears under its name when it is whole; one that is damaged all the same is read again.
"""

import json
import os
import shutil
import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from geocomiss.errors import SampleError

ASKED: Final = "request.json"
VALUES: Final = "values_"
COUNTS: Final = "counts_"
TOLD: Final = "told"


@dataclass(frozen=True)
class PartSeries:
    """The series of the n pixels of one window."""

    values: dict[str, NDArray[np.float32]]
    """Per modality (n, T, C), NaN where missing."""
    counts: dict[str, NDArray[np.int16]]
    """Clear observations behind each step (n, T) per dynamic modality."""
    recipe: dict[str, Any]
    """How they were made, as a mapping."""
    notes: tuple[str, ...]
    """What the source says of them."""


class Kept:
    """The folder `OUT.partial` of a sampling in the making.

    Args:
        folder: The folder; made when missing.
        asked: What must be equal for earlier work to count.
        discard: Throw away the work of another request instead of refusing.

    Raises:
        SampleError: The folder holds the work of another request, or cannot be written.
    """

    def __init__(self, folder: Path, asked: dict[str, Any], *, discard: bool = False) -> None:
        self.folder = folder
        try:
            self._claim(json.loads(json.dumps(asked)), discard)
        except OSError as error:
            raise _unwritable(folder, error) from error

    def read(self, name: str) -> PartSeries | None:
        """The series of a window, or None where they are still to be read."""
        try:
            with self._path(name).open("rb") as file, np.load(file, allow_pickle=False) as stored:
                told = json.loads(str(stored[TOLD]))
                parts = {
                    kind: {key.removeprefix(kind): stored[key] for key in stored if key.startswith(kind)}
                    for kind in (VALUES, COUNTS)
                }
            return PartSeries(parts[VALUES], parts[COUNTS], told["recipe"], tuple(told["notes"]))
        except FileNotFoundError:
            return None
        except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile):
            return None  # damaged: read again

    def write(self, name: str, part: PartSeries) -> None:
        """Keep the series of a window. Raises SampleError when the disk is full."""
        arrays: dict[str, NDArray[Any]] = {VALUES + key: rows for key, rows in part.values.items()}
        arrays |= {COUNTS + key: rows for key, rows in part.counts.items()}
        arrays[TOLD] = np.array(json.dumps({"recipe": part.recipe, "notes": list(part.notes)}))
        path = self._path(name)
        partial = path.with_suffix(".partial")
        try:
            with partial.open("wb") as file:
                np.savez_compressed(file, **arrays)  # type: ignore[arg-type]  # numpy's stubs: allow_pickle
                file.flush()
                os.fsync(file.fileno())
            partial.replace(path)
        except OSError as error:
            partial.unlink(missing_ok=True)
            raise _unwritable(self.folder, error) from error

    @property
    def empty(self) -> bool:
        """Whether nothing has been read yet, nor fetched."""
        return not any(self.folder.rglob("*.npz"))

    def remove(self) -> None:
        """Delete the folder."""
        shutil.rmtree(self.folder, ignore_errors=True)

    def _path(self, name: str) -> Path:
        return self.folder / f"{name}.npz"

    def _claim(self, asked: dict[str, Any], discard: bool) -> None:
        stated = self.folder / ASKED
        if self.folder.exists():
            earlier = _json(stated)
            changed = sorted(key for key in asked | earlier if earlier.get(key) != asked.get(key))
            if not changed:
                return
            if not discard:
                raise SampleError(
                    f"{self.folder} is an unfinished sampling with other {', '.join(changed)}",
                    expected="the same points and arguments, to go on",
                    todo="give them, choose another --out, or start afresh with --overwrite",
                )
            shutil.rmtree(self.folder)
        self.folder.mkdir(parents=True)
        partial = stated.with_suffix(".partial")
        partial.write_text(json.dumps(asked, indent=1))
        partial.replace(stated)


def _json(path: Path) -> dict[str, Any]:
    """A stored request; a damaged one is like none."""
    try:
        stored = json.loads(path.read_text())
    except (OSError, ValueError):
        return {}
    return stored if isinstance(stored, dict) else {}


def _unwritable(folder: Path, error: OSError) -> SampleError:
    return SampleError(
        f"{folder} cannot be written ({error.strerror or error})",
        expected="a writable folder with free space",
        todo="free space or choose another --out; the same command then goes on where it stopped",
    )
