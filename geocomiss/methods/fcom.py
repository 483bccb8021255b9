"""FCoM-av: the average of the available features, trained on all subsets of modalities at once."""

import torch
from torch import Tensor

from geocomiss.batch import Batch, Spec
from geocomiss.methods.base import Losses, MethodOptions, with_total
from geocomiss.methods.fusion import all_subsets, mean_of_kept
from geocomiss.methods.late import LateFusion, token_branches, where_kept
from geocomiss.nets import SIZES, MLPHead


class FCoMAverage(LateFusion):
    """L = CE_w over the predictions from all 2^M - 1 subsets, each encoded once.

    z_S is the mean of the normalised features z_m, m in S; one head predicts from it.
    Source: FCoM (Mena et al. 2025, doi:10.1016/j.neucom.2025.130175).
    """

    def __init__(self, spec: Spec, options: MethodOptions) -> None:
        width = SIZES[options.preset].features
        super().__init__(spec, options, token_branches(spec, options), width)
        self.head = MLPHead(width, spec.classes, options.dropout)

    def fuse(self, each: Tensor, keep: Tensor) -> Tensor:
        """Logits from the mean of the features that are kept."""
        return where_kept(self.head, mean_of_kept(each, keep), keep, self.spec.classes)

    def loss(self, batch: Batch, y: Tensor, generator: torch.Generator) -> Losses:
        """One cross-entropy over every subset of every pixel.

        The head sees one subset at a time, so that its batch statistics are of one kind of mean.
        """
        each, available = self.encode(batch), batch.available
        kept = [available & subset for subset in all_subsets(available.shape[1]).to(available.device)]
        logits = torch.cat([self.fuse(each, keep) for keep in kept])
        rows = torch.cat([keep.any(1) for keep in kept])
        return with_total({"subsets": self.predictive_loss(logits, y.repeat(len(kept)), rows)})
