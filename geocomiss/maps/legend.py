"""The legend of a map as a table: written with every map, and read where a user has changed it."""

import csv
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from geocomiss.errors import MapError
from geocomiss.maps.layers import Category
from geocomiss.sheets import read_sheet

LEGEND: Final = "legend.csv"
"""The legend in a map's folder."""
COLUMNS: Final = ("value", "class", "name", "color")
"""Its columns: value in the raster, the model's class, the name shown, '#rrggbb'."""


def write_legend(path: Path, classes: tuple[Category, ...], shown: tuple[Category, ...]) -> None:
    """Write a legend; changed, it can be given back with `--legend`.

    Args:
        path: CSV file.
        classes: The classes as the model calls them.
        shown: The same as the map calls them.
    """
    with path.open("w", newline="", encoding="utf-8") as file:
        rows = csv.writer(file)
        rows.writerow(COLUMNS)
        for own, other in zip(classes, shown, strict=True):
            rows.writerow((own.value, own.name, other.name, other.color))


def read_map_legend(path: Path, classes: tuple[Category, ...]) -> dict[int, Category]:
    """Names and colours that a user wants, by value; classes without a row keep their own.

    Args:
        path: CSV with the column `value` or `class`, which tells the class, and `name`, `color` or both.
        classes: The classes of the map.

    Raises:
        MapError: The file cannot be read, names a class that is none, or contradicts itself.
    """
    try:
        columns, rows = read_sheet(path)
    except (OSError, ValueError) as error:
        raise _unusable(path, f"cannot be read ({error})") from error
    if not ({"value", "class"} & set(columns) and {"name", "color"} & set(columns)):
        raise _unusable(path, f"has the columns {', '.join(columns) or 'none'}")
    changed: dict[int, Category] = {}
    for row in rows:
        own = _class_of(path, row, classes)
        if own.value in changed:
            raise _unusable(path, f"has two rows for {own.name!r}")
        changed[own.value] = _changed(path, row, own)
    _check_names(path, classes, changed)
    return changed


def _class_of(path: Path, row: Mapping[str, str], classes: tuple[Category, ...]) -> Category:
    """The class that a row is about, by its value, else by its name."""
    value, name = row.get("value", ""), row.get("class", "")
    for each in classes:
        if (value and value == str(each.value)) or (not value and name == each.name):
            return each
    known = ", ".join(f"{each.value} {each.name}" for each in classes)
    raise _unusable(path, f"has a row for {value or name!r}, which is no class of the map ({known})")


def _changed(path: Path, row: Mapping[str, str], own: Category) -> Category:
    color = row.get("color", "").lower() or own.color
    if not re.fullmatch("#[0-9a-f]{6}", color):
        raise _unusable(path, f"has the colour {color!r}")
    return Category(own.value, row.get("name") or own.name, color)


def _check_names(path: Path, classes: tuple[Category, ...], changed: dict[int, Category]) -> None:
    names = [changed.get(each.value, each).name for each in classes]
    if twice := sorted({name for name in names if names.count(name) > 1}):
        raise _unusable(path, f"calls two classes {twice[0]!r}")


def _unusable(path: Path, why: str) -> MapError:
    return MapError(
        f"the legend {path} {why}",
        expected="a CSV file with the column value or class, and name or color (#rrggbb) or both",
        todo=f"correct --legend, or start from the {LEGEND} of a map",
    )
