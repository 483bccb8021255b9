"""Temperature and bias are found again, shrink where rows are few, and undo class weights."""

import numpy as np
import pytest
from calibration.conftest import drawn, softmax, views_of
from hypothesis import given
from hypothesis import strategies as st

from geocomiss.calibration import calibration_error, reliability
from geocomiss.calibration.scaling import Scaling, fit_scaling, fit_scalings, unweighted

SPREADS = (0.3, 0.3)
NOTHING = Scaling(1.0, np.zeros(4))


def rows(number, truth, seed=0):
    """Logits, and classes drawn by what `truth` makes of them."""
    rng = np.random.default_rng(seed)
    logits = rng.normal(0, 2, (number, 4))
    return logits, drawn(rng, softmax(truth.logits(logits)))


def objective(scaling, centre, logits, y, weight, spreads):
    """The log posterior of the module's docstring, row by row."""
    total = 0.0
    for row in range(len(y)):
        z = [logits[row, k] / scaling.temperature + scaling.bias[k] for k in range(4)]
        total += weight[row] * (z[y[row]] - np.log(sum(np.exp(z))))
    total -= (centre.temperature / scaling.temperature - 1) ** 2 / (2 * spreads[0] ** 2)
    return total - sum((scaling.bias - centre.bias) ** 2) / (2 * spreads[1] ** 2)


def test_many_rows_find_temperature_and_bias():
    truth = Scaling(2.5, np.array([0.9, -0.3, 0.2, -0.8]))
    logits, y = rows(20000, truth)
    found = fit_scaling(logits, y, np.ones(len(y)), NOTHING, SPREADS)
    assert found.temperature == pytest.approx(2.5, rel=0.05)
    assert found.bias == pytest.approx(truth.bias, abs=0.08)


def test_no_rows_leave_the_centre_and_few_lie_between():
    truth, centre = Scaling(3.0, np.array([1.5, -0.5, -0.5, -0.5])), Scaling(1.2, np.array([0.1, 0, 0, -0.1]))
    distances = []
    for number in (0, 10, 100, 5000):
        logits, y = rows(number, truth)
        found = fit_scaling(logits, y, np.ones(number), centre, SPREADS)
        distances.append(abs(found.temperature - 3.0))
    assert distances == sorted(distances, reverse=True) and distances[0] == pytest.approx(1.8)


@pytest.mark.parametrize("number", [3, 60])
def test_it_is_the_most_probable_one(number):
    centre, rng = Scaling(1.3, np.array([0.2, -0.1, 0.0, -0.1])), np.random.default_rng(1)
    logits, y = rows(number, Scaling(2.0, np.array([0.5, 0, 0, -0.5])))
    weight = rng.uniform(0.1, 1, number)
    found = fit_scaling(logits, y, weight, centre, SPREADS)
    best = objective(found, centre, logits, y, weight, SPREADS)
    for _ in range(30):
        other = Scaling(found.temperature * np.exp(rng.normal(0, 0.05)), found.bias + rng.normal(0, 0.05, 4))
        assert objective(other, centre, logits, y, weight, SPREADS) < best + 1e-6


def test_class_weights_are_undone():
    rng = np.random.default_rng(2)
    share, weight = np.array([0.7, 0.2, 0.07, 0.03]), 1 / (4 * np.array([0.7, 0.2, 0.07, 0.03]))
    y = rng.choice(4, 20000, p=share)
    features = 1.5 * np.eye(4)[y] + rng.normal(size=(20000, 4))
    truth = softmax(features * 1.5 + np.log(share))  # Bayes' rule for these normal classes
    weighted = np.log(truth * weight)  # what a network says that was trained with the weights
    undone = unweighted(weight)
    assert softmax(undone.logits(weighted)) == pytest.approx(truth)
    found = fit_scaling(weighted, y, np.ones(len(y)), NOTHING, (1.0, 1.0))
    assert found.bias == pytest.approx(undone.bias, abs=0.15)
    sure = softmax(found.logits(weighted))[np.arange(len(y)), weighted.argmax(1)]
    before = softmax(weighted).max(1)
    right = weighted.argmax(1) == y
    rare = weighted.argmax(1) == 3  # the network claims it too often, and is too sure of it
    assert before[rare].mean() - right[rare].mean() > 0.15
    assert sure[rare].mean() == pytest.approx(right[rare].mean(), abs=0.05)


def test_a_class_that_was_never_trained_on_counts_as_rare():
    assert unweighted(np.array([0.5, 2.0, 0.0])).bias[2] == unweighted(np.array([0.5, 2.0, 0.0])).bias[1]


def test_patterns_have_their_own_and_empty_ones_the_common_one():
    rng = np.random.default_rng(3)
    truths = {15: Scaling(1.0, np.zeros(4)), 2: Scaling(4.0, np.zeros(4))}
    logits = rng.normal(0, 3, (4000, 4))
    pattern = np.where(np.arange(4000) % 2, 2, 15)
    probability = np.where(
        (pattern == 2)[:, None], softmax(truths[2].logits(logits)), softmax(truths[15].logits(logits))
    )
    views = views_of(logits, drawn(rng, probability), pattern)
    found = fit_scalings(views, (15, 2, 8), np.ones(4))
    assert found[15].temperature == pytest.approx(1.0, rel=0.1)
    assert found[2].temperature == pytest.approx(4.0, rel=0.25)
    assert found[15].temperature < found[8].temperature < found[2].temperature


@given(st.lists(st.tuples(st.floats(0, 1), st.booleans()), min_size=1, max_size=60))
def test_the_error_equals_the_slow_way(rows):
    stated, right = (np.array(column) for column in zip(*rows, strict=True))
    total = 0.0
    for bin_ in range(10):
        inside = [i for i in range(len(rows)) if min(int(stated[i] * 10), 9) == bin_]
        if inside:
            total += abs(sum(stated[i] - right[i] for i in inside)) / len(rows)
    assert calibration_error(stated, right) == pytest.approx(total)
    assert sum(each.n for each in reliability(stated, right)) == len(rows)


def test_without_rows_there_is_no_error():
    assert calibration_error(np.zeros(0), np.zeros(0, bool)) is None
