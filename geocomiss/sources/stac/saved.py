"""A saved search: the items of one or several catalogues in a file, for runs that repeat."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any, Final

from pystac import Item
from pystac.errors import STACError, STACTypeError

from geocomiss.errors import SourceError
from geocomiss.seasons import Calendar
from geocomiss.sources.passes import Box, Cell
from geocomiss.sources.stac.catalogues import product_of
from geocomiss.wording import without_secrets

OURS: Final = "geocomiss"
"""Member of the file that says what was searched for."""


@dataclass(frozen=True)
class Saved:
    """A search that was kept."""

    items: tuple[Item, ...]
    """What it found, of all catalogues."""
    box: Box | None
    """What was searched, west, south, east, north; None where the file does not tell."""
    days: tuple[date, date] | None
    """First and last day searched; None where the file does not tell."""
    directions: Mapping[str, Mapping[Cell, str]]
    """Radar directions by season and cell, as they were decided on; {} where the file does not tell."""


def recognise(path: Path) -> bool:
    """Whether a file is JSON with STAC items, going by its first and, if need be, all characters."""
    if not path.is_file() or path.suffix.lower() not in (".json", ".geojson"):
        return False
    try:
        content = json.loads(path.read_text())
    except (OSError, ValueError):
        return False
    features = content.get("features") if isinstance(content, dict) else None
    if isinstance(features, list) and OURS in content:
        return True  # also a search that found nothing: reading it says so
    return isinstance(features, list) and any(
        "stac_version" in each for each in features if isinstance(each, dict)
    )


@dataclass(frozen=True)
class Searched:
    """What a search was for, and what it came to beside items."""

    box: Box
    """West, south, east, north."""
    season: Calendar
    """The time steps."""
    sources: Mapping[str, str]
    """Modality -> catalogue."""
    directions: Mapping[Cell, str]
    """Radar direction of each cell: decided on by more than lies in the box."""


def write_items(path: Path, items: Sequence[Item], searched: Searched) -> None:
    """Write a search as a GeoJSON FeatureCollection of STAC items.

    Args:
        path: File to write.
        items: What was found, addresses without tokens.
        searched: What for.
    """
    season = searched.season
    cells = {f"{row},{col}": each for (row, col), each in searched.directions.items()}
    told = {
        "bbox": list(searched.box),
        "days": [str(season.start), str(season.last_day)],
        "sources": dict(searched.sources),
        "radar_passes": {str(season): cells},
    }
    content = {
        "type": "FeatureCollection",
        OURS: told,
        "features": [_told(item) for item in items],
    }
    partial = path.with_name(f".{path.name}.partial")
    partial.write_text(json.dumps(content))
    partial.replace(path)


def read_items(path: Path) -> Saved:
    """Read a saved search, ours or any FeatureCollection of STAC items.

    Raises:
        SourceError: It is damaged, or holds no item that can be read.
    """
    try:
        content = json.loads(path.read_text())
        items = [_item(each, path) for each in content["features"]]
        ours: dict[str, Any] = content.get(OURS, {})
        west, south, east, north = ours.get("bbox", (None,) * 4)
        days = tuple(date.fromisoformat(day) for day in ours.get("days", ()))
        directions = {
            season: {_cell(cell): str(each) for cell, each in cells.items()}
            for season, cells in ours.get("radar_passes", {}).items()
        }
    except (OSError, ValueError, KeyError, TypeError, AttributeError, STACError, STACTypeError) as error:
        raise SourceError(
            f"{path.name} cannot be read as a saved search ({type(error).__name__}: {error})",
            expected="a FeatureCollection of STAC items",
            todo="save it again with `geocomiss search --save`",
        ) from error
    understood = tuple(item for item in items if product_of(item))
    if not understood:
        raise SourceError(
            f"{path.name} holds {len(items)} items, none of a collection that can be read",
            expected="items of Sentinel-2 L2A, Sentinel-1 RTC or an elevation model",
            todo="search again with `geocomiss search --save`: another area, season or catalogue",
        )
    box = (west, south, east, north) if None not in (west, south, east, north) else None
    return Saved(understood, box, (days[0], days[1]) if len(days) == 2 else None, directions)


def _told(item: Item) -> dict[str, Any]:
    """An item as JSON; links to where it was found, without a user's name and keys."""
    told: dict[str, Any] = item.to_dict(include_self_link=False, transform_hrefs=False)
    for link in told["links"]:
        link["href"] = without_secrets(link["href"])
    return told


def _cell(text: str) -> Cell:
    row, col = text.split(",")
    return int(row), int(col)


def _item(content: dict[str, Any], path: Path) -> Item:
    """An item; addresses relative to the file are made absolute."""
    item = Item.from_dict(content)
    for asset in item.assets.values():
        if "://" not in asset.href and not asset.href.startswith("/"):
            asset.href = str((path.parent / asset.href).resolve())
    return item
