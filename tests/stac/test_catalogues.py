"""Catalogues by name: their own keys, their own offset rule, and what they lack."""

from dataclasses import replace
from datetime import date, datetime
from pathlib import Path

import numpy as np
import pytest
from affine import Affine
from odc.geo.geobox import GeoBox
from stac_data import add_item
from stac_server import serving

from geocomiss import sources
from geocomiss.seasons import Calendar
from geocomiss.sources import open_source
from geocomiss.sources.base import Accounting
from geocomiss.sources.stac.catalogues import CATALOGUES
from geocomiss.sources.stac.search import PREFIX
from geocomiss.stack import groups_of, origin_of

GRID = GeoBox((20, 20), Affine(10, 0, 640_000, 0, -10, 5_610_000), "EPSG:32631")
JUNE = Calendar(date(2023, 6, 1), "month", 1)


def test_names_are_spelt_alike_where_nothing_may_be_imported() -> None:
    assert tuple(CATALOGUES) == sources.CATALOGUES and PREFIX == sources.CATALOGUE_PREFIX


def test_earth_search_by_its_colours_with_its_flag_and_without_radar(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    wide, coarse = GRID.pad(8), GeoBox((18, 18), Affine(20, 0, 639_920, 0, -20, 5_610_080), "EPSG:32631")
    told = {"platform": "sentinel-2b", "s2:processing_baseline": "05.09", "grid:code": "MGRS-31UFS"}
    misleading = {"raster:bands": [{"nodata": 0, "data_type": "uint16", "scale": 0.0001, "offset": -0.1}]}
    with serving(tmp_path) as server:
        for day, removed, level in ((5, True, 500), (15, False, 1700), (25, True, 900)):
            bands = {band: (np.full(wide.shape, level, "u2"), wide) for band in ("B4", "B8")}
            bands["scl"] = (np.full(coarse.shape, 4, "u1"), coarse)
            flag = {"earthsearch:boa_offset_applied": removed}
            when = datetime(2023, 6, day, 10, 30)
            add_item(server, "s2-cogs", f"S2B_{day}", when, bands, told | flag, extra=misleading)
        monkeypatch.setitem(CATALOGUES, "earth-search", replace(CATALOGUES["earth-search"], url=server.url))
        source = open_source("earth-search")
        stack = source.open(GRID, JUNE).compute()
    optical, notes = groups_of(stack)["optical"], origin_of(stack).notes
    assert (optical["B4"] == 700).all() and (optical["count"] == 3).all(), "the median of 500, 700 and 900"
    assert "radar" not in source.bands and any("radar: earth-search cannot deliver it" in n for n in notes)
    assert any("raster:bands.offset says -0.1" in note and note.startswith("in 2 ") for note in notes)
    assert isinstance(source, Accounting) and not source.account()[1]
