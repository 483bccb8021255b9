"""The contract of every method: parametrised over the table, so a new one is tested by being there."""

import json
from dataclasses import replace

import numpy as np
import pytest
import safetensors.torch
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from geocomiss.batch import batch_of_values, default_min_steps
from geocomiss.errors import MethodError
from geocomiss.methods import METHODS, new_method
from geocomiss.modalities import MODALITIES, patterns
from geocomiss.nets import CHUNK

SMALL = {"preset": "small"}


@pytest.fixture(scope="module", params=sorted(METHODS))
def name(request):
    return request.param


@pytest.fixture(scope="module", params=["classes", "value"])
def task(request):
    return request.param


@pytest.fixture(scope="module")
def spec(spec, task):
    """That of the toy world, for classes or for a number that grows with the class."""
    return spec if task == "classes" else replace(spec, task="value", classes=1)


@pytest.fixture(scope="module")
def labelled(world, spec, task):
    """120 pixels with holes, and their classes or values."""
    y = np.random.default_rng(5).integers(0, 3, 120)
    return batch_of_values(world.values(y), spec), _as_asked(y, task)


def _as_asked(y, task):
    """Class indices as they are, or a target in a unit of its own."""
    y = torch.as_tensor(y)
    return y if task == "classes" else (50 + 10 * y).float()


def _right(method, outputs, y):
    """Which pixels are predicted well: the right class, or nearer to its value than to another's."""
    if method.spec.task == "classes":
        return outputs.argmax(1) == y
    return (method.in_units(outputs) - y).abs() < 5


@pytest.fixture(scope="module")
def fitted(name, spec, labelled):
    """A method trained for a little while."""
    batch, y = labelled
    torch.manual_seed(0)
    method = new_method(name, spec, SMALL)
    method.fit_normalisation(batch)
    method.fit_labels(y)
    _train(method, batch, y, 25 if spec.task == "classes" else 50)  # a scale is learnt too
    return method.eval()


def _train(method, batch, y, steps):
    optimiser = torch.optim.Adam(method.parameters(), 2e-3)
    generator = torch.Generator().manual_seed(0)
    method.train()
    for _ in range(steps):
        losses = method.loss(batch, y, generator)
        optimiser.zero_grad()
        losses["total"].backward()
        optimiser.step()


def _logits(method, batch):
    with torch.no_grad():
        return method(batch)


def test_a_method_learns_a_small_problem(fitted, world, spec, task):
    y = np.random.default_rng(9).integers(0, 3, 200)
    batch = batch_of_values(world.values(y, seed=9), spec)
    right = _right(fitted, _logits(fitted, batch), _as_asked(y, task))
    assert right[batch.available.any(1)].float().mean() > 0.9


def test_every_pattern_of_modalities_gives_finite_logits_better_than_chance(fitted, labelled, spec):
    batch, y = labelled
    for pattern in patterns(spec.modalities):
        kept = batch.keep_only(pattern)
        logits = _logits(fitted, kept)
        some = kept.available.any(1)
        assert torch.isfinite(logits).all()
        assert _right(fitted, logits, y)[some].float().mean() > 0.45, pattern


def test_a_pixel_without_any_modality_has_logits_of_zero(fitted, labelled, spec):
    batch, _ = labelled
    nothing = batch.keep(torch.zeros(len(spec.modalities), dtype=torch.bool))
    assert not _logits(fitted, nothing).any()
    assert _logits(fitted, batch[:0]).shape == (0, spec.classes)


def test_values_of_a_hidden_modality_change_nothing(fitted, labelled, spec):
    batch, _ = labelled
    for name in spec.modalities:
        others = tuple(other for other in spec.modalities if other != name)
        changed = replace(batch, x={**batch.x, name: batch.x[name] * 3 + 7})
        one, two = (_logits(fitted, each.keep_only(others)) for each in (batch, changed))
        assert torch.equal(one, two), name


@settings(max_examples=10)
@given(seed=st.integers(0, 10_000), number=st.integers(1, 120))
def test_the_logits_of_a_pixel_do_not_depend_on_its_neighbours(fitted, labelled, seed, number):
    batch, _ = labelled
    whole = _logits(fitted, batch)
    chosen = torch.randperm(len(batch), generator=torch.Generator().manual_seed(seed))[:number]
    assert torch.equal(_logits(fitted, batch[chosen]), whole[chosen])


def test_the_logits_of_a_pixel_do_not_depend_on_the_gaps_of_its_neighbours(fitted, labelled, spec):
    batch, _ = labelled
    whole = _logits(fitted, batch)
    generator = torch.Generator().manual_seed(2)
    lucky = torch.rand(len(batch), generator=generator) < 0.5
    hidden = batch.keep((torch.rand(batch.kept.shape, generator=generator) < 0.5) | lucky[:, None])
    steps = {
        name: (torch.rand(len(batch), spec.shape(name)[0], generator=generator) < 0.5) | lucky[:, None]
        for name in spec.modalities
    }
    assert torch.equal(_logits(fitted, hidden.keep_steps(steps))[lucky], whole[lucky])


def test_saving_and_loading_gives_the_same_bits(fitted, name, labelled, spec):
    options = json.loads(json.dumps(vars(fitted.shared_options)))  # as a card holds them
    again = new_method(name, spec, options)
    again.load_state_dict(safetensors.torch.load(safetensors.torch.save(fitted.state_dict())))
    batch, _ = labelled
    assert torch.equal(_logits(again.eval(), batch), _logits(fitted, batch))


NOISE_HURTS = {"classes": 0.1, "value": 0.15}
"""Most accuracy, or R2, that a modality of pure noise may cost beside the same pixels without it."""
LEARNT = {"classes": 0.45, "value": 0.2}
"""Least accuracy, or R2, without it."""


def _skill(method, outputs, y):
    if method.spec.task == "classes":
        return (outputs.argmax(1) == y).float().mean()
    return 1 - (method.in_units(outputs) - y).square().mean() / y.var(correction=0)


def test_a_modality_of_pure_noise_hurts_no_more_than_a_bound(name, world, spec, task):
    y = np.random.default_rng(1).integers(0, 3, 700)
    values = replace(world, holes=0.0, blur=1.5).values(
        y, seed=1
    )  # no modality is sure, so that one more could mislead
    values["radar"] = values["radar"][np.random.default_rng(2).permutation(700)]  # of other pixels
    batch, labels = batch_of_values(values, spec), _as_asked(y, task)
    train, test = torch.arange(200), torch.arange(200, 700)
    torch.manual_seed(0)
    method = new_method(name, spec, SMALL)
    method.fit_normalisation(batch[train])
    method.fit_labels(labels[train])
    for part in train.split(100) * 10:
        _train(method, batch[part], labels[part], 1)
    method.eval()
    others = tuple(other for other in spec.modalities if other != "radar")
    found, without = (
        _skill(method, _logits(method, each), labels[test])
        for each in (batch[test], batch[test].keep_only(others))
    )
    assert without > LEARNT[task] and found > without - NOISE_HURTS[task]


def test_logits_are_the_same_across_the_border_of_a_chunk(fitted, labelled):
    batch, _ = labelled
    many = torch.arange(CHUNK + 40) % len(batch)
    assert torch.equal(_logits(fitted, batch[many]), _logits(fitted, batch)[many])


def test_rows_that_repeat_are_encoded_once_and_mean_the_same(fitted, world, spec, monkeypatch):
    y = np.random.default_rng(1).integers(0, 3, 50)
    values = world.values(y)
    cells = np.random.default_rng(2).integers(0, 4, 50)
    weather = values["weather"][:4]
    indexed = batch_of_values({**values, "weather": weather}, spec, {"weather": cells})
    repeated = batch_of_values({**values, "weather": weather[cells]}, spec)
    assert torch.equal(_logits(fitted, indexed), _logits(fitted, repeated))


def test_all_losses_are_finite_and_reach_every_parameter(name, spec, labelled):
    batch, y = labelled
    torch.manual_seed(1)
    method = new_method(name, spec, SMALL)
    method.fit_normalisation(batch)
    method.fit_labels(y)
    losses = method.loss(batch, y, torch.Generator().manual_seed(0))
    losses["total"].backward()
    assert all(torch.isfinite(loss) for loss in losses.values())
    assert torch.isclose(losses["total"], sum(loss for key, loss in losses.items() if key != "total"))
    without = [key for key, parameter in method.named_parameters() if parameter.grad is None]
    assert not without


@pytest.mark.parametrize("missing", [("weather",), ("optical", "radar"), tuple(MODALITIES)])
def test_training_goes_on_where_a_whole_batch_lacks_modalities(name, spec, labelled, missing):
    batch, y = labelled
    method = new_method(name, spec, SMALL)
    kept = batch.keep_only(tuple(other for other in spec.modalities if other not in missing))
    losses = method.loss(kept[:9], y[:9], torch.Generator().manual_seed(0))
    losses["total"].backward()
    gradients = [parameter.grad for parameter in method.parameters() if parameter.grad is not None]
    assert torch.isfinite(losses["total"]) and all(torch.isfinite(each).all() for each in gradients)


def test_a_last_batch_of_one_sample_trains(name, spec, labelled):
    batch, y = labelled
    method = new_method(name, spec, SMALL).train()
    whole = torch.nonzero(batch.available.all(1)).squeeze(1)[:1]
    losses = method.loss(batch[whole], y[whole], torch.Generator().manual_seed(0))
    losses["total"].backward()
    assert torch.isfinite(losses["total"])


def test_modalities_absent_from_the_table_are_not_built(name, world, spec, task):
    bands = {"optical": ("B2", "B4", "B8", "NDVI"), "radar": ("VV", "VH")}
    spec = replace(spec, bands=bands, min_steps=default_min_steps(tuple(bands), 12))
    method = new_method(name, spec, SMALL)
    assert not [key for key, _ in method.named_parameters() if "weather" in key or "topography" in key]
    y = np.arange(20) % 3
    values = {key: rows for key, rows in world.values(y).items() if key in bands}
    loss = method.loss(batch_of_values(values, spec), _as_asked(y, task), torch.Generator())["total"]
    assert torch.isfinite(loss)


def test_one_modality_alone_makes_a_method(name, world, spec, task):
    spec = replace(spec, bands={"radar": ("VV", "VH")}, min_steps={"radar": 3})
    method = new_method(name, spec, SMALL)
    y = np.arange(20) % 3
    batch = batch_of_values({"radar": world.values(y)["radar"]}, spec)
    assert torch.isfinite(method.loss(batch, _as_asked(y, task), torch.Generator())["total"])


def test_normalisation_comes_from_valid_steps_only(name, spec, labelled):
    batch, _ = labelled
    method = new_method(name, spec, SMALL)
    method.fit_normalisation(batch)
    for modality in spec.modalities:
        known = batch.x[modality][batch.valid[modality]].double().numpy()
        layer = method.normaliser(modality)
        assert np.allclose(layer.mean, known.mean(0), rtol=1e-6)
        assert np.allclose(layer.std, known.std(0), rtol=1e-5)


@pytest.mark.parametrize(
    "options", [{"fusion": "median"}, {"temperature": 0}, {"dropout": 1.5}, {"speed": 3}, {"preset": "huge"}]
)
def test_a_wrong_option_is_refused_by_name(spec, options):
    with pytest.raises(MethodError, match=next(iter(options))):
        new_method("comiss", spec, options)


def test_an_unknown_method_is_refused_with_the_known_ones(spec):
    with pytest.raises(MethodError, match="comiss"):
        new_method("magic", spec)
