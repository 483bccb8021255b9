"""Confident learning: labels that contradict confident predictions of models that did not see them.

After Northcutt, Jiang, Chuang (2021), Confident Learning: Estimating Uncertainty in Dataset Labels,
JAIR 70, section 3. With out-of-fold probabilities p of N samples labelled y, the threshold of class j is

    t_j = mean of p_j over the samples labelled j,

and a sample labelled i counts in C[i, j] of the confident joint for the j of largest p_j among those with
p_j >= t_j, if any. Samples off the diagonal are suspicious. Thresholds by class make up for classes
that a model is over- or underconfident about; so class weights in training do no harm.

N samples, K classes.
"""

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

UNSURE: Final = -1
"""Of a sample about which no class is confident."""


@dataclass(frozen=True)
class Confident:
    """What confident learning says of N labels."""

    thresholds: NDArray[np.float64]
    """(K,) mean probability of each class over its own samples; NaN where it has none."""
    found: NDArray[np.int64]
    """(N,) class of which each sample confidently looks to be, or `UNSURE`."""
    joint: NDArray[np.int64]
    """(K, K) confident joint: rows the label, columns what it looks to be."""
    margin: NDArray[np.float64]
    """(N,) probability of the label less that of the most probable other class, -1..1."""
    noise: float
    """Estimated share of wrong labels, 0..1."""

    def suspicious(self, y: NDArray[np.int64]) -> NDArray[np.bool_]:
        """(N,) samples that confidently look to be of another class than their label."""
        return np.asarray((self.found != UNSURE) & (self.found != y))


def confident_learning(y: NDArray[np.int64], p: NDArray[np.float64]) -> Confident:
    """Find labels that contradict confident predictions.

    Args:
        y: (N,) labels 0..K-1.
        p: (N, K) probabilities from models that were not trained on these samples.
    """
    number, classes = p.shape
    counts = np.bincount(y, minlength=classes)
    own = p[np.arange(number), y]
    with np.errstate(invalid="ignore"):
        thresholds = np.bincount(y, own, classes) / counts  # NaN where a class has no sample
    passing = np.where(p >= thresholds, p, -np.inf)  # comparisons with NaN are False
    found = np.where(np.isfinite(passing).any(1), passing.argmax(1), UNSURE)
    joint = np.zeros((classes, classes), np.int64)
    sure = found != UNSURE
    np.add.at(joint, (y[sure], found[sure]), 1)
    others = p.copy()
    others[np.arange(number), y] = -np.inf
    return Confident(thresholds, found, joint, own - others.max(1), _noise(joint, counts))


def _noise(joint: NDArray[np.int64], counts: NDArray[np.int64]) -> float:
    """Share of wrong labels, the rows of the joint brought to the number of samples of each label."""
    rows = joint.sum(1)
    right = np.divide(np.diag(joint), rows, out=np.ones(len(rows)), where=rows > 0)
    return float((counts * (1 - right)).sum() / max(counts.sum(), 1))
