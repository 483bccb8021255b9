"""DSensD: averaged predictions, trained with sensors dropped at random."""

from typing import ClassVar

import torch
from pydantic.dataclasses import dataclass
from torch import Tensor

from geocomiss.batch import Batch, Spec
from geocomiss.methods.base import OPTIONS, Losses, MethodOptions, with_total
from geocomiss.methods.fusion import SubsetLaw, draw_keep, first_of, mean_of_kept
from geocomiss.methods.late import LateFusion, LogitNorm, deciding_branches


@dataclass(frozen=True, config=OPTIONS)
class DSensDOptions(MethodOptions):
    """Choices of DSensD and DSensD+."""

    subset: SubsetLaw = "batch"
    """Law of the random subset S."""
    first_only: bool = False
    """Whether only the first modality of S is used, as the released code does by mistake: with four
    modalities the first is drawn with probability 8/15, the last with 1/15."""
    logit_norm: LogitNorm = "layer"
    """Normalisation of each modality's logits; with fewer than three classes there is none."""


class DSensD(LateFusion):
    """L = CE_w(l_S, y), S a random subset; l_S is the mean of the normalised logits l_m, m in S.

    Source: DSensD (Mena et al. 2025, doi:10.1109/ACCESS.2025.3568706). The whole subset is used, as
    text and figure say; see `first_only`.
    """

    options_type: ClassVar[type[MethodOptions]] = DSensDOptions
    additive: ClassVar[bool] = True

    def __init__(self, spec: Spec, options: DSensDOptions) -> None:
        branches = deciding_branches(spec, options, options.logit_norm)
        super().__init__(spec, options, branches, spec.classes)
        self.options = options
        self._start_alike()

    def fuse(self, each: Tensor, keep: Tensor) -> Tensor:
        """The mean of the logits that are kept."""
        return mean_of_kept(each, keep)

    def loss(self, batch: Batch, y: Tensor, generator: torch.Generator) -> Losses:
        """The cross-entropy of the prediction from the subset."""
        each, available = self.encode(batch), batch.available
        keep = self.draw(available, generator)
        loss = self.predictive_loss(self.fuse(each, keep), y, keep.any(1))
        return with_total({f"missing_{self.by_label}": loss})

    def draw(self, available: Tensor, generator: torch.Generator) -> Tensor:
        """What pixels have of a random subset: (N, M) bool."""
        number, modalities = available.shape
        drawn = draw_keep(number, modalities, self.options.subset, generator).to(available.device)
        return available & (first_of(drawn) if self.options.first_only else drawn)

    def _start_alike(self) -> None:
        """Give all heads the weights of the first."""
        heads = [branch[1] for branch in self.branches.values()]  # type: ignore[index]  # Sequential
        for head in heads[1:]:
            head.load_state_dict(heads[0].state_dict())
