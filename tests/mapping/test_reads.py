"""What lies outside the area is not read: every block that is asked of a stored stack is written down."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import rasterio
from gappy import untrained
from hollow import BLOCK, hollow_stack
from rasterio.features import geometry_mask
from shapely import from_wkt, transform
from shapely.geometry import mapping

from geocomiss.mapping import MapRequest, make_map
from geocomiss.sources import stored

SIDE = 4 * BLOCK
TILE = 2 * BLOCK
AFFINE = rasterio.Affine(10, 0, 640000, 0, -10, 5610000)
CRS = "EPSG:32631"
Block = tuple[int, int]

AREAS = {
    "an L": "POLYGON ((0 0, 20 0, 20 900, 800 900, 800 920, 0 920, 0 0))",
    "two fields": "MULTIPOLYGON (((0 0, 12 0, 12 9, 0 0)), ((1000 1010, 1024 1010, 1024 1020, 1000 1010)))",
}
"""Corners in pixels from the upper left one, column and row. Little of them, so that little is classified."""


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return hollow_stack(tmp_path_factory.mktemp("reads") / "stack.zarr", SIDE)


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return untrained(tmp_path_factory.mktemp("model"), preset="compact")


@pytest.fixture
def blocks_read(monkeypatch: pytest.MonkeyPatch) -> Iterator[set[Block]]:
    """Row and column of each block on the pixel grid that is read."""
    seen: set[Block] = set()
    real = stored._Band._read

    def noted(band: stored._Band, where: tuple[slice, ...]) -> Any:
        if max(band.shape[-2:]) > BLOCK:  # weather lies on few cells of its own
            rows, cols = where[-2:]
            seen.update(
                (row, col)
                for row in range(rows.start // BLOCK, -(-rows.stop // BLOCK))
                for col in range(cols.start // BLOCK, -(-cols.stop // BLOCK))
            )
        return real(band, where)

    monkeypatch.setattr(stored._Band, "_read", noted)
    yield seen


@pytest.mark.parametrize("corners", AREAS.values(), ids=AREAS)
def test_only_blocks_with_a_pixel_in_the_area_are_read(
    stack: Path, model: Path, tmp_path: Path, blocks_read: set[Block], corners: str
) -> None:
    area = transform(from_wkt(corners), lambda at: at * (10, -10) + (AFFINE.c, AFFINE.f))
    stated = {"type": "FeatureCollection", "crs": {"type": "name", "properties": {"name": CRS}}}
    feature = {"type": "Feature", "properties": {}, "geometry": mapping(area)}
    (tmp_path / "area.geojson").write_text(json.dumps(stated | {"features": [feature]}))
    request = MapRequest(
        str(stack), tmp_path / "map", aoi=str(tmp_path / "area.geojson"), model=str(model), tile=TILE
    )
    report = make_map(request)
    assert (report.grid.affine.c, report.grid.affine.f) == (AFFINE.c, AFFINE.f)
    inside = geometry_mask([area], (SIDE, SIDE), AFFINE, invert=True)
    assert report.computed == inside.sum()
    needed = {(int(row) // BLOCK, int(col) // BLOCK) for row, col in np.argwhere(inside)}
    assert blocks_read == needed
    assert len(needed) < (SIDE // BLOCK) ** 2
