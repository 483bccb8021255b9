"""Trained networks made fast for prediction: batch norms folded, convolutions as matrix products.

R rows, T steps, C bands, W channels, D features.
"""

import copy
from collections.abc import Mapping
from itertools import pairwise
from typing import Final, Literal, cast

import torch
from torch import Tensor, nn

from geocomiss.errors import MethodError
from geocomiss.methods import Method
from geocomiss.methods.galileo import Galileo
from geocomiss.nets import KERNEL, BatchNorm, TempCNN

Precision = Literal["float32", "bfloat16"]
"""Numbers that encoders are computed with."""
Wanted = Literal["auto", "float32", "bfloat16"]
"""What a user may ask for."""
FAST_BFLOAT16: Final = ("avx512_bf16", "amx_bf16")
"""What processors are said to have that multiply bfloat16 faster than float32: 4 times on the one that was
measured. Others emulate it, slowly."""
EDGE: Final = KERNEL // 2


def precision_of(wanted: Wanted, device: torch.device | str, method: Method) -> Precision:
    """The numbers that a method is computed with: as asked, 'auto' being bfloat16 where it is fast.

    Galileo's 'auto' is the choice in its card, and by itself bfloat16 on a GPU only.

    Raises:
        MethodError: The method cannot be computed with the numbers asked for.
    """
    chosen = method.precision if wanted == "auto" and isinstance(method, Galileo) else wanted
    if not (isinstance(method, Galileo) or _folds(method)):
        if chosen == "bfloat16":
            found = "a method without encoders that compute in bfloat16"
            raise MethodError(found, expected="float32", todo="correct --precision")
        return "float32"
    if chosen != "auto":
        return chosen
    if torch.device(device).type == "cuda":
        return "bfloat16"
    return "bfloat16" if _folds(method) and fast_bfloat16() else "float32"


def fast_bfloat16() -> bool:
    """Whether this processor multiplies bfloat16 faster than float32."""
    able = _capabilities()
    return any(able.get(name) for name in FAST_BFLOAT16)


def prepared(method: Method, precision: Precision) -> Method:
    """A method for prediction alone: itself for float32, else a copy with its encoders in bfloat16.

    Heads, fusion and everything after the encoders stay in float32. Of float32 the plain convolution was
    the fastest way that was tried; of bfloat16 the matrix products were (1.3 times as fast).

    Args:
        method: A trained method.
        precision: See `precision_of`.
    """
    if isinstance(method, Galileo):
        chosen = copy.deepcopy(method)
        chosen.precision = precision
        return chosen
    if precision == "float32":
        return method
    fast = copy.deepcopy(method).eval()
    for parent in [*fast.modules()]:
        for name, child in [*parent.named_children()]:
            if isinstance(child, TempCNN):
                setattr(parent, name, FoldedTempCNN(child, torch.bfloat16))
    return fast


class FoldedTempCNN(nn.Module):
    """A trained `TempCNN` that can only predict.

    Rows are laid out step by step, so that what a step sees of its neighbours is a window of the row, and
    a convolution is a matrix product a step that reads this window in place; steps beyond the ends cost
    nothing. Batch norms are part of the matrices.

    Args:
        trained: The network; it stays as it is.
        dtype: Numbers to compute with.
    """

    def __init__(self, trained: TempCNN, dtype: torch.dtype) -> None:
        super().__init__()
        layers = [*trained.convolutions]
        pairs = [
            (layer, after)
            for layer, after in pairwise(layers)
            if isinstance(layer, nn.Conv1d) and isinstance(after, BatchNorm)
        ]
        self.blocks = len(pairs)
        for number, (convolution, norm) in enumerate(pairs):
            weight, bias = _folded(convolution.weight, cast(Tensor, convolution.bias), norm)
            # (W, C, 5) to rows by tap and channel: the order of values in a window
            self._keep(f"convolution{number}", weight.permute(2, 1, 0).flatten(0, 1), bias, dtype)
        hidden, after_hidden, _, _, last = trained.dense
        weight, bias = _folded(*_of_linear(hidden), cast(BatchNorm, after_hidden))
        width = len(pairs[-1][0].weight)
        by_step = weight.view(len(weight), width, -1).permute(2, 1, 0)  # was by channel, then step
        self._keep("hidden", by_step.flatten(0, 1), bias, dtype)
        weight, bias = _of_linear(last)
        self._keep("last", weight.T, bias, dtype)

    def forward(self, x: Tensor) -> Tensor:
        """(R, T, C) to (R, D), float32."""
        steps = x.shape[1]
        rows = x.flatten(1).to(self.hidden_weight.dtype)
        for number in range(self.blocks):
            rows = self._convolved(rows, number, steps)
        hidden = torch.addmm(self.hidden_bias, rows, self.hidden_weight).relu_()
        return torch.addmm(self.last_bias, hidden, self.last_weight).float()

    hidden_weight: Tensor
    hidden_bias: Tensor
    last_weight: Tensor
    last_bias: Tensor

    def _convolved(self, rows: Tensor, number: int, steps: int) -> Tensor:
        """(R, T * C) to (R, T * W), not below 0."""
        weight = self.get_buffer(f"convolution{number}_weight")  # (5 * C, W)
        bias = self.get_buffer(f"convolution{number}_bias")
        bands, width = weight.shape[0] // KERNEL, weight.shape[1]
        result = rows.new_empty(len(rows), steps * width)
        for step in range(steps):
            first, end = max(0, step - EDGE), min(steps, step + EDGE + 1)
            taps = slice((first - step + EDGE) * bands, (end - step + EDGE) * bands)
            seen = rows[:, first * bands : end * bands]
            torch.addmm(bias, seen, weight[taps], out=result[:, step * width : (step + 1) * width])
        return result.relu_()

    def _keep(self, name: str, weight: Tensor, bias: Tensor, dtype: torch.dtype) -> None:
        self.register_buffer(f"{name}_weight", weight.to(dtype).contiguous())
        self.register_buffer(f"{name}_bias", bias.to(dtype))


def _folds(method: Method) -> bool:
    """Whether a method has encoders that can be folded."""
    return any(isinstance(module, TempCNN) for module in method.modules())


def _of_linear(layer: nn.Module) -> tuple[Tensor, Tensor]:
    if not isinstance(layer, nn.Linear):
        raise TypeError(f"a {type(layer).__name__} where a linear layer was")
    return layer.weight.detach(), layer.bias.detach()


def _folded(weight: Tensor, bias: Tensor, norm: BatchNorm) -> tuple[Tensor, Tensor]:
    """The layer and the batch norm after it as one layer: weight (W, ...) and bias (W,).

    gamma (w x + b - mean) / std + beta = (gamma / std) w x + gamma (b - mean) / std + beta.
    """
    mean, variance = cast(Tensor, norm.running_mean), cast(Tensor, norm.running_var)
    scale = norm.weight.detach().double() / torch.sqrt(variance.double() + norm.eps)
    shape = (-1, *([1] * (weight.ndim - 1)))
    shift = (bias.detach().double() - mean.double()) * scale + norm.bias.detach().double()
    return (weight.detach().double() * scale.view(shape)).float(), shift.float()


def _capabilities() -> Mapping[str, object]:
    """What the processor can do, by name; nothing where this version of torch does not tell."""
    ask = getattr(torch.cpu, "get_capabilities", None)
    return cast(Mapping[str, object], ask()) if ask else {}
