"""FullCo: the prediction from everything teaches each modality's own prediction."""

import torch
from torch import Tensor

from geocomiss.methods.base import Losses
from geocomiss.methods.colearning import CoLearning
from geocomiss.methods.separated import Outputs


class FullCo(CoLearning):
    """Distillation to the individual predictions, and their own cross-entropies."""

    def distil(self, outputs: Outputs, y: Tensor, generator: torch.Generator) -> Losses:
        """The means over m of CE_w(l_m, y) and T^2 KL(l_full || l_m)."""
        return self.individual_terms(outputs, y)
