"""95 % intervals hold as often as they say, on fields of the simulated world (small version).

The whole one, of a map that the shipped model made, is `tests/benchmarks/test_coverage.py`.
"""

import numpy as np
import pytest
from affine import Affine
from odc.geo.geobox import GeoBox
from repeated import Held, coverage_over

from geocomiss.accuracy.allocation import allocate
from geocomiss.simulation import World

REPETITIONS = 300


@pytest.fixture(scope="module")
def held() -> Held:
    grid = GeoBox((300, 300), Affine(10, 0, 653640, 0, -10, 5524520), "EPSG:32632")
    truth = World(0).true_class(grid).astype(np.int64).ravel() - 1
    rng = np.random.default_rng(0)
    wrong = rng.random(truth.size) < 0.12
    mapped = np.where(wrong, rng.permutation(truth), truth)
    present = np.unique(mapped)
    mapped, truth = np.searchsorted(present, mapped), np.searchsorted(present, truth)
    pixels = np.bincount(mapped)
    points = allocate(600, pixels, pixels / pixels.sum(), 50)
    return coverage_over(truth, mapped, points, REPETITIONS)


def test_normal_intervals_of_common_classes_hold(held: Held) -> None:
    common = held.share >= 0.1
    assert common.sum() >= 3
    assert (held.normal[common] > 0.91).all() and (held.normal[common] < 0.985).all()  # 3 sigma of 300
    assert 0.91 < held.overall < 0.985


def test_cautious_intervals_hold_for_every_class(held: Held) -> None:
    assert (held.cautious > 0.92).all()


def test_areas_are_unbiased(held: Held) -> None:
    assert np.abs(held.bias).max() < 4
