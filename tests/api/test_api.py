"""The Python API says what `geocomiss map` writes, lazily, and is there without loading anything."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import rasterio
import xarray as xr

import geocomiss
from geocomiss.api import predicting
from geocomiss.checkpoint import Checkpoint
from geocomiss.maps import STEP, read_categories

AOI = "11.20,49.80,11.207,49.804"
FIELDS = ("crop_type", "confidence", "modalities", "expected_accuracy", "applicability")


@pytest.fixture(scope="module")
def stack() -> xr.DataTree:
    return geocomiss.open_stack("simulated", aoi=AOI, season="2021").compute()  # simulated once


@pytest.fixture(scope="module")
def model() -> Checkpoint:
    return geocomiss.load_model("simulated")


@pytest.fixture(scope="module")
def prediction(stack: xr.DataTree, model: Checkpoint) -> xr.Dataset:
    return geocomiss.predict(stack, model, tile=24)


@pytest.fixture(scope="module")
def written(prediction: xr.Dataset, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("api")
    geocomiss.write(prediction, folder)
    return folder


def read(path: Path) -> np.ndarray:
    with rasterio.open(path) as file:
        return np.asarray(file.read(1))


def test_it_says_what_the_command_writes(written: Path, tmp_path: Path) -> None:
    # a mask of the whole area is not given here: the command maps inside the polygon only
    asked = geocomiss.MapRequest(
        source="simulated", aoi=AOI, season="2021", out=tmp_path / "map", applicability=True
    )
    geocomiss.make_map(asked)
    inside = read(tmp_path / "map" / "modalities.tif") != 255
    assert inside.mean() > 0.9
    for name in FIELDS:
        ours, theirs = read(written / f"{name}.tif"), read(tmp_path / "map" / f"{name}.tif")
        assert (ours[inside] == theirs[inside]).all()


def test_files_have_names_styles_and_the_grid(written: Path, prediction: xr.Dataset) -> None:
    names = {category.name for category in read_categories(written / "crop_type.tif")}
    assert {"_".join(name.split()) for name in names} == set(meanings(prediction))
    assert sorted(path.suffix for path in written.glob("crop_type.*")) == [".qml", ".tif", ".xml"]
    with rasterio.open(written / "confidence.tif") as file:
        assert file.scales == (STEP,) and file.crs == prediction.rio.crs
        assert file.transform.c == prediction.attrs["affine"][2]


def meanings(prediction: xr.Dataset) -> list[str]:
    return str(prediction.crop_type.attrs["flag_meanings"]).split()


def test_a_window_computes_its_tiles_only(prediction: xr.Dataset, monkeypatch: pytest.MonkeyPatch) -> None:
    read = []
    window = predicting.window
    monkeypatch.setattr(predicting, "window", lambda *where: read.append(where[1:3]) or window(*where))
    part = prediction.isel(y=slice(0, 10), x=slice(20, 30))
    assert not read
    part.load()
    assert len(read) == 2  # it lies in two tiles; all fields of one come from one task


def test_the_tile_size_changes_nothing(stack: xr.DataTree, model: Checkpoint, prediction: xr.Dataset) -> None:
    other = geocomiss.predict(stack, model, tile=512).compute()
    xr.testing.assert_identical(other, prediction.compute())


def test_without_is_as_if_it_were_missing(stack: xr.DataTree, model: Checkpoint) -> None:
    ours = geocomiss.predict(stack, model, without=("optical", "weather")).compute()
    gone = geocomiss.stack.without(stack, ("optical", "weather"))
    xr.testing.assert_identical(ours, geocomiss.predict(gone, model).compute())
    blank = geocomiss.predict(stack, model, without=("optical", "radar")).compute()
    assert not blank.crop_type.any() and (blank.modalities > 0).any()
    bold = geocomiss.predict(stack, model, without=("optical", "radar"), require=()).compute()
    assert bold.crop_type.any()


def test_unlike_pixels_have_no_expected_accuracy(stack: xr.DataTree, model: Checkpoint) -> None:
    strange = stack.copy(deep=True)
    strange["radar"]["VV"][:, :10] += 30
    found = geocomiss.predict(strange, model).compute()
    assert (found.applicability[:10] > 1).all() and found.expected_accuracy[:10].isnull().all()
    assert float((found.applicability[10:] > 1).mean()) < 0.05
    assert (found.expected_accuracy.isnull() == ~(found.applicability <= 1)).all()


def test_a_window_is_written_where_it_lies(prediction: xr.Dataset, written: Path, tmp_path: Path) -> None:
    geocomiss.write(prediction.isel(y=slice(5, 25), x=slice(7, 30)), tmp_path)
    whole = read(written / "crop_type.tif")
    assert (read(tmp_path / "crop_type.tif") == whole[5:25, 7:30]).all()
    with rasterio.open(tmp_path / "crop_type.tif") as file:
        assert file.xy(0, 0) == (float(prediction.x[7]), float(prediction.y[5]))


def test_what_has_no_class_has_no_probability(prediction: xr.Dataset) -> None:
    nothing = prediction.crop_type == 0
    assert (np.isnan(prediction.confidence) == nothing).all()
    assert ((prediction.confidence >= 0) | nothing).all()


@pytest.mark.parametrize(
    ("spoil", "words"),
    [
        (lambda data: data.isel(x=slice(None, None, 2)), "gaps or turns along x"),
        (lambda data: data.isel(y=slice(None, None, -1)), "gaps or turns along y"),
        (lambda data: data.drop_attrs(), "without classes or grid"),
        (lambda data: data.drop_vars("crop_type"), "without classes or grid"),
    ],
)
def test_what_is_no_prediction_is_not_written(prediction, spoil, words, tmp_path):
    with pytest.raises(geocomiss.GeocomissError, match=words):
        geocomiss.write(spoil(prediction), tmp_path / "map")
    assert not (tmp_path / "map").exists()


@pytest.mark.parametrize(
    ("arguments", "words"), [({"tile": 0}, "tile=0"), ({"require": ("lidar",)}, "no modality lidar")]
)
def test_wrong_arguments_are_said_in_words(stack, model, arguments, words):
    with pytest.raises(geocomiss.GeocomissError, match=words):
        geocomiss.predict(stack, model, **arguments)


def test_real_data_are_not_mapped_by_a_model_of_the_simulated_world(stack, model):
    origin = geocomiss.stack.origin_of(stack)
    real = geocomiss.stack.with_origin(stack, origin.__class__(**{**vars(origin), "simulated": False}))
    with pytest.raises(geocomiss.GeocomissError, match="simulated world"):
        geocomiss.predict(real, model)
    labelled = geocomiss.predict(real, model, simulated_model_on_real_data=True)
    assert labelled.attrs["label"] == "SIMULATED MODEL"


def test_another_season_is_refused(model):
    summer = geocomiss.open_stack("simulated", aoi=AOI, season="2020-11:2021-10")
    with pytest.raises(geocomiss.GeocomissError, match="January to December"):
        geocomiss.predict(summer, model)


def test_names_are_offered_and_nothing_is_loaded_before_they_are_used():
    program = "import sys, geocomiss; print(sorted({'torch', 'xarray', 'numpy'} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
    assert all(getattr(geocomiss, name).__doc__ for name in geocomiss.__all__)
    with pytest.raises(AttributeError):
        geocomiss.nothing_of_the_kind  # noqa: B018
