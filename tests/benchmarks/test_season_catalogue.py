"""A season of 4,000 x 4,000 pixels from a catalogue: memory, bytes and requests; takes 20 minutes on 2 cores.

The network is tiny: reading is what is looked at. Images have blocks of 512 pixels, as Planetary Computer's.
"""

import json
import multiprocessing
import os
import shutil
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from stac_season import add_season, area, model_for, write_area
from stac_server import serving

from geocomiss.mapping import MapRequest, make_map
from geocomiss.nets import SIZES, EncoderSize

pytestmark = pytest.mark.skipif(
    not os.environ.get("GEOCOMISS_BENCHMARKS"), reason="takes long: set GEOCOMISS_BENCHMARKS=1"
)
SIDE = 4000
BLOCK = 512
MEMORY_MB = 3000
ROOM = 12_000_000_000
"""Bytes on disk that it takes."""


def map_with_a_tiny_network(request: MapRequest) -> None:
    """In a process of its own, whose memory is measured."""
    SIZES["small"] = EncoderSize(8, 16, 8)
    make_map(request)


def test_a_large_season_stays_within_three_gigabytes(
    tmp_path: Path, figure: Callable[[str, str], None]
) -> None:
    if shutil.disk_usage(tmp_path).free < ROOM:
        pytest.skip("not enough free space")
    folder, out = tmp_path / "files", tmp_path / "map"
    folder.mkdir()
    SIZES["small"] = EncoderSize(8, 16, 8)
    try:
        with serving(folder, page=100) as server:
            add_season(server, SIDE, BLOCK)
            source, model = f"stac+{server.url}", str(model_for(tmp_path))
            aoi = str(write_area(tmp_path / "area.gpkg", SIDE))
            server.forget()
            request = MapRequest(source, out, aoi, "2021", model, crs="EPSG:32631", device="cpu")
            process = multiprocessing.get_context("spawn").Process(
                target=map_with_a_tiny_network, args=(request,)
            )
            process.start()
            kept = 0
            while process.is_alive():
                kept = max(kept, held(out / "fetched"))
                time.sleep(5)
            assert process.exitcode == 0
            sent, asked = server.sent(), sum(server.asked().values())
        facts = json.loads((out / "run.json").read_text())
        stored = sum(path.stat().st_size for path in folder.rglob("*.tif"))
        title = f"a catalogue's season, {SIDE:,} x {SIDE:,} px of {stored / 1e9:.1f} GB of images"
        figure(title, f"{facts['memory']['peak_mb']:,.0f} MB, {facts['px_per_s']:,.0f} px/s")
        figure("likewise, blocks kept at most", f"{kept / 1e9:.1f} GB")
        for name in ("bytes", "bytes_over_needed", "requests", "requests_over_fewest", "overlap"):
            figure(f"likewise, {name}", f"{facts['fetching'][name]:,}")
        fetching = facts["fetching"]
        assert facts["tiles"]["computed_px"] == SIDE * SIDE == area(SIDE).shape[0] * SIDE
        assert facts["memory"]["peak_mb"] < MEMORY_MB
        assert (fetching["bytes"], fetching["requests"]) == (sent, asked)
        assert fetching["bytes_over_needed"] <= 1.2 and fetching["requests_over_fewest"] <= 1.1
        assert fetching["overlap"] >= 0.9
    finally:
        shutil.rmtree(tmp_path, ignore_errors=True)


def held(folder: Path) -> int:
    """Bytes of the files in a folder, some of which may be going."""
    total = 0
    for path in folder.rglob("*"):
        try:
            total += path.stat().st_size
        except OSError:
            pass
    return total
