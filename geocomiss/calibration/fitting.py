"""Calibrate a trained network on samples that did not train it.

N samples, M modalities, K classes.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from geocomiss.batch import Batch
from geocomiss.calibration.expected import Accuracy, fit_accuracy
from geocomiss.calibration.scaling import Scaling, fit_scalings
from geocomiss.calibration.stored import DIGITS, Calibration, PatternCalibration, bits_of, dynamic, key_of
from geocomiss.calibration.views import Views, gap_views, joined, pattern_views
from geocomiss.methods import Method
from geocomiss.modalities import patterns

GAPS: Final = 2
"""Times that samples are seen with random gaps in time, under each pattern."""
MOST: Final = 2000
"""Samples seen with gaps at most, spread evenly over the table: bounds the time that slow methods take."""


@dataclass(frozen=True)
class _Fitted:
    """What was learnt."""

    views: Views
    scalings: dict[int, Scaling]
    accuracy: Accuracy
    modalities: tuple[str, ...]

    def pattern(self, key: str) -> PatternCalibration:
        code = bits_of(key)
        scaling, places = self.scalings[code], {name: i for i, name in enumerate(self.modalities)}
        steps = self.accuracy.steps[code]
        return PatternCalibration(
            n=int((self.views.pattern == code).sum()),
            temperature=round(scaling.temperature, DIGITS),
            bias=_rounded(scaling.bias),
            right=_rounded(self.accuracy.right[code]),
            steps={name: round(float(steps[places[name]]), DIGITS) for name in dynamic(key)},
        )


def calibrate(method: Method, batch: Batch, y: Tensor, samples: str, seed: int = 0) -> Calibration:
    """Learn how sure a network may be.

    Args:
        method: A trained classifier that still has its class weights; put into evaluation mode.
        batch: N samples that did not train it, on its device.
        y: (N,) class indices.
        samples: Which samples these are, in words.
        seed: Of the random gaps in time.
    """
    names = method.spec.modalities
    keys = [key_of(pattern) for pattern in patterns(names)]
    views = pattern_views(method, batch, y)
    weight = np.asarray(method.class_weight.double().cpu().numpy())
    scalings = fit_scalings(views, tuple(bits_of(key) for key in keys), weight)
    every, counts = with_gaps(method, batch, y, views, seed)
    fitted = _Fitted(views, scalings, fit_accuracy(every, counts, names), names)
    return Calibration(
        samples=samples,
        n=len(y),
        shares=_shares(np.asarray(y.cpu().numpy()), method.spec.classes),
        patterns={key: fitted.pattern(key) for key in keys},
    )


def with_gaps(
    method: Method, batch: Batch, y: Tensor, views: Views, seed: int
) -> tuple[Views, NDArray[np.float64]]:
    """Views as they are and with random gaps in time, and how much each row counts.

    A sample counts about once for each pattern.

    Args:
        method: The network.
        batch: N samples.
        y: (N,) class indices.
        views: The samples as they are, see `pattern_views`.
        seed: Of the gaps.
    """
    generator = torch.Generator().manual_seed(seed)
    some = torch.linspace(0, len(y) - 1, min(len(y), MOST), device=y.device).round().long()
    part, labels = batch[some], y[some]

    def parts() -> Iterator[Views]:
        yield views
        for _ in range(GAPS):
            yield gap_views(method, part, labels, generator)

    every = joined(parts())
    counts = np.full(len(every), 1 / (1 + GAPS))
    return every, counts


def _shares(y: NDArray[np.int64], classes: int) -> tuple[float, ...]:
    """Class shares with half a sample more of each class, so that none is 0 (Jeffreys' prior)."""
    counts = np.bincount(y, minlength=classes) + 0.5
    return _rounded(counts / counts.sum())


def _rounded(values: NDArray[np.float64]) -> tuple[float, ...]:
    return tuple(round(float(value), DIGITS) for value in values)
