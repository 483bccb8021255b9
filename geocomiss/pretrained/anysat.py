"""AnySat: an encoder of Sentinel-2 and Sentinel-1 series of single pixels.

A temporal projector a sensor turns a series into one token; a spatial encoder refines it; a
transformer over the tokens of all sensors and a class token gives the features. Source: Astruc et
al. 2025, "AnySat: One Earth Observation Model for Many Resolutions, Scales, and Modalities"; names
of the weights as published by its authors. Pixels only: one sub-patch a patch, one patch a tile.

With one sub-patch and one patch every relative position that the class token sees is the same, so a
constant is added to all its attention scores, which changes nothing: where only the class token goes
on, the tables of relative positions are not read.

R rows, T steps, C channels, L tokens, D features.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Final, Literal

import torch
from torch import Tensor, nn

from geocomiss.pretrained.transformer import FeedForward, attend, split, waves
from geocomiss.pretrained.weights import (
    Published,
    Weights,
    check_fits,
    check_there,
    identity_of,
    read_tensors,
    unusable,
)

SizeName = Literal["tiny", "base"]


@dataclass(frozen=True)
class AnySatSize:
    """Widths of an encoder."""

    features: int
    """D."""
    depth: int
    """Blocks of the spatial encoder, and of the transformer but for the last."""
    heads: int
    """Attention heads."""


SIZES: Final[dict[SizeName, AnySatSize]] = {"tiny": AnySatSize(256, 2, 4), "base": AnySatSize(768, 6, 12)}
"""The sizes of the authors' code; weights are published of 'base' only."""
SMALLEST: Final = AnySatSize(64, 1, 4)
"""Not published: for models that begin from random weights and weigh little."""

PUBLISHED: Final = Published(
    "AnySat",
    "huggingface.co/g-astruc/AnySat, file models/AnySat.pth",
    "a PyTorch file with the tensors of the model under their published names (418 of them in 'base'), "
    "by themselves or under 'state_dict'",
)

Sensor = Literal["s2", "s1-asc"]
"""A sensor by its published name."""
SENSORS: Final[tuple[Sensor, ...]] = ("s2", "s1-asc")
SERIES: Final = {"s2": 10, "s1-asc": 2, "s1": 3, "alos": 3, "l7": 6, "l8": 11, "modis": 7}
"""Channels C of every sensor with a temporal projector; we read two of them."""
IMAGES: Final = {"aerial": (4, 10), "aerial-flair": (5, 10), "spot": (3, 10), "naip": (4, 8)}
"""Channels and pixels a patch of the sensors without time, which we do not read."""

HEADS: Final = 16
"""Attention heads of a temporal projector, and groups of its normalisations."""
KEYS: Final = 8
"""Width of its keys a head."""
GROUPS: Final = 4
"""Groups of channels that its dense layers normalise together."""
PERIOD: Final = 367.0
"""Longest scale of its encoding of days."""
BUCKETS: Final = 8
"""Rows of a table of relative positions: distances -3 to 3, then one for the class token."""
CENTRE: Final = 3
"""Row of the distance 0."""
CLASS: Final = 7
"""Row of the class token."""
EPSILON: Final = 1e-6
"""Of the layer normalisations of the transformer."""


class AnySatEncoder(nn.Module):
    """Sentinel-2 and Sentinel-1 series to features; also from one of the two alone.

    Args:
        size: Widths.
        sensors: The sensors it reads.
    """

    def __init__(self, size: AnySatSize, sensors: tuple[str, ...] = SENSORS) -> None:
        super().__init__()
        width = size.features
        self.cls_token = nn.Parameter(0.02 * torch.randn(1, 1, width))
        for sensor in sensors:
            self.add_module(f"projector_{sensor}", _projector(sensor, width))
        self.spatial_encoder = _SpatialEncoder(size)
        blocks = [_Block(width, size.heads) for _ in range(size.depth)]
        self.blocks = nn.ModuleList([*blocks, _LastBlock(width, size.heads)])

    def token(self, sensor: str, x: Tensor, seen: Tensor, days: Tensor) -> Tensor:
        """The token (R, D) of a sensor.

        Args:
            sensor: One of `SENSORS`.
            x: (R, T, C), normalised.
            seen: (R, T) bool, at least one step a row. Steps that are not seen are left out, as if
                the series were shorter.
            days: (R, T) day of the year, from 0.
        """
        series = getattr(self, f"projector_{sensor}").patch_embed(x, seen, days)
        token: Tensor = self.spatial_encoder(series)
        return token + _place(token.shape[1]).to(token)

    def forward(self, tokens: Tensor, seen: Tensor) -> Tensor:
        """Features (R, D) from the tokens of the sensors.

        Args:
            tokens: (R, L, D), in any order.
            seen: (R, L) bool, which of them are there.
        """
        first = self.cls_token.expand(len(tokens), -1, -1)
        x = torch.cat([first, tokens], 1)
        there = torch.cat([torch.ones_like(seen[:, :1]), seen], 1)
        for block in self.blocks:
            x = block(x, there)
        return x[:, 0]

    def used_by(self, sensors: tuple[str, ...]) -> list[nn.Parameter]:
        """The parameters that features from these sensors depend on."""
        parts = [self.spatial_encoder, self.blocks, *(getattr(self, f"projector_{s}") for s in sensors)]
        used = [self.cls_token, *(p for part in parts for p in part.parameters())]
        untouched = {id(table) for table in self._constant()}
        return [parameter for parameter in used if id(parameter) not in untouched]

    def _constant(self) -> list[nn.Parameter]:
        """Tables of relative positions that only the class token would read."""
        ends = (self.spatial_encoder.predictor_blocks[-1], self.blocks[-1])
        return [parameter for end in ends for name, parameter in end.named_parameters() if "rpe_k" in name]


class _Projector(nn.Module):
    """A temporal projector and a number that the authors write into masked steps (here left out)."""

    pad_parameter: Tensor

    def __init__(self, channels: int, width: int, normalised: bool) -> None:
        super().__init__()
        self.register_buffer("pad_parameter", torch.zeros(()))
        self.patch_embed = _TemporalAttention(channels, width, normalised)


class _ImageProjector(nn.Module):
    """A projector of images: only its names and shapes are needed."""

    def __init__(self, channels: int, edge: int, width: int) -> None:
        super().__init__()
        self.patch_embed = nn.Conv2d(channels, width, edge, bias=False)
        hidden = [nn.Linear(width, 2 * width), nn.LayerNorm(2 * width), nn.ReLU()]
        self.mlp = nn.Sequential(*hidden, nn.Linear(2 * width, width), nn.LayerNorm(width), nn.ReLU())


def _projector(sensor: str, width: int) -> nn.Module:
    if sensor in IMAGES:
        return _ImageProjector(*IMAGES[sensor], width)
    return _Projector(SERIES[sensor], width, normalised=sensor == "s2")


class _TemporalAttention(nn.Module):
    """A series to one vector: dense layers on each step, then learned queries over the steps.

    Source: Garnot and Landrieu 2020, "Lightweight Temporal Self-Attention", with normalisation by
    groups of channels.
    """

    def __init__(self, channels: int, width: int, normalised: bool) -> None:
        super().__init__()
        widths = (channels, width // 8, width // 2, width, 2 * width, width)
        layers: list[nn.Module] = []
        for have, give in pairwise(widths):
            # the empty place is the authors' drop-out: names count positions
            layers += [nn.Linear(have, give), nn.GroupNorm(GROUPS, give), nn.ReLU(), nn.Identity()]
        self.inconv = nn.Sequential(*layers)
        self.attention_heads = _Queries(width)
        self.in_norm = nn.GroupNorm(HEADS, width) if normalised else None
        self.mlp = nn.Sequential(nn.Linear(width, width), nn.GroupNorm(GROUPS, width), nn.ReLU())
        self.out_norm = nn.GroupNorm(HEADS, width)

    def forward(self, x: Tensor, seen: Tensor, days: Tensor) -> Tensor:
        """(R, T, C), (R, T), (R, T) to (R, D)."""
        hidden = self.inconv(x.flatten(0, 1)).reshape(*x.shape[:2], -1)  # (R, T, D)
        if self.in_norm is not None:
            hidden = _group_norm_over(hidden, seen, self.in_norm)
        hidden = hidden + _days(days, hidden.shape[2])
        result: Tensor = self.out_norm(self.mlp(self.attention_heads(hidden, seen)))
        return result


class _Queries(nn.Module):
    """One learned query a head; each head averages its own share of the features over the steps."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.Q = nn.Parameter(torch.randn(HEADS, KEYS) * 0.5)
        self.fc1_k = nn.Linear(width, HEADS * KEYS)

    def forward(self, x: Tensor, seen: Tensor) -> Tensor:
        """(R, T, D), (R, T) to (R, D)."""
        keys = split(self.fc1_k(x), HEADS)  # (R, T, 16, 8)
        scores = (keys * self.Q).sum(3) / KEYS**0.5  # (R, T, 16)
        shares = scores.masked_fill(~seen[..., None], -torch.inf).softmax(1)
        return (shares[..., None] * split(x, HEADS)).sum(1).flatten(1)


class _SpatialEncoder(nn.Module):
    """The sub-patches of a patch and a class token; here one sub-patch."""

    def __init__(self, size: AnySatSize) -> None:
        super().__init__()
        self.cls_token = nn.Parameter(0.02 * torch.randn(1, 1, size.features))
        self.predictor_blocks = nn.ModuleList(
            _Block(size.features, size.heads, relative=True) for _ in range(size.depth)
        )
        self.predictor_norm = nn.LayerNorm(size.features)

    def forward(self, x: Tensor) -> Tensor:
        """(R, D) to (R, D)."""
        first = self.cls_token.expand(len(x), -1, -1)
        tokens = torch.cat([first, (x + _place(x.shape[1]).to(x))[:, None]], 1)  # (R, 2, D)
        for block in self.predictor_blocks:
            tokens = block(tokens)
        result: Tensor = self.predictor_norm(tokens[:, 0])
        return result


class _Table(nn.Module):
    """Relative positions as keys, shared by the heads."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.lookup_table_weight = nn.Parameter(0.02 * torch.randn(1, width, BUCKETS))


class _Attention(nn.Module):
    def __init__(self, width: int, heads: int, relative: bool) -> None:
        super().__init__()
        self.heads = heads
        self.qkv, self.proj = nn.Linear(width, 3 * width), nn.Linear(width, width)
        self.rpe_k = _Table(width // heads) if relative else None

    def forward(self, x: Tensor, seen: Tensor | None) -> Tensor:
        q, k, v = self.qkv(x).chunk(3, 2)
        if self.rpe_k is None:
            result: Tensor = self.proj(attend(q, k, v, self.heads, seen))
            return result
        return self._relative(q, k, v, self.rpe_k.lookup_table_weight[0])

    def _relative(self, q: Tensor, k: Tensor, v: Tensor, table: Tensor) -> Tensor:
        """Attention of a class token and one sub-patch: (q k + q_1 r) / sqrt(D / A), r by distance.

        q_1 is the query of the first head, for all heads: so computes the published code.
        """
        q, k, v = (split(part, self.heads).transpose(1, 2) for part in (q, k, v))
        rows = torch.tensor([[CLASS, CLASS], [CLASS, CENTRE]], device=q.device)
        positions = torch.einsum("rald,dlm->ralm", q[:, :1], table[:, rows])
        scores = (q @ k.transpose(2, 3) + positions) / q.shape[3] ** 0.5
        result: Tensor = self.proj((scores.softmax(3) @ v).transpose(1, 2).flatten(2))
        return result


class _Block(nn.Module):
    def __init__(self, width: int, heads: int, relative: bool = False) -> None:
        super().__init__()
        epsilon = 1e-5 if relative else EPSILON
        self.norm1, self.norm2 = nn.LayerNorm(width, epsilon), nn.LayerNorm(width, epsilon)
        self.attn = _Attention(width, heads, relative)
        self.mlp = FeedForward(width)

    def forward(self, x: Tensor, seen: Tensor | None = None) -> Tensor:
        x = x + self.attn(self.norm1(x), seen)
        result: Tensor = x + self.mlp(self.norm2(x))
        return result


class _LastAttention(nn.Module):
    """A learned query over all tokens, at the place of the class token."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.q_learned = nn.Parameter(0.02 * torch.randn(1, 1, width))
        self.wk, self.wv, self.proj = (nn.Linear(width, width) for _ in range(3))
        self.rpe_k = _Table(width // heads)

    def forward(self, x: Tensor, seen: Tensor) -> Tensor:
        query = self.q_learned.expand(len(x), -1, -1)
        result: Tensor = self.proj(attend(query, self.wk(x), self.wv(x), self.heads, seen))
        return result


class _LastBlock(nn.Module):
    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.norm1, self.norm2 = nn.LayerNorm(width, EPSILON), nn.LayerNorm(width, EPSILON)
        self.attn = _LastAttention(width, heads)
        self.mlp = FeedForward(width)

    def forward(self, x: Tensor, seen: Tensor) -> Tensor:
        x = self.attn(self.norm1(x), seen)  # the only block whose attention is not added to its input
        result: Tensor = x + self.mlp(self.norm2(x))
        return result


def read_anysat(file: Path) -> Weights[SizeName]:
    """Read published weights; those of sensors that are not read here must fit, too.

    Args:
        file: As published.

    Raises:
        CheckpointError: The file is missing, damaged, or not of a known size; the first key that
            does not fit is named.
    """
    check_there(file, PUBLISHED)
    tensors = read_tensors(file, PUBLISHED)
    size = _size_of(tensors, file)
    with torch.device("meta"):
        whole = AnySatEncoder(SIZES[size], (*IMAGES, *SERIES))
    check_fits(tensors, {name: value.shape for name, value in whole.state_dict().items()}, file, PUBLISHED)
    return Weights(size, tensors, identity_of(file, PUBLISHED))


def parts_of(tensors: Mapping[str, Tensor], sensors: tuple[str, ...]) -> dict[str, Tensor]:
    """The weights that an encoder of some sensors has."""
    own = tuple(f"projector_{sensor}." for sensor in sensors)
    return {k: v for k, v in tensors.items() if not k.startswith("projector_") or k.startswith(own)}


def _size_of(tensors: Mapping[str, Tensor], file: Path) -> SizeName:
    first = "cls_token"
    if first not in tensors:
        raise unusable(file, f"{first} is missing", PUBLISHED)
    for name, size in SIZES.items():
        if tensors[first].shape == (1, 1, size.features):
            return name
    widths = " or ".join(f"(1, 1, {size.features})" for size in SIZES.values())
    raise unusable(file, f"{first} has shape {tuple(tensors[first].shape)} instead of {widths}", PUBLISHED)


def _group_norm_over(x: Tensor, seen: Tensor, norm: nn.GroupNorm) -> Tensor:
    """Group normalisation of (R, T, D) over groups of channels and the steps that are seen."""
    parts = split(x, norm.num_groups)  # (R, T, 16, D / 16)
    weights = seen.to(x)[..., None, None]
    count = weights.sum(1, keepdim=True) * parts.shape[3]  # (R, 1, 1, 1)
    mean = (parts * weights).sum((1, 3), keepdim=True) / count
    variance = ((parts - mean).square() * weights).sum((1, 3), keepdim=True) / count
    normal: Tensor = ((parts - mean) * torch.rsqrt(variance + norm.eps)).flatten(2)
    return normal * norm.weight + norm.bias


def _days(days: Tensor, width: int) -> Tensor:
    """Encodings of days of the year (R, T, D): sines and cosines in turn, the same for each head."""
    part = width // HEADS
    scale = PERIOD ** (2 * (torch.arange(part, device=days.device) // 2) / part)
    angle = days[..., None] / scale
    even = torch.arange(part, device=days.device) % 2 == 0
    return torch.where(even, torch.sin(angle), torch.cos(angle)).repeat(1, 1, HEADS)


def _place(width: int) -> Tensor:
    """Encoding of the place (0, 0), that of a lone patch: (D,)."""
    return waves(torch.zeros(2), torch.ones(width // 4)).flatten()


__all__ = ["PUBLISHED", "SENSORS", "SERIES", "SIZES", "SMALLEST", "AnySatEncoder", "parts_of", "read_anysat"]
