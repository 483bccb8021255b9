"""Random numbers as functions of integer coordinates, and smooth noise made of them.

Hashing follows the multiply-and-xorshift pattern of MurmurHash3's finaliser (Appleby). Smooth noise
is value noise (Perlin and Hoffert 1989, "Hypertexture"): independent normal values at the nodes of a
lattice, interpolated in between and scaled so that every point has mean 0 and variance 1.
"""

import zlib
from itertools import product
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

U64 = NDArray[np.uint64]
Ints = NDArray[np.int64]
Floats = NDArray[np.float32]
Doubles = NDArray[np.float64]

_A: Final = np.uint64(0xFF51AFD7ED558CCD)
_B: Final = np.uint64(0xC4CEB9FE1A85EC53)
_HALF: Final = np.uint64(32)
_MASK: Final = 2**64 - 1
_PIECE: Final = np.uint64(0xFFFF)
_PIECES: Final = tuple(np.uint64(shift) for shift in (0, 16, 32, 48))
_PIECE_MEAN: Final = 4 * 65535 / 2
_PIECE_SD: Final = float(np.sqrt(4 * (65536**2 - 1) / 12))
_MAX_TABLE: Final = 4


def stream(seed: int, name: str, *numbers: int) -> int:
    """The key of an independent stream of random numbers, 64 bit.

    Args:
        seed: Seed of the world.
        name: What is drawn ("clouds").
        numbers: A date, a band, an octave.
    """
    key = (seed * 0x9E3779B97F4A7C15 + zlib.crc32(name.encode())) & _MASK
    for number in numbers:
        key = ((key ^ (number & _MASK)) * int(_B)) & _MASK
        key ^= key >> 29
    return key


def hashed(key: int, *coordinates: Any) -> U64:
    """64 well mixed bits for each point of integer coordinates (arrays that broadcast)."""
    bits = np.asarray(key, np.uint64)
    with np.errstate(over="ignore"):  # wrapping around is what a hash does
        for coordinate in coordinates:
            bits = (bits ^ np.asarray(coordinate).astype(np.uint64, copy=False)) * _A
            bits = bits ^ (bits >> _HALF)
        bits = bits * _B
    return np.asarray(bits ^ (bits >> _HALF))


def uniform(bits: U64) -> Floats:
    """Uniform in [0, 1), from the upper 24 bits."""
    return np.asarray((bits >> np.uint64(40)).astype(np.float32) * np.float32(2.0**-24))


def normal(bits: U64) -> Floats:
    """Standard normal up to 3.4 standard deviations: the sum of four uniform pieces of 16 bits."""
    total = sum(((bits >> shift) & _PIECE for shift in _PIECES), start=np.zeros_like(bits))
    return np.asarray((total.astype(np.float32) - np.float32(_PIECE_MEAN)) / np.float32(_PIECE_SD))


class Lattice:
    """Points placed in a square or cubic lattice, ready to be given smooth noise many times.

    Args:
        coordinates: One array per dimension, all of one shape, in metres.
        cell: Distance between nodes in metres: the size of the noise's features.
    """

    def __init__(self, coordinates: tuple[Doubles, ...], cell: float) -> None:
        scaled = [coordinate.ravel() / cell for coordinate in coordinates]
        low = [np.floor(value).astype(np.int64) for value in scaled]
        fades = [_fade((value - at).astype(np.float32)) for value, at in zip(scaled, low, strict=True)]
        self._shape = coordinates[0].shape
        self._corners, self._weights = [], []
        self._nodes, lookup = _nodes(low)
        for corner in product((0, 1), repeat=len(low)):
            weight = np.ones(low[0].shape, np.float32)
            for side, fade in zip(corner, fades, strict=True):
                weight = weight * (fade if side else np.float32(1) - fade)
            self._corners.append(lookup(corner))
            self._weights.append(weight)
        square = sum((weight * weight for weight in self._weights), start=np.zeros_like(self._weights[0]))
        self._scale = np.float32(1) / np.sqrt(square)

    def normal(self, key: int) -> Floats:
        """Smooth noise, mean 0 and variance 1 at every point, in the shape of the coordinates."""
        values = normal(hashed(key, *self._nodes))
        total = np.zeros_like(self._scale)
        for corner, weight in zip(self._corners, self._weights, strict=True):
            total += weight * values[corner]
        return (total * self._scale).reshape(self._shape)


def _fade(share: Floats) -> Floats:
    return share * share * (np.float32(3) - np.float32(2) * share)


def _nodes(low: list[Ints]) -> tuple[list[Ints], Any]:
    """Nodes around the points, and a function from a corner (0 or 1 a dimension) to each point's node.

    All nodes of the bounding box where that is small, else only the ones that are needed.
    """
    first = [int(at.min()) for at in low]
    spans = [int(at.max()) - start + 2 for at, start in zip(low, first, strict=True)]
    flat = np.zeros(low[0].shape, np.int64)
    for at, start, span in zip(low, first, spans, strict=True):
        flat = flat * span + (at - start)
    strides = [int(np.prod(spans[axis + 1 :], dtype=np.int64)) for axis in range(len(spans))]

    def shift(corner: tuple[int, ...]) -> int:
        return sum(side * stride for side, stride in zip(corner, strides, strict=True))

    if np.prod([float(span) for span in spans]) <= _MAX_TABLE * flat.size + 64:
        used = np.arange(int(np.prod(spans)))
        return _unravel(used, spans, first), lambda corner: flat + shift(corner)
    corners = product((0, 1), repeat=len(low))
    used = np.unique(np.concatenate([np.unique(flat) + shift(corner) for corner in corners]))
    return _unravel(used, spans, first), lambda corner: np.searchsorted(used, flat + shift(corner))


def _unravel(flat: Ints, spans: list[int], first: list[int]) -> list[Ints]:
    parts: list[Ints] = []
    for span, start in zip(reversed(spans), reversed(first), strict=True):
        parts.insert(0, flat % span + start)
        flat = flat // span
    return parts
