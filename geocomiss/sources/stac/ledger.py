"""What was read over the network and what could not be, counted while it happens."""

import threading
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

from geocomiss.errors import SourceStopped
from geocomiss.sources.base import Traffic
from geocomiss.sources.stac.tiff import Layout

NAMED: Final = 3
"""Unreadable images that are named in a report."""
ENOUGH: Final = 1000
"""Clear pixels over plants from which the range of values is judged."""
ALL_BUT: Final = 0.95
"""Share of them that may be out of range before an alarm: single shadows and haze are not meant."""


@dataclass(frozen=True)
class Need:
    """What a window touched of an image and no window before it."""

    address: str
    """Of the image."""
    header: int
    """Bytes that describe it."""
    groups: tuple[tuple[tuple[int, int], ...], ...]
    """Number and bytes of blocks, those together that lie one after the other in the file."""


@dataclass(frozen=True)
class Counted:
    """What a copy of a ledger counted."""

    windows: int
    """Windows that were read."""
    bytes: int
    """Size of the stored blocks that they touched."""
    unreadable: dict[str, str]
    """Why images could not be read, by address."""
    ranges: dict[str, list[int]]
    """Numbers looked at, see `Ledger.saw`."""
    traffic: Traffic
    """What was fetched."""
    needs: tuple["Need", ...]
    """What was needed."""


class Ledger:
    """Counts of one source, shared by all threads that read; copies in other processes count for themselves.

    Args:
        max_unreadable: Share (0..1) of the planned images that may be unreadable before reading stops.
    """

    def __init__(self, max_unreadable: float) -> None:
        self._lock = threading.Lock()
        self._max = max_unreadable
        self._planned: set[str] = set()
        self._unreadable: dict[str, str] = {}
        self._ranges: dict[str, list[int]] = {}
        self._touched: dict[str, int] = {}
        self._needs: list[Need] | None = None
        self.windows = 0
        self.bytes = 0
        self.traffic = Traffic()

    def plan(self, addresses: Iterable[str]) -> None:
        """Note which images a run may read; each counts once."""
        with self._lock:
            self._planned.update(addresses)

    def read(self, size: int, counted: bool) -> None:
        """Note a window of `size` bytes that was read, and whether its traffic was counted."""
        with self._lock:
            self.windows += 1
            self.bytes += size
            self.traffic += Traffic(uncounted=int(not counted))

    def needs(self, address: str, layout: Layout, blocks: Sequence[int]) -> None:
        """Note what a window touches: what no window touched before is needed, once."""
        with self._lock:
            seen = self._touched.get(address, 0)
            groups = layout.ranges(number for number in blocks if not seen >> number & 1)
            sizes = (tuple((number, int(layout.lengths[number])) for number in group) for group in groups)
            need = Need(address, layout.end, tuple(sizes))
            self._note(need)
            if self._needs is not None and (groups or not seen):
                self._needs.append(need)

    def _note(self, need: Need) -> None:
        """Count what no window touched before, here or in a copy."""
        known = need.address in self._touched
        seen = self._touched.get(need.address, 0)
        new = [[each for each in group if not seen >> each[0] & 1] for group in need.groups]
        size = sum(length for group in new for _, length in group) + (0 if known else need.header)
        fewest = sum(bool(group) for group in new) + (not known)
        self._touched[need.address] = seen | sum(1 << number for group in new for number, _ in group)
        self.traffic += Traffic(needed_bytes=size, fewest_requests=fewest)

    def fetched(self, size: int, requests: int) -> None:
        """Note bytes that came, or requests that were sent."""
        with self._lock:
            self.traffic += Traffic(size, 0, requests, 0)

    def failed(self, address: str, reason: str) -> None:
        """Note an image that could not be read.

        Raises:
            SourceStopped: Too many could not.
        """
        with self._lock:
            self._unreadable[address] = reason
        self._check()

    def counted(self) -> Counted:
        """What was counted since the last call; what could not be read is told every time."""
        with self._lock:
            needs = tuple(self._needs or ())
            unreadable = dict(self._unreadable)
            found = Counted(self.windows, self.bytes, unreadable, self._ranges, self.traffic, needs)
            self.windows, self.bytes, self._ranges, self.traffic = 0, 0, {}, Traffic()
            self._needs = None if self._needs is None else []
        return found

    def add(self, found: Counted) -> None:
        """Add what a copy counted. Raises SourceStopped like `failed`."""
        with self._lock:
            self.windows += found.windows
            self.bytes += found.bytes
            self.traffic += replace(found.traffic, needed_bytes=0, fewest_requests=0)
            for need in found.needs:
                self._note(need)
            self._unreadable |= found.unreadable
            for shift, (below, within) in found.ranges.items():
                entry = self._ranges.setdefault(shift, [0, 0])
                entry[0] += below
                entry[1] += within
        self._check()

    def __getstate__(self) -> dict[str, Any]:
        """A copy for another process: with what is planned, and nothing counted yet."""
        return {"planned": self._planned, "max": self._max}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__init__(state["max"])  # type: ignore[misc]  # a copy is a new one
        self._planned = state["planned"]
        self._needs = []

    def _check(self) -> None:
        with self._lock:
            failed, planned = len(self._unreadable), max(len(self._planned), 1)
            address, reason = next(reversed(self._unreadable.items()), ("", ""))
        if failed > self._max * planned:
            raise SourceStopped(
                f"{failed} of {planned} images cannot be read, such as {_short(address)} ({reason})",
                expected=f"at most {self._max:.0%} unreadable",
                todo="check the network and the catalogue, run it again later, or set --max-unreadable",
            )

    def saw(self, shift: int, below: int, within: int) -> None:
        """Note the darkest numbers over plants: how many lay at or below the offset.

        Args:
            shift: What was taken from them, 0 or 1000.
            below: Numbers at or below 1000, as stored.
            within: All numbers looked at.
        """
        with self._lock:
            entry = self._ranges.setdefault(str(shift), [0, 0])
            entry[0] += below
            entry[1] += within

    @property
    def unreadable(self) -> int:
        """Images that could not be read."""
        return len(self._unreadable)

    def notes(self) -> tuple[str, ...]:
        """How much was read."""
        if not self.windows:
            return ()
        planned, traffic = f"{len(self._planned):,} images", self.traffic
        return (
            f"read {self.bytes / 1e6:,.1f} MB in {self.windows:,} windows of {planned}: "
            f"{traffic.bytes / 1e6:,.1f} MB came in {traffic.requests:,} requests",
        )

    def warnings(self) -> tuple[str, ...]:
        """What could not be read, and reflectance out of range."""
        return (*self._failures(), *self._alarms())

    def _failures(self) -> list[str]:
        if not self._unreadable:
            return []
        named = [f"{_short(each)} ({why})" for each, why in list(self._unreadable.items())[:NAMED]]
        more = f" and {self.unreadable - NAMED} more" if self.unreadable > NAMED else ""
        return [
            f"{self.unreadable} of {len(self._planned)} images could not be read and count as missing "
            f"observations: {', '.join(named)}{more}"
        ]

    def _alarms(self) -> list[str]:
        alarms = []
        below, within = self._ranges.get("1000", (0, 0))
        if within >= ENOUGH and below > ALL_BUT * within:
            alarms.append(
                f"reflectance looks as if the offset of 1000 was taken away twice: {below / within:.0%} of "
                "the clear pixels over plants would be negative; the catalogue's metadata may be wrong"
            )
        below, within = self._ranges.get("0", (0, 0))
        if within >= ENOUGH and below < (1 - ALL_BUT) * within:
            alarms.append(
                "reflectance looks as if it still had the offset of 1000: hardly any clear pixel over plants "
                "lies below it; the catalogue's metadata may be wrong"
            )
        return alarms


def _short(address: str) -> str:
    """The last two parts of an address, without a token."""
    return "/".join(address.partition("?")[0].rsplit("/", 2)[-2:])
