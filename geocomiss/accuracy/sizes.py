"""Sizes of strata that are not the classes of the map: from columns of the points, or a CSV."""

from pathlib import Path

import numpy as np

from geocomiss.accuracy.columns import HECTARES, PIXELS, STRATUM
from geocomiss.accuracy.reference import Reference
from geocomiss.errors import SampleError
from geocomiss.sheets import read_sheet


def column_sizes(reference: Reference, mean: float) -> dict[str, tuple[float, float]]:
    """Pixels and hectares by stratum, from columns. Every row counts, also one without a label."""
    found: dict[str, set[tuple[float, float]]] = {}
    columns = [reference.columns.get(name) for name in (PIXELS, HECTARES)]
    for row, name in enumerate(reference.columns[STRATUM].tolist()):
        pixels, hectares = (None if column is None else column[row] for column in columns)
        if name:
            found.setdefault(name, set()).add(_size(pixels, hectares, mean, reference.name))
    wrong = sorted(name for name, sizes in found.items() if len(sizes) > 1)
    if wrong:
        raise SampleError(
            f"strata with several sizes in '{reference.name}': {', '.join(wrong)}",
            expected="one size a stratum",
            todo="correct the columns, or give --strata-sizes",
        )
    return {name: sizes.pop() for name, sizes in found.items()}


def read_sizes(path: Path, mean: float) -> dict[str, tuple[float, float]]:
    """Pixels and hectares by stratum, from a CSV with `stratum` and `pixels` or `area_ha`."""
    try:
        columns, rows = read_sheet(path)
    except (OSError, ValueError) as error:
        raise _unusable(path, f"cannot be read ({error})") from error
    if not rows or "stratum" not in columns or not {"pixels", "area_ha"} & set(columns):
        raise _unusable(path, f"have the columns {', '.join(columns) or 'none'}")
    names = [row["stratum"] for row in rows]
    if len(set(names)) < len(names):
        raise _unusable(path, "name a stratum twice")
    return {
        name: _size(row.get("pixels"), row.get("area_ha"), mean, path.name)
        for name, row in zip(names, rows, strict=True)
    }


def _size(pixels: str | None, hectares: str | None, mean: float, where: str) -> tuple[float, float]:
    """Pixels and hectares, the one from the other where it is missing."""
    try:
        one = float(pixels) if pixels else float(hectares or "") / mean
        other = float(hectares) if hectares else one * mean
    except ValueError as error:
        raise _unusable(Path(where), f"hold {pixels or hectares or 'nothing'!r}") from error
    if not (0 < one < np.inf and 0 < other < np.inf):
        raise _unusable(Path(where), f"hold {pixels or hectares!r}")
    return one, other


def _unusable(path: Path, why: str) -> SampleError:
    return SampleError(
        f"the sizes of strata in '{path.name}' {why}",
        expected="a CSV with the columns stratum and pixels or area_ha (or columns of the points: "
        f"{PIXELS} or {HECTARES}), numbers above 0",
        todo="correct it",
    )
