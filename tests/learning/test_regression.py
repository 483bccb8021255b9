"""A number instead of a class: losses, training, scores, cards, and what is refused."""

import json
from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError
from sklearn.metrics import mean_absolute_error, mean_squared_error, r2_score

from geocomiss.checkpoint import (
    CARD,
    SHIPPED,
    Checkpoint,
    Target,
    read_card,
    read_checkpoint,
    write_checkpoint,
)
from geocomiss.errors import CheckpointError, SampleError
from geocomiss.evaluation import evaluate_model, write_scores
from geocomiss.mapping.planning import plan_map
from geocomiss.mapping.request import MapRequest
from geocomiss.methods import METHODS, new_method
from geocomiss.methods.fusion import FUSIONS, fusion_of
from geocomiss.methods.losses import (
    distillation,
    distillation_each,
    mutual_distillation,
    squared_error,
    squared_error_each,
)
from geocomiss.samples.folds import strata_of
from geocomiss.samples.tensors import batch_of_samples
from geocomiss.scores import ValueScore, predict_values, summarise_values, value_score
from geocomiss.training import Settings, TrainRequest, train_model

QUICK = TrainRequest("moisture", options={"preset": "small"}, settings=Settings(epochs=6, batch_size=32))


@pytest.fixture(scope="module")
def measured(samples):
    """The toy samples with a number instead of a class: 20 for grass, 24 for maize, 28 for wheat."""
    target = np.array([20.0 + 4 * ["grass", "maize", "wheat"].index(label) for label in samples.labels])
    target += np.random.default_rng(0).normal(size=len(target)).astype(np.float32) / 4
    return replace(samples, labels=np.full(len(samples), ""), target=target)


@pytest.fixture(scope="module")
def trained(measured):
    return train_model(measured, replace(QUICK, fold="fold=1"))


# losses


@given(seed=st.integers(0, 10_000), number=st.integers(1, 9), modalities=st.integers(1, 4))
def test_losses_of_values_equal_loops_over_pixels(seed, number, modalities):
    rng = np.random.default_rng(seed)
    each, y = rng.normal(size=(number, modalities, 1)), rng.normal(size=number)
    teacher, has = rng.normal(size=(number, 1)), rng.random((number, modalities)) < 0.6
    one, to_label, to_teacher, between = [], [], [], []
    for n in range(number):
        own = [m for m in range(modalities) if has[n, m]]
        if own:
            one.append((each[n, 0, 0] - y[n]) ** 2)
            to_label.append(np.mean([(each[n, m, 0] - y[n]) ** 2 for m in own]))
            to_teacher.append(np.mean([(each[n, m, 0] - teacher[n, 0]) ** 2 for m in own]))
        pairs = [(each[n, i, 0] - each[n, j, 0]) ** 2 for i in own for j in own if i != j]
        if pairs:
            between.append(np.mean(pairs))
    x, t, available = torch.from_numpy(each), torch.from_numpy(teacher), torch.from_numpy(has)
    labels, some = torch.from_numpy(y), available.any(1)
    for found, expected in (
        (squared_error(x[:, 0], labels, some), one),
        (distillation(x[:, 0], labels[:, None], None, some), one),
        (squared_error_each(x, labels, available), to_label),
        (distillation_each(x, t, None, available), to_teacher),
        (mutual_distillation(x, None, available), between),
    ):
        assert float(found) == pytest.approx(np.mean(expected) if expected else 0, abs=1e-12)


@pytest.mark.parametrize("kind", FUSIONS)
def test_values_are_fused_by_their_plain_mean_whatever_is_asked(kind):
    each = torch.tensor([[[1.0], [3.0], [100.0]]])
    keep = torch.tensor([[True, True, False]])
    assert fusion_of(kind, "value")(each, keep).item() == 2
    assert fusion_of(kind, "classes") is FUSIONS[kind]


def test_terms_of_a_regression_are_named_by_what_they_are(spec, labelled):
    batch, y = labelled
    method = new_method("comiss+", replace(spec, task="value", classes=1), {"preset": "small"})
    losses = method.loss(batch, y.float(), torch.Generator().manual_seed(0))
    assert not [name for name in losses if name.endswith(("_ce", "_kl"))]
    assert {"individual_mse", "individual_distance", "partial_distance"} <= set(losses)


def test_where_nothing_is_available_the_training_mean_is_predicted(trained, measured):
    batch = batch_of_samples(measured, trained.card.spec)
    hidden = batch.keep(torch.arange(len(batch))[:, None] >= 5)
    mean = trained.card.target.mean
    assert (predict_values(trained.method, hidden)[:5] == mean).all()
    part = measured.target[measured.columns["fold"] != 1]
    assert part.min() < mean < part.max()


# training


@pytest.mark.parametrize("name", METHODS)
def test_every_method_learns_a_number_and_is_written_and_read(measured, name, tmp_path):
    settings = Settings(epochs=12, batch_size=16)
    trained = train_model(measured, replace(QUICK, method=name, fold="fold=1", settings=settings))
    card = write_checkpoint(tmp_path / "model", trained.card, trained.method)
    again = read_checkpoint(str(tmp_path / "model"))
    assert again.card == card and again.card.spec.task == "value" and not again.card.classes
    assert again.card.target.name == "moisture" and not again.card.training.n_by_class
    batch = batch_of_samples(measured, again.card.spec)
    with torch.no_grad():
        assert torch.equal(again.method(batch), trained.method(batch))
    scores = again.card.scores
    assert len(scores.patterns) == 2 ** len(card.bands) - 1 and scores.n == 60
    assert scores.r2.full > 0.5 and scores.rmse.full < 2.5


def test_the_unit_of_the_target_changes_nothing_but_the_unit(measured, trained):
    other = train_model(replace(measured, target=measured.target * 4), replace(QUICK, fold="fold=1"))
    one, two = trained.method.state_dict(), other.method.state_dict()
    for name in one:
        scale = 4 if name.startswith("target_") else 1
        assert torch.equal(one[name] * scale, two[name]), name
    assert other.card.scores.rmse.full == pytest.approx(4 * trained.card.scores.rmse.full)
    assert other.card.scores.r2.full == pytest.approx(trained.card.scores.r2.full)


def test_a_fold_is_never_trained_on(measured, trained):
    fold = measured.columns["fold"] == 1
    other = train_model(
        replace(measured, target=np.where(fold, 1e6, measured.target)), replace(QUICK, fold="fold=1")
    )
    one, two = trained.method.state_dict(), other.method.state_dict()
    assert all(torch.equal(one[name], two[name]) for name in one)


def test_without_a_fold_a_grouped_hold_out_is_scored(measured):
    card = train_model(measured, QUICK).card
    assert card.training.n == 180 and 20 < card.scores.n < 75
    assert "spatial groups" in card.scores.protocol


def test_one_value_outside_the_fold_is_refused(measured):
    fold = measured.columns["fold"] == 1
    flat = replace(measured, target=np.where(fold, measured.target, 7.0))
    with pytest.raises(SampleError, match="1 value outside fold=1"):
        train_model(flat, replace(QUICK, fold="fold=1"))


def test_strata_are_fifths_of_the_range():
    target = np.random.default_rng(0).permutation(100) * 0.1
    strata = strata_of(target)
    assert np.bincount(strata).tolist() == [20] * 5
    assert all((strata[target < x] <= strata[target >= x].min()).all() for x in (1.0, 5.0, 9.0))


# scores


@given(
    st.lists(st.tuples(st.floats(-1e3, 1e3), st.floats(-1e3, 1e3)), min_size=2, max_size=40).filter(
        lambda pairs: np.std([truth for truth, _ in pairs]) > 1e-3
    )
)
def test_scores_of_values_equal_scikit_learn(pairs):
    y, predicted = (np.array(column) for column in zip(*pairs, strict=True))
    found = value_score(y, predicted)
    assert found.rmse == pytest.approx(mean_squared_error(y, predicted) ** 0.5)
    assert found.mae == pytest.approx(mean_absolute_error(y, predicted))
    assert found.r2 == pytest.approx(r2_score(y, predicted), abs=1e-9)
    assert found.bias == pytest.approx(np.mean([p - t for t, p in pairs]))


def test_without_variance_there_is_no_r2():
    names = ("optical", "radar")
    score = value_score(np.full(3, 2.0), np.array([1.0, 2, 3]))
    scores = summarise_values({"optical+radar": score, "optical": score, "radar": score}, names, 3, "")
    assert score.r2 is None and scores.r2 is None and scores.rmse.overall == pytest.approx((2 / 3) ** 0.5)


def test_means_are_those_of_the_five_cases_of_two_modalities():
    found = {
        key: ValueScore(rmse=rmse, mae=0, r2=1 - rmse, bias=0)
        for key, rmse in (("optical+radar", 0.1), ("optical", 0.2), ("radar", 0.6))
    }
    scores = summarise_values(found, ("optical", "radar"), 9, "")
    assert (scores.rmse.full, scores.rmse.moderate, scores.rmse.extreme) == pytest.approx((0.1, 0.4, 0.4))
    assert scores.rmse.overall == pytest.approx(0.3) and scores.r2.overall == pytest.approx(0.7)


# evaluation


def test_evaluation_scores_values_and_writes_them(measured, trained, tmp_path):
    chosen = measured.take(measured.columns["fold"] == 1)
    found = evaluate_model(Checkpoint(trained.card, trained.method), replace(chosen, sha256="1"))
    assert found.scores.patterns == trained.card.scores.patterns and not found.warnings
    write_scores(found.scores, tmp_path / "scores.json")
    stored = json.loads((tmp_path / "scores.json").read_text())
    assert set(stored) == {"patterns", "rmse", "r2", "n", "protocol"}
    assert stored["rmse"]["full"] == stored["patterns"]["optical+radar+weather+topography"]["rmse"]


def test_evaluation_refuses_labels_for_a_value_and_a_value_for_labels(samples, measured, trained):
    with pytest.raises(SampleError, match=r"model's moisture.*--target"):
        evaluate_model(Checkpoint(trained.card, trained.method), samples)
    classifier = train_model(samples, replace(QUICK, label="crop", settings=Settings(epochs=1)))
    with pytest.raises(SampleError, match="--label"):
        evaluate_model(Checkpoint(classifier.card, classifier.method), measured)


# cards


def test_the_shipped_card_is_the_same_byte_for_byte_when_written_anew():
    for path in SHIPPED.glob(f"*/{CARD}"):
        again = read_card(path.parent.name).model_dump_json(indent=1) + "\n"
        assert again.encode() == path.read_bytes()


def test_a_card_has_classes_or_a_target_and_scores_of_that(trained):
    card = trained.card.model_dump(mode="json")
    shipped = json.loads((SHIPPED / "simulated" / CARD).read_text())
    kind = type(trained.card)
    assert kind.model_validate(card) == trained.card
    for wrong in (
        {**card, "classes": shipped["classes"]},
        {**card, "scores": shipped["scores"]},
        {**shipped, "target": card["target"]},
        {**card, "target": {**card["target"], "std": 0}},
        {key: value for key, value in card.items() if key != "target"},
        {**shipped, "classes": shipped["classes"][:1]},
    ):
        with pytest.raises(ValidationError):
            kind.model_validate(wrong)


def test_the_card_and_the_weights_agree_on_the_target(trained):
    mean, std = trained.method.target_mean.item(), trained.method.target_std.item()
    assert trained.card.target == Target(name="moisture", mean=mean, std=std)


def test_a_classifier_has_no_weights_for_a_target(spec):
    for name in METHODS:
        assert not [key for key in new_method(name, spec).state_dict() if "target" in key]


def test_a_regression_is_not_mapped(trained, tmp_path):
    write_checkpoint(tmp_path / "model", trained.card, trained.method)
    with pytest.raises(CheckpointError, match="predicts a value, moisture"):
        plan_map(MapRequest("simulated", tmp_path / "map", model=str(tmp_path / "model")))
