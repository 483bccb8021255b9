"""From what single modalities give to one prediction: a mean over those that a pixel has.

N pixels, M modalities, K classes, W numbers a modality gives (K logits, or D features).
"""

from collections.abc import Callable
from typing import Final, Literal

import torch
from torch import Tensor

from geocomiss.batch import Task

Fusion = Literal["logits", "probabilities", "entropy"]
"""What is averaged, and how: see `FUSIONS`. Values of a regression have but a plain mean."""

SubsetLaw = Literal["batch", "strict", "sample"]
"""Law of a random subset of the modalities: one a batch, uniform over all non-empty subsets (each
modality kept with probability 0.5, redrawn while empty); the same without the full set; or one a
pixel."""


def mean_of_kept(each: Tensor, keep: Tensor) -> Tensor:
    """Mean of (N, M, W) over the modalities where `keep` (N, M): (N, W), zeros where none is."""
    return _mean(each, keep.to(each))


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
    "logits": mean_of_kept,
    "probabilities": mean_of_probabilities,
    "entropy": mean_by_entropy,
}
"""All ways to fuse predictions, by name."""


def fusion_of(kind: Fusion, task: Task) -> Callable[[Tensor, Tensor], Tensor]:
    """How predictions (N, M, K) are fused where `keep` (N, M): as asked, or values by their mean."""
    return FUSIONS[kind] if task == "classes" else mean_of_kept


def all_subsets(modalities: int) -> Tensor:
    """Every non-empty subset of M modalities, the full one first: (2^M - 1, M) bool."""
    return _members(torch.arange(2**modalities - 1, 0, -1)[:, None], modalities)


def draw_keep(number: int, modalities: int, law: SubsetLaw, generator: torch.Generator) -> Tensor:
    """Random non-empty subsets of the modalities: (number, M) bool.

    Args:
        number: Pixels N.
        modalities: M.
        law: How they are drawn.
        generator: Source of randomness, on the CPU.
    """
    whole = 2**modalities - 1
    top = max(1, whole - 1) if law == "strict" else whole
    drawn = torch.randint(1, top + 1, (number if law == "sample" else 1, 1), generator=generator)
    return _members(drawn, modalities).expand(number, modalities)


def random_subset(available: Tensor, law: SubsetLaw, generator: torch.Generator) -> Tensor:
    """What pixels have of a random subset; nothing where they lack all of it.

    Args:
        available: (N, M) bool.
        law: How the subset is drawn.
        generator: Source of randomness, on the CPU.
    """
    number, modalities = available.shape
    return available & draw_keep(number, modalities, law, generator).to(available.device)


def first_of(keep: Tensor) -> Tensor:
    """The first modality of each subset (N, M) alone: (N, M) bool."""
    return keep & (keep.cumsum(1) == 1)


def _members(numbers: Tensor, modalities: int) -> Tensor:
    """Subsets (R, M) bool from numbers (R, 1) whose bits are the members, the lowest bit first."""
    return ((numbers >> torch.arange(modalities)) & 1).bool()


def _mean(values: Tensor, weights: Tensor) -> Tensor:
    """Weighted mean of (N, M, W) over M; added one by one, so that no reduction reorders the sum."""
    total, weight = torch.zeros_like(values[:, 0]), torch.zeros_like(weights[:, :1])
    for column in range(values.shape[1]):
        total = total + values[:, column] * weights[:, column, None]
        weight = weight + weights[:, column, None]
    return total / torch.where(weight > 0, weight, torch.ones_like(weight))


def _logarithm(mean: Tensor, keep: Tensor) -> Tensor:
    logs = torch.log(mean.clamp(min=torch.finfo(mean.dtype).tiny))
    return torch.where(keep.any(1, keepdim=True), logs, torch.zeros_like(logs))
