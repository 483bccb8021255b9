"""Folds of a comparison: each sample is predicted once, by a model that never saw its fold.

N samples.
"""

from collections import Counter
from typing import Final

import numpy as np
from numpy.typing import NDArray

from geocomiss.errors import SampleError
from geocomiss.samples import Samples
from geocomiss.samples.folds import AUTHORS_FOLDS, authors_folds

RANDOM: Final = "random"
"""Folds as the poster's authors draw them: neighbours are in training and test."""
SPATIAL: Final = "spatial"
"""Folds of whole spatial groups."""
NUMBERS: Final = {RANDOM: AUTHORS_FOLDS, SPATIAL: 5}
"""Number of folds where the user gives none."""


def folds_of(samples: Samples, y: NDArray[np.int64], kind: str, number: int | None) -> NDArray[np.str_]:
    """The fold of each sample: (N,) names.

    Args:
        samples: N samples.
        y: (N,) class indices, or strata of a target; spatial folds are balanced by them.
        kind: 'random', 'spatial', or a column of the table.
        number: Number of random or spatial folds; None takes that of `NUMBERS`.

    Raises:
        SampleError: No such column, too few groups or samples, or a number given with a column.
    """
    if kind in NUMBERS:
        number = number or NUMBERS[kind]
        names = (
            authors_folds(len(y), number).astype(np.str_) if kind == RANDOM else _spatial(samples, y, number)
        )
    else:
        names = _column(samples, kind, number)
    _check(names, kind)
    return names


def folds_in_words(fold: NDArray[np.str_], group: NDArray[np.str_], kind: str) -> str:
    """How folds were made, and whether they keep neighbours apart.

    Args:
        fold: (N,) names of folds.
        group: (N,) names of spatial groups.
        kind: 'random', 'spatial', or a column of the table.
    """
    made = {
        RANDOM: "drawn at random, sample by sample",
        SPATIAL: "of whole spatial groups",
    }.get(kind, f"by the column `{kind}`")
    pairs = set(zip(group.tolist(), fold.tolist(), strict=True))
    split = sum(number > 1 for number in Counter(each for each, _ in pairs).values())
    groups = "spatial group" if split == 1 else "spatial groups"
    apart = f"{split:,} {groups} in more than one fold, which flatters" if split else "no group is split"
    return f"{len(np.unique(fold))} folds {made}; {apart}"


def _spatial(samples: Samples, y: NDArray[np.int64], number: int) -> NDArray[np.str_]:
    """Whole groups, about equal shares of all samples and of each class."""
    groups = len(np.unique(samples.group))
    if groups < number:
        raise SampleError(
            f"{groups} spatial groups in {samples.name} ({samples.grouped_by})",
            expected=f"at least {number}, one a fold",
            todo="ask for fewer folds with --fold-count, or group by another column with --group",
        )
    member = np.unique(samples.group, return_inverse=True)[1]
    table = np.zeros((groups, int(y.max()) + 1))  # samples per group and class
    np.add.at(table, (member, y), 1)
    return _dealt(table / table.sum(0).clip(min=1), number)[member].astype(np.str_)


def _dealt(shares: NDArray[np.float64], number: int) -> NDArray[np.int64]:
    """Deal groups out to folds, the largest first, each to the fold that has least of its classes.

    The first groups find empty folds, so that each fold gets one at least.

    Args:
        shares: (G, K) part of each class that lies in each group.
        number: Folds.
    """
    held = np.zeros((number, shares.shape[1]))
    fold = np.zeros(len(shares), np.int64)
    for group in np.argsort(-shares.sum(1), kind="stable"):
        fold[group] = np.lexsort((held.sum(1), held @ shares[group]))[0]
        held[fold[group]] += shares[group]
    return fold


def _column(samples: Samples, key: str, number: int | None) -> NDArray[np.str_]:
    if key not in samples.columns:
        raise SampleError(
            f"{samples.name} has no column {key!r}",
            expected=f"random, spatial, or one of {', '.join(samples.columns) or 'none'}",
            todo="correct --folds",
        )
    if number is not None:
        raise SampleError(
            f"a number of folds, {number}, beside the column {key!r}",
            expected="one or the other: the column says how many folds there are",
            todo="leave --fold-count out",
        )
    column = samples.columns[key]
    names = column.astype(np.str_)
    if unnamed := int(np.isin(np.char.lower(names), ("", "nan", "nat", "none")).sum()):
        raise SampleError(
            f"{unnamed} of {len(names)} samples have no value in the column {key!r}",
            expected="a fold for every sample",
            todo="complete the column, leave these samples out, or choose other --folds",
        )
    return np.asarray(names)


def _check(names: NDArray[np.str_], kind: str) -> None:
    found, counts = np.unique(names, return_counts=True)
    if len(found) < 2 or len(found) > 100:
        raise SampleError(
            f"{len(found)} folds by {kind}",
            expected="2 to 100",
            todo="choose other --folds, or a --fold-count",
        )
    if counts.min() < 2:
        lone = ", ".join(found[counts < 2][:6])
        raise SampleError(
            f"folds of one sample ({lone}) by {kind}",
            expected="several samples a fold",
            todo="choose other --folds, or fewer with --fold-count",
        )
