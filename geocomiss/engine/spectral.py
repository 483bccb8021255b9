"""Convolutions over time with a third of their products: one a frequency instead of one a tap and step.

By the convolution theorem a cyclic convolution is a product at each frequency. With two zeros after T steps,
what a kernel of five taps takes from beyond either end are those zeros: N = T + 2 steps are enough. Of the
frequencies of real values two are real and the others conjugate pairs, whose complex products take three
real ones each (Gauss). For 12 steps that makes P = 20 products instead of 60. Sines and cosines are no
larger than 1, so that rounding in bfloat16 does not add up as it does in Winograd's convolutions.
Source: Mathieu, Henaff and LeCun 2014, for images.

On one thread of an AMD EPYC with bfloat16 a layer of 128 channels and 12 steps takes 0.61 of the time of
oneDNN's convolution in bfloat16 and 0.75 in float32 (24 November 2026; transforms included), a whole encoder
0.8 and 0.9, with AVX2 alone in float32 0.64. Fewer channels leave too few products to save, many steps have
transforms that grow as their square.

R rows, T steps, C channels, W channels, P products.
"""

import threading
from collections.abc import Sequence
from typing import Final

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from geocomiss.engine.layers import EDGE, Convolution, Dense
from geocomiss.nets import KERNEL

FEWEST: Final = 128
"""Channels from which on it is faster than a convolution."""
SHORTEST: Final = 2
"""Steps from which on there are frequencies."""
LONGEST: Final = {torch.float32: 18, torch.bfloat16: 36}
"""Steps up to which it is faster."""


Floats = NDArray[np.float64]
_rooms = threading.local()
"""What `_room` keeps."""


class SpectralConvolution(Convolution):
    """A convolution over time computed at its frequencies. On GPUs it is the convolution itself.

    Args:
        weight: (W, C, 5), in float64.
        bias: (W,).
        dtype: Numbers to compute with.
        steps: T.
    """

    there: Tensor
    """(P, T): from steps to what is multiplied."""
    back: Tensor
    """(T, P + 1): from products to steps; the last column is of the bias."""

    def __init__(self, weight: Tensor, bias: Tensor, dtype: torch.dtype, steps: int) -> None:
        super().__init__(weight, bias, dtype, positive=True)
        there, back = (torch.from_numpy(each).to(dtype) for each in transforms(steps))
        taps = torch.from_numpy(taps_at(there.double().numpy(), back.double().numpy()))
        self.register_buffer("there", there)
        self.register_buffer("back", torch.cat([back, back.new_ones(steps, 1)], 1))
        self.products = _Products(torch.einsum("pk,wck->pwc", taps, weight), dtype)

    def forward(self, x: Tensor) -> Tensor:
        """(R, T, C) to (R, T, W), held step by step: of either, all rows of a step lie together."""
        if not x.is_cpu:
            return super().forward(x)
        rows, steps, channels = x.shape
        by_step = x.transpose(0, 1).to(self.there.dtype, memory_format=torch.contiguous_format)
        products, width = len(self.there), len(self.bias)
        seen = _room("seen", products, rows * channels, by_step.dtype)
        torch.mm(self.there, by_step.reshape(steps, -1), out=seen)
        done = _room("done", products + 1, rows * width, by_step.dtype)
        self.products(seen.view(products, rows, channels), done[:-1].view(products, rows, width))
        done[-1].view(rows, width).copy_(self.bias)
        sums = torch.mm(self.back, done)
        return _rectified(sums).view(steps, rows, width).transpose(0, 1)


class _Products(nn.Module):
    """P matrix products: those in bfloat16 as a batch, others one by one.

    torch has oneDNN multiply batches in bfloat16 alone; what it takes for float32 is half as fast.

    Args:
        weights: (P, W, C), in float64.
        dtype: Numbers to compute with.
    """

    batch: Tensor
    """(P, C, W), or nothing."""

    def __init__(self, weights: Tensor, dtype: torch.dtype) -> None:
        super().__init__()
        batched = dtype == torch.bfloat16
        turned = weights.transpose(1, 2).to(dtype).contiguous()
        self.register_buffer("batch", turned if batched else turned[:0])
        nothing, single = weights.new_zeros(weights.shape[1]), weights[:0] if batched else weights
        self.single = nn.ModuleList(Dense(weight, nothing, dtype, positive=False) for weight in single)

    def forward(self, x: Tensor, out: Tensor) -> None:
        """(P, R, C) to (P, R, W)."""
        if len(self.batch):
            torch.bmm(x, self.batch, out=out)
        else:
            for product, rows, done in zip(self.single, x, out, strict=True):
                done.copy_(product(rows))


def convolutions(weights: Sequence[tuple[Tensor, Tensor]], dtype: torch.dtype, steps: int) -> nn.Sequential:
    """Convolutions one after the other, each the faster way.

    Args:
        weights: Weight (W, C, 5), in float64, and bias (W,) of each.
        dtype: Numbers to compute with.
        steps: T.
    """
    return nn.Sequential(
        *(
            SpectralConvolution(weight, bias, dtype, steps)
            if min(weight.shape[:2]) >= FEWEST and SHORTEST <= steps <= LONGEST[dtype]
            else Convolution(weight, bias, dtype, positive=True)
            for weight, bias in weights
        )
    )


def transforms(steps: int) -> tuple[Floats, Floats]:
    """From steps to what is multiplied (P, T), and from products to steps (T, P), each entry at most 1.

    A pair of frequencies has x cos, x sin and their sum, for Gauss's three products. See `taps_at`.
    """
    length = steps + EDGE
    angles = 2 * np.pi / length * np.outer(np.arange(length // 2 + 1), np.arange(steps))
    real, pairs = angles[:: length // 2] if length % 2 == 0 else angles[:1], angles[1 : (length + 1) // 2]
    cosines, sines = np.cos(pairs), np.sin(pairs)
    there = np.concatenate([np.cos(real), cosines, sines, cosines - sines])
    back = np.concatenate([np.cos(real), sines, cosines, cosines - sines])
    return _to_one(there), _to_one(back).T


def taps_at(there: Floats, back: Floats) -> Floats:
    """What a tap of the kernel is worth in each product (P, 5), so that all together is the convolution.

    By least squares of back diag(taps) there = 1 where step i meets step o at the tap, else 0: exact for
    exact transforms, nearest for rounded ones.

    Args:
        there: (P, T).
        back: (T, P).
    """
    steps = len(back)
    pairs = np.einsum("op,pi->oip", back, there).reshape(steps**2, -1)
    meets = [np.eye(steps, k=tap - EDGE).ravel() for tap in range(KERNEL)]
    taps: Floats = np.linalg.lstsq(pairs, np.stack(meets, 1))[0]
    return taps


def _to_one(rows: Floats) -> Floats:
    """Rows with a largest value of 1."""
    scaled: Floats = rows / np.abs(rows).max(1, keepdims=True)
    return scaled


def _room(name: str, rows: int, columns: int, dtype: torch.dtype) -> Tensor:
    """Room for (rows, columns): each thread keeps its own from one layer to the next.

    It is several MB: given back and asked for again, the system empties its pages each time, and a layer
    takes twice as long.
    """
    held: Tensor | None = getattr(_rooms, name, None)
    if held is None or len(held) < rows * columns or held.dtype != dtype:
        with torch.inference_mode(False):  # else it could be written within such a mode only
            held = torch.empty(rows * columns, dtype=dtype)
        setattr(_rooms, name, held)
    return held[: rows * columns].view(rows, columns)


def _rectified(sums: Tensor) -> Tensor:
    """The sums, those below 0 set to it, in place.

    In bfloat16 what is below 0 is so as a whole number of the same bits, too: torch compares these five times
    as fast.
    """
    if sums.dtype == torch.bfloat16:
        sums.view(torch.int16).clamp_min_(0)
        return sums
    return sums.relu_()
