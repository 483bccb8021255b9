"""The rows of the table: patterns of modalities, the means over them, and further conditions.

M modalities.
"""

from dataclasses import dataclass
from itertools import combinations
from typing import Final

AVAILABLE: Final = "●"
"""A modality that is there."""
MISSING: Final = "○"
"""A modality that is not."""
NAMES: Final = {"all_patterns": "all patterns"}
"""Summaries whose name for people differs from their key."""


@dataclass(frozen=True)
class Row:
    """One condition, or the mean over several."""

    key: str
    """Name of the condition or summary in files."""
    title: str
    """What stands at the head of the row."""
    conditions: tuple[str, ...]
    """Conditions that the mean is over."""
    summary: bool = False
    """Whether this is a mean."""


def ordered_patterns(modalities: tuple[str, ...]) -> dict[int, tuple[str, ...]]:
    """Conditions by the number of missing modalities, in the poster's order.

    With one missing, the first modality is missing first; else the first is there first.
    """
    size = len(modalities)
    found = {
        missing: tuple("+".join(each) for each in combinations(modalities, size - missing))
        for missing in range(size)
    }
    if size > 2:
        found[1] = found[1][::-1]
    return found


def summaries(modalities: tuple[str, ...]) -> dict[str, tuple[str, ...]]:
    """Conditions of each mean.

    `full` all modalities; `moderate` one missing; `extreme` one left; `overall` these three together,
    each case once (the poster's 2M + 1); `all_patterns` all 2^M - 1. With two modalities, one missing
    is one left; with a single modality all are the full case.
    """
    by_missing = ordered_patterns(modalities)
    full, single = by_missing[0], by_missing[len(modalities) - 1]
    moderate = by_missing.get(1, full)
    return {
        "full": full,
        "moderate": moderate,
        "extreme": single,
        "overall": tuple(dict.fromkeys((*full, *moderate, *single))),
        "all_patterns": tuple(each for group in by_missing.values() for each in group),
    }


def pattern_rows(modalities: tuple[str, ...]) -> tuple[Row, ...]:
    """Rows of the poster: full, one missing, their mean, one left, their mean, overall, the others.

    Means over the same conditions share a row ('moderate = extreme' of two modalities).
    """
    means = summaries(modalities)
    others = [each for each in means["all_patterns"] if each not in means["overall"]]
    ordered = [
        *(_pattern(each, modalities) for each in (*means["full"], *means["moderate"])),
        _mean("moderate", means),
        *(_pattern(each, modalities) for each in means["extreme"]),
        _mean("extreme", means),
        _mean("overall", means),
        *(_pattern(each, modalities) for each in others),
        _mean("all_patterns", means),
    ]
    return _merged(ordered)


def summary_rows(modalities: tuple[str, ...]) -> tuple[Row, ...]:
    """The means that contenders are compared by; equal ones share a row."""
    means = summaries(modalities)
    keys = ("full", "moderate", "extreme", "all_patterns")
    return _merged([_mean(key, means) for key in keys], keep_single=True)


def prefixed(conditions: tuple[str, ...], prefix: str) -> tuple[str, ...]:
    """The conditions 'prefix:...', in the order of their first number, if they have one."""
    chosen = [each for each in conditions if each.startswith(f"{prefix}:")]
    return tuple(sorted(chosen, key=lambda each: _first_number(each.removeprefix(f"{prefix}:"))))


def _first_number(text: str) -> int:
    head = text.split("-")[0]
    return int(head) if head.isdigit() else 0


def dots(condition: str, modalities: tuple[str, ...]) -> str:
    """A pattern as one sign per modality: '● ○ ● ●'."""
    there = condition.split("+")
    return " ".join(AVAILABLE if name in there else MISSING for name in modalities)


def letters(modalities: tuple[str, ...]) -> str:
    """Heads of the dots: 'O R W T'."""
    return " ".join(name[0].upper() for name in modalities)


def _pattern(condition: str, modalities: tuple[str, ...]) -> Row:
    return Row(condition, dots(condition, modalities), (condition,))


def _mean(key: str, means: dict[str, tuple[str, ...]]) -> Row:
    return Row(key, NAMES.get(key, key), means[key], summary=True)


def _merged(rows: list[Row], keep_single: bool = False) -> tuple[Row, ...]:
    """Rows of different conditions; the mean over a single one says nothing new."""
    found: dict[tuple[bool, frozenset[str]], Row] = {}
    for row in rows:
        if row.summary and len(row.conditions) == 1 and not keep_single:
            continue
        place = (row.summary, frozenset(row.conditions))
        first = found.get(place)
        if first and row.summary:
            row = Row(first.key, f"{first.title} = {row.title}", row.conditions, summary=True)
        if first is None or row.summary:
            found[place] = row
    return tuple(found.values())
