"""Co-Miss: the prediction from everything teaches the one from a random subset of modalities."""

from typing import ClassVar

import torch
from pydantic.dataclasses import dataclass
from torch import Tensor

from geocomiss.batch import Spec
from geocomiss.methods.base import OPTIONS, Losses, MethodOptions
from geocomiss.methods.colearning import CoLearning, CoLearningOptions
from geocomiss.methods.fusion import SubsetLaw, random_subset
from geocomiss.methods.separated import Outputs


@dataclass(frozen=True, config=OPTIONS)
class CoMissOptions(CoLearningOptions):
    """Choices of Co-Miss."""

    subset: SubsetLaw = "batch"
    """Law of the random subset S."""


class CoMiss(CoLearning):
    """Distillation to the prediction fused from a random subset, and its own cross-entropy."""

    options_type: ClassVar[type[MethodOptions]] = CoMissOptions

    def __init__(self, spec: Spec, options: CoMissOptions) -> None:
        super().__init__(spec, options)
        self.subset = options.subset

    def distil(self, outputs: Outputs, y: Tensor, generator: torch.Generator) -> Losses:
        """CE_w(l_S, y) and T^2 KL(l_full || l_S)."""
        keep = random_subset(outputs.available, self.subset, generator)
        return self.missing_terms(outputs, y, keep)
