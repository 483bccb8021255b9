"""Every choice of every method works and is a choice; sizes are the published ones."""

from dataclasses import fields
from inspect import get_annotations
from typing import get_args, get_type_hints

import pytest
import torch

from geocomiss.batch import Spec, default_min_steps
from geocomiss.methods import METHODS, new_method
from geocomiss.methods.pretrained import PretrainedOptions
from geocomiss.modalities import MODALITIES

SMALL = {"preset": "small"}


FIXED = {"weights": ("fresh",), "size": ("tiny",)}
"""Options that are tested elsewhere: others need files, or are large (a preset goes before a size)."""


def _values(kind, option):
    """What an option of a method may be: all of a choice, three of a number."""
    hint = get_type_hints(kind.options_type)[option]
    if option == "layers":
        return (1, 2)
    if option in FIXED:
        return FIXED[option]
    if hint is bool:
        return (False, True)
    if hint is float:
        top = 1.0 if option in ("repeated", "cut") else 0.9
        return (0.1, 0.5, top)
    return get_args(hint)


def _options_of(name):
    """Those that a method adds or starts elsewhere; Co-Miss stands for all that are shared."""
    kind = METHODS[name].options_type
    own = set(get_annotations(kind))
    if name == "galileo":  # stands for what pretrained methods share
        own |= set(get_annotations(PretrainedOptions))
    public = [option.name for option in fields(kind)]
    return [o for o in public if o != "preset" and (o in own or name == "comiss")]


CHOICES = [
    (name, option, value)
    for name, kind in METHODS.items()
    for option in _options_of(name)
    for value in _values(kind, option)
]


def _made(name, spec, labelled, options):
    batch, y = labelled
    torch.manual_seed(0)
    method = new_method(name, spec, {**SMALL, **options})
    method.fit_normalisation(batch)
    method.fit_class_weights(y)
    return method


@pytest.mark.parametrize(("name", "option", "value"), CHOICES)
def test_every_choice_works(spec, labelled, name, option, value):
    batch, y = labelled
    method = _made(name, spec, labelled, {option: value})
    losses = method.loss(batch, y, torch.Generator().manual_seed(0))
    losses["total"].backward()
    method.eval()
    with torch.no_grad():
        monitored = method.monitored(batch, y)
        assert torch.equal(method(batch[:7]), method(batch)[:7])
    assert torch.isfinite(losses["total"]) and torch.isfinite(monitored)


# these change what is built, weighted, watched or kept, not the objective of balanced complete samples
BUILT = ("unused", "monitor", "class_weights", "dropout", "token_dropout", "average")
PRETRAINED = ("weights", "size", "precision", "freeze", "head_rate", "encoder_rate")
ELSEWHERE = (*BUILT, *PRETRAINED)


STILL = {"timmil": {"token_dropout": 0.0}}


def _is_choice(name, option):
    if name in ("mdico", "unimodal") and option == "fusion":
        return False  # of the prediction only
    return option not in ELSEWHERE


@pytest.mark.parametrize(("name", "option"), sorted({(n, o) for n, o, _ in CHOICES if _is_choice(n, o)}))
def test_every_choice_changes_the_objective(spec, labelled, name, option):
    batch, y = labelled
    found = []
    for value in _values(METHODS[name], option):
        method = _made(name, spec, labelled, {**STILL.get(name, {}), "dropout": 0.0, option: value})
        # the same pixel twice: only so do identical inputs occur
        twice = torch.arange(60).repeat(2)
        totals, gradients = [], []
        for seed in range(4):
            loss = method.loss(batch[twice], y[twice], torch.Generator().manual_seed(seed))["total"]
            loss.backward()
            radar = [p for key, p in method.named_parameters() if "radar" in key]
            first = (radar or list(method.parameters())[-1:])[0]
            totals.append(loss.item())
            gradients.append(first.grad.sum().item())
        found.append((*totals, *gradients))
    assert len(set(found)) == len(found)


@pytest.mark.parametrize("name", ["mdico", "unimodal"])
def test_the_mean_of_predictions_is_a_choice_at_prediction_only(spec, labelled, name):
    batch, _ = labelled
    found = [_made(name, spec, labelled, {"fusion": value}).eval() for value in ("probabilities", "logits")]
    with torch.no_grad():
        assert not torch.equal(found[0](batch), found[1](batch))
        alone = batch.keep_only(("radar",))
        one, two = (torch.softmax(method(alone), 1) for method in found)
    assert torch.allclose(one, two, atol=1e-6)


@pytest.mark.parametrize("name", ["comiss", "dsensd+"])
def test_two_classes_keep_a_gradient_under_normalised_logits(name, spec, labelled):
    # layer normalisation of two numbers gives +1 and -1, whatever they are
    batch, y = labelled
    binary = Spec(spec.bands, spec.steps, 2, spec.min_steps)
    method = new_method(name, binary, {**SMALL, "logit_norm": "layer"})
    method.fit_normalisation(batch)
    method.loss(batch, y.clamp(max=1), torch.Generator().manual_seed(1))["total"].backward()
    kernel = next(parameter for key, parameter in method.named_parameters() if "optical" in key)
    assert kernel.grad.abs().max() > 1e-5


PUBLISHED = {
    # four encoders, 3,083,008, and four heads of 18,058
    "unimodal": (3_155_240, {}),
    # encoders with layer norms of 256, one head
    "fcom-av": (3_102_090, {}),
    "dsensd": (3_155_320, {}),
    "dsensd+": (3_155_320, {}),
    # without the head of 260 that the released code builds and never uses
    "mdico": (6_206_142 - 260, {}),
    # and without the second discriminator of 260
    "comiss": (6_206_142 - 2 * 260, {"unused": "kept", "auxiliary": True}),
}


@pytest.mark.parametrize("name", PUBLISHED)
def test_the_published_size_has_the_published_number_of_parameters(name):
    bands = {key: modality.band_names for key, modality in MODALITIES.items()}
    spec = Spec(bands, 12, 10, default_min_steps(tuple(bands), 12))
    expected, options = PUBLISHED[name]
    method = new_method(name, spec, options)
    assert sum(parameter.numel() for parameter in method.parameters()) == expected


@pytest.mark.parametrize("name", METHODS)
def test_the_small_size_fits_three_megabytes(name):
    bands = {key: modality.band_names for key, modality in MODALITIES.items()}
    spec = Spec(bands, 12, 10, default_min_steps(tuple(bands), 12))
    small = new_method(name, spec, SMALL)
    assert sum(parameter.numel() for parameter in small.parameters()) * 4 < 3_000_000
