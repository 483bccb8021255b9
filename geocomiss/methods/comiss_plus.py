"""Co-Miss+: one model for one modality missing, one left, gaps in time and unfinished seasons."""

from typing import ClassVar

import torch
from pydantic import ConfigDict, Field
from pydantic.dataclasses import dataclass
from torch import Tensor

from geocomiss.batch import Batch, Spec
from geocomiss.methods.base import Losses, MethodOptions
from geocomiss.methods.colearning import CoLearning
from geocomiss.methods.comiss import CoMissOptions
from geocomiss.methods.fusion import random_subset
from geocomiss.methods.gaps import drop_steps
from geocomiss.methods.separated import Outputs


@dataclass(frozen=True, config=ConfigDict(extra="forbid"))
class CoMissPlusOptions(CoMissOptions):
    """Choices of Co-Miss+."""

    gaps: float = Field(default=0.0, ge=0, le=1)
    """Share of the training pixels that lose random steps of their imaging modalities."""
    cut: float = Field(default=0.0, ge=0, le=1)
    """Share of the training pixels of whose season only the first steps are shown."""


class CoMissPlus(CoLearning):
    """Both distillations of the poster in one model, and time steps dropped.

    L = CE_w(l_full, y) + feature losses
        + mean over m of [CE_w(l_m, y) + T^2 KL(sg l_full || l_m)]   as in FullCo
        + CE_w(l_S, y) + T^2 KL(sg l_full || l_S)                    as in Co-Miss

    The poster's FullCo is better where one modality is left, its Co-Miss where one is missing; the
    two differ only in who is taught by the detached prediction from everything, and all predictions
    come from one encoding, so both can be taught at once. In addition some training pixels lose
    time steps (`gaps`, `cut`), so that the same model reads partial gaps and a season of which the
    last months are not yet observed: the full prediction is then the one from the steps left.

    Not a published method: ours, from published parts.
    """

    options_type: ClassVar[type[MethodOptions]] = CoMissPlusOptions

    def __init__(self, spec: Spec, options: CoMissPlusOptions) -> None:
        super().__init__(spec, options)
        self.choices = options

    def loss(self, batch: Batch, y: Tensor, generator: torch.Generator) -> Losses:
        """The objective of pixels that lost some of their steps, while training."""
        if self.training:
            batch = drop_steps(batch, self.choices.gaps, self.choices.cut, generator)
        return super().loss(batch, y, generator)

    def distil(self, outputs: Outputs, y: Tensor, generator: torch.Generator) -> Losses:
        """The terms of FullCo and those of Co-Miss."""
        keep = random_subset(outputs.available, self.choices.subset, generator)
        return {**self.individual_terms(outputs, y), **self.missing_terms(outputs, y, keep)}
