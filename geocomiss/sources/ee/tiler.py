"""Pixels of any image on any grid: within the limits, in parallel, each tile once.

A request that would exceed a limit is divided before it is sent; one that Earth Engine cannot compute in
its memory or time is divided when it says so, and the division is remembered.
"""

import threading
from collections.abc import Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, replace
from typing import Any, Final

import ee
import numpy as np
from numpy.typing import NDArray
from odc.geo.geobox import GeoBox

from geocomiss.errors import GeocomissError, MapError, SourceError, SourceStopped
from geocomiss.grid import crs_of, crs_text
from geocomiss.sources.ee.client import Client
from geocomiss.sources.ee.failures import TooMuch
from geocomiss.sources.ee.kept import Kept, digest
from geocomiss.sources.ee.profile import eecu_seconds
from geocomiss.sources.ee.tables import MASK_BYTES, MAX_BANDS, MAX_BYTES, MAX_SIDE

SMALLEST: Final = 8
"""Pixels a side below which a tile is not divided further."""
DIVIDED: Final = {"divided": True}
"""Kept in place of the pixels of a tile that is fetched in parts."""


@dataclass(frozen=True)
class Graph:
    """An image to be computed."""

    image: ee.Image
    """Its expression; all bands of one type of whole numbers."""
    bands: tuple[str, ...]
    """Names of its bands."""
    itemsize: int
    """Bytes of a number."""
    digest: str
    """What stands for the expression."""


@dataclass(frozen=True)
class Tile:
    """A graph on a grid: one request, unless it is too large."""

    graph: Graph
    """What to compute."""
    grid: GeoBox
    """Where."""

    @property
    def key(self) -> str:
        """What stands for the request."""
        grid = [crs_text(crs_of(self.grid)), *self.grid.affine[:6], *self.grid.shape]
        return digest(self.graph.digest, self.graph.bands, *grid)

    @property
    def size(self) -> int:
        """Bytes that Earth Engine counts for it."""
        return size_of((self.grid.height, self.grid.width), len(self.graph.bands), self.graph.itemsize)

    @property
    def fits(self) -> bool:
        """Whether it is within all limits."""
        return (
            self.size <= MAX_BYTES and max(self.grid.shape) <= MAX_SIDE and len(self.graph.bands) <= MAX_BANDS
        )


def size_of(shape: tuple[int, int], bands: int, itemsize: int) -> int:
    """Bytes that Earth Engine counts for pixels and their masks."""
    return shape[0] * shape[1] * bands * (itemsize + MASK_BYTES)


def requests_of(tile: Tile) -> Iterator[Tile]:
    """The requests that a tile takes, as far as can be known before."""
    if tile.fits:
        yield tile
    else:
        for part, _ in _parts(tile):
            yield from requests_of(part)


class Tiler:
    """Fetches tiles. Closes with its client's process.

    Args:
        client: Where they come from.
        kept: Where they are kept.
        parallel: Requests under way at a time.
    """

    def __init__(self, client: Client, kept: Kept, parallel: int) -> None:
        self._client, self._kept = client, kept
        self._pool = ThreadPoolExecutor(parallel, thread_name_prefix="earthengine")
        self._lock = threading.Lock()
        self._under_way: dict[str, Future[None]] = {}
        self._seen: set[str] = set()
        self._failed: GeocomissError | None = None
        self.fetched = 0
        self.reused = 0

    def start(self, tiles: Iterable[Tile]) -> None:
        """Begin to fetch what is not there yet; does not wait."""
        for tile in tiles:
            self._begin(tile)

    def read(self, tile: Tile) -> NDArray[Any]:
        """The pixels of a tile, (bands, H, W); waits for them.

        Raises:
            SourceError: Earth Engine refuses, or does not answer.
            MapError: They cannot be kept.
        """
        for _ in range(2):  # a file that turns out damaged is fetched once more
            self._begin(tile).result()
            with self._lock:
                self._under_way.pop(tile.key, None)
            values = self._assembled(tile)
            if values is not None:
                return values
        raise SourceError(
            f"the folder {self._kept.folder.name} loses what is written to it",
            expected="a folder that holds the tiles of this run",
            todo="check the disk",
        )

    def there(self, tile: Tile) -> bool:
        """Whether a tile, or all of its parts, has come already."""
        if self._kept.has_pixels(tile.key):
            return True
        divided = not tile.fits or self._kept.value(tile.key) == DIVIDED
        return divided and all(self.there(part) for part, _ in _parts(tile))

    def tried(self, tile: Tile) -> float:
        """Fetch a tile, and the EECU-seconds that it took, or its parts where it has to be divided."""
        try:
            values, profile = self._client.profiled(tile.graph.image, tile.graph.bands, tile.grid)
        except TooMuch as error:
            self._divide(tile, error)
            return sum(self.tried(part) for part, _ in _parts(tile))
        self._kept.keep_pixels(tile.key, values)
        self._count(tile.key, fetched=True)
        return eecu_seconds(profile)

    def _begin(self, tile: Tile) -> Future[None]:
        """The fetching of a tile, whether it is under way, over, or begins now."""
        key = tile.key
        with self._lock:
            if key not in self._under_way:
                self._under_way[key] = self._pool.submit(self._fetch, tile)
            return self._under_way[key]

    def _fetch(self, tile: Tile) -> None:
        """See to it that all of a tile is kept."""
        if self._failed:  # what has failed once would fail again and again
            raise self._failed
        key = tile.key
        if self._kept.has_pixels(key) and self._kept.pixels(key) is not None:
            self._count(key)
            return
        try:
            if tile.fits and self._kept.value(key) != DIVIDED and self._asked(tile):
                return
            for part, _ in _parts(tile):
                self._fetch(part)
        except GeocomissError as error:
            self._failed = _for_good(error)
            raise self._failed from error

    def _asked(self, tile: Tile) -> bool:
        """Ask for a tile; False where it must be divided."""
        try:
            values = self._client.pixels(tile.graph.image, tile.graph.bands, tile.grid)
        except TooMuch as error:
            self._divide(tile, error)
            return False
        self._kept.keep_pixels(tile.key, values)
        self._count(tile.key, fetched=True)
        return True

    def _divide(self, tile: Tile, error: TooMuch) -> None:
        """Remember that a tile is fetched in parts. Raises SourceError where it is too small for that."""
        if max(tile.grid.shape) < 2 * SMALLEST:
            raise _hopeless(tile, str(error)) from error
        self._kept.keep_value(tile.key, DIVIDED)
        with self._lock:
            self._client.tally.split += 1

    def _count(self, key: str, *, fetched: bool = False) -> None:
        """A tile that was asked for, or found from an earlier run; each counts once."""
        with self._lock:
            self.fetched += fetched
            self.reused += not fetched and key not in self._seen
            self._seen.add(key)

    def _assembled(self, tile: Tile) -> NDArray[Any] | None:
        """A tile from what is kept, or None where a part is missing."""
        whole = self._kept.pixels(tile.key)
        if whole is not None:
            return whole
        if tile.fits and self._kept.value(tile.key) != DIVIDED:
            return None
        result: NDArray[Any] | None = None
        for part, at in _parts(tile):
            values = self._assembled(part)
            if values is None:
                return None
            if result is None:
                result = np.empty((len(tile.graph.bands), *tile.grid.shape), values.dtype)
            result[at] = values
        return result


def _parts(tile: Tile) -> Iterator[tuple[Tile, tuple[slice, slice, slice]]]:
    """The halves of the bands of a tile, where they are too many, else its quarters, and their place."""
    graph, (height, width) = tile.graph, tile.grid.shape
    whole = slice(None)
    if len(graph.bands) > MAX_BANDS:
        middle = len(graph.bands) // 2
        for bands in (slice(0, middle), slice(middle, None)):
            yield replace(tile, graph=replace(graph, bands=graph.bands[bands])), (bands, whole, whole)
        return
    for y in _halves(height, width):
        for x in _halves(width, height):
            yield replace(tile, grid=tile.grid[y, x]), (whole, y, x)


def _halves(length: int, other: int) -> list[slice]:
    """Two halves of a side, or the whole of one that is much the shorter."""
    if length < 2 or 2 * length < other:
        return [slice(0, length)]
    return [slice(0, length // 2), slice(length // 2, length)]


def _for_good(error: GeocomissError) -> GeocomissError:
    """An error after which nothing further will come."""
    if isinstance(error, MapError):  # a full disk is no fault of the source
        return error
    return SourceStopped(error.found, expected=error.expected, todo=error.todo)


def _hopeless(tile: Tile, text: str) -> SourceError:
    return SourceError(
        f"Earth Engine cannot compute even {tile.grid.shape[0]} x {tile.grid.shape[1]} pixels ({text[:120]})",
        expected="a time step that it can composite",
        todo="try again later, or fetch a shorter season",
    )
