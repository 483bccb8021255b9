"""Maps of a calibrated model: the same classes, another confidence, and one more layer."""

import json
from dataclasses import replace

import numpy as np
import pytest
import rasterio
from gappy import GRID, gappy_groups, store, untrained
from rio_cogeo import cog_validate

from geocomiss.batch import batch_of_stack
from geocomiss.checkpoint import read_checkpoint
from geocomiss.errors import SampleError
from geocomiss.inference import predict
from geocomiss.inspection import inspect
from geocomiss.mapping import MapRequest, make_map, plan_map
from geocomiss.stack import read_stack

SHARES = "class,share\nmaize,5\nwheat,90\nnon_crop,5\n"


@pytest.fixture
def asked(tmp_path, known):
    """A map of a stack with gaps by a calibrated model."""
    stack = store(tmp_path, gappy_groups())
    model = str(untrained(tmp_path, calibration=known))
    return MapRequest(str(stack), tmp_path / "map", model=model, precision="float32")


@pytest.fixture
def priors(tmp_path):
    path = tmp_path / "shares.csv"
    path.write_text(SHARES)
    return path


def read(folder, layer):
    with rasterio.open(folder / f"{layer}.tif") as file:
        return file.read(1)


def test_classes_stay_and_every_pixel_says_what_the_readout_says(asked, tmp_path):
    folder = make_map(asked).folder
    old = replace(asked, model=str(untrained(tmp_path / "old")), out=tmp_path / "uncalibrated")
    plain = make_map(old)
    assert (read(folder, "crop_type") == read(plain.folder, "crop_type")).all()
    assert (read(folder, "confidence") != read(plain.folder, "confidence")).any()
    assert any("uncalibrated" in note for note in plain.notes)
    assert (
        "expected_accuracy.tif" not in plain.files and not (plain.folder / "expected_accuracy.tif").exists()
    )
    model = read_checkpoint(asked.model)
    whole = np.ones(GRID.shape, bool)
    batch = batch_of_stack(read_stack(asked.source).compute(), model.card.spec, whole)
    said = predict(model.method, batch, readout=model.card.readout())
    shown = read(folder, "crop_type").ravel() > 0
    for layer, values in (("confidence", said.confidence), ("expected_accuracy", said.expected)):
        written = read(folder, layer).ravel()
        assert (written[shown] == np.rint(values[shown] / 0.005)).all()
        assert (written[~shown] == 255).all() and len(np.unique(written)) > 20
    assert not np.allclose(said.expected, said.confidence, atol=0.05)


def test_the_layer_says_what_it_is(asked):
    folder = make_map(replace(asked, tile=17)).folder
    path = folder / "expected_accuracy.tif"
    assert cog_validate(path, strict=True)[0]
    with rasterio.open(path) as file:
        assert "from the training regions" in file.tags()["DESCRIPTION"]
        assert file.scales == (0.005,) and file.nodata == 255
    with rasterio.open(folder / "confidence.tif") as file:
        assert file.tags()["DESCRIPTION"].endswith(", calibrated")
    run = json.loads((folder / "run.json").read_text())
    assert run["confidence"]["calibrated"] and run["confidence"]["priors"] is None
    assert run["confidence"]["class_shares"] == {"maize": 0.5, "wheat": 0.3, "non_crop": 0.2}
    assert "expected_accuracy.tif" in run["files"]
    assert "from the training regions" in inspect(str(path))["what"]


def test_any_tiling_gives_the_same_bytes(asked, tmp_path):
    one = make_map(asked).folder
    two = make_map(replace(asked, tile=24, out=tmp_path / "small")).folder
    for name in ("confidence.tif", "expected_accuracy.tif"):
        assert (one / name).read_bytes() == (two / name).read_bytes()


def test_known_shares_change_the_classes_and_leave_the_layer_out(asked, priors):
    plain = read(make_map(asked).folder, "crop_type")
    report = make_map(replace(asked, priors=priors, overwrite=True))
    found = read(report.folder, "crop_type")
    assert (found == 2).sum() > (plain == 2).sum() and ((found > 0) == (plain > 0)).all()
    assert read(report.folder, "confidence")[found > 0].min() >= 66  # the most probable of three
    assert not (report.folder / "expected_accuracy.tif").exists(), "that of the map before"
    assert any("most probable class" in note for note in report.notes)
    with rasterio.open(report.folder / "crop_type.tif") as file:
        assert file.tags()["priors"] == "maize 0.0500, wheat 0.9000, non_crop 0.0500"
    assert json.loads((report.folder / "run.json").read_text())["confidence"]["priors"]["wheat"] == 0.9


def test_a_model_without_calibration_takes_known_shares_too(asked, priors, tmp_path):
    old = replace(asked, model=str(untrained(tmp_path / "old")), priors=priors)
    found = read(make_map(old).folder, "crop_type")
    assert (found == 2).sum() > (found == 1).sum()


def test_wrong_shares_are_refused_before_anything_is_written(asked, priors):
    priors.write_text("class,share\nmaize,1\n")
    with pytest.raises(SampleError, match="no share of wheat, non_crop"):
        make_map(replace(asked, priors=priors))
    assert not asked.out.exists()


def test_tiles_read_in_another_way_are_of_another_map(asked, priors, known, tmp_path):
    parts = {key: each.model_copy(update={"temperature": 9.0}) for key, each in known.patterns.items()}
    other = known.model_copy(update={"patterns": parts})
    again = replace(asked, model=str(untrained(tmp_path / "other", calibration=other)))
    requests = (asked, again, replace(asked, priors=priors))
    assert len({plan_map(each).fingerprint()["readout"] for each in requests}) == 3
