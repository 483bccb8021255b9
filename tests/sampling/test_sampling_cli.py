"""From a file of fields to a model, a check and a fine-tuned model, by commands alone."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from sampling_places import block
from typer.testing import CliRunner

from geocomiss.errors import CheckpointError, SampleError
from geocomiss_cli.main import app


def run(*arguments: Any) -> Any:
    return CliRunner().invoke(app, [str(argument) for argument in arguments])


@pytest.fixture
def fields(write: Callable[..., Path]) -> Path:
    shapes = [block(r, c, 7, 9) for r in (1, 10, 19, 28, 37) for c in (1, 20, 40)]
    return write(shapes, ["maize", "wheat", "grass"] * 5)


@pytest.mark.slow
def test_fields_become_a_model_and_a_finer_one(fields: Path, stack: Path, tmp_path: Path) -> None:
    table = tmp_path / "samples.parquet"
    sampled = run(
        "sample",
        "--points",
        fields,
        "--source",
        stack,
        "--season",
        "2021",
        "--n-per-polygon",
        6,
        "--out",
        table,
    )
    assert sampled.exit_code == 0, sampled.output
    assert "90 samples of 15 points or polygons" in sampled.output
    assert "spatial groups: polygons" in sampled.output
    trained = run(
        "train", "--samples", table, "--preset", "small", "--epochs", 1, "--out", tmp_path / "model"
    )
    assert trained.exit_code == 0, trained.output
    checked = run("check", "--samples", table, "--epochs", 1, "--out", tmp_path / "check")
    assert checked.exit_code == 0, checked.output
    assert (tmp_path / "check" / "check.md").exists()
    legend = tmp_path / "legend.csv"
    legend.write_text("label,class\nmaize,maize\nwheat,cereal\n")
    finer = run(
        "train", "--samples", table, "--legend", legend, "--from", tmp_path / "model", "--epochs", 1,
        "--out", tmp_path / "finer",
    )  # fmt: skip
    assert finer.exit_code == 0, finer.output
    assert "known: maize; new: cereal; dropped, without a sample: grass, wheat" in finer.output
    card = json.loads((tmp_path / "finer" / "card.json").read_text())
    assert card["training"]["begun_from"]["kept"] == ["maize"]
    assert card["method"] == "comiss+" and card["options"]["preset"] == "small"


def test_options_that_the_model_decides_are_refused(tmp_path: Path) -> None:
    result = run(
        "train", "--samples", "simulated", "--from", "simulated", "--method", "mdico", "--preset", "small",
        "--out", tmp_path / "m",
    )  # fmt: skip
    assert result.exit_code == 2 and "--method, --preset" in result.output
    missing = run("train", "--samples", "simulated", "--from", tmp_path / "none", "--out", tmp_path / "m")
    assert isinstance(missing.exception, CheckpointError)


def test_bad_points_are_one_line(tmp_path: Path) -> None:
    result = run(
        "sample", "--points", tmp_path / "none.gpkg", "--source", "simulated", "--season", "2021",
        "--out", tmp_path / "s.parquet",
    )  # fmt: skip
    assert isinstance(result.exception, SampleError) and "do not exist" in str(result.exception)
