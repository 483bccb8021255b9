"""Co-Miss: the prediction from everything teaches the one from a random subset of modalities."""

from typing import ClassVar, Literal

import torch
from pydantic import ConfigDict
from pydantic.dataclasses import dataclass
from torch import Tensor

from geocomiss.batch import Spec
from geocomiss.methods.base import Losses, MethodOptions
from geocomiss.methods.colearning import CoLearning, CoLearningOptions, Outputs
from geocomiss.methods.fusion import FUSIONS, draw_keep
from geocomiss.methods.losses import distillation, mutual_distillation, weighted_ce


@dataclass(frozen=True, config=ConfigDict(extra="forbid"))
class CoMissOptions(CoLearningOptions):
    """Choices of Co-Miss."""

    subset: Literal["batch", "strict", "sample"] = "batch"
    """Law of the random subset S: one a batch uniform over all non-empty subsets (each modality kept
    with probability 0.5, redrawn while empty), the same without the full set, or one a pixel."""


class CoMiss(CoLearning):
    """Distillation to the prediction fused from a random subset, and its own cross-entropy."""

    options_type: ClassVar[type[MethodOptions]] = CoMissOptions

    def __init__(self, spec: Spec, options: CoMissOptions) -> None:
        super().__init__(spec, options)
        self.subset = options.subset

    def distil(self, outputs: Outputs, y: Tensor, generator: torch.Generator) -> Losses:
        """CE_w(l_S, y) and T^2 KL(l_full || l_S), on the pixels that have something of S."""
        number, modalities = outputs.available.shape
        drawn = draw_keep(number, modalities, self.subset, generator).to(outputs.available.device)
        keep = outputs.available & drawn
        student, rows = FUSIONS[self.options.fusion](outputs.logits, keep), keep.any(1)
        terms: Losses = {}
        if self.options.distillation != "kl":
            terms["missing_ce"] = weighted_ce(student, y, self.class_weight, rows)
        if self.options.distillation != "ce":
            terms["missing_kl"] = self._taught(outputs, student, rows)
        return terms

    def _taught(self, outputs: Outputs, student: Tensor, rows: Tensor) -> Tensor:
        temperature = self.options.temperature
        if self.options.teacher == "mutual":
            return mutual_distillation(outputs.logits, temperature, outputs.available)
        return distillation(student, self.teacher(outputs), temperature, rows)
