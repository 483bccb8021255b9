"""Draw a validation sample from a map: stratified by its classes, at random, ready to be labelled.

The file says all that an assessment needs to know of the design. It does not name the class at a
point, and points come in random order, so that whoever labels them is not led, and the first points
of each stratum are a sample themselves where time runs out.

N points, H strata.
"""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import numpy as np
import rasterio
from numpy.typing import NDArray
from rasterio.errors import RasterioError

from geocomiss.accuracy.allocation import Allocation, allocate, expected_se, shares, size_for
from geocomiss.accuracy.columns import (
    DESIGN,
    DRAWN,
    HECTARES,
    LABEL,
    PIXELS,
    PROBABILITY,
    STRATUM,
)
from geocomiss.accuracy.points import check_file, write_points
from geocomiss.accuracy.raster import CROP_TYPE, TILE, MapOnDisk, open_map, tally
from geocomiss.errors import MapError, SampleError
from geocomiss.grid import tiles_of

EXPECTED: Final = 0.8
"""User's accuracy expected where nothing is said."""
AT_LEAST: Final = 10
"""Points a class gets at least: fewer say little about it."""


@dataclass(frozen=True)
class DesignRequest:
    """A validation sample to draw."""

    map: Path
    """Folder of a finished map."""
    out: Path
    """GeoPackage to write."""
    n: int | None = None
    """Points in all; None: as many as `target_se` takes."""
    target_se: float | None = None
    """Standard error of overall accuracy to reach, between 0 and 1; None: `n` decides."""
    allocation: Allocation = "proportional"
    """How points are shared out among classes."""
    expected: dict[str, float] = field(default_factory=dict)
    """User's accuracies expected, by name of class; `EXPECTED` where none is given."""
    expected_default: float = EXPECTED
    """User's accuracy expected of the other classes."""
    at_least: int = AT_LEAST
    """Points a class gets at least."""
    seed: int = 0
    """Seed of the draw."""
    overwrite: bool = False
    """Whether a file that is there may be replaced."""


@dataclass(frozen=True)
class Stratum:
    """One stratum of a sample."""

    name: str
    """Its class."""
    pixels: int
    """Pixels it has."""
    hectares: float
    """Its true area."""
    points: int
    """Points drawn in it."""
    expected: float
    """User's accuracy expected."""


@dataclass(frozen=True)
class DesignReport:
    """A sample that was drawn."""

    path: Path
    """Where it was written."""
    strata: tuple[Stratum, ...]
    """Its strata, in the order of the map's classes."""
    overall_se: float
    """Standard error of overall accuracy to expect."""

    @property
    def n(self) -> int:
        """Points in all."""
        return sum(each.points for each in self.strata)


def draw_sample(request: DesignRequest) -> DesignReport:
    """Draw and write a validation sample.

    Raises:
        MapError: No finished map, or the file cannot be written.
        SampleError: Numbers that do not fit the map.
    """
    check_file(request.out, request.overwrite)
    one = open_map(request.map)
    counted = tally(one)
    values = np.array([value for value in one.classes if counted.pixels[value]])
    if not values.size:
        raise SampleError("a map without a single class", expected="mapped pixels", todo="check --map")
    pixels = counted.pixels[values]
    expected = _expected(request, one, values)
    part = shares(pixels, expected, request.allocation)
    n = request.n
    if n is None:
        n = size_for(request.target_se or 1.0, pixels, expected, request.allocation)
        n = max(n, int(np.minimum(request.at_least, pixels).sum()))
    points = allocate(n, pixels, part, request.at_least)
    rng = np.random.default_rng(request.seed)
    row, col, stratum = _pixels(one, values, pixels, points, rng)
    order = rng.permutation(len(row))
    strata = tuple(
        Stratum(one.classes[value], int(size), float(counted.hectares[value]), int(number), float(accuracy))
        for value, size, number, accuracy in zip(values, pixels, points, expected, strict=True)
    )
    chosen = _Chosen(row[order], col[order], values[stratum[order]], stratum[order])
    write_points(request.out, one, (chosen.row, chosen.col), _columns(chosen, strata))
    return DesignReport(request.out, strata, expected_se(points, pixels, expected))


def _expected(request: DesignRequest, one: MapOnDisk, values: NDArray[np.int64]) -> NDArray[np.float64]:
    unknown = sorted(request.expected.keys() - set(one.classes.values()))
    if unknown:
        raise SampleError(
            f"expected accuracies of {', '.join(unknown)}",
            expected=f"classes of the map: {', '.join(one.classes.values())}",
            todo="correct --expect",
        )
    names = [one.classes[value] for value in values.tolist()]
    return np.array([request.expected.get(name, request.expected_default) for name in names])


def _pixels(
    one: MapOnDisk,
    values: NDArray[np.int64],
    pixels: NDArray[np.int64],
    points: NDArray[np.int64],
    rng: np.random.Generator,
) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]:
    """Rows, columns and strata of pixels drawn at random without replacement, (N,) each."""
    # the how-manieth pixels of their class they are, counted tile by tile
    ranks = [np.sort(rng.choice(size, n, replace=False)) for size, n in zip(pixels, points, strict=True)]
    before = np.zeros(len(values), np.int64)
    found: list[tuple[NDArray[np.int64], ...]] = []
    try:
        with rasterio.open(one.folder / CROP_TYPE) as file:
            for tile in tiles_of(one.grid, TILE):
                block = file.read(1, window=((tile.y.start, tile.y.stop), (tile.x.start, tile.x.stop)))
                for stratum, value in enumerate(values):
                    rows, cols = np.nonzero(block == value)
                    done = before[stratum]
                    first, last = np.searchsorted(ranks[stratum], [done, done + rows.size])
                    here = ranks[stratum][first:last] - done
                    before[stratum] += rows.size
                    part = np.full(here.size, stratum)
                    found.append((rows[here] + tile.y.start, cols[here] + tile.x.start, part))
    except RasterioError as error:
        raise MapError(
            f"{one.folder / CROP_TYPE} is damaged", expected="a whole map", todo="make the map again"
        ) from error
    row, col, stratum_of = (np.concatenate(each).astype(np.int64) for each in zip(*found, strict=True))
    return row, col, stratum_of


@dataclass(frozen=True)
class _Chosen:
    """N pixels in the order in which they are written."""

    row: NDArray[np.int64]
    col: NDArray[np.int64]
    value: NDArray[np.int64]
    """Class value of the stratum."""
    stratum: NDArray[np.int64]
    """Position of the stratum."""


def _columns(chosen: _Chosen, strata: tuple[Stratum, ...]) -> dict[str, Any]:
    at = chosen.stratum
    pixels = np.array([each.pixels for each in strata])
    return {
        "id": np.arange(1, len(at) + 1),
        LABEL: np.full(len(at), None, object),
        "note": np.full(len(at), None, object),
        STRATUM: chosen.value,
        PIXELS: pixels[at],
        HECTARES: np.array([each.hectares for each in strata])[at],
        PROBABILITY: np.array([each.points for each in strata])[at] / pixels[at],
        DESIGN: np.full(len(at), DRAWN, object),
    }
