"""Facts about maps: their folders and their layers."""

from pathlib import Path
from typing import Any, Final

import numpy as np
import rasterio
from numpy.typing import NDArray
from odc.geo.geobox import GeoBox

from geocomiss.grid import pixel_hectares, tiles_of
from geocomiss.inspection.facts import Facts, grid_facts
from geocomiss.maps import AREA_NOTE, read_categories, read_summary, zones_in

SOFTWARE: Final = "geocomiss"
"""How the tag `software` of our layers begins."""
TILE: Final = 512
"""Pixels a side that are counted at once."""


def map_facts(folder: Path) -> Facts:
    """What a finished map says about itself.

    Raises:
        MapError: Its summary is damaged.
    """
    summary = read_summary(folder)
    model, source = summary.get("model", {}), summary.get("source", {})
    made = (folder / "tiles").is_dir()
    return {
        "what": "a map, being replaced: the same command goes on" if made else _what(folder),
        **({"how far it is": f"geocomiss status {folder}"} if made else {}),
        "label": summary.get("label", ""),
        "season": summary.get("season"),
        "grid of the virtual rasters" if zones_in(folder) else "grid": summary.get("grid"),
        "source": source.get("name"),
        "model": {key: model.get(key) for key in ("method", "trained_on", "simulated", "sha256")},
        "modalities available": summary.get("modality_share"),
        "pixels without a class": summary.get("nodata"),
        "without": summary.get("without", []),
        "notes": summary.get("notes", []),
        "warnings": summary.get("warnings", []),
        **({"zones": summary["zones"]} if zones_in(folder) else {}),
        "files": [name for name in summary.get("files", []) if (folder / name).exists()],
        AREA_NOTE: summary.get("classes", []),
    }


def _what(folder: Path) -> str:
    zones = zones_in(folder)
    return f"a map of {len(zones)} UTM zones, one in each folder" if zones else "a map"


def layer_facts(path: Path) -> Facts | None:
    """A GeoTIFF of ours, or None where it is another's (or damaged: the sources say how)."""
    try:
        with rasterio.open(path) as file:
            tags = file.tags()
            if not tags.get("software", "").startswith(SOFTWARE):
                return None
            grid = GeoBox(file.shape, file.transform, str(file.crs))
            facts = {
                "what": f"a layer of a map: {tags.get('DESCRIPTION', file.descriptions[0])}",
                "grid": grid_facts(grid),
                "nodata": file.nodata,
                "scale": file.scales[0],
                "tags": {name: text for name, text in tags.items() if name != "AREA_OR_POINT"},
            }
            counts, hectares = _count(file, grid)
    except rasterio.errors.RasterioIOError:
        return None
    classes = [
        {
            "value": each.value,
            "name": each.name,
            "color": each.color,
            "pixels": int(counts[each.value]),
            "area_ha": round(float(hectares[each.value]), 4),
        }
        for each in read_categories(path)
    ]
    return facts | ({AREA_NOTE: classes} if classes else {})


def _count(file: Any, grid: GeoBox) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """Pixels and hectares per value 0..255."""
    pixels, hectares = np.zeros(256, np.int64), np.zeros(256)
    for tile in tiles_of(grid, TILE):
        values = file.read(1, window=((tile.y.start, tile.y.stop), (tile.x.start, tile.x.stop))).ravel()
        pixels += np.bincount(values, minlength=256)
        hectares += np.bincount(values, pixel_hectares(tile.geobox).ravel(), minlength=256)
    return pixels, hectares
