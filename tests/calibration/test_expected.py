"""Expected accuracy is how often rows are right, given pattern, valid steps and class, and nothing else."""

import numpy as np
import pytest
from calibration.conftest import views_of

from geocomiss.calibration.expected import Accuracy, _Model, fit_accuracy, lost
from geocomiss.modalities import MODALITIES

NAMES = tuple(MODALITIES)


def made(number=6000, seed=0, patterns=(15, 14, 3, 2)):
    """Rows whose chance of being right depends on radar steps, pattern and class; class 2 is hard."""
    rng = np.random.default_rng(seed)
    pattern, written = rng.choice(patterns, number), rng.integers(0, 3, number)
    member = (pattern[:, None] & np.array([1, 2, 4, 8])) > 0
    steps = rng.integers(1, 13, (number, 4)) / 12 * member
    steps[:, 3] = member[:, 3]
    odds = 1.5 + 2.0 * np.where(steps[:, 1] > 0, steps[:, 1] - 1, 0) - 1.5 * (written == 2)
    odds += np.where(member[:, 0], 0.7, -0.3)
    chance = 1 / (1 + np.exp(-odds))
    y = np.where(rng.random(number) < chance, written, (written + 1) % 3)
    return views_of(np.eye(3)[written] * 5.0, y, pattern, steps), chance


def test_many_rows_find_the_chances():
    views, chance = made()
    found = fit_accuracy(views, np.ones(len(views)), NAMES)
    stated = found.probability(views.pattern, views.written, views.steps)
    assert np.abs(stated - chance).mean() < 0.02 and np.abs(stated - chance).max() < 0.1


def test_the_slope_is_that_of_the_objective():
    views, _ = made(200)
    rng = np.random.default_rng(1)
    model = _Model(views, rng.uniform(0.2, 1, 200), NAMES)
    point = rng.normal(0, 0.3, len(model.variance))
    slope = model.objective(point)[1]
    for place in rng.choice(len(point), 40, replace=False):
        step = np.zeros(len(point))
        step[place] = 1e-5
        numeric = (model.objective(point + step)[0] - model.objective(point - step)[0]) / 2e-5
        assert slope[place] == pytest.approx(numeric, abs=1e-4)


def test_the_objective_equals_the_slow_way():
    views, _ = made(50)
    model = _Model(views, np.full(50, 0.5), NAMES)
    point = np.random.default_rng(2).normal(0, 0.3, len(model.variance))
    total = sum(value**2 / (2 * variance) for value, variance in zip(point, model.variance, strict=True))
    chances = model.accuracy(point).probability(views.pattern, views.written, views.steps)
    for chance, right in zip(chances, views.right, strict=True):
        total -= 0.5 * np.log(chance if right else 1 - chance)
    assert model.objective(point)[0] == pytest.approx(total)


def test_it_does_not_look_at_how_sure_the_network_is():
    views, _ = made(500)
    louder = views_of(views.logits * 40, views.y, views.pattern, views.steps)
    one, two = (fit_accuracy(each, np.ones(500), NAMES) for each in (views, louder))
    assert np.array_equal(one.right, two.right) and np.array_equal(one.steps, two.steps)


def test_a_pattern_never_seen_is_taken_to_be_as_its_modalities_are():
    views, _ = made(patterns=(15, 14, 3, 2, 7))
    found = fit_accuracy(views, np.ones(len(views)), NAMES)
    every = np.ones((1, 4))
    never = found.probability(np.array([6]), np.array([0]), every * [0, 1, 1, 0])
    near = found.probability(np.array([14]), np.array([0]), every * [0, 1, 1, 1])
    assert never == pytest.approx(near, abs=0.1)  # terrain, which they differ by, changes nothing here


def test_a_class_that_is_seldom_written_is_drawn_to_the_others():
    views, _ = made(3000)
    few = np.isin(np.arange(3000), np.flatnonzero(views.written == 2)[3:], invert=True)
    found = fit_accuracy(views[few], np.ones(int(few.sum())), NAMES)
    full = fit_accuracy(views, np.ones(len(views)), NAMES)
    assert found.right[15, 2] > full.right[15, 2]
    assert found.right[15, 2] < found.right[15, :2].max() + 0.5


def test_all_steps_and_missing_modalities_change_nothing():
    assert np.array_equal(lost(np.array([[1.0, 0.25, 0.0]])), [[0.0, -0.75, 0.0]])
    flat = Accuracy(np.zeros((16, 2)), np.ones((16, 4)))
    found = flat.probability(np.array([1]), np.array([0]), np.array([[0.5, 0, 0, 0]]))
    assert found == pytest.approx(1 / (1 + np.exp(0.5)))
