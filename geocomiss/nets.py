"""Encoders and heads that methods are built from, and how pixels are fed to them.

N pixels, R rows, T steps, C bands, D features, K classes.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from geocomiss.batch import Batch
from geocomiss.modalities import MODALITIES

CHUNK: Final = 512
"""Rows a network sees at once in evaluation mode: always this many, so that matrix products of one
shape give one pixel the same bits whatever its neighbours are."""
CHUNK_ON_GPU: Final = 32 * CHUNK
"""The same on a GPU: what it does with 512 rows is over before it can be told what to do next."""
FEW: Final = 64
"""The same of rows that many pixels share: a part of a map lies in few weather cells."""

BLOCKS: Final = 3
KERNEL: Final = 5

Preset = Literal["full", "small", "compact"]
"""Name of an encoder size."""


@dataclass(frozen=True)
class EncoderSize:
    """Widths of an encoder."""

    convolution: int
    """Channels of each convolution block."""
    dense: int
    """Width of the hidden dense layer."""
    features: int
    """Length of the output D."""
    blocks: int = BLOCKS
    """Convolution blocks."""


SIZES: Final[dict[Preset, EncoderSize]] = {
    "full": EncoderSize(128, 512, 128),
    "small": EncoderSize(32, 128, 64),
    "compact": EncoderSize(32, 128, 64, blocks=1),
}
"""The published size, one whose models weigh less than 3 MB, and that of students of the first."""


class Normalise(nn.Module):
    """(x - mean) / std per band, then 0 where a value is missing. First layer of every method.

    Args:
        bands: Number of bands C.
    """

    mean: Tensor
    """(C,) in canonical units."""
    std: Tensor
    """(C,) in canonical units."""

    def __init__(self, bands: int) -> None:
        super().__init__()
        self.register_buffer("mean", torch.zeros(bands))
        self.register_buffer("std", torch.ones(bands))

    def fit(self, values: Tensor) -> None:
        """Take the statistics from measured values (R, C); a band that never varies gets std 1."""
        if len(values) == 0:
            return
        std, mean = torch.std_mean(values.double(), 0, correction=0)
        self.mean.copy_(mean)
        self.std.copy_(torch.where(std > 0, std, 1.0))

    def forward(self, x: Tensor) -> Tensor:
        """(..., C) in canonical units to (..., C) around 0."""
        return (x - self.mean).div_(self.std).nan_to_num_()


class BatchNorm(nn.BatchNorm1d):
    """Batch normalisation that lets a lone training row pass by its running statistics."""

    def forward(self, x: Tensor) -> Tensor:
        """(R, D) or (R, D, T) to the same."""
        if self.training and x.numel() == x.shape[1]:  # one value a channel has no variance
            return F.batch_norm(x, self.running_mean, self.running_var, self.weight, self.bias, eps=self.eps)
        return super().forward(x)


class TempCNN(nn.Module):
    """Temporal convolutions: three blocks, then two dense layers.

    Source: Pelletier, Webb and Petitjean 2019, in the size of the co-learning papers.

    Args:
        bands: Number of bands C.
        steps: Number of time steps T.
        size: Widths.
        dropout: Share of features dropped while training.
        features: Length of the output, the size's D by default.
    """

    def __init__(
        self, bands: int, steps: int, size: EncoderSize, dropout: float, features: int | None = None
    ) -> None:
        super().__init__()
        width = size.convolution
        layers: list[nn.Module] = []
        for block in range(size.blocks):
            layers += [
                nn.Conv1d(width if block else bands, width, KERNEL, padding=KERNEL // 2),
                BatchNorm(width),
                nn.ReLU(),
                nn.Dropout(dropout),
            ]
        self.convolutions = nn.Sequential(*layers)
        self.dense = nn.Sequential(
            nn.Linear(width * steps, size.dense),
            BatchNorm(size.dense),
            nn.ReLU(),
            nn.Dropout(dropout),
            nn.Linear(size.dense, features or size.features),
        )

    def forward(self, x: Tensor) -> Tensor:
        """(R, T, C) to (R, D)."""
        # plain Conv1d: unfolding to one matrix product took 1.2 times as long on 1 and 2 threads
        hidden = self.convolutions(x.transpose(1, 2))  # (R, width, T)
        features: Tensor = self.dense(hidden.flatten(1))
        return features


class StaticEncoder(nn.Module):
    """Two dense layers for what does not change over time.

    Args:
        bands: Number of bands C.
        size: Widths.
        dropout: Share of features dropped while training.
        features: Length of the output, the size's D by default.
    """

    def __init__(self, bands: int, size: EncoderSize, dropout: float, features: int | None = None) -> None:
        super().__init__()
        self.dense = nn.Sequential(
            nn.Linear(bands, size.features),
            nn.ReLU(),
            nn.Dropout(dropout),
            nn.Linear(size.features, features or size.features),
        )

    def forward(self, x: Tensor) -> Tensor:
        """(R, 1, C) to (R, D)."""
        features: Tensor = self.dense(x.flatten(1))
        return features


def encoder_of(
    modality: str, shape: tuple[int, int], size: EncoderSize, dropout: float, features: int | None = None
) -> nn.Module:
    """The encoder of a modality.

    Args:
        modality: Key in `MODALITIES`.
        shape: (T, C).
        size: Widths.
        dropout: Share of features dropped while training.
        features: Length of the output, the size's D by default.
    """
    steps, bands = shape
    if MODALITIES[modality].dynamic:
        return TempCNN(bands, steps, size, dropout, features)
    return StaticEncoder(bands, size, dropout, features)


class MLPHead(nn.Sequential):
    """A hidden layer, then one logit a class: (R, D) to (R, K)."""

    def __init__(self, features: int, classes: int, dropout: float) -> None:
        super().__init__(
            nn.Linear(features, features),
            nn.ReLU(),
            BatchNorm(features),
            nn.Dropout(dropout),
            nn.Linear(features, classes),
        )


def in_chunks(function: Callable[..., Tensor], *rows: Tensor, chunk: int | None = None) -> Tensor:
    """Apply a function of rows to `chunk` of them at a time, the last chunk padded with zeros.

    Args:
        function: Maps tensors of R rows to one of R rows, each row by itself (evaluation mode).
        rows: Tensors of R rows, R > 0.
        chunk: Rows at once; None: as many as suit the device.
    """
    number = len(rows[0])
    chunk = chunk or (CHUNK if rows[0].is_cpu else CHUNK_ON_GPU)
    done = []
    for start in range(0, number, chunk):
        parts = [tensor[start : start + chunk] for tensor in rows]
        held = len(parts[0])
        if held < chunk:
            parts = [torch.cat([part, part.new_zeros(chunk - held, *part.shape[1:])]) for part in parts]
        done.append(function(*(part.contiguous() for part in parts))[:held])
    return torch.cat(done)


def per_pixel(
    function: Callable[[Tensor], Tensor],
    batch: Batch,
    modality: str,
    available: Tensor,
    width: int,
    between: bool = False,
) -> Tensor:
    """Encode a modality for evaluation: each distinct row once, and only where it is available.

    Args:
        function: Maps (R, T, C) to (R, width), each row by itself.
        batch: N pixels.
        modality: One of the batch's.
        available: (N,) bool, the pixels that have it.
        width: Length of the function's output.
        between: Whether results are interpolated between the cells of a coarse grid, where there is one.

    Returns:
        (N, width), zeros where the modality is not available.
    """
    x = batch.x[modality]
    result = x.new_zeros(len(batch), width)
    wanted = torch.nonzero(available).squeeze(1)  # (R,) pixels
    if len(wanted) == 0:
        return result
    if between and modality in batch.around:
        result[wanted] = _between_cells(function, batch, modality, wanted)
    elif modality in batch.index:
        rows, place = torch.unique(batch.index[modality][wanted], return_inverse=True)
        result[wanted] = in_chunks(function, x[rows], chunk=FEW)[place]
    else:
        # gathered a chunk at a time, rows are still in the cache when they are computed with
        # equal rows of terrain are not looked for: encoding 16,384 took 7 ms of 1,200 (compact: 3 of 73),
        # torch.unique of such rows 29, of pairs of bands as one integer 1: what it saves drowns in the noise
        result[wanted] = in_chunks(lambda rows: function(x.index_select(0, rows)), wanted)
    return result


def _between_cells(
    function: Callable[[Tensor], Tensor], batch: Batch, modality: str, wanted: Tensor
) -> Tensor:
    """Results (R, width) of pixels (R,) that have a modality on cells: the mean of the cells around each.

    Cells with too little to be encoded drop out, and the others count for more. A pixel's own never does.
    """
    around = batch.around[modality][wanted]
    weights = around.weights * batch.enough(modality)[around.rows]
    rows = torch.where(weights > 0, around.rows, batch.index[modality][wanted][:, None])
    used, place = torch.unique(rows, return_inverse=True)
    of_cells = in_chunks(function, batch.x[modality][used], chunk=FEW)
    shares = weights / _added(weights)[:, None]
    return _added(of_cells[place] * shares[..., None])


def _added(four: Tensor) -> Tensor:
    """The sum over the four of an axis, the second; one by one, so that no reduction reorders it."""
    one, two, three, last = four.unbind(1)
    return one + two + three + last


def pixels_of(batch: Batch, modality: str, wanted: Tensor) -> Tensor:
    """Series (R, T, C) of the chosen pixels (R,) of a batch, repeated rows repeated."""
    rows = batch.index[modality][wanted] if modality in batch.index else wanted
    return batch.x[modality][rows]
