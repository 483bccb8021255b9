"""What Earth Engine says of the computing behind a request."""

import re
from typing import Final

from geocomiss.errors import SourceError

PROFILE_ROW: Final = re.compile(r"^\s*(\d+(?:\.\d+)?)\s", re.M)
"""A row of a profile begins with its EECU-seconds ("EECU·s PeakMem Count Description")."""


def eecu_seconds(profile: str) -> float:
    """The sum of the first column of a profile.

    Raises:
        SourceError: It has no such column.
    """
    found = PROFILE_ROW.findall(profile)
    if not found:
        raise SourceError(
            "a profile of Earth Engine without EECU-seconds",
            expected="a table that begins with them",
            todo="plan without trial tiles: --trials 0",
        )
    return sum(float(each) for each in found)
