"""The shipped model and the world it comes from: neither trivial nor hopeless, and always said."""

import json
from pathlib import Path

import numpy as np
import pytest
import rasterio
from typer.testing import CliRunner

from geocomiss.checkpoint import CARD, SHIPPED, WEIGHTS, read_checkpoint, shipped_models
from geocomiss.evaluation import evaluate_model
from geocomiss.mapping import MapRequest, make_map
from geocomiss.mapping.request import SHIPPED_MODEL
from geocomiss.recipes import RECIPES
from geocomiss.samples import SampleRequest, read_samples
from geocomiss_cli.main import app

ROOT = Path(__file__).resolve().parents[2]
CHANCE = 1 / 7
SINGLE = ("optical", "radar", "weather", "topography")


def test_the_shipped_model_is_small_and_says_where_it_comes_from() -> None:
    assert SHIPPED_MODEL in shipped_models()
    folder = SHIPPED / SHIPPED_MODEL
    assert sum((folder / name).stat().st_size for name in (CARD, WEIGHTS)) < 3e6
    card = read_checkpoint(SHIPPED_MODEL).card
    assert card.simulated
    assert card.training.table == "simulated"
    assert card.scores is not None
    assert "groups" in card.scores.protocol


@pytest.mark.slow
def test_on_an_unseen_world_it_is_neither_trivial_nor_hopeless() -> None:
    request = SampleRequest("simulated", "label", None, RECIPES["monthly-l2a"], n=1000, sim_seed=77)
    scores = evaluate_model(read_checkpoint(SHIPPED_MODEL), read_samples(request)).scores
    assert 0.75 <= scores.full <= 0.95
    for name in SINGLE:
        assert CHANCE + 0.02 < scores.patterns[name].macro_f1 < scores.full - 0.05, name


@pytest.mark.slow
def test_the_readmes_first_command_maps_the_example(tmp_path: Path) -> None:
    arguments = ["map", "--aoi", str(ROOT / "examples" / "aoi.geojson"), "--season", "2021"]
    result = CliRunner().invoke(app, [*arguments, "--source", "simulated", "--out", str(tmp_path / "map")])
    assert result.exit_code == 0, result.output
    for words in ("2021-01-01 to 2021-12-31", "optical 100.0%", "hectares", "crop_type.tif"):
        assert words in result.output
    run = json.loads((tmp_path / "map" / "run.json").read_text())
    assert run["label"] == "SIMULATED WORLD"
    assert sum(each["area_ha"] for each in run["classes"]) > 100, "at least a square kilometre"
    with rasterio.open(tmp_path / "map" / "crop_type.tif") as file:
        assert file.tags()["label"] == "SIMULATED WORLD"


@pytest.mark.slow
def test_bfloat16_gives_almost_every_pixel_the_same_class_and_confidence(tmp_path: Path) -> None:
    layers = {}
    for precision in ("float32", "bfloat16"):
        out = tmp_path / precision
        request = MapRequest(
            "simulated", out, aoi=str(ROOT / "examples" / "aoi.geojson"), season="2021", precision=precision
        )
        make_map(request)
        assert json.loads((out / "run.json").read_text())["model"]["precision"] == precision
        layers[precision] = [
            rasterio.open(out / f"{name}.tif").read(1).astype(int) for name in ("crop_type", "confidence")
        ]
    (classes, sure), (fast, nearly) = layers["float32"], layers["bfloat16"]
    mapped = classes > 0
    same = (classes == fast)[mapped]
    assert same.mean() > 0.995
    assert (np.abs(sure - nearly)[mapped][same] <= 2).mean() > 0.99, "confidence within 0.01"
