"""A saved search: the items of one or several catalogues in a file, for runs that repeat."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any, Final

from pystac import Item
from pystac.errors import STACError

from geocomiss.errors import SourceError
from geocomiss.sources.stac.catalogues import product_of
from geocomiss.sources.stac.search import Box

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


def recognise(path: Path) -> bool:
    """Whether a file is JSON with STAC items, going by its first and, if need be, all characters."""
    if not path.is_file() or path.suffix.lower() not in (".json", ".geojson"):
        return False
    try:
        content = json.loads(path.read_text())
    except (OSError, ValueError):
        return False
    features = content.get("features") if isinstance(content, dict) else None
    return isinstance(features, list) and any(
        "stac_version" in each for each in features if isinstance(each, dict)
    )


def write_items(
    path: Path, items: Sequence[Item], box: Box, days: tuple[date, date], sources: Mapping[str, str]
) -> None:
    """Write a search as a GeoJSON FeatureCollection of STAC items.

    Args:
        path: File to write.
        items: What was found, addresses without tokens.
        box: What was searched.
        days: First and last day searched.
        sources: Modality -> catalogue.
    """
    content = {
        "type": "FeatureCollection",
        OURS: {"bbox": list(box), "days": [str(day) for day in days], "sources": dict(sources)},
        "features": [item.to_dict(include_self_link=False, transform_hrefs=False) for item in items],
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
    except (OSError, ValueError, KeyError, TypeError, STACError) as error:
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
            todo="save the search again with `geocomiss search --save`",
        )
    box = (west, south, east, north) if None not in (west, south, east, north) else None
    return Saved(understood, box, (days[0], days[1]) if len(days) == 2 else None)


def _item(content: dict[str, Any], path: Path) -> Item:
    """An item; addresses relative to the file are made absolute."""
    item = Item.from_dict(content)
    for asset in item.assets.values():
        if "://" not in asset.href and not asset.href.startswith("/"):
            asset.href = str((path.parent / asset.href).resolve())
    return item
