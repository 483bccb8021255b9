"""Fields as polygons: which field a place lies in, how far from its edge, and what grows there.

Districts of a few kilometres are the Voronoi cells of a jittered lattice. Each has its own direction,
size and shape of fields, which are the Voronoi cells of another jittered lattice in the district's own
axes. Between fields, and along district borders, runs a strip of hedges and tracks. A field bears the
same crop every year, so the true map needs no season; sowing dates and weather do change.
"""

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from geocomiss.simulation.crops import CLASS_OF_KIND, KINDS, STRIP
from geocomiss.simulation.noise import hashed, normal, stream, uniform
from geocomiss.simulation.places import Places, places_in_plane
from geocomiss.simulation.terrain import elevation, slope
from geocomiss.simulation.weather import Climate, climate

U64 = NDArray[np.uint64]
Ints = NDArray[np.int64]
Doubles = NDArray[np.float64]
Floats = NDArray[np.float32]

DISTRICT: Final = 2600.0
"""Distance between districts in metres."""
FIELD_LENGTH: Final = (170.0, 360.0)
"""Range of the typical length of a district's fields in metres."""
FIELD_ASPECT: Final = (1.0, 2.2)
"""Range of length to width."""
JITTER: Final = 0.32
"""How far a seed strays from its lattice point, as a share of the cell."""
HALF_STRIP: Final = 4.0
"""Half the width of the strip between fields, in metres."""
PIXEL: Final = 10.0
"""Width in metres over which an edge mixes field and strip."""
DIRECTIONS: Final = np.array(
    [
        [1.0, 0.96, 0.8, 0.6, 0.28, 0.0, -0.28, -0.6, -0.8, -0.96],
        [0.0, 0.28, 0.6, 0.8, 0.96, 1.0, 0.96, 0.8, 0.6, 0.28],
    ]
)
"""Cosine and sine of the directions of fields: Pythagorean, so exact."""


@dataclass(frozen=True)
class Fields:
    """F distinct fields."""

    key: U64
    """A hash that names each field, (F,)."""
    kind: Ints
    """Index into `KINDS`, (F,)."""
    places: Places
    """A place inside each field, (F,)."""
    climate: Climate
    """Climate of each field, (F,)."""

    def draw(self, seed: int, name: str, *numbers: int) -> Floats:
        """A standard normal value for each field, (F,)."""
        return normal(hashed(stream(seed, name, *numbers), self.key.view(np.int64)))

    def chance(self, seed: int, name: str, *numbers: int) -> Floats:
        """A uniform value in [0, 1) for each field, (F,)."""
        return uniform(hashed(stream(seed, name, *numbers), self.key.view(np.int64)))


@dataclass(frozen=True)
class Cover:
    """What covers N places."""

    fields: Fields
    """The distinct fields among them."""
    field: Ints
    """Row of `fields` for each place, (N,)."""
    strip: Floats
    """Share of each pixel that belongs to the strip between fields, (N,)."""

    @property
    def kind(self) -> Ints:
        """Kind of cover at each place, (N,): the strip's where it takes more than half."""
        return np.where(self.strip > 0.5, STRIP, self.fields.kind[self.field])

    @property
    def value(self) -> NDArray[np.uint8]:
        """True class (1..K) at each place, (N,)."""
        return np.asarray(CLASS_OF_KIND[self.kind])


def cover(seed: int, places: Places) -> Cover:
    """The cover of places, flattened to N."""
    x, y = places.x.ravel(), places.y.ravel()
    district, cx, cy, border = _nearest(stream(seed, "districts"), x / DISTRICT, y / DISTRICT, None)
    across, along, length, width = _axes(seed, district)
    dx, dy = x - cx * DISTRICT, y - cy * DISTRICT
    u, v = (dx * across + dy * along) / length, (dy * across - dx * along) / width
    key, fu, fv, edge = _nearest(stream(seed, "fields"), u, v, (district, length, width))
    keys, first, field = np.unique(key, return_index=True, return_inverse=True)
    du, dv = (fu * length)[first], (fv * width)[first]
    across, along = across[first], along[first]
    centre = places_in_plane(
        cx[first] * DISTRICT + du * across - dv * along, cy[first] * DISTRICT + du * along + dv * across
    )
    distance = np.minimum(edge, border * DISTRICT)
    strip = np.clip((HALF_STRIP + PIXEL / 2 - distance) / PIXEL, 0, 1).astype(np.float32)
    return Cover(_fields(seed, keys, centre), field.ravel(), strip)


def _fields(seed: int, keys: U64, centre: Places) -> Fields:
    height = elevation(seed, centre)
    here = climate(seed, centre, height)
    steep = slope(seed, centre)
    score = np.stack([_suitability(number, here, height, steep) for number in range(STRIP)])  # (kinds, F)
    # the largest of shares in logarithm plus Gumbel noise is a draw by these shares
    for number in range(STRIP):
        chance = uniform(hashed(stream(seed, "crop", number), keys.view(np.int64)))
        score[number] -= np.log(-np.log(np.clip(chance.astype(np.float64), 1e-7, 1 - 1e-7)))
    return Fields(keys, score.argmax(0).astype(np.int64), centre, here)


def _suitability(number: int, here: Climate, height: Floats, steep: Floats) -> Doubles:
    """Logarithm of a kind's share, not normalised, (F,)."""
    kind = KINDS[number]
    warmth = (here.summer.astype(np.float64) - kind.warmth[0]) / kind.warmth[1]
    relief = kind.hill * np.minimum(steep, 12.0) + kind.upland * np.minimum(height / 1000.0, 1.5)
    wet = kind.wet * (here.rain.astype(np.float64) * 1000.0 - 2.4)
    return np.asarray(kind.share - 0.5 * warmth * warmth + relief + wet)


def _axes(seed: int, district: U64) -> tuple[Doubles, Doubles, Doubles, Doubles]:
    """Direction (cosine, sine), length and width in metres of the fields of each place's district."""
    name = district.view(np.int64)
    drawn = [uniform(hashed(stream(seed, "axes", number), name)).astype(np.float64) for number in range(3)]
    direction = DIRECTIONS[:, (drawn[0] * DIRECTIONS.shape[1]).astype(np.int64)]
    length = FIELD_LENGTH[0] + (FIELD_LENGTH[1] - FIELD_LENGTH[0]) * drawn[1]
    width = length / (FIELD_ASPECT[0] + (FIELD_ASPECT[1] - FIELD_ASPECT[0]) * drawn[2])
    return direction[0], direction[1], length, width


def _nearest(
    key: int, u: Doubles, v: Doubles, inside: tuple[U64, Doubles, Doubles] | None
) -> tuple[U64, Doubles, Doubles, Doubles]:
    """The Voronoi cell of a jittered lattice of unit cells in which each place lies.

    Args:
        key: Stream of random numbers.
        u: First coordinate, in cells.
        v: Second coordinate, in cells.
        inside: Name of the district of each place, and its cell's length and width in metres.

    Returns:
        Name of the cell, its seed's coordinates, and the distance to the cell's edge: in metres where
        `inside` is given, else in cells.
    """
    name, length, width = inside or (np.zeros(u.shape, np.uint64), np.ones(u.shape), np.ones(u.shape))
    district = name.view(np.int64)
    col, row = np.floor(u).astype(np.int64), np.floor(v).astype(np.int64)
    seeds = [_seed(key, district, col + i, row + j) for j in (-1, 0, 1) for i in (-1, 0, 1)]
    squares = np.stack([(u - su) ** 2 + (v - sv) ** 2 for _, su, sv in seeds])  # (9, N)
    nearest = squares.argmin(0)
    names, us, vs = (np.stack(part) for part in zip(*seeds, strict=True))
    pick = (nearest, np.arange(u.size))
    own, own_u, own_v = names[pick], us[pick], vs[pick]
    # the edge to another cell is where the squares are equal; its gradient, in metres, scales it
    du, dv = (us - own_u) / length, (vs - own_v) / width
    gradient = np.sqrt(du * du + dv * dv)
    gap = (squares - squares[pick]) / 2 / np.where(gradient > 0, gradient, 1)
    return own, own_u, own_v, np.where(gradient > 0, gap, np.inf).min(0)


def _seed(key: int, district: Ints, col: Ints, row: Ints) -> tuple[U64, Doubles, Doubles]:
    bits = hashed(key, district, col, row)
    shift = [(((bits >> np.uint64(at)) & np.uint64(0xFFFFF)) / 2.0**20 - 0.5) for at in (0, 20)]
    return bits, col + 0.5 + 2 * JITTER * shift[0], row + 0.5 + 2 * JITTER * shift[1]
