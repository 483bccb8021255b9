"""What a map folder says about itself."""

import json
import re
from collections.abc import Iterable
from pathlib import Path
from typing import Any, Final

from geocomiss.errors import MapError

SUMMARY: Final = "run.json"
"""What a map folder says about itself."""
ZONE: Final = re.compile(r"utm\d\d[ns]")
"""Names of zones."""
AREA_NOTE: Final = "mapped area (pixel count, not an estimate)"
"""What areas per class are called, everywhere."""


def read_summary(folder: Path) -> dict[str, Any]:
    """What a finished map folder says about itself: the content of `run.json`.

    Raises:
        MapError: There is no summary (an unfinished map, or none at all), or it is damaged.
    """
    path = folder / SUMMARY
    try:
        summary = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise MapError(
            f"{folder} holds no {SUMMARY}",
            expected="a folder with a finished map",
            todo="run `geocomiss map` again with the same arguments to finish it",
        ) from error
    except (OSError, ValueError) as error:
        raise _damaged_summary(path, str(error)) from error
    if not isinstance(summary, dict):
        raise _damaged_summary(path, "it is no object")
    return summary


def zones_in(folder: Path) -> tuple[str, ...]:
    """Names of the UTM zones of which a folder holds a map each; none where it is one map, or none."""
    try:
        zones = read_summary(folder).get("zones")
    except MapError:
        return ()
    listed = zones if isinstance(zones, list) else []
    return zone_names(each.get("name") for each in listed if isinstance(each, dict))


def failed_zones_in(folder: Path) -> dict[str, str]:
    """Why UTM zones have no map in a folder that should have one, by name."""
    try:
        stated = read_summary(folder).get("failed_zones")
    except MapError:
        return {}
    known = stated if isinstance(stated, dict) else {}
    return {name: str(known[name]) for name in zone_names(known)}


def zone_names(stated: Iterable[Any]) -> tuple[str, ...]:
    """Those of the names in a file that can be a zone's folder, and no way out of the map's."""
    return tuple(str(name) for name in stated if ZONE.fullmatch(str(name)))


def check_one_map(folder: Path) -> None:
    """Refuse a folder that holds a map for each of several UTM zones.

    Raises:
        MapError: It does.
    """
    if zones := zones_in(folder):
        raise MapError(
            f"{folder} holds maps of {len(zones)} UTM zones",
            expected="the folder of one of them",
            todo=f"give {' or '.join(str(folder / zone) for zone in zones)}, one after the other; any GIS "
            f"and `geocomiss view {folder / 'crop_type.vrt'}` show all of them",
        )


def _damaged_summary(path: Path, why: str) -> MapError:
    return MapError(
        f"{path} cannot be read ({why})",
        expected="JSON written by `geocomiss map`",
        todo="make the map again, with --overwrite",
    )
