"""Classifications of other tools: GeoTIFFs of classes and nothing beside them."""

from pathlib import Path

import numpy as np
import rasterio
from affine import Affine

FIELDS = np.kron(np.random.default_rng(0).integers(1, 5, (30, 40)), np.ones((4, 4))).astype("u1")


def foreign(path: Path, values: np.ndarray = FIELDS, crs: str = "EPSG:32631", **profile: object) -> Path:
    """A classification of another tool."""
    pixel = (
        Affine(10, 0, 640_000, 0, -10, 5_610_000) if crs != "EPSG:4326" else Affine(1e-4, 0, 5, 0, -1e-4, 50)
    )
    given = {"driver": "GTiff", "height": values.shape[0], "width": values.shape[1], "count": 1}
    with rasterio.open(
        path, "w", **given | {"dtype": values.dtype, "crs": crs, "transform": pixel} | profile
    ) as file:
        file.write(values, 1)
    return path
