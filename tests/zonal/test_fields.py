"""Crops of parcels: equal to a slow way that cuts each pixel into many, and clear about bad input."""

from pathlib import Path

import geopandas
import numpy as np
import pandas
import pytest
import rasterio
import shapely
from affine import Affine
from odc.geo.geobox import GeoBox
from shapely.geometry import MultiPolygon, Point, Polygon, box

from geocomiss.errors import AreaError, MapError, SampleError
from geocomiss.maps import Category, map_layers, write_cog, write_legend
from geocomiss.zonal import FieldsRequest, write_fields

GRID = GeoBox((40, 50), Affine(10, 0, 640_000, 0, -10, 5_610_000), "EPSG:32631")
CLASSES = (
    Category(1, "maize", "#ffd300"),
    Category(2, "<script>x</script>", "#a57000"),
    Category(3, "小麦", "#267300"),
)
VALUES = np.random.default_rng(0).integers(0, 4, GRID.shape).astype("u1")
CONFIDENCE = np.where(VALUES > 0, np.random.default_rng(1).integers(80, 200, GRID.shape), 255).astype("u1")
PARCELS = [
    Polygon([(640_003, 5_609_997), (640_118, 5_609_941), (640_061, 5_609_812), (640_003, 5_609_997)]),
    MultiPolygon([box(640_200, 5_609_700, 640_204, 5_609_990), box(640_300, 5_609_800, 640_333, 5_609_833)]),
    box(640_480, 5_609_580, 640_560, 5_609_640),  # sticks out of the map
    box(700_000, 5_000_000, 700_100, 5_000_100),  # elsewhere
    box(640_401, 5_609_901, 640_404, 5_609_904),  # within one pixel
]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    out = tmp_path / "map"
    whole = (slice(0, GRID.height), slice(0, GRID.width))
    for layer, values in zip(map_layers(CLASSES)[:2], (VALUES, CONFIDENCE), strict=True):
        write_cog(out / f"{layer.name}.tif", layer, GRID, [(*whole, values)], {}, out)
    return out


def parcels(folder: Path, shapes: list = PARCELS, crs: str = "EPSG:4326", **columns: list) -> Path:
    path = folder / "parcels.gpkg"
    given = {"owner": [f"no. {number}" for number in range(len(shapes))]} | columns
    geopandas.GeoDataFrame(given, geometry=shapes, crs="EPSG:32631").to_crs(crs).to_file(path)
    return path


def slow_shares(shape: shapely.Geometry, cuts: int = 40) -> np.ndarray:
    """Share of each class 1..3 among the mapped, on pixels cut into cuts x cuts."""
    row, col = np.divmod(np.arange(GRID.height * cuts * GRID.width * cuts), GRID.width * cuts)
    x = 640_000 + (col + 0.5) * 10 / cuts
    y = 5_610_000 - (row + 0.5) * 10 / cuts
    left, low, right, top = shape.bounds
    near = (x > left) & (x < right) & (y > low) & (y < top)
    inside = shapely.intersects_xy(shape, x[near], y[near])
    values = VALUES[row[near] // cuts, col[near] // cuts][inside]
    counts = np.bincount(values, minlength=4)[1:]
    return counts / max(counts.sum(), 1)


@pytest.mark.parametrize("crs", ["EPSG:32631", "EPSG:4326"])
def test_shares_equal_the_slow_way(folder: Path, tmp_path: Path, crs: str) -> None:
    out = tmp_path / "fields.gpkg"
    report = write_fields(FieldsRequest(folder, parcels(tmp_path, crs=crs), out))
    found = geopandas.read_file(out)
    assert list(found["owner"]) == [f"no. {number}" for number in range(5)]
    assert (report.parcels, report.outside) == (5, 1)
    for number, shape in enumerate(PARCELS):
        shares = [found[f"share_{each.name}"][number] for each in CLASSES]
        slow = slow_shares(shape)
        np.testing.assert_allclose(shares, slow, atol=0.03)
        if slow.any():
            assert found["crop"][number] == CLASSES[int(np.argmax(shares))].name
            assert found["crop_share"][number] == max(shares)
    assert found["crop"].isna()[3] and found["crop_value"][3] == 0
    assert found["mapped_share"][2] < 0.6 < 0.5 + found["mapped_share"][0]
    assert found["confidence"].dropna().between(0.4, 1).all()


def test_a_pixel_cut_in_half_counts_half(folder: Path, tmp_path: Path) -> None:
    row, col = np.argwhere((VALUES[:, :-1] > 0) & (VALUES[:, 1:] > 0) & (VALUES[:, :-1] != VALUES[:, 1:]))[0]
    x, y = 640_000 + 10 * col, 5_610_000 - 10 * row
    out = tmp_path / "f.csv"
    write_fields(FieldsRequest(folder, parcels(tmp_path, [box(x, y - 10, x + 15, y)]), out))
    found = pandas.read_csv(out)
    assert found["crop_share"][0] == pytest.approx(2 / 3, abs=1e-3)
    assert found["second_share"][0] == pytest.approx(1 / 3, abs=1e-3)
    assert found["pixels"][0] == pytest.approx(1.5, abs=0.01)
    assert "geometry" not in found


def test_columns_of_the_parcels_are_never_lost(folder: Path, tmp_path: Path) -> None:
    out = tmp_path / "f.geojson"
    write_fields(FieldsRequest(folder, parcels(tmp_path, crop=["declared"] * 5), out))
    assert set(geopandas.read_file(out)["crop_given"]) == {"declared"}


def test_bad_input_is_said_and_leaves_nothing(folder: Path, tmp_path: Path) -> None:
    good, out = parcels(tmp_path), tmp_path / "out" / "f.gpkg"
    points = tmp_path / "points.gpkg"
    geopandas.GeoDataFrame(geometry=[Point(640_000, 5_600_000)], crs="EPSG:32631").to_file(points)
    naked = tmp_path / "naked.gpkg"
    geopandas.GeoDataFrame(geometry=[box(0, 0, 1, 1)]).to_file(naked)
    cases = [
        (FieldsRequest(tmp_path, good, out), MapError, "holds no crop_type.tif"),
        (FieldsRequest(folder, tmp_path / "no.gpkg", out), SampleError, "do not exist"),
        (FieldsRequest(folder, points, out), AreaError, "hold Point"),
        (FieldsRequest(folder, naked, out), SampleError, "no CRS"),
        (FieldsRequest(folder, good, tmp_path / "f.xlsx"), MapError, "f.xlsx"),
        (FieldsRequest(folder, good, good), MapError, "exists"),
    ]
    for request, kind, said in cases:
        with pytest.raises(kind, match=said):
            write_fields(request)
    assert not out.exists()


def test_what_lies_beside_the_map_is_not_needed_for_shares(folder: Path, tmp_path: Path) -> None:
    shapes, out = parcels(tmp_path), tmp_path / "f.csv"
    write_fields(FieldsRequest(folder, shapes, out))
    named = pandas.read_csv(out)
    (folder / "crop_type.tif.aux.xml").unlink()
    write_legend(folder / "legend.csv", CLASSES, CLASSES)
    notes = write_fields(FieldsRequest(folder, shapes, out, overwrite=True)).notes
    assert not any("named by their values" in note for note in notes)
    pandas.testing.assert_frame_equal(pandas.read_csv(out), named)
    (folder / "legend.csv").unlink()
    report = write_fields(FieldsRequest(folder, shapes, out, overwrite=True))
    numbered = pandas.read_csv(out)
    assert "named by their values" in report.notes[0] and numbered["crop"][0].startswith("class ")
    for value, each in enumerate(CLASSES, 1):
        assert list(numbered[f"share_class {value}"]) == list(named[f"share_{each.name}"])
    assert list(numbered["confidence"].fillna(0)) == list(named["confidence"].fillna(0))


def test_a_raster_of_others_is_taken_if_it_is_one_of_classes(tmp_path: Path) -> None:
    shapes, out, path = parcels(tmp_path), tmp_path / "f.csv", tmp_path / "theirs.tif"
    place = {"driver": "GTiff", "width": 50, "height": 40, "count": 1, "transform": GRID.affine}
    with rasterio.open(path, "w", dtype="int16", nodata=-1, crs="EPSG:32631", **place) as file:
        file.write(np.where(VALUES == 0, -1, VALUES.astype("i2") * 100), 1)
    write_fields(FieldsRequest(path, shapes, out))
    found = pandas.read_csv(out)
    np.testing.assert_allclose(found["share_class 300"][0], slow_shares(PARCELS[0])[2], atol=0.03)
    assert set(found["crop_value"]) <= {0, 100, 200, 300} and found["confidence"].isna().all()
    for kind, crs, said in (("float32", "EPSG:32631", "1 bands of float32"), ("uint8", None, "has no CRS")):
        with rasterio.open(path, "w", dtype=kind, crs=crs, **place) as file:
            file.write(VALUES.astype(kind), 1)
        with pytest.raises(MapError, match=said):
            write_fields(FieldsRequest(path, shapes, out, overwrite=True))
    with pytest.raises(MapError, match="cannot be read"):
        write_fields(FieldsRequest(shapes, shapes, out, overwrite=True))


def test_a_damaged_map_is_said(folder: Path, tmp_path: Path) -> None:
    path = folder / "crop_type.tif"
    path.write_bytes(path.read_bytes()[:300])
    with pytest.raises(MapError, match="cannot be read"):
        write_fields(FieldsRequest(folder, parcels(tmp_path), tmp_path / "f.gpkg"))


def test_the_raster_is_what_the_test_thinks(folder: Path) -> None:
    with rasterio.open(folder / "crop_type.tif") as file:
        np.testing.assert_array_equal(file.read(1), VALUES)


def test_parcels_in_several_layers_are_refused_not_halved(folder: Path, tmp_path: Path) -> None:
    path = tmp_path / "two.gpkg"
    for name, shape in zip(("north", "south"), PARCELS, strict=False):
        geopandas.GeoDataFrame(geometry=[shape], crs="EPSG:32631").to_file(path, layer=name)
    with pytest.raises(SampleError, match=r"2 layers \(north, south\)"):
        write_fields(FieldsRequest(folder, path, tmp_path / "f.gpkg"))


def test_a_parcel_mostly_off_the_map_is_told(folder: Path, tmp_path: Path) -> None:
    left, _, _, top = GRID.extent.boundingbox.bbox
    inside, across = box(left, top - 30, left + 30, top), box(left - 70, top - 30, left + 30, top)
    report = write_fields(FieldsRequest(folder, parcels(tmp_path, [inside, across]), tmp_path / "f.csv"))
    assert sum(hectares for _, _, hectares in report.by_crop) == pytest.approx(0.39, rel=0.01)
    assert any("less than half of their area: 1 " in note for note in report.notes)
    assert not write_fields(FieldsRequest(folder, parcels(tmp_path, [inside]), tmp_path / "g.csv")).notes
