"""The Stack: what satellites, weather and terrain say about a grid over a season.

A stack is an `xr.DataTree` with one group a modality, in canonical units whatever the source.
NaN, and only NaN, says "missing". Optical and radar lie on the grid, `(time, y, x)` per band;
weather lies on its own coarse grid; topography has no time, `(y, x)`. Each dynamic group carries
`count (time, y, x)`: the clear observations behind each step. The root's attributes state how the
stack was made (`recipe`) and when (`calendar`).
"""

from geocomiss.stack.layout import (
    COUNT,
    Origin,
    assign_grid,
    bands_of,
    grid_of_group,
    grid_of_stack,
    groups_of,
    new_stack,
    origin_of,
    window,
    with_origin,
    without,
)
from geocomiss.stack.pixels import PixelSeries, series_at
from geocomiss.stack.season import (
    cut_to_season,
    holds,
    periods,
)
from geocomiss.stack.spots import STORED, chunked, pieces, read_spots
from geocomiss.stack.store import (
    read_area,
    read_stack,
    write_stack,
)
from geocomiss.stack.sweep import swept
from geocomiss.stack.units import (
    MAX_OUTSIDE,
    check_units,
    unit_problems,
)

__all__ = [
    "COUNT",
    "MAX_OUTSIDE",
    "STORED",
    "Origin",
    "PixelSeries",
    "assign_grid",
    "bands_of",
    "check_units",
    "chunked",
    "cut_to_season",
    "grid_of_group",
    "grid_of_stack",
    "groups_of",
    "holds",
    "new_stack",
    "origin_of",
    "periods",
    "pieces",
    "read_area",
    "read_spots",
    "read_stack",
    "series_at",
    "swept",
    "unit_problems",
    "window",
    "with_origin",
    "without",
    "write_stack",
]
