"""While one tile is computed the next one is read, not more, and nothing read stays."""

import gc
import signal
import threading
import weakref
from collections import deque
from typing import Any

import pytest

from geocomiss.mapping.ahead import reading_ahead
from geocomiss.mapping.clock import Clock, overlap
from geocomiss.mapping.memory import AHEAD

WAIT = 20.0


class Waiting:
    """A queue of names."""

    def __init__(self, *names: str) -> None:
        self.left = deque(names)

    def next(self) -> str | None:
        return self.left.popleft() if self.left else None


class Read:
    """What was read for a tile."""

    def __init__(self, tile: str) -> None:
        self.tile = tile


def ahead(queue: Waiting, read: Any) -> Any:
    return reading_ahead(queue, read)  # type: ignore[arg-type]


def test_the_next_tile_is_read_meanwhile_and_no_further_one() -> None:
    begun: dict[str, threading.Event] = {name: threading.Event() for name in "abcd"}

    def read(tile: str) -> Read:
        begun[tile].set()
        return Read(tile)

    with ahead(Waiting(*"abcd"), read) as tiles:
        for number, (tile, take) in enumerate(tiles):
            assert take().tile == tile
            for name in "abcd"[: number + 1 + AHEAD]:
                assert begun[name].wait(WAIT)
            assert not any(begun[name].is_set() for name in "abcd"[number + 1 + AHEAD :])


def test_what_reading_raises_comes_with_its_tile_and_others_go_on() -> None:
    queue, seen = Waiting("a", "bad", "c"), []

    def read(tile: str) -> Read:
        if tile == "bad" and seen != ["a", "c"]:
            raise ValueError("not yet")
        return Read(tile)

    with ahead(queue, read) as tiles:
        for tile, take in tiles:
            try:
                seen.append(take().tile)
            except ValueError:
                queue.left.append(tile)
    assert seen == ["a", "c", "bad"]


def test_a_reader_that_is_told_to_end_leaves_nobody_waiting() -> None:
    def read(tile: str) -> Read:
        raise SystemExit(tile)

    with pytest.raises(SystemExit), ahead(Waiting("a", "b"), read) as tiles:
        waiting = threading.Timer(WAIT, lambda: signal.raise_signal(signal.SIGINT))
        waiting.start()  # a test that fails ends, too
        try:
            next(tiles)[1]()
        finally:
            waiting.cancel()


def test_what_an_error_took_is_measured_too() -> None:
    clock = Clock()
    with pytest.raises(ValueError), clock.measure("wait"):
        raise ValueError
    with pytest.raises(ValueError), clock.mapping():
        raise ValueError
    assert clock.seconds["wait"] > 0 and clock.mapped > 0


def test_a_tile_that_was_taken_is_not_held_on_to() -> None:
    held: list[weakref.ref[Read]] = []

    def read(tile: str) -> Read:
        result = Read(tile)
        held.append(weakref.ref(result))
        return result

    with ahead(Waiting("a"), read) as tiles:
        for _, take in tiles:
            taken = take()
            assert held[0]() is taken
            del taken
            gc.collect()
            assert held[0]() is None


@pytest.mark.parametrize("kind", [ValueError, KeyboardInterrupt])
def test_a_run_that_ends_reads_no_further_and_waits_only_for_what_is_under_way(kind: type) -> None:
    go_on, read_at_all = threading.Event(), []

    def read(tile: str) -> Read:
        if tile == "b":
            assert go_on.wait(WAIT)
        read_at_all.append(tile)
        return Read(tile)

    before = set(threading.enumerate())
    threading.Timer(0.2, go_on.set).start()
    with pytest.raises(kind):
        with ahead(Waiting("a", "b", "c"), read) as tiles:
            next(tiles)[1]()
            raise kind
    # Ctrl-C does not wait for the reader: it is gone a little later
    assert read_at_all == (["a", "b"] if kind is ValueError else ["a"])
    for thread in set(threading.enumerate()) - before:
        thread.join(WAIT)
    assert read_at_all == ["a", "b"]


def test_the_shares_of_a_clock_add_up() -> None:
    clock = Clock(pixels=10)
    clock.add({"plan": 1, "read": 4, "wait": 1, "batch": 2, "inference": 3, "store": 1, "layers": 1}, 5)
    shares = clock.shares()  # hardly any time has passed here: several processes worked
    assert shares.pop("read_ahead") == 0.75
    assert shares["inference"] == pytest.approx(3 / 9, abs=0.001) and shares["other"] == 0
    assert sum(shares.values()) == pytest.approx(1, abs=0.001)
    clock.started -= 90
    assert clock.shares()["other"] == pytest.approx(0.9, abs=0.01)
    assert Clock().shares()["read_ahead"] == 0


@pytest.mark.parametrize(
    ("read", "wait", "computed", "share"),
    [
        (10.0, 1.0, 9.0, 1.0),  # only the first tile was waited for
        (10.0, 10.0, 9.0, 0.0),  # each was read, then computed
        (100.0, 91.0, 10.0, 0.9),  # a slow network: all computing but that of the last tile is hidden
        (10.0, 1.0, 100.0, 0.9),  # a slow network's opposite: all reading but that of the first tile is
    ],
)
def test_overlap_is_of_the_shorter_of_reading_and_computing(
    read: float, wait: float, computed: float, share: float
) -> None:
    halves = {"inference": computed / 2, "store": computed / 2}
    assert overlap({"read": read, "wait": wait} | halves) == pytest.approx(share)
    assert overlap({"plan": 1.0}) is None
