"""Steps hidden while training are gaps like any other."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from geocomiss.batch import batch_of_values
from geocomiss.methods import new_method
from geocomiss.methods.gaps import drop_steps, seasons_cut_short


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


def test_a_season_cut_short_ends_and_does_not_begin_again():
    known = seasons_cut_short(5000, 12, 0.5, torch.Generator().manual_seed(0))
    assert (known[:, 1:] <= known[:, :-1]).all() and known[:, 0].all()
    short = ~known.all(1)
    assert abs(short.float().mean() - 0.5) < 0.03
    lengths = torch.bincount(known[short].sum(1), minlength=13)
    assert (lengths[1:12] > 150).all() and lengths[12] == 0


def test_gaps_spare_weather_and_terrain_and_a_cut_spares_terrain(world, spec):
    batch = batch_of_values(type(world)(holes=0.0).values(np.arange(400) % 3), spec)
    gappy = drop_steps(batch, 1.0, 0.0, torch.Generator().manual_seed(0))
    assert gappy.valid["weather"].all() and gappy.valid["topography"].all()
    for name in ("optical", "radar"):
        assert 0.4 < gappy.valid[name].float().mean() < 0.6
    assert not torch.equal(gappy.valid["optical"], gappy.valid["radar"])
    cut = drop_steps(batch, 0.0, 1.0, torch.Generator().manual_seed(0))
    assert torch.equal(cut.valid["optical"], cut.valid["weather"]) and cut.valid["topography"].all()
    assert not cut.valid["weather"][:, -1].any()


@pytest.mark.parametrize("share", [0.0, 0.3])
def test_only_the_share_asked_for_loses_steps(world, spec, share):
    batch = batch_of_values(type(world)(holes=0.0).values(np.arange(2000) % 3), spec)
    found = drop_steps(batch, share, 0.0, torch.Generator().manual_seed(0))
    assert abs((~found.valid["optical"].all(1)).float().mean() - share) < 0.05
    assert (found is batch) == (share == 0)


def test_steps_are_dropped_in_training_only(spec, labelled):
    batch, y = labelled
    torch.manual_seed(0)
    method = new_method("comiss+", spec, {"preset": "small", "gaps": 1.0, "cut": 1.0, "dropout": 0.0})
    method.fit_normalisation(batch)
    losses = [method.loss(batch, y, torch.Generator().manual_seed(s))["main"].item() for s in (0, 1)]
    assert losses[0] != losses[1]
    method.eval()
    losses = [method.loss(batch, y, torch.Generator().manual_seed(s))["main"].item() for s in (0, 1)]
    assert losses[0] == losses[1]
