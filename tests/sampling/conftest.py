"""A stack with gaps, and files of points and polygons in it."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import geopandas
import pytest
from gappy import gappy_groups, store


@pytest.fixture
def stack(tmp_path: Path) -> Path:
    """A stored stack with every kind of gap."""
    return store(tmp_path, gappy_groups())


@pytest.fixture
def write(tmp_path: Path) -> Callable[..., Path]:
    """Writes a file of features in a CRS."""

    def to_file(shapes: list[Any], labels: list[Any], crs: Any = "EPSG:32631", **columns: Any) -> Path:
        frame = geopandas.GeoDataFrame({"label": labels, **columns}, geometry=shapes, crs="EPSG:32631")
        path = tmp_path / "features.gpkg"
        (frame.to_crs(crs) if crs else frame.set_crs(None, allow_override=True)).to_file(path, driver="GPKG")
        return path

    return to_file
