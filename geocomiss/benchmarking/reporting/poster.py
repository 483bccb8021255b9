"""Published numbers: the poster's table.

Source: Mena, Ienco, Dantas, Interdonato, "Harnessing Multi-Modal Co-learning for Missing Earth
Observation Modalities" (poster): F1 x 100 on CropHarvest, 10 classes. Which F1, how many folds and
the spread are not printed. Not all of its means follow from its cells; see `recomputed`.
"""

from statistics import fmean
from typing import Final

from geocomiss.benchmarking.reporting.rows import pattern_rows, summaries

MODALITIES: Final = ("optical", "radar", "weather", "topography")
"""The poster's modalities."""
METHODS: Final = {
    "unimodal": "Uni-modal",
    "anysat": "AnySat",
    "galileo": "Galileo",
    "fcom-av": "FCoM-av",
    "timmil": "TiMMIL",
    "dsensd+": "DSensD+",
    "fullco": "FullCo",
    "comiss": "Co-Miss",
}
"""The poster's columns: key of the contender here, and name there."""

_PRINTED: Final = {
    # O R W T, then the columns of METHODS
    "● ● ● ●": "   – 71.2 69.7 76.7 72.4 76.5 76.1 78.0",
    "○ ● ● ●": "   –    –    – 66.6 63.1 65.9 66.1 66.9",
    "● ○ ● ●": "   –    –    – 74.6 71.0 75.4 75.1 76.9",
    "● ● ○ ●": "   –    –    – 76.2 72.7 76.4 76.3 77.7",
    "● ● ● ○": "   –    –    – 76.5 72.5 76.8 76.3 78.0",
    "moderate": "  –    –    – 73.5 70.0 73.6 73.4 74.9",
    "● ○ ○ ○": "71.0 70.9 70.5 73.8 71.5 75.3 76.0 76.3",
    "○ ● ○ ○": "56.0 51.5 50.4 53.6 53.6 57.3 59.2 57.9",
    "○ ○ ● ○": "46.7    – 48.3 42.8 44.3 48.4 50.2 48.8",
    "○ ○ ○ ●": "28.0    – 30.1 19.1  2.6 31.5 31.7 30.7",
    "extreme": " 50.4 61.2 49.8 47.3 43.0 53.1 54.3 53.4",
    "overall": " 50.4 64.6 53.8 62.2 58.2 64.9 65.0 65.4",
}
"""The poster's cells by row."""


def printed(row: str, method: str) -> float | None:
    """What the poster prints, or None.

    Args:
        row: Key of a row, see `rows.pattern_rows`: a condition or a summary.
        method: Key in `METHODS`.
    """
    titles = {each.key: each.title for each in pattern_rows(MODALITIES)}
    cells = _PRINTED.get(titles.get(row, ""))
    if cells is None or method not in METHODS:
        return None
    cell = cells.split()[tuple(METHODS).index(method)]
    return None if cell == "–" else float(cell)


def recomputed(row: str, method: str) -> float | None:
    """The mean of the cells that the poster prints, for a summary of the poster.

    None for rows that are no mean, or without cells.
    """
    if row not in ("moderate", "extreme", "overall"):
        return None
    found = [printed(each, method) for each in summaries(MODALITIES)[row]]
    known = [each for each in found if each is not None]
    return fmean(known) if known else None


def incomplete(row: str, method: str) -> bool:
    """Whether the poster's mean is over fewer cases than the row has."""
    conditions = summaries(MODALITIES).get(row, ())
    return any(printed(each, method) is None for each in conditions)
