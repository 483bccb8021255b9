"""An area over two UTM zones, mapped by workers, and with a tile in one of them that fails."""

import json
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import rasterio
from map_process import FILES
from odc.geo.geobox import GeoBox
from typer.testing import CliRunner

from geocomiss.errors import MapError, NothingSeen, SourceError, TilesFailed
from geocomiss.grid import crs_of
from geocomiss.inspection import inspect
from geocomiss.mapping import MapReport, MapRequest, make_map
from geocomiss.mapping.checks import sample_stacks
from geocomiss.mapping.compute import Gathered, map_tile
from geocomiss.mapping.plan import Plan
from geocomiss.mapping.run import _check_content
from geocomiss.mapping.sums import summed
from geocomiss.mapping.tiles import TileResult
from geocomiss.maps import SUMMARY, read_summary
from geocomiss.viewing import ViewRequest, view_map
from geocomiss_cli.main import app

ZONES = ("utm31n", "utm32n")
BROKEN = "00000_00000"


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> MapReport:
    folder = tmp_path_factory.mktemp("zones") / "map"
    return make_map(MapRequest("simulated", folder, aoi="5.998,50.6,6.002,50.602", season="2021", tile=16))


def request_of(report: MapReport, out: Path) -> MapRequest:
    return MapRequest("simulated", out, aoi="5.998,50.6,6.002,50.602", season="2021", tile=16)


def same(one: Path, other: Path) -> bool:
    """Whether two maps of both zones are equal, byte by byte."""
    names = [f"{zone}/{name}" for zone in ZONES for name in FILES]
    names += ["crop_type.vrt", "parts/6E/crop_type.tif", "stac_collection.json"]
    return all((one / name).read_bytes() == (other / name).read_bytes() for name in names)


@pytest.fixture
def broken(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    """As long as it is not undone, a tile of the western zone fails."""

    def failing(plan: Plan, gathered: Gathered, *rest: Any) -> TileResult:
        if plan.request.zone == ZONES[0] and gathered.tile.name == BROKEN:
            raise SourceError("a broken file", expected="a whole one", todo="mend it")
        return map_tile(plan, gathered, *rest)

    monkeypatch.setattr("geocomiss.mapping.work.map_tile", failing)
    return monkeypatch


@pytest.mark.slow
def test_workers_make_the_same_maps(whole: MapReport, tmp_path: Path) -> None:
    made = make_map(replace(request_of(whole, tmp_path / "map"), workers=2))
    assert made.classes == whole.classes and made.computed == whole.computed
    assert same(made.folder, whole.folder)


def test_a_tile_that_fails_keeps_no_other_zone_from_being_mapped(
    whole: MapReport, tmp_path: Path, broken: pytest.MonkeyPatch
) -> None:
    request = request_of(whole, tmp_path / "map")
    with pytest.raises(TilesFailed, match=rf"utm31n: 1 tiles failed .*{BROKEN} \(a broken file\)"):
        make_map(request)
    assert not (request.out / SUMMARY).exists() and (request.out / ZONES[1] / SUMMARY).exists()
    said = CliRunner().invoke(app, ["status", str(request.out)])
    assert said.exit_code == 3 and "not finished" in said.stdout
    with pytest.raises(MapError, match="unfinished map"):
        view_map(ViewRequest(request.out))
    with pytest.raises(MapError, match=r"unfinished map with other arguments.*season"):
        make_map(replace(request, season="2020"))  # and keeps the tiles that are done
    broken.undo()
    made = make_map(request)
    assert made.computed < whole.computed / 2 and not made.failed
    assert same(made.folder, whole.folder)


def test_a_map_without_the_tiles_that_fail_is_made_when_asked_and_made_whole_later(
    whole: MapReport, tmp_path: Path, broken: pytest.MonkeyPatch
) -> None:
    request = replace(request_of(whole, tmp_path / "map"), skip_failed=True)
    asked = ["map", "--source", "simulated", "--aoi", str(request.aoi), "--season", "2021", "--tile", "16"]
    done = CliRunner().invoke(app, [*asked, "--skip-failed", "--out", str(request.out)])
    assert done.exit_code == 3, done.output
    summary = read_summary(request.out)
    assert summary["tiles"]["failed"] == {f"{ZONES[0]}/{BROKEN}": "a broken file"}
    assert summary["nodata"]["failed"] == read_summary(request.out / ZONES[0])["nodata"]["failed"] > 0
    assert any(each.startswith(ZONES[0]) and BROKEN in each for each in summary["warnings"])
    said = CliRunner().invoke(app, ["status", str(request.out)])
    assert said.exit_code == 3
    assert "2 UTM zones, finished without the tiles that failed" in said.stdout.replace("\n", " ")
    assert inspect(str(request.out))["warnings"] == summary["warnings"]
    broken.undo()
    made = make_map(replace(request, skip_failed=False, overwrite=True))
    assert made.computed < whole.computed / 2 and not made.failed and "failed" not in made.nodata
    assert same(made.folder, whole.folder)
    assert json.loads((made.folder / SUMMARY).read_text())["tiles"]["failed"] == {}


@pytest.fixture(params=["every tile", "every window looked at before"])
def lost(monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest) -> pytest.MonkeyPatch:
    """As long as it is not undone, nothing can be made of the western zone."""
    error = SourceError("a broken file", expected="a whole one", todo="mend it")

    def tiles(plan: Plan, gathered: Gathered, *rest: Any) -> TileResult:
        if plan.request.zone == ZONES[0]:
            raise error
        return map_tile(plan, gathered, *rest)

    def windows(stack: Any, source: Any, grid: GeoBox, wanted: Any) -> Any:
        if crs_of(grid) == "EPSG:32631":
            raise error
        return sample_stacks(stack, source, grid, wanted)

    if request.param == "every tile":
        monkeypatch.setattr("geocomiss.mapping.work.map_tile", tiles)
    else:
        monkeypatch.setattr("geocomiss.mapping.planning.sample_stacks", windows)
    return monkeypatch


def test_a_zone_of_which_nothing_can_be_made_is_left_out_when_asked_and_made_later(
    whole: MapReport, tmp_path: Path, lost: pytest.MonkeyPatch
) -> None:
    request = request_of(whole, tmp_path / "map")
    with pytest.raises(TilesFailed, match=r"utm31n: a broken file.*--skip-failed"):
        make_map(request)
    said = CliRunner().invoke(app, ["status", str(request.out)])
    assert said.exit_code == 3 and "utm31n has no map (a broken file)" in said.stdout.replace("\n", " ")
    asked = ["map", "--source", "simulated", "--aoi", str(request.aoi), "--season", "2021", "--tile", "16"]
    done = CliRunner().invoke(app, [*asked, "--skip-failed", "--out", str(request.out)])
    assert done.exit_code == 3 and "utm31n has no map, as it failed" in done.stdout, done.output
    summary, east = read_summary(request.out), read_summary(whole.folder / ZONES[1])
    assert summary["failed_zones"] == {"utm31n": "a broken file"} and not summary["tiles"]["failed"]
    assert [each["name"] for each in summary["zones"]] == ["utm32n"]
    assert summary["classes"] == east["classes"]
    west = read_summary(whole.folder / ZONES[0])
    assert summary["nodata"]["failed"] == sum(each["pixels"] for each in west["classes"])
    with rasterio.open(request.out / "crop_type.vrt") as file:
        seen = (file.read(1) > 0).mean(0)
    assert not seen[: seen.size // 3].any() and seen[-seen.size // 3 : -1].all()
    said = CliRunner().invoke(app, ["status", str(request.out)])
    assert said.exit_code == 3 and "without the zones that failed" in said.stdout.replace("\n", " ")
    assert inspect(str(request.out))["warnings"] == summary["warnings"]
    lost.undo()
    made = make_map(replace(request, overwrite=True))
    assert made.computed < whole.computed / 1.5 and not made.failed and same(made.folder, whole.folder)
    assert CliRunner().invoke(app, ["status", str(request.out)]).exit_code == 0


def test_where_nothing_can_be_made_of_any_zone_its_reason_is_the_error(
    whole: MapReport, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def failing(*_: Any) -> TileResult:
        raise SourceError("a broken file", expected="a whole one", todo="mend it")

    monkeypatch.setattr("geocomiss.mapping.work.map_tile", failing)
    request = replace(request_of(whole, tmp_path / "map"), skip_failed=True)
    with pytest.raises(SourceError, match="a broken file; expected a whole one"):
        make_map(request)
    assert not request.out.exists()


def test_pixels_of_a_zone_in_which_nothing_was_seen_are_counted(
    whole: MapReport, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def unseen(plan: Plan, *rest: Any) -> None:
        if plan.request.zone == ZONES[0]:
            raise NothingSeen("a stack without a single valid value", expected="values", todo="check it")
        _check_content(plan, *rest)

    monkeypatch.setattr("geocomiss.mapping.run._check_content", unseen)
    made = make_map(request_of(whole, tmp_path / "map"))
    west = read_summary(whole.folder / ZONES[0])
    assert made.nodata["required_missing"] == sum(each["pixels"] for each in west["classes"])
    assert not made.failed and any("utm31n has no map" in note for note in made.notes)


def test_an_unfinished_map_that_is_given_up_leaves_no_zone(
    whole: MapReport, tmp_path: Path, broken: pytest.MonkeyPatch
) -> None:
    request = request_of(whole, tmp_path / "map")
    with pytest.raises(TilesFailed):
        make_map(request)
    made = make_map(replace(request, aoi="11.9995,50.6,12.0005,50.6005", overwrite=True))
    left = {path.name for path in made.folder.iterdir()}
    assert left == {*made.files, "utm32n", "utm33n", "parts"}


def test_what_was_fetched_for_the_zones_adds_up(whole: MapReport) -> None:
    one = read_summary(whole.folder / ZONES[0])
    counts = {"bytes": 300, "needed_bytes": 200, "requests": 3, "fewest_requests": 3, "uncounted": 0}
    west = one | {"fetching": counts | {"overlap": 1.0}}
    east = one | {"fetching": counts | {"bytes": 100, "overlap": 0.5}}
    found = summed({"utm31n": west, "utm32n": east, "utm33n": one})["fetching"]
    assert found["bytes"] == 400 and found["bytes_over_needed"] == 1.0 and found["overlap"] == 0.875
    assert found["requests_over_fewest"] == 1.0
    assert summed({"utm31n": one, "utm32n": one})["fetching"] is None


def test_a_layer_that_a_zone_lacks_shows_the_others(whole: MapReport, tmp_path: Path) -> None:
    request = request_of(whole, tmp_path / "map")
    shutil.copytree(whole.folder, request.out)
    (request.out / SUMMARY).unlink()
    west = request.out / ZONES[0]  # as of a zone without optical images
    item = json.loads((west / "stac_item.json").read_text())
    del item["assets"]["ndvi"]
    (west / "stac_item.json").write_text(json.dumps(item))
    (west / "ndvi.tif").unlink()
    made = make_map(request)
    assert made.computed == 0 and "ndvi.vrt" in made.files
    with rasterio.open(request.out / "ndvi.vrt") as file:
        seen = (file.read(1) != file.nodata).mean(0)
    assert not seen[: seen.size // 3].any() and seen[-seen.size // 3 : -1].all()
