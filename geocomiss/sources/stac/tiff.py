"""Which bytes of a remote GeoTIFF hold which pixels, and a small GeoTIFF of the blocks that were fetched.

GDAL decodes; which ranges of a file are asked for is decided here, so that each is asked for once and every
byte is counted. The structure is that of TIFF 6.0 and BigTIFF: a directory of 12 (20) byte entries, two of
which say where each block (tile or strip) begins and how long it is.
"""
# Not read by tifffile (2026.3.3, tried): of a file's beginning it drops entries whose values lie beyond.

import struct
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from math import ceil
from typing import Any, Final, Literal

import numpy as np
from numpy.typing import NDArray

Order = Literal["<", ">"]
"""The lowest byte of a number first, or the highest."""
SIZES: Final = {
    1: 1,
    2: 1,
    3: 2,
    4: 4,
    5: 8,
    6: 1,
    7: 1,
    8: 2,
    9: 4,
    10: 8,
    11: 4,
    12: 8,
    13: 4,
    16: 8,
    17: 8,
}
"""Bytes of a value by TIFF's number of its type."""
NUMBERS: Final = {1: "u1", 3: "u2", 4: "u4", 16: "u8"}
"""Types of whole numbers."""
ORDERS: Final[dict[bytes, Order]] = {b"II": "<", b"MM": ">"}
"""By the first two bytes of a file."""
WIDTH: Final = 256
HEIGHT: Final = 257
STRIP_OFFSETS: Final = 273
SAMPLES: Final = 277
ROWS_PER_STRIP: Final = 278
STRIP_SIZES: Final = 279
PLANAR: Final = 284
TILE_WIDTH: Final = 322
TILE_HEIGHT: Final = 323
TILE_OFFSETS: Final = 324
TILE_SIZES: Final = 325
GHOST: Final = b"GDAL_STRUCTURAL_METADATA"
"""Begins GDAL's promise of how blocks lie in a COG: no longer true of a part of it."""
GAP: Final = 64
"""Bytes between blocks that are fetched with them: COGs state a block's size before and after it."""


BIGGEST: Final = 64_000_000
"""Bytes of a block beyond which GDAL reads a file: whole images as one strip, or a damaged header."""


class Incomplete(Exception):
    """More of the file's beginning is needed. `args[0]`: how many bytes."""


class Foreign(Exception):
    """Not a TIFF, or one of a kind that is not understood."""


@dataclass(frozen=True)
class Entry:
    """An entry of the directory."""

    kind: int
    """TIFF's number of the type."""
    count: int
    """Number of values."""
    at: int
    """Where the values lie in the file."""

    @property
    def size(self) -> int:
        """Bytes of the values."""
        return self.count * SIZES.get(self.kind, 1)


@dataclass(frozen=True)
class Layout:
    """The full-resolution image of a file. B blocks, counted row by row."""

    head: bytes
    """The file's beginning, with the whole directory."""
    order: Order
    """As NumPy and `struct` write it."""
    directory: int
    """Where the directory begins."""
    following: tuple[int, str]
    """Where the address of the next directory stands, and its format."""
    end: int
    """Bytes from the beginning that describe the image: all that is needed beside its blocks."""
    block: tuple[int, int]
    """Rows and columns of a block."""
    across: int
    """Blocks side by side."""
    offsets: Entry
    """Where the blocks' offsets stand."""
    sizes: Entry
    """Where their sizes stand."""
    starts: NDArray[np.uint64]
    """(B,) first byte of each block; 0 where it is not stored."""
    lengths: NDArray[np.uint64]
    """(B,) bytes of each block."""

    @property
    def memory(self) -> int:
        """Bytes that this takes."""
        return len(self.head) + self.starts.nbytes + self.lengths.nbytes

    def blocks(self, rows: slice, cols: slice) -> list[int]:
        """Numbers of the stored blocks that a window touches."""
        height, width = self.block
        found = (
            row * self.across + col
            for row in range(rows.start // height, ceil(rows.stop / height))
            for col in range(cols.start // width, ceil(cols.stop / width))
        )
        return [number for number in found if self.lengths[number]]

    def within(self, number: int, rows: slice, cols: slice) -> bool:
        """Whether a window holds all pixels of a block."""
        height, width = self.block
        top, left = number // self.across * height, number % self.across * width
        inside = rows.start <= top and top + height <= rows.stop
        return bool(inside and cols.start <= left and left + width <= cols.stop)

    def ranges(self, numbers: Iterable[int]) -> list[list[int]]:
        """Blocks in groups that lie one after the other in the file."""
        groups: list[list[int]] = []
        end = -GAP - 1
        for number in sorted(numbers, key=lambda each: int(self.starts[each])):
            start = int(self.starts[number])
            if groups and start - end <= GAP:
                groups[-1].append(number)
            else:
                groups.append([number])
            end = max(end, start + int(self.lengths[number]))  # blocks may share bytes
        return groups

    def span(self, group: list[int]) -> tuple[int, int]:
        """(first byte, number of bytes) of blocks that lie one after the other."""
        start = int(self.starts[group[0]])
        return start, max(int(self.starts[each]) + int(self.lengths[each]) for each in group) - start


def layout_of(head: bytes) -> Layout:
    """The structure of a file by its beginning.

    Raises:
        Incomplete: The directory reaches beyond it.
        Foreign: It is no TIFF, or one whose bands lie in planes of their own.
    """
    order, entries, directory, following = _directory(head)
    needed = (TILE_OFFSETS, TILE_SIZES) if TILE_OFFSETS in entries else (STRIP_OFFSETS, STRIP_SIZES)
    if not {WIDTH, HEIGHT, *needed} <= entries.keys():
        raise Foreign("no image")
    end = max(
        following[0] + struct.calcsize(following[1]), *(each.at + each.size for each in entries.values())
    )
    if end > len(head):
        raise Incomplete(end)

    def number(tag: int, default: int) -> int:
        if tag not in entries or not entries[tag].count:
            return default
        return int(_values(head, order, entries[tag])[0])

    width, height = number(WIDTH, 0), number(HEIGHT, 0)
    if min(width, height) < 1:
        raise Foreign("no pixels")
    if (number(SAMPLES, 1) > 1 and number(PLANAR, 1) == 2) or entries[needed[0]].kind < 4:
        raise Foreign("bands in planes of their own, or offsets of 16 bits")
    block = (
        (number(TILE_HEIGHT, height), number(TILE_WIDTH, width))
        if TILE_OFFSETS in entries
        else (min(number(ROWS_PER_STRIP, height), height), width)
    )
    starts, lengths = (_values(head, order, entries[tag]).astype(np.uint64) for tag in needed)
    if min(block) < 1:
        raise Foreign("blocks without pixels")
    across = ceil(width / block[1])
    if not len(starts) == len(lengths) == across * ceil(height / block[0]):
        raise Foreign("another number of blocks than its size says")
    if lengths.max(initial=0) > BIGGEST:
        raise Foreign("blocks too large to hold in memory side by side")
    stated = entries[needed[0]], entries[needed[1]]
    return Layout(head, order, directory, following, end, block, across, *stated, starts, lengths)


def part_of(layout: Layout, blocks: Mapping[int, bytes]) -> bytes:
    """A file that describes the whole image and holds some of its blocks; the others are missing in it."""
    part = bytearray(layout.head[: layout.end])
    if bytes(part[8 : 8 + len(GHOST)]) == GHOST or bytes(part[16 : 16 + len(GHOST)]) == GHOST:
        begin = 8 if bytes(part[8 : 8 + len(GHOST)]) == GHOST else 16
        part[begin : min(layout.directory, layout.end)] = bytes(min(layout.directory, layout.end) - begin)
    at, form = layout.following
    struct.pack_into(form, part, at, 0)  # smaller copies of the image are not there
    places, sizes = (np.zeros(len(layout.starts), np.uint64) for _ in range(2))
    position = len(part)
    for number, content in blocks.items():
        places[number], sizes[number] = position, len(content)
        position += len(content)
    for entry, values in ((layout.offsets, places), (layout.sizes, sizes)):
        stored = values.astype(np.dtype(NUMBERS[entry.kind]).newbyteorder(layout.order)).tobytes()
        part[entry.at : entry.at + entry.size] = stored
    return b"".join((bytes(part), *blocks.values()))


def _directory(head: bytes) -> tuple[Order, dict[int, Entry], int, tuple[int, str]]:
    """(byte order, entries by tag, where they begin, where the next directory's address stands)."""
    if len(head) < 16 or head[:2] not in ORDERS:
        raise Foreign("not a TIFF")
    order = ORDERS[head[:2]]
    (magic,) = struct.unpack_from(f"{order}H", head, 2)
    if magic not in (42, 43):
        raise Foreign("not a TIFF")
    # address, number of entries, and an entry's tag, type, count
    address, counted, each = ("I", "H", "HHI") if magic == 42 else ("Q", "Q", "HHQ")
    (directory,) = _unpacked(f"{order}{address}", head, 4 if magic == 42 else 8)
    (number,) = _unpacked(f"{order}{counted}", head, directory)
    inline = struct.calcsize(f"={address}")
    length = struct.calcsize(f"={each}") + inline
    begin = directory + struct.calcsize(f"={counted}")
    if begin + number * length + inline > len(head):
        raise Incomplete(begin + number * length + inline)
    entries = {}
    for place in range(begin, begin + number * length, length):
        tag, kind, count = _unpacked(f"{order}{each}", head, place)
        entry = Entry(kind, count, place + length - inline)
        if entry.size > inline:
            (at,) = _unpacked(f"{order}{address}", head, entry.at)
            entry = Entry(kind, count, at)
        entries[tag] = entry
    return order, entries, directory, (begin + number * length, f"{order}{address}")


def _unpacked(form: str, head: bytes, at: int) -> tuple[Any, ...]:
    if at + struct.calcsize(form) > len(head):
        raise Incomplete(at + struct.calcsize(form))
    return struct.unpack_from(form, head, at)


def _values(head: bytes, order: Order, entry: Entry) -> NDArray[Any]:
    if entry.kind not in NUMBERS:
        raise Foreign("sizes that are no whole numbers")
    if entry.at + entry.size > len(head):
        raise Incomplete(entry.at + entry.size)
    return np.frombuffer(head, np.dtype(NUMBERS[entry.kind]).newbyteorder(order), entry.count, entry.at)
