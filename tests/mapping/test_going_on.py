"""What a run that goes on with tiles of an earlier one says of itself, and finds of what happened between."""

import json
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Literal

import numpy as np
import pytest
import shapely
from gappy import GRID, gappy_groups, store, untrained
from map_process import finish, same, start
from odc.geo import Geometry
from typer.testing import CliRunner

from geocomiss.covering import Covering
from geocomiss.errors import MapError
from geocomiss.grid import Tile, tiles_of
from geocomiss.mapping import MapRequest, make_map, run
from geocomiss.mapping.assemble import Finished, _held_to
from geocomiss.mapping.plan import Plan
from geocomiss.mapping.planning import plan_map
from geocomiss.mapping.queue import Outcome, Queue
from geocomiss.mapping.tiles import TileStore
from geocomiss.mapping.zoned import _kept
from geocomiss.maps import SUMMARY, Layer
from geocomiss.maps.readback import Tally
from geocomiss.maps.sidecar import read_categories
from geocomiss.maps.summary import read_summary
from geocomiss.tiling import WorkFolder
from geocomiss_cli import main as entry

AREA = Geometry(
    shapely.Polygon([(640_000, 5_610_000), (640_600, 5_610_000), (640_000, 5_609_550)]), "EPSG:32631"
)


@pytest.fixture(scope="module")
def request_map(tmp_path_factory: pytest.TempPathFactory) -> MapRequest:
    """A map of a triangle in up to four tiles."""
    folder = tmp_path_factory.mktemp("going_on")
    area = AREA.to_crs("EPSG:4326").wkt
    source, model = str(store(folder, gappy_groups())), str(untrained(folder))
    return MapRequest(source, folder / "map", aoi=area, model=model, tile=30)


@pytest.fixture(scope="module")
def undisturbed(request_map: MapRequest) -> Path:
    return make_map(replace(request_map, out=request_map.out.with_name("undisturbed"))).folder


@pytest.fixture
def begun(request_map: MapRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> MapRequest:
    """The same with all tiles computed and nothing put together."""
    request = replace(request_map, out=tmp_path / "map")
    with monkeypatch.context() as patch:
        patch.setattr(run, "assemble", interrupted)
        with pytest.raises(KeyboardInterrupt):
            make_map(request)
    return request


def interrupted(*_: object) -> None:
    raise KeyboardInterrupt


def figures(out: Path) -> tuple[int, int, float | None, int]:
    """Pixels computed, pixels kept, pixels a second, pixels in the area."""
    stated = json.loads((out / "run.json").read_text())
    outside = stated["nodata"]["outside"]
    pixels = stated["grid"]["height"] * stated["grid"]["width"] - outside
    return stated["tiles"]["computed_px"], stated["tiles"]["kept_px"], stated["px_per_s"], pixels


def test_computed_and_kept_are_the_pixels_of_the_area_together(begun: MapRequest, undisturbed: Path) -> None:
    computed, kept, rate, area = figures(undisturbed)
    assert computed == area and kept == 0 and rate
    next((begun.out / "tiles").glob("*/*.npz")).unlink()
    report = make_map(begun)
    computed, kept, rate, _ = figures(begun.out)
    assert computed + kept == area and 0 < computed < area
    assert (report.computed, report.kept) == (computed, kept)
    # not over the time that putting all tiles together took
    assert rate and rate > computed / report.seconds


def test_where_all_was_kept_no_speed_is_told(begun: MapRequest, undisturbed: Path) -> None:
    asked = ["map", "--source", begun.source, "--model", str(begun.model), "--aoi", str(begun.aoi)]
    told = CliRunner().invoke(
        entry.app, [*asked, "--tile", "30", "--out", str(begun.out)], env={"COLUMNS": "200"}
    )
    assert told.exit_code == 0, told.output
    computed, kept, rate, area = figures(begun.out)
    assert (computed, kept, rate) == (0, area, None)
    assert f"{area:,} pixels were computed before" in told.output and "pixels/s" not in told.output


def test_tiles_that_a_worker_did_before_it_died_count_as_kept(begun: MapRequest) -> None:
    known = TileStore(WorkFolder(begun.out / "tiles").current)
    tiles = [Tile(0, 0, slice(0, 30), slice(0, 30), GRID[0:30, 0:30])]
    record = known.record_of(tiles[0])
    assert record is not None and record.counts is not None
    queue = Queue(tiles, TileStore(begun.out))
    tile = queue.next()
    assert tile is not None and queue.kept == 0
    queue.finish(tile, Outcome(record))
    assert queue.kept == record.counts.looked_at > 0


@pytest.mark.parametrize("layer", ["crop_type", "confidence"])
def test_a_tile_that_is_changed_before_it_is_put_in_is_found_and_computed_anew(
    layer: str, request_map: MapRequest, undisturbed: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    request = replace(request_map, out=tmp_path / "map")
    checked = run._check_content

    def changed(plan: Plan, finished: Finished, work: WorkFolder) -> None:
        """Turn a layer of a tile by half a turn: all values occur as often, and the archive is whole."""
        checked(plan, finished, work)
        path = finished.store.folder / "00000_00000.npz"
        with np.load(path) as stored:
            arrays = dict(stored)
        arrays[layer] = arrays[layer][::-1, ::-1]
        np.savez_compressed(path, **arrays)

    with monkeypatch.context() as patch:
        patch.setattr(run, "_check_content", changed)
        with pytest.raises(MapError, match=r"00000_00000 in .* is damaged .*the same command again"):
            make_map(request)
    assert 0 < make_map(request).computed <= 30 * 30, "one tile"
    assert same(request.out, undisturbed)


@pytest.mark.parametrize("hurt", [Path.unlink, lambda path: path.write_bytes(b"")])
def test_tiles_that_were_done_and_are_damaged_or_gone_are_named(
    begun: MapRequest, undisturbed: Path, hurt: Callable[[Path], object]
) -> None:
    (victim,) = (begun.out / "tiles").glob("*/00000_00000.npz")
    hurt(victim)
    (said,) = (each for each in make_map(begun).warnings if "computed anew" in each)
    assert "1 (00000_00000), were damaged or gone" in said
    assert same(begun.out, undisturbed)


@pytest.mark.parametrize("held", ["source", "model"])
@pytest.mark.parametrize("overwrite", [False, True])
def test_a_stack_or_model_is_no_place_for_a_map(
    request_map: MapRequest, held: Literal["source", "model"], overwrite: bool
) -> None:
    out = Path(str(getattr(request_map, held)))
    before = sorted(out.iterdir())
    with pytest.raises(MapError, match=rf"{out} is a (stack|model); expected an empty or new folder"):
        make_map(replace(request_map, out=out, overwrite=overwrite))
    assert sorted(out.iterdir()) == before


def test_a_disk_that_is_full_when_tiles_are_put_together_is_said_of_the_map(
    begun: MapRequest, undisturbed: Path, tmp_path: Path
) -> None:
    # below a raster of the map, above the manifest
    process = start(begun, file_limit=4000, said=tmp_path / "said")
    assert finish(process) == 1
    said = (tmp_path / "said").read_text()
    assert said.startswith(f"{begun.out}/") and "cannot be written" in said and "tiles/" not in said
    assert "the same command then goes on" in said and "with 0 MB" not in said
    assert make_map(begun).computed == 0
    assert same(begun.out, undisturbed)


def test_a_map_that_is_not_read_back_as_written_goes_on(
    begun: MapRequest, undisturbed: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(Tally, "differs", lambda *_: "1 pixels")
        with pytest.raises(MapError, match=r"once more: a map goes on with the tiles that are done"):
            make_map(begun)
    assert [path.name for path in begun.out.iterdir()] == ["tiles"]
    assert make_map(begun).computed == 0
    assert same(begun.out, undisturbed)


def test_a_manifest_that_is_wrong_of_a_tile_is_found_and_the_tiles_have_to_go(
    begun: MapRequest, undisturbed: Path
) -> None:
    (manifest,) = (begun.out / "tiles").glob("*/manifest.jsonl")
    first, rest = manifest.read_text().split('"classes": {"0": ', 1)
    manifest.write_text(f'{first}"classes": {{"0": 1{rest}')
    for overwrite in (False, True):
        with pytest.raises(MapError, match=rf"delete {begun.out}/tiles and give the same command again"):
            make_map(replace(begun, overwrite=overwrite))
    shutil.rmtree(begun.out / "tiles")
    assert make_map(begun).kept == 0
    assert same(begun.out, undisturbed)


@pytest.mark.parametrize("name", [SUMMARY, "crop_type.tif.aux.xml"])
def test_a_finished_map_with_a_damaged_file_is_made_again_with_overwrite(
    name: str, begun: MapRequest, undisturbed: Path
) -> None:
    make_map(begun)
    (begun.out / name).write_text("<")
    with pytest.raises(MapError, match=r"cannot be read .* make the map again, with --overwrite"):
        read_summary(begun.out)
        read_categories(begun.out / "crop_type.tif")
    with pytest.raises(MapError, match="holds a finished map"):
        make_map(begun)
    if name == SUMMARY:  # as of a zone, when others are still to be mapped
        with pytest.raises(MapError, match="with --overwrite"):
            _kept(begun)
        assert _kept(replace(begun, overwrite=True)) is None
    make_map(replace(begun, overwrite=True))
    assert same(begun.out, undisturbed) and read_summary(begun.out)


@pytest.mark.parametrize("lost", [1, 2, 3])
def test_a_single_pixel_that_is_lost_or_differs_is_found(lost: int) -> None:
    layer = Layer("crop_type", 0, "", overviews="mode")
    whole = np.ones((8, 8), np.uint8)
    expected = np.bincount(whole.ravel(), minlength=256)
    expected[1] += lost
    windows = iter([(slice(0, 8), slice(0, 8), whole)])
    with pytest.raises(MapError, match=f"differ in {(lost + 1) // 2} pixels"):
        list(_held_to(windows, layer, expected, Path("map/tiles")))
    one, other = Tally(layer, (1, 64)), Tally(layer, (1, 64))
    one.add(np.zeros((1, 1, 64), np.uint8), 0, 0)
    other.add(np.zeros((1, 1, 64 - lost), np.uint8), 0, 0)  # none of them shows in a checksum
    assert one.differs(other) == f"{(lost + 1) // 2} pixels" and one.differs(one) == ""


def test_the_tiles_of_an_area_are_looked_for_once(
    request_map: MapRequest, monkeypatch: pytest.MonkeyPatch
) -> None:
    plan, asked = plan_map(request_map), []
    numbers = Covering.numbers
    monkeypatch.setattr(Covering, "numbers", lambda self, size: [asked.append(size), numbers(self, size)][1])
    assert list(plan.tiles()) == list(plan.tiles()) == list(Covering(plan.area, plan.grid).tiles(30))
    assert asked == [30, 30], "one of them is the second covering's"
    assert plan.further is plan.further
    assert list(replace(plan, area=None).tiles()) == list(tiles_of(plan.grid, 30))
