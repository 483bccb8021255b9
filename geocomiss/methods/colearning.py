"""What Co-Miss and its relatives share: a fused prediction that teaches, from separated features.

N pixels, M modalities, K classes.
Source: Mena, Ienco, Dantas and Interdonato, "Harnessing multi-modal co-learning for missing Earth
observation modalities"; features after MDiCo, distillation after DSensD+ (2025, same authors).
Where the paper leaves a choice open it is a named option; the default is our first reading.
"""

from abc import abstractmethod
from typing import ClassVar, Literal

import torch
from pydantic import Field
from pydantic.dataclasses import dataclass
from torch import Tensor

from geocomiss.batch import Batch, Spec
from geocomiss.methods.base import OPTIONS, Losses, MethodOptions, with_total
from geocomiss.methods.losses import distillation, distillation_each, mutual_distillation
from geocomiss.methods.separated import Outputs, Separated, SeparatedOptions


@dataclass(frozen=True, config=OPTIONS)
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
        self.temperature = self.softened(options.temperature)

    def loss(self, batch: Batch, y: Tensor, generator: torch.Generator) -> Losses:
        """Prediction, separated features, and distillation."""
        return with_total(self.terms(self.outputs(batch), y, generator))

    def terms(self, outputs: Outputs, y: Tensor, generator: torch.Generator) -> Losses:
        """The terms of the objective by name."""
        main = self.predictive_loss(outputs.full, y, outputs.available.any(1))
        features = self.feature_losses(outputs, y)
        return {"main": main, **features, **self.distil(outputs, y, generator)}

    @abstractmethod
    def distil(self, outputs: Outputs, y: Tensor, generator: torch.Generator) -> Losses:
        """The terms in which one prediction teaches another."""

    def individual_terms(self, outputs: Outputs, y: Tensor) -> Losses:
        """The means over m of CE_w(l_m, y) and T^2 KL(l_full || l_m)."""
        terms: Losses = {}
        if "ce" in self.options.distillation:
            each = self.predictive_loss_each(outputs.logits, y, outputs.available)
            terms[f"individual_{self.by_label}"] = each
        if "kl" in self.options.distillation:
            terms[f"individual_{self.by_teacher}"] = self._teach_each(outputs)
        return terms

    def missing_terms(self, outputs: Outputs, y: Tensor, keep: Tensor) -> Losses:
        """CE_w(l_S, y) and T^2 KL(l_full || l_S), on the pixels that have something of S.

        Args:
            outputs: Of the batch.
            y: (N,) class indices.
            keep: (N, M) bool, what each pixel has of S.
        """
        student = self.fuse(outputs.logits, keep)
        terms = self.taught("missing", student, self.teacher(outputs), y, keep.any(1))
        if "kl" in self.options.distillation and self.options.teacher == "mutual":
            terms[f"missing_{self.by_teacher}"] = self._mutual(outputs)
        return terms

    def taught(self, name: str, student: Tensor, teacher: Tensor, y: Tensor, rows: Tensor) -> Losses:
        """CE_w(student, y) and T^2 KL(teacher || student), as far as they are wanted.

        Args:
            name: What the student is, for the names of the terms.
            student: (N, K) logits.
            teacher: (N, K) logits.
            y: (N,) class indices.
            rows: (N,) bool, the pixels that count.
        """
        terms: Losses = {}
        if "ce" in self.options.distillation:
            terms[f"{name}_{self.by_label}"] = self.predictive_loss(student, y, rows)
        if "kl" in self.options.distillation:
            loss = distillation(student, teacher, self.temperature, rows)
            terms[f"{name}_{self.by_teacher}"] = loss
        return terms

    def teacher(self, outputs: Outputs) -> Tensor:
        """Logits (N, K) that teach."""
        return outputs.full if self.options.teacher == "attached" else outputs.full.detach()

    def _teach_each(self, outputs: Outputs) -> Tensor:
        if self.options.teacher == "mutual":
            return self._mutual(outputs)
        teacher = self.teacher(outputs)
        return distillation_each(outputs.logits, teacher, self.temperature, outputs.available)

    def _mutual(self, outputs: Outputs) -> Tensor:
        return mutual_distillation(outputs.logits, self.temperature, outputs.available)
