"""`geocomiss design` and `geocomiss assess`, as a user types them."""

import json
import re
from pathlib import Path

import geopandas
import numpy as np
import pytest
from assessed import CLASSES, GRID
from numpy.typing import NDArray
from typer.testing import CliRunner

from geocomiss.checkpoint import read_card
from geocomiss.errors import GeocomissError
from geocomiss_cli.main import app


def run(*arguments: object) -> str:
    done = CliRunner().invoke(app, [str(each) for each in arguments], env={"COLUMNS": "100"})
    if done.exception and not isinstance(done.exception, SystemExit):
        raise done.exception
    assert done.exit_code == 0, done.output
    return done.output


def fill_in(path: Path, truth: NDArray[np.uint8]) -> None:
    """What a person does between the two commands."""
    frame = geopandas.read_file(path, layer="points")
    rows = ((GRID.affine.f - frame.geometry.y) // 10).astype(int)
    cols = ((frame.geometry.x - GRID.affine.c) // 10).astype(int)
    frame["label"] = [CLASSES[value].upper() for value in truth[rows, cols].tolist()]
    frame.to_file(path, layer="points", driver="GPKG")


def test_two_commands_and_the_labels_between(
    map_folder: Path, truth: NDArray[np.uint8], tmp_path: Path
) -> None:
    path, out = tmp_path / "v.gpkg", tmp_path / "report"
    said = run("design", "--map", map_folder, "--n", 150, "--out", path)
    assert "150 points" in said and f"wrote {path}" in said.replace("\n", "")
    fill_in(path, truth)
    said = run("assess", "--map", map_folder, "--reference", path, "--out", out)
    assert "stratified sample" in said
    assert re.search(r"maize +[\d.]+ +[\d.]+ +~?[\d.]+–[\d.]+ +0\.\d\d±0\.\d\d", said), said
    assert "overall accuracy: 0." in said and "± 0." in said
    assert (out / "assessment.md").exists()
    with pytest.raises(GeocomissError, match=r"exists already; .* give --overwrite"):
        run("assess", "--map", map_folder, "--reference", path, "--out", out)
    run("assess", "--map", map_folder, "--reference", path, "--out", out, "--overwrite")
    (out / "mine.txt").write_text("")
    with pytest.raises(GeocomissError, match="holds more than an assessment"):
        run("assess", "--map", map_folder, "--reference", path, "--out", out, "--overwrite")


def test_neyman_and_a_target(map_folder: Path, tmp_path: Path) -> None:
    arguments = ("design", "--map", map_folder, "--target-se", 0.02, "--allocation", "neyman")
    said = run(*arguments, "--expect", "maize=0.6", "--expect", "0.9", "--out", tmp_path / "v.gpkg")
    assert re.search(r"overall accuracy to expect: ± 0\.03[89]", said), said  # 1.96 x 0.02


def test_chosen_points_show_no_areas(map_folder: Path, truth: NDArray[np.uint8], tmp_path: Path) -> None:
    path = tmp_path / "v.gpkg"
    run("design", "--map", map_folder, "--n", 60, "--out", path)
    fill_in(path, truth)
    options = ("--not-a-probability-sample", "--out", tmp_path / "report")
    said = run("assess", "--map", map_folder, "--reference", path, *options)
    assert "NOT A PROBABILITY SAMPLE" in said and "±" not in said and "interval" not in said


def test_a_model_that_did_not_make_the_map_is_refused(map_folder: Path, tmp_path: Path) -> None:
    path = tmp_path / "v.gpkg"
    run("design", "--map", map_folder, "--n", 60, "--out", path)
    options = ("--model", "simulated", "--out", tmp_path / "report")
    with pytest.raises(GeocomissError, match="was not made by simulated"):
        run("assess", "--map", map_folder, "--reference", path, *options)
    assert not (tmp_path / "report").exists()


def test_a_model_whose_card_keeps_no_places_is_said(
    map_folder: Path, truth: NDArray[np.uint8], tmp_path: Path
) -> None:
    path, card = tmp_path / "v.gpkg", read_card("simulated")
    assert card.training.places is None
    told = json.loads((map_folder / "run.json").read_text())
    (map_folder / "run.json").write_text(json.dumps(told | {"model": {"sha256": card.model_sha256}}))
    run("design", "--map", map_folder, "--n", 60, "--out", path)
    fill_in(path, truth)
    options = ("assess", "--map", map_folder, "--reference", path, "--out", tmp_path / "report")
    said = " ".join(run(*options, "--model", "simulated").split())
    assert "was not checked: the card of --model does not tell where these lie" in said, said
    assert "was not checked: no --model" in " ".join(run(*options, "--overwrite").split())


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["design", "--map", "m", "--out", "v.gpkg"], "either --n or --target-se"),
        (["design", "--map", "m", "--out", "v.gpkg", "--n", "9", "--target-se", "0.1"], "either --n or"),
        (["design", "--map", "m", "--out", "v.gpkg", "--n", "9", "--allocation", "fair"], "'fair' is none"),
        (["design", "--map", "m", "--out", "v.gpkg", "--n", "9", "--expect", "maize=2"], "'maize=2' is"),
        (["assess", "--map", "m", "--reference", "r", "--out", "o", "--design", "odd"], "'odd' is none"),
        (
            ["assess", "--map", "m", "--reference", "r", "--out", "o", "--unknown-labels", "drop"],
            "'drop' is none of refuse",
        ),
        (
            ["assess", "--map", "m", "--reference", "r", "--out", "o", "--design", "simple",
             "--not-a-probability-sample"],
            "exclude each other",
        ),
    ],
)  # fmt: skip
def test_wrong_usage_is_code_2(arguments: list[str], said: str) -> None:
    done = CliRunner().invoke(app, arguments, env={"COLUMNS": "200"})
    assert done.exit_code == 2
    assert said in done.output
