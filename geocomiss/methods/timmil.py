"""TiMMIL, our reading: a transformer over one token a modality."""

from typing import ClassVar, Final

import torch
from pydantic import ConfigDict, Field
from pydantic.dataclasses import dataclass
from torch import Tensor, nn

from geocomiss.batch import Batch, Spec
from geocomiss.methods.base import Losses, MethodOptions, with_total
from geocomiss.methods.fusion import SubsetLaw, random_subset
from geocomiss.methods.late import LateFusion, token_branches, where_kept
from geocomiss.nets import SIZES, MLPHead

HEADS: Final = 8
"""Attention heads."""
WIDER: Final = 16
"""Width of the feed-forward part in features: 2048 at full size."""


@dataclass(frozen=True, config=ConfigDict(extra="forbid"))
class TiMMILOptions(MethodOptions):
    """Choices of the transformer."""

    subset: SubsetLaw = "batch"
    """Law of the random subset S."""
    layers: int = Field(default=1, ge=1, le=6)
    """Layers of the transformer."""
    token_dropout: float = Field(default=0.4, ge=0, lt=1)
    """Share dropped inside the transformer while training: 0.4 is the setting of the authors'
    relatives of this model, 0.1 to 0.2 the usual one."""
    full: bool = False
    """Whether the prediction from everything also counts in the loss."""


class TiMMIL(LateFusion):
    """L = CE_w(l_S, y), S a random subset of the modalities; l_S comes from a class token.

    OUR READING, not the published method. Of Xu et al. (IGARSS 2024) only the title could be
    opened; this is inferred from it and from a related model that the poster's authors published: a
    transformer over one token a modality, trained with modalities missing at random. Scores of this
    class say nothing about the paper's.
    """

    options_type: ClassVar[type[MethodOptions]] = TiMMILOptions

    def __init__(self, spec: Spec, options: TiMMILOptions) -> None:
        width = SIZES[options.preset].features
        super().__init__(spec, options, token_branches(spec, options), width)
        self.options = options
        self.modality = nn.Parameter(torch.randn(len(spec.modalities), width) * 0.02)
        self.class_token = nn.Parameter(torch.zeros(width))
        layer = nn.TransformerEncoderLayer(
            width, HEADS, WIDER * width, options.token_dropout, batch_first=True
        )
        # nested tensors would give a pixel other bits beside other neighbours
        self.transformer = nn.TransformerEncoder(layer, options.layers, enable_nested_tensor=False)
        self.head = MLPHead(width, spec.classes, options.dropout)

    def fuse(self, each: Tensor, keep: Tensor) -> Tensor:
        """Logits from the class token, which attends to the modalities that are kept."""
        first = self.class_token.expand(len(each), 1, -1)
        tokens = torch.cat([first, each + self.modality], 1)  # (N, 1 + M, D)
        hidden = torch.cat([torch.zeros_like(keep[:, :1]), ~keep], 1)
        seen = self.transformer(tokens, src_key_padding_mask=hidden)[:, 0]
        return where_kept(self.head, seen, keep, self.spec.classes)

    def loss(self, batch: Batch, y: Tensor, generator: torch.Generator) -> Losses:
        """CE_w(l_S, y), and on request CE_w(l_full, y)."""
        each, available = self.encode(batch), batch.available
        keep = random_subset(available, self.options.subset, generator)
        terms = {"missing": self.predictive_loss(self.fuse(each, keep), y, keep.any(1))}
        if self.options.full:
            terms["main"] = self.predictive_loss(self.fuse(each, available), y, available.any(1))
        return with_total(terms)
