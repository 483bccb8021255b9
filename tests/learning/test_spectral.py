"""Convolutions computed at their frequencies say what convolutions say."""

from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from hypothesis import given
from hypothesis import strategies as st

from geocomiss.engine.layers import Convolution
from geocomiss.engine.spectral import (
    FEWEST,
    LONGEST,
    SpectralConvolution,
    convolutions,
    taps_at,
    transforms,
)

NUMBERS = pytest.mark.parametrize("dtype", list(LONGEST), ids=str)


def a_layer(channels=24, width=16, seed=0):
    """Weight and bias, in float64."""
    generator = torch.Generator().manual_seed(seed)
    weight = torch.randn(width, channels, 5, generator=generator, dtype=torch.float64)
    return weight / (5 * channels) ** 0.5, torch.randn(width, generator=generator, dtype=torch.float64)


def plain(x, weight, bias):
    """In float64, as torch has it."""
    return F.conv1d(x.double().transpose(1, 2), weight, bias, padding=2).relu().transpose(1, 2)


@pytest.mark.parametrize("steps", [2, 3, 4, 5, 8, 11, 12, 17, 36])
def test_the_transforms_make_a_convolution_of_products(steps):
    there, back = transforms(steps)
    taps = taps_at(there, back)
    made = np.einsum("op,pk,pi->koi", back, taps, there)
    for tap, found in enumerate(made):
        assert np.abs(found - np.eye(steps, k=tap - 2)).max() < 1e-13
    assert max(np.abs(there).max(), np.abs(back).max(), np.abs(taps).max()) <= 1
    assert len(taps) <= 1.5 * (steps + 2), "far fewer than the products of a convolution, 5 a step"


def test_taps_make_up_for_transforms_that_are_rounded():
    def error(taps):
        made = np.einsum("op,pk,pi->koi", *(back, taps, there))
        return np.linalg.norm(made - np.stack([np.eye(12, k=tap - 2) for tap in range(5)]))

    exact = transforms(12)
    there, back = (torch.from_numpy(each).bfloat16().double().numpy() for each in exact)
    assert error(taps_at(there, back)) < 0.8 * error(taps_at(*exact))


@given(st.integers(2, 36), st.integers(1, 9), st.integers(0, 2**31))
def test_it_is_the_convolution_whatever_the_steps_and_rows(steps, rows, seed):
    weight, bias = a_layer(seed=seed)
    x = torch.randn(rows, steps, 24, generator=torch.Generator().manual_seed(seed))
    wanted = plain(x, weight, bias)
    with torch.inference_mode():
        found = SpectralConvolution(weight, bias, torch.float32, steps)(x)
    assert found.shape == wanted.shape and (found >= 0).all()
    assert (found - wanted).abs().max() < 1e-4 * (1 + wanted.abs().max())


@pytest.mark.parametrize("steps", [3, 12, 36])
def test_bfloat16_rounds_it_hardly_more_than_a_convolution(steps):
    weight, bias = a_layer(128, 128)
    x = torch.randn(64, steps, 128, generator=torch.Generator().manual_seed(1)).relu()
    wanted = plain(x, weight, bias)
    with torch.inference_mode():
        layers = (SpectralConvolution(weight, bias, torch.bfloat16, steps),)
        layers += (Convolution(weight, bias, torch.bfloat16, positive=True),)
        spectral, direct = (float((layer(x).double() - wanted).square().mean().sqrt()) for layer in layers)
    assert spectral < 2 * direct < 0.01 * wanted.std()


@NUMBERS
def test_a_row_has_the_same_bits_wherever_it_stands_and_however_it_is_held(dtype):
    weight, bias = a_layer(128, 128)
    layer = SpectralConvolution(weight, bias, dtype, 12)
    x = torch.randn(512, 12, 128, generator=torch.Generator().manual_seed(1))
    order = torch.randperm(512, generator=torch.Generator().manual_seed(2))
    with torch.inference_mode():
        wanted = layer(x)
        assert (layer(x[order]) == wanted[order]).all()
        assert (layer(x.transpose(0, 1).contiguous().transpose(0, 1)) == wanted).all()


@NUMBERS
def test_threads_that_compute_at_once_do_not_disturb_each_other(dtype):
    weight, bias = a_layer(64, 64)
    shapes = [(rows, steps) for rows in (64, 512, 100) for steps in (12, 6)] * 4
    layers = {steps: SpectralConvolution(weight, bias, dtype, steps) for steps in (6, 12)}
    inputs = [torch.randn(rows, steps, 64) for rows, steps in shapes]

    def computed(x):
        with torch.inference_mode():
            return layers[x.shape[1]](x).clone()

    alone = [computed(x) for x in inputs]
    with ThreadPoolExecutor(3) as pool:
        abreast = list(pool.map(computed, inputs))
    assert all((one == other).all() for one, other in zip(alone, abreast, strict=True))


def test_what_inference_mode_leaves_can_be_written_outside_of_it():
    weight, bias = a_layer()
    x = torch.randn(3, 12, 24)
    layer = SpectralConvolution(weight, bias, torch.float32, 12)
    with torch.inference_mode():
        inside = layer(x)
    with torch.no_grad():
        assert (layer(x) == inside).all()


def test_one_result_is_not_written_over_by_the_next():
    weight, bias = a_layer()
    layer = SpectralConvolution(weight, bias, torch.float32, 12)
    with torch.inference_mode():
        results = [layer(torch.full((3, 12, 24), float(value))) for value in range(4)]
        copies = [layer(torch.full((3, 12, 24), float(value))).clone() for value in range(4)]
    assert all((one == other).all() for one, other in zip(results, copies, strict=True))
    assert all((one != other).any() for one, other in pairwise(results))


@NUMBERS
def test_each_layer_is_computed_the_faster_way(dtype):
    def kinds(width, steps):
        return [type(layer) for layer in convolutions([a_layer(width, width)] * 2, dtype, steps)]

    assert kinds(FEWEST, 12) == kinds(FEWEST, LONGEST[dtype]) == [SpectralConvolution] * 2
    assert kinds(32, 12) == kinds(FEWEST, LONGEST[dtype] + 1) == kinds(FEWEST, 1) == [Convolution] * 2


def test_elsewhere_than_on_a_processor_it_is_a_convolution(monkeypatch):
    seen = []
    monkeypatch.setattr(Convolution, "forward", lambda self, x: seen.append(x) or x)
    weight, bias = a_layer()
    SpectralConvolution(weight, bias, torch.float32, 12)(torch.empty(3, 12, 24, device="meta"))
    assert [x.device.type for x in seen] == ["meta"]
