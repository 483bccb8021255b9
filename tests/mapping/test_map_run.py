"""A map equals the slow, obvious way; every kind of gap is said; any tiling gives the same bytes."""

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import rasterio
from gappy import BANDS, GRID, NO_OPTICAL, NOTHING, WEATHER_ONLY, gappy_groups, store
from numpy.typing import NDArray
from rio_cogeo import cog_validate
from shapely import from_wkt, to_geojson

from geocomiss.batch import batch_of_stack
from geocomiss.checkpoint import read_checkpoint
from geocomiss.errors import AreaError, GeocomissError, MapError, StackError
from geocomiss.grid import cells_of, pixel_hectares
from geocomiss.inference import predict
from geocomiss.mapping import MapRequest, make_map, plan_map
from geocomiss.modalities import MODALITIES
from geocomiss.stack import read_stack
from geocomiss.tiling.folder import changes

TRIANGLE = "POLYGON ((4.9775 50.6255, 4.9835 50.6245, 4.979 50.6222, 4.9775 50.6255))"
LAYERS = ("crop_type", "confidence", "modalities")


@pytest.fixture
def request_map(gappy_stack: Path, model: Path, tmp_path: Path) -> MapRequest:
    return MapRequest(str(gappy_stack), tmp_path / "map", model=str(model))


def read(folder: Path, layer: str) -> NDArray[np.uint8]:
    with rasterio.open(folder / f"{layer}.tif") as file:
        return file.read(1)


def slow_bits(stack: Path) -> NDArray[np.int64]:
    """Availability pixel by pixel, straight from its definition."""
    tree = read_stack(stack).compute()
    bits = np.zeros(GRID.shape, int)
    coarse = tree["weather"].to_dataset()
    cells, within = cells_of(GRID, _grid(coarse))
    for row in range(GRID.height):
        for col in range(GRID.width):
            for name, bands in BANDS.items():
                group = tree[name]
                if name == "weather":
                    y, x = divmod(int(cells[row, col]), coarse.sizes["x"])
                    series = np.stack([group[band].values[:, y, x] for band in bands])
                    enough = within[row, col] and np.isfinite(series).all(0).sum() >= 1
                elif name == "topography":
                    enough = all(np.isfinite(group[band].values[row, col]) for band in bands)
                else:
                    series = np.stack([group[band].values[:, row, col] for band in bands])
                    enough = np.isfinite(series).all(0).sum() >= 3
                bits[row, col] |= MODALITIES[name].bit * bool(enough)
    return bits


def _grid(group: object) -> object:
    from geocomiss.stack import grid_of_group

    return grid_of_group(group)  # type: ignore[arg-type]


def test_the_map_equals_the_slow_way(request_map: MapRequest, gappy_stack: Path, model: Path) -> None:
    report = make_map(request_map)
    checkpoint = read_checkpoint(str(model))
    whole = np.ones(GRID.shape, bool)
    batch = batch_of_stack(read_stack(gappy_stack).compute(), checkpoint.card.spec, whole)
    alone = [predict(checkpoint.method, batch[i : i + 1]) for i in range(0, len(batch), 97)]
    bits = slow_bits(gappy_stack)
    shown = np.where(bits & 3, read(report.folder, "crop_type"), 0)
    for one, i in zip(alone, range(0, len(batch), 97), strict=True):
        row, col = divmod(i, GRID.width)
        assert shown[row, col] == (one.value[0] if bits[row, col] & 3 else 0)
    assert (read(report.folder, "modalities") == bits).all()
    assert len(np.unique(bits)) >= 5  # the fixture has something to tell apart


def test_pixels_with_gaps_say_what_they_lack(request_map: MapRequest) -> None:
    folder = make_map(request_map).folder
    modalities, crop, confidence = (
        read(folder, layer) for layer in ("modalities", "crop_type", "confidence")
    )
    assert modalities[NO_OPTICAL] == 2 | 4 | 8
    assert crop[NO_OPTICAL] > 0
    assert modalities[WEATHER_ONLY] == 4 | 8
    assert crop[WEATHER_ONLY] == 0, "climate and terrain alone paint no class"
    assert confidence[WEATHER_ONLY] == 255
    assert modalities[NOTHING] == 4
    anything = make_map(replace(request_map, require=(), out=request_map.out.with_name("any"))).folder
    assert read(anything, "crop_type")[WEATHER_ONLY] > 0


def test_nothing_at_all_is_no_class_whatever_is_required(
    tmp_path: Path, model: Path, request_map: MapRequest
) -> None:
    groups = gappy_groups()
    del groups["weather"]
    stack = store(tmp_path / "other", groups)
    folder = make_map(replace(request_map, source=str(stack), require=(), out=tmp_path / "m")).folder
    assert read(folder, "modalities")[NOTHING] == 0
    assert read(folder, "crop_type")[NOTHING] == 0
    assert json.loads((folder / "run.json").read_text())["nodata"]["nothing_available"] >= 1


@pytest.mark.parametrize("left_out", [("optical",), ("radar",), ("weather", "topography")])
def test_a_map_comes_out_without_any_modality(request_map: MapRequest, left_out: tuple[str, ...]) -> None:
    report = make_map(replace(request_map, without=left_out))
    bits = read(report.folder, "modalities")
    assert not any((bits & MODALITIES[name].bit).any() for name in left_out)
    assert (read(report.folder, "crop_type") > 0).mean() > 0.8
    assert all(report.modality_share[name] == 0 for name in left_out)


def test_any_tiling_gives_the_same_bytes(request_map: MapRequest) -> None:
    folders = [
        make_map(replace(request_map, tile=tile, aoi=TRIANGLE, out=request_map.out / str(tile))).folder
        for tile in (7, 16, 512)
    ]
    for name in ("crop_type.tif", "crop_type.tif.aux.xml", "confidence.tif", "modalities.tif"):
        contents = {(folder / name).read_bytes() for folder in folders}
        assert len(contents) == 1, name


def test_outside_the_polygon_is_nodata_and_areas_add_up(request_map: MapRequest) -> None:
    report = make_map(replace(request_map, aoi=TRIANGLE))
    crop, modalities = read(report.folder, "crop_type"), read(report.folder, "modalities")
    assert 0.2 < (modalities == 255).mean() < 0.8
    assert (crop[modalities == 255] == 0).all()
    hectares = pixel_hectares(report.grid)
    for each in report.classes:
        assert each["pixels"] == (crop == each["value"]).sum()
        assert each["area_ha"] == pytest.approx(hectares[crop == each["value"]].sum(), abs=1e-3)
    assert report.nodata["outside"] == (modalities == 255).sum()
    assert sum(report.nodata.values()) + sum(e["pixels"] for e in report.classes) == crop.size


def test_the_layers_are_strictly_valid_cogs_on_the_stacks_grid(request_map: MapRequest) -> None:
    folder = make_map(request_map).folder
    for layer in LAYERS:
        valid, errors, warnings = cog_validate(str(folder / f"{layer}.tif"), strict=True)
        assert valid, (errors, warnings)
        with rasterio.open(folder / f"{layer}.tif") as file:
            assert file.transform == GRID.affine
            assert file.crs.to_epsg() == 32631
            assert file.shape == GRID.shape
            assert "TIFFTAG_DATETIME" not in file.tags()
    stated = json.loads((folder / "run.json").read_text())["files"]
    assert sorted(path.name for path in folder.iterdir()) == sorted(stated)
    assert {"crop_type.tif.aux.xml", "legend.csv", *(f"{layer}.tif" for layer in LAYERS)} <= set(stated)


def test_outside_the_mask_nothing_is_mapped(request_map: MapRequest, tmp_path: Path) -> None:
    mask = np.zeros(GRID.shape, np.uint8)
    mask[10:20, 5:30] = 40
    shape = {"height": GRID.height, "width": GRID.width, "count": 1, "dtype": "uint8"}
    with rasterio.open(
        tmp_path / "m.tif", "w", driver="GTiff", crs="EPSG:32631", transform=GRID.affine, **shape
    ) as file:
        file.write(mask, 1)
    report = make_map(replace(request_map, mask=f"{tmp_path / 'm.tif'}:40"))
    assert ((read(report.folder, "modalities") < 255) == (mask == 40)).all()
    assert report.nodata["masked"] == (mask != 40).sum()


def test_a_finished_map_is_replaced_only_when_asked(request_map: MapRequest) -> None:
    make_map(request_map)
    with pytest.raises(MapError, match="holds a finished map"):
        make_map(request_map)
    make_map(replace(request_map, overwrite=True, without=("radar",)))
    assert not (read(request_map.out, "modalities") & 2).any()


def test_a_stack_of_nan_is_refused_and_leaves_nothing(
    tmp_path: Path, request_map: MapRequest, model: Path
) -> None:
    groups = {name: group * np.nan for name, group in gappy_groups().items()}
    for name, group in gappy_groups().items():
        groups[name].attrs = group.attrs
    stack = store(tmp_path / "nan", groups)
    where = r"in the area of interest \(4\.97.*it holds 2021-01-01.* within 4\.97"
    with pytest.raises(StackError, match=rf"the source {stack} without a single valid value {where}"):
        make_map(replace(request_map, source=str(stack)))
    with pytest.raises(StackError, match=r"; radar left out \(--without\).*the mask, --without and"):
        make_map(replace(request_map, source=str(stack), without=("radar",)))
    for name in ("weather", "topography"):
        groups[name] = gappy_groups()[name]
    some = store(tmp_path / "some", groups)
    with pytest.raises(StackError, match=r"some.* without a single observation of optical or radar"):
        make_map(replace(request_map, source=str(some)))
    with pytest.raises(
        AreaError, match=rf"outside the stack \(stack {stack.name}\); expected an area within 4"
    ):
        make_map(replace(request_map, source=str(stack), aoi="1,1,1.1,1.1"))
    assert not request_map.out.exists()


def test_progress_is_that_of_the_pixels_that_are_mapped(
    request_map: MapRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    mask = np.zeros(GRID.shape, np.uint8)
    mask[:30, 5:] = 40
    profile = {"driver": "GTiff", "width": GRID.width, "height": GRID.height, "count": 1, "dtype": "uint8"}
    with rasterio.open(
        tmp_path / "m.tif", "w", **profile, crs=GRID.crs.to_wkt(), transform=GRID.affine
    ) as file:
        file.write(mask, 1)
    request = replace(request_map, tile=20, aoi=TRIANGLE, mask=f"{tmp_path / 'm.tif'}:40")
    told: list[tuple[int, int]] = []
    report = make_map(request, lambda done, total: told.append((done, total)))
    mapped = int((read(report.folder, "modalities") < 255).sum())
    assert 0 < mapped < report.grid.width * report.grid.height / 2
    assert told[-1] == (mapped, mapped) and {total for _, total in told} == {mapped}
    assert report.computed == mapped, "the pixels of which the rate is told"
    assert [done for done, _ in told] == sorted(done for done, _ in told)
    told.clear()
    monkeypatch.setattr("geocomiss.mapping.plan.COUNTED", 2)
    make_map(replace(request, out=tmp_path / "again"), lambda done, total: told.append((done, total)))
    assert told[-1] == (mapped, mapped), "however wrong two tiles of many were"
    assert all(done <= total for done, total in told)


@pytest.mark.parametrize(
    ("option", "value"),
    [("smooth", 3), ("probabilities", True), ("applicability", True), ("mapping_unit", 0.5)],
)
def test_only_the_option_is_told_that_changed(request_map: MapRequest, option: str, value: object) -> None:
    plan = plan_map(request_map)
    other = replace(plan, request=replace(request_map, **{option: value}))  # type: ignore[arg-type]
    (told,) = changes(plan.fingerprint(), other.fingerprint())
    assert option.replace("mapping_unit", "minimum_mapping_unit") == told.partition(":")[0]


BAD: list[tuple[str, dict[str, object], str]] = [
    ("unknown modality", {"without": ("thermal",)}, "thermal"),
    ("other crs", {"crs": "EPSG:3857"}, "own grid"),
    ("other resolution", {"resolution": 20.0}, "own grid"),
    ("outside the stack", {"aoi": "10,50,10.1,50.1"}, "outside the stack"),
    ("season not held", {"season": "2019"}, "stack"),
    ("season backwards", {"season": "2021-12:2021-01"}, "ends before"),
    ("future", {"season": "2150"}, "future"),
    ("other months", {"season": "2020-11:2021-10"}, "12 steps of a month, January to December"),
    ("min steps", {"min_steps": {"optical": 13}}, "1 to 12"),
    ("no model", {"model": "nowhere"}, "nowhere"),
    ("no resolution", {"resolution": 0.0}, "resolution"),
    ("no such device", {"device": "cuda:99"}, "device"),
]


@pytest.mark.parametrize(("changes", "words"), [each[1:] for each in BAD], ids=[each[0] for each in BAD])
def test_bad_requests_are_refused_and_leave_nothing(
    request_map: MapRequest, changes: dict[str, object], words: str
) -> None:
    with pytest.raises(GeocomissError, match=words):
        make_map(replace(request_map, **changes))
    assert not request_map.out.exists()


def test_a_missing_band_is_refused_or_its_modality_dropped(tmp_path: Path, request_map: MapRequest) -> None:
    groups = gappy_groups()
    groups["radar"] = groups["radar"].drop_vars("VH")
    asked = replace(request_map, source=str(store(tmp_path / "other", groups)))
    with pytest.raises(GeocomissError, match="without VH"):
        make_map(asked)
    report = make_map(replace(asked, on_mismatch="drop"))
    assert report.modality_share["radar"] == 0
    assert any("VH" in warning for warning in report.warnings)


def test_wrong_units_are_refused_or_their_modality_dropped(tmp_path: Path, request_map: MapRequest) -> None:
    groups = gappy_groups()
    for band in ("VV", "VH"):
        groups["radar"][band] = 10 ** (groups["radar"][band] / 10)
    asked = replace(request_map, source=str(store(tmp_path / "other", groups)))
    with pytest.raises(GeocomissError, match="radar: unit not dB"):
        make_map(asked)
    assert make_map(replace(asked, on_mismatch="drop")).modality_share["radar"] == 0


def test_all_differences_are_named_at_once(
    tmp_path: Path, request_map: MapRequest, make_model: Callable[..., Path]
) -> None:
    recipe = replace(read_checkpoint(str(request_map.model)).card.recipe, s2_level="L1C", s1_product="gamma0")
    asked = replace(request_map, source=str(store(tmp_path / "other", gappy_groups(), recipe)))
    with pytest.raises(GeocomissError, match=r"s2 level L1C.*s1 product gamma0"):
        make_map(asked)
    # what is left out cannot differ
    make_map(replace(asked, without=("optical", "radar"), require=()))


def test_a_simulated_model_does_not_meet_real_data_unasked(
    request_map: MapRequest, make_model: Callable[..., Path]
) -> None:
    asked = replace(request_map, model=str(make_model(simulated=True)))
    with pytest.raises(GeocomissError, match="simulated world"):
        make_map(asked)
    report = make_map(replace(asked, simulated_model_on_real_data=True))
    with rasterio.open(report.folder / "crop_type.tif") as file:
        assert file.tags()["label"] == "SIMULATED MODEL"


def test_weather_alone_maps_where_nothing_more_is_required(request_map: MapRequest) -> None:
    left_out = ("optical", "radar", "topography")
    report = make_map(replace(request_map, without=left_out, require=()))
    modalities = read(report.folder, "modalities")
    assert (modalities == 4).mean() > 0.5
    assert ((read(report.folder, "crop_type") > 0) == (modalities == 4)).all()


def test_a_map_that_can_have_no_class_says_so(request_map: MapRequest) -> None:
    report = make_map(replace(request_map, without=("optical", "radar")))
    assert any("no pixel can get a class" in warning for warning in report.warnings)
    assert not any("every pixel is given a crop" in warning for warning in report.warnings)
    assert report.nodata["required_missing"] == GRID.height * GRID.width


def test_a_modality_that_nobody_delivers_is_said(tmp_path: Path, request_map: MapRequest) -> None:
    groups = gappy_groups()
    del groups["radar"]
    report = make_map(replace(request_map, source=str(store(tmp_path / "other", groups))))
    assert "the stack has no radar: it is treated as missing" in report.warnings
    with rasterio.open(report.folder / "crop_type.tif") as file:
        assert "no radar" in file.tags()["warnings"]


def test_a_mask_that_leaves_nothing_is_not_taken_for_an_empty_stack(
    tmp_path: Path, request_map: MapRequest
) -> None:
    shape = {"height": GRID.height, "width": GRID.width, "count": 1, "dtype": "uint8"}
    with rasterio.open(
        tmp_path / "m.tif", "w", driver="GTiff", crs="EPSG:32631", transform=GRID.affine, **shape
    ) as file:
        file.write(np.full(GRID.shape, 10, np.uint8), 1)
    with pytest.raises(MapError, match="no pixel whose centre lies in"):
        make_map(replace(request_map, mask=f"{tmp_path / 'm.tif'}:40"))
    assert not request_map.out.exists()


def test_an_unfinished_map_of_another_area_is_not_gone_on_with(
    request_map: MapRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupted(*_: object) -> None:
        raise KeyboardInterrupt

    aoi = tmp_path / "fields.geojson"  # the file keeps its name, its content changes
    aoi.write_text(to_geojson(from_wkt(TRIANGLE)))
    asked = replace(request_map, aoi=str(aoi), tile=20)
    with monkeypatch.context() as patch:
        patch.setattr("geocomiss.mapping.run.assemble", interrupted)
        with pytest.raises(KeyboardInterrupt):
            make_map(asked)
    aoi.write_text(to_geojson(from_wkt(TRIANGLE.replace("4.9835", "4.9830"))))
    with pytest.raises(MapError, match=r'area: "\w+" before, "\w+" now; grid: "30 x 32'):
        make_map(asked)
    make_map(replace(asked, overwrite=True))


def test_replacing_a_map_never_leaves_old_layers_beside_a_new_one(
    request_map: MapRequest, monkeypatch: pytest.MonkeyPatch
) -> None:
    make_map(request_map)
    old = {path.name: path.read_bytes() for path in request_map.out.iterdir()}
    other = replace(request_map, overwrite=True, without=("optical",))

    def full_disk(*_: object) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr("geocomiss.maps.cog._publish", full_disk)
        with pytest.raises(MapError):
            make_map(other)
    kept = {name: (request_map.out / name).read_bytes() for name in old}
    assert kept == old, "the old map stays whole until the new one is"
    make_map(other)
    assert not (read(request_map.out, "modalities") & 1).any()
