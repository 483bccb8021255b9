"""STAC Items against the published schemas of their extensions, kept in `maps/schemas`: no network."""

import json
from pathlib import Path
from typing import Any

from jsonschema import Draft7Validator
from referencing import Registry, Resource
from referencing.jsonschema import DRAFT7

FOLDER = Path(__file__).parent / "maps" / "schemas"
SITE = "https://stac-extensions.github.io"
RASTER_2, RASTER_1 = (f"{SITE}/raster/{version}/schema.json" for version in ("v2.0.0", "v1.1.0"))
SCHEMAS: dict[str, dict[str, Any]] = {
    schema["$id"].rstrip("#"): schema
    for schema in (json.loads(path.read_text(encoding="utf-8")) for path in FOLDER.glob("*.json"))
}
# MLM 1.4 asks that classes are those of classification 1.1; 2.0 asks for more
SAME = {f"{SITE}/classification/v1.1.0/schema.json": SCHEMAS[f"{SITE}/classification/v2.0.0/schema.json"]}
REGISTRY: Registry[Any] = Registry().with_resources(
    [(address, Resource(schema, DRAFT7)) for address, schema in (SCHEMAS | SAME).items()]
)


def problems(item: dict[str, Any]) -> list[str]:
    """What the schemas of an Item's extensions say against it."""
    found = []
    for address in item["stac_extensions"]:
        shown = item
        if address == RASTER_2:
            # no package carries this version: its fields are those of 1.1 under other names
            address, shown = RASTER_1, _of_raster_1(item)
        validator = Draft7Validator(SCHEMAS[address], registry=REGISTRY)
        found += [f"{address}: {error.json_path} {error.message}" for error in validator.iter_errors(shown)]
    return found


def _of_raster_1(item: dict[str, Any]) -> dict[str, Any]:
    """An Item whose bands are called as raster 1.1 wants them."""
    assets = {
        name: asset | {"raster:bands": [_plain(band) for band in asset["bands"]]}
        for name, asset in item["assets"].items()
        if "bands" in asset
    }
    return item | {"assets": assets, "stac_extensions": [RASTER_1]}


def _plain(band: dict[str, Any]) -> dict[str, Any]:
    return {key.removeprefix("raster:"): value for key, value in band.items()}
