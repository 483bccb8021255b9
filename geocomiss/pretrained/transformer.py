"""Parts that transformers share.

R rows, L tokens, D features, A attention heads.
"""

from typing import Final

import torch
import torch.nn.functional as F
from torch import Tensor, nn

WIDER: Final = 4
"""Width of the hidden layer of a feed-forward part, in features."""


class FeedForward(nn.Module):
    """Two dense layers with an exact GELU between, named as published.

    Args:
        features: D.
    """

    def __init__(self, features: int) -> None:
        super().__init__()
        self.fc1 = nn.Linear(features, WIDER * features)
        self.fc2 = nn.Linear(WIDER * features, features)

    def forward(self, x: Tensor) -> Tensor:
        """(..., D) to the same."""
        result: Tensor = self.fc2(F.gelu(self.fc1(x)))
        return result


def attend(q: Tensor, k: Tensor, v: Tensor, heads: int, seen: Tensor | None = None) -> Tensor:
    """Attention of several heads: softmax(q k^T / sqrt(D / A)) v, a head on its share of the features.

    Args:
        q: (R, Lq, D).
        k: (R, L, D).
        v: (R, L, D).
        heads: A.
        seen: (R, L) bool, the tokens that may be attended to; all by default.

    Returns:
        (R, Lq, D).
    """
    q, k, v = (split(x, heads).transpose(1, 2) for x in (q, k, v))  # (R, A, L, D / A)
    mask = None if seen is None else seen[:, None, None]
    return F.scaled_dot_product_attention(q, k, v, attn_mask=mask).transpose(1, 2).flatten(2)


def split(x: Tensor, parts: int) -> Tensor:
    """The features of (R, L, D) in equal parts: (R, L, parts, D / parts)."""
    return x.reshape(*x.shape[:2], parts, -1)


def waves(positions: Tensor, rates: Tensor) -> Tensor:
    """Sine and cosine encoding of positions (...,) at rates (e,): (..., 2 e), sines first."""
    angle = positions[..., None] * rates
    return torch.cat([torch.sin(angle), torch.cos(angle)], -1)
