"""From the predictions of single modalities to one: the mean over those that a pixel has.

N pixels, M modalities, K classes.
"""

from collections.abc import Callable
from typing import Final, Literal

import torch
from torch import Tensor

Fusion = Literal["logits", "probabilities", "entropy"]
"""What is averaged, and how: see `FUSIONS`."""


def mean_of_logits(logits: Tensor, keep: Tensor) -> Tensor:
    """Mean of the logits (N, M, K) where `keep` (N, M): (N, K), zeros where nothing is kept."""
    return _mean(logits, keep.to(logits))


def mean_of_probabilities(logits: Tensor, keep: Tensor) -> Tensor:
    """Logarithm of the mean probability where `keep` (N, M): (N, K), zeros where nothing is kept."""
    return _logarithm(_mean(torch.softmax(logits, 2), keep.to(logits)), keep)


def mean_by_entropy(logits: Tensor, keep: Tensor) -> Tensor:
    """Mean of the logits weighted by certainty, 1 - entropy / log K, where `keep`: (N, K)."""
    probability = torch.softmax(logits, 2)
    entropy = -(probability * torch.log_softmax(logits, 2)).sum(2)  # (N, M)
    certainty = 1 - entropy / torch.log(torch.tensor(float(logits.shape[2])))
    # never quite 0: a pixel whose modalities are all undecided still has a mean
    return _mean(logits, keep * certainty.clamp(min=1e-3))


FUSIONS: Final[dict[Fusion, Callable[[Tensor, Tensor], Tensor]]] = {
    "logits": mean_of_logits,
    "probabilities": mean_of_probabilities,
    "entropy": mean_by_entropy,
}
"""All ways to fuse, by name."""


def draw_keep(number: int, modalities: int, law: str, generator: torch.Generator) -> Tensor:
    """Random non-empty subsets of the modalities: (number, M) bool.

    Args:
        number: Pixels N.
        modalities: M.
        law: 'batch' (one for all pixels, uniform over all 2^M - 1), 'strict' (the same without the
            full set) or 'sample' (one a pixel).
        generator: Source of randomness, on the CPU.
    """
    whole = 2**modalities - 1
    top = max(1, whole - 1) if law == "strict" else whole
    drawn = torch.randint(1, top + 1, (number if law == "sample" else 1, 1), generator=generator)
    keep = (drawn >> torch.arange(modalities)) & 1
    return keep.bool().expand(number, modalities)


def _mean(values: Tensor, weights: Tensor) -> Tensor:
    """Weighted mean of (N, M, K) over M; added one by one, so that no reduction reorders the sum."""
    total, weight = torch.zeros_like(values[:, 0]), torch.zeros_like(weights[:, :1])
    for column in range(values.shape[1]):
        total = total + values[:, column] * weights[:, column, None]
        weight = weight + weights[:, column, None]
    return total / torch.where(weight > 0, weight, torch.ones_like(weight))


def _logarithm(mean: Tensor, keep: Tensor) -> Tensor:
    logs = torch.log(mean.clamp(min=torch.finfo(mean.dtype).tiny))
    return torch.where(keep.any(1, keepdim=True), logs, torch.zeros_like(logs))
