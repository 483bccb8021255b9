"""FullCo: the prediction from everything teaches each modality's own prediction."""

from typing import ClassVar

import torch
from torch import Tensor

from geocomiss.methods.base import Losses, MethodOptions
from geocomiss.methods.colearning import CoLearning, CoLearningOptions, Outputs
from geocomiss.methods.losses import distillation_each, mutual_distillation, weighted_ce_each


class FullCo(CoLearning):
    """Distillation to the individual predictions, and their own cross-entropies."""

    options_type: ClassVar[type[MethodOptions]] = CoLearningOptions

    def distil(self, outputs: Outputs, y: Tensor, generator: torch.Generator) -> Losses:
        """The means over m of CE_w(l_m, y) and T^2 KL(l_full || l_m)."""
        terms: Losses = {}
        if self.options.distillation != "kl":
            terms["individual_ce"] = weighted_ce_each(outputs.logits, y, self.class_weight, outputs.available)
        if self.options.distillation != "ce":
            terms["individual_kl"] = self._taught(outputs)
        return terms

    def _taught(self, outputs: Outputs) -> Tensor:
        temperature = self.options.temperature
        if self.options.teacher == "mutual":
            return mutual_distillation(outputs.logits, temperature, outputs.available)
        return distillation_each(outputs.logits, self.teacher(outputs), temperature, outputs.available)
