"""How samples lie in space: how far apart, how clustered, how much neighbours repeat each other.

N samples.
"""

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy.sparse.csgraph import connected_components
from scipy.spatial import ConvexHull, QhullError, cKDTree

RADIUS: Final = 6_371_000.0
"""Mean radius of the Earth in metres."""
CLUSTER: Final = 1_000.0
"""Metres within which samples hang together as one cluster."""
Doubles = NDArray[np.float64]


@dataclass(frozen=True)
class Spread:
    """How N samples lie in space."""

    nearest: Doubles
    """(N,) metres to the nearest other sample; 0 where two share a place, inf of a single one."""
    neighbour: NDArray[np.int64]
    """(N,) row of that sample."""
    clusters: int
    """Groups of samples that hang together, each within `CLUSTER` of another of its group."""
    largest: float
    """Share of the samples in the largest cluster."""
    ratio: float | None
    """Clark and Evans (1954): mean distance to the nearest neighbour over that of as many random points in
    the convex hull. 1 is random, near 0 clustered, above 1 regular; None where they have no hull."""


def spread_of(lat: Doubles, lon: Doubles) -> Spread:
    """Measure how samples lie.

    Args:
        lat: (N,) degrees north.
        lon: (N,) degrees east.
    """
    places = on_sphere(lat, lon)
    tree = cKDTree(places)
    chords, rows = tree.query(places, k=min(2, len(lat)))
    if len(lat) == 1:
        return Spread(np.full(1, np.inf), np.zeros(1, np.int64), 1, 1.0, None)
    own = rows[:, 0] == np.arange(len(lat))  # of two on one place either may come first
    neighbour = np.where(own, rows[:, 1], rows[:, 0])
    nearest = _arc(np.where(own, chords[:, 1], chords[:, 0]))
    links = tree.sparse_distance_matrix(tree, _chord(CLUSTER), output_type="coo_matrix")
    number, member = connected_components(links, directed=False)
    largest = float(np.bincount(member).max() / len(lat))
    return Spread(nearest, neighbour.astype(np.int64), int(number), largest, _ratio(lat, lon, nearest))


def leaking(lat: Doubles, lon: Doubles, group: NDArray[np.str_], within: float = CLUSTER) -> float:
    """Share of the samples that have one of another spatial group within some metres."""
    number = np.unique(group, return_inverse=True)[1]
    tree = cKDTree(on_sphere(lat, lon))
    pairs = tree.query_pairs(_chord(within), output_type="ndarray")
    apart = pairs[number[pairs[:, 0]] != number[pairs[:, 1]]]
    return float(len(np.unique(apart)) / len(lat))


def on_sphere(lat: Doubles, lon: Doubles) -> Doubles:
    """Places in metres from the centre of the Earth: (N, 3)."""
    b, a = np.radians(lat), np.radians(lon)
    return RADIUS * np.stack([np.cos(b) * np.cos(a), np.cos(b) * np.sin(a), np.sin(b)], 1)


def _chord(arc: float) -> float:
    return float(2 * RADIUS * np.sin(arc / (2 * RADIUS)))


def _arc(chord: Doubles) -> Doubles:
    return 2 * RADIUS * np.arcsin(np.clip(chord / (2 * RADIUS), 0, 1))


def _ratio(lat: Doubles, lon: Doubles, nearest: Doubles) -> float | None:
    """Clark and Evans, on an equal-area (cylindrical) plane."""
    plane = RADIUS * np.stack([np.radians(lon), np.sin(np.radians(lat))], 1)
    try:
        area = float(ConvexHull(plane).volume)  # of a plane figure scipy calls the area its volume
    except (QhullError, ValueError):
        return None  # too few points, or all on a line
    return float(nearest.mean() / (0.5 * np.sqrt(area / len(lat))))
