"""Which radar passes are used depends on a cell of 100 km and a season, not on the window or the file."""

from collections.abc import Iterator
from datetime import date, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import shapely
from affine import Affine
from odc.geo.geobox import GeoBox
from pyproj import Transformer
from stac_data import add_item
from stac_server import StacServer, serving
from typer.testing import CliRunner

from geocomiss.grid import centres
from geocomiss.seasons import Calendar
from geocomiss.sources import open_source
from geocomiss.sources.base import Reading
from geocomiss.sources.passes import box_of, cells_of
from geocomiss.stack import groups_of, origin_of
from geocomiss_cli.main import app

MAY = Calendar(date(2021, 5, 1), "month", 1)
RADAR = Reading({"radar": ("VV", "VH")})
(WEST,) = cells_of((4.9, 50.6, 4.9, 50.6))
EDGE = box_of(WEST).bounds[2]
"""Longitude at which the next cell begins."""
X, Y = (round(float(v), -1) for v in Transformer.from_crs(4326, 32631, always_xy=True).transform(EDGE, 50.8))
GRID = GeoBox((40, 60), Affine(10, 0, X - 300, 0, -10, Y), "EPSG:32631")
ASCENDING, DESCENDING = 0.1, 0.01
"""Their backscatter."""


@pytest.fixture(scope="module")
def two_cells(tmp_path_factory: pytest.TempPathFactory) -> Iterator[StacServer]:
    """Ascending passes over both cells, of which the eastern one is seen by more descending ones."""
    with serving(tmp_path_factory.mktemp("passes")) as server:
        both = shapely.box(*shapely.union(box_of(WEST), box_of((WEST[0], WEST[1] + 1))).bounds)
        east = both.intersection(shapely.box(EDGE - 0.2, 0, 180, 90))
        add(server, "a", 3, "ascending", ASCENDING, both)
        add(server, "b", 10, "descending", DESCENDING, east)
        add(server, "c", 15, "descending", DESCENDING, east)
        yield server


def add(server: StacServer, name: str, day: int, direction: str, power: float, footprint: Any) -> None:
    images = {band: (np.full(GRID.shape, power, "f4"), GRID) for band in ("VV", "VH")}
    told = {"platform": "SENTINEL-1A", "sat:orbit_state": direction, "sat:absolute_orbit": 30_000 + day}
    add_item(server, "s1-rtc", f"S1-{name}", datetime(2021, 5, day, 5, 50), images, told)
    items = server.items()
    items[-1] |= {"geometry": shapely.geometry.mapping(footprint), "bbox": list(footprint.bounds)}
    server.tell(only=items)


def expected() -> np.ndarray:
    x, y = np.meshgrid(*centres(GRID))
    longitude, _ = Transformer.from_crs(32631, 4326, always_xy=True).transform(x, y)
    return np.where(longitude < EDGE, 10 * np.log10(ASCENDING), 10 * np.log10(DESCENDING)).astype("f4")


def test_each_cell_has_its_direction_also_within_a_block(two_cells: StacServer) -> None:
    source = open_source(f"stac+{two_cells.url}", reading=RADAR)
    stack = source.open(GRID, MAY)
    np.testing.assert_allclose(groups_of(stack.compute())["radar"]["VV"].values[0], expected(), rtol=1e-6)
    assert groups_of(stack.compute())["radar"]["count"].values[0].max() == 2
    assert origin_of(stack).radar_pass == "mixed"
    assert any("by cell of about 100 km" in note for note in origin_of(stack).notes)


def test_windows_asked_for_one_by_one_have_what_the_whole_has(two_cells: StacServer) -> None:
    for cols in (slice(0, 20), slice(20, 41), slice(41, 60)):
        source = open_source(f"stac+{two_cells.url}", reading=RADAR)  # decides anew
        found = groups_of(source.open(GRID[:, cols], MAY).compute())["radar"]["VV"].values[0]
        np.testing.assert_allclose(found, expected()[:, cols], rtol=1e-6)


def test_a_saved_search_keeps_what_was_decided(two_cells: StacServer, tmp_path: Path) -> None:
    west = shapely.box(*GRID[:, :20].extent.to_crs("EPSG:4326").boundingbox.bbox)
    save = tmp_path / "items.json"
    asked = ["search", "--source", f"stac+{two_cells.url}", "--aoi", ",".join(map(str, west.bounds))]
    done = CliRunner().invoke(app, [*asked, "--season", "2021-05:2021-05", "--save", str(save)])
    assert done.exit_code == 0, done.output
    source = open_source(str(save), reading=RADAR)
    found = groups_of(source.open(GRID[5:35, 2:18], MAY).compute())["radar"]["VV"].values[0]
    np.testing.assert_allclose(found, expected()[5:35, 2:18], rtol=1e-6)
    two_cells.forget()
    source.open(GRID[5:35, 2:18], MAY)
    assert not two_cells.asked("/search")
    save.write_text(save.read_text().replace('"radar_passes"', '"other"'))  # of another tool, say
    plain = open_source(str(save), reading=RADAR)
    assert groups_of(plain.open(GRID[5:35, 2:18], MAY).compute())["radar"]["VV"].notnull().any()
