"""Late fusion: a branch a modality, run once; any subset of the results makes a prediction.

N pixels, R rows, T steps, C bands, M modalities, W numbers a branch gives, K classes.
"""

from abc import abstractmethod
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor, nn

from geocomiss.batch import Batch, Spec
from geocomiss.methods.base import Method, MethodOptions
from geocomiss.nets import SIZES, MLPHead, encoder_of, in_chunks, per_pixel, pixels_of

LogitNorm = Literal["none", "layer"]
"""Normalisation of each modality's logits before they are averaged."""


@dataclass(frozen=True)
class Present:
    """One modality in a batch, where it is available."""

    name: str
    """Key in `MODALITIES`."""
    wanted: Tensor
    """(R,) the pixels that have it."""
    x: Tensor
    """(R, T, C) their values, normalised."""


class LateFusion(Method):
    """Each modality goes through a branch of its own; `fuse` predicts from any subset of them.

    Args:
        spec: What the method reads.
        options: Its choices.
        branches: Per modality, a network from normalised (R, T, C) to (R, W).
        width: W.
    """

    def __init__(self, spec: Spec, options: MethodOptions, branches: nn.ModuleDict, width: int) -> None:
        super().__init__(spec, options)
        self.branches = branches
        self.width = width

    @abstractmethod
    def fuse(self, each: Tensor, keep: Tensor) -> Tensor:
        """Logits (N, K) from the results of the branches (N, M, W) where `keep` (N, M).

        Zeros where nothing is kept. In evaluation mode each row is computed by itself.
        """

    def forward(self, batch: Batch) -> Tensor:
        """Logits (N, K) from the modalities that each pixel has."""
        available = batch.available
        if self.training:
            return self.fuse(self.encode(batch), available)
        if len(batch) == 0:
            return torch.zeros(0, self.spec.classes, device=available.device)
        each = [
            per_pixel(self._single(name), batch, name, available[:, column], self.width, self.additive)
            for column, name in enumerate(self.spec.modalities)
        ]
        return in_chunks(self.fuse, torch.stack(each, 1), available)

    def encode(self, batch: Batch) -> Tensor:
        """What the branches make of a batch: (N, M, W), zeros where a modality is not available."""
        each = []
        for part in self.present(batch):
            rows = self.branches[part.name](part.x) if len(part.wanted) else nothing(part.x, self.width)
            each.append(placed(rows, part.wanted, len(batch)))
        return torch.stack(each, 1)

    def present(self, batch: Batch) -> Iterator[Present]:
        """The modalities of a batch in order, each with the pixels that have it (perhaps none)."""
        available = batch.available
        for column, name in enumerate(self.spec.modalities):
            wanted = torch.nonzero(available[:, column]).squeeze(1)
            yield Present(name, wanted, self.normalise[name](pixels_of(batch, name, wanted)))

    def _single(self, name: str) -> nn.Module:
        return nn.Sequential(self.normaliser(name), self.branches[name])


def placed(rows: Tensor, wanted: Tensor, number: int) -> Tensor:
    """Rows (R, W) at their pixels (R,) of (N, W), zeros elsewhere; in float32 at least.

    What comes after the branches is little work and needs the digits, where they ran in bfloat16.
    """
    rows = rows.to(torch.promote_types(rows.dtype, torch.float32))
    if len(rows) == number:
        return rows
    return rows.new_zeros(number, rows.shape[1]).index_copy(0, wanted, rows)


def nothing(x: Tensor, width: int) -> Tensor:
    """No rows, (0, W), for a branch that no pixel of the batch has: batch statistics need some.

    They can take a gradient, so that a batch without any modality has a loss like any other.
    """
    return x.new_zeros(0, width).requires_grad_(torch.is_grad_enabled())


def where_kept(head: nn.Module, fused: Tensor, keep: Tensor, classes: int) -> Tensor:
    """Logits (N, K) of fused features (N, D) of the pixels that keep a modality, else zeros.

    Args:
        head: Maps (R, D) to (R, K). In train mode it sees only these pixels, because its batch
            statistics must not count the others; in evaluation mode all rows, each by itself.
        fused: (N, D).
        keep: (N, M) bool.
        classes: K.
    """
    some = keep.any(1)
    if not head.training:
        logits: Tensor = head(fused)
        return torch.where(some[:, None], logits, torch.zeros_like(logits))
    wanted = torch.nonzero(some).squeeze(1)
    rows = head(fused[wanted]) if len(wanted) else nothing(fused, classes)
    return placed(rows, wanted, len(fused))


def deciding_branches(spec: Spec, options: MethodOptions, norm: LogitNorm) -> nn.ModuleDict:
    """Per modality an encoder and an MLP head of its own: normalised (R, T, C) to logits (R, K).

    Args:
        spec: What the method reads.
        options: Sizes and drop-out.
        norm: Whether logits are normalised.
    """
    size = SIZES[options.preset]
    return nn.ModuleDict(
        {
            name: nn.Sequential(
                encoder_of(name, spec.shape(name), size, options.dropout),
                MLPHead(size.features, spec.classes, options.dropout),
                logit_norm(norm, spec.classes),
            )
            for name in spec.modalities
        }
    )


def token_branches(spec: Spec, options: MethodOptions) -> nn.ModuleDict:
    """Per modality an encoder with a normalised output: normalised (R, T, C) to features (R, D)."""
    size = SIZES[options.preset]
    return nn.ModuleDict(
        {
            name: nn.Sequential(
                encoder_of(name, spec.shape(name), size, options.dropout), nn.LayerNorm(size.features)
            )
            for name in spec.modalities
        }
    )


def logit_norm(kind: LogitNorm, classes: int) -> nn.Module:
    """The normalisation of (R, K) logits.

    Layer normalisation of two logits can only give two values and lets no gradient through, so
    with fewer than three classes there is none.
    """
    return nn.LayerNorm(classes) if kind == "layer" and classes > 2 else nn.Identity()
