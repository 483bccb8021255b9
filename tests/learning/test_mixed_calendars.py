"""Samples whose seasons start in different months: they train and evaluate a model, but no map."""

from dataclasses import replace

import numpy as np
import pytest
from gappy import gappy_groups, store
from typer.testing import CliRunner

from geocomiss.checkpoint import read_checkpoint, write_checkpoint
from geocomiss.errors import CheckpointError, SampleError
from geocomiss.evaluation import evaluate_model
from geocomiss.training import Settings, TrainRequest, train_model
from geocomiss_cli.main import app


@pytest.fixture(scope="module")
def mixed(samples):
    """Half of the seasons start in January, half in May."""
    months = samples.months.copy()
    months[::2] = np.roll(months[::2], -4, axis=1)
    return replace(samples, months=months)


@pytest.fixture(scope="module")
def model(mixed, tmp_path_factory):
    request = TrainRequest("crop", options={"preset": "small"}, settings=Settings(epochs=2, batch_size=32))
    trained = train_model(mixed, request)
    out = tmp_path_factory.mktemp("mixed") / "model"
    write_checkpoint(out, trained.card, trained.method)
    return out


def test_the_card_says_mixed(model, mixed):
    card = read_checkpoint(str(model)).card
    assert mixed.cycle is None and card.cycle is None and card.steps == 12
    shown = CliRunner().invoke(app, ["info", str(model)])
    assert shown.exit_code == 0 and "12, without one calendar" in shown.output


def test_such_a_model_is_evaluated_on_any_calendar_of_as_many_steps(model, mixed, samples):
    for table in (mixed, samples):
        found = evaluate_model(read_checkpoint(str(model)), replace(table, sha256="1"))
        assert found.scores.n == 180 and found.scores.full > 0.4


def test_such_a_model_is_refused_for_a_map_in_words(model, tmp_path):
    source = store(tmp_path, gappy_groups())
    arguments = ["map", "--source", str(source), "--model", str(model), "--out", str(tmp_path / "map")]
    result = CliRunner().invoke(app, arguments)
    assert isinstance(result.exception, CheckpointError)
    words = str(result.exception)
    assert "different months" in words and "only be evaluated" in words
    assert not (tmp_path / "map").exists()


def test_unknown_months_are_no_calendar_either(samples):
    unknown = replace(samples, months=np.zeros_like(samples.months))
    assert unknown.cycle is None
    assert unknown.calendar == "12 steps, of which the table does not tell the months"


def test_what_is_no_calendar_says_why(model, mixed, samples):
    assert samples.calendar == "12 steps of a month, January to December"
    assert mixed.calendar == "12 steps, not of the same months in all samples"
    dekads = replace(samples, months=np.tile(np.arange(12) // 3 + 1, (180, 1)))
    assert dekads.calendar == "12 steps that are no months that follow each other"
    eleven = replace(samples, months=np.zeros((180, 11), np.int64))
    with pytest.raises(SampleError, match="11 steps, of which the table does not tell"):
        evaluate_model(read_checkpoint(str(model)), eleven)
