"""Folds: each sample once, neighbours together, bad choices said."""

from dataclasses import replace

import numpy as np
import pytest

from geocomiss.benchmarking.folds import folds_of
from geocomiss.errors import SampleError
from geocomiss.recipes import RECIPES
from geocomiss.samples.simulated import simulated_samples


@pytest.fixture(scope="module")
def samples():
    return simulated_samples(300, 0, RECIPES["monthly-l2a"])


@pytest.fixture(scope="module")
def y(samples):
    return np.unique(samples.labels, return_inverse=True)[1]


@pytest.mark.parametrize("number", [2, 3, 5])
def test_spatial_folds_keep_groups_whole_and_are_about_equal(samples, y, number):
    folds = folds_of(samples, y, "spatial", number)
    for group in np.unique(samples.group):
        assert len(set(folds[samples.group == group])) == 1
    sizes = np.unique(folds, return_counts=True)[1]
    assert len(sizes) == number
    assert sizes.max() < 2 * len(y) / number
    assert (folds == folds_of(samples, y, "spatial", number)).all()


@pytest.mark.parametrize("sizes", [[50, 10, 10, 10, 10], [90, 3, 3, 2, 2], [2, 2, 3, 3, 290], [20] * 15])
@pytest.mark.parametrize("number", [2, 4, 5])
def test_every_spatial_fold_gets_a_group_however_unequal_they_are(samples, y, sizes, number):
    group = np.repeat([f"g{i}" for i in range(len(sizes))], sizes)
    part = replace(samples.take(np.arange(len(group))), group=group)
    folds = folds_of(part, y[: len(group)], "spatial", number)
    names, counts = np.unique(folds, return_counts=True)
    assert len(names) == number
    assert counts.max() <= max(max(sizes), 2 * len(group) / number)


def test_five_spatial_folds_where_no_number_is_given(samples, y):
    assert len(set(folds_of(samples, y, "spatial", None))) == 5


def test_random_folds_are_those_of_the_authors(samples, y):
    folds = folds_of(samples, y, "random", None)
    order = list(range(len(y)))
    np.random.RandomState(10).shuffle(order)  # as their code: a list, one seed, ten parts
    for fold, part in enumerate(np.array_split(order, 10)):
        assert set(np.flatnonzero(folds == str(fold))) == set(part)


def test_folds_of_a_column(samples, y):
    assert set(folds_of(samples, y, "hemisphere", None)) == {"north", "south"}


@pytest.mark.parametrize(
    ("kind", "number", "words"),
    [
        ("nowhere", None, "no column 'nowhere'.*hemisphere"),
        ("hemisphere", 3, "a number of folds, 3, beside the column"),
        ("spatial", 90, "spatial groups.*at least 90"),
    ],
)
def test_bad_folds_are_said(samples, y, kind, number, words):
    with pytest.raises(SampleError, match=words):
        folds_of(samples, y, kind, number)


@pytest.mark.parametrize(
    ("column", "words"),
    [
        (lambda n: np.zeros(n), "1 folds by own"),
        (lambda n: np.arange(n), "300 folds by own"),
        (lambda n: np.arange(n) == 5, "folds of one sample"),
        (lambda n: np.where(np.arange(n) < 3, np.nan, np.arange(n) % 2), "3 of 300 samples have no value"),
        (lambda n: np.where(np.arange(n) < 4, "", "north"), "4 of 300 samples have no value"),
    ],
)
def test_a_useless_column_is_said(samples, y, column, words):
    own = replace(samples, columns={"own": column(len(y))})
    with pytest.raises(SampleError, match=words):
        folds_of(own, y, "own", None)
