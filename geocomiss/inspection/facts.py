"""What facts are made of."""

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from geocomiss.grid import crs_of, crs_text

if TYPE_CHECKING:
    from odc.geo.geobox import GeoBox

Facts = dict[str, Any]
"""Facts by name, plain values; `what` comes first. A list of records with equal keys is a table."""


def grid_facts(grid: "GeoBox") -> Facts:
    """Where the pixels of a grid lie."""
    return {
        "crs": crs_text(crs_of(grid)),
        "width": grid.width,
        "height": grid.height,
        "resolution": abs(grid.affine.a),
        "left": grid.affine.c,
        "top": grid.affine.f,
    }


def rounded(numbers: Iterable[float]) -> list[float]:
    """Degrees to about a metre."""
    return [round(float(number), 5) for number in numbers]
