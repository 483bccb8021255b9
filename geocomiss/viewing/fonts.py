"""Letters of all scripts in pictures: which installed fonts draw them, and which none does."""

from collections.abc import Iterable
from typing import Final

PLACEHOLDERS: Final = "Last Resort"
"""Begins the name of a font that comes with matplotlib and draws a box for every letter."""
FIRST: Final = "DejaVu Sans"
"""Comes with matplotlib: Latin, Greek, Cyrillic, Arabic and more."""


def fonts_for(texts: Iterable[str]) -> tuple[list[str], str]:
    """Families that together draw all letters, the usual one first, and the letters that none has.

    Args:
        texts: What is to be written.
    """
    from matplotlib.font_manager import fontManager

    wanted = {letter for text in texts for letter in text if letter.isprintable() and letter != " "}
    families = [FIRST]
    left = wanted - _drawn(fontManager.findfont(FIRST), wanted)
    for entry in fontManager.ttflist if left else ():
        if entry.name.startswith(PLACEHOLDERS):
            continue
        if found := _drawn(entry.fname, left):
            families.append(entry.name)
            left -= found
        if not left:
            break
    return families, "".join(sorted(left))


def _drawn(path: str, letters: set[str]) -> set[str]:
    """Those letters that a font has."""
    from matplotlib.font_manager import get_font

    try:
        font = get_font(path)
    except (OSError, RuntimeError):  # a broken font is like none
        return set()
    return {letter for letter in letters if font.get_char_index(ord(letter))}
