"""The Batch: pixels as tensors, with what is missing said once.

Up to here NaN says "missing"; from here on `valid` does. This is the only room that fills gaps,
the same way for training, evaluation and mapping: filling changes `x`, never `valid`.

N pixels, T steps, C bands, M modalities; U distinct rows of a modality whose rows repeat.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from functools import reduce
from typing import Final, Literal

import numpy as np
import torch
import xarray as xr
from numpy.typing import NDArray
from odc.geo.geobox import GeoBox
from torch import Tensor

from geocomiss.errors import StackError
from geocomiss.modalities import BLUE, MODALITIES
from geocomiss.stack import grid_of_stack, origin_of, series_at

FILL_INSIDE: Final = 3
"""Longest gap between valid steps that is filled, linearly."""
FILL_ENDS: Final = 2
"""Farthest step before the first or after the last valid one that repeats it."""
CLOUDY_BLUE: Final = 3000.0
"""Blue reflectance x 10000 above which an optical step of a screened recipe is cloud or snow."""

Task = Literal["classes", "value"]
"""What is predicted: one of K classes, or one number (a regression, K = 1)."""

Floats = NDArray[np.float32]
Bools = NDArray[np.bool_]


@dataclass(frozen=True)
class Spec:
    """What a method reads. Nothing else decides what is valid and what is available."""

    bands: Mapping[str, tuple[str, ...]]
    """Bands read per modality, both in canonical order."""
    steps: int
    """Time steps T of the dynamic modalities."""
    classes: int
    """Number of classes K; 1 where a value is predicted."""
    min_steps: Mapping[str, int]
    """Valid steps from which a modality counts as available at a pixel."""
    screened: bool = False
    """Whether filled-in steps are recognised and declared not valid (see `screen`)."""
    task: Task = "classes"
    """What is predicted."""

    @property
    def modalities(self) -> tuple[str, ...]:
        """Names of the modalities, in canonical order: the columns of `available`."""
        return tuple(name for name in MODALITIES if name in self.bands)

    def shape(self, modality: str) -> tuple[int, int]:
        """(T, C) of a modality; T is 1 where nothing changes over time."""
        return (self.steps if MODALITIES[modality].dynamic else 1, len(self.bands[modality]))


def default_min_steps(names: tuple[str, ...], steps: int) -> dict[str, int]:
    """Valid steps needed per modality: 3 of 12 for optical and radar, 1 weather, all topography."""
    return {name: MODALITIES[name].min_steps(steps if MODALITIES[name].dynamic else 1) for name in names}


@dataclass(frozen=True)
class Around:
    """Rows of a modality on a coarse grid of its own, between which N pixels lie."""

    rows: Tensor
    """(N, 4) the cell of each pixel and its nearest neighbours."""
    weights: Tensor
    """(N, 4) float32, bilinear between the centres of cells; 0 where there is no such cell."""

    def __getitem__(self, pixels: slice | Tensor) -> "Around":
        return Around(self.rows[pixels], self.weights[pixels])

    def each(self, change: Callable[[Tensor], Tensor]) -> "Around":
        """The same with something done to each of its tensors."""
        return Around(change(self.rows), change(self.weights))


@dataclass(frozen=True)
class Batch:
    """N pixels: what was measured, and which of it counts."""

    x: Mapping[str, Tensor]
    """Per modality (U, T, C) in canonical units, gaps filled; NaN where a gap is too long to fill
    (0 once normalised)."""
    valid: Mapping[str, Tensor]
    """Per modality (U, T) bool: every band read was measured at that step."""
    index: Mapping[str, Tensor]
    """Row (N,) of each pixel, for modalities whose rows repeat; otherwise pixel i is row i."""
    kept: Tensor
    """(N, M) bool: False hides a modality from a pixel (drop-out in training, patterns in
    evaluation, cells outside the weather grid)."""
    min_steps: Tensor
    """(M,) valid steps from which a modality is available."""
    months: Tensor | None = None
    """(N, T) month 1..12 that holds the middle day of each step, 0 where it is not known; None where
    nobody told. Only methods that were pretrained with a calendar read it."""
    around: Mapping[str, Around] = field(default_factory=dict)
    """Of modalities that come on a grid of their own, the cells between which each pixel lies. Whether a
    pixel has the modality is the matter of its own cell, `index`, alone."""

    def __len__(self) -> int:
        """Number of pixels N."""
        return int(self.kept.shape[0])

    @property
    def modalities(self) -> tuple[str, ...]:
        """Names of the M modalities, the columns of `available`."""
        return tuple(self.x)

    @property
    def available(self) -> Tensor:
        """(N, M) bool: which modalities each pixel has."""
        columns = []
        for name in self.modalities:
            enough = self.enough(name)
            columns.append(enough[self.index[name]] if name in self.index else enough)
        return torch.stack(columns, 1) & self.kept

    def enough(self, modality: str) -> Tensor:
        """Which rows of a modality have as many valid steps as it takes: (U,) bool."""
        return self.valid[modality].sum(1) >= self.min_steps[self.modalities.index(modality)]

    def rows(self, modality: str) -> Tensor:
        """Row (N,) of each pixel in the tensors of a modality."""
        if modality in self.index:
            return self.index[modality]
        return torch.arange(len(self), device=self.kept.device)

    def keep(self, keep: Tensor) -> "Batch":
        """Hide modalities where `keep` (N, M), or (M,) for all pixels alike, is False."""
        return replace(self, kept=self.kept & keep)

    def keep_only(self, names: tuple[str, ...]) -> "Batch":
        """Hide all modalities but these, at every pixel."""
        columns = torch.tensor([name in names for name in self.modalities], device=self.kept.device)
        return self.keep(columns)

    def keep_steps(self, keep: Mapping[str, Tensor]) -> "Batch":
        """Declare steps missing, and fill them like any other gap.

        Args:
            keep: Per modality to change (N, T) bool, False where a step is to be missing.
        """
        x, valid, index, around = dict(self.x), dict(self.valid), dict(self.index), dict(self.around)
        for name, steps in keep.items():
            rows = self.rows(name)
            index.pop(name, None)
            around.pop(name, None)  # each pixel has a row to itself now
            valid[name] = valid[name][rows] & steps
            x[name] = fill_gaps(x[name][rows], valid[name])
        return replace(self, x=x, valid=valid, index=index, around=around)

    def __getitem__(self, pixels: slice | Tensor) -> "Batch":
        """Some of the pixels. Repeated rows stay whole."""
        own = [name for name in self.modalities if name not in self.index]
        return replace(
            self,
            x={name: x[pixels] if name in own else x for name, x in self.x.items()},
            valid={name: v[pixels] if name in own else v for name, v in self.valid.items()},
            index={name: rows[pixels] for name, rows in self.index.items()},
            kept=self.kept[pixels],
            months=None if self.months is None else self.months[pixels],
            around={name: cells[pixels] for name, cells in self.around.items()},
        )

    def each(self, change: Callable[[Tensor], Tensor]) -> "Batch":
        """The same batch with something done to each of its tensors."""
        return Batch(
            {name: change(x) for name, x in self.x.items()},
            {name: change(v) for name, v in self.valid.items()},
            {name: change(rows) for name, rows in self.index.items()},
            change(self.kept),
            change(self.min_steps),
            None if self.months is None else change(self.months),
            {name: cells.each(change) for name, cells in self.around.items()},
        )

    def to(self, device: torch.device | str) -> "Batch":
        """The same batch on another device."""
        return self.each(lambda tensor: tensor.to(device))


def batch_of_values(
    values: Mapping[str, Floats],
    spec: Spec,
    index: Mapping[str, NDArray[np.int64]] | None = None,
    kept: Bools | None = None,
    months: NDArray[np.int64] | None = None,
) -> Batch:
    """Make a batch from arrays in which NaN, and only NaN, says "missing".

    Args:
        values: Per modality (U, T, C), the bands of `spec` in its order. A modality of `spec` that
            is absent here is missing at every pixel.
        spec: What the method reads.
        index: Row (N,) of each pixel where the rows of a modality repeat.
        kept: (N, M) bool, False hides a modality from a pixel.
        months: (N, T), or (T,) for all pixels alike, month 1..12 of each step.

    Raises:
        StackError: Nothing at all, or an array whose shape is not the spec's.
    """
    index = dict(index or {})
    number = _pixels(values, index, kept)
    x, valid = {}, {}
    for name in spec.modalities:
        if name in values:
            rows = _checked(name, values[name], spec)
        else:
            rows = np.full((1, *spec.shape(name)), np.nan, np.float32)
            index[name] = np.zeros(number, np.int64)
        # a band after the other: along a short last axis it took 3 times as long
        here: Bools = reduce(np.logical_and, (np.isfinite(rows[..., band]) for band in range(rows.shape[2])))
        if spec.screened:
            here = here & ~screen(name, rows, here, spec)
        valid[name] = torch.from_numpy(here)
        x[name] = fill_gaps(torch.from_numpy(rows), valid[name])
    everything = np.ones((number, len(spec.modalities)), bool)
    return Batch(
        x,
        valid,
        {name: torch.from_numpy(rows) for name, rows in index.items() if name in x},
        torch.from_numpy(everything if kept is None else kept),
        torch.tensor([spec.min_steps[name] for name in spec.modalities]),
        None if months is None else torch.tensor(months).expand(number, spec.steps),
    )


def batch_of_stack(
    stack: xr.DataTree,
    spec: Spec,
    chosen: Bools,
    grid: GeoBox | None = None,
    whole: GeoBox | None = None,
) -> Batch:
    """Make a batch of the chosen pixels of a stack (of one tile, already in memory).

    Args:
        stack: A stack or a window of one.
        spec: What the method reads.
        chosen: (H, W) bool, the N pixels to take, row by row.
        grid: Its pixel grid (H, W), where the stack itself may have nothing but weather.
        whole: The grid that this is a window of, so that any tiling gives the same bits.
    """
    series = series_at(stack, spec.bands, chosen, grid or grid_of_stack(stack), whole)
    kept = np.ones((int(chosen.sum()), len(spec.modalities)), bool)
    index, around = {}, {}
    for name, cells in series.cells.items():
        index[name] = cells.own
        around[name] = Around(torch.from_numpy(cells.around), torch.from_numpy(cells.weights))
        kept[:, spec.modalities.index(name)] = cells.within
    months = np.array(origin_of(stack).calendar.months())
    return replace(batch_of_values(series.values, spec, index, kept, months), around=around)


def fill_gaps(x: Tensor, valid: Tensor) -> Tensor:
    """Fill what is not valid from the valid steps around it.

    Linear inside gaps of at most `FILL_INSIDE` steps; the nearest valid step at most `FILL_ENDS`
    steps beyond the first and last; NaN elsewhere. Real gaps and steps hidden in training are
    filled by this one function, on the device where they are, so that they have the same bits.

    Args:
        x: (N, T, C) float32.
        valid: (N, T) bool.

    Returns:
        (N, T, C), equal to `x` at valid steps.
    """
    if bool(valid.all()):
        return x.contiguous()
    steps = x.shape[1]
    here = torch.arange(steps, device=x.device, dtype=torch.int16)
    before = torch.where(valid, here, -1).cummax(1).values  # (N, T) last valid step, -1 none
    after = torch.where(valid, here, steps).flip(1).cummin(1).values.flip(1)  # steps: none
    row, step = torch.nonzero(~valid, as_tuple=True)  # (G,) gaps: the rest stays as it is
    before, after = before[row, step].long(), after[row, step].long()
    inner = (before >= 0) & (after < steps)
    to_before = torch.where(before >= 0, before, after)
    to_after = torch.where(after < steps, after, before)
    near = torch.where(inner, after - before - 1 <= FILL_INSIDE, (to_before - step).abs() <= FILL_ENDS)
    near &= (before >= 0) | (after < steps)
    low, high = (x[row, nearest.clamp(0, steps - 1)] for nearest in (to_before, to_after))
    share = (step - before).double() / (after - before).clamp(min=1)  # rounded once, to float32
    share = torch.where(inner, share, 0.0).float()[:, None]
    filled = low + (high - low) * share
    result = x.clone(memory_format=torch.contiguous_format)
    result[row, step] = torch.where(near[:, None], filled, torch.nan)
    return result


def screen(name: str, x: Floats, valid: Bools, spec: Spec) -> Bools:
    """Steps of gap-filled exports that were never observed clearly: (N, T), True where to drop.

    CropHarvest's exports have no gaps because gaps were filled. A radar step bit-equal to an
    earlier one is a copy of it; an optical step with bright blue is cloud or snow.
    """
    drop = np.zeros_like(valid)
    if name == "radar":
        for step in range(1, x.shape[1]):
            same = (x[:, :step] == x[:, step : step + 1]).all(2) & valid[:, :step]
            drop[:, step] = same.any(1)
    if name == "optical" and BLUE in spec.bands[name]:
        drop = x[:, :, spec.bands[name].index(BLUE)] > CLOUDY_BLUE
    return drop


def _pixels(values: Mapping[str, Floats], index: Mapping[str, NDArray[np.int64]], kept: Bools | None) -> int:
    if kept is not None:
        return len(kept)
    counts = {len(index[name]) if name in index else len(rows) for name, rows in values.items()}
    if len(counts) != 1:
        raise StackError(
            f"modalities with {sorted(counts) or 'no'} pixels",
            expected="the same number for all",
            todo="correct the arrays",
        )
    return counts.pop()


def _checked(name: str, rows: Floats, spec: Spec) -> Floats:
    if rows.shape[1:] != spec.shape(name):
        raise StackError(
            f"{name} with (steps, bands) {rows.shape[1:]}",
            expected=f"{spec.shape(name)}, what the model reads",
            todo="check the calendar and the bands",
        )
    return rows.astype(np.float32, copy=False)
