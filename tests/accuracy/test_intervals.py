"""Intervals: what they contain, and how often."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from geocomiss.accuracy.intervals import cautious, coverage, factor, heaviest, normal

Shares = st.floats(0.0001, 0.9999)


@given(Shares, st.floats(0.0001, 0.2), st.floats(0, 0.1), st.floats(0, 0.1))
def test_the_cautious_interval_holds_the_estimate_and_mirrors(
    share: float, se: float, more: float, less: float
) -> None:
    value, error, up, down = (np.array([each]) for each in (share, se, more, less))
    one, other = cautious(value, error, up, down), cautious(1 - value, error, down, up)
    assert 0 <= one.low[0] <= one.high[0] <= 1
    assert one.low[0] == pytest.approx(1 - other.high[0], abs=1e-6)
    if se < min(share, 1 - share) / 3:  # beyond it, distributions are so skew that a mean is no middle
        assert one.low[0] < share < one.high[0]


def test_nothing_found_is_not_nothing_there() -> None:
    found = cautious(np.zeros(1), np.zeros(1), np.array([0.01]), np.zeros(1))
    assert found.low[0] == 0
    assert 0.02 < found.high[0] < 0.05  # one point of 100, and what a single point can hide


def test_a_missing_point_counts_where_it_weighs_most() -> None:
    point = np.array([0.002, 0.01, 0.004])
    more, less = heaviest(point, np.array([[0.9, 0.0, 0.0], [0.1, 0.9, 0.6], [0.0, 0.1, 0.2]]))
    assert more.tolist() == [0.01, 0.002, 0.01]
    assert less.tolist() == [0.002, 0.01, 0]


def test_the_normal_interval_stays_within_the_area() -> None:
    found = normal(np.array([0.01, 0.99]), np.array([0.02, 0.02]))
    assert found.low.tolist() == [0, pytest.approx(0.9508)]
    assert found.high.tolist() == [pytest.approx(0.0492), 1]


def test_few_clusters_take_students_t() -> None:
    assert factor(None) == 1.96
    assert factor(4) == pytest.approx(2.776, abs=1e-3)


def test_simulated_coverage_finds_the_class_whose_interval_is_too_short() -> None:
    # as in the simulations of Olofsson et al.'s interval: 3 % and 30 % of the area, 500 points
    rare = coverage(np.array([[45, 5], [2, 448]]), np.array([3.0, 97.0]))
    common = coverage(np.array([[135, 15], [17, 333]]), np.array([30.0, 70.0]))
    assert rare.normal[0] < 0.93 <= rare.cautious[0]
    assert 0.93 <= common.normal[0] <= 0.97
