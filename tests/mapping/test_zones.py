"""An area over two UTM zones: a map each, one over both, and an interrupted one that goes on."""

import json
from dataclasses import replace
from pathlib import Path

import pystac
import pytest
import rasterio
from gappy import gappy_groups, store, untrained
from map_process import finish, names, start, wait_for
from typer.testing import CliRunner

from geocomiss.errors import MapError, NothingToMap, SourceError
from geocomiss.fetching import FetchRequest, fetch_stack
from geocomiss.inspection import inspect
from geocomiss.mapping import MapReport, MapRequest, make_map
from geocomiss.maps import SUMMARY, read_summary
from geocomiss.sources import open_source
from geocomiss.sources.base import EarthEngine
from geocomiss.tiling import read_zones, zones_of_folder
from geocomiss.viewing import ViewRequest, view_map
from geocomiss_cli.main import app

AOI = "5.9965,50.6,6.0035,50.603"
FILES = ("crop_type.tif", "confidence.tif", "modalities.tif", "observations.tif", "ndvi.tif", "legend.csv")
ZONES = ("utm31n", "utm32n")


@pytest.fixture(scope="module")
def request_map(tmp_path_factory: pytest.TempPathFactory) -> MapRequest:
    return MapRequest("simulated", tmp_path_factory.mktemp("zones") / "map", aoi=AOI, season="2021", tile=16)


@pytest.fixture(scope="module")
def told() -> list[tuple[int, int]]:
    return []


@pytest.fixture(scope="module")
def report(request_map: MapRequest, told: list[tuple[int, int]]) -> MapReport:
    return make_map(request_map, lambda done, total: told.append((done, total)))


def test_each_zone_has_a_whole_map_and_the_areas_add_up_exactly(
    report: MapReport, request_map: MapRequest
) -> None:
    out = request_map.out
    parts = [read_summary(out / zone) for zone in ZONES]
    whole = read_summary(out)
    for number, each in enumerate(whole["classes"]):
        stated = [part["classes"][number] for part in parts]
        assert each["pixels"] == sum(one["pixels"] for one in stated)
        assert each["area_ha"] == round(sum(one["area_ha"] for one in stated), 4)
    assert whole["classes"] == report.classes
    assert sum(each["area_ha"] for each in report.classes) == pytest.approx(49.5 * 33.4 / 100, rel=0.03)
    for reason, pixels in whole["nodata"].items():
        assert pixels == sum(part["nodata"][reason] for part in parts)
    for zone, part in zip(ZONES, parts, strict=True):
        assert part["grid"]["crs"] == f"EPSG:326{zone[3:5]}"
        assert all((out / zone / name).exists() for name in part["files"])
    assert all((out / name).exists() for name in report.files)
    assert not (out / "zones.json").exists() and not (out / "zones.partial").exists()
    assert any("2 UTM zones" in note for note in report.notes)
    assert [zone["name"] for zone in report.zones] == list(ZONES)


def test_progress_goes_on_from_zone_to_zone(report: MapReport, told: list[tuple[int, int]]) -> None:
    done, totals = zip(*told, strict=True)
    assert list(done) == sorted(done) and set(totals) == {done[-1]}


def test_the_collection_leads_to_the_items_and_the_virtual_rasters(
    report: MapReport, request_map: MapRequest
) -> None:
    collection = pystac.Collection.from_file(str(request_map.out / "stac_collection.json"))
    items = list(collection.get_items())
    assert [item.properties["proj:code"] for item in items] == ["EPSG:32631", "EPSG:32632"]
    west, south, east, north = collection.extent.spatial.bboxes[0]
    assert west < 5.997 and east > 6.003 and south < 50.601 and north > 50.602
    for name in ("crop_type", "confidence", "modalities", "observations", "true_color", "ndvi"):
        href = collection.assets[name].get_absolute_href()
        assert href is not None
        with rasterio.open(href) as file:
            assert file.crs.to_epsg() == 4326 and (file.read(1) != file.nodata).mean() > 0.8
    with rasterio.open(request_map.out / "crop_type.vrt") as file:
        values = file.read(1)
    assert (values[3:-3, 3:-3] > 0).all(), "no seam"


def test_what_looks_at_the_folder_knows_of_the_zones(
    report: MapReport, request_map: MapRequest, tmp_path: Path
) -> None:
    out = request_map.out
    assert [(zone, found is not None and found.finished) for zone, found in read_zones(out)] == [
        (zone, True) for zone in ZONES
    ]
    said = CliRunner().invoke(app, ["status", str(out)])
    assert said.exit_code == 0 and "2 UTM zones, finished" in said.stdout.replace("\n", " ")
    facts = inspect(str(out))
    assert facts["what"].startswith("a map of 2 UTM zones") and len(facts["zones"]) == 2
    with pytest.raises(MapError, match=r"utm31n or .*utm32n.*crop_type\.vrt"):
        view_map(ViewRequest(out))
    assert view_map(ViewRequest(out / "crop_type.vrt", tmp_path)).files[0].exists()


@pytest.mark.slow
def test_an_interrupted_map_goes_on_in_the_zone_where_it_stopped(
    report: MapReport, request_map: MapRequest, tmp_path: Path
) -> None:
    request = replace(request_map, out=tmp_path / "map")
    process = start(request)
    wait_for(process, lambda: len(names(request.out / "utm32n", "done")) >= 2)
    assert process.is_alive()
    process.kill()
    process.join()
    assert not (request.out / SUMMARY).exists() and (request.out / "utm31n" / SUMMARY).exists()
    assert zones_of_folder(request.out) == ZONES
    said = CliRunner().invoke(app, ["status", str(request.out)])
    assert "not finished" in said.stdout and said.exit_code == 0
    with pytest.raises(MapError, match=r"holds a map with other arguments.*season"):
        make_map(replace(request, season="2020"))
    with pytest.raises(MapError, match="unfinished map of another area"):
        make_map(replace(request, aoi="5.9965,50.6,6.0035,50.604"))
    with pytest.raises(MapError, match="unfinished map"):
        make_map(replace(request, aoi="5.9965,50.6,5.9999,50.604"))
    before = (request.out / "utm31n" / "crop_type.tif").stat().st_mtime_ns
    done = len(names(request.out / "utm32n", "done"))
    assert finish(start(request)) == 0
    assert (request.out / "utm31n" / "crop_type.tif").stat().st_mtime_ns == before
    assert read_summary(request.out / "utm32n")["tiles"]["kept_px"] >= done * 8 * 8 // 2
    for zone in ZONES:
        for name in FILES:
            assert (request.out / zone / name).read_bytes() == (request_map.out / zone / name).read_bytes()
    for name in ("crop_type.vrt", "stac_collection.json", "parts/6E/crop_type.tif"):
        assert (request.out / name).read_bytes() == (request_map.out / name).read_bytes()


def test_stacks_fetched_for_the_zones_give_the_same_map(
    report: MapReport, request_map: MapRequest, tmp_path: Path
) -> None:
    stacks = tmp_path / "stacks"
    asked = FetchRequest("simulated", stacks, AOI, "2021")
    fetched = fetch_stack(asked)
    assert [name for name, _ in fetched.zones] == list(ZONES)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["stacks"]
    request = replace(request_map, source=str(stacks), out=tmp_path / "map", model="simulated")
    made = make_map(request)
    assert made.classes == report.classes and made.nodata == report.nodata
    for name in [f"{zone}/{file}" for zone in ZONES for file in ("crop_type.tif", "confidence.tif")]:
        with rasterio.open(made.folder / name) as one, rasterio.open(request_map.out / name) as other:
            assert (one.read() == other.read()).all() and one.transform == other.transform
    west = replace(request, aoi="5.9965,50.6,5.9975,50.601", out=tmp_path / "west")
    assert not make_map(west).zones
    with pytest.raises(MapError, match=r"no --aoi.*utm31n or"):
        make_map(replace(west, aoi=None, overwrite=True))
    with pytest.raises(MapError, match="an area in utm33n, of which"):
        make_map(replace(west, aoi="12.1,50.6,12.101,50.601", overwrite=True))
    with pytest.raises(SourceError, match=r"stacks of 2 UTM zones, which only `geocomiss map`.*--crs"):
        open_source(str(stacks))
    assert inspect(str(stacks))["stacks"] == [str(stacks / zone) for zone in ZONES]
    with pytest.raises(MapError, match="exists"):
        fetch_stack(asked)
    one = fetch_stack(replace(asked, crs="EPSG:32631", overwrite=True))
    assert not one.zones and (stacks / "zarr.json").exists() and not (stacks / "stacks.json").exists()


def test_one_map_where_a_crs_or_a_stack_says_so_and_where_there_is_one_zone(
    request_map: MapRequest, tmp_path: Path
) -> None:
    one = make_map(
        replace(request_map, out=tmp_path / "crs", crs="EPSG:32632", aoi="5.9993,50.6,6.0007,50.6005")
    )
    assert not one.zones and (one.folder / "crop_type.tif").exists()
    stack = store(tmp_path, gappy_groups())
    own = MapRequest(
        str(stack), tmp_path / "own", aoi="4.97,50.0,6.5,51.0", season="2021", model=str(untrained(tmp_path))
    )
    assert not make_map(own).zones


def test_a_zone_without_a_pixel_has_no_map(request_map: MapRequest, tmp_path: Path) -> None:
    request = replace(request_map, out=tmp_path / "map", aoi="5.9985,50.6,6.000003,50.6015")
    found = make_map(request)
    assert [zone["name"] for zone in found.zones] == ["utm31n"]
    assert any("utm32n has no map" in note for note in found.notes)
    assert sorted(path.name for path in request.out.iterdir() if path.is_dir()) == ["parts", "utm31n"]
    bad = replace(request, out=tmp_path / "none", aoi="5.999998,50.6,6.000002,50.60001")
    with pytest.raises(NothingToMap):
        make_map(bad)
    with pytest.raises(MapError, match="--workers"):
        make_map(replace(bad, workers=2, scheduler="tcp://127.0.0.1:1"))
    with pytest.raises(MapError, match="limits hold for a map"):
        make_map(replace(bad, ee=EarthEngine(max_requests=5)))
    assert not bad.out.exists()


def test_a_finished_map_is_replaced_only_when_asked_and_leaves_nothing(
    request_map: MapRequest, tmp_path: Path
) -> None:
    small = replace(request_map, out=tmp_path / "map", aoi="5.9985,50.6,6.001,50.6012", tile=64)
    make_map(small)
    with pytest.raises(MapError, match="holds a finished map"):
        make_map(small)
    single = make_map(replace(small, crs="EPSG:32631", overwrite=True))
    left = {path.name for path in single.folder.iterdir()}
    assert left == set(single.files)
    several = make_map(replace(small, overwrite=True))
    left = {path.name for path in several.folder.iterdir()}
    assert left == {*several.files, *ZONES, "parts"}
    summary = json.loads((several.folder / SUMMARY).read_text())
    assert summary["grid"]["crs"] == "EPSG:4326"
