"""What becomes of points and polygons: pixels drawn, counted once, left out with a reason, or refused."""

import csv
import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import geopandas
import numpy as np
import pyarrow.parquet as pq
import pytest
import shapely
from gappy import GRID, NOTHING, WEATHER_ONLY
from sampling_places import at, block

from geocomiss.errors import AreaError, GeocomissError, SampleError, SeasonError
from geocomiss.recipes import RECIPES
from geocomiss.samples import SampleRequest, Samples, read_samples
from geocomiss.sampling import SamplingReport, SamplingRequest, sample_points
from geocomiss.sampling.features import OFF_EARTH

RECIPE = RECIPES["monthly-l2a"]
Write = Callable[..., Path]


@pytest.fixture
def sample(stack: Path, tmp_path: Path) -> Callable[..., SamplingReport]:
    """Samples a file of features from the stack."""

    def run(points: Path, **changes: Any) -> SamplingReport:
        asked = SamplingRequest(points, str(stack), tmp_path / "samples.parquet", season="2021")
        return sample_points(replace(asked, **changes))

    return run


def table(report: SamplingReport) -> Samples:
    return read_samples(SampleRequest(str(report.path), "label", None, RECIPE))


def rows_cols(samples: Samples) -> np.ndarray:
    """Fractional pixels (N, 2) in which samples lie."""
    places = geopandas.points_from_xy(samples.lon, samples.lat, crs=4326).to_crs(32631)
    return np.stack([(GRID.affine.f - places.y) / 10, (places.x - GRID.affine.c) / 10], 1)


def test_pixels_of_polygons_keep_away_from_the_edge(write: Write, sample: Any) -> None:
    fields = [block(2, 2, 10, 12), block(20, 20, 6, 6), block(30, 2, 3, 30)]
    report = sample(write(fields, ["maize", "wheat", "wheat"]), per_polygon=16, edge=10)
    samples = table(report)
    found = rows_cols(samples)
    assert np.allclose(found % 1, 0.5, atol=1e-3)  # centres
    for number, field in enumerate(fields, 1):
        mine = samples.columns["feature"] == number
        inner = field.buffer(-10)
        places = [at(*place) for place in found[mine]]
        allowed = [at(r + 0.5, c + 0.5) for r in range(45) for c in range(60)]
        enough = sum(inner.intersects(place) for place in allowed)
        assert mine.sum() == min(16, enough)
        assert all(inner.buffer(0.01).intersects(place) for place in places)
    assert len({tuple(place) for place in found.tolist()}) == len(samples)


def test_a_polygon_gives_the_same_pixels_whatever_the_others_are(write: Write, sample: Any) -> None:
    first = table(sample(write([block(2, 2, 9, 9), block(20, 20, 6, 6)], ["maize", "wheat"])))
    more = [block(2, 2, 9, 9), block(30, 40, 8, 8), block(20, 20, 6, 6)]
    second = table(sample(write(more, ["maize", "wheat", "wheat"]), overwrite=True))
    mine = [rows_cols(each)[each.columns["feature"] == 1] for each in (first, second)]
    assert np.array_equal(*mine)
    other = table(
        sample(write([block(2, 2, 9, 9), block(20, 20, 6, 6)], ["maize", "wheat"]), seed=1, overwrite=True)
    )
    assert not np.array_equal(rows_cols(other)[other.columns["feature"] == 1], mine[0])


def test_everything_that_gives_no_sample_is_told_with_its_reason(
    write: Write, sample: Any, tmp_path: Path
) -> None:
    shapes = [
        at(1.5, 1.5), at(1.2, 1.7), at(9.5, 9.5), at(9.9, 9.1), at(-3, 4),
        at(NOTHING[0] + 0.5, NOTHING[1] + 0.5), at(WEATHER_ONLY[0] + 0.5, WEATHER_ONLY[1] + 0.5),
        block(20, 20, 0.6, 30), None, at(30.5, 30.5), at(40.5, 3.5),
    ]  # fmt: skip
    labels = ["maize", "maize", "maize", "wheat", "maize", "maize", "maize", "wheat", "wheat", None, "wheat"]
    report = sample(write(shapes, labels))
    assert report.per_class == {"maize": 1, "wheat": 1}
    assert report.reasons == {
        "same pixel, season and label as another": 1,
        "same pixel and season as another with a different label": 2,
        "outside the source": 1,
        "no optical or radar value in the season": 2,
        "no pixel lies as far inside as --edge asks": 1,
        "no geometry": 1,
        "no label": 1,
    }
    with (tmp_path / "samples_left_out.csv").open() as file:
        listed = list(csv.DictReader(file))
    assert [int(row["feature"]) for row in listed] == [2, 3, 4, 5, 6, 7, 8, 9, 10]
    assert all(row["why"] for row in listed)
    text = (tmp_path / "samples_report.md").read_text()
    assert "| maize | 1 | 50.0% |" in text
    assert "samples_left_out.csv" in text


def test_missing_months_are_those_of_the_series(write: Write, sample: Any) -> None:
    places = [at(r + 0.5, c + 0.5) for r in range(10, 20) for c in range(10, 20)]
    report = sample(write(places, ["a", "b"] * 50))
    samples = table(report)
    for name, shares in report.missing.items():
        gaps = np.isnan(samples.values[name]).any(2).mean(0)
        assert shares == pytest.approx(gaps.tolist())
    assert report.missing["optical"][4] == 1.0
    assert report.months == tuple(range(1, 13))


def test_labels_in_several_spellings_are_listed_or_merged(write: Write, sample: Any) -> None:
    places = [at(r + 0.5, 3.5) for r in range(6)]
    labels = ["Maize", "maize ", "maize ", "Winter-wheat", "winter wheat", "grass"]
    points = write(places, labels)
    with pytest.raises(SampleError, match=r"'maize ' \(2\), 'Maize' \(1\).*--merge-labels"):
        sample(points)
    report = sample(points, merge_labels=True)
    assert set(report.per_class) == {"maize", "Winter-wheat", "grass"}
    assert any("'Maize'" in note for note in report.notes)


def test_one_word_in_two_encodings_of_its_accents_is_one_label(write: Write, sample: Any) -> None:
    one, other = "ma\u00efs", "mai\u0308s"
    report = sample(write([at(0.5, 3.5), at(1.5, 3.5), at(2.5, 3.5)], [one, other, "grass"]))
    assert report.per_class == {one: 2, "grass": 1}


@pytest.mark.parametrize(
    ("columns", "separator", "decimal"), [(("lon", "lat"), ",", "."), (("Longitude", "LATITUDE"), ";", ",")]
)
def test_points_of_a_csv_file_are_those_of_a_geopackage(
    write: Write, sample: Any, tmp_path: Path, columns: tuple[str, str], separator: str, decimal: str
) -> None:
    points = write([at(3.5, 3.5), at(9.5, 9.5), at(14.5, 4.5)], ["a, b", "c", "c"], note=["x", "y", "z"])
    frame = geopandas.read_file(points).to_crs(4326)
    frame[columns[0]], frame[columns[1]] = frame.geometry.x, frame.geometry.y
    path = tmp_path / "points.csv"
    frame.drop(columns="geometry").to_csv(path, sep=separator, decimal=decimal, index=False)
    ours = table(sample(path))
    theirs = table(sample(points, out=tmp_path / "other.parquet"))
    assert ours.labels.tolist() == theirs.labels.tolist() == ["a, b", "c", "c"]
    assert np.allclose([ours.lon, ours.lat], [theirs.lon, theirs.lat], atol=1e-9)
    assert ours.columns["note"].tolist() == ["x", "y", "z"]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (b"label,x,y\na,4.9,50.6\n", "a table without geometries, of the columns label, x, y.*lon and lat"),
        (b"label,lon,lat\n", "are empty"),
        (b"", "cannot be read"),
        ("label,lon,lat\nblé,4.9,50.6\n".encode("latin-1"), "cannot be read.*CSV file in UTF-8"),
    ],
)
def test_a_csv_file_without_points_is_refused(sample: Any, tmp_path: Path, text: bytes, said: str) -> None:
    (tmp_path / "points.csv").write_bytes(text)
    with pytest.raises(SampleError, match=said):
        sample(tmp_path / "points.csv")


def test_points_in_several_layers_are_refused_not_halved(sample: Any, tmp_path: Path) -> None:
    path = tmp_path / "two.gpkg"
    for name, place in (("maize", at(3.5, 3.5)), ("wheat", at(9.5, 9.5))):
        geopandas.GeoDataFrame({"label": [name]}, geometry=[place], crs="EPSG:32631").to_file(
            path, layer=name
        )
    with pytest.raises(SampleError, match=r"2 layers \(maize, wheat\).*merge the layers"):
        sample(path)


def test_each_point_has_its_own_year(write: Write, tmp_path: Path) -> None:
    places = [at(3.2, 3.2), at(3.7, 3.7), at(9.5, 9.5)]
    points = write(places, ["a", "b", "b"], year=[2020, 2021, 2021])
    asked = SamplingRequest(points, "simulated", tmp_path / "s.parquet", season_column="year")
    samples = table(sample_points(asked))
    assert samples.years == (2020, 2021)
    assert samples.starts[:, 0].astype(str).tolist() == ["2020-01-01", "2021-01-01", "2021-01-01"]
    radar = samples.values["radar"]
    assert not np.array_equal(radar[0], radar[1])  # one pixel, two years: two samples


def test_a_year_that_a_stack_does_not_hold_is_left_out(write: Write, sample: Any) -> None:
    points = write([at(3.5, 3.5), at(5.5, 5.5)], ["a", "b"], year=["2021", "2019"])
    report = sample(points, season=None, season_column="year")
    assert report.reasons == {"season not held by the source": 1}
    with pytest.raises(SeasonError):
        sample(write([at(3.5, 3.5)], ["a"], year=[2019]), season=None, season_column="year", overwrite=True)


def test_cropharvests_labels_are_points(tmp_path: Path) -> None:
    features = []
    for number, (label, test, lon) in enumerate(
        [("maize", False, 4.98), ("wheat", False, 4.99), ("maize", True, 5.0), (None, False, 5.01)]
    ):
        properties = {
            "dataset": "togo", "index": number, "is_crop": 1, "is_test": test, "lat": 50.6, "lon": lon,
            "classification_label": label, "export_end_date": "2021-02-01T00:00:00", "label": "x",
        }  # fmt: skip
        square = shapely.box(lon, 50.6, lon + 1, 51)
        features.append(
            {"type": "Feature", "properties": properties, "geometry": shapely.geometry.mapping(square)}
        )
    path = tmp_path / "labels.geojson"
    path.write_text(json.dumps({"type": "FeatureCollection", "features": features}))
    report = sample_points(SamplingRequest(path, "simulated", tmp_path / "s.parquet", recipe="cropharvest"))
    samples = table(report)
    assert report.per_class == {"maize": 1, "wheat": 1}
    assert report.reasons == {"CropHarvest keeps it for testing": 1, "no label": 1}
    assert samples.months[0].tolist() == [*range(2, 13), 1]
    assert samples.recipe.name == "cropharvest"


def test_what_stands_in_the_way_of_training_is_warned_of(write: Write, sample: Any) -> None:
    report = sample(write([block(5, 5, 12, 12)], ["maize"]))
    assert any("one field" in warning for warning in report.warnings)
    assert any("nothing can be told apart" in warning for warning in report.warnings)
    report = sample(write([at(5.5, 5.5), at(5.5, 6.5), at(30.5, 50.5)], ["a", "a", "b"]), overwrite=True)
    assert any("b (1)" in warning for warning in report.warnings)


def test_polygons_stay_whole_in_spatial_groups_and_their_outlines_stay_known(
    write: Write, sample: Any
) -> None:
    fields = [block(r, c, 9, 9) for r in (0, 15, 30) for c in (0, 20, 40)]
    samples = table(sample(write(fields, ["a", "b", "c"] * 3)))
    assert len(set(samples.group.tolist())) == 9
    for group in set(samples.group.tolist()):
        assert len(set(samples.columns["feature"][samples.group == group].tolist())) == 1
    outline = shapely.from_wkt(str(samples.columns["outline"][0]))
    square = geopandas.GeoSeries([outline], crs=4326).to_crs(32631).iloc[0]
    assert square.symmetric_difference(fields[0]).area < 0.01 * fields[0].area


def test_the_same_table_comes_out_twice(write: Write, sample: Any) -> None:
    points = write([block(2, 2, 9, 9), block(20, 20, 6, 6)], ["maize", "wheat"])
    first = sample(points, tile=7).path.read_bytes()
    assert sample(points, tile=30, overwrite=True).path.read_bytes() == first


def test_a_season_that_cannot_be_read_is_told_with_column_and_row(write: Write, sample: Any) -> None:
    points = write([at(3.5, 3.5), at(5.5, 5.5), at(7.5, 7.5)], ["a", "b", "b"], when=["2021", "May", "May"])
    with pytest.raises(SeasonError, match=r"'May'.*\(column 'when', row 2 and 1 more\)") as caught:
        sample(points, season=None, season_column="when")
    assert "--season " not in str(caught.value)


@pytest.mark.parametrize("source", ["stack", "simulated"])
def test_coordinates_that_are_no_degrees_give_no_sample(
    tmp_path: Path, stack: Path, source: str, sample: Any
) -> None:
    good = geopandas.GeoSeries([at(3.5, 3.5), at(9.5, 9.5)], crs=32631).to_crs(4326).tolist()
    wrong = [
        shapely.Point(640005, 5609995),
        shapely.Point(500, 10),
        shapely.Point(5, 95),
        shapely.Point(9, -91),
    ]
    points = tmp_path / "degrees.gpkg"
    frame = geopandas.GeoDataFrame({"label": ["a", "b"] * 3}, geometry=good + wrong, crs=4326)
    frame.to_file(points)
    path = str(stack) if source == "stack" else source
    report = sample(points, source=path)
    assert report.reasons == {OFF_EARTH: 4} and report.n == 2
    frame[2:].to_file(points)
    with pytest.raises(SampleError, match="4 coordinates beyond 180 degrees"):
        sample(points, source=path, overwrite=True)


@pytest.mark.parametrize(
    ("shapes", "changes", "wrong"),
    [
        ([shapely.LineString([(0, 0), (1, 1)])], {}, "LineString"),
        ([shapely.MultiPoint([(640005, 5609995), (640015, 5609995)])], {}, "several points"),
        ([at(3.5, 3.5)], {"label": "crop"}, "no column 'crop'"),
        ([at(3.5, 3.5)], {"season_column": "when", "season": None}, "no column 'when'"),
        ([at(-5, 3)], {}, "1 outside the source"),
        ([block(20, 20, 0.5, 9)], {}, "1 no pixel lies as far inside"),
        ([at(3.5, 3.5)], {"season": "2019"}, "2019"),
        ([at(3.5, 3.5)], {"crs": "EPSG:3035"}, "EPSG:3035"),
        ([at(3.5, 3.5)], {"edge": -1.0}, "--edge -1"),
        ([at(3.5, 3.5)], {"season_column": "label"}, "--season and --season-column"),
        ([at(3.5, 3.5)], {"out": Path("samples.csv")}, "samples.csv"),
    ],
)  # fmt: skip
def test_bad_input_is_refused_and_leaves_nothing(
    write: Write, sample: Any, tmp_path: Path, shapes: list[Any], changes: dict[str, Any], wrong: str
) -> None:
    points = write(shapes, ["maize"] * len(shapes))
    before = sorted(path.name for path in tmp_path.iterdir())
    with pytest.raises(GeocomissError) as caught:
        sample(points, **changes)
    assert wrong in str(caught.value)
    assert isinstance(caught.value, SampleError | SeasonError | AreaError)
    assert sorted(path.name for path in tmp_path.iterdir()) == before


def test_points_without_a_crs_are_refused(write: Write, sample: Any) -> None:
    with pytest.raises(SampleError, match="state no CRS"):
        sample(write([at(3.5, 3.5)], ["a"], crs=None))


def test_a_table_is_not_replaced_unasked(write: Write, sample: Any) -> None:
    points = write([at(3.5, 3.5), at(9.5, 9.5)], ["a", "b"])
    before = sample(points).path.read_bytes()
    with pytest.raises(SampleError, match="exists already"):
        sample(points)
    assert sample(points, overwrite=True).path.read_bytes() == before


def test_an_empty_label_column_is_refused(write: Write, sample: Any) -> None:
    with pytest.raises(SampleError, match="empty in all 1 rows"):
        sample(write([at(3.5, 3.5)], [" "]))


def test_other_columns_of_the_file_are_kept(write: Write, sample: Any) -> None:
    points = write([at(3.5, 3.5), at(9.5, 9.5)], ["a", "b"], farm=["north", None], area=[1.5, 2.0], VV=[1, 2])
    names = pq.read_schema(sample(points).path).names
    samples = table(sample(points, overwrite=True))
    assert samples.columns["farm"].tolist() == ["north", ""]
    assert samples.columns["area"].tolist() == [1.5, 2.0]
    assert "raw_VV" in names  # VV is the radar's
