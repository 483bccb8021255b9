"""Small things about files that several readers need."""

import hashlib
from pathlib import Path

from geocomiss.errors import SampleError


def begins_with(path: Path, magic: bytes) -> bool:
    """Whether the first bytes of a file are these; False where it cannot be read."""
    try:
        with path.open("rb") as file:
            return file.read(len(magic)) == magic
    except OSError:
        return False


def sha256_of(path: Path) -> str:
    """SHA-256 of a file. Raises OSError where it cannot be read."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def unreadable(path: Path, error: Exception | str) -> SampleError:
    """What to say of a table that is damaged."""
    reason = str(error).split("\n")[0].rstrip(". ") or type(error).__name__
    return SampleError(
        f"the samples table {path} cannot be read ({reason})",
        expected="a whole, readable table",
        todo="copy or download it again",
    )
