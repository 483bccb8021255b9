"""Tables through the command line: a season cut, and what a table states of itself."""

import json

import pytest
from typer.testing import CliRunner

from geocomiss.errors import SampleError
from geocomiss_cli.main import app


def run(*arguments):
    return CliRunner().invoke(app, [str(argument) for argument in arguments])


@pytest.fixture(scope="module")
def long(shared):
    return shared / "data" / "samples" / "canada2017_long.parquet"


@pytest.mark.slow
def test_a_model_is_trained_on_a_season_and_scored_on_it(long, tmp_path):
    result = run(
        "train", "--samples", long, "--label", "LANDCOVER_LABEL", "--season", "2017", "--preset", "small",
        "--epochs", 1, "--fold", "aez_zoneid=6191", "--out", tmp_path / "model",
    )  # fmt: skip
    assert result.exit_code == 0, result.output
    assert "stated by the table" in result.output and "12 steps of a month" in result.output
    card = json.loads((tmp_path / "model" / "card.json").read_text())
    assert card["steps"] == 12 and card["cycle"]["first_month"] == 1 and card["training"]["years"] == [2017]
    scored = run(
        "evaluate", "--model", tmp_path / "model", "--samples", long, "--label", "LANDCOVER_LABEL",
        "--season", "2017", "--fold", "aez_zoneid=6191",
    )  # fmt: skip
    assert scored.exit_code == 0 and "trained on" not in scored.output  # never seen
    uncut = run("evaluate", "--model", tmp_path / "model", "--samples", long, "--label", "LANDCOVER_LABEL")
    assert isinstance(uncut.exception, SampleError) and "20 steps" in str(uncut.exception)


def test_a_season_that_is_not_there_is_said(long, tmp_path):
    result = run(
        "train", "--samples", long, "--label", "LANDCOVER_LABEL", "--season", "2012", "--out", tmp_path / "m"
    )
    assert isinstance(result.exception, SampleError) and "2016" not in str(result.exception)
    assert "2017-01-01 to 2018-08-31" in str(result.exception)
