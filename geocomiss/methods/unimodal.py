"""Uni-modal: one network a modality, trained without the others."""

from typing import ClassVar

import torch
from pydantic.dataclasses import dataclass
from torch import Tensor

from geocomiss.batch import Batch, Spec
from geocomiss.methods.base import OPTIONS, Losses, MethodOptions, with_total
from geocomiss.methods.fusion import Fusion, fusion_of
from geocomiss.methods.late import LateFusion, deciding_branches


@dataclass(frozen=True, config=OPTIONS)
class UniModalOptions(MethodOptions):
    """Choices of the uni-modal networks."""

    fusion: Fusion = "probabilities"
    """How the predictions of several modalities are averaged: an ensemble, which the paper does not
    have."""


class UniModal(LateFusion):
    """L = sum over m of CE_w(l_m, y).

    The networks share no weights and Adam scales every weight by itself, so the sum trains each as
    if alone, but for the moment at which training stops.
    """

    options_type: ClassVar[type[MethodOptions]] = UniModalOptions
    additive: ClassVar[bool] = True

    def __init__(self, spec: Spec, options: UniModalOptions) -> None:
        super().__init__(spec, options, deciding_branches(spec, options, "none"), spec.classes)
        self.fused = fusion_of(options.fusion, spec.task)

    def fuse(self, each: Tensor, keep: Tensor) -> Tensor:
        """The mean of the predictions that are kept; that of a single modality is its own."""
        return self.fused(each, keep)

    def loss(self, batch: Batch, y: Tensor, generator: torch.Generator) -> Losses:
        """The cross-entropy of each modality, over the pixels that have it."""
        each, available = self.encode(batch), batch.available
        return with_total(
            {
                name: self.predictive_loss(each[:, column], y, available[:, column])
                for column, name in enumerate(self.spec.modalities)
            }
        )

    def monitored(self, batch: Batch, y: Tensor) -> Tensor:
        """The sum of the cross-entropies."""
        return self.loss(batch, y, torch.Generator())["total"]
