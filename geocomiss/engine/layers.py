"""Linear layers and convolutions that can only predict, each with its ReLU in one step.

On processors oneDNN computes them, with weights that are laid out for it once, on GPUs cuBLAS and cuDNN. What
they offer for that has no public name in torch; where a version of torch lacks it, the public functions do
the same in two steps, on a processor 0.85 times as fast.

R rows, T steps, C bands or channels, W channels, D features.
"""

from functools import cache
from typing import Any, Final

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from geocomiss.nets import CHUNK, KERNEL

EDGE: Final = KERNEL // 2


class Layer(nn.Module):
    """Weights of a layer, and the same laid out for oneDNN.

    Args:
        weight: As the public function of torch takes it.
        bias: (W,).
        dtype: Numbers to compute with.
        positive: Whether a ReLU comes after it.
    """

    weight: Tensor
    bias: Tensor

    def __init__(self, weight: Tensor, bias: Tensor, dtype: torch.dtype, positive: bool) -> None:
        super().__init__()
        self.register_buffer("weight", rounded(weight, dtype))
        self.register_buffer("bias", bias.to(dtype))
        self.positive = positive
        self._packed: dict[int, Tensor] = {}

    def __getstate__(self) -> dict[str, Any]:
        """All but the packed weights: they can neither be copied nor sent to another process."""
        return self.__dict__ | {"_packed": {}}

    @property
    def after(self) -> str:
        """What oneDNN does with the sums."""
        return "relu" if self.positive else "none"

    def rectified(self, sums: Tensor) -> Tensor:
        """The sums, not below 0 where a ReLU comes after."""
        return sums.relu_() if self.positive else sums

    def packed(self, steps: int) -> Tensor:
        """The weights as oneDNN wants them for chunks of rows with so many steps."""
        if steps not in self._packed:
            self._packed[steps] = self.pack(steps)
        return self._packed[steps]

    def pack(self, steps: int) -> Tensor:
        """Lay out the weights for chunks of rows with so many steps."""
        raise NotImplementedError


class Dense(Layer):
    """A linear layer from (R, D) to (R, W). Its weight is (W, D)."""

    def forward(self, rows: Tensor) -> Tensor:
        """(R, D) to (R, W)."""
        if rows.is_cpu and fuses(rows.dtype):
            packed = self.packed(1)
            done: Tensor = torch.ops.mkldnn._linear_pointwise(rows, packed, self.bias, self.after, [], "")
            return done
        if rows.is_cuda and self.positive and fuses_on_gpu(rows.dtype):
            return _multiplied_on_gpu(rows, self.weight, self.bias)
        return self.rectified(F.linear(rows, self.weight, self.bias))

    def pack(self, steps: int) -> Tensor:
        """Lay out the weights; a row is one step."""
        return _packed_dense(self.weight)


class Convolution(Layer):
    """A convolution over time. Its weight is (W, C, 5).

    Rows are held step by step, as (R, T, C) says: as the lines of one image whose channels come last. As an
    image each they took 1.04 times as long in float32, 1.01 in bfloat16.
    """

    def __init__(self, weight: Tensor, bias: Tensor, dtype: torch.dtype, positive: bool) -> None:
        super().__init__(weight[:, :, None], bias, dtype, positive)
        self.weight = self.weight.contiguous(memory_format=torch.channels_last)

    def forward(self, x: Tensor) -> Tensor:
        """(R, T, C) to (R, T, W)."""
        x = x.to(self.weight.dtype)
        lines = x.permute(2, 0, 1)[None]  # (1, C, R, T)
        if x.is_cpu and fuses(x.dtype):
            done = _convolved(lines, self.packed(x.shape[1]), self.bias, self.after)
        elif x.is_cuda and self.positive and fuses_on_gpu(x.dtype):
            done = _convolved_on_gpu(lines, self.weight, self.bias)
        else:
            done = self.rectified(F.conv2d(lines, self.weight, self.bias, padding=(0, EDGE)))
        return done[0].permute(1, 2, 0)

    def pack(self, steps: int) -> Tensor:
        """Lay out the weights."""
        return _packed_convolution(self.weight, steps)


class NarrowConvolution(nn.Module):
    """A convolution over time of a few bands, as one product of the values around each step.

    oneDNN's convolution of 12 bands took 1.3 times as long, that of 2 bands 2 times.

    Args:
        weight: (W, C, 5).
        bias: (W,).
        dtype: Numbers to compute with.
        positive: Whether a ReLU comes after it.
        by_step: Whether processors hold the result step by step: all rows of a step together.
    """

    def __init__(
        self, weight: Tensor, bias: Tensor, dtype: torch.dtype, positive: bool, by_step: bool = False
    ) -> None:
        super().__init__()
        self.product = Dense(weight.transpose(1, 2).flatten(1), bias, dtype, positive)
        self.by_step = by_step

    def forward(self, x: Tensor) -> Tensor:
        """(R, T, C) to (R, T, W)."""
        rows, steps, bands = x.shape
        edged = F.pad(x, (0, 0, EDGE, EDGE))  # (R, T + 4, C)
        strides = ((steps + 2 * EDGE) * bands, bands, 1)
        around = edged.as_strided((rows, steps, KERNEL * bands), strides)
        if self.by_step and x.is_cpu:
            return self._product(around.transpose(0, 1)).transpose(0, 1)
        return self._product(around)

    def _product(self, around: Tensor) -> Tensor:
        done: Tensor = self.product(around.flatten(0, 1))
        return done.view(*around.shape[:2], -1)


def rounded(weight: Tensor, dtype: torch.dtype) -> Tensor:
    """A weight (W, ...) in other numbers; in bfloat16 what rounding adds to one is taken from the next.

    Values next to each other (steps, bands, channels after a ReLU) rise and fall together, so that errors
    matter most where they add up. Without it 0.33 % of the pixels changed their class in the worst pattern
    (Co-Miss, Canada), with it 0.18 %.

    Args:
        weight: In float64.
        dtype: The numbers.
    """
    if dtype != torch.bfloat16:
        return weight.to(dtype)
    columns = weight.flatten(1).T.contiguous()
    done, left = torch.empty_like(columns, dtype=dtype), torch.zeros_like(columns[0])
    for column, kept in zip(columns, done, strict=True):
        wanted = column + left
        kept.copy_(wanted)
        left = wanted - kept
    return done.T.reshape(weight.shape)


@cache
def fuses(dtype: torch.dtype) -> bool:
    """Whether this torch, on this processor, offers what oneDNN does in one step: tried once."""
    if not torch.backends.mkldnn.is_available():  # type: ignore[no-untyped-call]
        return False
    weight = torch.zeros(16, 16, 1, KERNEL, dtype=dtype).contiguous(memory_format=torch.channels_last)
    bias, rows = torch.zeros(16, dtype=dtype), torch.zeros(2, 16, dtype=dtype)
    try:
        _convolved(rows[:, :, None, None], _packed_convolution(weight, 1), bias, "relu")
        torch.ops.mkldnn._linear_pointwise(rows, _packed_dense(weight[:, :, 0, 0]), bias, "none", [], "")
    except (AttributeError, RuntimeError, TypeError):  # not there, not for this processor, other arguments
        return False
    return True


@cache
def fuses_on_gpu(dtype: torch.dtype) -> bool:
    """Whether this torch sums and rectifies in one step on this GPU, and rightly: tried once."""
    weight = torch.ones(16, 16, 1, KERNEL, dtype=dtype, device="cuda")
    weight = weight.contiguous(memory_format=torch.channels_last)
    x = torch.linspace(-1, 1, 16 * 16 * 8, device="cuda").view(16, 8, 16).to(dtype)  # (R, T, C)
    lines, rows = x.permute(2, 0, 1)[None], x[:, 0].contiguous()
    bias = torch.linspace(-1, 1, 16, device="cuda").to(dtype)
    try:
        tried = (_convolved_on_gpu(lines, weight, bias), _multiplied_on_gpu(rows, weight[:, :, 0, 0], bias))
    except (AttributeError, RuntimeError, TypeError):  # not there, not for this GPU, other arguments
        return False
    known = (F.conv2d(lines, weight, bias, padding=(0, EDGE)), F.linear(rows, weight[:, :, 0, 0], bias))
    return all(
        torch.allclose(one, other.relu(), rtol=0.02, atol=0.02)
        for one, other in zip(tried, known, strict=True)
    )


def _multiplied_on_gpu(rows: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
    """(R, D) to (R, W), not below 0."""
    done: Tensor = torch._addmm_activation(bias, rows, weight.T)
    return done


def _convolved_on_gpu(lines: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
    """(1, C, R, T) to (1, W, R, T), not below 0."""
    return torch.cudnn_convolution_relu(lines, weight, bias, (1, 1), (0, EDGE), (1, 1), 1)


def _convolved(lines: Tensor, packed: Tensor, bias: Tensor, after: str) -> Tensor:
    """(1, C, R, T) to (1, W, R, T)."""
    done: Tensor = torch.ops.mkldnn._convolution_pointwise(
        lines, packed, bias, [0, EDGE], [1, 1], [1, 1], 1, after, [], ""
    )
    return done


def _packed_convolution(weight: Tensor, steps: int) -> Tensor:
    shape = [1, weight.shape[1], CHUNK, steps]
    packed: Tensor = torch.ops.mkldnn._reorder_convolution_weight(weight, [0, EDGE], [1, 1], [1, 1], 1, shape)
    return packed


def _packed_dense(weight: Tensor) -> Tensor:
    packed: Tensor = torch.ops.mkldnn._reorder_linear_weight(weight.contiguous(), CHUNK)
    return packed
