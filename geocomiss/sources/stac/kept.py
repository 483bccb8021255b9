"""Blocks of images on disk, until a run is over: tiles share blocks, and each is fetched once.

Blocks of an image rarely lie as tiles do: a tile meets up to four blocks of its own size at 10 m, and one
block at 20 m meets up to nine tiles. Files are small and many; the oldest go where there is no room.
"""

import hashlib
import tempfile
import threading
import zlib
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any, Final

MOST: Final = 8_000_000_000
"""Bytes in a folder at most, whichever process or earlier run wrote them."""
MOST_TEMPORARY: Final = 1_000_000_000
"""Likewise in a temporary folder, which may lie in memory."""
LOOKS: Final = 16
"""A process looks at the folder's size whenever it has written this part of what there may be."""
CHECK: Final = 4
"""Bytes before the content by which it is seen whether it is whole."""


class KeptBlocks:
    """Bytes by name. What cannot be kept is not: it is fetched again.

    Args:
        folder: Where; shared with other processes. None: a folder of its own that goes with it.
        most: Bytes; None: `MOST`, or `MOST_TEMPORARY`. Each process may go beyond it by a part of `LOOKS`.
    """

    def __init__(self, folder: Path | None, most: int | None = None) -> None:
        self._folder = folder
        self._most = (MOST if folder else MOST_TEMPORARY) if most is None else most
        self._temporary: tempfile.TemporaryDirectory[str] | None = None
        self._lock = threading.Lock()
        self._written = self._most  # the first look is at what an earlier run left

    def __reduce__(self) -> tuple[Any, ...]:
        """A copy for another process looks into the same folder, where there is one."""
        return KeptBlocks, (self._folder, self._most)

    def read(self, image: str, name: str) -> bytes | None:
        """What is kept, or None: also where another process is writing it, or was killed while it was."""
        try:
            stored = self._path(image, name).read_bytes()
        except OSError:
            return None
        content = stored[CHECK:]
        return content if stored[:CHECK] == _check(content) else None

    def keep(self, image: str, name: str, content: bytes) -> None:
        """Keep something, and let the oldest go where there is no room."""
        path = self._path(image, name)
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(_check(content) + content)
        except OSError:  # a full disk, or none that is writable
            with suppress(OSError):
                path.unlink()
            return
        with self._lock:
            self._written += CHECK + len(content)
            if self._written * LOOKS < self._most:
                return
            self._written = 0
        self._make_room()

    def _make_room(self) -> None:
        """Let the oldest go until there is as much room as is written before the next look."""
        files = sorted(_files(self._root()))
        total = sum(size for _, size, _ in files)
        for _, size, path in files:
            if total <= self._most - self._most // LOOKS:
                break
            with suppress(OSError):
                path.unlink()
            total -= size

    def _path(self, image: str, name: str) -> Path:
        return self._root() / hashlib.sha256(image.encode()).hexdigest()[:32] / name

    def _root(self) -> Path:
        if self._folder:
            return self._folder
        with self._lock:
            if self._temporary is None:
                self._temporary = tempfile.TemporaryDirectory(prefix="geocomiss-")
            return Path(self._temporary.name)


def _check(content: bytes) -> bytes:
    return zlib.crc32(content).to_bytes(CHECK)


def _files(folder: Path) -> Iterator[tuple[int, int, Path]]:
    """(when it was written, bytes, path) of each file; other processes may take them away meanwhile."""
    for path in folder.glob("*/*"):
        with suppress(OSError):
            facts = path.stat()
            yield facts.st_mtime_ns, facts.st_size, path
