"""Dissimilarity and limits against the slow, obvious way."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from geocomiss.applicability import fitting, learn_applicability
from geocomiss.applicability.fitting import sensitivity, spread_out, whisker
from geocomiss.applicability.measure import FAR
from geocomiss.batch import batch_of_values
from geocomiss.calibration.views import codes_of
from geocomiss.methods import METHODS, new_method
from geocomiss.modalities import MODALITIES

SMALL = {"preset": "small"}


def slow_square(known, batch, pixel, sample):
    """|a - b|^2 of one pixel and one kept sample, straight from the definition; None where not comparable."""
    total = 0.0
    for column, (name, space) in enumerate(known.spaces.items()):
        if not batch.available[pixel, column]:
            continue
        if not known.available[sample, column]:
            return None
        x = batch.x[name][int(batch.rows(name)[pixel])].double().numpy()
        z = (x - space.mean.numpy()) / space.std.numpy() * space.weight.numpy()
        other = known.kept[name][sample].double().numpy()
        steps = [step for step in range(len(z)) if np.isfinite(z[step]).all()]
        total += len(z) / len(steps) * sum(((z[step] - other[step]) ** 2).sum() for step in steps)
    return total


def slow_least(known, batch, pixel, among):
    found = [slow_square(known, batch, pixel, sample) for sample in among]
    return min((each for each in found if each is not None), default=None)


def test_the_index_is_the_slow_one(world, spec, known):
    other = batch_of_values(world.values(np.arange(40) % 3, seed=9), spec)
    squares, index, codes = known.squares(other), known.index(other), codes_of(other)
    assert len(np.unique(codes)) > 4, "the fixture has pixels that lack modalities"
    for pixel in range(len(other)):
        if codes[pixel] == 0:
            assert torch.isnan(index[pixel])
            continue
        expected = slow_least(known, other, pixel, range(len(known.available)))
        assert float(squares[pixel]) == pytest.approx(expected, rel=1e-4, abs=1e-3)
        limit = known.limits[int(codes[pixel])]
        assert float(index[pixel]) == pytest.approx(np.sqrt(expected) / limit, rel=1e-3, abs=1e-3)


def test_the_limit_is_the_largest_distance_to_other_groups_that_is_no_outlier(labelled, group, known):
    batch, _ = labelled
    for names in (("optical", "radar", "weather", "topography"), ("radar",)):
        part = batch.keep_only(names)
        code = sum(MODALITIES[name].bit for name in names)
        whole = torch.nonzero(codes_of(part) == code).squeeze(1).tolist()
        found = []
        for pixel in whole:
            others = [sample for sample in range(120) if group[sample] != group[pixel]]  # all are kept
            found.append(np.sqrt(slow_least(known, part, pixel, others)))
        low, high = np.quantile(found, [0.25, 0.75])
        expected = max(each for each in found if each <= high + 1.5 * (high - low))
        assert known.limits[code] == pytest.approx(expected, rel=1e-3)


def test_the_whisker_leaves_outliers_out():
    values = torch.tensor([1.0, 2.0, 3.0, 4.0, 5.0, 50.0], dtype=torch.float64)
    assert whisker(values) == 5.0
    assert whisker(values[:1]) == 1.0


def test_training_samples_are_inside_and_what_is_far_is_outside(world, spec, labelled, known):
    batch, _ = labelled
    index = known.index(batch)
    assert (index[codes_of(batch) > 0] <= 1).float().mean() > 0.95
    again = known.index(batch_of_values(world.values(np.arange(300) % 3, seed=4), spec))
    assert (again > 1).float().mean() < 0.15  # as unlike as samples of other groups are, by definition
    values = {
        name: x + (300 if name == "radar" else 0) for name, x in world.values(np.arange(50) % 3).items()
    }
    shifted = batch_of_values({name: x.astype(np.float32) for name, x in values.items()}, spec)
    has = shifted.available[:, 1]
    assert (known.index(shifted)[has] > 1).all()
    hidden = shifted.keep(torch.tensor([True, False, True, True]))
    index = known.index(hidden)
    assert (index[codes_of(hidden) > 0] > 1).float().mean() < 0.15, "what is hidden has no part in it"


def test_a_pixel_has_the_same_bits_in_any_company(world, spec, known):
    batch = batch_of_values(world.values(np.arange(700) % 3, seed=2), spec)
    whole = known.index(batch)
    order = torch.randperm(700, generator=torch.Generator().manual_seed(0))
    assert torch.equal(known.index(batch[order]).nan_to_num(-1), whole[order].nan_to_num(-1))
    assert torch.equal(known.index(batch[slice(13, 14)]).nan_to_num(-1), whole[13:14].nan_to_num(-1))
    assert known.index(batch[slice(0, 0)]).shape == (0,)


@settings(max_examples=10)
@given(st.integers(0, 10**6), st.sampled_from(["optical", "radar", "weather"]))
def test_repeated_rows_are_like_rows_of_their_own(world, spec, known, seed, name):
    values = world.values(np.arange(20) % 3, seed=seed)
    rows = np.random.default_rng(seed).integers(0, 20, 20)
    folded = batch_of_values(values, spec, {name: rows})
    plain = batch_of_values({**values, name: values[name][rows]}, spec)
    assert torch.equal(known.index(folded).nan_to_num(-1), known.index(plain).nan_to_num(-1))


def test_a_pattern_that_training_never_had_lies_outside(method, labelled, group):
    batch, _ = labelled
    without = batch.keep_only(("optical", "weather"))
    known = learn_applicability(method, without, group)
    assert set(known.limits) == {1, 4, 5}
    index = known.index(batch)
    assert torch.isinf(index[codes_of(batch) == 15]).all()
    assert (known.squares(batch)[codes_of(batch) == 15] >= FAR / 2).all()
    one = learn_applicability(method, batch, np.full(len(batch), "one group"))
    assert not one.limits and torch.isinf(one.index(batch)[codes_of(batch) > 0]).all()


def test_many_samples_are_thinned_so_that_each_has_one_near(method, labelled, group, monkeypatch):
    points = torch.from_numpy(np.random.default_rng(0).normal(size=(300, 3)))
    chosen = spread_out(points, 40)
    assert len(set(chosen.tolist())) == 40
    farthest = torch.cdist(points, points[chosen]).amin(1).max()
    at_random = torch.cdist(points, points[:40]).amin(1).max()
    assert farthest < at_random
    closest = torch.cdist(points[chosen], points[chosen]).fill_diagonal_(9).min()
    assert closest >= farthest  # Gonzalez: chosen points lie apart, all others near one of them
    assert spread_out(points, 300).tolist() == list(range(300))
    monkeypatch.setattr(fitting, "KEPT", 30)
    thinned = learn_applicability(method, labelled[0], group)
    assert len(thinned.available) == 30 and thinned.n == 120 and thinned.groups == 6
    inside = thinned.index(labelled[0])
    assert (inside[codes_of(labelled[0]) > 0] <= 1).float().mean() > 0.9


def test_sensitivity_is_the_norm_of_the_jacobian(method, labelled):
    batch = labelled[0][slice(0, 60)]
    found = sensitivity(method, batch)
    squares = {name: torch.zeros(x.shape[2]) for name, x in batch.x.items()}
    for output in range(method.spec.classes):  # exactly, logit by logit
        x = {name: each.clone().requires_grad_() for name, each in batch.x.items()}
        slopes = torch.autograd.grad(method(replace(batch, x=x))[:, output].sum(), [*x.values()])
        for name, slope in zip(x, slopes, strict=True):
            squares[name] += (torch.nan_to_num(slope * method.normaliser(name).std) ** 2).sum((0, 1))
    seen = batch.available.sum(0)
    exact = {
        name: (squares[name] / seen[column] / batch.x[name].shape[1]).sqrt()
        for column, name in enumerate(batch.modalities)
    }
    most = max(float(each.max()) for each in exact.values())
    for name, each in exact.items():
        np.testing.assert_allclose(found[name], each / most, rtol=0.3)


def test_a_band_that_the_network_ignores_counts_nothing(spec, labelled):
    torch.manual_seed(0)
    method = new_method("comiss", spec, SMALL)
    with torch.no_grad():
        for name, parameter in method.named_parameters():
            if "branches.optical" in name and parameter.ndim == 3 and parameter.shape[1] == 4:
                parameter[:, 2] = 0  # what the first convolution makes of the third band
    weights = sensitivity(method.eval(), labelled[0])
    assert float(weights["optical"][2]) == 0.0
    assert (weights["optical"][[0, 1, 3]] > 0).all() and float(max(w.max() for w in weights.values())) == 1.0


@pytest.mark.parametrize("name", sorted(METHODS))
def test_every_method_can_be_asked(name, world, spec, group):
    torch.manual_seed(0)
    method = new_method(name, spec, SMALL)
    batch = batch_of_values(world.values(np.arange(60) % 3), spec, months=np.arange(1, 13))
    method.fit_normalisation(batch)
    known = learn_applicability(method.eval(), batch, group[:60])
    assert len(known.limits) >= 3 and all(limit > 0 for limit in known.limits.values())
    assert not torch.isnan(known.index(batch)[batch.available[:, :2].any(1)]).any()
