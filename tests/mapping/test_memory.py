"""Memory does not depend on the area, and tiles follow from the memory that there is."""

import gc
import json
import weakref
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import rasterio
import torch
from gappy import BANDS, GRID, gappy_groups, store, untrained
from hollow import hollow_stack
from map_process import finish, same, start
from odc.geo.geobox import GeoBox
from typer.testing import CliRunner

from geocomiss.batch import Spec, default_min_steps
from geocomiss.checkpoint import read_checkpoint
from geocomiss.errors import MapError
from geocomiss.mapping import MapRequest, make_map
from geocomiss.mapping.budget import check_whole, fitted, sized
from geocomiss.mapping.memory import SIDES, Memory, _Counted, bytes_of_series, memory_of, tensors_of
from geocomiss.methods import new_method
from geocomiss.stack import swept
from geocomiss.tiling import WorkFolder
from geocomiss_cli import main as entry

SPEC = Spec(BANDS, 12, 3, default_min_steps(tuple(BANDS), 12))
BUDGET = 1_500_000_000


def sparse_mask(path: Path, side: int) -> str:
    """A mask that leaves one pixel of 64: what is read and written is all, what is classified is not."""
    values = np.zeros((side, side), np.uint8)
    values[::8, ::8] = 1
    profile = {"width": side, "height": side, "count": 1, "dtype": "uint8", "compress": "DEFLATE"}
    where = {"crs": "EPSG:32631", "transform": rasterio.Affine(10, 0, 640000, 0, -10, 5610000)}
    with rasterio.open(path, "w", driver="GTiff", **profile, **where) as file:
        file.write(values, 1)
    return str(path)


@pytest.mark.slow
def test_sixteen_times_the_area_takes_the_same_memory(tmp_path: Path) -> None:
    model, peaks = str(untrained(tmp_path, preset="compact")), []
    # in a map of four tiles reading and computing are not always at their worst at the same time
    for number, side in enumerate((*(1000,) * 5, 4000)):
        out = tmp_path / f"map{number}"
        request = MapRequest(
            str(hollow_stack(tmp_path / f"{side}.zarr", side)),
            out,
            model=model,
            mask=sparse_mask(tmp_path / f"{side}.tif", side),
            memory=BUDGET,
            device="cpu",
        )
        assert finish(start(request), 600) == 0
        facts = json.loads((out / "run.json").read_text())
        assert facts["tiles"]["size"] == 512 and facts["tiles"]["computed_px"] == side * side // 64
        peaks.append(facts["memory"]["peak_mb"])
        assert peaks[-1] < facts["memory"]["reckoned_mb"] <= facts["memory"]["budget_mb"] == BUDGET / 1e6
    assert peaks[-1] <= 1.15 * max(peaks[:-1]), peaks


def test_tiles_are_the_largest_that_the_memory_allows() -> None:
    memory = Memory(process=1e9, pixel=1000)
    for budget, side in ((1.0041e9, 64), (1.07e9, 256), (1.5e9, 512), (3e9, 1280), (1e12, 2048)):
        assert memory.side(budget) == side
    for side in SIDES:
        assert memory.side(memory.taken(side)) == side
    assert memory.side(0.9e9) == 0


@pytest.mark.parametrize(
    ("given", "workers", "told"),
    [
        (0.9e9, 0, "900 MB; expected at least 1,005 MB; give as much, or --tile"),
        (0.9e9, 2, "900 MB and --workers 2; expected at least 2,729 MB; give as much, or --tile"),
        (1.5e9, 2, "expected at least 2,729 MB; give as much, no --workers, or --tile"),
        (3.0e9, 5, "expected at least 5,741 MB; give as much, --workers 2, or --tile"),
    ],
)
def test_a_memory_that_allows_no_tiles_is_told_what_would(
    tmp_path: Path, given: float, workers: int, told: str
) -> None:
    memory = Memory(process=1e9, pixel=1000)
    with pytest.raises(MapError, match=told):
        fitted(MapRequest("a stack", tmp_path / "map", memory=int(given), workers=workers), memory)


def test_what_is_read_counted_and_kept_adds_up() -> None:
    # pictures need B4, B3, B2 and NDVI, all of them bands of the model already; 2 bytes a count
    assert bytes_of_series(SPEC) == {"optical": 12 * 22, "radar": 12 * 10, "topography": 8}
    small, full = (new_method("comiss", SPEC, {"preset": preset}).eval() for preset in ("small", "full"))
    plain = memory_of(small, SPEC, False, False, 1)
    assert memory_of(small, SPEC, False, False, 0).pixel < plain.pixel
    assert memory_of(small, SPEC, True, False, 1).pixel == plain.pixel + 16 * 3
    assert memory_of(full, SPEC, False, False, 1).process > plain.process
    many = Spec(BANDS, 12, 60, default_min_steps(tuple(BANDS), 12))
    assert (
        memory_of(new_method("comiss", many, {"preset": "small"}).eval(), many, True, True, 1).pixel == 4800
    )


def test_an_unfinished_map_keeps_its_tiles_where_the_memory_allows_them(tmp_path: Path) -> None:
    checkpoint = read_checkpoint(str(untrained(tmp_path)))
    alone = MapRequest("a stack", tmp_path / "map", memory=4_000_000_000)
    crew = replace(alone, workers=3)
    free = [sized(each, checkpoint)[0].tile for each in (alone, crew)]
    assert free[0] > free[1]
    WorkFolder(tmp_path / "map" / "tiles").claim({"tile": free[1]}, 4, discard=False)
    assert [sized(each, checkpoint)[0].tile for each in (alone, crew)] == [free[1]] * 2
    WorkFolder(tmp_path / "map" / "tiles").claim({"tile": free[0]}, 4, discard=True)
    told = rf"--memory of 4,000 MB and --workers 3 allows tiles of {free[1]} .* in tiles of {free[0]}; "
    with pytest.raises(MapError, match=told + r"expected [\d,]+ MB more"):
        sized(crew, checkpoint)
    assert sized(replace(crew, overwrite=True), checkpoint)[0].tile == free[1]


def test_probabilities_and_the_whole_map_of_a_minimum_mapping_unit_are_counted(tmp_path: Path) -> None:
    source, checkpoint = str(store(tmp_path, gappy_groups())), read_checkpoint(str(untrained(tmp_path)))
    asked = MapRequest(source, tmp_path / "map", memory=2_000_000_000)
    plain, cleaned = (
        sized(each, checkpoint)[1] for each in (asked, replace(asked, mapping_unit=0.5, workers=1))
    )
    assert plain and cleaned
    assert cleaned.stored == plain.stored + 16 * 3, "probabilities of three classes"
    tight = replace(asked, mapping_unit=0.5, memory=int(cleaned.process + 100e6), tile=64)
    small, large = (GeoBox((side, side), GRID.affine, GRID.crs) for side in (1000, 10_000))
    check_whole(tight, cleaned, small)
    check_whole(replace(tight, mapping_unit=0.0), cleaned, large)
    check_whole(replace(tight, scheduler="tcp://there:1"), cleaned, large)
    with pytest.raises(MapError, match=r"10,000 x 10,000 pixels of a map at once; expected 50\d MB more"):
        check_whole(tight, cleaned, large)


def test_tensors_are_counted_while_they_live() -> None:
    with _Counted() as counted:
        first = torch.zeros(1000)
        view = first[:10]
        second = first + 1
        del first, second
        third = torch.zeros(500)
    assert counted.most == 8000 and view.numel() + third.numel() == 510
    few, many = (tensors_of(new_method("comiss", SPEC, {}).eval(), SPEC, each) for each in (512, 16384))
    assert 0 < few < many


def test_values_that_hold_themselves_are_freed_after_each_tile() -> None:
    class Node:
        own: Any = None

    gc.disable()
    try:
        with swept() as sweep:
            node = Node()
            node.own = node
            gone = weakref.ref(node)
            del node
            assert gone() is not None
            sweep()
            assert gone() is None
    finally:
        gc.enable()
    assert gc.get_freeze_count() == 0


def test_a_memory_that_is_given_decides_on_tiles_and_changes_no_byte(tmp_path: Path) -> None:
    source, model = str(store(tmp_path, gappy_groups())), str(untrained(tmp_path))
    asked = ["map", "--source", source, "--model", model, "--out", str(tmp_path / "map"), "--memory"]
    done = CliRunner().invoke(entry.app, [*asked, "1.05 GB", "--tile", "64"])
    assert done.exit_code == 2 and "--tile" in done.output
    assert CliRunner().invoke(entry.app, [*asked, "much"]).exit_code == 2
    done = CliRunner().invoke(entry.app, [*asked, "300MB"])
    assert done.exit_code == 1 and "expected at least" in " ".join(str(done.exception).split())
    done = CliRunner().invoke(entry.app, [*asked, "900MB"], env={"COLUMNS": "200"})
    assert done.exit_code == 0, done.output
    assert "of reading was done meanwhile" in done.output
    facts = json.loads((tmp_path / "map" / "run.json").read_text())
    assert facts["tiles"]["size"] in (64, 128) and facts["memory"]["budget_mb"] == 900
    shares = dict(facts["time"])
    assert 0 <= shares.pop("read_ahead") <= 1
    assert sum(shares.values()) == pytest.approx(1, abs=0.001)
    assert same(tmp_path / "map", make_map(MapRequest(source, tmp_path / "other", model=model)).folder)
