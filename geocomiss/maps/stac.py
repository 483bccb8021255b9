"""A map and its model as STAC Items: catalogues, clients and loaders know what each file holds.

STAC 1.1 with the extensions projection, raster, classification, processing and file, and MLM for the model.
Written as plain JSON; links and files are relative, so that a folder can be moved as a whole.
"""

import base64
import hashlib
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any, Final

from odc.geo.geobox import GeoBox
from shapely.geometry import box, mapping
from shapely.ops import unary_union

from geocomiss.grid import crs_of
from geocomiss.maps.cog import Statistics
from geocomiss.maps.layers import Category, Layer
from geocomiss.maps.text import identifier

ITEM: Final = "stac_item.json"
"""The Item of a map, in its folder."""
MODEL_ITEM: Final = "stac_model.json"
"""The Item of the model that made it, in the same folder."""
VERSION: Final = "1.1.0"
"""Of STAC: the first in which bands are described the same way everywhere."""
SCHEMAS: Final = "https://stac-extensions.github.io"
"""Where extensions are published; nothing is fetched from there."""
MAP_EXTENSIONS: Final = (
    "projection/v2.0.0",
    "raster/v2.0.0",
    "classification/v2.0.0",
    "processing/v1.1.0",
    "file/v2.1.0",
)
"""Extensions of a map's Item."""
MODEL_EXTENSIONS: Final = ("mlm/v1.4.0", "classification/v2.0.0", "raster/v1.1.0")
"""Extensions of a model's Item; MLM as pystac reads it."""
SHA256: Final = "1220"
"""Begins a multihash that is a SHA-256 of 32 bytes (file extension)."""
COG_TYPE: Final = "image/tiff; application=geotiff; profile=cloud-optimized"
"""Media type of our rasters."""
JSON_TYPE: Final = "application/json"
"""Media type of `run.json`."""
ITEM_TYPE: Final = "application/geo+json"
"""Media type of an Item."""
PLACES: Final = 7
"""Decimals of degrees: a centimetre."""


@dataclass(frozen=True)
class Asset:
    """A raster of a map."""

    layer: Layer
    """What it holds."""
    grid: GeoBox
    """Its own pixels."""
    statistics: tuple[Statistics, ...]
    """Of each band."""


@dataclass(frozen=True)
class MapFacts:
    """What the Item of a map says."""

    grid: GeoBox
    """Pixels of the map."""
    first_day: date
    """Of the season."""
    last_day: date
    """Of the season."""
    assets: tuple[Asset, ...]
    """Its rasters."""
    files: dict[str, tuple[str, str]]
    """Other files: title and media type by name."""
    software: dict[str, str]
    """Versions of what made it."""
    lineage: str
    """How it was made, in a sentence."""
    sources: tuple[str, ...]
    """Addresses of the Items that it was made from."""
    digest: str
    """Tells maps of the same model, season and grid apart."""


@dataclass(frozen=True)
class ModelFacts:
    """What the Item of a model says."""

    method: str
    """Its architecture."""
    sha256: str
    """Digest of the weights."""
    cells: tuple[tuple[int, int], ...]
    """1-degree cells [lat, lon] with training samples; none: the simulated world."""
    years: tuple[int, ...]
    """Years of training; none: not known."""
    season: tuple[date, date]
    """First and last day mapped: what is said where no year is known."""
    inputs: dict[str, tuple[int, tuple[str, ...]]]
    """Steps and bands by modality."""
    classes: tuple[Category, ...]
    """What it tells apart."""
    framework_version: str
    """Version of PyTorch."""
    trained_on: str
    """Name of the samples."""


def map_item(facts: MapFacts) -> dict[str, Any]:
    """The STAC Item of a map."""
    outline = facts.grid.extent.to_crs("EPSG:4326").geom
    properties = {
        "title": f"Crop types {facts.first_day} to {facts.last_day}",
        **_period(facts.first_day, facts.last_day),
        "processing:software": facts.software,
        "processing:lineage": facts.lineage,
        **_projection(facts.grid),
    }
    assets = {each.layer.name: _raster(each) for each in facts.assets}
    for name, (title, media) in facts.files.items():
        key = identifier(name.rsplit(".", 1)[0], "file") + ("_style" if name.endswith(".qml") else "")
        assets[key] = {"href": f"./{name}", "title": title, "type": media, "roles": ["metadata"]}
    links = [{"rel": "derived_from", "href": each, "type": ITEM_TYPE} for each in facts.sources]
    links.append({"rel": "derived_from", "href": f"./{MODEL_ITEM}", "type": ITEM_TYPE, "title": "model"})
    name = f"crop-types-{facts.first_day}-{facts.last_day}-{facts.digest[:12]}"
    return _item(name, outline, properties, MAP_EXTENSIONS) | {"links": links, "assets": assets}


def add_file_facts(item: dict[str, Any], folder: Path) -> None:
    """Add size and checksum of the rasters in a folder to the Item that describes them.

    Args:
        item: See `map_item`; changed in place.
        folder: Where the rasters lie.
    """
    for asset in item["assets"].values():
        path = folder / asset["href"]
        if asset["type"] == COG_TYPE and path.exists():
            with path.open("rb") as file:
                digest = hashlib.file_digest(file, "sha256").hexdigest()
            asset |= {"file:size": path.stat().st_size, "file:checksum": SHA256 + digest}


def model_item(facts: ModelFacts) -> dict[str, Any]:
    """The STAC Item of a model, with the fields of the machine-learning model extension.

    Its asset names the weights by their digest (RFC 6920): where they lie is nobody's business.
    """
    cells = [box(lon, lat, lon + 1, lat + 1) for lat, lon in facts.cells]
    first, last = facts.season
    if facts.years:
        first, last = date(min(facts.years), 1, 1), date(max(facts.years), 12, 31)
    properties = {
        "title": f"Model {facts.method} trained on {facts.trained_on}",
        **_period(first, last),
        "mlm:name": f"geocomiss {identifier(facts.method, 'model')} {facts.sha256[:8]}",
        "mlm:architecture": facts.method,
        "mlm:tasks": ["classification"],
        "mlm:framework": "PyTorch",
        "mlm:framework_version": facts.framework_version,
        "mlm:pretrained": True,
        "mlm:pretrained_source": facts.trained_on,
        "mlm:input": [_input(name, *each) for name, each in facts.inputs.items()],
        "mlm:output": [_output(facts.classes)],
    }
    weights = {
        "href": _by_digest(facts.sha256),
        "title": "weights, named by their SHA-256",
        "type": "application/octet-stream; application=safetensors",
        "roles": ["mlm:model", "mlm:weights"],
        "mlm:artifact_type": "safetensors.torch.save_file",
        # MLM asks where its bands are described; STAC 1.1 does not let `bands` stand in the properties
        "raster:bands": [
            {"name": band, "data_type": "float32"} for _, several in facts.inputs.values() for band in several
        ],
    }
    item = _item(
        f"model-{facts.sha256[:12]}", unary_union(cells) if cells else None, properties, MODEL_EXTENSIONS
    )
    return item | {"links": [], "assets": {"weights": weights}}


def classes_field(classes: tuple[Category, ...], nodata: int | None = None) -> list[dict[str, Any]]:
    """Classes as the classification extension wants them."""
    found = [
        {
            "value": each.value,
            "name": identifier(each.name, f"class_{each.value}"),
            "title": each.name,
            "color_hint": each.color.removeprefix("#").upper(),
        }
        for each in classes
    ]
    none = (
        [{"value": nodata, "name": "nodata", "title": "no class", "nodata": True}]
        if nodata is not None
        else []
    )
    return found + none


def _item(name: str, outline: Any, properties: dict[str, Any], extensions: tuple[str, ...]) -> dict[str, Any]:
    item: dict[str, Any] = {
        "type": "Feature",
        "stac_version": VERSION,
        "stac_extensions": [f"{SCHEMAS}/{each}/schema.json" for each in extensions],
        "id": name,
        "geometry": None,
        "properties": properties,
    }
    if outline is not None:
        item |= {
            "geometry": _rounded(mapping(outline)),
            "bbox": [round(each, PLACES) for each in outline.bounds],
        }
    return item


def _rounded(value: Any) -> Any:
    """A geometry with fewer decimals."""
    if isinstance(value, dict):
        return {key: _rounded(each) for key, each in value.items()}
    if isinstance(value, (list, tuple)):
        return [_rounded(each) for each in value]
    return round(value, PLACES) if isinstance(value, float) else value


def _period(first: date, last: date) -> dict[str, Any]:
    return {
        "datetime": None,
        "start_datetime": f"{first}T00:00:00Z",
        "end_datetime": f"{last}T23:59:59Z",
    }


def _projection(grid: GeoBox) -> dict[str, Any]:
    crs = crs_of(grid)
    named = {"proj:code": f"EPSG:{crs.epsg}"} if crs.epsg else {"proj:code": None, "proj:wkt2": crs.to_wkt()}
    return named | {"proj:shape": [grid.height, grid.width], "proj:transform": list(grid.affine)[:6]}


def _raster(asset: Asset) -> dict[str, Any]:
    layer = asset.layer
    described = {
        "href": f"./{layer.name}.tif",
        "title": layer.title or layer.name,
        "description": layer.description,
        "type": COG_TYPE,
        "roles": ["overview"] if layer.illustrates else ["data"],
        "bands": [
            _band(asset, name, each) for name, each in zip(layer.band_names, asset.statistics, strict=True)
        ],
    }
    if layer.categories:
        described["classification:classes"] = classes_field(layer.categories, layer.nodata)
    # each raster states its own pixels: illustrations have fewer, and loaders ask assets first
    return described | _projection(asset.grid)


def _band(asset: Asset, name: str, statistics: Statistics) -> dict[str, Any]:
    layer = asset.layer
    band: dict[str, Any] = {"name": name, "data_type": layer.dtype, "nodata": layer.nodata}
    if layer.unit:
        band["unit"] = layer.unit
    known = {key: value for key, value in vars(statistics).items() if value is not None}
    band["statistics"] = known
    band |= {"raster:scale": layer.scale, "raster:offset": layer.offset, "raster:sampling": "area"}
    if not crs_of(asset.grid).geographic:
        band["raster:spatial_resolution"] = abs(asset.grid.affine.a)
    return band


def _input(name: str, steps: int, bands: tuple[str, ...]) -> dict[str, Any]:
    shape = {"shape": [-1, steps, len(bands)], "dim_order": ["batch", "time", "bands"]}
    return {"name": name, "bands": list(bands), "input": shape | {"data_type": "float32"}}


def _output(classes: tuple[Category, ...]) -> dict[str, Any]:
    return {
        "name": "crop type",
        "tasks": ["classification"],
        "result": {"shape": [-1, len(classes)], "dim_order": ["batch", "class"], "data_type": "float32"},
        "classification:classes": classes_field(classes),
    }


def _by_digest(sha256: str) -> str:
    """A name by content, `ni:///sha-256;...` (RFC 6920)."""
    return "ni:///sha-256;" + base64.urlsafe_b64encode(bytes.fromhex(sha256)).decode().rstrip("=")
