"""Folders with one stack for each UTM zone of an area, as `geocomiss fetch` writes them."""

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Final

from geocomiss.errors import SourceError
from geocomiss.zones import Zone

LISTED: Final = "stacks.json"
"""File that names the zones of a folder."""
ZARR: Final = "zarr"
"""Format of what maps can be made from."""


def write_listing(folder: Path, zones: Iterable[Zone], kind: str) -> None:
    """Name the zones whose stacks lie in a folder.

    Args:
        folder: The folder, with a folder for each zone.
        zones: The zones.
        kind: The format: 'zarr', or images to look at.
    """
    content = {"format": kind, "zones": {zone.name: zone.crs for zone in zones}}
    (folder / LISTED).write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")


def is_zoned(path: Path) -> bool:
    """Whether a folder was written by `write_listing`'s caller."""
    return (path / LISTED).is_file()


def stacks_in(path: Path) -> dict[str, Path]:
    """The stacks of a folder by name of their zone; none where it is no such folder.

    Raises:
        SourceError: What names them is damaged.
    """
    if not is_zoned(path):
        return {}
    try:
        stated = json.loads((path / LISTED).read_text(encoding="utf-8"))
        zones = [str(zone) for zone in stated["zones"] if stated["format"] == ZARR]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise SourceError(
            f"{path / LISTED} is damaged", expected="as `geocomiss fetch` wrote it", todo="fetch again"
        ) from error
    return {zone: path / zone for zone in zones if (path / zone).is_dir()}


def check_one_stack(path: Path) -> None:
    """Refuse a folder with several stacks where one is needed.

    Raises:
        SourceError: It is one.
    """
    if stacks := stacks_in(path):
        raise SourceError(
            f"{path} holds stacks of {len(stacks)} UTM zones, which only `geocomiss map` takes together",
            expected="the stack of one zone",
            todo=f"give {' or '.join(map(str, stacks.values()))}, or fetch a single one with --crs",
        )
