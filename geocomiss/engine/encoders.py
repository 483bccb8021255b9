"""Trained encoders that can only predict: batch norms folded into the layers before them.

R rows, T steps, C bands, W channels, D features, H = D / 2.
"""

from itertools import pairwise
from typing import cast

import torch
from torch import Tensor, nn

from geocomiss.engine.layers import Dense, NarrowConvolution
from geocomiss.engine.spectral import SpectralConvolution, convolutions
from geocomiss.methods.features import FeaturePair, Features
from geocomiss.nets import BatchNorm, StaticEncoder, TempCNN

Linear = tuple[Tensor, Tensor]
"""Weight (W, ...) and bias (W,) of a layer, in float64 so that folding is rounded once."""


class FoldedTempCNN(nn.Module):
    """A trained `TempCNN`: its convolutions, then its two dense layers.

    The first convolution is computed in float32: rounding the values themselves to bfloat16 moved
    confidence by up to 0.011 (Canada), everything after it by up to 0.005. It is 2 % of the operations.

    Args:
        trained: The network; it stays as it is.
        dtype: Numbers to compute with after the first convolution.
        last: Its last layer, where that is not to be the trained one.
        positive: Whether a ReLU comes after the last layer.
    """

    def __init__(
        self, trained: TempCNN, dtype: torch.dtype, last: Linear | None = None, positive: bool = False
    ) -> None:
        super().__init__()
        pairs = [
            (layer, after)
            for layer, after in pairwise(trained.convolutions)
            if isinstance(layer, nn.Conv1d) and isinstance(after, BatchNorm)
        ]
        first, *others = (_folded(linear_of(layer), norm) for layer, norm in pairs)
        weight, bias = _folded(linear_of(trained.dense[0]), cast(BatchNorm, trained.dense[1]))
        width = pairs[-1][0].out_channels
        by_step = weight.view(len(weight), width, -1).transpose(1, 2)  # was by channel, then step
        self.others = convolutions(others, dtype, by_step.shape[1])
        spectral = any(isinstance(layer, SpectralConvolution) for layer in self.others)
        self.first = NarrowConvolution(*first, torch.float32, True, by_step=spectral)
        self.hidden = Dense(by_step.flatten(1), bias, dtype, True)
        self.last = Dense(*(last or linear_of(trained.dense[-1])), dtype, positive)

    def forward(self, x: Tensor) -> Tensor:
        """(R, T, C) to (R, D), float32."""
        steps: Tensor = self.others(self.first(x))
        features: Tensor = self.last(self.hidden(steps.flatten(1).to(self.hidden.weight.dtype)))
        return features.float()


class FoldedStatic(nn.Module):
    """A trained `StaticEncoder`, in float32: it is little work.

    Args:
        trained: The network; it stays as it is.
        last: Its last layer, where that is not to be the trained one.
        positive: Whether a ReLU comes after the last layer.
    """

    def __init__(self, trained: StaticEncoder, last: Linear | None = None, positive: bool = False) -> None:
        super().__init__()
        self.hidden = Dense(*linear_of(trained.dense[0]), torch.float32, True)
        self.last = Dense(*(last or linear_of(trained.dense[-1])), torch.float32, positive)

    def forward(self, x: Tensor) -> Tensor:
        """(R, 1, C) to (R, D)."""
        features: Tensor = self.last(self.hidden(x.flatten(1)))
        return features


class FoldedPair(nn.Module):
    """A trained `FeaturePair`: what classifiers read of it, without the unused half.

    The projection of the shared features is part of the last layer of their encoder.

    Args:
        trained: The two encoders; they stay as they are.
        dtype: Numbers to compute with.
    """

    def __init__(self, trained: FeaturePair, dtype: torch.dtype) -> None:
        super().__init__()
        weight, bias = linear_of(_last(trained.own))
        self.own = folded_encoder(trained.own, dtype, (weight[: trained.split], bias[: trained.split]))
        projection = _folded(linear_of(trained.project[0]), cast(BatchNorm, trained.project[1]))
        joint = _after(linear_of(_last(trained.common)), projection)
        self.common = folded_encoder(trained.common, dtype, joint, positive=True)

    def forward(self, x: Tensor) -> Features:
        """Features of normalised rows (R, T, C)."""
        return Features(self.own(x), self.common(x), None)

    def together(self, features: Features) -> Tensor:
        """What the classifier reads: (R, 2H)."""
        return torch.cat([features.specific, features.shared], 1)


def folded_encoder(
    trained: nn.Module, dtype: torch.dtype, last: Linear | None = None, positive: bool = False
) -> FoldedTempCNN | FoldedStatic:
    """The folded encoder of a trained one.

    Args:
        trained: A `TempCNN` or `StaticEncoder`.
        dtype: Numbers to compute with.
        last: Its last layer, where that is not to be the trained one.
        positive: Whether a ReLU comes after the last layer.
    """
    if isinstance(trained, TempCNN):
        return FoldedTempCNN(trained, dtype, last, positive)
    if isinstance(trained, StaticEncoder):
        return FoldedStatic(trained, last, positive)
    raise TypeError(f"a {type(trained).__name__} where an encoder was")


def linear_of(layer: nn.Module) -> Linear:
    """Weight and bias of a linear layer or a convolution."""
    if not isinstance(layer, nn.Linear | nn.Conv1d) or layer.bias is None:
        raise TypeError(f"a {type(layer).__name__} where a linear layer was")
    return layer.weight.detach().double(), layer.bias.detach().double()


def _last(encoder: nn.Module) -> nn.Module:
    return cast(nn.Sequential, encoder.dense)[-1]


def _folded(layer: Linear, norm: BatchNorm) -> Linear:
    """The layer and the batch norm after it as one layer.

    gamma (w x + b - mean) / std + beta = (gamma / std) w x + gamma (b - mean) / std + beta.
    """
    weight, bias = layer
    mean, variance = cast(Tensor, norm.running_mean).double(), cast(Tensor, norm.running_var).double()
    scale = norm.weight.detach().double() / torch.sqrt(variance + norm.eps)
    shift = (bias - mean) * scale + norm.bias.detach().double()
    return weight * scale.view(-1, *([1] * (weight.ndim - 1))), shift


def _after(first: Linear, second: Linear) -> Linear:
    """Two linear layers without anything between them as one: V (w x + b) + c = (V w) x + V b + c."""
    return second[0] @ first[0], second[0] @ first[1] + second[1]
