"""A map folder opens right in other people's software: GDAL, QGIS, STAC clients, loaders."""

import csv
import hashlib
import json
import os
import shutil
import subprocess
import xml.etree.ElementTree as ET
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np
import odc.stac
import pystac
import pytest
import rasterio
from affine import Affine
from odc.geo.geobox import GeoBox
from packaged import COLORS, NASTY, packaged
from pystac.extensions.mlm import MLMExtension
from pystac.extensions.projection import ProjectionExtension
from rasterio.enums import ColorInterp
from rio_cogeo import cog_validate
from stac_schemas import problems

from geocomiss.maps import Asset, Category, MapFacts, Statistics, map_item, map_layers, read_categories

PLAIN = ("maize", "wheat", "non_crop")
RASTERS = {"crop_type", "confidence", "modalities", "observations", "probabilities", "true_color", "ndvi"}
SYSTEM_PYTHON = "/usr/bin/python3"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return packaged(tmp_path_factory.mktemp("plain"), PLAIN)


@pytest.fixture(scope="module")
def nasty(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return packaged(tmp_path_factory.mktemp("nasty"), NASTY)


def read(folder: Path, layer: str) -> np.ndarray:
    with rasterio.open(folder / f"{layer}.tif") as file:
        return file.read()


@pytest.mark.parametrize("name", sorted(RASTERS))
def test_statistics_stand_in_the_file_as_gdal_computes_them(folder: Path, name: str) -> None:
    with rasterio.open(folder / f"{name}.tif") as file:
        for number in file.indexes:
            values = file.read(number)
            known = values[values != file.nodata].astype(float)
            stated = {key: float(value) for key, value in file.tags(number).items() if "STATISTICS" in key}
            found = (known.min(), known.max(), known.mean(), known.std()) if known.size else ()
            keys = [f"STATISTICS_{each}" for each in ("MINIMUM", "MAXIMUM", "MEAN", "STDDEV")]
            assert [stated.get(key) for key in keys[: len(found)]] == pytest.approx(found, rel=1e-9)
            share = stated.get("STATISTICS_VALID_PERCENT", 0)
            assert share == pytest.approx(100 * known.size / values.size, rel=1e-3)


def test_every_raster_is_a_strictly_valid_cog_that_describes_itself(folder: Path) -> None:
    item = pystac.Item.from_file(folder / "stac_item.json")
    assert {path.stem for path in folder.glob("*.tif")} == RASTERS
    for name in RASTERS:
        assert cog_validate(folder / f"{name}.tif", strict=True)[0], name
        with rasterio.open(folder / f"{name}.tif") as file:
            asset = item.assets[name]
            bands = asset.extra_fields["bands"]
            assert [each["name"] for each in bands] == list(file.descriptions)
            assert {each["nodata"] for each in bands} == {file.nodata}
            assert [each["raster:scale"] for each in bands] == list(file.scales)
            assert [each["raster:offset"] for each in bands] == list(file.offsets)
            assert asset.extra_fields["proj:shape"] == list(file.shape)
            assert asset.extra_fields["proj:transform"] == list(file.transform)[:6]
            assert file.tags()["DESCRIPTION"] and all(each is not None for each in file.descriptions)


def test_the_statistics_are_those_of_the_values(folder: Path) -> None:
    item = json.loads((folder / "stac_item.json").read_text())
    for name in RASTERS:
        for band, values in zip(item["assets"][name]["bands"], read(folder, name), strict=True):
            valid = values[values != band["nodata"]] * band["raster:scale"] + band["raster:offset"]
            told = band["statistics"]
            assert told["valid_percent"] == pytest.approx(100 * valid.size / values.size, abs=1e-3)
            if valid.size:
                found = [told[key] for key in ("minimum", "maximum", "mean", "stddev")]
                slow = [valid.min(), valid.max(), valid.mean(), valid.std()]
                assert found == pytest.approx(slow, abs=1e-5), name


def test_the_probabilities_sum_to_one_and_their_largest_is_the_map(folder: Path) -> None:
    shares = read(folder, "probabilities").astype(float)
    classes, confidence = read(folder, "crop_type")[0], read(folder, "confidence")[0]
    mapped = classes > 0
    assert (shares[:, ~mapped] == 255).all()
    np.testing.assert_allclose(shares[:, mapped].sum(0) * 0.005, 1, atol=0.0051 * len(PLAIN))
    np.testing.assert_array_equal(shares[:, mapped].max(0), confidence[mapped])


def test_only_the_true_colours_are_a_colour_image(folder: Path) -> None:
    """Three probabilities are not red, green and blue, however many bytes they are."""
    coloured = set()
    for path in folder.glob("*.tif"):
        with rasterio.open(path) as file:
            if ColorInterp.red in file.colorinterp:
                coloured.add(path.stem)
    assert coloured == {"true_color"}


def test_the_legend_is_a_table(nasty: Path) -> None:
    with (nasty / "legend.csv").open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert [row["name"] for row in rows] == list(NASTY)
    assert [row["color"] for row in rows] == list(COLORS)


def test_names_of_all_kinds_come_through_the_sidecars_and_the_item(nasty: Path) -> None:
    assert [each.name for each in read_categories(nasty / "crop_type.tif")] == list(NASTY)
    labels = [each.get("label") for each in ET.parse(nasty / "crop_type.qml").iter("paletteEntry")]
    assert labels == list(NASTY)
    item = json.loads((nasty / "stac_item.json").read_text(encoding="utf-8"))
    assert [each["title"] for each in item["assets"]["crop_type"]["classification:classes"][:-1]] == list(
        NASTY
    )
    run = json.loads((nasty / "run.json").read_text(encoding="utf-8"))
    assert [each["name"] for each in run["classes"]] == list(NASTY)
    with rasterio.open(nasty / "probabilities.tif") as file:
        assert list(file.descriptions) == [f"p_{name}" for name in NASTY]


ITEMS = ("stac_item.json", "stac_model.json")


@pytest.mark.parametrize("name", ITEMS)
def test_the_items_are_valid(folder: Path, nasty: Path, name: str) -> None:
    """By the core schema that pystac carries, and by the published schemas of their extensions."""
    for each in (folder, nasty):
        content = json.loads((each / name).read_text(encoding="utf-8"))
        pystac.Item.from_dict(content).validate(validator=_CoreOnly())
        assert problems(content) == []


class _CoreOnly(pystac.validation.stac_validator.JsonSchemaSTACValidator):
    """Validates by the published core schema; those of extensions would be fetched from the network."""

    def validate_extension(self, *_: Any) -> str | None:
        return None


@pytest.mark.parametrize(
    ("name", "path", "wrong"),
    [
        ("stac_item.json", ("properties", "proj:code"), 32631),
        ("stac_item.json", ("assets", "confidence", "proj:transform"), [1, 2]),
        ("stac_item.json", ("assets", "crop_type", "classification:classes", 0, "name"), "winter wheat"),
        ("stac_item.json", ("assets", "crop_type", "classification:classes", 0, "color_hint"), "#ffd300"),
        ("stac_item.json", ("assets", "ndvi", "bands", 0, "statistics", "median"), 1),
        ("stac_item.json", ("assets", "ndvi", "bands", 0, "raster:scale"), "0.01"),
        ("stac_item.json", ("properties", "processing:software"), "geocomiss"),
        ("stac_item.json", ("assets", "crop_type", "file:checksum"), "SHA"),
        ("stac_model.json", ("properties", "mlm:tasks"), ["guessing"]),
        ("stac_model.json", ("properties", "mlm:input", 0, "input", "shape"), []),
        ("stac_model.json", ("properties", "mlm:name"), None),
    ],
)
def test_the_schemas_find_what_is_wrong(folder: Path, name: str, path: tuple[Any, ...], wrong: Any) -> None:
    content = json.loads((folder / name).read_text(encoding="utf-8"))
    place = content
    for key in path[:-1]:
        place = place[key]
    place[path[-1]] = wrong
    assert problems(content)


def test_sizes_and_checksums_are_those_of_the_files(folder: Path) -> None:
    item = json.loads((folder / "stac_item.json").read_text())
    for name in RASTERS:
        whole = (folder / f"{name}.tif").read_bytes()
        asset = item["assets"][name]
        assert asset["file:size"] == len(whole)
        assert asset["file:checksum"] == "1220" + hashlib.sha256(whole).hexdigest()


@pytest.mark.parametrize("crs", ["EPSG:4326", "EPSG:3035", "+proj=laea +lat_0=5.3 +lon_0=20.7 +units=m"])
def test_items_on_other_crs_are_valid(crs: str) -> None:
    pixel = 1e-4 if crs == "EPSG:4326" else 10.0
    grid = GeoBox((4, 5), Affine(pixel, 0, 5, 0, -pixel, 50), crs)
    layer = map_layers((Category(1, "maize", "#ffd300"),))[0]
    asset = Asset(layer, grid, (Statistics(1, 1, 1, 0, 50.0),))
    day = date(2021, 1, 1)
    item = map_item(MapFacts(grid, day, day, (asset,), {}, {"geocomiss": "0"}, "made up", (), "0" * 64))
    pystac.Item.from_dict(item).validate(validator=_CoreOnly())
    assert problems(item) == []
    assert ("proj:wkt2" in item["properties"]) == crs.startswith("+")


def test_a_stac_client_follows_from_the_map_to_its_model(folder: Path) -> None:
    item = pystac.Item.from_file(folder / "stac_item.json")
    assert ProjectionExtension.ext(item).epsg == 32631
    for asset in item.assets.values():
        assert Path(asset.get_absolute_href()).exists()
    (link,) = item.get_links("derived_from")
    model = pystac.Item.from_file(link.get_absolute_href())
    assert MLMExtension.ext(model).architecture == "comiss"
    # the address holds the digest of the weights
    run = json.loads((folder / "run.json").read_text())
    assert model.id == f"model-{run['model']['sha256'][:12]}"


def test_odc_stac_loads_the_map_on_its_own_pixels(folder: Path) -> None:
    item = pystac.Item.from_file(folder / "stac_item.json")
    loaded = odc.stac.load([item], bands=["crop_type", "confidence", "observations.2"])
    np.testing.assert_array_equal(loaded.crop_type.values[0], read(folder, "crop_type")[0])
    np.testing.assert_array_equal(loaded.confidence.values[0], read(folder, "confidence")[0])
    np.testing.assert_array_equal(loaded["observations.2"].values[0], read(folder, "observations")[1])
    assert (loaded.confidence.nodata, loaded["observations.2"].nodata) == (255, 65535)
    assert loaded.odc.geobox.crs.epsg == 32631


def test_gdalinfo_lists_names_and_colours_of_every_categorical_layer(nasty: Path) -> None:
    if not (program := shutil.which("gdalinfo")):
        pytest.skip("gdalinfo is not installed (Debian: gdal-bin)")
    told = json.loads(
        subprocess.run([program, "-json", nasty / "crop_type.tif"], capture_output=True, check=True).stdout
    )
    (band,) = told["bands"]
    assert band["categories"][1:] == list(NASTY)
    assert [tuple(each) for each in band["colorTable"]["entries"][1:5]] == [
        (*bytes.fromhex(color[1:]), 255) for color in COLORS
    ]
    assert [row["f"][1] for row in told["rat"]["row"]] == list(NASTY)
    text = subprocess.run(
        [program, nasty / "modalities.tif"], capture_output=True, check=True
    ).stdout.decode()
    assert "optical + radar + weather + topography" in text


QGIS_SCRIPT = """
import json, sys
from qgis.core import (QgsApplication, QgsMapRendererParallelJob, QgsMapSettings, QgsRasterLayer)
from qgis.PyQt.QtCore import QSize
from qgis.PyQt.QtGui import QColor
QgsApplication.setPrefixPath("/usr", True)
app = QgsApplication([], False)
app.initQgis()
found = {}
for name in sys.argv[3:]:
    layer = QgsRasterLayer(f"{sys.argv[1]}/{name}.tif", name)  # loads its style by itself
    assert layer.isValid(), name
    nodes = layer.legendSymbologyItems()
    settings = QgsMapSettings()
    settings.setLayers([layer])
    settings.setDestinationCrs(layer.crs())
    settings.setExtent(layer.extent())
    settings.setOutputSize(QSize(layer.width(), layer.height()))
    settings.setBackgroundColor(QColor("#ff00ff"))
    job = QgsMapRendererParallelJob(settings)
    job.start()
    job.waitForFinished()
    job.renderedImage().save(f"{sys.argv[2]}/{name}.png")
    found[name] = {
        "renderer": layer.renderer().type(),
        "legend": [[label, color.name()] for label, color in nodes],
    }
print("FOUND " + json.dumps(found))
"""


def qgis(folder: Path, out: Path, names: list[str]) -> dict[str, Any]:
    """What QGIS makes of layers: their legends; pictures lie in `out`."""
    environment = {"QT_QPA_PLATFORM": "offscreen", "PATH": os.environ["PATH"], "HOME": str(out)}
    if (
        not Path(SYSTEM_PYTHON).exists()
        or subprocess.run(
            [SYSTEM_PYTHON, "-c", "import qgis.core"], capture_output=True, env=environment, check=False
        ).returncode
    ):
        pytest.skip("QGIS is not installed (Debian: python3-qgis)")
    done = subprocess.run(
        [SYSTEM_PYTHON, "-c", QGIS_SCRIPT, str(folder), str(out), *names],
        capture_output=True,
        env=environment,
        check=False,
        timeout=300,
    )
    told = [line for line in done.stdout.decode().splitlines() if line.startswith("FOUND ")]
    assert told, done.stderr.decode()[-2000:]
    return json.loads(told[0].removeprefix("FOUND "))


@pytest.mark.slow
def test_qgis_shows_names_colours_and_pixels(nasty: Path, tmp_path: Path) -> None:
    found = qgis(nasty, tmp_path, sorted(RASTERS))
    assert found["crop_type"]["renderer"] == "paletted"
    assert found["crop_type"]["legend"] == [list(each) for each in zip(NASTY, COLORS, strict=True)]
    assert [label for label, _ in found["modalities"]["legend"]][-1].startswith("optical + radar + weather")
    kinds = {name: each["renderer"] for name, each in found.items()}
    ramps = ("confidence", "observations", "probabilities", "ndvi")
    assert {kinds[name] for name in ramps} == {"singlebandpseudocolor"}
    assert kinds["true_color"] == "multibandcolor"
    with rasterio.open(tmp_path / "crop_type.png") as picture:
        rendered = picture.read()[:3].transpose(1, 2, 0)
    values = read(nasty, "crop_type")[0]
    expected = np.array([(255, 0, 255), *(tuple(bytes.fromhex(color[1:])) for color in COLORS)], np.uint8)
    np.testing.assert_array_equal(rendered, expected[values])
