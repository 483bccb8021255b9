"""Assessments from files: the truth comes back, bad input is said, nothing is claimed that is not known."""

import csv
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import geopandas
import numpy as np
import pytest
import shapely
from assessed import CLASSES, GRID, points_at, write_map
from numpy.typing import NDArray

from geocomiss.accuracy import (
    Assessment,
    AssessRequest,
    DesignRequest,
    assess_map,
    draw_sample,
    write_assessment,
)
from geocomiss.accuracy.reference import TRAINING
from geocomiss.accuracy.vectors import read_districts
from geocomiss.errors import GeocomissError, MapError
from geocomiss.footprint import footprint_of

Write = Callable[..., Path]


def filled_in(path: Path, truth: NDArray[np.uint8]) -> Path:
    """The file of `geocomiss design` with true labels."""
    frame = geopandas.read_file(path, layer="points")
    rows = ((GRID.affine.f - frame.geometry.y) // 10).astype(int)
    cols = ((frame.geometry.x - GRID.affine.c) // 10).astype(int)
    frame["label"] = [CLASSES[value] for value in truth[rows, cols].tolist()]
    frame.to_file(path, layer="points", driver="GPKG")
    return path


def true_hectares(truth: NDArray[np.uint8], mapped: NDArray[np.uint8]) -> NDArray[np.float64]:
    return np.bincount(truth[mapped > 0], minlength=4)[1:] / 100


def holds(found: Assessment, truth: NDArray[np.float64], errors: float = 3.5) -> None:
    for each, hectares in zip(found.whole.classes, truth, strict=True):
        assert each.area is not None
        assert abs(each.area.hectares - hectares) < errors * each.area.se + 0.01 * hectares


def test_designed_labelled_assessed(
    map_folder: Path, truth: NDArray[np.uint8], mapped: NDArray[np.uint8], tmp_path: Path
) -> None:
    path = draw_sample(DesignRequest(map_folder, tmp_path / "v.gpkg", n=400)).path
    found = assess_map(AssessRequest(map_folder, filled_in(path, truth)))
    assert (found.design, found.strata) == ("stratified", "the map's classes, as the file says")
    assert found.whole.points == 400
    holds(found, true_hectares(truth, mapped))
    overall = found.whole.overall
    assert overall.se is not None
    assert abs(overall.value - (truth == mapped)[mapped > 0].mean()) < 3.5 * overall.se
    assert found.matrix.sum() == 400
    assert found.matrix_share.sum() == pytest.approx(1)
    total = sum(each.area.hectares for each in found.whole.classes if each.area)
    assert total == pytest.approx(found.whole.mapped_ha)


def test_points_of_an_older_map_serve_a_newer_one(
    map_folder: Path, truth: NDArray[np.uint8], mapped: NDArray[np.uint8], tmp_path: Path
) -> None:
    path = draw_sample(DesignRequest(map_folder, tmp_path / "v.gpkg", n=400)).path
    newer = np.where(np.random.default_rng(5).random(truth.shape) < 0.1, mapped, truth).astype(np.uint8)
    newer[:, -40:] = 0
    newer[mapped == 0] = 0
    found = assess_map(AssessRequest(write_map(tmp_path / "new", newer), filled_in(path, truth)))
    assert "not the map's classes" in found.strata
    assert 250 < found.whole.points < 380
    holds(found, true_hectares(truth, newer))
    assert any("no class in the map" in warning for warning in found.warnings)


@pytest.mark.parametrize("crs", ["EPSG:32631", "EPSG:4326", "EPSG:3857"])
def test_a_simple_sample_of_any_crs(
    map_folder: Path, simple_points: Write, truth: NDArray[np.uint8], mapped: NDArray[np.uint8], crs: str
) -> None:
    found = assess_map(AssessRequest(map_folder, simple_points(400, crs=crs), design="simple"))
    inside = sum(point.status == "used" for point in found.points)
    assert 370 < inside < 400  # some lie where the map has no class
    holds(found, true_hectares(truth, mapped))


def test_strata_of_ones_own(
    map_folder: Path, simple_points: Write, truth: NDArray[np.uint8], mapped: NDArray[np.uint8],
    tmp_path: Path,
) -> None:  # fmt: skip
    path = simple_points(400)
    frame = geopandas.read_file(path)
    west = frame.geometry.x < GRID.affine.c + 500
    frame = frame[west | (np.arange(400) < 150)]  # the west is drawn more densely
    frame["zone"] = np.where(frame.geometry.x < GRID.affine.c + 500, "west", "east")
    frame.to_file(path, driver="GPKG")
    sizes = tmp_path / "sizes.csv"
    sizes.write_text("stratum,pixels\nwest,8000\neast,24000\n")
    request = AssessRequest(map_folder, path, design="stratified", stratum="zone", strata_sizes=sizes)
    found = assess_map(request)
    assert "not the map's classes" in found.strata
    holds(found, true_hectares(truth, mapped))
    with pytest.raises(GeocomissError, match="sizes of the strata in 'zone' are not known"):
        assess_map(AssessRequest(map_folder, path, design="stratified", stratum="zone"))
    sizes.write_text("stratum,pixels\nwest,8000\n")
    with pytest.raises(GeocomissError, match="without a size: east"):
        assess_map(request)


def test_clusters_give_wider_intervals_than_their_points_would(
    map_folder: Path, truth: NDArray[np.uint8], mapped: NDArray[np.uint8], tmp_path: Path
) -> None:
    rng = np.random.default_rng(3)
    top, left = rng.integers(0, 32, 60) * 5, rng.integers(0, 40, 60) * 5  # whole fields of 5 x 5
    rows = (top[:, None] + np.repeat(np.arange(5), 5)).ravel()
    cols = (left[:, None] + np.tile(np.arange(5), 5)).ravel()
    labels = [CLASSES[value] for value in truth[rows, cols].tolist()]
    path = tmp_path / "clusters.gpkg"
    points_at(rows, cols, labels, field=np.repeat(np.arange(60), 25)).to_file(path, driver="GPKG")
    found = assess_map(AssessRequest(map_folder, path, design="cluster", cluster="field"))
    holds(found, true_hectares(truth, mapped))
    area = found.whole.classes[0].area
    assert area is not None and area.coverage is None
    share = area.hectares / found.whole.mapped_ha
    assert area.se > 2.5 * found.whole.mapped_ha * (share * (1 - share) / 1500) ** 0.5
    with pytest.raises(GeocomissError, match="lie together"):
        assess_map(AssessRequest(map_folder, path, design="stratified"))
    with pytest.raises(GeocomissError, match="no column of clusters"):
        assess_map(AssessRequest(map_folder, path, design="cluster", cluster="nowhere"))


def test_inclusion_probabilities_weigh_points(
    map_folder: Path, truth: NDArray[np.uint8], mapped: NDArray[np.uint8], simple_points: Write
) -> None:
    path = simple_points(900)
    frame = geopandas.read_file(path)
    chance = np.where(frame["label"] == "maize", 1.0, 0.4)  # maize drawn more often, and said so
    frame = frame[np.random.default_rng(0).random(900) < chance]
    frame["inclusion_probability"] = chance[frame.index] * 0.02
    frame.to_file(path, driver="GPKG")
    holds(assess_map(AssessRequest(map_folder, path, design="stratified")), true_hectares(truth, mapped))


def test_chosen_points_are_refused_or_say_nothing_of_areas(
    map_folder: Path, simple_points: Write, tmp_path: Path
) -> None:
    path = simple_points(120)
    with pytest.raises(GeocomissError, match="does not say how its points were drawn"):
        assess_map(AssessRequest(map_folder, path))
    found = assess_map(AssessRequest(map_folder, path, probability_sample=False))
    assert found.whole.overall.se is None
    assert all(each.area is None and each.users.se is None for each in found.whole.classes)
    text = (tmp_path / "out" / "assessment.md", write_assessment(found, tmp_path / "out"))[0].read_text()
    assert "not a probability sample" in text and "95 %" not in text and "±" not in text


def test_points_of_one_field_are_no_random_sample(
    map_folder: Path, truth: NDArray[np.uint8], tmp_path: Path
) -> None:
    rng = np.random.default_rng(0)
    rows, cols = rng.integers(60, 80, 60), rng.integers(60, 80, 60)
    labels = [CLASSES[value] for value in truth[rows, cols].tolist()]
    path = tmp_path / "field.gpkg"
    points_at(rows, cols, labels).to_file(path, driver="GPKG")
    for design in ("simple", "stratified"):
        with pytest.raises(GeocomissError, match="lie together"):
            assess_map(AssessRequest(map_folder, path, design=design))  # type: ignore[arg-type]


def test_points_that_prefer_a_class_are_no_simple_sample(
    map_folder: Path, mapped: NDArray[np.uint8], simple_points: Write
) -> None:
    path = simple_points(900)
    frame = geopandas.read_file(path)
    frame = frame[(frame["label"] == "maize") | (np.arange(900) < 100)]
    frame.to_file(path, driver="GPKG")
    with pytest.raises(GeocomissError, match=r"prefer classes: .* lie on maize"):
        assess_map(AssessRequest(map_folder, path, design="simple"))


def test_every_point_is_accounted_for(
    map_folder: Path, simple_points: Write, truth: NDArray[np.uint8], tmp_path: Path
) -> None:
    path = simple_points(200)
    frame = geopandas.read_file(path)
    odd = points_at([-50, 5, 100, 101], [10, 5, 100, 100], ["maize", "maize", None, "Maize "])
    frame = geopandas.GeoDataFrame(
        {"label": [*frame["label"], *odd["label"], "wheat"]},
        geometry=[*frame.geometry, *odd.geometry, None], crs=frame.crs,
    )  # fmt: skip
    frame.to_file(path, driver="GPKG")
    found = assess_map(AssessRequest(map_folder, path, design="simple"))
    assert [point.status for point in found.points[200:]] == [
        "outside the map", "no class in the map", "no label", "used", "no geometry",
    ]  # fmt: skip
    told = " ".join((*found.warnings, *found.notes))
    for words in ("1 of 205 reference points not used: outside", "no label", "no geometry", "'Maize'"):
        assert words in told, told
    write_assessment(found, tmp_path / "out")
    rows = list(csv.DictReader((tmp_path / "out" / "points.csv").open()))
    assert len(rows) == 205 and rows[203]["reference"] == "maize"


def test_many_points_without_a_label_are_warned_of(map_folder: Path, simple_points: Write) -> None:
    path = simple_points(200)
    frame = geopandas.read_file(path)
    frame.loc[::5, "label"] = None
    frame.to_file(path, driver="GPKG")
    found = assess_map(AssessRequest(map_folder, path, design="simple"))
    assert any(re.match("(19|20)% of the points have no label", each) for each in found.warnings)


def test_training_points_are_left_out_unless_wanted(map_folder: Path, simple_points: Write) -> None:
    path = simple_points(200)
    degrees = geopandas.read_file(path).geometry.to_crs(4326)
    places = footprint_of(degrees.y.to_numpy()[:30], degrees.x.to_numpy()[:30], "table")
    request = AssessRequest(map_folder, path, design="simple", footprint=places)
    found = assess_map(request)
    trained = [point.id for point in found.points if point.status == TRAINING]
    assert {str(row) for row in range(1, 31)} - {p.id for p in found.points if p.mapped == ""} <= set(trained)
    assert any(f"not used: {TRAINING}" in each for each in found.warnings)
    allowed = assess_map(
        AssessRequest(map_folder, path, design="simple", footprint=places, allow_training_points=True)
    )
    assert allowed.whole.points == found.whole.points + len(trained)
    assert any("accuracies too high" in each for each in allowed.warnings)


def test_a_class_that_the_map_lacks_counts_as_wrong(map_folder: Path, simple_points: Write) -> None:
    path = simple_points(300)
    frame = geopandas.read_file(path)
    frame.loc[:29, "label"] = "Hops"
    frame.to_file(path, driver="GPKG")
    with pytest.raises(GeocomissError, match=r"'hops' \(30 points"):
        assess_map(AssessRequest(map_folder, path, design="simple"))
    found = assess_map(AssessRequest(map_folder, path, design="simple", unknown_labels="count"))
    hops = found.whole.classes[-1]
    assert (hops.name, hops.producers.value, hops.mapped_points) == ("hops (not in the map)", 0, 0)
    assert np.isnan(hops.users.value)
    assert hops.area is not None and hops.area.hectares > 20


def test_districts_without_a_name_are_called_so(tmp_path: Path) -> None:
    shapes = [shapely.box(4 + each, 50, 5 + each, 51) for each in range(4)]
    frame = geopandas.GeoDataFrame({"name": ["a", None, "a", None]}, geometry=shapes, crs=4326)
    frame.to_file(tmp_path / "d.gpkg")
    assert read_districts(tmp_path / "d.gpkg", None)["name"].tolist() == ["a", "without a name"]


def test_districts_and_modalities(
    map_folder: Path, simple_points: Write, truth: NDArray[np.uint8], mapped: NDArray[np.uint8],
    tmp_path: Path,
) -> None:  # fmt: skip
    x, y = GRID.affine.c, GRID.affine.f
    shapes = [shapely.box(x, y - 1600, x + 1200, y), shapely.box(x + 1200, y - 1600, x + 2000, y),
              shapely.box(x + 1990, y - 60, x + 2000, y), shapely.box(0, 0, 1, 1)]  # fmt: skip
    names = ["west", "east", "tiny", "elsewhere"]
    districts = geopandas.GeoDataFrame({"name": names}, geometry=shapes, crs="EPSG:32631").to_crs(4326)
    districts.to_file(tmp_path / "d.geojson")
    request = AssessRequest(map_folder, simple_points(600), "simple", domains=tmp_path / "d.geojson")
    found = assess_map(request)
    west, east, tiny, elsewhere = found.districts
    for district, cols in ((west, slice(0, 120)), (east, slice(120, 200))):
        part = np.zeros(truth.shape, bool)
        part[:, cols] = True
        hectares = np.bincount(truth[part & (mapped > 0)], minlength=4)[1:] / 100
        assert district.mapped_ha == pytest.approx(hectares.sum(), rel=0.02)
        for each, true in zip(district.classes, hectares, strict=True):
            assert each.area is not None and abs(each.area.hectares - true) < 3.5 * each.area.se + 0.02 * true
    assert tiny.classes[0].area is None and tiny.mapped_ha > 0 and not tiny.enough
    assert elsewhere.mapped_ha == 0
    assert "1 of 4 districts lie off the map, without a pixel of it: elsewhere" in found.warnings
    names = [part.name for part in found.patterns]
    assert names == ["optical + radar + weather + topography", "radar + weather + topography"]
    assert sum(part.points for part in found.patterns) == found.whole.points
    assert sum(part.mapped_ha for part in found.patterns) == pytest.approx(found.whole.mapped_ha)
    text = write_assessment(found, tmp_path / "out") and (tmp_path / "out" / "assessment.md").read_text()
    assert "mapped area only (fewer than 30 points)" in text


def test_the_files_are_whole(map_folder: Path, simple_points: Write, tmp_path: Path) -> None:
    found = assess_map(AssessRequest(map_folder, simple_points(), design="simple"))
    files = write_assessment(found, tmp_path / "out")
    assert {path.name for path in files} == {path.name for path in (tmp_path / "out").iterdir()}
    rows = list(csv.DictReader((tmp_path / "out" / "classes.csv").open()))
    assert [row["class"] for row in rows] == list(CLASSES.values())
    for row, each in zip(rows, found.whole.classes, strict=True):
        assert each.area is not None
        assert float(row["area_ha"]) == pytest.approx(each.area.hectares, abs=1e-5)
        assert float(row["area_low"]) < float(row["area_ha"]) < float(row["area_high"])
    assert (tmp_path / "out" / "assessment.png").read_bytes().startswith(b"\x89PNG")


def test_a_class_never_drawn_is_left_out_of_the_estimates_and_said(
    map_folder: Path, simple_points: Write
) -> None:
    path = simple_points(300)
    frame = geopandas.read_file(path)
    found = assess_map(AssessRequest(map_folder, path, design="simple"))
    mapped_as = np.array([point.mapped for point in found.points])
    frame[mapped_as != "maize"].to_file(path, driver="GPKG")
    rest = assess_map(AssessRequest(map_folder, path, design="stratified"))
    assert any("stratum maize" in each and "no reference point" in each for each in rest.warnings)
    total = sum(each.area.hectares for each in rest.whole.classes if each.area)
    assert total == pytest.approx(rest.whole.mapped_ha - rest.whole.classes[0].mapped_ha)


BAD: list[tuple[str, Callable[[Any], Any], dict[str, Any], str]] = [
    ("no CRS", lambda f: f.set_crs(None, allow_override=True), {}, "state no CRS"),
    ("no label column", lambda f: f.rename(columns={"label": "crop"}), {}, "no column 'label', *|'label'"),
    ("empty labels", lambda f: f.assign(label=None), {}, "is empty in all 50 rows"),
    ("elsewhere", lambda f: f.set_geometry(f.translate(9e5)), {}, "too few of the 50 .* 50 outside the map"),
    ("polygons", lambda f: f.set_geometry(f.buffer(9)), {}, "hold Polygon"),
    ("empty", lambda f: f.iloc[:0], {}, "are empty"),
    ("one point", lambda f: f.iloc[40:41], {}, "too few"),
    ("design twice", lambda f: f.assign(design=["simple", "cluster"] * 25), {}, "says cluster and simple"),
    ("other design", lambda f: f.assign(design="cluster"), {}, "--design says simple"),
    ("unknown design", lambda f: f.assign(design="cleverly"), {"design": None}, "says cleverly"),
    ("bad chance", lambda f: f.assign(inclusion_probability=1.5), {}, "outside 0 to 1"),
    ("no stratum", lambda f: f, {"design": "stratified", "stratum": "zone"}, "no column 'zone'"),
    (
        "sizes differ",
        lambda f: f.assign(stratum="a", stratum_pixels=range(1, 51)),
        {"design": "stratified"},
        "several sizes",
    ),
    ("no domains", lambda f: f, {"domains": Path("nowhere.gpkg")}, "do not exist"),
    ("no map", lambda f: f, {"map": Path("nowhere")}, "holds no run.json"),
]


@pytest.mark.parametrize(("change", "options", "words"), [each[1:] for each in BAD], ids=[e[0] for e in BAD])
def test_bad_input_is_refused_in_words(
    map_folder: Path, simple_points: Write, change: Any, options: dict[str, Any], words: str
) -> None:
    path = simple_points(50, seed=2)
    frame = change(geopandas.read_file(path))
    path.unlink()
    frame.to_file(path, driver="GPKG")
    with pytest.raises(GeocomissError, match=words) as told:
        assess_map(AssessRequest(**{"map": map_folder, "reference": path, "design": "simple"} | options))
    assert told.value.expected and told.value.todo


def test_a_damaged_map_is_said(map_folder: Path, simple_points: Write) -> None:
    (map_folder / "crop_type.tif").write_bytes(b"II*\0 and nothing")
    with pytest.raises(MapError, match="cannot be read"):
        assess_map(AssessRequest(map_folder, simple_points(), design="simple"))


@pytest.mark.parametrize("probability_sample", [True, False])
def test_a_class_that_the_map_does_not_list_is_said(
    probability_sample: bool, mapped: NDArray[np.uint8], simple_points: Write, tmp_path: Path
) -> None:
    mapped[100:] = 9
    odd = write_map(tmp_path / "odd", mapped)
    request = AssessRequest(odd, simple_points(), "simple", probability_sample)
    with pytest.raises(MapError, match=r"crop_type\.tif .* that its run\.json does not list: 9; expected 0"):
        assess_map(request)
