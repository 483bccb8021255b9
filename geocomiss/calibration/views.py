"""The same samples seen with other things missing: what calibration is fitted to and judged on.

N samples, M modalities, K classes; R rows, each a sample as it looks with something missing.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from geocomiss.batch import Batch
from geocomiss.methods import Method
from geocomiss.methods.gaps import drop_steps
from geocomiss.modalities import MODALITIES, patterns

AT_ONCE = 8192
"""Samples handed to a method at a time."""


@dataclass(frozen=True)
class Views:
    """R rows."""

    logits: NDArray[np.float64]
    """(R, K) what the network says."""
    y: NDArray[np.int64]
    """(R,) true class."""
    pattern: NDArray[np.int64]
    """(R,) available modalities as bits."""
    steps: NDArray[np.float64]
    """(R, M) share of the steps that are valid, of each modality; 0 where it is not available."""
    sample: NDArray[np.int64]
    """(R,) which sample it is, 0..N-1."""

    def __len__(self) -> int:
        return len(self.y)

    def __getitem__(self, rows: NDArray[np.bool_]) -> "Views":
        return Views(*(each[rows] for each in vars(self).values()))

    @property
    def written(self) -> NDArray[np.int64]:
        """(R,) the class that is written."""
        return np.asarray(self.logits.argmax(1))

    @property
    def right(self) -> NDArray[np.bool_]:
        """(R,) whether it is the true one."""
        return np.asarray(self.written == self.y)


def pattern_views(method: Method, batch: Batch, y: Tensor) -> Views:
    """Every sample under every pattern of modalities that it has whole; the others are hidden.

    A sample that lacks radar takes no part in patterns with radar, so that none counts twice.

    Args:
        method: A trained method; put into evaluation mode.
        batch: N samples on its device.
        y: (N,) class indices.
    """
    return joined(_patterns(method, batch, y))


def gap_views(method: Method, batch: Batch, y: Tensor, generator: torch.Generator) -> Views:
    """The same with random gaps in time: half of the rows lose the end of the season, half random steps.

    A modality left with too few steps is not available, as on a map: the row then counts for the
    pattern that it has.

    Args:
        method: A trained method; put into evaluation mode.
        batch: N samples on its device.
        y: (N,) class indices.
        generator: Source of randomness, on the CPU.
    """
    return joined(_gaps(method, batch, y, generator))


def joined(parts: Iterator[Views]) -> Views:
    """Rows one after the other."""
    columns = zip(*(vars(part).values() for part in parts), strict=True)
    return Views(*(np.concatenate(column) for column in columns))


def codes_of(batch: Batch) -> Tensor:
    """Available modalities of each pixel as bits: (N,) int64, on the batch's device."""
    bits = torch.tensor([MODALITIES[name].bit for name in batch.modalities], device=batch.kept.device)
    return (batch.available * bits).sum(1)


def valid_shares(batch: Batch) -> Tensor:
    """Share of the steps that are valid (N, M), 0 where the modality is not available."""
    columns = [
        valid.float().mean(1)[batch.index[name]] if name in batch.index else valid.float().mean(1)
        for name, valid in batch.valid.items()
    ]
    return torch.stack(columns, 1) * batch.available


def _patterns(method: Method, batch: Batch, y: Tensor) -> Iterator[Views]:
    for names in patterns(batch.modalities):
        part = batch.keep_only(names)
        wanted = sum(MODALITIES[name].bit for name in names)
        yield _looked(method, part, y, codes_of(part) == wanted)


def _gaps(method: Method, batch: Batch, y: Tensor, generator: torch.Generator) -> Iterator[Views]:
    every = torch.ones(len(batch), dtype=torch.bool)
    for names in patterns(batch.modalities):
        part = drop_steps(batch.keep_only(names), every, 0.5, generator)
        yield _looked(method, part, y, codes_of(part) > 0)


def _looked(method: Method, batch: Batch, y: Tensor, some: Tensor) -> Views:
    method.eval()
    rows = torch.nonzero(some).squeeze(1)
    part = batch[rows]
    with torch.inference_mode():
        logits = [method(part[start : start + AT_ONCE]) for start in range(0, len(part), AT_ONCE)]
    found = torch.cat(logits) if logits else torch.zeros(0, method.spec.classes)
    return Views(
        np.asarray(found.double().cpu().numpy()),
        np.asarray(y[rows].cpu().numpy()),
        np.asarray(codes_of(part).cpu().numpy()),
        np.asarray(valid_shares(part).double().cpu().numpy()),
        np.asarray(rows.cpu().numpy()),
    )
