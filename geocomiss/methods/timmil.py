"""TiMMIL, our reading: a transformer over one token a modality."""

from typing import ClassVar, Final

import torch
from pydantic import Field
from pydantic.dataclasses import dataclass
from torch import Tensor, nn

from geocomiss.batch import Batch, Spec
from geocomiss.methods.base import OPTIONS, Losses, MethodOptions, with_total
from geocomiss.methods.fusion import SubsetLaw, random_subset
from geocomiss.methods.late import LateFusion, token_branches, where_kept
from geocomiss.nets import SIZES, MLPHead

HEADS: Final = 8
"""Attention heads."""
WIDER: Final = 16
"""Width of the feed-forward part in features: 2048 at full size."""


@dataclass(frozen=True, config=OPTIONS)
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


class ClassTransformer(nn.Module):
    """A post-norm transformer of which only the first token is read at the end.

    So in the last layer only that token attends and goes through the feed-forward part: the same
    numbers as of the whole layer, without four fifths of its cost.

    Args:
        width: Features D of a token.
        layers: Their number.
        dropout: Share dropped while training.
    """

    def __init__(self, width: int, layers: int, dropout: float) -> None:
        super().__init__()
        wide = WIDER * width
        self.layers = nn.ModuleList(
            nn.TransformerEncoderLayer(width, HEADS, wide, dropout, batch_first=True) for _ in range(layers)
        )

    def forward(self, tokens: Tensor, hidden: Tensor) -> Tensor:
        """The first token at the end: (N, D).

        Args:
            tokens: (N, 1 + M, D).
            hidden: (N, 1 + M) bool, tokens that are not attended to.
        """
        *inner, last = self.layers
        for layer in inner:
            tokens = _attended(layer, tokens, tokens, hidden)
        return _attended(last, tokens[:, :1], tokens, hidden)[:, 0]


def _attended(layer: nn.Module, asking: Tensor, tokens: Tensor, hidden: Tensor) -> Tensor:
    """What a layer makes of some tokens (N, L, D) that attend to all (N, 1 + M, D)."""
    if not isinstance(layer, nn.TransformerEncoderLayer):
        raise TypeError(f"a layer is a {type(layer).__name__}")
    found, _ = layer.self_attn(asking, tokens, tokens, key_padding_mask=hidden, need_weights=False)
    asking = layer.norm1(asking + layer.dropout1(found))
    wide = layer.dropout(layer.activation(layer.linear1(asking)))
    result: Tensor = layer.norm2(asking + layer.dropout2(layer.linear2(wide)))
    return result


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
        self.transformer = ClassTransformer(width, options.layers, options.token_dropout)
        self.head = MLPHead(width, spec.classes, options.dropout)

    def fuse(self, each: Tensor, keep: Tensor) -> Tensor:
        """Logits from the class token, which attends to the modalities that are kept."""
        first = self.class_token.expand(len(each), 1, -1)
        tokens = torch.cat([first, each + self.modality], 1)  # (N, 1 + M, D)
        hidden = torch.cat([torch.zeros_like(keep[:, :1]), ~keep], 1)
        return where_kept(self.head, self.transformer(tokens, hidden), keep, self.spec.classes)

    def loss(self, batch: Batch, y: Tensor, generator: torch.Generator) -> Losses:
        """CE_w(l_S, y), and on request CE_w(l_full, y)."""
        each, available = self.encode(batch), batch.available
        keep = random_subset(available, self.options.subset, generator)
        terms = {"missing": self.predictive_loss(self.fuse(each, keep), y, keep.any(1))}
        if self.options.full:
            terms["main"] = self.predictive_loss(self.fuse(each, available), y, available.any(1))
        return with_total(terms)
