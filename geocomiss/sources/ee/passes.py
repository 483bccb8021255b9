"""Radar passes on Earth Engine: decided by cell, kept with what has been fetched, or as a user says.

A run that goes on does not decide anew when more images have appeared.
"""

from collections.abc import Mapping, Sequence
from typing import Final

from geocomiss.seasons import Calendar
from geocomiss.sources.base import RadarPass
from geocomiss.sources.ee.kept import Kept, digest
from geocomiss.sources.ee.listing import Acquisition
from geocomiss.sources.passes import BOTH, Cell, Directions, best, box_of

NAMES: Final[Mapping[RadarPass, str]] = {"asc": "ascending", "desc": "descending", "both": BOTH}
"""What a user may ask for in place of a decision."""


def used(each: Acquisition, direction: str) -> bool:
    """Whether an acquisition belongs to what a cell uses."""
    return direction in (each.direction, BOTH)


def decide(
    cells: Sequence[Cell],
    acquisitions: Sequence[Acquisition],
    season: Calendar,
    asked: RadarPass,
    kept: Kept,
) -> Directions:
    """The direction to use in each cell.

    Args:
        cells: Cells that an area meets.
        acquisitions: Radar acquisitions of the season over these cells, of both directions.
        season: What the decision is for.
        asked: What the user wants; 'auto': the better direction of each cell.
        kept: Where decisions are kept; one that stands there holds.
    """
    if asked != "auto":
        seen = [each for each in acquisitions if used(each, NAMES[asked])]
        return Directions({cell: NAMES[asked] if best(box_of(cell), seen) else "" for cell in cells})
    found = {}
    for cell in cells:
        key = digest("radar pass", cell, str(season))
        stored = kept.value(key)
        if not isinstance(stored, str):
            stored = best(box_of(cell), acquisitions)
            kept.keep_value(key, stored)
        found[cell] = stored
    return Directions(found)
