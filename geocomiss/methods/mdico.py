"""MDiCo: features of a modality separated from shared ones, each modality predicting alone."""

from typing import ClassVar, Literal

import torch
from pydantic.dataclasses import dataclass
from torch import Tensor

from geocomiss.batch import Batch, Spec
from geocomiss.methods.base import OPTIONS, Losses, MethodOptions, with_total
from geocomiss.methods.fusion import Fusion
from geocomiss.methods.separated import Separated, SeparatedOptions


@dataclass(frozen=True, config=OPTIONS)
class MDiCoOptions(SeparatedOptions):
    """Choices of MDiCo.

    As released: discriminated 'specific+shared', contrastive 'sum' and negatives 'all'. There the
    discriminator reads the shared features where the paper draws the unused ones, so that the
    unused half is never trained, and with four modalities the sum over twelve ordered pairs
    outweighs all other terms together.
    """

    contrastive: Literal["mean", "sum", "per-modality", "none"] = "mean"
    """NT-Xent over pairs of modalities: mean, sum over ordered pairs, that sum / M, or left out."""
    discriminated: Literal["specific", "specific+unused", "specific+shared", "none"] = "specific+unused"
    """Features from which discriminators tell the modality."""
    auxiliary: bool = True
    """Whether specific and shared features are also classified on their own while training."""
    unused: Literal["dropped", "kept"] = "kept"
    """The unused half of the features; built anyway where a discriminator reads it."""
    monitor: Literal["ce", "total"] = "total"
    """What early stopping watches: the CE of the fused prediction, or the whole objective."""
    fusion: Fusion = "probabilities"
    """How predictions of several modalities are averaged. The paper only has one at a time; this
    takes no part in training."""


class MDiCo(Separated):
    """L = L_main + L_aux + L_mod + L_con, without drop-out of modalities or a fused prediction.

    Source: MDiCo (Mena et al. 2025, doi:10.1007/s10994-025-06903-0).
    """

    options_type: ClassVar[type[MethodOptions]] = MDiCoOptions

    def __init__(self, spec: Spec, options: MDiCoOptions) -> None:
        super().__init__(spec, options)

    def loss(self, batch: Batch, y: Tensor, generator: torch.Generator) -> Losses:
        """The mean over m of CE_w(l_m, y), and the feature losses."""
        outputs = self.outputs(batch)
        main = self.predictive_loss_each(outputs.logits, y, outputs.available)
        return with_total({"main": main, **self.feature_losses(outputs, y)})
