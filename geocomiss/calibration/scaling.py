"""Temperature and bias per pattern of modalities, each drawn towards one fit of all patterns.

Calibrated logits are z' = z / T_s + b_s for pattern s (Guo et al. 2017, "On calibration of modern neural
networks", section 4.2, with a bias per class and one temperature). A pattern's T_s and b_s are the most
probable under

    sum_n log softmax(z_n / T_s + b_s)[y_n] - (T_0 / T_s - 1)^2 / (2 t^2) - |b_s - b_0|^2 / (2 u^2)

with t and u of `SPREADS`: with many samples the first term decides, with none
T_s = T_0 and b_s = b_0. T_0 and b_0 are fitted in the same way to all patterns together, each sample
counted once, and are drawn towards 1 and towards -log w_c, which undoes the class weights w of training.
The spreads were chosen on the simulated world alone (100, 250 and 600 samples, four draws each; mean log loss
over the patterns with 250: 0.776 as the network says it, 0.771 with one fit for all patterns, 0.748 as here).

R rows, K classes.
"""

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize
from scipy.special import log_softmax

from geocomiss.calibration.views import Views

Floats = NDArray[np.float64]

SPREADS: Final = (0.3, 0.15)
"""How far 1 / T of a pattern (relative to it) and its biases (log-odds) lie from those of all patterns:
standard deviations t and u."""
FIRST_SPREADS: Final = (0.5, 0.3)
"""The same for the fit of all patterns, around no change but undone class weights."""
LEAST: Final = -0.95
"""Lowest relative change of 1 / T: a temperature stays positive."""


@dataclass(frozen=True)
class Scaling:
    """z' = z / temperature + bias."""

    temperature: float
    """T, above 0."""
    bias: Floats
    """(K,) per class."""

    def logits(self, logits: Floats) -> Floats:
        """Calibrated logits (R, K)."""
        return logits / self.temperature + self.bias


def unweighted(class_weight: Floats) -> Scaling:
    """What undoes class weights (K,): a network trained with them says p_c w_c, renormalised.

    A class that was never trained on has weight 0; it is taken to be as rare as the rarest.
    """
    known = np.where(class_weight > 0, class_weight, class_weight.max())
    bias = -np.log(known)
    return Scaling(1.0, bias - bias.mean())


def fit_scalings(views: Views, codes: tuple[int, ...], class_weight: Floats) -> dict[int, Scaling]:
    """A scaling of each pattern, by its bits.

    Args:
        views: Every sample under every pattern, see `pattern_views`.
        codes: Bits of the patterns wanted.
        class_weight: (K,) weights of the classes in training.
    """
    counts = np.bincount(views.sample)
    once = 1 / counts[views.sample]
    first = fit_scaling(views.logits, views.y, once, unweighted(class_weight), FIRST_SPREADS)
    found = {}
    for code in codes:
        part = views[views.pattern == code]
        found[code] = fit_scaling(part.logits, part.y, np.ones(len(part)), first, SPREADS)
    return found


def fit_scaling(
    logits: Floats, y: NDArray[np.int64], weight: Floats, centre: Scaling, spreads: tuple[float, float]
) -> Scaling:
    """The most probable scaling of rows, drawn towards `centre`; the problem is convex.

    Args:
        logits: (R, K).
        y: (R,) true classes.
        weight: (R,) how much each row counts.
        centre: What it is without any row.
        spreads: Of 1 / T, relative, and of biases.
    """

    def objective(change: Floats) -> tuple[float, Floats]:
        scaled = logits * ((1 + change[0]) / centre.temperature) + centre.bias + change[1:]
        logs = log_softmax(scaled, axis=1)
        apart = np.exp(logs)
        apart[rows, y] -= 1
        apart *= weight[:, None]  # (R, K) derivative by the scaled logits
        slope = np.concatenate([[(apart * logits).sum() / centre.temperature], apart.sum(0)])
        value = -(weight * logs[rows, y]).sum() + (change**2 / (2 * variance)).sum()
        return float(value), slope + change / variance

    rows = np.arange(len(y))
    variance = np.array([spreads[0] ** 2, *[spreads[1] ** 2] * logits.shape[1]])
    bounds = [(LEAST, None), *[(None, None)] * logits.shape[1]]
    change = minimize(objective, np.zeros(len(variance)), jac=True, method="L-BFGS-B", bounds=bounds).x
    bias = centre.bias + change[1:]
    return Scaling(float(centre.temperature / (1 + change[0])), bias - bias.mean())
