"""Which radar passes are used where: one direction in each cell of about 100 km, for a whole season.

Ascending and descending passes look at a slope from opposite sides; mixed in one average they belong to no
geometry at all. Cells are the same for everybody, and what is decided in one depends on nothing but the
acquisitions of the season over the cell: samples and maps of it agree, whatever their windows.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from math import cos, floor, radians
from typing import Any, Final, Protocol

import shapely

ROWS: Final = 200
"""Rows of cells from pole to pole: 0.9 degrees, 100 km, each."""
HEIGHT: Final = 180 / ROWS
COVERED: Final = 10
"""Directions are compared by the tenths of a cell that they cover, then by the observations of a place."""
BOTH: Final = "both"
"""In place of a direction: passes of both are used together."""

Cell = tuple[int, int]
"""Row from the south pole, column from 180 W."""
Box = tuple[float, float, float, float]
"""West, south, east, north in degrees."""


class Pass(Protocol):
    """What one pass of a satellite saw."""

    @property
    def direction(self) -> str:
        """'ascending' or 'descending'."""

    @property
    def outline(self) -> Any:
        """Its footprint in degrees (shapely)."""


@dataclass(frozen=True)
class Directions:
    """The direction used in each cell that an area meets."""

    by_cell: Mapping[Cell, str]
    """'ascending', 'descending' or 'both'; '' where there is no acquisition."""

    @property
    def name(self) -> str:
        """What all cells use, 'mixed' where they differ, 'unknown' where there is nothing."""
        found = {direction for direction in self.by_cell.values() if direction}
        return found.pop() if len(found) == 1 else "mixed" if found else "unknown"

    def areas(self, area: Any) -> list[tuple[str, Any]]:
        """(direction, boxes of the cells that use it) for an area (shapely); None where all cells agree."""
        met = {cell: direction for cell, direction in self.by_cell.items() if box_of(cell).intersects(area)}
        found = sorted({direction for direction in met.values() if direction})
        if len(found) == 1 and "" not in met.values():
            return [(found[0], None)]
        return [(each, [box_of(cell).bounds for cell in sorted(met) if met[cell] == each]) for each in found]

    def notes(self) -> Iterable[str]:
        """What was decided, in words."""
        if self.name == "mixed":
            told = ", ".join(
                f"{_place(cell)} {each or 'none'}" for cell, each in sorted(self.by_cell.items())
            )
            yield f"radar passes by cell of about 100 km: {told}"
        elif self.name == BOTH:
            yield "radar passes of both directions are used together: slopes look different from each"
        elif self.name != "unknown":
            yield f"only {self.name} radar passes are used"


def cells_of(box: Box) -> list[Cell]:
    """The cells that a box meets."""
    west, south, east, north = box
    found = []
    for row in range(_row(south), _row(north) + 1):
        width = _width(row)
        found += [(row, col) for col in range(floor((west + 180) / width), floor((east + 180) / width) + 1)]
    return found


def box_of(cell: Cell) -> Any:
    """A cell in longitude and latitude (shapely)."""
    row, col = cell
    width = _width(row)
    south = -90 + row * HEIGHT
    return shapely.box(-180 + col * width, south, -180 + (col + 1) * width, south + HEIGHT)


def around(cells: Sequence[Cell]) -> Box:
    """The box of some cells."""
    west, south, east, north = shapely.union_all([box_of(cell) for cell in cells]).bounds
    return float(west), float(south), float(east), float(north)


def best(cell: Any, acquisitions: Sequence[Pass]) -> str:
    """The direction that covers more of a cell, and of equals the one that sees a place more often."""
    seen: dict[str, list[Any]] = {}
    for each in acquisitions:
        part = each.outline.intersection(cell)
        if part.area > 0:
            seen.setdefault(each.direction, []).append(part)
    scores = {
        direction: (
            round(COVERED * shapely.union_all(parts).area / cell.area),
            sum(part.area for part in parts),
        )
        for direction, parts in seen.items()
    }
    return max(sorted(scores), key=scores.__getitem__, default="")


def _row(latitude: float) -> int:
    return min(ROWS - 1, max(0, floor((latitude + 90) / HEIGHT)))


def _width(row: int) -> float:
    """Degrees of longitude of a cell: as long as it is high, a whole number of cells around the Earth."""
    middle = -90 + (row + 0.5) * HEIGHT
    return 360 / max(1, round(2 * ROWS * cos(radians(middle))))


def _place(cell: Cell) -> str:
    west, south, _, _ = box_of(cell).bounds
    return f"{abs(south):.1f}{'N' if south >= 0 else 'S'} {abs(west):.1f}{'E' if west >= 0 else 'W'}"
