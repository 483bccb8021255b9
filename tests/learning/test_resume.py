"""An interrupted training goes on, and ends with the bits of one that never stopped."""

import json
import os
import signal
import subprocess
import sys
from dataclasses import replace
from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
import torch
from matplotlib.image import imread
from typer.testing import CliRunner

from geocomiss.checkpoint import CURVE
from geocomiss.errors import CheckpointError
from geocomiss.training import Epoch, Settings, TrainRequest, draw_curve, train_model
from geocomiss.training.state import State, Unfinished, unfinished_folder
from geocomiss_cli.main import app

ROOT = Path(__file__).resolve().parents[2]
REQUEST = TrainRequest(
    "crop",
    method="comiss+",
    options={"preset": "small"},
    settings=Settings(epochs=4, batch_size=32, patience=9, seed=3),
)


class Interrupted(Exception):
    pass


def _stopping(after):
    """Progress that is interrupted after so many epochs."""
    seen = []

    def tell(epoch):
        seen.append(epoch)
        if len(seen) == after:
            raise Interrupted

    return tell


@pytest.fixture(scope="module")
def whole(samples):
    return train_model(samples, REQUEST)


def _same(one, two):
    tensors, others = one.method.state_dict(), two.method.state_dict()
    return all(torch.equal(tensors[name], others[name]) for name in tensors) and one.card == two.card


@pytest.mark.parametrize("after", [1, 3, 4, 6])
def test_an_interrupted_training_ends_with_the_same_bits(samples, whole, tmp_path, after):
    # 4 epochs of the scoring run, 4 of the final model
    with pytest.raises(Interrupted):
        train_model(samples, REQUEST, _stopping(after), tmp_path / "state")
    again = train_model(samples, REQUEST, None, tmp_path / "state")
    assert _same(again, whole) and again.history == whole.history


@pytest.mark.parametrize("method", ["timmil", "dsensd", "mdico"])
def test_other_methods_go_on_too(samples, tmp_path, method):
    request = replace(REQUEST, method=method, fold="fold=1")
    with pytest.raises(Interrupted):
        train_model(samples, request, _stopping(2), tmp_path)
    assert _same(train_model(samples, request, None, tmp_path), train_model(samples, request))


def test_a_regression_goes_on_too(samples, tmp_path):
    target = samples.months.sum(1) + np.arange(180) * 0.5
    table, request = replace(samples, target=target), replace(REQUEST, label="yield", fold="fold=1")
    with pytest.raises(Interrupted):
        train_model(table, request, _stopping(2), tmp_path)
    assert _same(train_model(table, request, None, tmp_path), train_model(table, request))
    with pytest.raises(CheckpointError, match="another samples"):
        train_model(replace(table, target=target[::-1].copy()), request, None, tmp_path)


def test_epochs_that_were_done_are_told_but_not_repeated(samples, whole, tmp_path, monkeypatch):
    with pytest.raises(Interrupted):
        train_model(samples, REQUEST, _stopping(3), tmp_path)
    written = []
    real = Unfinished.write
    monkeypatch.setattr(
        Unfinished, "write", lambda self, run, state: (written.append(run), real(self, run, state))
    )
    told = []
    train_model(samples, REQUEST, told.append, tmp_path)
    assert written == ["scoring run"] + ["final model"] * 4
    assert tuple(told) == whole.history and len(told) == 8


def test_early_stopping_counts_the_epochs_before_the_interruption(samples, tmp_path):
    settings = replace(REQUEST.settings, epochs=40, patience=2, min_delta=0.5)
    request = replace(REQUEST, settings=settings, fold="fold=1")
    expected = train_model(samples, request)
    stopped = len(expected.history)
    assert 3 <= stopped < 40
    with pytest.raises(Interrupted):
        train_model(samples, request, _stopping(stopped - 1), tmp_path)
    again = train_model(samples, request, None, tmp_path)
    assert len(again.history) == stopped and _same(again, expected)


OTHERS = {
    "seed": {"settings": replace(REQUEST.settings, seed=4)},
    "epochs": {"settings": replace(REQUEST.settings, epochs=9)},
    "method": {"method": "comiss", "options": {"preset": "small"}},
    "options": {"options": {"preset": "small", "temperature": 2.0}},
    "fold": {"fold": "fold=1"},
    "label": {"label": "plant"},
}


@pytest.fixture(scope="module")
def begun(samples, tmp_path_factory):
    state = tmp_path_factory.mktemp("begun")
    with pytest.raises(Interrupted):
        train_model(samples, REQUEST, _stopping(1), state)
    return state


@pytest.mark.parametrize("name", OTHERS)
def test_another_request_is_refused_in_words(samples, begun, name):
    with pytest.raises(CheckpointError, match=f"another {name} .*--resume"):
        train_model(samples, replace(REQUEST, **OTHERS[name]), None, begun)


def test_other_samples_are_refused(samples, begun):
    values = {name: rows.copy() for name, rows in samples.values.items()}
    values["radar"][7, 3] += 1
    with pytest.raises(CheckpointError, match="another samples"):
        train_model(replace(samples, values=values), REQUEST, None, begun)
    with pytest.raises(CheckpointError, match="another samples"):
        train_model(replace(samples, group=samples.group[::-1]), REQUEST, None, begun)


@pytest.mark.parametrize("damage", [b"", b"\x80\x04pickle", None])
def test_a_damaged_state_is_refused_in_words(samples, tmp_path, damage):
    with pytest.raises(Interrupted):
        train_model(samples, REQUEST, _stopping(1), tmp_path)
    path = tmp_path / "scoring_run.safetensors"
    path.write_bytes(path.read_bytes()[:-100] if damage is None else damage)
    with pytest.raises(CheckpointError, match=r"cannot be used .*--overwrite"):
        train_model(samples, REQUEST, None, tmp_path)


def test_a_state_reads_as_written_and_is_replaced_as_a_whole(tmp_path):
    epoch = Epoch("model", 1, 5, {"total": 1 / 3}, float("inf"), True)
    state = State({"weights.a": torch.rand(3), "random.own": torch.arange(5)}, 0.1, 1, 0.1, 1, (epoch,))
    unfinished = Unfinished(tmp_path / "a" / "b", {"seed": 1, "shape": (1, 2)})
    for _ in range(2):
        unfinished.write("model", state)
    found = unfinished.read("model")
    assert found.history == state.history and (found.value, found.marked) == (0.1, 1)
    assert all(torch.equal(found.tensors[name], state.tensors[name]) for name in state.tensors)
    assert [path.name for path in (tmp_path / "a" / "b").iterdir()] == ["model.safetensors"]
    assert unfinished.read("another run") is None


def test_a_state_that_cannot_be_written_is_said(tmp_path):
    (tmp_path / "state").write_text("a file")
    with pytest.raises(CheckpointError, match="cannot be written"):
        Unfinished(tmp_path / "state", {}).write("model", State({}, 0, 0, 0, 0, ()))


@pytest.fixture(scope="module")
def table(tmp_path_factory):
    """300 points of three crops that differ in backscatter, in 12 places."""
    rng = np.random.default_rng(0)
    y = np.arange(300) // 12 % 3
    x = np.array([-10, -17, 120, 2]) * rng.uniform(0.9, 1.1, (300, 12, 4))
    x[..., :2] += y[:, None, None]
    path = tmp_path_factory.mktemp("samples") / "fields.npz"
    np.savez(
        path,
        X=x.astype(np.float32),
        valid=np.ones(x.shape, bool),
        bands=np.array(["VV", "VH", "elevation", "slope"]),
        times=np.array([f"2021-{month:02d}-01" for month in range(1, 13)]),
        lat=50 + (np.arange(300) % 12) * 1.0,
        lon=np.full(300, 4.0),
        label=np.array(["maize", "wheat", "rape"])[y],
    )
    return path


def _command(table, out, *more):
    return (
        "train", "--samples", str(table), "--method", "comiss+", "--preset", "small",
        "--epochs", "6", "--out", str(out), *more,
    )  # fmt: skip


def _killed(arguments, state, epochs):
    """Run a training in another process and kill it once so many epochs are on disk."""
    code = "import sys, torch; torch.set_num_threads(1); from geocomiss_cli.main import main; main()"
    environment = os.environ | {"PYTHONPATH": os.pathsep.join([str(ROOT), str(ROOT / "cli")])}
    process = subprocess.Popen(
        [sys.executable, "-c", code, *arguments], env=environment, stderr=subprocess.PIPE, text=True
    )
    lines = [process.stderr.readline() for _ in range(epochs)]
    process.send_signal(signal.SIGKILL)
    assert process.wait() == -signal.SIGKILL
    process.stderr.close()
    assert any(state.iterdir()), lines
    return lines


@pytest.mark.slow
def test_a_killed_training_goes_on_by_the_same_command(table, tmp_path):
    out, other = tmp_path / "model", tmp_path / "other"
    state = unfinished_folder(out)
    lines = _killed(_command(table, out), state, 8)  # in the second of two runs
    assert lines[0].startswith("scoring run, epoch 1 of 6: validation") and "total" in lines[0]
    assert lines[7].startswith("final model, epoch 2 of 6")

    def run(*arguments):
        return CliRunner().invoke(app, list(arguments))

    refused = run(*_command(table, out))
    assert isinstance(refused.exception, CheckpointError) and "--resume" in str(refused.exception)
    elsewhere = run(*_command(table, out, "--seed", "9", "--resume"))
    assert "another seed" in str(elsewhere.exception) and state.exists()
    resumed, whole = run(*_command(table, out, "--resume")), run(*_command(table, other))
    assert resumed.exit_code == whole.exit_code == 0, resumed.output
    for name in ("model.safetensors", "card.json", CURVE):
        assert (out / name).read_bytes() == (other / name).read_bytes(), name
    assert not state.exists() and sorted(p.name for p in tmp_path.iterdir()) == ["model", "other"]


@pytest.mark.slow
def test_overwrite_gives_up_an_unfinished_training(table, tmp_path):
    out = tmp_path / "model"
    state = unfinished_folder(out)
    _killed(_command(table, out), state, 1)
    result = CliRunner().invoke(
        app, list(_command(table, out, "--seed", "9", "--epochs", "1", "--overwrite"))
    )
    assert result.exit_code == 0, result.output
    assert json.loads((out / "card.json").read_text())["training"]["seed"] == 9 and not state.exists()
    # a model with its picture is a model still, and may be replaced
    again = CliRunner().invoke(app, list(_command(table, out, "--epochs", "1", "--overwrite")))
    assert again.exit_code == 0 and (out / CURVE).exists()


def test_the_curve_is_a_picture_of_every_run(whole):
    one = [epoch for epoch in whole.history if epoch.run == "final model"]
    wide, narrow = (imread(BytesIO(draw_curve(each))) for each in (whole.history, one))
    assert wide.shape[1] > 1.5 * narrow.shape[1] and wide.shape[0] == narrow.shape[0]
    assert narrow.std() > 0.05 and draw_curve(one) == draw_curve(one)
    assert imread(BytesIO(draw_curve(one[:1]))).shape == narrow.shape
