"""Parts of remote images: of each, the header and the blocks that windows touch, fetched once a run."""

import threading
from collections import OrderedDict
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from math import ceil, isfinite
from typing import Any, Final

import numpy as np
from odc.geo.geobox import GeoBox
from rasterio.io import MemoryFile

from geocomiss.sources.stac.kept import KeptBlocks
from geocomiss.sources.stac.ledger import Ledger
from geocomiss.sources.stac.signing import Signer
from geocomiss.sources.stac.tiff import Foreign, Incomplete, Layout, layout_of, part_of
from geocomiss.sources.stac.web import Unranged, Unreadable, Web

FIRST: Final = 16_384
"""Bytes with which the first image of a kind is begun; others with what the headers of its kind took."""
UNIT: Final = 1024
"""Beginnings are asked for in multiples of this."""
LONGEST: Final = 4_000_000
"""Bytes of a header beyond which a file is left to GDAL: its directory stands at the end."""
MOST_FIRST: Final = 65_536
"""Bytes with which an image is begun at most, whatever a single one of its kind took."""
HEADERS: Final = 100_000_000
"""Bytes of headers that stay in memory: those of some 2000 images, 4 to 40 KB each."""
LOCKS: Final = 1024
"""Of two images that share one, one waits for the other: with so many that is rare."""
HEAD: Final = "head"
"""Name of an image's beginning among its blocks."""
SIZE: Final = 8
"""Bytes before it that tell the size of the whole file."""
ROUNDS: Final = 4
"""Requests for a header after which a file is left to GDAL: it is damaged."""


@dataclass(frozen=True)
class Image:
    """A remote image of which the header is known."""

    layout: Layout
    """Where its blocks lie."""
    size: int
    """Bytes of the whole file; 0: not told."""
    grid: GeoBox
    """Its pixels."""


class Parts:
    """Opens parts of images.

    Args:
        ledger: Where what is needed and what is fetched are counted.
        sign: Adds tokens to addresses.
        kept: Where blocks are kept that other windows touch, too.
    """

    def __init__(self, ledger: Ledger, sign: Signer, kept: KeptBlocks) -> None:
        self._ledger, self._sign, self._kept = ledger, sign, kept
        self._begin()

    def __getstate__(self) -> dict[str, Any]:
        """A copy for another process knows no header yet."""
        return {"_ledger": self._ledger, "_sign": self._sign, "_kept": self._kept}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        self._begin()

    def image(self, address: str, kind: str) -> Image | None:
        """What the header of a file tells; None where GDAL has to read it by its own means.

        Args:
            address: Without a token.
            kind: Images of a kind have headers of about the same length.

        Raises:
            Unreadable: There is none, or it is damaged.
        """
        if not address.startswith(("http://", "https://")) or address in self._foreign:
            return None
        with self._locks[hash(address) % LOCKS]:
            known = self._known(address)
            if known is None:
                try:
                    known = self._begun(address, kind)
                except (Foreign, Unranged):
                    self._foreign.add(address)
                    return None
                self._remember(address, known)
        return known

    @contextmanager
    def opened(self, address: str, image: Image, rows: slice, cols: slice) -> Iterator[Any]:
        """A dataset (rasterio) of the whole image that holds what a window of it touches.

        Raises:
            Unreadable: A block cannot be fetched.
            Unranged: The server has stopped to send parts of files: GDAL has to read it from now on.
        """
        wanted = image.layout.blocks(rows, cols)
        self._ledger.needs(address, image.layout, wanted)
        with self._locks[hash(address) % LOCKS]:
            try:
                blocks = self._blocks(address, image, wanted, rows, cols)
            except Unranged:
                self._foreign.add(address)
                raise
        with MemoryFile(part_of(image.layout, blocks)) as memory, memory.open() as file:
            yield file

    def _begin(self) -> None:
        self._web = Web(self._ledger.fetched)
        self._lock = threading.Lock()
        self._locks = [threading.Lock() for _ in range(LOCKS)]
        self._images: OrderedDict[str, Image] = OrderedDict()
        self._held = 0
        self._foreign: set[str] = set()
        self._longest: dict[str, int] = {}

    def _known(self, address: str) -> Image | None:
        with self._lock:
            if address in self._images:
                self._images.move_to_end(address)
            return self._images.get(address)

    def _remember(self, address: str, image: Image) -> None:
        with self._lock:
            self._images[address] = image
            self._held += image.layout.memory
            while self._held > HEADERS and len(self._images) > 1:
                _, old = self._images.popitem(last=False)
                self._held -= old.layout.memory

    def _begun(self, address: str, kind: str) -> Image:
        """The header of an image, kept or fetched."""
        stored = self._kept.read(address, HEAD) or bytes(SIZE)
        size, head = int.from_bytes(stored[:SIZE]), stored[SIZE:]
        more = 0 if head else self._longest.get(kind, FIRST)
        for _ in range(ROUNDS):
            if more:
                answer = self._web.get(self._sign(address), len(head), more)
                head, size = head + answer.content, answer.size
                if len(answer.content) < more and len(head) < size:
                    raise Unreadable("the file ends too early")
            try:
                layout = layout_of(head)
                break
            except Incomplete as error:
                if int(error.args[0]) > min(LONGEST, size or LONGEST):
                    raise Foreign("its directory stands at the end") from error
                more = int(error.args[0]) - len(head)
        else:
            raise Foreign("its directory is damaged")
        took = min(ceil(layout.end / UNIT) * UNIT, MOST_FIRST)
        self._longest[kind] = max(self._longest.get(kind, 0), took)
        layout = _without_rest(layout)
        with MemoryFile(part_of(layout, {})) as memory, memory.open() as file:
            grid = grid_of_image(file)
        if stored[SIZE:] != head:  # not before it is understood: what is damaged on the way must not stay
            self._kept.keep(address, HEAD, size.to_bytes(SIZE) + head)
        return Image(layout, size, grid)

    def _blocks(
        self, address: str, image: Image, wanted: list[int], rows: slice, cols: slice
    ) -> dict[int, bytes]:
        """The blocks that a window touches: from the header, from what is kept, or fetched."""
        layout, found = image.layout, dict[int, bytes]()
        for number in wanted:
            start, length = int(layout.starts[number]), int(layout.lengths[number])
            if start + length <= len(layout.head):
                found[number] = layout.head[start : start + length]
            elif content := self._kept.read(address, str(number)):
                if len(content) == length:
                    found[number] = content
        for group in layout.ranges(set(wanted) - found.keys()):
            first, length = layout.span(group)
            answer = self._web.get(self._sign(address), first, length)
            content = answer.content
            if len(content) < length:
                raise Unreadable("the file ends too early")
            if answer.size != image.size:
                raise Unreadable("the file has changed while it was read")
            for number in group:
                at = int(layout.starts[number]) - first
                found[number] = content[at : at + int(layout.lengths[number])]
                if not layout.within(number, rows, cols):  # a neighbouring window needs it, too
                    self._kept.keep(address, str(number), found[number])
        return found


def grid_of_image(file: Any) -> GeoBox:
    """The pixels of an image (an open rasterio dataset).

    Raises:
        Unreadable: It does not say where they lie.
    """
    crs, size = file.crs, file.transform.determinant
    placed = crs is not None and (crs.is_projected or crs.is_geographic)
    if not placed or not isfinite(size) or size == 0:
        raise Unreadable("it does not say where it lies")
    return GeoBox((file.height, file.width), file.transform, crs)


def _without_rest(layout: Layout) -> Layout:
    """Without what came after the header, unless that is a whole block."""
    stored = layout.lengths > 0
    if (layout.starts + layout.lengths)[stored].min(initial=np.iinfo(np.uint64).max) <= len(layout.head):
        return layout
    return replace(layout, head=layout.head[: layout.end])
