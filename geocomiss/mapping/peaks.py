"""The most memory that processes took, and whether those that computed tiles kept to their share.

Each process records its peak with every tile that it finishes. What a map states of them is read from these
records alone: it takes in workers that died meanwhile, and those that came in their place.
"""

import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

NAMED: Final = 3
"""Workers that are named in a warning."""
SINCE_NOW: Final = "5"
"""What makes Linux forget the peak of a process (proc(5), clear_refs)."""


@dataclass(frozen=True)
class Peaks:
    """The most bytes that processes took which computed tiles."""

    own: Mapping[str, int] = field(default_factory=dict)
    """In this run, by process (host and number)."""
    kept: int = 0
    """The highest in earlier runs, of tiles that are kept; 0: there are none, or it is not known."""


def peak() -> int | None:
    """Most bytes of memory that this process ever took; None where the system does not tell."""
    if sys.platform == "linux":  # its getrusage tells of the program that started this one, too
        try:
            lines = Path("/proc/self/status").read_text().splitlines()
        except OSError:  # where /proc is not there
            return None
        return next((int(line.split()[1]) * 1024 for line in lines if line.startswith("VmHWM")), None)
    if sys.platform == "darwin":
        import resource  # not everywhere

        return int(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)
    return None


def forget_peak() -> None:
    """Have `peak` tell of what this process takes from now on, where the system lets it."""
    try:
        Path("/proc/self/clear_refs").write_text(SINCE_NOW)
    except OSError:
        return  # then it tells of all that the process did since it started


def in_mb(taken: float | None) -> float | None:
    """Bytes in MB, as they are stated; None where they are not known."""
    return round(taken / 1e6, 1) if taken else None


def workers_stated(peaks: Mapping[str, float], share: float | None) -> dict[str, Any]:
    """What `run.json` states of workers, in MB.

    Args:
        peaks: MB that each took at most, by name.
        share: MB that each may take; None: it is not limited.
    """
    return {
        "number": len(peaks),
        "share_mb": share,
        "largest_mb": max(peaks.values(), default=None),
        "peaks_mb": dict(sorted(peaks.items())),
    }


def overdrawn(peaks: Mapping[str, int], share: float | None) -> tuple[str, ...]:
    """A warning where workers took more than their share.

    Args:
        peaks: Bytes that each took at most, by name.
        share: Bytes that each may take; None: it is not limited.
    """
    over = {name: taken for name, taken in peaks.items() if share is not None and taken > share}
    if not over or share is None:
        return ()
    ordered = sorted(over.items(), key=lambda each: -each[1])
    named = ", ".join(f"{name} {taken / 1e6:,.0f} MB" for name, taken in ordered[:NAMED])
    more = f" and {len(over) - NAMED} more (see run.json)" if len(over) > NAMED else ""
    return (
        f"{len(over)} of {len(peaks)} workers took more than their share of --memory, {share / 1e6:,.0f} MB "
        f"each: {named}{more}; the map is whole, smaller --memory makes smaller tiles",
    )
