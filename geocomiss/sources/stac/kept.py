"""Blocks of images on disk, until a run is over: tiles share blocks, and each is fetched once.

Blocks of an image rarely lie as tiles do: a tile meets up to four blocks of its own size at 10 m, and one
block at 20 m meets up to nine tiles. Files are small and many; the oldest go where there is no room.
"""

import hashlib
import tempfile
import threading
from collections import OrderedDict
from contextlib import suppress
from pathlib import Path
from typing import Any, Final

MOST: Final = 8_000_000_000
"""Bytes kept at most, by each process."""
MOST_TEMPORARY: Final = 1_000_000_000
"""Likewise in a temporary folder, which may lie in memory."""


class KeptBlocks:
    """Bytes by name. What cannot be kept is not: it is fetched again.

    Args:
        folder: Where; shared with other processes. None: a folder of its own that goes with it.
        most: Bytes; None: `MOST`, or `MOST_TEMPORARY`.
    """

    def __init__(self, folder: Path | None, most: int | None = None) -> None:
        self._folder = folder
        self._most = (MOST if folder else MOST_TEMPORARY) if most is None else most
        self._temporary: tempfile.TemporaryDirectory[str] | None = None
        self._lock = threading.Lock()
        self._sizes: OrderedDict[Path, int] = OrderedDict()
        self._total = 0

    def __reduce__(self) -> tuple[Any, ...]:
        """A copy for another process looks into the same folder, where there is one."""
        return KeptBlocks, (self._folder, self._most)

    def read(self, image: str, name: str) -> bytes | None:
        """What is kept, or None. It may be cut short where another process is writing it, or was killed."""
        path = self._path(image, name)
        try:
            content = path.read_bytes()
        except OSError:
            return None
        with self._lock:
            if path in self._sizes:
                self._sizes.move_to_end(path)
        return content

    def keep(self, image: str, name: str, content: bytes) -> None:
        """Keep something, and let the oldest go where there is no room."""
        path = self._path(image, name)
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content)
        except OSError:  # a full disk, or none that is writable
            with suppress(OSError):
                path.unlink()
            return
        for old in self._noted(path, len(content)):
            with suppress(OSError):
                old.unlink()

    def _noted(self, path: Path, size: int) -> list[Path]:
        """Take notice of a file; those for which there is no room."""
        gone = []
        with self._lock:
            self._total += size - self._sizes.pop(path, 0)
            self._sizes[path] = size
            while self._total > self._most and len(self._sizes) > 1:
                old, freed = self._sizes.popitem(last=False)
                self._total -= freed
                gone.append(old)
        return gone

    def _path(self, image: str, name: str) -> Path:
        with self._lock:
            if self._folder is None and self._temporary is None:
                self._temporary = tempfile.TemporaryDirectory(prefix="geocomiss-")
        folder = self._folder or Path(self._temporary.name if self._temporary else "")
        return folder / hashlib.sha256(image.encode()).hexdigest()[:32] / name
