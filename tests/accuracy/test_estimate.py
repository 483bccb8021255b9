"""The estimator equals formulas in loops, all possible samples, and what it must be in special cases."""

from itertools import combinations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from geocomiss.accuracy.estimate import Drawn, ratios, weigh

Seeds = st.integers(0, 10_000)


def drawn_of(
    stratum: NDArray[np.int64], pixels: NDArray[np.int64], cluster: NDArray[np.int64] | None = None
) -> Drawn:
    n = np.bincount(stratum, minlength=len(pixels))
    weight = weigh(stratum, pixels.astype(float), np.ones(len(stratum)))
    cluster = np.arange(len(stratum)) if cluster is None else cluster
    return Drawn(stratum, cluster, weight, n / pixels)


def slow_ratio(
    stratum: NDArray[np.int64], pixels: NDArray[np.int64], y: NDArray[np.int64], x: NDArray[np.int64]
) -> tuple[float, float]:
    """Stehman (2014), equations 27 and 28, in loops."""
    top = bottom = 0.0
    for h, size in enumerate(pixels):
        top += size * y[stratum == h].mean()
        bottom += size * x[stratum == h].mean()
    ratio, variance = top / bottom, 0.0
    for h, size in enumerate(pixels):
        here, n = stratum == h, int((stratum == h).sum())
        s = np.cov(np.stack([y[here], x[here]]))
        spread = s[0, 0] + ratio**2 * s[1, 1] - 2 * ratio * s[0, 1]
        variance += size**2 * (1 - n / size) * spread / n
    return ratio, max(variance, 0) ** 0.5 / bottom


@given(Seeds)
def test_it_equals_the_formulas_of_stehman(seed: int) -> None:
    rng = np.random.default_rng(seed)
    strata = int(rng.integers(1, 5))
    stratum = np.repeat(np.arange(strata), rng.integers(2, 12, strata))
    pixels = rng.integers(50, 5000, strata)
    x = (rng.random(len(stratum)) < 0.7).astype(int)
    x[0] = 1
    y = x * (rng.random(len(stratum)) < 0.8)
    found = ratios(drawn_of(stratum, pixels), y[:, None], x[:, None])
    value, se = slow_ratio(stratum, pixels, y, x)
    assert found.value[0] == pytest.approx(value)
    assert found.se[0] == pytest.approx(se, abs=1e-12)


def test_shares_and_their_variances_are_unbiased_over_all_possible_samples() -> None:
    population = {0: np.array([1, 0, 0, 1, 0]), 1: np.array([0, 0, 1, 0])}
    pixels = np.array([5, 4])
    truth = sum(each.sum() for each in population.values()) / 9
    shares, variances = [], []
    for one in combinations(population[0], 3):
        for other in combinations(population[1], 2):
            y = np.array([*one, *other])[:, None]
            found = ratios(drawn_of(np.array([0, 0, 0, 1, 1]), pixels), y, np.ones_like(y))
            shares.append(found.value[0])
            variances.append(found.se[0] ** 2)
    assert np.mean(shares) == pytest.approx(truth)
    assert np.mean(variances) == pytest.approx(np.var(shares))


def test_clusters_of_equal_size_are_compared_as_wholes() -> None:
    rng = np.random.default_rng(0)
    cluster = np.repeat(np.arange(12), 5)
    y = (rng.random(60) < np.repeat(rng.random(12), 5)).astype(int)
    whole = Drawn(np.zeros(60, int), cluster, np.full(60, 2.0), np.zeros(1))
    found = ratios(whole, y[:, None], np.ones((60, 1)))
    means = y.reshape(12, 5).mean(1)
    assert found.value[0] == pytest.approx(means.mean())
    assert found.se[0] == pytest.approx(means.std(ddof=1) / 12**0.5)


def test_a_stratum_of_one_point_borrows_the_overall_mean() -> None:
    stratum = np.array([0, 0, 0, 1])
    y = np.array([1, 0, 1, 0])[:, None]
    found = ratios(drawn_of(stratum, np.array([100, 100])), y, np.ones_like(y))
    share = 0.5 * 2 / 3
    inside = 0.97 * (1 / 3) / 3 / 4  # (1 - f) s^2 / n W^2
    alone = 0.99 * 0.25 * share**2
    assert found.value[0] == pytest.approx(share)
    assert found.se[0] == pytest.approx((inside + alone) ** 0.5)


def test_weights_add_up_to_the_strata_whatever_the_pixels_and_probabilities() -> None:
    rng = np.random.default_rng(0)
    stratum = rng.integers(0, 3, 40)
    hectares = np.array([10.0, 200.0, 3000.0])
    weight = weigh(stratum, hectares, rng.uniform(0.9, 1.1, 40), rng.uniform(0.01, 0.5, 40))
    assert np.bincount(stratum, weight) == pytest.approx(hectares)


def test_what_was_never_drawn_is_not_a_number() -> None:
    found = ratios(drawn_of(np.zeros(5, int), np.array([50])), np.zeros((5, 1)), np.zeros((5, 1)))
    assert np.isnan(found.value[0]) and np.isnan(found.se[0])
