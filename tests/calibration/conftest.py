"""Made-up calibrations and rows whose true probabilities are known."""

import numpy as np
import pytest

from geocomiss.calibration import Calibration, PatternCalibration
from geocomiss.calibration.stored import dynamic, key_of
from geocomiss.calibration.views import Views
from geocomiss.modalities import MODALITIES, patterns


def softmax(logits):
    parts = np.exp(logits - logits.max(1, keepdims=True))
    return parts / parts.sum(1, keepdims=True)


def drawn(rng, probability):
    """A class per row, drawn by its probabilities (R, K)."""
    return (probability.cumsum(1) < rng.random((len(probability), 1))).sum(1)


def views_of(logits, y, pattern, steps=None):
    """Rows of as many samples."""
    steps = np.ones((len(y), 4)) if steps is None else steps
    return Views(logits, y, np.broadcast_to(pattern, len(y)).copy(), steps, np.arange(len(y)))


@pytest.fixture
def known() -> Calibration:
    """A calibration of three classes with other numbers in each pattern."""
    rng = np.random.default_rng(8)
    parts = {}
    for names in patterns(tuple(MODALITIES)):
        key = key_of(names)
        bias = rng.normal(size=3)
        parts[key] = PatternCalibration(
            n=10,
            temperature=float(rng.uniform(0.5, 3)),
            bias=tuple((bias - bias.mean()).round(5).tolist()),
            right=tuple(rng.normal(size=3).round(5).tolist()),
            steps={name: round(float(rng.uniform(0, 1)), 5) for name in dynamic(key)},
        )
    return Calibration(samples="made up", n=10, shares=(0.5, 0.3, 0.2), patterns=parts)
