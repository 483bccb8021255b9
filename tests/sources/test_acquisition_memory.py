"""A folder of raw acquisitions says what compositing takes, and tiles follow from it."""

import json
import tracemalloc
from datetime import date
from pathlib import Path

import pytest
from gappy import untrained
from map_process import finish, start
from raw_acquisitions import folder

from geocomiss.errors import MapError
from geocomiss.mapping import MapRequest, plan_map
from geocomiss.recipes import RECIPES
from geocomiss.seasons import Calendar
from geocomiss.sources.acquisitions import AcquisitionsSource
from geocomiss.sources.base import Compositing, Reading, Scenes
from geocomiss.stack import groups_of

YEAR = Calendar(date(2021, 1, 1), "month", 12)


@pytest.mark.parametrize(
    ("dates", "kind", "coarse", "recipe", "season"),
    [
        (70, "u2", 20, "monthly-l2a", YEAR),
        (70, "f4", 10, "monthly-l2a", YEAR),
        (140, "u2", 20, "cropharvest", YEAR),
        (12, "u2", 10, "monthly-l2a", YEAR),
        (60, "u2", 20, "monthly-l2a", Calendar(date(2021, 1, 1), "dekad", 36)),
    ],
)
def test_no_block_takes_more_than_it_is_reckoned_to(
    tmp_path: Path, dates: int, kind: str, coarse: int, recipe: str, season: Calendar
) -> None:
    source = AcquisitionsSource(folder(tmp_path / "raw", 104, dates, kind, coarse), RECIPES[recipe])
    imaging, *_ = source._imaging(season)
    assert set(imaging) == {"optical", "radar"}
    part = source.grid[4:100, 4:100]
    for images in imaging.values():
        images.composited(part)
        tracemalloc.start()
        images.composited(part)
        _, most = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        reckoned = images.bytes() * (96 + 2 * images.margin) ** 2
        assert 0.4 * reckoned < most < reckoned, (images.modality, most / reckoned)
    found = source.scenes(source.grid, season)
    assert found is not None and found.pixel == max(images.bytes() for images in imaging.values())


def test_blocks_follow_the_tiles_and_the_files_and_change_no_bit(tmp_path: Path) -> None:
    plain = AcquisitionsSource(folder(tmp_path / "raw", 300, 12))
    assert isinstance(plain, Compositing)
    before = groups_of(plain.open(plain.grid, YEAR))
    plain.cut(128)
    after = groups_of(plain.open(plain.grid, YEAR))
    for name, group in before.items():
        assert group["count"].chunksizes["y"] == (150, 150)
        assert after[name]["count"].chunksizes["y"] == (128, 128, 44)
        assert group.compute().identical(after[name].compute())
    large = AcquisitionsSource(folder(tmp_path / "large", 300, 2, stored=150))
    assert [each.scenes(each.grid, YEAR).side for each in (plain, large)] == [256, 512]


def test_bands_that_are_not_used_are_seen_but_not_composited(tmp_path: Path) -> None:
    raw = folder(tmp_path / "raw", 20, 12)
    few = AcquisitionsSource(raw, reading=Reading({"optical": ("B5",), "radar": ("VH",)}))
    every = AcquisitionsSource(raw)
    used, whole = (groups_of(each.open(each.grid, YEAR).compute())["optical"] for each in (few, every))
    assert set(used.data_vars) == {"B2", "B3", "B4", "B5", "B8", "NDVI", "count"}, "pictures show some"
    assert used.identical(whole[list(used.data_vars)])
    assert few.bands == every.bands


def test_a_map_of_raw_acquisitions_has_the_tiles_that_its_memory_allows(tmp_path: Path) -> None:
    raw, model = str(folder(tmp_path / "raw", 64, 73)), str(untrained(tmp_path))

    def asked(memory: float) -> MapRequest:
        return MapRequest(
            raw,
            tmp_path / "map",
            season="2021",
            model=model,
            device="cpu",
            on_mismatch="drop",
            memory=int(memory),
        )

    plan = plan_map(asked(1.4e9))
    assert plan.memory is not None and isinstance(plan.memory.scenes, Scenes)
    side = plan.request.tile
    alone = plan.memory.process + plan.memory.pixel * side**2
    assert alone < plan.memory.taken(side) <= 1.4e9
    assert plan.source._reading.tile == side  # type: ignore[attr-defined]
    assert plan_map(asked(4e9)).request.tile > side
    least = plan.memory.taken(64)
    assert plan_map(asked(least + 1)).request.tile == 64
    with pytest.raises(MapError, match=r"expected at least [\d,]+ MB"):
        plan_map(asked(least - 20e6))


@pytest.mark.slow
def test_a_map_of_raw_acquisitions_keeps_to_the_memory_that_is_given(tmp_path: Path) -> None:
    request = MapRequest(
        str(folder(tmp_path / "raw", 600, 70, stored=256)),
        tmp_path / "map",
        season="2021",
        model=str(untrained(tmp_path, preset="compact")),
        memory=1_400_000_000,
        device="cpu",
        on_mismatch="drop",
    )
    assert finish(start(request), 300) == 0
    taken = json.loads((request.out / "run.json").read_text())["memory"]
    assert taken["peak_mb"] < taken["reckoned_mb"] <= taken["budget_mb"] == 1400
