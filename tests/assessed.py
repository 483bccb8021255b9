"""A small map folder, and points on its grid."""

import json
from pathlib import Path
from typing import Any

import geopandas
import numpy as np
import rasterio
import shapely
from affine import Affine
from numpy.typing import NDArray
from odc.geo.geobox import GeoBox

CLASSES = {1: "maize", 2: "wheat", 3: "non_crop"}
COLORS = {1: "#ffd300", 2: "#a57000", 3: "#808080"}
GRID = GeoBox((160, 200), Affine(10, 0, 640000, 0, -10, 5610000), "EPSG:32631")


def write_map(
    folder: Path, values: NDArray[np.uint8], bits: NDArray[np.uint8] | None = None, grid: GeoBox = GRID
) -> Path:
    """A map folder with what an assessment reads."""
    folder.mkdir(parents=True)
    bits = np.full(values.shape, 15, np.uint8) if bits is None else bits
    for name, layer in (("crop_type", values), ("modalities", bits)):
        with rasterio.open(
            folder / f"{name}.tif", "w", driver="GTiff", width=grid.width, height=grid.height, count=1,
            dtype="uint8", crs="EPSG:32631", transform=grid.affine, nodata=0 if name == "crop_type" else 255,
        ) as file:  # fmt: skip
            file.write(layer, 1)
    classes = [{"value": value, "name": CLASSES[value], "color": COLORS[value]} for value in CLASSES]
    (folder / "run.json").write_text(json.dumps({"classes": classes, "model": {"sha256": "0" * 64}}))
    return folder


def points_at(rows: Any, cols: Any, labels: Any, crs: Any = "EPSG:32631", **columns: Any) -> Any:
    """Points at the centres of pixels."""
    x, y = GRID.affine.c + (np.asarray(cols) + 0.5) * 10, GRID.affine.f - (np.asarray(rows) + 0.5) * 10
    return geopandas.GeoDataFrame({"label": labels, **columns}, geometry=shapely.points(x, y), crs=crs)
