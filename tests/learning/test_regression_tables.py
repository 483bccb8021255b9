"""Tables with a target: how they are read, and regressions as a user types them."""

import json

import numpy as np
import pytest
from typer.testing import CliRunner

from geocomiss.checkpoint import CARD
from geocomiss.errors import GeocomissError, SampleError
from geocomiss.inspection import inspect
from geocomiss.recipes import RECIPES
from geocomiss.samples import Legend, SampleRequest, read_samples, write_samples
from geocomiss.training import Settings, TrainRequest, train_model
from geocomiss_cli.main import app


def write_table(path, **columns):
    rng = np.random.default_rng(0)
    number = 60
    green = np.arange(number) % 20
    bands = ["VV", "VH", "B4", "B8", "NDVI", "elevation", "slope"]
    x = np.array([-10, -17, 700, 2600, 0.5, 120, 2]) * rng.uniform(0.95, 1.05, (number, 12, 7))
    x[..., 3] += 60 * green[:, None]
    arrays = {
        "X": x.astype(np.float32),
        "valid": np.ones(x.shape, bool),
        "bands": np.array(bands),
        "times": np.array([f"2021-{month:02d}-01" for month in range(1, 13)]),
        "lat": 50 + (np.arange(number) % 15) * 1.0,
        "lon": np.full(number, 4.0),
        "wet": 80 + 3.5 * green,
        "crop": np.array(["maize", "wheat"])[green % 2],
        "part": np.arange(number) % 15 % 3,
    }
    np.savez(path, **(arrays | columns))
    return path


def read(path, target="wet", legend=None):
    return read_samples(SampleRequest(str(path), "label", legend, RECIPES["monthly-l2a"], target=target))


def test_values_that_are_missing_leave_their_samples_out_and_that_is_said(tmp_path):
    wet = 80 + 3.5 * np.arange(60.0)
    wet[[3, 7]], wet[9] = np.nan, np.inf
    found = read(write_table(tmp_path / "t.npz", wet=wet))
    assert len(found) == 57 and found.task == "value" and "3 samples without" in found.notes[-1]
    assert found.target.tolist() == np.delete(wet, [3, 7, 9]).tolist()
    assert set(found.labels) == {""} and found.take(np.arange(4)).target.shape == (4,)


def test_a_target_survives_in_our_own_table(tmp_path):
    found = read(write_table(tmp_path / "t.npz"))
    write_samples(found, tmp_path / "samples.parquet")
    assert read(tmp_path / "samples.parquet").target.tolist() == found.target.tolist()


def test_whole_numbers_are_a_target_too(tmp_path):
    found = read(write_table(tmp_path / "t.npz", wet=np.arange(60, dtype=np.uint8)))
    assert found.target.dtype == np.float64 and found.target.max() == 59


@pytest.mark.parametrize(
    ("columns", "target", "words"),
    [
        ({}, "dry", r"no target column 'dry'.*wet"),
        ({}, "crop", "holds no numbers"),
        ({"wet": np.arange(60) % 2 == 0}, "wet", "holds no numbers"),
        ({"wet": np.full(60, 4.0)}, "wet", "4 in all samples"),
        ({"wet": np.where(np.arange(60) < 19, np.arange(60.0), np.nan)}, "wet", "known for 19 samples"),
    ],
)
def test_a_target_that_cannot_be_learnt_is_refused(tmp_path, columns, target, words):
    with pytest.raises(SampleError, match=words):
        read(write_table(tmp_path / "t.npz", **columns), target)


def test_a_target_takes_no_legend_and_the_simulated_world_has_none(tmp_path):
    legend = Legend("crops.csv", {"maize": "maize", "wheat": "wheat"}, {})
    with pytest.raises(SampleError, match=r"crops\.csv"):
        read(write_table(tmp_path / "t.npz"), "wet", legend)
    with pytest.raises(SampleError, match="--target"):
        read("simulated")


def test_fractions_given_as_labels_point_to_the_target(tmp_path):
    request = SampleRequest(str(write_table(tmp_path / "t.npz")), "wet", None, RECIPES["monthly-l2a"])
    with pytest.raises(SampleError, match="--target wet"):
        read_samples(request)


# the command line


def run(*arguments):
    return CliRunner().invoke(app, [str(argument) for argument in arguments])


@pytest.fixture(scope="module")
def table(tmp_path_factory):
    return write_table(tmp_path_factory.mktemp("table") / "fields.npz")


@pytest.fixture(scope="module")
def model(table, tmp_path_factory):
    out = tmp_path_factory.mktemp("model") / "wet"
    result = run(
        "train", "--samples", table, "--target", "wet", "--fold", "part=0", "--preset", "small",
        "--epochs", 3, "--out", out,
    )  # fmt: skip
    assert result.exit_code == 0, result.output
    assert "RMSE" in result.output and "target 80 to 146.5" in result.output
    assert "predicts wet" in result.output
    return out


def test_evaluate_takes_the_column_from_the_card(model, table, tmp_path):
    for target in ((), ("--target", "wet")):
        result = run(
            "evaluate", "--model", model, "--samples", table, "--fold", "part=0", *target,
            "--json", tmp_path / "scores.json",
        )  # fmt: skip
        assert result.exit_code == 0 and "RMSE" in result.output, result.output
        found = json.loads((tmp_path / "scores.json").read_text())
        assert found["rmse"] == json.loads((model / CARD).read_text())["scores"]["rmse"]


def test_info_shows_the_target_and_the_columns_that_could_be_one(model, table):
    facts = inspect(str(model))
    assert facts["target"]["name"] == "wet" and "classes" not in facts
    assert set(facts["scores"][0]) == {"available", "rmse", "mae", "r2", "bias"}
    assert {"column": "wet", "samples": 60, "min": 80, "mean": 113.25, "max": 146.5} in inspect(str(table))[
        "columns of numbers"
    ]
    result = run("info", model)
    assert result.exit_code == 0 and "rmse" in result.output


@pytest.mark.parametrize("other", [("--label", "crop"), ("--legend", "legend.csv")])
def test_labels_and_a_target_at_once_are_a_usage_error(table, tmp_path, other):
    (tmp_path / "legend.csv").write_text("label,class\nmaize,maize\n")
    other = tuple(str(tmp_path / part) if part.endswith("csv") else part for part in other)
    result = run("train", "--samples", table, "--target", "wet", *other, "--out", tmp_path / "m")
    assert result.exit_code == 2 and "a regression has no" in result.output
    assert not (tmp_path / "m").exists()


def test_labels_given_to_a_regression_are_refused(model, table):
    result = run("evaluate", "--model", model, "--samples", table, "--label", "crop")
    assert isinstance(result.exception, GeocomissError) and "--target" in str(result.exception)


# real data


def test_fuel_moisture_is_learnt_from_seasons_of_mixed_months(shared):
    path = str(shared / "data" / "samples" / "fuel_moisture.npz")
    samples = read_samples(
        SampleRequest(path, "label", None, RECIPES["monthly-l2a"], group="site", target="y")
    )
    assert (
        samples.cycle is None
        and samples.months.shape == (2313, 3)
        and set(samples.values) == set(("optical", "radar", "weather", "topography"))
    )
    settings = Settings(epochs=3, patience=3)
    request = TrainRequest("y", None, "comiss", {"preset": "small"}, "is_test=True", settings)
    card = train_model(samples, request).card
    assert card.cycle is None and card.steps == 3 and card.scores.n == 735
    assert card.target.mean == pytest.approx(103.8, abs=1.5)
    assert card.scores.r2.full > 0.1 and card.scores.rmse.full < 35
