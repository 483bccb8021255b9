"""A legend merges the labels of a table into the classes of a model, and leaves some out."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from geocomiss.errors import SampleError
from geocomiss.sheets import read_sheet
from geocomiss.wording import composed


@dataclass(frozen=True)
class Legend:
    """Which label becomes which class."""

    name: str
    """The file's name."""
    classes: Mapping[str, str]
    """Class of each label. Labels that are not here are left out."""
    colors: Mapping[str, str]
    """Colour '#rrggbb' of the classes for which the file gives one."""

    @property
    def order(self) -> tuple[str, ...]:
        """Classes in the order in which the file first names them."""
        return tuple(dict.fromkeys(self.classes.values()))

    def translate(self, labels: NDArray[np.str_]) -> tuple[NDArray[np.str_], NDArray[np.bool_]]:
        """Classes (N,) of labels (N,), and which are kept (N,); '' where left out."""
        classes = np.array([self.classes.get(str(label), "") for label in labels], dtype=np.str_)
        return classes, classes != ""


def read_legend(path: Path) -> Legend:
    """Read a legend: CSV with the columns `label,class` and, if wished, `color` (#rrggbb).

    A row with an empty class leaves its label out, like a label that has no row.

    Raises:
        SampleError: The file is missing, has no such columns, contradicts itself, or is empty.
    """
    try:
        columns, rows = read_sheet(path)
    except (OSError, ValueError) as error:
        raise _unusable(path, f"cannot be read ({error})") from error
    if not {"label", "class"} <= set(columns):
        raise _unusable(path, f"has the columns {', '.join(columns) or 'none'}")
    classes: dict[str, str] = {}
    colors: dict[str, str] = {}
    for row in rows:
        label, name, color = (composed(row.get(column, "")) for column in ("label", "class", "color"))
        if classes.setdefault(label, name) != name:
            raise _unusable(path, f"gives {label!r} two classes, {classes[label]!r} and {name!r}")
        if color and colors.setdefault(name, _checked_color(path, color)) != color.lower():
            raise _unusable(path, f"gives class {name!r} two colours, {colors[name]} and {color}")
    kept = {label: name for label, name in classes.items() if name}
    if not kept:
        raise _unusable(path, "names no class")
    return Legend(path.name, kept, colors)


def _checked_color(path: Path, color: str) -> str:
    if not re.fullmatch("#[0-9a-fA-F]{6}", color):
        raise _unusable(path, f"has the colour {color!r}")
    return color.lower()


def _unusable(path: Path, why: str) -> SampleError:
    return SampleError(
        f"the legend {path} {why}",
        expected="a CSV file with the columns label,class and optionally color (#rrggbb)",
        todo="correct --legend",
    )
