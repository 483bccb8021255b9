"""Intervals and p-values from a bootstrap: bias-corrected and accelerated (BCa).

In a resample of spatial groups a class may have few samples or none, which pulls every score, and so
every difference, towards 0; plain percentiles would pass that on. The correction moves the percentiles
by how far the resamples lie to one side of the estimate, and by how much single groups weigh.
Source: Efron 1987; DiCiccio and Efron 1996, section 2.

B resamples, G groups.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.stats import norm


@dataclass(frozen=True)
class Bootstrap:
    """A statistic, and what it is on resamples."""

    estimate: float
    """On all samples."""
    draws: NDArray[np.float64]
    """(B,) on the resamples."""
    left_out: NDArray[np.float64]
    """(G,) without each group in turn."""

    @property
    def bias(self) -> float:
        """z0, the normal quantile of the share of resamples below the estimate; ties count half."""
        return float(norm.ppf(self._share_below(self.estimate)))

    @property
    def acceleration(self) -> float:
        """A = sum d^3 / (6 (sum d^2)^1.5) with d the mean of `left_out` less each of them."""
        d = self.left_out.mean() - self.left_out
        spread = float((d**2).sum()) ** 1.5
        return float((d**3).sum()) / (6 * spread) if spread > 0 else 0.0

    def interval(self, level: float) -> tuple[float, float]:
        """Lower and upper end.

        Args:
            level: Share of repetitions in which the interval is to hold the truth, 0.95 say.
        """
        z0, a = self.bias, self.acceleration
        z = z0 + norm.ppf([(1 - level) / 2, (1 + level) / 2])
        shares = norm.cdf(z0 + z / np.maximum(1 - a * z, 1e-6))
        low, high = np.quantile(self.draws, shares)
        return float(low), float(high)

    def p_value(self) -> float:
        """Two-sided p-value of a statistic of 0: the level at which the interval begins to hold 0.

        Never below twice the share that one resample has.
        """
        z0, a = self.bias, self.acceleration
        u = float(norm.ppf(self._share_below(0.0))) - z0
        z = np.sign(u) * np.inf if 1 + a * u <= 0 else u / (1 + a * u) - z0
        least = 2 / (len(self.draws) + 1)
        return float(min(1.0, max(least, 2 * norm.cdf(-abs(z)))))

    def _share_below(self, value: float) -> float:
        """Share of resamples below a value, kept off 0 and 1: the estimate itself counts as one."""
        below = (self.draws < value).sum() + (self.draws == value).sum() / 2
        return float((below + 0.5) / (len(self.draws) + 1))
