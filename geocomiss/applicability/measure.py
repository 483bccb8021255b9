"""How unlike its training samples a pixel is, in the space that a model sees.

Source: Meyer and Pebesma 2021, "Predicting into unknown space? Estimating the area of applicability of
spatial prediction models". What a pixel lacks takes no part, so that nothing is strange for being absent:

    d(i, j)^2 = sum over m in S of (T / n_im) sum over t in V_im, c of (w_c (x_itc - x_jtc) / s_c)^2

for a pixel i with the modalities S, of which V_im are the n_im of T steps that were measured or filled, and a
training sample j that has all of S. s are the standard deviations of the model's normalisation, w its
sensitivity to each band (see `fitting`). The index is the least d(i, j) over j, divided by what it is at the
edge of the area of applicability for this S: above 1 lies outside. The mean distance of training samples, by
which the paper divides both, cancels.

N pixels, R pixels at once, T steps, C bands, M modalities, P training samples kept.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Final

import torch
from torch import Tensor

from geocomiss.batch import Batch
from geocomiss.calibration.expected import CODES
from geocomiss.calibration.views import codes_of
from geocomiss.nets import in_chunks

FAR: Final = 1e12
"""Squared distance to a training sample that lacks what the pixel has: never the least of several."""


@dataclass(frozen=True)
class Space:
    """From values to the space in which distances are measured, of one modality."""

    mean: Tensor
    """(C,) float32, in canonical units."""
    std: Tensor
    """(C,) float32, likewise."""
    weight: Tensor
    """(C,) float32, how much each band counts."""

    def series(self, x: Tensor) -> Tensor:
        """Values (R, T, C) in canonical units to the space; NaN where missing."""
        mean, std, weight = (each.to(x.device) for each in (self.mean, self.std, self.weight))
        return (x - mean) / std * weight


@dataclass(frozen=True)
class Applicability:
    """Where a model may be applied."""

    spaces: Mapping[str, Space]
    """By modality of the model, in its order."""
    kept: Mapping[str, Tensor]
    """(P, T, C) float16 by modality: training samples in the space, gaps as the mean of their step."""
    available: Tensor
    """(P, M) bool: what each of them has."""
    limits: Mapping[int, float]
    """Distance at the edge by pattern (bits of the modalities). A pattern that no two spatial groups have
    is left out: all pixels with it lie outside."""
    n: int
    """Training samples that it was learnt from."""
    groups: int
    """Their spatial groups."""

    def index(self, batch: Batch) -> Tensor:
        """Dissimilarity (N,) float32 relative to the edge: above 1 lies outside.

        NaN where a pixel has no modality, infinite where no training sample has all of its modalities.

        Args:
            batch: N pixels; the memory taken is about twice theirs.
        """
        codes = codes_of(batch)
        limits = torch.full((CODES,), torch.nan, dtype=torch.float64)
        for code, limit in self.limits.items():
            limits[code] = limit
        squares = self.squares(batch)
        found = squares.double().sqrt() / limits.to(codes.device)[codes]
        found = torch.where(torch.isnan(found) | (squares >= FAR / 2), torch.inf, found)
        return torch.where(codes > 0, found, torch.nan).float()

    def squares(self, batch: Batch, own: Tensor | None = None, groups: Tensor | None = None) -> Tensor:
        """The least squared distance (N,); `FAR` or more where no sample has all that a pixel has.

        A pixel has the same bits in any company, see `in_chunks`.

        Args:
            batch: N pixels.
            own: (N,) number of the spatial group of each pixel, where it must not be compared with its own.
            groups: (P,) that of each kept sample, likewise.
        """
        if len(batch) == 0:
            return torch.zeros(0, device=batch.kept.device)
        table = self._table.to(batch.kept.device)
        number = len(self.spaces)

        def least(available: Tensor, group: Tensor, *parts: Tensor) -> Tensor:
            seen = [*zip(parts[:number], parts[number:], strict=True)]
            rows, norm = _rows(seen, available)
            products = rows @ table  # (R, P)
            if groups is not None:
                products = products.masked_fill(group[:, None] == groups, FAR)
            return (products.amin(1) + norm).clamp(min=0)

        group = torch.zeros(len(batch)) if own is None else own
        series, there = zip(*self._seen(batch), strict=True)
        return in_chunks(least, batch.available.float(), group.to(table.device), *series, *there)

    @cached_property
    def _table(self) -> Tensor:
        """What the rows of pixels are multiplied with: |a - b|^2 = |a|^2 - 2 ab + |b|^2; (columns, P)."""
        columns = []
        for series in self.kept.values():
            values = series.float()
            columns += [-2 * values.flatten(1), (values**2).sum(2)]
        return torch.cat([*columns, FAR * (~self.available).float()], 1).T.contiguous()

    def _seen(self, batch: Batch) -> Iterator[tuple[Tensor, Tensor]]:
        """By modality: values (N, T, C), 0 where missing, and whether they are there (N, T)."""
        for name, space in self.spaces.items():
            series = space.series(batch.x[name])
            there = torch.isfinite(series).all(2)
            rows = batch.rows(name)
            yield torch.where(there[..., None], series, 0.0)[rows], there.float()[rows]


def _rows(seen: list[tuple[Tensor, Tensor]], available: Tensor) -> tuple[Tensor, Tensor]:
    """What is multiplied with the table (R, columns), and what is added then (R,)."""
    columns, norm = [], torch.zeros_like(available[:, 0])
    for column, (series, there) in enumerate(seen):
        share = available[:, column] * there.shape[1] / there.sum(1).clamp(min=1)  # T / n
        columns += [share[:, None] * series.flatten(1), share[:, None] * there]
        norm = norm + share * (series**2).sum((1, 2))
    return torch.cat([*columns, available], 1), norm
