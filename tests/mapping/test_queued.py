"""A worker reads the tile that waits on it while it computes another, and no more than that."""

import threading
import time
from collections.abc import Callable, Iterator

import numpy as np
import pytest
from affine import Affine
from odc.geo.geobox import GeoBox

from geocomiss.errors import SourceError
from geocomiss.grid import Tile, tiles_of
from geocomiss.mapping.compute import Gathered
from geocomiss.mapping.queued import QueuedReading

TILES = {
    name: tile
    for name, tile in zip(
        "abcd", tiles_of(GeoBox((20, 20), Affine(10, 0, 0, 0, -10, 0), "EPSG:32631"), 10), strict=True
    )
}
NONE = np.zeros((10, 10), bool)


class Disk:
    """What is read, in order; `b` only once it may be, `d` never."""

    def __init__(self) -> None:
        self.begun: list[str] = []
        self.may = threading.Event()

    def read(self, tile: Tile) -> Gathered:
        self.begun.append(next(name for name, each in TILES.items() if each == tile))
        if self.begun[-1] == "b":
            self.may.wait(10)
        if self.begun[-1] == "d":
            raise SourceError("a broken file", expected="a whole one", todo="mend it")
        return Gathered(tile, NONE, NONE, None, 0.0)


@pytest.fixture
def disk() -> Iterator[Disk]:
    disk = Disk()
    yield disk
    disk.may.set()


def eventually(true: Callable[[], bool]) -> bool:
    end = time.monotonic() + 10
    while not true() and time.monotonic() < end:
        time.sleep(0.001)
    return true()


def test_one_tile_is_read_beside_the_one_that_is_computed(disk: Disk) -> None:
    reading = QueuedReading(TILES.__getitem__, disk.read)
    for task in "abc":
        reading.wait(task)
    assert eventually(lambda: disk.begun == ["a"])
    time.sleep(0.02)
    assert disk.begun == ["a"]
    assert reading.take("a", TILES["a"])().tile == TILES["a"]
    assert eventually(lambda: disk.begun == ["a", "b"])
    taken = reading.take("b", TILES["b"])
    time.sleep(0.02)
    assert disk.begun == ["a", "b"]
    disk.may.set()
    assert taken().tile == TILES["b"]
    assert reading.take("c", TILES["c"])().tile == TILES["c"]
    assert disk.begun == ["a", "b", "c"]
    reading.close()


def test_what_another_worker_computes_is_dropped_and_what_was_not_read_is_read_when_needed(
    disk: Disk,
) -> None:
    reading = QueuedReading(TILES.__getitem__, disk.read)
    for task in "bac":
        reading.wait(task)
    reading.drop("a")
    assert eventually(lambda: disk.begun == ["b"])
    reading.drop("b")
    disk.may.set()
    assert eventually(lambda: disk.begun == ["b", "c"])
    assert reading.take("a", TILES["a"])().tile == TILES["a"]
    reading.wait("d")
    with pytest.raises(SourceError, match="a broken file"):
        reading.take("d", TILES["d"])()
    reading.close()
