"""Compact models: small, and near what taught them, whatever is missing."""

import json
from dataclasses import replace

import numpy as np
import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode
from typer.testing import CliRunner

from geocomiss.batch import Spec, batch_of_values, default_min_steps
from geocomiss.checkpoint import Checkpoint, read_checkpoint, write_checkpoint
from geocomiss.engine import prepared
from geocomiss.errors import GeocomissError, MethodError
from geocomiss.inference import predict
from geocomiss.inspection.learned import model_facts
from geocomiss.methods import METHODS, STUDENTS, checked_options, new_method
from geocomiss.methods.fusion import all_subsets
from geocomiss.modalities import MODALITIES
from geocomiss.nets import SIZES, EncoderSize, TempCNN
from geocomiss.training import Labelled, Settings, TrainRequest, train_model
from geocomiss.training.distil import Teaching, learn, teaching
from geocomiss_cli.main import app

COMPACT = {"preset": "compact"}
BANDS = {name: modality.band_names for name, modality in MODALITIES.items()}
SPEC = Spec(BANDS, 12, 11, default_min_steps(tuple(BANDS), 12))
"""All bands: what a model of the published size reads."""
SETTINGS = Settings(epochs=20, batch_size=32, seed=1)


@pytest.fixture(autouse=True)
def _quick(request, monkeypatch):
    """Teachers of a size that trains in a second, but where sizes are compared."""
    if "sizes" not in request.node.name:
        monkeypatch.setitem(SIZES, "full", EncoderSize(16, 48, 32))


@pytest.fixture(scope="module", params=sorted(STUDENTS))
def trained(request, samples):
    """A compact model of each method that has one."""
    wanted = TrainRequest("crop", method=request.param, options=COMPACT, fold="fold=1", settings=SETTINGS)
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(SIZES, "full", EncoderSize(16, 48, 32))
        return train_model(samples, wanted)


def _parts(labelled):
    batch, y = labelled
    return Labelled(batch[:80], y[:80]), Labelled(batch[80:], y[80:])


def test_the_card_says_who_taught_it(trained):
    teacher = trained.card.training.distilled
    assert teacher.method == trained.card.method and teacher.options["preset"] == "full"
    assert trained.card.options["preset"] == "compact"
    assert teacher.own_parameters == sum(each.numel() for each in trained.method.parameters())
    assert teacher.epochs and teacher.parameters
    assert {epoch.run for epoch in trained.history} == {"teacher of the model", "model"}
    assert trained.card.calibration and trained.applicability


def test_a_written_one_says_the_same(trained, tmp_path, labelled):
    card = write_checkpoint(tmp_path / "m", trained.card, trained.method)
    again = read_checkpoint(str(tmp_path / "m"))
    stored = json.loads((tmp_path / "m" / "card.json").read_text())
    assert again.card == card and stored["training"]["distilled"]["method"] == card.method
    told = model_facts(str(tmp_path / "m"))["distilled from"]
    assert told["weights of this model"] == stored["training"]["distilled"]["own_parameters"]
    one, other = (predict(method, labelled[0]) for method in (trained.method, again.method))
    assert (one.value == other.value).all() and (one.confidence == other.confidence).all()


@pytest.mark.parametrize("name", sorted(STUDENTS))
def test_sizes_a_compact_model_needs_a_fifth_of_the_work_at_most(name):
    values = {
        key: np.random.default_rng(0).normal(size=(512, *SPEC.shape(key))).astype(np.float32) for key in BANDS
    }
    batch = batch_of_values(values, SPEC)
    work = {}
    for preset in ("full", "compact"):
        method = new_method(name, SPEC, {"preset": preset}).eval()
        with torch.inference_mode(), FlopCounterMode(display=False) as counter:
            method(batch)
        work[preset] = counter.get_total_flops()
    assert work["compact"] < work["full"] / 5


@pytest.mark.parametrize("name", sorted(STUDENTS))
def test_an_option_that_is_given_holds_for_the_student_too(name):
    assert checked_options(name, COMPACT).dropout == STUDENTS[name]["dropout"]
    assert checked_options(name, COMPACT | {"dropout": 0.3}).dropout == 0.3


@pytest.mark.parametrize("name", sorted(STUDENTS))
def test_a_student_says_what_its_teacher_says_for_every_pattern(spec, labelled, name):
    train, validation = _parts(labelled)
    learnt = learn(name, COMPACT, spec, train, validation, SETTINGS)
    agree = []
    for keep in all_subsets(len(spec.modalities)):
        batch = validation.batch.keep(keep)
        some = batch.available.any(1)
        with torch.inference_mode():
            student, teacher = (m(batch)[some].argmax(1) for m in (learnt.method, learnt.teacher.method))
        agree.append((student == teacher).float().mean())
    assert np.mean(agree) > 0.85 and min(agree) > 0.6


def test_it_learns_from_its_teacher_and_no_label(spec, labelled):
    batch, y = labelled
    objective = teaching(new_method("comiss+", spec), SETTINGS)
    student = new_method("comiss+", spec, COMPACT)
    one, other = (
        objective.loss(student.eval(), batch, labels, torch.Generator().manual_seed(0))
        for labels in (y, 2 - y)
    )
    assert all(torch.equal(one[name], other[name]) for name in one)
    one["total"].backward()
    assert all(weights.grad is None for weights in objective.teacher.parameters())
    assert any(weights.grad is not None for weights in student.parameters())


def test_a_student_that_is_its_teacher_has_nothing_to_learn(spec, labelled):
    batch, y = labelled
    teacher = new_method("comiss+", spec).eval()
    objective = Teaching(teacher, 1.0)
    terms = objective.loss(teacher, batch, y, torch.Generator().manual_seed(0))
    assert terms["total"].abs() < 1e-5 and objective.monitored(teacher, batch, y).abs() < 1e-5


def test_many_pixels_are_compared_part_by_part(spec, labelled, monkeypatch):
    batch, y = labelled
    objective = Teaching(new_method("comiss+", spec).eval(), 1.0)
    student = new_method("comiss+", spec, COMPACT).eval()
    whole = objective.monitored(student, batch, y)
    monkeypatch.setattr("geocomiss.training.distil.AT_ONCE", 50)
    assert float(objective.monitored(student, batch, y)) == pytest.approx(float(whole), rel=0.1)


def test_a_regression_is_taught_too(spec, labelled):
    value = replace(spec, classes=1, task="value")
    batch, y = labelled
    number = Labelled(batch, y.float() * 4 + 20)
    train, validation = number[torch.arange(80)], number[torch.arange(80, 120)]
    learnt = learn("comiss+", COMPACT, value, train, validation, SETTINGS)
    with torch.inference_mode():
        student, teacher = (m.in_units(m(validation.batch)) for m in (learnt.method, learnt.teacher.method))
    assert (student - teacher).square().mean().sqrt() < 0.5 * teacher.std()


def test_bfloat16_says_the_same(trained, labelled):
    batch = labelled[0]
    fast = prepared(trained.method, "bfloat16")
    assert not any(isinstance(module, TempCNN) for module in fast.modules())
    one, other = (predict(method, batch) for method in (trained.method, fast))
    assert (one.value == other.value).mean() > 0.98


def test_a_training_may_begin_from_one(trained, samples):
    begin = Checkpoint(trained.card.model_copy(update={"model_sha256": "a" * 64}), trained.method)
    options, settings = dict(trained.card.options), replace(SETTINGS, epochs=1)
    wanted = TrainRequest("crop", None, trained.card.method, options, "fold=1", settings, begin)
    training = train_model(samples, wanted).card.training
    assert training.begun_from.model_sha256 == "a" * 64 and training.distilled is None


@pytest.mark.parametrize("after", [1, 5])
def test_an_interrupted_one_goes_on_with_the_same_bits(samples, tmp_path, after):
    # 3 epochs of the teacher, 3 of the student
    few = replace(SETTINGS, epochs=3)
    wanted = TrainRequest("crop", method="comiss+", options=COMPACT, fold="fold=1", settings=few)
    whole = train_model(samples, wanted)
    told = []

    def stop(epoch):
        told.append(epoch)
        if len(told) == after:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        train_model(samples, wanted, stop, tmp_path / "state")
    again = train_model(samples, wanted, None, tmp_path / "state")
    tensors = again.method.state_dict()
    assert all(torch.equal(tensors[name], each) for name, each in whole.method.state_dict().items())
    assert again.history == whole.history and again.card == whole.card


@pytest.mark.parametrize("name", sorted(set(METHODS) - set(STUDENTS)))
def test_methods_that_teach_none_say_who_does(name):
    with pytest.raises(MethodError, match=r"comiss or comiss\+"):
        checked_options(name, COMPACT)


def test_the_command_line_refuses_in_words(tmp_path):
    out = str(tmp_path / "m")
    command = ["train", "--samples", "simulated", "--n", "60", "--preset", "compact", "--out", out]
    result = CliRunner().invoke(app, [*command, "--method", "fullco"])
    assert isinstance(result.exception, GeocomissError) and "comiss+" in str(result.exception)
    result = CliRunner().invoke(app, [*command, "--from", "simulated"])
    assert result.exit_code == 2 and "--preset" in result.output
    assert not list(tmp_path.iterdir())
