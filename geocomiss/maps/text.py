"""Names that people give, made fit for files."""

import re
from typing import Final

UNPRINTABLE: Final = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f\ud800-\udfff\ufffe\uffff]")
"""Characters that XML cannot hold, and nobody can read."""


def printable(name: str) -> str:
    """A name without characters that XML cannot hold."""
    return UNPRINTABLE.sub("", name)


def identifier(name: str, otherwise: str) -> str:
    """A name of ASCII letters, digits, '_' and '-' alone, as STAC wants it.

    Args:
        name: Any name.
        otherwise: What to take where nothing of it is left.
    """
    plain = re.sub("[^A-Za-z0-9_-]+", "_", name).strip("_")
    return plain[:60] or otherwise
