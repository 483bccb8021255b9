"""Scores say what flatters or lowers them: places that the model learnt from, classes without a sample."""

from dataclasses import replace

import numpy as np
import pytest
from sklearn.metrics import f1_score

from geocomiss.checkpoint import Checkpoint
from geocomiss.evaluation import evaluate_model
from geocomiss.samples.tensors import batch_of_samples, indices_of
from geocomiss.scores import absent_in_words, predict_classes
from geocomiss.training import Settings, TrainRequest, train_model

FEW = Settings(epochs=1)
SMALL = {"preset": "small"}


@pytest.fixture(scope="module")
def spread(samples):
    """The toy samples, each on a pixel of its own."""
    return replace(samples, lon=4.5 + np.arange(len(samples)) * 1e-3)


@pytest.fixture(scope="module")
def model(spread):
    """Trained on two of the three folds."""
    request = TrainRequest("label", method="unimodal", options=SMALL, fold="fold=0", settings=FEW)
    found = train_model(spread, request)
    return Checkpoint(found.card.model_copy(update={"model_sha256": "a" * 64}), found.method)


def test_a_part_of_the_training_table_in_another_file_is_recognised(model, spread):
    table = replace(spread, sha256="9" * 64)
    part = table.take(spread.columns["fold"] != 0)
    (warning,) = evaluate_model(model, part).warnings
    assert "120 of 120 samples" in warning and "flatter" in warning and "--fold" not in warning
    (warning,) = evaluate_model(model, table).warnings
    assert "120 of 180 samples" in warning


def test_the_fold_that_a_model_never_saw_is_not_warned_of(model, spread):
    assert evaluate_model(model, spread.take(spread.columns["fold"] == 0)).warnings == ()
    (warning,) = evaluate_model(model, spread).warnings  # the same table, whole
    assert "120 of 180 samples" in warning and "--fold fold=0" in warning


def test_a_model_that_begins_from_one_that_saw_the_held_out_samples_says_so(model, spread):
    fold = replace(spread, columns={**spread.columns, "part": spread.columns["fold"]})
    again = TrainRequest("label", method="unimodal", options=SMALL, fold="part=1", settings=FEW, begin=model)
    protocol = train_model(fold, again).card.scores.protocol
    assert "60 of 60 samples of toy" in protocol and "the model it began from was trained on" in protocol
    clean = replace(again, fold="part=0")
    assert "began from" not in train_model(fold, clean).card.scores.protocol


def test_classes_without_a_sample_are_named_with_the_highest_macro_f1_left(model, spread):
    wheat = spread.take((spread.labels == "wheat") & (spread.columns["fold"] == 0))
    scores = evaluate_model(model, wheat).scores
    assert "2 of 3 classes have no sample there (grass, maize): their F1 is 0" in scores.protocol
    one = absent_in_words(np.array([0, 1]), ("grass", "maize", "wheat"))
    assert "1 of 3 classes has no sample there (wheat): its F1 is 0" in one
    assert "at most 0.333" in scores.protocol
    batch = batch_of_samples(wheat, model.card.spec)
    y = indices_of(wheat, ("grass", "maize", "wheat")).numpy()
    own = f1_score(
        y, predict_classes(model.method, batch), labels=[0, 1, 2], average="macro", zero_division=0
    )
    assert scores.full == pytest.approx(own)


def test_nothing_is_added_where_all_classes_occur_or_values_are_predicted():
    assert absent_in_words(np.array([0, 1]), ("a", "b")) == ""
    assert absent_in_words(np.array([0.5, 1.5]), ()) == ""
