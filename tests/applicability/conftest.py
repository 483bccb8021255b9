"""The toy world, in which every band counts, and a small network of it."""

import numpy as np
import pytest
import torch
from learning import conftest

from geocomiss.applicability import learn_applicability
from geocomiss.methods import new_method

labelled, spec, world = conftest.labelled, conftest.spec, conftest.world


@pytest.fixture(scope="session")
def group():
    """Six spatial groups of 20 samples."""
    return np.array([f"cell {row % 6}" for row in range(120)])


@pytest.fixture(scope="session")
def method(spec, labelled):
    torch.manual_seed(0)
    method = new_method("comiss", spec, {"preset": "small"})
    method.fit_normalisation(labelled[0])
    return method.eval()


@pytest.fixture(scope="session")
def known(method, labelled, group):
    return learn_applicability(method, labelled[0], group)
