"""What a check comes to."""

from dataclasses import dataclass
from typing import Literal

Level = Literal["fine", "note", "wrong"]
"""In order; could be better and works; keeps geocomiss from working."""


@dataclass(frozen=True)
class Finding:
    """One thing that was looked at."""

    what: str
    """What was looked at."""
    found: str
    """What was found; no secret."""
    level: Level = "fine"
    """Whether it is in order."""
    todo: str = ""
    """What to do about it, where it is not."""
