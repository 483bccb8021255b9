"""What Earth Engine has sent, on disk: nothing is asked for twice.

Everything is kept under the digest of the request that it answers, so that a request is the same in the next
process, and another one, of another area, season or recipe, never is. A file appears under its name only when
it is whole; numbers carry the checksums of their archive.
"""

import hashlib
import json
import os
import tempfile
import zipfile
import zlib
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from geocomiss.errors import unwritable
from geocomiss.sources.ee.npy import parsed_npy

PIXELS: Final = ".npz"
VALUE: Final = ".json"


class Kept:
    """A folder of answers.

    Args:
        folder: Where; made with the first answer. None: a temporary one that goes with this object.
    """

    def __init__(self, folder: Path | None) -> None:
        self._own = tempfile.TemporaryDirectory(prefix="geocomiss-") if folder is None else None
        self.folder = Path(self._own.name) if self._own else Path(folder or "")

    def pixels(self, key: str) -> NDArray[Any] | None:
        """Pixels that have come, or None; a damaged file counts as none."""
        try:
            with zipfile.ZipFile(self.folder / f"{key}{PIXELS}") as stored:
                return parsed_npy(stored.read("pixels.npy"))
        except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile, zlib.error, RuntimeError):
            return None  # RuntimeError: damaged flags say that it is encrypted, or compressed in other ways

    def has_pixels(self, key: str) -> bool:
        """Whether there is a file of them."""
        return (self.folder / f"{key}{PIXELS}").exists()

    def keep_pixels(self, key: str, values: NDArray[Any]) -> None:
        """Keep pixels. Raises MapError when the disk is full."""
        partial = self._partial(key)
        try:
            with partial.open("wb") as file:
                np.savez(file, pixels=values)
                self._finish(file, partial, f"{key}{PIXELS}")
        except OSError as error:
            partial.unlink(missing_ok=True)
            raise unwritable(self.folder.parent, error) from error

    def value(self, key: str) -> Any | None:
        """A value that has come, or None."""
        try:
            return json.loads((self.folder / f"{key}{VALUE}").read_text())
        except (OSError, ValueError):
            return None

    def keep_value(self, key: str, value: Any) -> None:
        """Keep a value. Raises MapError when the disk is full."""
        partial = self._partial(key)
        try:
            with partial.open("wb") as file:
                file.write(json.dumps(value).encode())
                self._finish(file, partial, f"{key}{VALUE}")
        except OSError as error:
            partial.unlink(missing_ok=True)
            raise unwritable(self.folder.parent, error) from error

    def _partial(self, key: str) -> Path:
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise unwritable(self.folder.parent, error) from error
        return self.folder / f"{key}.partial"

    def _finish(self, file: Any, partial: Path, name: str) -> None:
        file.flush()
        os.fsync(file.fileno())
        partial.replace(self.folder / name)


def digest(*parts: Any) -> str:
    """What stands for a request: 40 hexadecimal digits of everything that decides its answer."""
    text = json.dumps(parts, sort_keys=True, default=str)
    return hashlib.sha256(text.encode()).hexdigest()[:40]
