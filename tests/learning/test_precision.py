"""Number formats of training: bfloat16 on CUDA devices alone, and every method can take it."""

import warnings
from contextlib import nullcontext

import pytest
import torch

from geocomiss.batch import Batch
from geocomiss.methods import METHODS, new_method
from geocomiss.training import Settings
from geocomiss.training.loop import Labelled, fit, precision


def test_a_cpu_never_trains_in_bfloat16():
    for device in ("cpu", torch.device("cpu")):
        assert isinstance(precision(device), nullcontext)


@pytest.mark.parametrize("device", ["cuda", "cuda:1", torch.device("cuda")])
def test_a_cuda_device_trains_in_bfloat16(device):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # there may be no such device here
        found = precision(device)
    assert isinstance(found, torch.autocast)
    assert (found.device, found.fast_dtype) == ("cuda", torch.bfloat16)


@pytest.mark.parametrize("name", METHODS)
def test_every_method_trains_under_autocast(name, spec, labelled, monkeypatch):
    # that of the CPU stands for that of a GPU: both mix bfloat16 with float32 in one step
    batch, y = labelled
    torch.manual_seed(0)
    method = new_method(name, spec, {"preset": "small", "dropout": 0.0})
    method.fit_normalisation(batch)
    expected = method.loss(batch, y, torch.Generator().manual_seed(0))
    with torch.autocast("cpu", torch.bfloat16):
        found = method.loss(batch, y, torch.Generator().manual_seed(0))
    found["total"].backward()
    gradients = [p.grad for p in method.parameters() if p.grad is not None]
    assert all(torch.isfinite(each).all() and each.dtype == torch.float32 for each in gradients)
    for term, loss in found.items():
        assert loss.dtype == torch.float32 and torch.isclose(loss, expected[term], rtol=0.1, atol=0.05), term


def test_nothing_is_read_back_from_the_device_within_an_epoch(spec, labelled, monkeypatch):
    """Reading one number makes a GPU wait for all it was told: losses are read once an epoch."""
    batch, y = labelled
    data = Labelled(batch, y)
    made = new_method("dsensd+", spec, {"preset": "small"})
    reads, inside = [], []
    for reader in ("item", "__float__", "__bool__"):
        real = getattr(torch.Tensor, reader)

        def counted(self, real=real):
            if inside and self.requires_grad:
                reads.append(self)
            return real(self)

        monkeypatch.setattr(torch.Tensor, reader, counted)
    loss = made.loss
    monkeypatch.setattr(made, "loss", lambda *args: (inside.append(1), loss(*args))[1])
    fit(lambda: made, data, data, Settings(epochs=1, batch_size=32))
    assert not reads


def test_hidden_steps_never_leave_the_device(spec, labelled, monkeypatch):
    batch, _ = labelled
    keep = {"optical": torch.rand(len(batch), spec.steps) < 0.5}
    monkeypatch.setattr(torch.Tensor, "cpu", lambda self: pytest.fail("copied to the CPU"))
    monkeypatch.setattr(torch.Tensor, "numpy", lambda self: pytest.fail("copied to the CPU"))
    assert isinstance(batch.keep_steps(keep), Batch)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device here")
@pytest.mark.parametrize("name", METHODS)
def test_every_method_learns_on_a_cuda_device(name, spec, labelled):
    batch, y = labelled
    data, seen = Labelled(batch, y), []
    settings = Settings(epochs=15, batch_size=32, patience=15, device="cuda", learning_rate=2e-3)
    method, _ = fit(lambda: new_method(name, spec, {"preset": "small"}), data, data, settings, seen.append)
    assert seen[-1].validation < 0.7 * seen[0].validation
    some = batch.available.any(1)
    with torch.no_grad():
        assert ((method(batch).argmax(1) == y)[some]).float().mean() > 0.8
