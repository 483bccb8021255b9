"""Draw a cluster sample from a map: squares at random, and in each pixels at random.

For field work where travel costs more than labels. Of the M squares of a regular net in which the map has
a class, m are drawn with equal chances; in each, k of its N_i pixels with a class. A pixel is then drawn
with the chance m / M x min(k, N_i) / N_i, by whose inverse it is weighed.

N points, M squares.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from math import ceil
from pathlib import Path
from typing import Any, Final

import numpy as np
import rasterio
from numpy.typing import NDArray
from rasterio.errors import RasterioError

from geocomiss.accuracy.columns import CLUSTER, DESIGN, LABEL, PROBABILITY
from geocomiss.accuracy.points import check_file, write_points
from geocomiss.accuracy.raster import CROP_TYPE, TILE, MapOnDisk, open_map
from geocomiss.errors import MapError, SampleError

Ints = NDArray[np.int64]
FEWEST: Final = 2
"""Squares without which no error can be told."""


@dataclass(frozen=True)
class ClusterRequest:
    """A cluster sample to draw."""

    map: Path
    """Folder of a finished map."""
    out: Path
    """GeoPackage to write."""
    n: int
    """Points in all, about."""
    side: float
    """Side of a square in units of the map's CRS (metres for UTM)."""
    per_cluster: int = 10
    """Points drawn in a square, where it has as many pixels with a class."""
    seed: int = 0
    """Seed of the draw."""
    overwrite: bool = False
    """Whether a file that is there may be replaced."""


@dataclass(frozen=True)
class ClusterReport:
    """A cluster sample that was drawn."""

    path: Path
    """Where it was written."""
    n: int
    """Points in all."""
    drawn: int
    """Squares drawn."""
    squares: int
    """Squares with a class, M."""


@dataclass(frozen=True)
class Drawn:
    """N pixels of a cluster sample."""

    row: Ints
    """(N,) row in the map."""
    col: Ints
    """(N,) column."""
    square: Ints
    """(N,) number of its square, row by row in the net."""
    probability: NDArray[np.float64]
    """(N,) chance with which it was drawn."""


def draw_clusters(request: ClusterRequest) -> ClusterReport:
    """Draw and write a cluster sample.

    Raises:
        MapError: No finished map, or the file cannot be written.
        SampleError: Squares smaller than a pixel, or too few of them.
    """
    check_file(request.out, request.overwrite)
    one = open_map(request.map)
    side = round(request.side / abs(one.grid.affine.a))
    if side < 1:
        raise SampleError(
            f"squares of {request.side:g}, smaller than a pixel of {abs(one.grid.affine.a):g}",
            expected="the side of a square in units of the map's CRS",
            todo="correct --clusters",
        )
    counts = _counts(one, side)
    rng = np.random.default_rng(request.seed)
    drawn = draw_pixels(one, counts, side, request, rng)
    order = rng.permutation(np.unique(drawn.square))  # squares in random order, their points together
    place = np.lexsort(
        (rng.random(len(drawn.row)), np.argsort(order)[np.searchsorted(np.sort(order), drawn.square)])
    )
    write_points(request.out, one, (drawn.row[place], drawn.col[place]), _columns(drawn, place))
    return ClusterReport(request.out, len(drawn.row), len(order), int((counts > 0).sum()))


def draw_pixels(
    one: MapOnDisk, counts: Ints, side: int, request: ClusterRequest, rng: np.random.Generator
) -> Drawn:
    """Draw squares, and pixels in them.

    Args:
        one: The map.
        counts: (rows, columns) pixels with a class in each square of the net.
        side: Pixels a side of a square.
        request: How many.
        rng: Source of randomness.

    Raises:
        SampleError: There are not so many squares.
    """
    squares = np.flatnonzero(counts.ravel())
    wanted = max(FEWEST, ceil(request.n / request.per_cluster))
    if wanted > len(squares):
        raise SampleError(
            f"{wanted:,} squares wanted ({request.n:,} points, {request.per_cluster} in each), and the map "
            f"has {len(squares):,} with a class",
            expected="as many squares",
            todo="give smaller ones with --clusters, fewer points, or more in each with --per-cluster",
        )
    parts = []
    with rasterio.open(one.folder / CROP_TYPE) as file:
        for square in np.sort(rng.choice(squares, wanted, replace=False)).tolist():
            top, left = (side * each for each in divmod(square, counts.shape[1]))
            block = file.read(
                1, window=((top, min(top + side, file.height)), (left, min(left + side, file.width)))
            )
            rows, cols = np.nonzero(block)
            taken = rng.choice(len(rows), min(request.per_cluster, len(rows)), replace=False)
            chance = wanted / len(squares) * len(taken) / len(rows)
            full = np.full(len(taken), square)
            parts.append((rows[taken] + top, cols[taken] + left, full, np.full(len(taken), chance)))
    return Drawn(*(np.concatenate(each) for each in zip(*parts, strict=True)))


def _counts(one: MapOnDisk, side: int) -> Ints:
    """Pixels with a class in each square of the net, (rows, columns), strip by strip."""
    shape = (ceil(one.grid.height / side), ceil(one.grid.width / side))
    counts = np.zeros(shape, np.int64)
    for top, left, block in _blocks(one):
        rows, cols = np.nonzero(block)
        np.add.at(counts, ((rows + top) // side, (cols + left) // side), 1)
    return counts


def _blocks(one: MapOnDisk) -> Iterator[tuple[int, int, NDArray[np.uint8]]]:
    """The classes of the map, tile by tile, with the first row and column of each."""
    try:
        with rasterio.open(one.folder / CROP_TYPE) as file:
            for top in range(0, file.height, TILE):
                for left in range(0, file.width, TILE):
                    window = ((top, min(top + TILE, file.height)), (left, min(left + TILE, file.width)))
                    yield top, left, file.read(1, window=window)
    except RasterioError as error:
        raise MapError(
            f"{one.folder / CROP_TYPE} is damaged", expected="a whole map", todo="make the map again"
        ) from error


def _columns(drawn: Drawn, place: Ints) -> dict[str, Any]:
    number = len(place)
    return {
        "id": np.arange(1, number + 1),
        LABEL: np.full(number, None, object),
        "note": np.full(number, None, object),
        CLUSTER: drawn.square[place] + 1,
        PROBABILITY: drawn.probability[place],
        DESIGN: np.full(number, "cluster", object),
    }
