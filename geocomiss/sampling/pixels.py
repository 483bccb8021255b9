"""From points and polygons to the pixels whose series are read.

Polygons give pixels drawn at random, away from their edge, where a pixel looks like one crop. A pixel
that several features fall on counts once; where their labels differ it is mixed, and not used.

F features, P pixels, L lattices.
"""

from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import shapely
from numpy.typing import NDArray
from pyproj import Transformer

from geocomiss.errors import SampleError
from geocomiss.sampling.features import Features
from geocomiss.sampling.lattice import DEGREES, Lattice, lattice_of, moved, zone_of
from geocomiss.sampling.request import LeftOut, SamplingRequest
from geocomiss.sources.base import Source

OUTSIDE: Final = "outside the source"
TOO_THIN: Final = "no pixel lies as far inside as --edge asks"
DUPLICATE: Final = "same pixel, season and label as another"
MIXED: Final = "same pixel and season as another with a different label"
AT_ONCE: Final = 4_000_000
"""Pixels looked at together in search of those inside a polygon."""

Ints = NDArray[np.int64]


@dataclass(frozen=True)
class Pixels:
    """P pixels, each the place of one sample, in the order in which they are read."""

    lattices: tuple[Lattice, ...]
    """Their L grids."""
    lattice: Ints
    """(P,) which of these."""
    row: Ints
    """(P,) row in it."""
    col: Ints
    """(P,) column in it."""
    feature: Ints
    """(P,) the feature that it is a pixel of, 0..F-1."""
    lat: NDArray[np.float64]
    """(P,) degrees north of the pixel's centre."""
    lon: NDArray[np.float64]
    """(P,) degrees east."""

    def __len__(self) -> int:
        """Number of pixels P."""
        return len(self.row)

    def take(self, chosen: Any) -> "Pixels":
        """Some of the pixels, by index or mask."""
        parts = (self.lattice, self.row, self.col, self.feature, self.lat, self.lon)
        return Pixels(self.lattices, *(part[chosen] for part in parts))


def pixels_of(
    features: Features, source: Source, request: SamplingRequest
) -> tuple[Pixels, list[LeftOut], list[str]]:
    """The pixels to read, what gives none, and what a user should worry about.

    Raises:
        SampleError: No pixel is left.
        AreaError: The pixel grid that is asked for makes no sense.
    """
    left = [_left(features, at, str(features.why[at])) for at in np.flatnonzero(features.why != "").tolist()]
    middles = shapely.point_on_surface(features.shapes)
    found: dict[str, Lattice] = {}
    parts: dict[str, list[Ints]] = {}
    borders = 0
    for at in np.flatnonzero(features.why == "").tolist():
        lattice = _lattice(found, source, middles[at], request)
        key, drawer = next(key for key, each in found.items() if each is lattice), _Drawer(lattice, request)
        row, col, why = drawer.draw(features.shapes[at], at)
        if why:
            left.append(_left(features, at, why))
            continue
        borders += drawer.on_border(features.shapes[at], row, col) if features.polygons[at] else 0
        parts.setdefault(key, []).append(np.stack([row, col, np.full(len(row), at)]))
    if not parts:
        raise nothing_left(features, left)
    pixels = _joined(found, parts)
    kept, more = _once(pixels, features)
    warnings = [f"{borders} pixels reach over the edge of their polygon (see --edge)"] if borders else []
    return kept, left + more, warnings


def nothing_left(features: Features, left: list[LeftOut]) -> SampleError:
    """What to say when no sample is left."""
    reasons: dict[str, int] = {}
    for each in left:
        reasons[each.why] = reasons.get(each.why, 0) + 1
    told = ", ".join(f"{number} {why}" for why, number in reasons.items())
    return SampleError(
        f"none of the {len(features)} points or polygons of '{features.name}' gives a sample: {told}",
        expected="points with a label in the source's area, or polygons that hold whole pixels",
        todo="check that points and source are of the same place; for narrow polygons lower --edge",
    )


def _lattice(found: dict[str, Lattice], source: Source, middle: Any, request: SamplingRequest) -> Lattice:
    """The pixels at a place, each lattice made once."""
    zone = zone_of(middle.x, middle.y)
    key = str(zone) if source.grid is None and request.crs == "auto" else "one"
    if key not in found:
        found[key] = lattice_of(source, middle.x, middle.y, request.crs, request.resolution)
    return found[key]


class _Drawer:
    """Finds pixels of features on a lattice."""

    def __init__(self, lattice: Lattice, request: SamplingRequest) -> None:
        self.lattice, self.request = lattice, request

    def draw(self, shape: Any, number: int) -> tuple[Ints, Ints, str]:
        """Rows and columns of the pixels of one feature, and why there are none."""
        if shapely.get_dimensions(shape) == 2:
            return self._of_polygon(shape, number)
        place = moved(shape, DEGREES, self.lattice.crs.proj)
        row, col = self.lattice.pixels_of(np.array([place.x]), np.array([place.y]))
        return row, col, "" if self.lattice.holds(row, col).all() else OUTSIDE

    def on_border(self, shape: Any, row: Ints, col: Ints) -> int:
        """Pixels that are not wholly inside a polygon."""
        outlines = self.lattice.outlines_of(row, col)
        whole = shapely.contains(moved(shape, DEGREES, self.lattice.crs.proj), outlines)
        return int((~whole).sum())

    def _of_polygon(self, shape: Any, number: int) -> tuple[Ints, Ints, str]:
        zone = zone_of(*shapely.get_coordinates(shapely.point_on_surface(shape))[0])
        inner = moved(moved(shape, DEGREES, zone).buffer(-self.request.edge), zone, self.lattice.crs.proj)
        row, col = self._inside(inner)
        if not row.size:
            rows, cols = self.lattice.window(moved(shape, DEGREES, self.lattice.crs.proj).bounds)
            beyond = rows.start >= rows.stop or cols.start >= cols.stop
            return row, col, OUTSIDE if beyond else TOO_THIN
        held = self.lattice.holds(row, col)
        if not held.any():
            return row[held], col[held], OUTSIDE
        row, col = row[held], col[held]
        rng = np.random.default_rng([self.request.seed, number])  # a feature's own, whatever the others
        chosen = rng.choice(row.size, min(self.request.per_polygon, row.size), replace=False)
        return row[chosen], col[chosen], ""

    def _inside(self, polygon: Any) -> tuple[Ints, Ints]:
        """All pixels whose centre lies in a polygon of the lattice's CRS."""
        none = np.empty(0, np.int64)
        if polygon.is_empty:
            return none, none
        rows, cols = self.lattice.window(polygon.bounds)
        shapely.prepare(polygon)
        found = [(none, none)]
        step = max(1, AT_ONCE // max(1, cols.stop - cols.start))
        for top in range(rows.start, rows.stop, step):
            each = np.arange(top, min(top + step, rows.stop))
            row, col = (part.ravel() for part in np.meshgrid(each, np.arange(cols.start, cols.stop)))
            inside = shapely.intersects_xy(polygon, *self.lattice.centres_of(row, col))
            found.append((row[inside], col[inside]))
        return np.concatenate([row for row, _ in found]), np.concatenate([col for _, col in found])


def _joined(found: dict[str, Lattice], parts: dict[str, list[Ints]]) -> Pixels:
    """The pixels of all lattices, with the degrees of their centres."""
    lattices = tuple(found[key] for key in parts)
    columns: list[list[NDArray[Any]]] = [[] for _ in range(6)]
    for number, (lattice, pieces) in enumerate(zip(lattices, parts.values(), strict=True)):
        row, col, feature = np.concatenate(pieces, axis=1)
        change = Transformer.from_crs(lattice.crs.proj, 4326, always_xy=True)
        lon, lat = change.transform(*lattice.centres_of(row, col))
        each = (np.full(row.size, number), row, col, feature, np.asarray(lat), np.asarray(lon))
        for column, values in zip(columns, each, strict=True):
            column.append(values)
    lattice_of_each, row, col, feature, lat, lon = (np.concatenate(column) for column in columns)
    return Pixels(lattices, lattice_of_each, row, col, feature, lat, lon)


def _once(pixels: Pixels, features: Features) -> tuple[Pixels, list[LeftOut]]:
    """Each pixel once a season, and only where the labels on it agree."""
    seasons = np.unique(features.seasons, return_inverse=True)[1][pixels.feature]
    labels = np.unique(features.labels, return_inverse=True)[1][pixels.feature]
    keys = np.stack([pixels.lattice, pixels.row, pixels.col, seasons])
    group = np.unique(keys, axis=1, return_inverse=True)[1].ravel()
    order = np.lexsort((pixels.feature, group))
    first = np.zeros(len(pixels), bool)
    first[order] = np.r_[True, np.diff(group[order]) > 0]
    pairs = np.unique(np.stack([group, labels]), axis=1)[0]
    mixed = (np.bincount(pairs, minlength=group.max() + 1) > 1)[group]
    left = [
        _left(features, int(pixels.feature[at]), MIXED if mixed[at] else DUPLICATE, pixels, at)
        for at in np.flatnonzero(mixed | ~first).tolist()
    ]
    return pixels.take(first & ~mixed), left


def _left(features: Features, at: int, why: str, pixels: Pixels | None = None, pixel: int = 0) -> LeftOut:
    if pixels is not None:
        lat, lon = float(pixels.lat[pixel]), float(pixels.lon[pixel])
    else:
        place = shapely.point_on_surface(features.shapes[at])
        known = place is not None and not place.is_empty
        lat, lon = (place.y, place.x) if known else (np.nan, np.nan)
    return LeftOut(at + 1, str(features.labels[at]), lat, lon, why)
