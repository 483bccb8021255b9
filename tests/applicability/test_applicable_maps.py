"""Maps of models that know how far they may go: a layer, a mask, and words."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import rasterio
from calibration import conftest as calibrated
from gappy import GRID, NO_OPTICAL, gappy_groups, store, untrained
from rio_cogeo import cog_validate
from typer.testing import CliRunner

from geocomiss.applicability import learn_applicability
from geocomiss.batch import batch_of_stack
from geocomiss.checkpoint import APPLICABILITY, CARD, read_checkpoint, write_checkpoint
from geocomiss.errors import CheckpointError
from geocomiss.inspection import inspect
from geocomiss.mapping import MapRequest, make_map
from geocomiss.mapping.far import outside_in_words, share_outside
from geocomiss.stack import read_stack
from geocomiss_cli.main import app

known = calibrated.known
BAD = (slice(30, 40), slice(10, 30))
"""Pixels whose radar is unlike all others."""


@pytest.fixture
def stack(tmp_path):
    groups = gappy_groups()
    for band in ("VV", "VH"):
        groups["radar"][band].values[:, *BAD] -= 25
    return store(tmp_path, groups)


@pytest.fixture
def model(tmp_path, known):
    """A calibrated model that learnt how far it may go from another stack of the same kind."""
    old = untrained(tmp_path, calibration=known)
    checkpoint = read_checkpoint(str(old))
    whole = np.zeros(GRID.shape, bool)
    whole[::3, ::3] = True
    other = store(tmp_path / "training", gappy_groups(seed=5))
    batch = batch_of_stack(read_stack(other).compute(), checkpoint.card.spec, whole)
    group = np.array([f"cell {row % 7}" for row in range(len(batch))])
    learnt = learn_applicability(checkpoint.method, batch, group)
    write_checkpoint(tmp_path / "able", checkpoint.card, checkpoint.method, applicability=learnt)
    return tmp_path / "able"


@pytest.fixture
def asked(tmp_path, stack, model):
    return MapRequest(str(stack), tmp_path / "map", model=str(model), applicability=True, precision="float32")


def read(folder, layer):
    with rasterio.open(folder / f"{layer}.tif") as file:
        return file.read(1)


def test_the_layer_holds_the_index_and_masks_expected_accuracy(asked, tmp_path):
    report = make_map(asked)
    index, expected, crop = (
        read(report.folder, name) for name in ("applicability", "expected_accuracy", "crop_type")
    )
    checkpoint = read_checkpoint(asked.model)
    batch = batch_of_stack(
        read_stack(Path(asked.source)).compute(), checkpoint.card.spec, np.ones(GRID.shape, bool)
    )
    found = checkpoint.applicability.index(batch).double().numpy().reshape(GRID.shape)
    shown = crop > 0
    assert (index[~shown] == 255).all()
    assert (index[shown] == np.minimum(np.ceil(found[shown] / 0.01), 254)).all()
    assert ((expected != 255) == (shown & (index <= 100))).all()
    assert (index[BAD][shown[BAD]] > 100).all() and (index[:30][shown[:30]] > 100).mean() < 0.2
    assert index[NO_OPTICAL] < 255
    plain = make_map(replace(asked, applicability=False, out=tmp_path / "plain"))
    assert "applicability.tif" not in plain.files
    assert (read(plain.folder, "expected_accuracy") == expected).all()
    old = make_map(replace(asked, applicability=False, model=str(tmp_path / "model"), out=tmp_path / "old"))
    whole = read(old.folder, "expected_accuracy")
    assert (whole[expected != 255] == expected[expected != 255]).all() and (whole[shown] < 255).all()
    assert any("also where nothing is like the training samples" in note for note in old.notes)


def test_the_share_outside_is_told(asked):
    report = make_map(asked)
    index = read(report.folder, "applicability")
    share = float((index[index < 255] > 100).mean())
    assert 0 < share == report.outside_applicability
    said = [*report.notes, *report.warnings]
    assert any(f"{share:.1%} of the pixels with a class lie outside the area of app" in each for each in said)
    stored = json.loads((report.folder / "run.json").read_text())
    assert stored["applicability"]["outside_share"] == pytest.approx(share, abs=1e-6)
    assert stored["applicability"]["samples"] == 300 and stored["applicability"]["spatial_groups"] == 7
    again = make_map(replace(asked, without=("radar",), applicability=False, overwrite=True))
    assert again.outside_applicability < share, "what is left out has no part in it"
    assert not (again.folder / "applicability.tif").exists(), "that of the map before"


def test_the_layer_is_a_whole_layer(asked):
    folder = make_map(replace(asked, tile=17)).folder
    path = folder / "applicability.tif"
    assert cog_validate(path, strict=True)[0]
    with rasterio.open(path) as file:
        assert file.scales == (0.01,) and file.nodata == 255 and file.units == ("1",)
        assert "above 1 lies outside" in file.tags()["DESCRIPTION"]
        assert "STATISTICS_MEAN" in file.tags(1)
    style = (folder / "applicability.qml").read_text()
    assert 'value="1" color="#f7f7f7"' in style and 'maximumValue="2"' in style
    asset = json.loads((folder / "stac_item.json").read_text())["assets"]["applicability"]
    (band,) = asset["bands"] if "bands" in asset else asset["raster:bands"]
    assert (band["nodata"], band["raster:scale"], band["unit"]) == (255, 0.01, "1") and "statistics" in band
    assert "area of applicability" in asset["description"]
    assert "area of applicability" in inspect(str(path))["what"]
    result = CliRunner().invoke(app, ["view", str(folder)])
    page = (folder / "report.html").read_text()
    assert result.exit_code == 0 and "Dissimilarity to the training samples" in page
    assert "lie outside the area of applicability" in page
    assert '"span":[0.0,2.0]' in page.replace(" ", "")


def test_any_tiling_gives_the_same_bytes(asked, tmp_path):
    one = make_map(asked).folder
    two = make_map(replace(asked, tile=24, out=tmp_path / "small")).folder
    for name in ("applicability.tif", "expected_accuracy.tif"):
        assert (one / name).read_bytes() == (two / name).read_bytes()


def test_smoothed_and_re_weighted_maps_have_the_layer_too(asked, tmp_path):
    plain = make_map(asked)
    shares = tmp_path / "shares.csv"
    shares.write_text("class,share\nmaize,5\nwheat,90\nnon_crop,5\n")
    for number, changed in enumerate((replace(asked, smooth=3), replace(asked, priors=shares))):
        report = make_map(replace(changed, out=tmp_path / str(number)))
        assert (read(report.folder, "applicability") == read(plain.folder, "applicability")).all()
        assert "expected_accuracy.tif" not in report.files
        assert report.outside_applicability == plain.outside_applicability
        quiet = make_map(replace(changed, applicability=False, out=tmp_path / f"quiet{number}"))
        assert quiet.outside_applicability is None and "applicability.tif" not in quiet.files


def test_an_older_model_is_refused_in_words(asked, tmp_path):
    with pytest.raises(CheckpointError, match="holds no area of applicability") as refused:
        make_map(replace(asked, model=str(tmp_path / "model")))
    assert "train it again" in str(refused.value) and not asked.out.exists()


def test_a_checkpoint_gives_back_what_was_learnt(model, stack):
    checkpoint = read_checkpoint(str(model))
    assert (model / APPLICABILITY).stat().st_size < 400_000
    batch = batch_of_stack(read_stack(stack).compute(), checkpoint.card.spec, np.ones(GRID.shape, bool))
    assert checkpoint.card.applicability.n == checkpoint.applicability.n == 300
    again = model.with_name("again")
    write_checkpoint(again, checkpoint.card, checkpoint.method, applicability=checkpoint.applicability)
    assert (again / CARD).read_bytes() == (model / CARD).read_bytes()
    assert (again / APPLICABILITY).read_bytes() == (model / APPLICABILITY).read_bytes()
    index = read_checkpoint(str(again)).applicability.index(batch)
    np.testing.assert_array_equal(index, checkpoint.applicability.index(batch))
    write_checkpoint(again, checkpoint.card, checkpoint.method, overwrite=True)  # without: none is stated
    assert read_checkpoint(str(again)).card.applicability is None and not (again / APPLICABILITY).exists()


def test_damage_is_said_in_words(model):
    facts = inspect(str(model))["area of applicability"]
    assert "300 samples of 7 spatial groups" in facts["learnt from"]
    path, stored = model / APPLICABILITY, json.loads((model / CARD).read_text())
    whole = path.read_bytes()
    path.write_bytes(whole[:-1])
    with pytest.raises(CheckpointError, match=r"applicability.safetensors cannot be used.*digest"):
        read_checkpoint(str(model))
    path.unlink()
    with pytest.raises(CheckpointError, match=r"applicability.safetensors"):
        read_checkpoint(str(model))
    path.write_bytes(whole)
    for key, value in (("weights", {"optical": [1.0]}), ("limits", {"thermal": 1.0})):
        spoilt = {**stored, "applicability": {**stored["applicability"], key: value}}
        (model / CARD).write_text(json.dumps(spoilt))
        with pytest.raises(CheckpointError, match="area of applicability"):
            read_checkpoint(str(model))


def test_the_shipped_model_knows_its_own_world_and_not_another(tmp_path):
    inside = make_map(MapRequest("simulated", tmp_path / "in", aoi="9.0,48.0,9.004,48.003", season="2021"))
    assert inside.outside_applicability < 0.05
    other = make_map(
        MapRequest("simulated", tmp_path / "seed", aoi="9.0,48.0,9.004,48.003", season="2021", seed=77)
    )
    assert other.outside_applicability < 0.25, "another world by the same laws is not strange"


def test_of_a_map_without_a_class_this_is_said():
    pixels = np.zeros(256, np.int64)
    pixels[255] = 7
    assert share_outside(pixels) is None and "no pixel has a class" in outside_in_words(None)[0][0]
    assert outside_in_words(None, known=False) == ([], [])
    pixels[3] = 1
    assert "but a few (under 0.05%) lie inside" in outside_in_words(0.0004)[0][0]
    assert "0.1% of the pixels" in outside_in_words(0.0005)[0][0]
    assert share_outside(pixels) == 0 and "all pixels with a class" in outside_in_words(0.0)[0][0]
