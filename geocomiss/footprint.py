"""Where a model's training samples lie, without saying where: salted hashes of their pixels.

With them a map can be assessed honestly: a reference point on a pixel that the model was trained on
says little. Hashes are cut to 32 bits, so that one who tries every pixel of a country against them
finds thousands of false places among the true ones; that hinders, it does not prevent. In turn about
one reference point in 50,000 is wrongly taken for a training one, with a model of 10,000 samples.

N places.
"""

import hashlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Final

import numpy as np
import shapely
from numpy.typing import NDArray
from pyproj import Transformer

from geocomiss.errors import SampleError

PIXEL: Final = 10.0
"""Side of a pixel in metres."""
ZONE: Final = 6
"""Degrees of longitude of a UTM zone."""
DIGITS: Final = 8
"""Hexadecimal digits of a hash: 32 bits."""

THIN: Final = 3
"""Of a parcel one pixel in so many is hashed, each way: the card stays small."""

OUTLINE: Final = "outline"
"""Column of a samples table with the parcel of each sample, as WKT in degrees."""

Cell = tuple[int, int, int]
"""UTM zone (negative south of the equator), column and row of a pixel."""
NOWHERE: Final[Cell] = (0, 0, 0)
"""Of a place without coordinates: there is no zone 0."""


@dataclass(frozen=True)
class Footprint:
    """Hashed pixels."""

    salt: str
    """Mixed into every hash, so that the hashes of two models cannot be compared."""
    pixels: frozenset[str]
    """Their hashes."""
    others: tuple["Footprint", ...] = ()
    """Those of models that this one began from, each with a salt of its own."""

    def covers(self, lat: NDArray[np.float64], lon: NDArray[np.float64]) -> NDArray[np.bool_]:
        """Which places lie on one of the pixels or next to it, (N,).

        Neighbours count: a sample's own grid may lie askew to that of UTM.
        """
        return np.array([self._near(cell) for cell in _cells(lat, lon)], dtype=bool)

    def _near(self, cell: Cell) -> bool:
        zone, col, row = cell
        around = [(zone, col + right, row + down) for right in (-1, 0, 1) for down in (-1, 0, 1)]
        own = any(_hash(self.salt, each) in self.pixels for each in around)
        return own or any(other._near(cell) for other in self.others)


def footprint_of(
    lat: NDArray[np.float64], lon: NDArray[np.float64], secret: str, outlines: Iterable[str] = ()
) -> Footprint:
    """Hash the pixels of places and of the parcels that they stand for.

    Args:
        lat: (N,) degrees north.
        lon: (N,) degrees east.
        secret: What the salt is derived from: the digest of the samples, so that training twice
            gives the same bytes.
        outlines: Parcels that samples were drawn in, as WKT in degrees; the rest of a parcel is no
            independent place either.

    Raises:
        SampleError: An outline is no polygon.
    """
    salt = hashlib.sha256(f"footprint {secret}".encode()).hexdigest()[:16]
    cells = {cell for cell in _cells(lat, lon) if cell != NOWHERE}
    for outline in sorted(set(outlines) - {""}):
        cells.update(_cells_in(outline))
    return Footprint(salt, frozenset(_hash(salt, cell) for cell in cells))


def _cells_in(outline: str) -> Iterator[Cell]:
    """Every third pixel of a parcel each way: a place in it has one of these beside it, or is one.

    These stand for the nine pixels around them, and count where the parcel reaches into any.
    """
    try:
        parcel = shapely.from_wkt(outline)
        middle = shapely.point_on_surface(parcel)
        lon, lat = middle.x, middle.y
    except (shapely.errors.ShapelyError, AttributeError) as error:
        raise SampleError(
            f"the outline {outline[:40]!r} of a parcel cannot be read",
            expected="a polygon as WKT in degrees, as `geocomiss sample` writes it",
            todo="sample again, or rename the column 'outline'",
        ) from error
    zone = int(np.clip(np.floor((lon + 180) / ZONE) + 1, 1, 60)) * (-1 if lat < 0 else 1)
    utm = Transformer.from_crs(4326, (32600 if zone > 0 else 32700) + abs(zone), always_xy=True)
    parcel = shapely.transform(parcel, lambda xy: np.stack(utm.transform(xy[:, 0], xy[:, 1]), 1))
    span = THIN * PIXEL
    left, bottom, right, top = np.floor(np.array(parcel.bounds) / span).astype(int).tolist()
    # one more each way: its neighbours may reach in
    col, row = (
        THIN * each.ravel()
        for each in np.meshgrid(np.arange(left - 1, right + 2), np.arange(bottom - 1, top + 2))
    )
    x, y = (col + 0.5) * PIXEL, (row + 0.5) * PIXEL
    shapely.prepare(parcel)
    half = span / 2
    reached = shapely.intersects(parcel, shapely.box(x - half, y - half, x + half, y + half))
    for each_col, each_row in zip(col[reached].tolist(), row[reached].tolist(), strict=True):
        yield zone, each_col, each_row


def joined(pixels: frozenset[str]) -> str:
    """All hashes in one text, sorted: their order tells nothing."""
    return "".join(sorted(pixels))


def split(text: str) -> frozenset[str]:
    """The hashes in a text."""
    return frozenset(text[start : start + DIGITS] for start in range(0, len(text), DIGITS))


def _cells(lat: NDArray[np.float64], lon: NDArray[np.float64]) -> list[Cell]:
    """The 10 m pixel of the UTM grid in which each place lies; places that are no numbers have none."""
    found: list[Cell] = [NOWHERE] * len(lat)
    known = np.isfinite(lat) & np.isfinite(lon)
    zones = np.zeros(len(lat), np.int64)
    zones[known] = np.clip(np.floor((lon[known] + 180) / ZONE) + 1, 1, 60)
    zones = np.where(lat < 0, -zones, zones)
    for zone in np.unique(zones[known]).tolist():
        at = np.flatnonzero(known & (zones == zone))
        utm = Transformer.from_crs(4326, (32600 if zone > 0 else 32700) + abs(zone), always_xy=True)
        x, y = utm.transform(lon[at], lat[at])
        col, row = (np.floor(each / PIXEL).astype(np.int64).tolist() for each in (x, y))
        for place, *cell in zip(at.tolist(), col, row, strict=True):
            found[place] = (zone, cell[0], cell[1])
    return found


def _hash(salt: str, cell: Cell) -> str:
    return hashlib.sha256(f"{salt} {cell}".encode()).hexdigest()[:DIGITS]
