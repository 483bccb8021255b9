"""Where the time of a run goes."""

import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Final

PARTS: Final = {
    "planning": ("plan",),
    "reading": ("wait",),
    "batch": ("batch",),
    "inference": ("inference", "applicability"),
    "writing": ("layers", "store", "smooth", "mapping unit", "write"),
}
"""Kinds of work by the names that a user is told, and what is measured of each."""
COMPUTED: Final = (*PARTS["batch"], *PARTS["inference"], "layers", "store")
"""What is done with a tile once it is read."""


@dataclass
class Clock:
    """Where the time went."""

    seconds: dict[str, float] = field(default_factory=dict)
    """Seconds per kind of work."""
    pixels: int = 0
    """Pixels classified in this run."""
    mapped: float = 0.0
    """Seconds in which tiles were computed, by as many threads and processes as there were."""
    started: float = field(default_factory=time.perf_counter)
    """When it was started."""

    @contextmanager
    def measure(self, what: str) -> Iterator[None]:
        """Add the time spent inside to `what`."""
        begin = time.perf_counter()
        try:
            yield
        finally:
            self.seconds[what] = self.seconds.get(what, 0.0) + time.perf_counter() - begin

    @contextmanager
    def mapping(self) -> Iterator[None]:
        """Tiles are computed inside."""
        begin = time.perf_counter()
        try:
            yield
        finally:
            self.mapped += time.perf_counter() - begin

    def rate(self, kept: int) -> float | None:
        """Pixels classified per second; None where this run classified none.

        From start to end or, of a run that went on with tiles of earlier ones, while tiles were computed:
        what comes before and after takes in all of them.

        Args:
            kept: Pixels of tiles that earlier runs computed.
        """
        seconds = self.mapped if kept else self.total
        return self.pixels / seconds if self.pixels and seconds else None

    def add(self, seconds: Mapping[str, float], pixels: int) -> None:
        """Add what was measured elsewhere."""
        for what, spent in seconds.items():
            self.seconds[what] = self.seconds.get(what, 0.0) + spent
        self.pixels += pixels

    def passed(self) -> dict[str, float]:
        """The seconds since the start, in the proportions of what several threads measured meanwhile."""
        together = sum(self.seconds.values())
        return {what: spent / together * self.total for what, spent in self.seconds.items()}

    def shares(self) -> dict[str, float]:
        """Where the time went, by kind of work as a user knows it; the shares add up to 1.

        Reading counts as far as it was waited for. `read_ahead` is the share of reading that was done while
        something else was computed. Where several processes work, it is their time taken together.
        """
        spent = {name: sum(self.seconds.get(each, 0.0) for each in parts) for name, parts in PARTS.items()}
        together = max(self.total, sum(spent.values()))
        spent["other"] = together - sum(spent.values())
        shares = {name: round(seconds / together, 4) for name, seconds in spent.items()}
        reading = self.seconds.get("read", 0.0)
        ahead = max(0.0, 1 - self.seconds.get("wait", 0.0) / reading) if reading else 0.0
        return shares | {"read_ahead": round(ahead, 4)}

    @property
    def total(self) -> float:
        """Seconds since the start."""
        return time.perf_counter() - self.started


def overlap(seconds: Mapping[str, float]) -> float | None:
    """Of reading and computing tiles, the share of the shorter that ran beside the other; None: of nothing.

    Args:
        seconds: By kind of work; `read` as it took, `wait` as far as it was waited for.
    """
    read = seconds.get("read", 0.0)
    shorter = min(read, sum(seconds.get(each, 0.0) for each in COMPUTED))
    beside = read - seconds.get("wait", 0.0)
    return round(min(1.0, max(0.0, beside / shorter)), 4) if shorter > 0 else None
