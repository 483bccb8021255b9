"""Co-Miss+: one model for one modality missing, one left, gaps in time and unfinished seasons."""

from typing import ClassVar, Literal

import torch
from pydantic import Field
from pydantic.dataclasses import dataclass
from torch import Tensor, nn

from geocomiss.batch import Batch, Spec
from geocomiss.methods.base import OPTIONS, Losses, MethodOptions, with_total
from geocomiss.methods.fusion import mean_of_kept
from geocomiss.methods.gaps import drop_steps
from geocomiss.methods.late import LateFusion
from geocomiss.methods.losses import distillation, distillation_each
from geocomiss.nets import SIZES, encoder_of


@dataclass(frozen=True, config=OPTIONS)
class CoMissPlusOptions(MethodOptions):
    """Choices of Co-Miss+."""

    distillation: Literal["ce+kl", "kl", "ce", "none"] = "ce+kl"
    """Terms for a student's prediction: against the label and the teacher, or one, or neither."""
    temperature: float = Field(default=0.5, gt=0)
    """Temperature T of the distillation."""
    individual: bool = True
    """Whether each modality's own prediction is a student."""
    average: float = Field(default=0.98, ge=0, lt=1)
    """Highest decay of a running mean of the weights over training steps, which predicts in their place
    (in the first steps it is lower); 0 keeps the weights themselves, as the papers do."""
    repeated: float = Field(default=0.5, ge=0, le=1)
    """Share of the training pixels that are shown a second time with time steps missing."""
    cut: float = Field(default=0.5, ge=0, le=1)
    """Share of these of which only the start of the season is shown; the others have gaps."""


class CoMissPlus(LateFusion):
    """What was better of the poster's parts, on one encoder a modality, and a distillation in time.

    L = CE_w(l_full, y)
        + mean over m of [CE_w(l_m, y) + T^2 KL(sg l_full || l_m)]   as in FullCo
        + CE_w(l_part, y) + T^2 KL(sg l_full || l_part)              of pixels with steps missing

    l_m is the linear classification of what the encoder of modality m makes of a pixel, l_full the mean
    of those that it has. Some pixels of each batch are encoded a second time with random steps, or all
    after some month, missing, and l_part, fused from what is left, learns from the prediction of the
    same pixel with the whole season: for partial gaps and for maps in mid-season. What predicts is a
    running mean of the weights.

    It began as both distillations of the poster (FullCo's and, to a random subset, Co-Miss's) with
    specific and shared features, and lost what was not better on inner parts of Canada's training sides:
    the subset student, both losses on features, and the split into two encoders. What is left does as
    well as what it began as, at half the cost; without a student or the running mean it does worse.
    The figures stand in `examples/results/README.md`.

    Not a published method: ours, from published parts.
    """

    options_type: ClassVar[type[MethodOptions]] = CoMissPlusOptions
    additive: ClassVar[bool] = True

    def __init__(self, spec: Spec, options: CoMissPlusOptions) -> None:
        super().__init__(spec, options, _branches(spec, options), spec.classes)
        self.options = options
        self.temperature = self.softened(options.temperature)

    def fuse(self, each: Tensor, keep: Tensor) -> Tensor:
        """The mean of the logits that are kept."""
        return mean_of_kept(each, keep)

    def loss(self, batch: Batch, y: Tensor, generator: torch.Generator) -> Losses:
        """The loss of the prediction from everything, and of the students that it teaches."""
        number = len(batch)
        shown = self._shown(batch, generator)
        logits, available = self.encode(shown), shown.available
        full = self.fuse(logits, available)
        each, there, teacher = logits[:number], available[:number], full[:number].detach()
        terms = {"main": self.predictive_loss(full[:number], y, there.any(1))}
        if self.options.individual:
            terms |= self._individual(each, teacher, y, there)
        if again := len(shown) - number:
            terms |= self._partial(full[number:], teacher[:again], y[:again], available[number:].any(1))
        return with_total(terms)

    def _shown(self, batch: Batch, generator: torch.Generator) -> Batch:
        """The batch and, after it, its first pixels again with time steps missing."""
        number = len(batch)
        again = round(self.options.repeated * number) if self.training else 0
        if not again:
            return batch
        # batches are shuffled: the first pixels are random ones
        both = batch[torch.arange(number + again, device=batch.available.device) % number]
        return drop_steps(both, torch.arange(number + again) >= number, self.options.cut, generator)

    def _individual(self, each: Tensor, teacher: Tensor, y: Tensor, there: Tensor) -> Losses:
        """The means over m of CE_w(l_m, y) and T^2 KL(l_full || l_m), as far as they are wanted."""
        terms: Losses = {}
        if "ce" in self.options.distillation:
            terms[f"individual_{self.by_label}"] = self.predictive_loss_each(each, y, there)
        if "kl" in self.options.distillation:
            loss = distillation_each(each, teacher, self.temperature, there)
            terms[f"individual_{self.by_teacher}"] = loss
        return terms

    def _partial(self, student: Tensor, teacher: Tensor, y: Tensor, rows: Tensor) -> Losses:
        """CE_w(l_part, y) and T^2 KL(l_full || l_part), where `rows` (N,) have something left."""
        terms: Losses = {}
        if "ce" in self.options.distillation:
            terms[f"partial_{self.by_label}"] = self.predictive_loss(student, y, rows)
        if "kl" in self.options.distillation:
            loss = distillation(student, teacher, self.temperature, rows)
            terms[f"partial_{self.by_teacher}"] = loss
        return terms


def _branches(spec: Spec, options: MethodOptions) -> nn.ModuleDict:
    """Per modality an encoder and a linear classifier: normalised (R, T, C) to logits (R, K)."""
    size = SIZES[options.preset]
    return nn.ModuleDict(
        {
            name: nn.Sequential(
                encoder_of(name, spec.shape(name), size, options.dropout),
                nn.Linear(size.features, spec.classes),
            )
            for name in spec.modalities
        }
    )
