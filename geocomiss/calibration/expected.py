"""Expected accuracy: how often a class is right where it is written, given what a pixel has.

    log-odds(right) = a + sum_m a_m + a_s + r_c + r_sc + sum_m (h_m + h_sm) (v_m - 1)

for pattern s, written class c, and the share v_m of valid steps of each modality m of the pattern that
changes over time (1: all of them). The confidence of the pixel itself takes no part. All coefficients but
the first are drawn towards 0 with the standard deviations below, which is the most probable value under
normal laws: a pattern with few rows is as its modalities are elsewhere (a_m), a class with few rows in a
pattern as it is in others (r_c), and valid steps matter as they do in all patterns (h_m).

R rows, K classes, M modalities.
"""

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize
from scipy.special import expit

from geocomiss.calibration.views import Views
from geocomiss.modalities import MODALITIES

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

WIDE: Final = 3.0
"""Standard deviation of what hardly needs to be drawn anywhere: the level, and modalities, log-odds."""
SPREADS: Final = {"modality": WIDE, "pattern": 0.5, "class": 0.5, "both": 0.5, "step": 3.0, "steps": 0.6}
"""Standard deviations of a_m, a_s, r_c, r_sc, h_m and h_sm in log-odds, chosen on the simulated world."""
CODES: Final = 1 << len(MODALITIES)
"""Patterns by bits, 0 with nothing available."""


@dataclass(frozen=True)
class Accuracy:
    """The fitted log-odds."""

    right: Floats
    """(CODES, K) with every step valid."""
    steps: Floats
    """(CODES, M) what they fall by from all to none of the steps of a modality valid."""

    def probability(self, pattern: Ints, written: Ints, steps: Floats) -> Floats:
        """Probability (R,) of being right.

        Args:
            pattern: (R,) available modalities as bits.
            written: (R,) class written.
            steps: (R, M) share of valid steps, 0 where a modality is not available.
        """
        odds = self.right[pattern, written] + (self.steps[pattern] * lost(steps)).sum(1)
        return np.asarray(expit(odds))


def lost(steps: Floats) -> Floats:
    """Minus the share of steps that are not valid (R, M); 0 where a modality is not available."""
    return np.asarray(np.where(steps > 0, steps - 1, 0.0))


def fit_accuracy(views: Views, weight: Floats, modalities: tuple[str, ...]) -> Accuracy:
    """Fit the log-odds to rows that did not train the network; the problem is convex.

    Args:
        views: R rows, with and without gaps in time.
        weight: (R,) how much each counts.
        modalities: The M of the model.
    """
    model = _Model(views, weight, modalities)
    start = np.zeros(len(model.variance))
    found = minimize(model.objective, start, jac=True, method="L-BFGS-B", options={"maxiter": 500}).x
    return model.accuracy(found)


class _Model:
    """The logistic regression; parameters lie one after the other in a vector."""

    def __init__(self, views: Views, weight: Floats, modalities: tuple[str, ...]) -> None:
        number, classes = len(modalities), views.logits.shape[1]
        self.shape, self.weight, self.views = (CODES, classes, number), weight, views
        self.lost = lost(views.steps)
        bits = np.array([MODALITIES[name].bit for name in modalities])
        self.member = (np.arange(CODES)[:, None] & bits > 0).astype(np.float64)  # (CODES, M)
        self.cell = views.pattern * classes + views.written
        sizes = {"level": 1, "modality": number, "pattern": CODES, "class": classes}
        sizes |= {"both": CODES * classes, "step": number, "steps": CODES * number}
        self.parts, stop = {}, 0
        for name, size in sizes.items():
            self.parts[name], stop = slice(stop, stop + size), stop + size
        spreads = {"level": WIDE} | SPREADS
        self.variance = np.concatenate([np.full(sizes[name], spreads[name] ** 2) for name in sizes])

    def accuracy(self, parameters: Floats) -> Accuracy:
        part = {name: parameters[where] for name, where in self.parts.items()}
        pattern = part["level"] + self.member @ part["modality"] + part["pattern"]
        codes, classes, number = self.shape
        right = pattern[:, None] + part["class"] + part["both"].reshape(codes, classes)
        return Accuracy(right, part["step"] + part["steps"].reshape(codes, number))

    def objective(self, parameters: Floats) -> tuple[float, Floats]:
        views, codes = self.views, self.shape[0]
        now = self.accuracy(parameters)
        odds = now.right.ravel()[self.cell] + (now.steps[views.pattern] * self.lost).sum(1)
        losses = np.logaddexp(0, np.where(views.right, -odds, odds))
        apart = self.weight * (expit(odds) - views.right)  # (R,)
        cells = np.bincount(self.cell, apart, minlength=now.right.size).reshape(now.right.shape)
        steps = np.stack(
            [np.bincount(views.pattern, apart * column, minlength=codes) for column in self.lost.T], 1
        )
        patterns = cells.sum(1)
        slopes = [[patterns.sum()], patterns @ self.member, patterns, cells.sum(0), cells.ravel()]
        slope = np.concatenate([*slopes, steps.sum(0), steps.ravel()])
        value = (self.weight * losses).sum() + (parameters**2 / (2 * self.variance)).sum()
        return float(value), slope + parameters / self.variance
