"""Memory and disk of maps of large areas, with a compact network; each map is deleted again.

4,000 pixels a side take some 3 minutes on 2 cores, 10,000 a quarter of an hour.
"""

import json
import os
import shutil

import pytest
from gappy import untrained
from hollow import hollow_stack
from map_process import start
from raw_acquisitions import folder
from stac_season import add_season, model_for, write_area
from stac_server import serving

from geocomiss.mapping import MapRequest

pytestmark = pytest.mark.skipif(
    not os.environ.get("GEOCOMISS_BENCHMARKS"), reason="takes long: set GEOCOMISS_BENCHMARKS=1"
)
MEMORY = 3_000_000_000
DISK = 8
"""Bytes a pixel that a map in the making may take at most."""


@pytest.mark.parametrize("side", [1000, 4000, 10000])
def test_a_large_map_stays_within_three_gigabytes(side, tmp_path, figure):
    if shutil.disk_usage(tmp_path).free < 3 * DISK * side * side:
        pytest.skip("not enough free space")
    out = tmp_path / "map"
    source = str(hollow_stack(tmp_path / "stack.zarr", side))
    try:
        process = start(
            MapRequest(
                source,
                out,
                model=str(untrained(tmp_path, preset="compact")),
                memory=MEMORY,
                device="cpu",
            ),
            threads=0,
        )
        process.join()
        assert process.exitcode == 0
        facts = json.loads((out / "run.json").read_text())
        taken = facts["memory"]
        figure(
            f"memory of a map of {side:,} x {side:,} pixels, compact network, `--memory 3GB`",
            f"{taken['peak_mb']:,.0f} MB at most ({taken['reckoned_mb']:,.0f} reckoned) in tiles of "
            f"{facts['tiles']['size']}; {facts['px_per_s']:,.0f} px/s",
        )
        assert facts["tiles"]["computed_px"] == side * side
        assert taken["peak_mb"] < taken["reckoned_mb"] <= taken["budget_mb"]
    finally:
        shutil.rmtree(tmp_path, ignore_errors=True)


def test_a_map_of_many_scenes_a_month_keeps_to_the_memory_that_is_given(tmp_path, figure):
    (tmp_path / "files").mkdir()
    with serving(tmp_path / "files", page=100) as server:
        add_season(server, 1100, 512, every=1)
        request = MapRequest(
            f"stac+{server.url}",
            tmp_path / "map",
            str(write_area(tmp_path / "area.gpkg", 1100)),
            "2021",
            str(model_for(tmp_path)),
            crs="EPSG:32631",
            device="cpu",
            memory=2_000_000_000,
        )
        process = start(request, threads=0)
        process.join()
    assert process.exitcode == 0
    facts = json.loads((request.out / "run.json").read_text())
    taken = facts["memory"]
    figure(
        "memory of a map of 1,100 x 1,100 pixels from a catalogue, 6 scenes a month, `--memory 2GB`",
        f"{taken['peak_mb']:,.0f} MB at most ({taken['reckoned_mb']:,.0f} reckoned) in tiles of "
        f"{facts['tiles']['size']}",
    )
    assert taken["peak_mb"] < taken["reckoned_mb"] <= taken["budget_mb"]


def test_a_map_of_raw_acquisitions_keeps_to_the_memory_that_is_given(tmp_path, figure):
    side, dates = 1200, 70
    request = MapRequest(
        str(folder(tmp_path / "raw", side, dates, stored=256)),
        tmp_path / "map",
        season="2021",
        model=str(untrained(tmp_path, preset="compact")),
        memory=1_500_000_000,
        device="cpu",
        on_mismatch="drop",
    )
    try:
        process = start(request, threads=0)
        process.join()
        assert process.exitcode == 0
        facts = json.loads((request.out / "run.json").read_text())
    finally:
        shutil.rmtree(tmp_path / "raw")
    taken = facts["memory"]
    figure(
        f"memory of a map of {side:,} x {side:,} pixels from a folder of {dates} optical and radar dates, "
        "`--memory 1.5GB`",
        f"{taken['peak_mb']:,.0f} MB at most ({taken['reckoned_mb']:,.0f} reckoned) in tiles of "
        f"{facts['tiles']['size']}; {facts['px_per_s']:,.0f} px/s",
    )
    assert taken["peak_mb"] < taken["reckoned_mb"] <= taken["budget_mb"]
