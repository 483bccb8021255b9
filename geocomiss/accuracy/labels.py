"""Reference labels as people write them, matched to the classes of a map.

'Maize', 'maize ' and 'MAIZE' are one label; so are 'non crop', 'non-crop' and 'non_crop'.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from typing import Final

from geocomiss.errors import SampleError
from geocomiss.wording import plain

NO_LABEL: Final = 0
"""Code of a point without a label, or whose label the legend leaves out."""


@dataclass(frozen=True)
class Matched:
    """What labels were read as."""

    codes: tuple[int, ...]
    """Class of each point: value in the map, or above the map's for labels that it does not know;
    `NO_LABEL` where there is none."""
    unknown: dict[int, str]
    """Names of the labels that the map does not know, by code."""
    merged: dict[str, tuple[str, ...]]
    """Classes whose labels were written in more than one way, with these ways."""


def match_labels(
    labels: Iterable[str],
    classes: Mapping[int, str],
    legend: Mapping[str, str] | None = None,
    count_unknown: bool = False,
) -> Matched:
    """Match labels to classes.

    Args:
        labels: One for each point, '' where it has none.
        classes: Names of the map's classes by value.
        legend: Class of each label; labels that are not in it, or have no class in it, are left out.
        count_unknown: Give labels that the map does not know codes of their own instead of refusing.

    Raises:
        SampleError: Labels that the map does not know, and `count_unknown` is not set.
    """
    labels = list(labels)
    to_class = {plain(label): name for label, name in (legend or {}).items()}
    names = [to_class.get(plain(label), "") if legend else label.strip() for label in labels]
    codes = {plain(name): value for value, name in classes.items()}
    strange = sorted({plain(name) for name in names if name} - codes.keys())
    if strange and not count_unknown:
        raise _unknown(strange, names, tuple(classes.values()), legend is not None)
    first_free = max(classes) + 1
    unknown = {first_free + position: name for position, name in enumerate(strange)}
    codes |= {name: code for code, name in unknown.items()}
    found = tuple(codes[plain(name)] if name else NO_LABEL for name in names)
    return Matched(found, unknown, _written(labels, found, classes) if legend is None else {})


def _written(
    labels: list[str], codes: tuple[int, ...], classes: Mapping[int, str]
) -> dict[str, tuple[str, ...]]:
    """The ways in which each class was written, where there is more than one."""
    ways: dict[int, set[str]] = {}
    for label, code in zip(labels, codes, strict=True):
        ways.setdefault(code, set()).add(label)
    several = {code: seen for code, seen in ways.items() if code != NO_LABEL and len(seen) > 1}
    return {classes.get(code) or plain(min(seen)): tuple(sorted(seen)) for code, seen in several.items()}


def _unknown(strange: list[str], names: list[str], classes: tuple[str, ...], legend: bool) -> SampleError:
    known = {plain(name): name for name in classes}
    lines = []
    for label in strange:
        number = sum(plain(name) == label for name in names)
        near = get_close_matches(label, known, n=1)
        hint = f", perhaps {known[near[0]]!r}" if near else ""
        lines.append(f"{label!r} ({number} point{'s' * (number > 1)}{hint})")
    where = "the legend's classes" if legend else "reference labels"
    return SampleError(
        f"{where} that the map does not have: {', '.join(lines)}",
        expected=f"classes of the map: {', '.join(classes)}",
        todo="correct them, merge them with --legend, or give --unknown-labels count to keep them as classes "
        "that the map lacks (always mapped wrongly)",
    )
