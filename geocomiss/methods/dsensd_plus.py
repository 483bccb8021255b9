"""DSensD+: DSensD in which the prediction from everything teaches each modality's own."""

from typing import ClassVar

import torch
from pydantic import Field
from pydantic.dataclasses import dataclass
from torch import Tensor

from geocomiss.batch import Batch, Spec
from geocomiss.methods.base import OPTIONS, Losses, MethodOptions, with_total
from geocomiss.methods.dsensd import DSensD, DSensDOptions
from geocomiss.methods.losses import distillation_each


@dataclass(frozen=True, config=OPTIONS)
class DSensDPlusOptions(DSensDOptions):
    """Choices of DSensD+."""

    temperature: float = Field(default=0.5, gt=0)
    """Temperature T of the distillation."""


class DSensDPlus(DSensD):
    """L = CE_w(l_S) + CE_w(l_full) + mean over m of [CE_w(l_m) + T^2 KL(sg l_full || l_m)].

    Source: DSensD+ (Mena et al. 2025, doi:10.1109/ACCESS.2025.3568706).
    """

    options_type: ClassVar[type[MethodOptions]] = DSensDPlusOptions

    def __init__(self, spec: Spec, options: DSensDPlusOptions) -> None:
        super().__init__(spec, options)
        self.temperature = self.softened(options.temperature)

    def loss(self, batch: Batch, y: Tensor, generator: torch.Generator) -> Losses:
        """Prediction from the subset and from everything, and mutual distillation."""
        each, available = self.encode(batch), batch.available
        keep = self.draw(available, generator)
        full = self.fuse(each, available)
        return with_total(
            {
                f"missing_{self.by_label}": self.predictive_loss(self.fuse(each, keep), y, keep.any(1)),
                "main": self.predictive_loss(full, y, available.any(1)),
                f"individual_{self.by_label}": self.predictive_loss_each(each, y, available),
                f"individual_{self.by_teacher}": distillation_each(
                    each, full.detach(), self.temperature, available
                ),
            }
        )
