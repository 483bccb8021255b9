"""Maps of several UTM zones as a STAC Collection over their Items."""

from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any, Final

from geocomiss.maps.layers import Layer
from geocomiss.maps.mosaic import SUFFIX
from geocomiss.maps.stac import ITEM, ITEM_TYPE, PLACES, VERSION
from geocomiss.maps.text import identifier

COLLECTION: Final = "stac_collection.json"
"""The Collection, in the folder above those of the zones."""
VIRTUAL_TYPE: Final = "application/xml"
"""Media type of virtual rasters; they have none of their own."""

Item = dict[str, Any]
"""A STAC Item, as read."""


@dataclass(frozen=True)
class CollectionFacts:
    """What the Collection says."""

    first_day: date
    """Of the season."""
    last_day: date
    """Of the season."""
    items: dict[str, Item]
    """The Item of each zone, by the name of its folder."""
    layers: tuple[Layer, ...]
    """What there is a virtual raster of."""
    files: dict[str, tuple[str, str]]
    """Other files: title and media type by name."""


def map_collection(facts: CollectionFacts) -> dict[str, Any]:
    """The STAC Collection of a map; its assets are the virtual rasters over all zones."""
    boxes = [item["bbox"] for item in facts.items.values() if "bbox" in item]
    whole = [min(each[at] for each in boxes) for at in (0, 1)] + [
        max(each[at] for each in boxes) for at in (2, 3)
    ]
    season = f"{facts.first_day} to {facts.last_day}"
    period = [f"{facts.first_day}T00:00:00Z", f"{facts.last_day}T23:59:59Z"]
    digests = "-".join(item["id"].rsplit("-", 1)[-1][:6] for item in facts.items.values())
    return {
        "type": "Collection",
        "stac_version": VERSION,
        "id": f"crop-types-{facts.first_day}-{facts.last_day}-{digests}"[:200],
        "title": f"Crop types {season}",
        "description": f"Crop types {season}: a map for each of {len(facts.items)} UTM zones",
        "license": "other",
        "extent": {
            "spatial": {"bbox": [[round(each, PLACES) for each in box] for box in (whole, *boxes)]},
            "temporal": {"interval": [period]},
        },
        "links": [
            {"rel": "item", "href": f"./{zone}/{ITEM}", "type": ITEM_TYPE, "title": zone}
            for zone in facts.items
        ],
        "assets": _assets(facts),
    }


def _assets(facts: CollectionFacts) -> dict[str, Any]:
    """Virtual rasters and other files."""
    assets = {
        layer.name: {
            "href": f"./{layer.name}{SUFFIX}",
            "title": layer.title or layer.name,
            "description": f"{layer.description}; all zones, nearest neighbour, in degrees",
            "type": VIRTUAL_TYPE,
            "roles": ["overview"] if layer.illustrates else ["data", "virtual"],
        }
        for layer in facts.layers
    }
    for name, (title, media) in facts.files.items():
        stem = Path(name).stem
        key = identifier(stem, "file") + ("_style" if name.endswith(".qml") else "")
        assets[key] = {"href": f"./{name}", "title": title, "type": media, "roles": ["metadata"]}
    return assets
