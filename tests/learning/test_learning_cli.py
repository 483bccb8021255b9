"""`geocomiss train` and `geocomiss evaluate`, as a user types them."""

import json

import numpy as np
import pytest
from typer.testing import CliRunner

from geocomiss.errors import GeocomissError
from geocomiss_cli.main import app


@pytest.fixture(scope="module")
def table(tmp_path_factory):
    """An .npz with two crops that differ in greenness and backscatter, in 12 places."""
    rng = np.random.default_rng(0)
    y = np.arange(96) // 12 % 3
    bands = ["VV", "VH", "B4", "B8", "NDVI", "elevation", "slope"]
    x = np.array([-10, -17, 700, 2600, 0.5, 120, 2]) * rng.uniform(0.95, 1.05, (96, 12, 7))
    x[..., :2] += y[:, None, None]
    x[..., 3] += 300 * y[:, None]
    path = tmp_path_factory.mktemp("samples") / "fields.npz"
    np.savez(
        path,
        X=x.astype(np.float32),
        valid=np.ones(x.shape, bool),
        bands=np.array(bands),
        times=np.array([f"2021-{month:02d}-01" for month in range(1, 13)]),
        lat=50 + (np.arange(96) % 12) * 1.0,
        lon=np.full(96, 4.0),
        crop=np.array(["maize", "wheat", "shed"])[y],
        part=np.arange(96) % 12 % 3,
    )
    return path


@pytest.fixture(scope="module")
def legend(tmp_path_factory):
    path = tmp_path_factory.mktemp("legend") / "crops.csv"
    path.write_text("label,class,color\nwheat,cereal,#aa7700\nmaize,maize,\n")
    return path


def run(*arguments):
    return CliRunner().invoke(app, [str(argument) for argument in arguments])


@pytest.fixture(scope="module")
def model(table, legend, tmp_path_factory):
    out = tmp_path_factory.mktemp("models") / "crops"
    result = run(
        "train", "--samples", table, "--label", "crop", "--legend", legend, "--fold", "part=0",
        "--preset", "small", "--epochs", 3, "--seed", 2, "--out", out,
    )  # fmt: skip
    assert result.exit_code == 0, result.output
    return out, result.output


def test_train_says_what_it_read_and_how_well_it_does(model):
    out, text = model
    assert "recipe: monthly-l2a" in text and "assumed" in text
    assert "72 samples, 2 classes" in text and "moderate" in text and "held-out fold part=0" in text
    card = json.loads((out / "card.json").read_text())
    assert [info["name"] for info in card["classes"]] == ["cereal", "maize"]
    assert card["classes"][0]["color"] == "#aa7700"
    assert card["training"]["legend"] == "crops.csv" and card["training"]["seed"] == 2
    assert sorted(card["bands"]) == ["optical", "radar", "topography"]
    assert card["options"]["preset"] == "small" and len(card["scores"]["patterns"]) == 7
    assert not card["training"]["recipe_stated"] and card["recipe"]["name"] == "monthly-l2a"


def test_evaluate_prints_and_writes_scores(model, table, legend, tmp_path):
    target = tmp_path / "scores.json"
    result = run(
        "evaluate", "--model", model[0], "--samples", table, "--label", "crop", "--legend", legend,
        "--fold", "part=0", "--json", target,
    )  # fmt: skip
    assert result.exit_code == 0, result.output
    assert "trained on" not in result.output  # the training table, but the fold that was held out
    whole = run("evaluate", "--model", model[0], "--samples", table, "--label", "crop", "--legend", legend)
    assert "was trained on" in whole.output and "--fold part=0" in whole.output
    found, card = json.loads(target.read_text()), json.loads((model[0] / "card.json").read_text())
    assert found["patterns"] == card["scores"]["patterns"] and found["full"] == card["scores"]["full"]


def test_train_refuses_a_taken_folder_before_it_reads_anything(model, tmp_path):
    result = run("train", "--samples", tmp_path / "nowhere.npz", "--out", model[0])
    assert isinstance(result.exception, GeocomissError) and "exists already" in str(result.exception)


def test_overwrite_replaces_a_model(model, table, tmp_path):
    out = tmp_path / "again"
    arguments = ("train", "--samples", table, "--label", "crop", "--preset", "small", "--epochs", 1)
    assert run(*arguments, "--out", out).exit_code == 0
    before = (out / "model.safetensors").read_bytes()
    assert run(*arguments, "--out", out, "--seed", 5, "--overwrite").exit_code == 0
    assert (out / "model.safetensors").read_bytes() != before


def test_parity_is_kept_in_the_card(table, tmp_path):
    out = tmp_path / "parity"
    for parity, screened in (((), True), (("--parity",), False)):
        result = run(
            "train", "--samples", table, "--label", "crop", "--preset", "small", "--epochs", 1,
            "--recipe", "cropharvest", "--out", out, "--overwrite", *parity,
        )  # fmt: skip
        assert result.exit_code == 0, result.output
        assert json.loads((out / "card.json").read_text())["recipe"]["screened"] is screened


def test_choices_of_the_method_reach_the_card(table, tmp_path):
    result = run(
        "train", "--samples", table, "--label", "crop", "--preset", "small", "--epochs", 1,
        "--method", "comiss", "--out", tmp_path / "m",
        "--option", "temperature=1.5", "--option", "fusion=probabilities", "--option", "auxiliary=true",
    )  # fmt: skip
    assert result.exit_code == 0, result.output
    options = json.loads((tmp_path / "m" / "card.json").read_text())["options"]
    assert (options["temperature"], options["fusion"], options["auxiliary"]) == (1.5, "probabilities", True)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("--label", "colour"), "crop, part"),
        (("--label", "crop", "--option", "warmth=1"), "temperature"),
        (("--label", "crop", "--option", "temperature=-1"), "expected > 0"),
        (("--label", "crop", "--fold", "part=9"), "part=9"),
        (("--label", "crop", "--method", "magic"), "comiss"),
        (("--label", "crop", "--preset", "huge"), "preset"),
        (("--label", "crop", "--group", "village"), "village"),
        (("--label", "crop", "--legend", "nowhere.csv"), "nowhere.csv"),
        (("--label", "crop", "--device", "abacus"), "abacus"),
    ],
)
def test_bad_input_is_one_sentence_and_leaves_nothing(table, tmp_path, arguments, words):
    result = run("train", "--samples", table, "--out", tmp_path / "model", *arguments)
    assert isinstance(result.exception, GeocomissError) and words in str(result.exception)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("option", ["--n", "--sim-seed"])
@pytest.mark.parametrize("command", ["train", "evaluate", "benchmark", "check"])
def test_choices_of_simulated_samples_are_refused_for_a_table(table, tmp_path, command, option):
    where = ("--model", "simulated") if command == "evaluate" else ("--out", tmp_path / "out")
    result = run(command, "--samples", table, "--label", "crop", option, 50, *where)
    told = " ".join(result.output.replace("│", " ").split())  # a box of whatever width
    assert result.exit_code == 2 and "no simulated world" in told
    assert not list(tmp_path.iterdir())
