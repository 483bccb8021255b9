"""A catalogue's source travels to other processes, and what its copies count comes back."""

import pickle
from datetime import date

import cloudpickle
import pytest
import xarray as xr
from affine import Affine
from odc.geo.geobox import GeoBox
from stac_server import StacServer

from geocomiss.errors import SourceStopped
from geocomiss.seasons import Calendar
from geocomiss.sources import open_source
from geocomiss.sources.base import Counting, Reading, Traffic
from geocomiss.sources.stac.ledger import Counted, Ledger
from geocomiss.sources.stac.source import StacSource
from geocomiss.stack import groups_of

GRID = GeoBox((80, 72), Affine(10, 0, 640_000, 0, -10, 5_610_000), "EPSG:32631")
MAY = Calendar(date(2021, 5, 1), "month", 1)
OPTICAL = Reading({"optical": ("B2", "B4")})


def said(source: StacSource) -> str:
    """What was read; how many requests that took depends on which header came first."""
    (note,), warnings = source.account()
    assert not warnings
    return note.partition(":")[0]


def test_a_copy_reads_the_same_pixels_and_its_counts_come_back(world: StacServer) -> None:
    source = open_source(f"stac+{world.url}", reading=OPTICAL)
    stack = source.open(GRID, MAY)
    copy, its_stack = pickle.loads(cloudpickle.dumps((source, stack)))
    expected = groups_of(stack.compute())["optical"]
    assert isinstance(source, StacSource) and isinstance(source, Counting) and isinstance(copy, Counting)
    here, traffic = said(source), source.traffic
    source.counted()
    assert not source.account()[0]
    xr.testing.assert_identical(groups_of(its_stack.compute())["optical"], expected)
    source.count(copy.counted())
    assert said(source) == here
    assert traffic.needed_bytes > 0 and source.traffic.needed_bytes == 0, (
        "what a copy needs, too, is needed once"
    )
    source.count(copy.counted())
    assert said(source) == here, "nothing counts twice"


def test_what_cannot_be_read_counts_once_wherever_it_was_tried() -> None:
    ledger = Ledger(0.3)
    ledger.plan([f"image {number}" for number in range(10)])
    copies = [pickle.loads(pickle.dumps(ledger)) for _ in range(2)]
    for number in range(3):
        copies[0].failed(f"image {number}", "gone")
        copies[1].failed(f"image {number}", "gone")
    for copy in copies:
        ledger.add(copy.counted())
    assert ledger.unreadable == 3
    with pytest.raises(SourceStopped, match="4 of 10 images"):
        ledger.add(Counted(0, 0, {"image 7": "gone"}, {}, Traffic(), ()))
