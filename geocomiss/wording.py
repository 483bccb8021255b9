"""Labels as people write them."""

import re


def plain(label: str) -> str:
    """A label without case, spaces at its ends, and the difference between space, '-' and '_'."""
    return re.sub(r"[\s_-]+", " ", label.strip()).casefold()
