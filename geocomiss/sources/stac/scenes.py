"""From the items of a search to scenes: which images belong together, and which are copies.

Reprocessed twins of an image are listed side by side in some catalogues: the highest baseline is kept.
Optical images of one solar day are one scene. Radar images of one absolute orbit are one scene, never
those of one day: two passes of a day look at the ground from different sides.
"""

import re
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Final

import numpy as np
from pystac import Item

from geocomiss.sources.stac.offsets import baseline_of

SENSED: Final = re.compile(r"_(\d{8}T\d{6})_")
"""Start of sensing in the name of a product or datatake."""
TILE: Final = re.compile(r"_T?(\d{2}[C-X][A-Z]{2})_")
"""MGRS tile in the name of a product."""
ORBIT: Final = re.compile(r"_(\d{6})_[0-9A-F]{6}")
"""Absolute orbit in the name of a Sentinel-1 product."""
A_PASS: Final = timedelta(minutes=30)
"""Images closer in time are of one pass where nothing tells the orbit: an orbit takes 99 minutes."""


@dataclass(frozen=True)
class Scene:
    """Images that are one observation of each pixel."""

    time: np.datetime64
    """When the first of them was taken, UTC."""
    items: tuple[Item, ...]
    """The images, oldest first: at each pixel the first with data counts."""


def taken(item: Item) -> datetime:
    """When an image was taken, in UTC."""
    when = item.datetime or item.common_metadata.start_datetime
    if when is None:
        return datetime(1970, 1, 1, tzinfo=UTC)
    return when.astimezone(UTC) if when.tzinfo else when.replace(tzinfo=UTC)


def platform_of(item: Item) -> str:
    """For example 'sentinel-2a', in the spelling of any catalogue."""
    return str(item.properties.get("platform", "unknown platform")).lower().replace("_", "-")


def cloud_cover(item: Item) -> float | None:
    """Per cent of an image under clouds, where it is stated."""
    stated = item.properties.get("eo:cloud_cover")
    return None if stated is None else float(stated)


def newest_of_twins(items: Iterable[Item]) -> list[Item]:
    """One item per datatake and MGRS tile: the highest baseline, then the latest made. Oldest first."""
    best: dict[tuple[str, ...], Item] = {}
    for item in items:
        key = (platform_of(item), _tile(item), _sensed(item))
        if key not in best or _rank(item) > _rank(best[key]):
            best[key] = item
    return in_order(best.values())


def in_order(items: Iterable[Item]) -> list[Item]:
    """Oldest first, whatever the order of the answer."""
    return sorted(items, key=lambda item: (taken(item), item.id))


def by_solar_day(items: Sequence[Item], longitude: float) -> list[Scene]:
    """Optical scenes: all images of a day at the longitude of the area."""
    ahead = timedelta(hours=longitude / 15)
    days: dict[Any, list[Item]] = defaultdict(list)
    for item in in_order(items):
        days[(taken(item) + ahead).date()].append(item)
    return [_scene(group) for group in days.values()]


def by_orbit(items: Sequence[Item]) -> list[Scene]:
    """Radar scenes: all images of an absolute orbit of a satellite."""
    orbits: dict[tuple[str, str], list[Item]] = {}
    for item in in_order(items):
        orbit = _orbit(item)
        if orbit is None:  # the pass that was seen last, or a new one
            last = next((key for key in reversed(orbits) if key[0] == platform_of(item)), None)
            same = last is not None and taken(item) - taken(orbits[last][-1]) < A_PASS
            key = last if same and last else (platform_of(item), item.id)
        else:
            key = (platform_of(item), orbit)
        orbits.setdefault(key, []).append(item)
    return sorted(map(_scene, orbits.values()), key=lambda scene: scene.time)


def direction(item: Item) -> str:
    """'ascending', 'descending' or 'unknown'."""
    return str(item.properties.get("sat:orbit_state", "unknown")).lower()


def _scene(items: list[Item]) -> Scene:
    return Scene(np.datetime64(taken(items[0]).replace(tzinfo=None), "ns"), tuple(items))


def _orbit(item: Item) -> str | None:
    stated = item.properties.get("sat:absolute_orbit")
    if stated is not None:
        return str(stated)
    match = ORBIT.search(item.id)
    return str(int(match[1])) if match else None


def _tile(item: Item) -> str:
    """MGRS tile, from whatever the catalogue calls it; the item's place where it tells none."""
    stated = item.properties.get("s2:mgrs_tile") or item.properties.get("grid:code")
    if stated:
        return str(stated).removeprefix("MGRS-")
    match = TILE.search(f"_{item.id}_")
    return match[1] if match else str(item.bbox)


def _sensed(item: Item) -> str:
    """Start of the datatake, else the minute in which the image was taken."""
    for key in ("s2:datatake_id", "s2:product_uri"):
        if match := SENSED.search(str(item.properties.get(key, ""))):
            return match[1]
    return taken(item).strftime("%Y%m%dT%H%M")


def _rank(item: Item) -> tuple[Any, ...]:
    """What makes one twin better than another."""
    made = next(
        (item.properties[key] for key in ("s2:generation_time", "created") if key in item.properties), ""
    )
    return baseline_of(item), str(made), item.id
