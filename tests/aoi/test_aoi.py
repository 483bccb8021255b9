"""Areas of interest: what is read, what is repaired and said, what is refused."""

import json
import zipfile
from pathlib import Path
from typing import Any

import geopandas
import pytest
import shapely
from shapely.geometry import mapping

from geocomiss.aoi import read_aoi
from geocomiss.errors import AreaError

SQUARE = shapely.box(4.8, 50.6, 4.9, 50.7)
BESIDE = shapely.box(5.0, 50.6, 5.1, 50.7)
BOW_TIE = shapely.from_wkt("POLYGON((0 0, 1 1, 1 0, 0 1, 0 0))")
UTM = shapely.box(600_000, 5_600_000, 601_000, 5_601_000)


def geojson(folder: Path, *shapes: Any, name: str = "area.geojson") -> str:
    """A GeoJSON file of shapes, geometry dictionaries or None."""
    geometries = [mapping(shape) if hasattr(shape, "geom_type") else shape for shape in shapes]
    features = [{"type": "Feature", "properties": {}, "geometry": each} for each in geometries]
    (folder / name).write_text(json.dumps({"type": "FeatureCollection", "features": features}))
    return str(folder / name)


def vector(folder: Path, name: str, *shapes: Any, crs: int | None = None, layer: str | None = None) -> str:
    """A vector file of any format."""
    frame = geopandas.GeoDataFrame(geometry=list(shapes), crs=crs)
    options = {"layer": layer} if layer else {}
    with pytest.warns(UserWarning, match="crs") if crs is None else _nothing():
        frame.to_file(folder / name, **options)
    return str(folder / name)


class _nothing:
    def __enter__(self) -> None: ...

    def __exit__(self, *_: object) -> None: ...


@pytest.mark.parametrize("name", ["a.geojson", "a.gpkg", "a.shp", "a.fgb", "a.kml", "a.gml"])
def test_any_vector_file_is_read(tmp_path: Path, name: str) -> None:
    area = read_aoi(vector(tmp_path, name, SQUARE, crs=4326))
    assert area.geometry.geom.symmetric_difference(SQUARE).area < 1e-9
    assert area.geometry.crs.epsg == 4326


@pytest.mark.parametrize("code", [32631, 3857, 3035, 31370])
def test_any_crs_is_kept(tmp_path: Path, code: int) -> None:
    shape = geopandas.GeoSeries([SQUARE], crs=4326).to_crs(code)
    area = read_aoi(vector(tmp_path, "a.gpkg", *shape, crs=code))
    assert str(area.geometry.crs) == f"EPSG:{code}"
    back = area.geometry.to_crs("EPSG:4326").geom
    assert back.symmetric_difference(SQUARE).area < 1e-8
    assert area.notes == ()


def test_features_multipolygons_and_collections_are_united(tmp_path: Path) -> None:
    collection = shapely.GeometryCollection([shapely.GeometryCollection([BESIDE]), shapely.Point(1, 1)])
    overlapping = shapely.box(4.85, 50.6, 4.95, 50.7)
    path = geojson(tmp_path, SQUARE, shapely.MultiPolygon([overlapping]), collection, None)
    area = read_aoi(path)
    assert area.geometry.area == pytest.approx(shapely.union_all([SQUARE, overlapping, BESIDE]).area)
    assert area.geometry.geom_type == "MultiPolygon"


def test_holes_stay_holes(tmp_path: Path) -> None:
    ring = SQUARE.difference(shapely.box(4.84, 50.64, 4.86, 50.66))
    assert read_aoi(geojson(tmp_path, ring)).geometry.area == pytest.approx(ring.area)


def test_heights_are_dropped(tmp_path: Path) -> None:
    area = read_aoi(vector(tmp_path, "a.gpkg", shapely.force_3d(SQUARE, 120.0), crs=4326))
    assert not area.geometry.geom.has_z


@pytest.mark.parametrize(
    "text",
    ["4.8,50.6,4.9,50.7", " 4.8, 50.6, 4.9, 50.7 ", SQUARE.wkt, SQUARE.wkt.lower(), f"MULTI{SQUARE.wkt}"],
)
def test_numbers_and_wkt_are_read(text: str) -> None:
    if text.startswith("MULTI"):
        text = shapely.MultiPolygon([SQUARE]).wkt
    area = read_aoi(text)
    assert area.geometry.geom.equals(SQUARE)
    assert area.geometry.crs.epsg == 4326


def test_a_western_area_is_no_option() -> None:
    assert read_aoi("-4.9,-50.7,-4.8,-50.6").geometry.boundingbox.bbox == (-4.9, -50.7, -4.8, -50.6)


def test_degrees_without_crs_are_taken_for_wgs84_and_said(tmp_path: Path) -> None:
    area = read_aoi(vector(tmp_path, "a.shp", SQUARE))
    assert area.geometry.crs.epsg == 4326
    (note,) = area.notes
    assert "states no CRS" in note and "WGS 84 is assumed" in note


def test_a_polygon_across_itself_is_repaired_and_said(tmp_path: Path) -> None:
    area = read_aoi(geojson(tmp_path, BOW_TIE))
    assert area.geometry.is_valid and area.geometry.area == pytest.approx(0.5)
    (note,) = area.notes
    assert "crosses itself and was repaired" in note


def test_points_beside_polygons_are_left_out_and_said(tmp_path: Path) -> None:
    area = read_aoi(geojson(tmp_path, SQUARE, shapely.Point(0, 0), shapely.LineString([(0, 0), (1, 1)])))
    assert area.geometry.geom.equals(SQUARE)
    assert "left out" in area.notes[0]


def test_the_first_of_several_layers_is_used_and_said(tmp_path: Path) -> None:
    vector(tmp_path, "a.gpkg", SQUARE, crs=4326, layer="fields")
    area = read_aoi(vector(tmp_path, "a.gpkg", BESIDE, crs=4326, layer="other"))
    assert area.geometry.geom.equals(SQUARE)
    assert "2 layers" in area.notes[0] and "'fields'" in area.notes[0]
    assert "not 'other'" in area.notes[0] and "export the one you mean" in area.notes[0]


def test_a_layer_of_polygons_goes_before_one_of_points(tmp_path: Path) -> None:
    vector(tmp_path, "a.gpkg", shapely.Point(0, 0), crs=4326, layer="houses")
    area = read_aoi(vector(tmp_path, "a.gpkg", SQUARE, crs=4326, layer="fields"))
    assert area.geometry.geom.equals(SQUARE)
    assert "'fields' is used, not 'houses'" in area.notes[0]


@pytest.mark.parametrize(
    ("shapes", "said"),
    [
        ([], "holds no geometry"),
        ([None], "holds no geometry"),
        ([shapely.Point(1, 2)], "Point instead of polygons"),
        ([shapely.LineString([(0, 0), (1, 1)])], "LineString instead of polygons"),
        ([shapely.from_wkt("POLYGON((0 0, 1 1, 2 2, 0 0))")], "area of zero"),
        ([UTM], "cannot be degrees"),
        ([shapely.box(4, 89, 5, 91)], "cannot be degrees"),
        ([shapely.box(179, 0, 181, 1)], "longitude 181, beyond 180.*split it"),
        ([shapely.box(-181, 0, -179, 1)], "longitude -181, beyond 180.*split it"),
        ([shapely.box(-179.5, 0, 179.5, 1)], "reaches from longitude -179.5.*split it"),
        ([shapely.box(-180, 0, -179, 1), shapely.box(179, 0, 180, 1)], "split it"),
    ],
)
def test_geometry_that_cannot_be_mapped_is_refused(tmp_path: Path, shapes: list[Any], said: str) -> None:
    with pytest.raises(AreaError, match=said) as caught:
        read_aoi(geojson(tmp_path, *shapes))
    assert "area.geojson" in str(caught.value)


def test_metres_without_crs_are_refused(tmp_path: Path) -> None:
    with pytest.raises(AreaError, match="cannot be degrees, and states no CRS"):
        read_aoi(vector(tmp_path, "a.shp", UTM))


def test_the_antimeridian_is_found_in_a_projected_crs(tmp_path: Path) -> None:
    with pytest.raises(AreaError, match="antimeridian"):
        read_aoi(vector(tmp_path, "a.gpkg", shapely.box(800_000, 0, 900_000, 9_000), crs=32660))


def test_coordinates_beyond_what_a_crs_describes_are_refused(tmp_path: Path) -> None:
    with pytest.raises(AreaError, match="outside what its CRS"):
        read_aoi(vector(tmp_path, "a.gpkg", shapely.box(1e9, 1e9, 1e9 + 10, 1e9 + 10), crs=32631))


@pytest.mark.parametrize("number", ["NaN", "Infinity"])
def test_coordinates_that_are_no_numbers_are_refused(tmp_path: Path, number: str) -> None:
    path = tmp_path / "a.geojson"
    path.write_text(f'{{"type": "Polygon", "coordinates": [[[0, 0], [{number}, 1], [1, 1], [0, 0]]]}}')
    with pytest.raises(AreaError):
        read_aoi(str(path))
    with pytest.raises(AreaError, match="not finite"):
        read_aoi("POLYGON((4 50, nan 50, 5 51, 4 50))")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("nowhere.geojson", "'nowhere.geojson' does not exist"),
        ("", "does not exist"),
        ("x" * 5000, "does not exist"),
        ("1,2,3", "with 3 numbers"),
        ("1,2,3,4,5", "with 5 numbers"),
        ("1,2,3,nan", "four finite numbers"),
        ("5,50,4,51", "west edge 5 east of its east edge 4.*split"),
        ("4,51,5,50", "did you mean 4,50,5,51"),
        ("4,50,4,51", "area of zero"),
        ("4,50,5,50", "area of zero"),
        ("4,89,5,91", "cannot be degrees"),
        ("600000,5600000,601000,5601000", "cannot be degrees"),
        ("170,0,190,1", "beyond 180"),
        ("-170,0,170,1", "antimeridian"),
        ("POLYGON((4 50, 5 50", "the WKT .* cannot be read"),
        ("POINT(4 50)", "Point instead of polygons"),
        ("POLYGON EMPTY", "nothing instead of polygons"),
    ],
)
def test_text_that_is_no_area_is_refused(text: str, said: str) -> None:
    with pytest.raises(AreaError, match=said):
        read_aoi(text)


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("empty.geojson", b""),
        ("broken.geojson", b'{"type": "FeatureColl'),
        ("table.csv", b"a,b\n1,2\n"),
        ("picture.gpkg", b"\x89PNG\r\n\x1a\n" + bytes(100)),
    ],
)
def test_files_that_cannot_be_read_are_refused(tmp_path: Path, name: str, content: bytes) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(AreaError, match=f"'{name}' cannot be read"):
        read_aoi(str(tmp_path / name))


def test_an_empty_folder_is_no_vector_file(tmp_path: Path) -> None:
    with pytest.raises(AreaError, match="cannot be read"):
        read_aoi(str(tmp_path))


def test_a_file_that_looks_like_wkt_is_a_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    geojson(tmp_path, SQUARE, name="polygon.geojson")
    monkeypatch.chdir(tmp_path)
    assert read_aoi("polygon.geojson").geometry.geom.equals(SQUARE)


@pytest.mark.parametrize("folder", ["", "données 2021/", "a/b/"])
def test_a_zipped_shapefile_is_read_wherever_it_lies(tmp_path: Path, folder: str) -> None:
    parts, path = tmp_path / "parts", tmp_path / "zone été.zip"
    parts.mkdir()
    geopandas.GeoDataFrame(geometry=[shapely.box(4, 50, 5, 51)], crs=4326).to_file(parts / "a.shp")
    with zipfile.ZipFile(path, "w") as archive:
        for each in parts.iterdir():
            archive.write(each, folder + each.name)
            archive.writestr(f"__MACOSX/{folder}._{each.name}", b"")
    assert read_aoi(str(path)).geometry.geom.equals(shapely.box(4, 50, 5, 51))
