"""2,000 fields of about 1 ha anywhere in 100 x 100 km beside the same number of fields side by side.

Processor time, and bytes read: from a stored stack those that the process reads from files, from a catalogue
on loopback those that the server sends (20 fields in 20 x 20 km there). What is left of the ratio: a stored
block of 256 pixels a side, or one of an image, is read and unpacked whole for a field of 10; each tile of 512
that holds a field is stored, and each block of 512 of every layer compressed.

On 2 cores of an AMD EPYC, 23 November 2026, spread and packed. Stored stack: 59 and 2.6 s, 24,350 and 150
MB read, 394 tiles and 1, 884 and 750 MB of memory. Catalogue: 24.5 and 3.4 s with the server's own, 60 and
5.4 MB, 9 tiles and 1. 500 fields in 200 and in 50 km a side: 46 and 15 s, 10,476 and 6,304 MB, 437 and 100
tiles, 742 and 870 MB of memory: a further tile takes about 0.1 s, 0.04 of them for the layers. Fetching the
2,000 from the stored stack 95 s and 36 GB (all bands), 3.0 GB written in blocks of 64 pixels; a map of these
48 s and 3.0 GB read, of the whole stack 57 s and 24 GB. Before, when each block of a variable was a task
of Dask's and numpy's BLAS was asked for areas: 118 and 5.0 s, of 500 fields 76 and 31 s.
"""

import json
import multiprocessing
import os
import shutil
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from affine import Affine
from gappy import untrained
from odc.geo.geobox import GeoBox
from scattered import SIDE, corners, stack_of_real_blocks, write_fields
from stac_season import add_season, area, model_for
from stac_server import serving

from geocomiss.fetching import FetchRequest, fetch_stack
from geocomiss.mapping import MapRequest, make_map
from geocomiss.nets import SIZES, EncoderSize

pytestmark = pytest.mark.skipif(
    not os.environ.get("GEOCOMISS_BENCHMARKS"), reason="takes long: set GEOCOMISS_BENCHMARKS=1"
)
PIXELS = 10_000
"""Pixels a side of the stored stack."""
FIELDS = 2000
BOXES, SOME = (5000, 20_000), 500
"""Pixels a side of a small and a large box, and the fields in either."""
IMAGES = 1536
"""Pixels a side of the area of the catalogue."""
FEW = 20
"""Fields there."""
Figure = Callable[[str, str], None]


def test_spread_fields_beside_packed_ones_in_a_stored_stack(tmp_path: Path, figure: Figure) -> None:
    source = stack_of_real_blocks(tmp_path / "stack.zarr", PIXELS)
    found = {layout: mapped(tmp_path, source, PIXELS, FIELDS, layout) for layout in ("packed", "spread")}
    told(figure, f"{FIELDS:,} fields of 1 ha in {PIXELS // 100} km a side, stored stack, compact", found)
    assert found["spread"]["peak_mb"] < 1.5 * found["packed"]["peak_mb"]


def test_a_stack_fetched_of_spread_fields_beside_one_of_all_between_them(
    tmp_path: Path, figure: Figure
) -> None:
    whole = stack_of_real_blocks(tmp_path / "whole.zarr", PIXELS)
    grid = box(PIXELS)
    fields = write_fields(tmp_path / "fields.gpkg", grid, corners(grid, FIELDS, spread=True))
    before, begin = _read(), time.process_time()
    fetched = fetch_stack(FetchRequest(str(whole), tmp_path / "fields.zarr", str(fields))).path
    took, read = time.process_time() - begin, _read() - before
    size = sum(each.stat().st_size for each in fetched.rglob("*") if each.is_file())
    figure(
        f"fetching {FIELDS:,} fields of 1 ha in {PIXELS // 100} km a side from a stored stack",
        f"{took:.1f} processor seconds, {read / 1e6:,.0f} MB read, {size / 1e6:,.0f} MB written",
    )
    found = {source.stem: mapped(tmp_path, source, PIXELS, FIELDS, "spread") for source in (whole, fetched)}
    one, other = found["fields"], found["whole"]
    figure(
        "a map of them from either stack",
        f"{one['seconds']:.1f} instead of {other['seconds']:.1f} processor seconds, "
        f"{one['bytes'] / 1e6:,.0f} instead of {other['bytes'] / 1e6:,.0f} MB read",
    )
    assert 4 * one["bytes"] < other["bytes"]


def test_the_same_number_of_fields_in_a_box_sixteen_times_as_large(tmp_path: Path, figure: Figure) -> None:
    found = {}
    for side in BOXES:
        source = stack_of_real_blocks(tmp_path / f"{side}.zarr", side)
        found[side] = mapped(tmp_path, source, side, SOME, "spread")
        shutil.rmtree(source)
    near, far = found.values()
    figure(
        f"{SOME} fields of 1 ha in {BOXES[1] // 100} km a side, beside {BOXES[0] // 100} km: stored stack",
        f"{far['seconds']:.1f} and {near['seconds']:.1f} processor seconds, {far['bytes'] / 1e6:,.0f} and "
        f"{near['bytes'] / 1e6:,.0f} MB read, {far['tiles']} and {near['tiles']} tiles, "
        f"{far['peak_mb']:.0f} and {near['peak_mb']:.0f} MB at most",
    )
    assert far["seconds"] < 5 * near["seconds"]
    assert far["peak_mb"] < 1.15 * near["peak_mb"]


def test_spread_fields_beside_packed_ones_in_a_catalogue(
    tmp_path: Path, figure: Figure, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(SIZES, "small", EncoderSize(4, 8, 4))
    folder = tmp_path / "files"
    folder.mkdir()
    found = {}
    with serving(folder, page=100) as server:
        add_season(server, IMAGES, 512, every=6)
        model = str(model_for(tmp_path))
        for layout in ("packed", "spread"):
            at = corners(area(IMAGES), FEW, spread=layout == "spread")
            fields = str(write_fields(tmp_path / f"{layout}.gpkg", area(IMAGES), at))
            out = tmp_path / layout
            server.forget()
            begin = time.process_time()
            request = MapRequest(f"stac+{server.url}", out, fields, "2021", model, crs="EPSG:32631")
            make_map(request)
            facts = json.loads((out / "run.json").read_text())
            found[layout] = {
                "seconds": time.process_time() - begin,  # with the server's own
                "bytes": server.sent(),
                "tiles": facts["tiles"]["number"],
                "peak_mb": facts["memory"]["peak_mb"],
            }
            assert facts["fetching"]["bytes_over_needed"] <= 1.2
    told(figure, f"{FEW} fields of 1 ha in {IMAGES / 100:.0f} km a side, catalogue on loopback", found)


def box(side: int) -> GeoBox:
    """The pixels around all fields."""
    return GeoBox((side, side), Affine(10, 0, 640000, 0, -10, 5610000), "EPSG:32631")


def mapped(folder: Path, source: Path, side: int, number: int, layout: str) -> dict[str, float]:
    """What a map of so many fields in a stored stack takes."""
    grid = box(side)
    model = folder / "model"
    if not model.exists():
        untrained(folder, preset="compact")
    fields = write_fields(folder / f"{layout}.gpkg", grid, corners(grid, number, spread=layout == "spread"))
    out = folder / layout
    found = measured(MapRequest(str(source), out, str(fields), model=str(model), device="cpu"), out, number)
    shutil.rmtree(out)
    return found


def measured(request: MapRequest, out: Path, fields: int) -> dict[str, float]:
    """Of a map of so many fields in a process of its own."""
    receiver, sender = multiprocessing.Pipe(duplex=False)
    process = multiprocessing.get_context("spawn").Process(target=_measure, args=(request, sender))
    process.start()
    found: dict[str, float] = receiver.recv()
    process.join()
    facts = json.loads((out / "run.json").read_text())
    assert process.exitcode == 0
    assert 0.99 < sum(each["pixels"] for each in facts["classes"]) / (fields * SIDE * SIDE) <= 1
    return found | {"tiles": facts["tiles"]["number"], "peak_mb": facts["memory"]["peak_mb"]}


def _measure(request: MapRequest, sender: Any) -> None:
    before, begin = _read(), time.process_time()
    make_map(request)
    sender.send({"seconds": time.process_time() - begin, "bytes": _read() - before})


def _read() -> int:
    """Bytes that this process has read from files, in the page cache or not; Linux alone tells."""
    return int(Path("/proc/self/io").read_text().split()[1])


def told(figure: Figure, what: str, found: dict[str, dict[str, float]]) -> None:
    packed, spread = found["packed"], found["spread"]
    for name, unit, factor in (("seconds", "processor seconds", 1.0), ("bytes", "MB read", 1e-6)):
        one, other = packed[name] * factor, spread[name] * factor
        figure(f"{what}: {unit}", f"{other:,.1f} spread, {one:,.1f} packed: {other / one:,.1f} times")
    figure(
        f"{what}: tiles, memory",
        f"{spread['tiles']:,} and {packed['tiles']:,} tiles, {spread['peak_mb']:,.0f} and "
        f"{packed['peak_mb']:,.0f} MB at most",
    )
