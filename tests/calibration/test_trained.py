"""What training learns of its own certainty, keeps in the card, and tells."""

import json
from dataclasses import replace

import numpy as np
import pytest
import torch
from learning import conftest
from typer.testing import CliRunner

from geocomiss.calibration import Readout, calibrate, calibration_error, caution
from geocomiss.calibration.fitting import GAPS
from geocomiss.calibration.views import gap_views, pattern_views
from geocomiss.checkpoint import CARD, Checkpoint, read_checkpoint, write_checkpoint
from geocomiss.errors import CheckpointError, SampleError
from geocomiss.evaluation import evaluate_model
from geocomiss.inspection import inspect
from geocomiss.modalities import MODALITIES
from geocomiss.samples.tensors import batch_of_samples, truth_of
from geocomiss.scores import score_patterns
from geocomiss.training import Settings, TrainRequest, train_model
from geocomiss_cli.main import app

samples = conftest.samples
QUICK = TrainRequest(
    "crop",
    method="comiss",
    options={"preset": "small"},
    fold="fold=1",
    settings=Settings(epochs=2, batch_size=32),
)


@pytest.fixture(scope="module")
def trained(request):
    return train_model(request.getfixturevalue("samples"), QUICK)


@pytest.fixture
def folder(trained, tmp_path):
    write_checkpoint(tmp_path / "model", trained.card, trained.method)
    return tmp_path / "model"


def held_out(samples, card):
    held = samples.take(samples.columns["fold"] == 1)
    return batch_of_samples(held, card.spec), truth_of(held, tuple(info.name for info in card.classes))


def test_the_card_holds_a_calibration_of_the_inner_validation(trained):
    known = trained.card.calibration
    assert known and 10 < known.n < 40 and "told training when to stop" in known.samples
    assert len(known.patterns) == 15 and sum(known.shares) == pytest.approx(1, abs=1e-4)
    assert known.n >= known.patterns["optical+radar"].n > known.n / 2  # holes: some lack a modality
    assert set(known.patterns["radar+topography"].steps) == {"radar"}
    assert set(trained.card.training.class_weights) == {"grass", "maize", "wheat"}


def test_the_held_out_fold_has_no_part_in_it(samples, trained):
    fold = samples.columns["fold"] == 1
    labels = samples.labels.copy()
    labels[fold] = labels[fold][::-1]
    other = train_model(replace(samples, labels=labels), QUICK)
    assert other.card.calibration == trained.card.calibration


def test_scores_hold_the_error_before_and_after(samples, trained):
    batch, y = held_out(samples, trained.card)
    part = batch.keep_only(("radar",))
    some = part.available.any(1)
    with torch.no_grad():
        logits = trained.method(part)
    right = (logits.argmax(1) == y)[some].numpy()
    score = trained.card.scores.patterns["radar"]
    for readout, error in ((Readout(), score.ece_uncalibrated), (trained.card.readout(), score.ece)):
        stated = readout.read(logits, part).confidence[some].numpy()
        assert error == pytest.approx(calibration_error(stated, right), abs=1e-9)


def test_calibration_changes_no_class_and_no_f1(samples, trained):
    batch, y = held_out(samples, trained.card)
    plain = score_patterns(trained.method, batch, y.numpy(), "")
    for pattern, score in trained.card.scores.patterns.items():
        assert score.macro_f1 == plain.patterns[pattern].macro_f1
        assert plain.patterns[pattern].ece is None


def test_a_sample_counts_only_for_patterns_that_it_has_whole(samples, trained):
    batch, y = held_out(samples, trained.card)
    views = pattern_views(trained.method, batch, y)
    for bits in range(1, 16):
        whole = [MODALITIES[name].bit for name in batch.modalities if bits & MODALITIES[name].bit]
        columns = [MODALITIES[name].bit in whole for name in batch.modalities]
        assert (views.pattern == bits).sum() == int(batch.available[:, columns].all(1).sum())
    assert len(np.unique(np.stack([views.sample, views.pattern]), axis=1).T) == len(views)
    assert ((views.steps > 0) == (views.pattern[:, None] & np.array([1, 2, 4, 8]) > 0)).all()


def test_gaps_are_real_ones(samples, trained):
    batch, y = held_out(samples, trained.card)
    views = gap_views(trained.method, batch, y, torch.Generator().manual_seed(0))
    optical = views.steps[views.pattern & 1 > 0, 0]
    assert GAPS and optical.min() >= 3 / 12 and len(np.unique(optical)) > 6
    assert (views.pattern > 0).all()


def test_the_same_seed_gives_the_same_numbers(samples, trained):
    batch, y = held_out(samples, trained.card)
    one, two, other = (calibrate(trained.method, batch, y, "x", seed) for seed in (1, 1, 2))
    assert one == two != other


def test_a_class_that_no_sample_has_keeps_a_share(samples, trained):
    batch, y = held_out(samples, trained.card)
    known = calibrate(trained.method, batch[y > 0], y[y > 0], "x")
    assert 0 < known.shares[0] < 0.02 and np.isfinite(known.patterns["radar"].bias).all()


def test_a_card_comes_back_and_an_old_one_is_read(folder, trained, samples):
    again = read_checkpoint(str(folder))
    assert again.card.calibration == trained.card.calibration
    stored = json.loads((folder / CARD).read_text())
    del stored["calibration"], stored["training"]["class_weights"]
    for score in stored["scores"]["patterns"].values():
        del score["ece"], score["ece_uncalibrated"]
    (folder / CARD).write_text(json.dumps(stored))
    old = read_checkpoint(str(folder))
    assert old.card.calibration is None and "calibration" not in old.card.model_dump()
    assert json.loads(old.card.model_dump_json()) == stored
    found = evaluate_model(old, samples.take(samples.columns["fold"] == 1))
    assert any("uncalibrated" in warning for warning in found.warnings)
    assert inspect(str(folder))["calibration"].startswith("none")


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (lambda known: known["patterns"].pop("radar"), "not for all patterns"),
        (lambda known: known["shares"].pop(), "not for 3 classes"),
        (lambda known: known["patterns"]["radar"]["bias"].append(1.0), "not for 3 classes"),
        (lambda known: known["patterns"]["radar"]["steps"].update(optical=1.0), "valid steps"),
        (lambda known: known["patterns"]["radar"].update(temperature=0), "temperature"),
        (lambda known: known["patterns"]["radar"].update(bias=[0.0, None, 0.0]), "bias"),
        (lambda known: known["shares"].__setitem__(0, 0.0), "not above 0"),
    ],
)
def test_a_damaged_calibration_is_refused_in_words(folder, spoil, message):
    stored = json.loads((folder / CARD).read_text())
    spoil(stored["calibration"])
    (folder / CARD).write_text(json.dumps(stored))
    with pytest.raises(CheckpointError, match=message):
        read_checkpoint(str(folder))


def test_info_shows_errors_temperatures_and_weights(folder):
    facts = inspect(str(folder))
    assert facts["scores"][0].keys() >= {"ece", "ece_uncalibrated"}
    assert facts["calibration"][0]["temperature"] > 0 and len(facts["calibration"][0]["bias"]) == 3
    assert facts["training"]["class_weights"] and "told training" in facts["calibrated on"]
    result = CliRunner().invoke(app, ["info", str(folder)])
    assert result.exit_code == 0 and "temperature" in result.output and "ece" in result.output


def test_known_shares_in_evaluation(samples, trained, tmp_path):
    priors = tmp_path / "shares.csv"
    priors.write_text("class,share\ngrass,0\nmaize,0.5\nwheat,0.5\n")
    part = samples.take(samples.columns["fold"] == 1)
    checkpoint = Checkpoint(trained.card, trained.method)
    plain = evaluate_model(checkpoint, part).scores
    found = evaluate_model(checkpoint, part, priors=priors).scores
    assert "re-weighted to the class shares of shares.csv" in found.protocol
    assert found.full <= 2 / 3 < plain.full  # grass is never written
    priors.write_text("class,share\nbarley,1\n")
    with pytest.raises(SampleError, match="the class barley"):
        evaluate_model(checkpoint, part, priors=priors)


def test_what_uncalibrated_probabilities_refer_to(trained):
    old = trained.card.model_copy(update={"calibration": None})
    assert old.shares == pytest.approx((1 / 3,) * 3)  # balanced class weights
    unweighted = old.model_copy(update={"options": dict(old.options) | {"class_weights": "none"}})
    counts = np.array([old.training.n_by_class[info.name] for info in old.classes])
    assert unweighted.shares == pytest.approx(tuple(counts / counts.sum()))


def test_a_regression_is_not_calibrated(samples, tmp_path):
    valued = replace(samples, target=samples.lat.copy(), labels=np.full(len(samples), ""))
    settings = replace(QUICK.settings, epochs=1)
    trained = train_model(valued, replace(QUICK, settings=settings))
    assert trained.card.calibration is None and trained.card.training.class_weights is None
    priors = tmp_path / "shares.csv"
    priors.write_text("class,share\na,1\n")
    with pytest.raises(SampleError, match="a value"):
        evaluate_model(Checkpoint(trained.card, trained.method), valued, priors=priors)


def test_a_calibration_by_few_samples_is_called_rough(trained):
    known = trained.card.calibration
    assert caution(known.model_copy(update={"n": 100})) is None
    assert "24 samples only" in (caution(known.model_copy(update={"n": 24})) or "")
