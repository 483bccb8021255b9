"""Splitting samples in space: neighbours look alike, so they stay on one side.

N samples.
"""

from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from geocomiss.errors import SampleError
from geocomiss.samples.table import Samples

CELL_SIZES: Final = (5.0, 2.0, 1.0, 0.5, 0.25, 0.1, 0.05, 0.02, 0.01)
"""Sizes of automatic groups in degrees: the largest that gives `MIN_GROUPS` groups is taken."""
MIN_GROUPS: Final = 10
STRATA: Final = 5
"""Parts of a target's range with equally many samples."""
AUTHORS_FOLDS: Final = 10
"""Number of folds of the poster's authors."""
AUTHORS_SEED: Final = 10
"""Seed of theirs."""
TRIES: Final = 200
"""Random splits of which the one nearest to the wanted shares is taken."""


def automatic_groups(lat: NDArray[np.float64], lon: NDArray[np.float64]) -> tuple[NDArray[np.str_], float]:
    """Group samples by cells of a global grid.

    Args:
        lat: (N,) degrees north.
        lon: (N,) degrees east.

    Returns:
        Names of the groups (N,) and the size of the cells in degrees.
    """
    size = CELL_SIZES[-1]
    for size in CELL_SIZES:
        names = _cells(lat, lon, size)
        if len(np.unique(names)) >= MIN_GROUPS:
            return names, size
    return _cells(lat, lon, size), size


def authors_folds(number: int, folds: int = AUTHORS_FOLDS) -> NDArray[np.int64]:
    """Random folds as the poster's authors draw them: (number,) 0..folds - 1.

    Shuffle with numpy's old generator, cut into equal parts; neighbours land on both sides.

    Args:
        number: Samples N.
        folds: Parts.
    """
    order = np.arange(number)
    np.random.RandomState(AUTHORS_SEED).shuffle(order)
    names = np.empty(number, np.int64)
    for fold, part in enumerate(np.array_split(order, folds)):
        names[part] = fold
    return names


def fold_of(samples: Samples, text: str) -> NDArray[np.bool_]:
    """Which samples a `--fold KEY=VALUE` holds out: (N,) bool.

    Raises:
        SampleError: Not KEY=VALUE, no such column or value, or nothing left on one side.
    """
    key, separator, value = (part.strip() for part in text.partition("="))
    if not separator:
        raise SampleError(f"the fold {text!r}", expected="KEY=VALUE", todo="write for example --fold fold=0")
    if key not in samples.columns:
        raise SampleError(
            f"{samples.name} has no column {key!r}",
            expected=f"one of {', '.join(samples.columns) or 'none'}",
            todo="correct --fold",
        )
    column = samples.columns[key].astype(str)
    held = column == value
    if not held.any() or held.all():
        found = [str(each) for each in np.unique(column)]
        raise SampleError(
            f"{key}={value} holds out {int(held.sum())} of {len(held)} samples",
            expected=f"one of the values {', '.join(found[:12])}{', ...' if len(found) > 12 else ''}",
            todo="correct --fold",
        )
    return np.asarray(held)


def strata_of(y: NDArray[Any]) -> NDArray[np.int64]:
    """What a split is to hold even shares of (N,): class indices as they are, a target in fifths."""
    if np.issubdtype(y.dtype, np.integer):
        return y
    edges = np.quantile(y, np.arange(1, STRATA) / STRATA)
    return np.searchsorted(edges, y).astype(np.int64)


def grouped_split(
    group: NDArray[np.str_], y: NDArray[np.int64], share: float, rng: np.random.Generator
) -> NDArray[np.bool_]:
    """Hold out whole groups, about a share of all samples and of each class.

    Args:
        group: (N,) names of groups.
        y: (N,) class indices, or strata of a target.
        share: Part to hold out.
        rng: Source of randomness.

    Returns:
        (N,) bool, the samples held out.

    Raises:
        SampleError: There is only one group.
    """
    names, member = np.unique(group, return_inverse=True)
    if len(names) < 2:
        raise SampleError(
            f"{len(group)} samples in one spatial group ({names[0] if len(names) else 'none'})",
            expected="several, so that scores come from places not trained on",
            todo="group them by another column with --group KEY",
        )
    table = np.zeros((len(names), int(y.max()) + 1))  # samples per group and class
    np.add.at(table, (member, y), 1)
    splits = [_random_groups(table.sum(1), share, rng) for _ in range(TRIES)]
    best = min(splits, key=lambda held: _unevenness(table, held, share))
    return np.asarray(best[member])


def _random_groups(sizes: NDArray[Any], share: float, rng: np.random.Generator) -> NDArray[np.bool_]:
    """Groups in random order until they hold the share; never all of them."""
    order = rng.permutation(len(sizes))
    before = np.cumsum(sizes[order]) - sizes[order]
    number = int((before < share * sizes.sum()).sum())
    held = np.zeros(len(sizes), bool)
    held[order[: min(max(number, 1), len(sizes) - 1)]] = True
    return held


def _unevenness(table: NDArray[Any], held: NDArray[np.bool_], share: float) -> float:
    """How far the parts held out lie from the share: of all samples, and the mean over classes."""
    counts = table.sum(0)
    shares = table[held].sum(0)[counts > 0] / counts[counts > 0]
    # a class held out whole could not be learnt
    return float(
        abs(table[held].sum() / table.sum() - share) + np.abs(shares - share).mean() + (shares == 1).sum()
    )


def _cells(lat: NDArray[np.float64], lon: NDArray[np.float64], size: float) -> NDArray[np.str_]:
    rows, cols = np.floor(lat / size).astype(int), np.floor(lon / size).astype(int)
    return np.array([f"{row}_{col}" for row, col in zip(rows, cols, strict=True)], dtype=np.str_)
