"""Steps hidden while training are gaps like any other."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from geocomiss.batch import Spec, batch_of_values
from geocomiss.methods import comiss_plus, new_method
from geocomiss.methods.gaps import drop_steps, starts_of_seasons
from geocomiss.methods.losses import distillation


@given(seed=st.integers(0, 10_000))
def test_hidden_steps_are_filled_as_if_never_measured(world, spec, seed):
    rng = np.random.default_rng(seed)
    values = world.values(rng.integers(0, 3, 12), seed)
    keep = {name: rng.random(rows.shape[:2]) < 0.6 for name, rows in values.items()}
    never = {name: np.where(keep[name][..., None], rows, np.nan) for name, rows in values.items()}
    hidden = batch_of_values(values, spec).keep_steps({k: torch.from_numpy(v) for k, v in keep.items()})
    expected = batch_of_values(never, spec)
    for name in spec.modalities:
        assert torch.equal(hidden.valid[name], expected.valid[name])
        assert torch.equal(hidden.x[name].nan_to_num(-9e9), expected.x[name].nan_to_num(-9e9))
    assert torch.equal(hidden.available, expected.available)


def test_steps_of_repeated_rows_are_hidden_pixel_by_pixel(world, spec):
    values = world.values(np.arange(8) % 3)
    cells = np.array([0, 0, 1, 1, 2, 2, 3, 3])
    indexed = batch_of_values({**values, "weather": values["weather"][:4]}, spec, {"weather": cells})
    repeated = batch_of_values({**values, "weather": values["weather"][:4][cells]}, spec)
    keep = {"weather": torch.rand(8, 12) < 0.5}
    one, two = indexed.keep_steps(keep), repeated.keep_steps(keep)
    assert torch.equal(one.available, two.available)
    assert torch.equal(one.x["weather"].nan_to_num(), two.x["weather"].nan_to_num())


def test_the_start_of_a_season_has_any_length_and_no_gap():
    known = starts_of_seasons(5000, 12, torch.Generator().manual_seed(0))
    assert (known[:, 1:] <= known[:, :-1]).all() and known[:, 0].all()
    lengths = torch.bincount(known.sum(1), minlength=13)
    assert (lengths[1:12] > 350).all() and lengths[12] == 0


@pytest.fixture
def whole(world, spec):
    """400 pixels without a gap."""
    return batch_of_values(replace(world, holes=0.0).values(np.arange(400) % 3), spec)


def test_gaps_spare_weather_and_terrain_and_a_cut_spares_terrain(whole):
    everyone = torch.ones(400, dtype=torch.bool)
    gappy = drop_steps(whole, everyone, 0.0, torch.Generator().manual_seed(0))
    assert gappy.valid["weather"].all() and gappy.valid["topography"].all()
    for name in ("optical", "radar"):
        assert 0.4 < gappy.valid[name].float().mean() < 0.6
    assert not torch.equal(gappy.valid["optical"], gappy.valid["radar"])
    cut = drop_steps(whole, everyone, 1.0, torch.Generator().manual_seed(0))
    for name in ("optical", "radar", "weather"):
        assert torch.equal(cut.valid[name], cut.valid["weather"]) and not cut.valid[name][:, -1].any()
    assert cut.valid["topography"].all()


def test_only_the_chosen_pixels_lose_steps(whole):
    some = torch.arange(400) % 4 == 0
    found = drop_steps(whole, some, 0.5, torch.Generator().manual_seed(0))
    for name in whole.modalities:
        assert torch.equal(found[~some].x[name], whole[~some].x[name])
        assert found[~some].valid[name].all()
    assert not found.valid["optical"].all(1)[some].all()


def test_terrain_alone_has_no_steps_to_lose(whole):
    values = {"topography": whole.x["topography"].numpy()}
    spec = Spec({"topography": ("elevation", "slope")}, 12, 3, {"topography": 1})
    batch = batch_of_values(values, spec)
    assert drop_steps(batch, torch.ones(400).bool(), 0.5, torch.Generator()) is batch


def _losses(spec, labelled, options, train=True):
    batch, y = labelled
    torch.manual_seed(0)
    method = new_method("comiss+", spec, {"preset": "small", "dropout": 0.0, **options})
    method.fit_normalisation(batch)
    method.train(train)
    return method, method.loss(batch, y, torch.Generator().manual_seed(0))


def test_pixels_are_shown_again_in_training_only(spec, labelled):
    _, shown = _losses(spec, labelled, {"repeated": 0.5})
    _, once = _losses(spec, labelled, {"repeated": 0.0})
    assert shown.keys() - once.keys() == {"partial_ce", "partial_kl"}
    _, evaluated = _losses(spec, labelled, {"repeated": 0.5}, train=False)
    assert evaluated.keys() == once.keys()


def test_pixels_shown_again_are_no_samples_of_the_other_terms(spec, labelled):
    # in evaluation mode no batch statistics: what the whole pixels give cannot depend on the copies
    batch, y = labelled
    method, _ = _losses(spec, labelled, {"repeated": 0.5})
    expected = method.eval().loss(batch, y, torch.Generator().manual_seed(0))
    method.training = True  # of the method alone: its layers stay in evaluation mode
    found = method.loss(batch, y, torch.Generator().manual_seed(0))
    for key in ("main", "individual_ce", "individual_kl"):
        assert torch.isclose(found[key], expected[key], rtol=1e-5), key


def test_what_is_left_of_a_season_learns_from_the_whole_one(spec, labelled):
    method, losses = _losses(spec, labelled, {"repeated": 1.0, "cut": 1.0})
    wanted = losses["partial_kl"] + losses["partial_ce"]
    wanted.backward()
    encoder, head = method.branches["radar"]
    assert head.weight.grad.any() and all(each.grad.any() for each in encoder.parameters())


def test_the_teacher_is_not_pulled_to_its_students(spec, labelled, monkeypatch):
    seen = []
    for name in ("distillation", "distillation_each"):
        real = getattr(comiss_plus, name)

        def noted(student, teacher, *rest, real=real):
            seen.append(teacher)
            return real(student, teacher, *rest)

        monkeypatch.setattr(comiss_plus, name, noted)
    _losses(spec, labelled, {"repeated": 0.5})
    assert len(seen) == 2 and not any(teacher.requires_grad for teacher in seen)


def test_a_model_that_saw_half_seasons_says_there_what_it_says_of_whole_ones(world, spec):
    y = torch.arange(300) % 3
    batch = batch_of_values(replace(world, holes=0.0, blur=1.0).values(y.numpy()), spec)
    half = {name: (torch.arange(12) < 5).expand(300, 12) for name in ("optical", "radar", "weather")}
    found = []
    for repeated in (0.0, 0.5):
        torch.manual_seed(0)
        method = new_method("comiss+", spec, {"preset": "small", "repeated": repeated, "cut": 1.0})
        method.fit_normalisation(batch)
        optimiser = torch.optim.Adam(method.parameters(), 2e-3)
        generator = torch.Generator().manual_seed(0)
        for part in torch.arange(300).split(100) * 8:
            optimiser.zero_grad()
            method.loss(batch[part], y[part], generator)["total"].backward()
            optimiser.step()
        with torch.no_grad():
            whole, partial = method.eval()(batch), method(batch.keep_steps(half))
        found.append(distillation(partial, whole, 1.0).item())
    assert found[1] < 0.7 * found[0]
