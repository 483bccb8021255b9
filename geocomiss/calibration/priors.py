"""Class shares that a user knows: a CSV file `class,share`."""

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from geocomiss.errors import SampleError
from geocomiss.sheets import read_sheet

TOLERANCE: Final = 0.01
"""How far the shares may add up to something else than 1: they were rounded."""
PER_CENT: Final = 100.0


def read_priors(path: Path, classes: tuple[str, ...]) -> tuple[float, ...]:
    """The known share of each class (K,), adding up to 1.

    Shares are parts of the mapped area (or of the samples), or per cent of it.

    Args:
        path: CSV with the columns `class,share`, a row per class.
        classes: The K classes of the model.

    Raises:
        SampleError: The file is missing, has no such columns, leaves a class out, names another one,
            or its shares are no numbers from 0 that add up to 1 or 100.
    """
    shares = _shares(path)
    if wrong := [name for name in shares if name not in classes]:
        raise _unusable(path, f"has the class {', '.join(wrong)}", classes)
    if lacking := [name for name in classes if name not in shares]:
        raise _unusable(path, f"has no share of {', '.join(lacking)}", classes)
    total = sum(shares.values())
    if not any(abs(total - whole) <= TOLERANCE * whole for whole in (1.0, PER_CENT)):
        raise _unusable(path, f"has shares that add up to {total:g}", classes)
    return tuple(shares[name] / total for name in classes)


def _shares(path: Path) -> dict[str, float]:
    try:
        columns, rows = read_sheet(path)
    except (OSError, ValueError) as error:
        raise _unusable(path, f"cannot be read ({error})") from error
    if not {"class", "share"} <= set(columns):
        raise _unusable(path, f"has the columns {', '.join(columns) or 'none'}")
    shares: dict[str, float] = {}
    for row in rows:
        name, share = row["class"], _number(path, row)
        if shares.setdefault(name, share) != share:
            raise _unusable(path, f"gives {name!r} two shares, {shares[name]:g} and {share:g}")
    return shares


def _number(path: Path, row: Mapping[str, str]) -> float:
    text = row["share"]
    try:
        share = float(text.replace(",", "."))  # a decimal comma
    except ValueError as error:
        raise _unusable(path, f"has the share {text!r}") from error
    if not (math.isfinite(share) and share >= 0):
        raise _unusable(path, f"has the share {text}")
    return share


def _unusable(path: Path, why: str, classes: tuple[str, ...] = ()) -> SampleError:
    every = ", ".join(classes) or "a row for each class"
    return SampleError(
        f"the priors {path} {why}",
        expected=f"a CSV file with the columns class,share: {every}, adding up to 1 or to 100 per cent",
        todo="correct --priors",
    )
