"""Labels as people write them, and addresses as they may be shown."""

import re
import unicodedata


def composed(label: str) -> str:
    """A label with each accented letter as one character: programs write them as one or as two."""
    return unicodedata.normalize("NFC", label)


def plain(label: str) -> str:
    """A label without case, spaces at its ends, and the difference between space, '-' and '_'."""
    return re.sub(r"[\s_-]+", " ", composed(label).strip()).casefold()


def without_secrets(text: str) -> str:
    """Text whose web addresses lack names, passwords and queries: these may hold keys and tokens."""
    text = re.sub(r"(\w://)[^\s/@]*@", r"\1", text)
    return re.sub(r"(\w://[^\s?,'\"]*|\burl: /[^\s?,'\"]*)\?[^\s,'\")]*", r"\1", text)
