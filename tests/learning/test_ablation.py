"""Every part that can be left out is a part: without it the method learns something else."""

import pytest
import torch

from geocomiss.methods import ABLATIONS, METHODS, checked_options, new_method
from geocomiss.training import Labelled, Settings, fit

ROWS = [(name, title) for name, rows in ABLATIONS.items() for title in rows]
SMALL = {"preset": "small", "dropout": 0.0}


def _trained(name, options, spec, labelled):
    """Losses of the first epoch, and the prediction after a few."""
    batch, y = labelled
    data, told = Labelled(batch, y), []
    settings = Settings(epochs=3, patience=9, batch_size=len(y))
    method, _ = fit(lambda: new_method(name, spec, {**SMALL, **options}), data, data, settings, told.append)
    with torch.no_grad():
        return told[0].losses, method(batch)


@pytest.fixture(scope="module")
def whole(spec, labelled):
    return {name: _trained(name, {}, spec, labelled) for name in ABLATIONS}


@pytest.mark.parametrize(("name", "title"), ROWS)
def test_every_row_is_accepted_and_changes_what_is_learnt(name, title, spec, labelled, whole):
    options = ABLATIONS[name][title]
    assert checked_options(name, options) != checked_options(name)
    _, logits = _trained(name, options, spec, labelled)
    _, usual = whole[name]
    assert torch.isfinite(logits).all()
    assert not torch.allclose(logits, usual, atol=1e-4)


LEFT_OUT = {
    "without discriminant loss": {"modality"},
    "without contrastive loss": {"contrastive"},
    "without auxiliary loss": {"auxiliary"},
    "without distillation": {"individual_kl", "missing_kl", "partial_kl"},
    "without ground-truth term": {"individual_ce", "missing_ce", "partial_ce"},
    "without both of these": {
        "individual_kl", "missing_kl", "partial_kl", "individual_ce", "missing_ce", "partial_ce"
    },
    "without individual students": {"individual_ce", "individual_kl"},
    "without partial students": {"partial_ce", "partial_kl"},
}  # fmt: skip


@pytest.mark.parametrize(("name", "title"), [row for row in ROWS if row[1] in LEFT_OUT])
def test_a_row_leaves_out_the_terms_it_names_and_no_others(name, title, spec, labelled, whole):
    losses, _ = _trained(name, ABLATIONS[name][title], spec, labelled)
    full, _ = whole[name]
    gone = full.keys() - losses.keys()
    assert gone == LEFT_OUT[title] & full.keys() and gone and not losses.keys() - full.keys()


def test_rows_are_of_known_methods_and_differ_from_each_other():
    assert ABLATIONS.keys() <= METHODS.keys()
    for name, rows in ABLATIONS.items():
        made = [checked_options(name, options) for options in rows.values()]
        assert len({repr(options) for options in made}) == len(made)


@pytest.mark.parametrize("name", ["mdico", "comiss"])
def test_one_encoder_feeds_the_classifier_and_both_losses_on_features(name, spec, labelled):
    batch, y = labelled
    method = new_method(name, spec, {**SMALL, **ABLATIONS[name]["without shared/specific split"]})
    outputs = method.outputs(batch)
    for found, branch in zip(outputs.features, method.branches.values(), strict=True):
        assert found.specific is found.shared and found.unused is None
        assert found.specific.shape[1] == branch.head.in_features == method.discriminator.in_features
    for term in ("modality", "contrastive"):
        method.zero_grad()
        method.feature_losses(method.outputs(batch), y)[term].backward()
        assert all(p.grad.any() for key, p in method.named_parameters() if "encoder.dense.4.w" in key)


def test_one_encoder_has_half_the_weights(spec):
    pair, one = (new_method("comiss", spec, {"encoders": kind}) for kind in ("pair", "one"))
    sizes = [sum(p.numel() for p in method.branches.parameters()) for method in (pair, one)]
    assert 0.45 < sizes[1] / sizes[0] < 0.55


def test_a_running_mean_of_the_weights_does_not_stop_a_training_of_few_steps(spec, labelled):
    """One batch an epoch: a mean that remembers its first weights would look like no progress."""
    batch, y = labelled
    data = Labelled(batch, y)
    settings = Settings(epochs=60, batch_size=len(y))
    scores = {}
    for average in (0.98, 0.0):
        options = {**SMALL, "average": average}
        method, _ = fit(lambda o=options: new_method("comiss+", spec, o), data, data, settings)
        with torch.no_grad():
            scores[average] = float((method(batch).argmax(1) == y).float().mean())
    assert scores[0.98] > scores[0.0] - 0.05
