"""What Co-Miss and its relatives share: a fused prediction that teaches, from separated features.

N pixels, M modalities, K classes.
Source: Mena, Ienco, Dantas and Interdonato, "Harnessing multi-modal co-learning for missing Earth
observation modalities"; features after MDiCo, distillation after DSensD+ (2025, same authors).
Where the paper leaves a choice open it is a named option; the default is our first reading.
"""

from abc import abstractmethod
from typing import ClassVar, Literal

import torch
from pydantic import ConfigDict, Field
from pydantic.dataclasses import dataclass
from torch import Tensor

from geocomiss.batch import Batch, Spec
from geocomiss.methods.base import Losses, MethodOptions, with_total
from geocomiss.methods.losses import distillation, distillation_each, mutual_distillation
from geocomiss.methods.separated import Outputs, Separated, SeparatedOptions


@dataclass(frozen=True, config=ConfigDict(extra="forbid"))
class CoLearningOptions(SeparatedOptions):
    """Choices that the paper leaves open, the first value of each being the default."""

    distillation: Literal["ce+kl", "kl", "ce", "none"] = "ce+kl"
    """Terms for a student's prediction: against the label and the teacher, or one, or neither."""
    temperature: float = Field(default=0.5, gt=0)
    """Temperature T of the distillation."""
    teacher: Literal["detached", "attached", "mutual"] = "detached"
    """The fused prediction without or with a gradient, or all modalities teaching each other."""


class CoLearning(Separated):
    """L = CE_w(l_full, y) + feature losses + distillation; subclasses say who is taught."""

    options_type: ClassVar[type[MethodOptions]] = CoLearningOptions

    def __init__(self, spec: Spec, options: CoLearningOptions) -> None:
        super().__init__(spec, options)
        self.options = options

    def loss(self, batch: Batch, y: Tensor, generator: torch.Generator) -> Losses:
        """Prediction, separated features, and distillation."""
        outputs = self.outputs(batch)
        main = self.predictive_loss(outputs.full, y, outputs.available.any(1))
        features = self.feature_losses(outputs, y)
        return with_total({"main": main, **features, **self.distil(outputs, y, generator)})

    @abstractmethod
    def distil(self, outputs: Outputs, y: Tensor, generator: torch.Generator) -> Losses:
        """The terms in which one prediction teaches another."""

    def individual_terms(self, outputs: Outputs, y: Tensor) -> Losses:
        """The means over m of CE_w(l_m, y) and T^2 KL(l_full || l_m)."""
        terms: Losses = {}
        if "ce" in self.options.distillation:
            terms["individual_ce"] = self.predictive_loss_each(outputs.logits, y, outputs.available)
        if "kl" in self.options.distillation:
            terms["individual_kl"] = self._teach_each(outputs)
        return terms

    def missing_terms(self, outputs: Outputs, y: Tensor, keep: Tensor) -> Losses:
        """CE_w(l_S, y) and T^2 KL(l_full || l_S), on the pixels that have something of S.

        Args:
            outputs: Of the batch.
            y: (N,) class indices.
            keep: (N, M) bool, what each pixel has of S.
        """
        student, rows = self.fuse(outputs.logits, keep), keep.any(1)
        terms: Losses = {}
        if "ce" in self.options.distillation:
            terms["missing_ce"] = self.predictive_loss(student, y, rows)
        if "kl" in self.options.distillation:
            terms["missing_kl"] = self._teach(outputs, student, rows)
        return terms

    def _teach(self, outputs: Outputs, student: Tensor, rows: Tensor) -> Tensor:
        temperature = self.options.temperature
        if self.options.teacher == "mutual":
            return mutual_distillation(outputs.logits, temperature, outputs.available)
        return distillation(student, self._teacher(outputs), temperature, rows)

    def _teach_each(self, outputs: Outputs) -> Tensor:
        temperature = self.options.temperature
        if self.options.teacher == "mutual":
            return mutual_distillation(outputs.logits, temperature, outputs.available)
        return distillation_each(outputs.logits, self._teacher(outputs), temperature, outputs.available)

    def _teacher(self, outputs: Outputs) -> Tensor:
        return outputs.full if self.options.teacher == "attached" else outputs.full.detach()
