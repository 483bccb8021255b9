"""Learn from training samples how far a model may go.

N samples, T steps, C bands, M modalities, K classes, P samples kept.

Chosen on Canada 2017 (small Co-Miss+, five folds of whole 100 km cells, samples with everything): with an
index below 0.75 .68 of the samples were right (their mean expected accuracy: .65), up to 1 .57 (.58), beyond
1, where 2.5 % lay, .37 (.49). With all bands weighted alike it was .52 beyond 1; keeping all 2,200 samples in
place of 1,000 changed nothing.
"""

from collections.abc import Mapping
from dataclasses import replace
from typing import Final

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from geocomiss.applicability.measure import FAR, Applicability, Space
from geocomiss.batch import Batch
from geocomiss.calibration.views import codes_of
from geocomiss.methods import Method
from geocomiss.modalities import MODALITIES, patterns

KEPT: Final = 1000
"""Training samples kept at most: bounds the checkpoint (2 bytes a value) and the time a pixel takes."""
LOOKED: Final = 512
"""Samples, spread evenly over the table, from which the sensitivity of a network is taken at most."""
AT_ONCE: Final = 128
"""Samples whose gradients are taken together: bounds the memory that large encoders take."""
WHISKER: Final = 1.5
"""Interquartile ranges above the third quartile beyond which a distance is an outlier (Tukey)."""
DIGITS: Final = 5
"""Decimals of a band's weight."""


def learn_applicability(
    method: Method, batch: Batch, group: NDArray[np.str_], seed: int = 0
) -> Applicability:
    """The area of applicability of a trained model.

    Its edge is, as in the paper, the largest distance of a training sample to those of other spatial groups
    that is no outlier: here for each pattern of modalities, with the others hidden.

    Args:
        method: A trained network, in evaluation mode, on the CPU.
        batch: The N samples that it learnt from.
        group: (N,) spatial group of each; samples of one group are not compared.
        seed: Of the directions in which sensitivity is looked at.
    """
    weights = sensitivity(method, batch, seed)
    spaces = {name: _space(method, name, weights[name]) for name in batch.modalities}
    series = {name: _filled(space.series(batch.x[name])[batch.rows(name)]) for name, space in spaces.items()}
    chosen = spread_out(torch.cat([each.flatten(1) for each in series.values()], 1), KEPT)
    names, number = np.unique(group, return_inverse=True)
    known = Applicability(
        spaces,
        {name: each[chosen].half() for name, each in series.items()},
        batch.available[chosen],
        {},
        len(batch),
        len(names),
    )
    own = torch.from_numpy(number)
    return replace(known, limits=_limits(known, batch, own, own[chosen]))


def sensitivity(method: Method, batch: Batch, seed: int = 0) -> dict[str, Tensor]:
    """How far the logits move for one standard deviation of a band: (C,) by modality, the largest being 1.

    The root mean square of the gradient over samples, steps and random directions among the logits
    (Hutchinson's estimate of the squared norm of the Jacobian). It stands for the importance of variables
    in the paper.

    Args:
        method: A trained network, in evaluation mode.
        batch: N samples.
        seed: Of the directions.
    """
    rows = torch.linspace(0, len(batch) - 1, min(len(batch), LOOKED)).round().long()
    generator = torch.Generator().manual_seed(seed)
    squares = {name: torch.zeros(values.shape[2]) for name, values in batch.x.items()}
    for chosen in torch.split(rows, AT_ONCE):
        for name, slope in _slopes(method, batch[chosen], generator).items():
            squares[name] += (torch.nan_to_num(slope) ** 2).sum((0, 1))
    seen = batch[rows].available.sum(0).clamp(min=1)
    found = {
        name: (squares[name] / seen[column] / batch.x[name].shape[1]).sqrt() * method.normaliser(name).std
        for column, name in enumerate(batch.modalities)
    }
    most = torch.cat([*found.values()]).max()
    scaled = {name: each / most if most > 0 else torch.ones_like(each) for name, each in found.items()}
    return {name: torch.round(each, decimals=DIGITS).detach() for name, each in scaled.items()}


def _slopes(method: Method, batch: Batch, generator: torch.Generator) -> dict[str, Tensor]:
    """Gradient by the values of each modality, of the logits in a random direction of each sample."""
    x = {name: values.detach().clone().requires_grad_() for name, values in batch.x.items()}
    with torch.enable_grad():
        logits = method(replace(batch, x=x))
        signs = torch.randint(0, 2, logits.shape, generator=generator) * 2 - 1
        slopes = torch.autograd.grad((logits * signs).sum(), [*x.values()], allow_unused=True)
    return {
        name: torch.zeros_like(values) if slope is None else slope
        for (name, values), slope in zip(x.items(), slopes, strict=True)
    }


def spread_out(points: Tensor, number: int) -> Tensor:
    """Rows (P,) of points (N, D) such that each point has one near; all where there are few.

    Each is the point that is farthest from those before, beginning with the one nearest to the mean: no
    choice of as many rows brings the farthest point to less than half of the distance that it then has.
    Source: Gonzalez 1985, "Clustering to minimize the maximum intercluster distance".
    """
    if len(points) <= number:
        return torch.arange(len(points))
    chosen = [int(((points - points.mean(0)) ** 2).sum(1).argmin())]
    nearest = ((points - points[chosen[0]]) ** 2).sum(1)
    while len(chosen) < number:
        chosen.append(int(nearest.argmax()))
        nearest = torch.minimum(nearest, ((points - points[chosen[-1]]) ** 2).sum(1))
    return torch.tensor(sorted(chosen))


def whisker(values: Tensor) -> float:
    """The largest value (of a box plot) that is no outlier."""
    low, high = torch.quantile(values, torch.tensor([0.25, 0.75], dtype=values.dtype)).tolist()
    return float(values[values <= high + WHISKER * (high - low)].max())


def _space(method: Method, name: str, weight: Tensor) -> Space:
    layer = method.normaliser(name)
    return Space(layer.mean.detach().clone(), layer.std.detach().clone(), weight)


def _filled(series: Tensor) -> Tensor:
    """(N, T, C) with gaps as the mean of their step; 0, the mean of all, where no sample has the step."""
    return torch.where(torch.isfinite(series), series, torch.nan_to_num(series.nanmean(0)))


def _limits(known: Applicability, batch: Batch, own: Tensor, groups: Tensor) -> Mapping[int, float]:
    limits = {}
    for names in patterns(batch.modalities):
        code = sum(MODALITIES[name].bit for name in names)
        part = batch.keep_only(names)
        whole = torch.nonzero(codes_of(part) == code).squeeze(1)
        squares = known.squares(part[whole], own[whole], groups)
        squares = squares[squares < FAR / 2]
        if len(squares) and float(squares.max()) > 0:
            limits[code] = whisker(squares.double().sqrt())
    return limits
