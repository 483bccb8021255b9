"""Galileo: an encoder of single pixels with any of its groups of channels missing.

Every group of channels at every time step is a token; what is missing is no token. Source: Tseng et
al. 2025, "Galileo: Learning Global & Local Features of Many Remote Sensing Modalities"; names of
the weights as published by its authors. Pixels only: patches of 1 x 1, height and width 1.

R rows, T steps, c channels of a group, L tokens, D features.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from geocomiss.pretrained.transformer import WIDER, FeedForward, attend, waves
from geocomiss.pretrained.weights import (
    Published,
    Weights,
    check_fits,
    check_there,
    identity_of,
    read_tensors,
    unusable,
)

SizeName = Literal["nano", "tiny", "base"]


@dataclass(frozen=True)
class GalileoSize:
    """Widths of an encoder."""

    features: int
    """D."""
    depth: int
    """Number of blocks."""
    heads: int
    """Attention heads."""


SIZES: Final[dict[SizeName, GalileoSize]] = {
    "nano": GalileoSize(128, 4, 8),
    "tiny": GalileoSize(192, 12, 3),
    "base": GalileoSize(768, 12, 12),
}
"""The published sizes."""
SMALLEST: Final = GalileoSize(32, 2, 4)
"""Not published: for models that begin from random weights and weigh little."""

CONFIG: Final = "config.json"
ENCODER: Final = "encoder.pt"
PUBLISHED: Final = Published(
    "Galileo",
    "huggingface.co/nasaharvest/galileo, folders models/nano, models/tiny and models/base (nano also lies "
    "in data/models/nano of github.com/nasaharvest/galileo)",
    f"a folder with {CONFIG} and {ENCODER}: the tensors of the encoder under their published names",
    (CONFIG, ENCODER),
)

KERNEL: Final = 8
"""Edge of the published patch kernels, in pixels."""
POSITIONS: Final = 24
"""Time steps that the published table of positions has."""

SPACE_TIME: Final = {
    "S1": 2,
    "S2_RGB": 3,
    "S2_Red_Edge": 3,
    "S2_NIR_10m": 1,
    "S2_NIR_20m": 1,
    "S2_SWIR": 2,
    "NDVI": 1,
}
SPACE: Final = {"SRTM": 2, "DW": 9, "WC": 5}
TIME: Final = {"ERA5": 2, "TC": 3, "VIIRS": 1}
STATIC: Final = {"LS": 1, "location": 3, "DW_static": 9, "WC_static": 5}
GROUPS: Final = {**SPACE_TIME, **SPACE, **TIME, **STATIC}
"""Groups of channels, of each the number of channels c; one token a step, or one where static."""

Projection = tuple[Tensor, Tensor]
"""Matrix (D, c) and bias (D,) that turn the channels of a group into a token."""


class GalileoEncoder(nn.Module):
    """Tokens of the groups that a pixel has, through a transformer, averaged.

    Args:
        size: Widths.
    """

    pos_embed: Tensor
    """(24, D / 4) encodings of the first steps."""

    def __init__(self, size: GalileoSize) -> None:
        super().__init__()
        width, part = size.features, size.features // 4
        self.register_buffer("pos_embed", _positions(POSITIONS, part))
        self.month_embed = nn.Embedding(12, part, _weight=_months(part)).requires_grad_(False)
        self.s_t_channel_embed = nn.Parameter(0.02 * torch.randn(len(SPACE_TIME), part))
        self.sp_channel_embed = nn.Parameter(0.02 * torch.randn(len(SPACE), part))
        self.t_channel_embed = nn.Parameter(0.02 * torch.randn(len(TIME), part))
        self.st_channel_embed = nn.Parameter(0.02 * torch.randn(len(STATIC), part))
        self.space_time_embed = nn.ModuleDict({name: _Patch(c, width) for name, c in SPACE_TIME.items()})
        self.space_embed = nn.ModuleDict({name: _Patch(c, width) for name, c in SPACE.items()})
        self.time_embed = nn.ModuleDict({name: nn.Linear(c, width) for name, c in TIME.items()})
        self.static_embed = nn.ModuleDict({name: nn.Linear(c, width) for name, c in STATIC.items()})
        self.blocks = nn.ModuleList(_Block(width, size.heads) for _ in range(size.depth))
        self.norm = nn.LayerNorm(width)

    def forward(
        self,
        values: Mapping[str, Tensor],
        seen: Mapping[str, Tensor],
        months: Tensor,
        projections: Mapping[str, Projection] | None = None,
        length: int | None = None,
    ) -> Tensor:
        """The mean of the visible tokens (R, D).

        Args:
            values: Per group (R, T, c), normalised; (R, 1, c) of a static one. Groups that no row
                has are left out. Values of hidden tokens are finite and do not matter.
            seen: Per group (R, T) bool, or (R, 1): the tokens that are there.
            months: (R, T) month of each step, 0..11.
            projections: What `projections` gives, where it was computed before.
            length: Tokens to compute a row, at least as many as any row has; by default as many.
        """
        matrices = projections or self.projections(tuple(values))
        names = [name for name in GROUPS if name in values]
        tokens = torch.cat([F.linear(values[n], *matrices[n]) + self._where(n, months) for n in names], 1)
        x, there = _packed(tokens, torch.cat([seen[name] for name in names], 1), length)
        for block in self.blocks:
            x = block(x, there)
        weights = there.to(x)[..., None]
        mean: Tensor = (self.norm(x) * weights).sum(1) / weights.sum(1).clamp(min=1)
        return mean

    def projections(self, names: tuple[str, ...]) -> dict[str, Projection]:
        """The projections of some groups; patch kernels are folded for patches of one pixel."""
        return {name: self._projection(name) for name in names}

    def used_by(self, names: tuple[str, ...]) -> list[nn.Parameter]:
        """The parameters that rows with these groups depend on."""
        used: list[nn.Parameter] = [*self.blocks.parameters(), *self.norm.parameters()]
        for kind, groups in _KINDS.items():
            if some := [name for name in groups if name in names]:
                used.append(getattr(self, f"{kind}_channel_embed"))
                used += [p for name in some for p in self._embedding(name).parameters()]
        return used

    def _embedding(self, name: str) -> nn.Module:
        kinds = (self.space_time_embed, self.space_embed, self.time_embed, self.static_embed)
        return next(kind[name] for kind in kinds if name in kind)

    def _projection(self, name: str) -> Projection:
        layer = self._embedding(name)
        if isinstance(layer, _Patch):
            return layer.folded()
        if not isinstance(layer, nn.Linear):
            raise TypeError(f"{name} is a {type(layer).__name__}")
        return layer.weight, layer.bias

    def _where(self, name: str, months: Tensor) -> Tensor:
        """What is added to the tokens of a group: [channel | time | month | space], (R, T or 1, D)."""
        kind = next(kind for kind, groups in _KINDS.items() if name in groups)
        channel = getattr(self, f"{kind}_channel_embed")[list(_KINDS[kind]).index(name)]
        number, steps = months.shape
        if kind in ("s_t", "t"):
            month = self.month_embed(months)  # (R, T, D / 4)
            time = self._time(steps).expand_as(month)
        else:
            month = time = channel.new_zeros(number, 1, len(channel))
        space = _origin(len(channel)).to(channel) if kind in ("s_t", "sp") else torch.zeros_like(channel)
        return torch.cat([channel.expand_as(month), time, month, space.expand_as(month)], 2)

    def _time(self, steps: int) -> Tensor:
        if steps <= len(self.pos_embed):
            return self.pos_embed[:steps]
        return _positions(steps, self.pos_embed.shape[1]).to(self.pos_embed)


_KINDS: Final = {"s_t": SPACE_TIME, "sp": SPACE, "t": TIME, "st": STATIC}
"""Groups by the published prefix of their kind."""


class _Patch(nn.Module):
    """A patch kernel as published, c channels of 8 x 8 pixels."""

    def __init__(self, channels: int, features: int) -> None:
        super().__init__()
        self.proj = nn.Conv2d(channels, features, KERNEL)

    def folded(self) -> Projection:
        """The kernel for one pixel: its least-squares answer to a bicubically reduced 8 x 8 patch.

        With a the 8 x 8 weights that reduce a patch to one pixel, W_1 = sum(a W) / sum(a^2).
        """
        a = _reduction().to(self.proj.weight)
        matrix = (self.proj.weight * a).sum((2, 3)) / a.square().sum()
        if self.proj.bias is None:
            raise TypeError("a patch kernel without bias")
        return matrix, self.proj.bias


class _Attention(nn.Module):
    def __init__(self, features: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.q, self.k, self.v, self.proj = (nn.Linear(features, features) for _ in range(4))

    def forward(self, x: Tensor, seen: Tensor) -> Tensor:
        result: Tensor = self.proj(attend(self.q(x), self.k(x), self.v(x), self.heads, seen))
        return result


class _Block(nn.Module):
    def __init__(self, features: int, heads: int) -> None:
        super().__init__()
        self.norm1, self.norm2 = nn.LayerNorm(features), nn.LayerNorm(features)
        self.attn = _Attention(features, heads)
        self.mlp = FeedForward(features)

    def forward(self, x: Tensor, seen: Tensor) -> Tensor:
        x = x + self.attn(self.norm1(x), seen)
        result: Tensor = x + self.mlp(self.norm2(x))
        return result


def read_galileo(folder: Path) -> Weights[SizeName]:
    """Read published weights.

    Args:
        folder: With `config.json` and `encoder.pt`.

    Raises:
        CheckpointError: A file is missing, damaged, or not of a published size; the first key that
            does not fit is named.
    """
    file = folder / ENCODER
    check_there(folder, PUBLISHED)
    size = _size_of(folder / CONFIG)
    # some files carry the name of a part that wraps the encoder
    read = read_tensors(file, PUBLISHED)
    tensors = {name.replace(".backbone", ""): value for name, value in read.items()}
    if len(tensors) < len(read):
        raise unusable(file, "it has names twice, with and without .backbone", PUBLISHED)
    with torch.device("meta"):
        shapes = {name: value.shape for name, value in GalileoEncoder(SIZES[size]).state_dict().items()}
    check_fits(tensors, shapes, file, PUBLISHED)
    return Weights(size, tensors, identity_of(folder, PUBLISHED))


def _size_of(config: Path) -> SizeName:
    try:
        stated: dict[str, Any] = json.loads(config.read_text("utf-8"))["model"]["encoder"]
        found = GalileoSize(stated["embedding_size"], stated["depth"], stated["num_heads"])
        rest = (stated["mlp_ratio"], stated["max_sequence_length"], stated["max_patch_size"])
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise unusable(config, f"no model.encoder: {type(error).__name__} {error}", PUBLISHED) from error
    names = [name for name, size in SIZES.items() if size == found]
    if not names or rest != (WIDER, POSITIONS, KERNEL):
        raise unusable(config, f"an encoder of no published size: {found}", PUBLISHED)
    return names[0]


def _packed(tokens: Tensor, seen: Tensor, length: int | None) -> tuple[Tensor, Tensor]:
    """Visible tokens first, in order, cut to `length`: (R, length, D) and whether they are there."""
    if length is None:
        length = max(int(seen.sum(1).max()), 1)
    order = torch.argsort((~seen).to(torch.uint8), dim=1, stable=True)[:, :length]
    return tokens.gather(1, order[..., None].expand(-1, -1, tokens.shape[2])), seen.gather(1, order)


def _positions(steps: int, width: int) -> Tensor:
    """Encodings of the steps (T, width): rates 10000^(-k / 2 width), as published."""
    rates = 10000.0 ** (-torch.arange(width // 2, dtype=torch.float64) / (2 * width))
    return waves(torch.arange(steps, dtype=torch.float64), rates).float()


def _months(width: int) -> Tensor:
    """Encodings of the months (12, width): the sine of the angle in one half, the cosine in the other."""
    angle = torch.arange(12, dtype=torch.float64) * (2 * torch.pi / 12)
    return waves(angle, torch.ones(width // 2, dtype=torch.float64)).float()


def _origin(width: int) -> Tensor:
    """Encoding of the place of a lone pixel, (0, 0): (width,)."""
    return waves(torch.zeros(2), torch.ones(width // 4)).flatten()


def _reduction() -> Tensor:
    """Weights (8, 8) of the bicubic reduction with anti-aliasing of a patch to one pixel.

    Keys' cubic kernel (a = -0.5), stretched over the patch.
    """
    x = ((torch.arange(KERNEL, dtype=torch.float64) + 0.5) / KERNEL - 0.5).abs()
    taps = 1.5 * x**3 - 2.5 * x**2 + 1
    taps = taps / taps.sum()
    return torch.outer(taps, taps)
