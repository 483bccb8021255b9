"""Of a catalogue's images only blocks around scattered fields come, and they hold what a whole fetch does."""

from pathlib import Path

import numpy as np
import xarray as xr
from scattered import SIDE, write_fields
from stac_season import add_season, area, write_area
from stac_server import serving

from geocomiss.fetching import FetchRequest, fetch_stack
from geocomiss.stack import groups_of, read_stack

BOX = 900
"""Pixels a side of the box around the fields."""
PLACES = np.array([(0, 0), (300, 610), (BOX - SIDE, BOX - SIDE)])


def test_fields_come_without_what_lies_between_them(tmp_path: Path) -> None:
    folder = tmp_path / "files"
    folder.mkdir()
    fields = write_fields(tmp_path / "fields.gpkg", area(BOX), PLACES)
    asked = {"fields": str(fields), "box": str(write_area(tmp_path / "box.gpkg", BOX))}
    sent, stacks = {}, {}
    with serving(folder, page=100) as server:
        add_season(server, BOX, 128, every=60)
        for name, aoi in asked.items():
            server.forget()
            out, source = tmp_path / f"{name}.zarr", f"stac+{server.url}"
            fetch_stack(FetchRequest(source, out, aoi, "2021", crs="EPSG:32631"))
            sent[name], stacks[name] = server.sent(), groups_of(read_stack(out))
    assert 2 * sent["fields"] < sent["box"]
    for name in ("optical", "radar", "topography"):
        for row, col in PLACES:
            part = {"y": slice(row, row + SIDE), "x": slice(col, col + SIDE)}
            one, other = (stacks[each][name].isel(part).compute() for each in asked)
            xr.testing.assert_equal(one, other)
            assert bool(one.to_array().notnull().any())
