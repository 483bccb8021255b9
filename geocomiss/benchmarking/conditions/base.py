"""Under which conditions test samples are predicted: each takes something away from them.

N samples, M modalities, T steps.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import numpy as np
import torch
from numpy.typing import NDArray

from geocomiss.batch import Batch, Spec
from geocomiss.modalities import MODALITIES, patterns


@dataclass(frozen=True)
class Case:
    """What a condition may look at."""

    test: Batch
    """The samples to predict."""
    rows: NDArray[np.int64]
    """Their rows in the table."""
    train: Batch
    """The samples that the model learnt from."""


@dataclass(frozen=True)
class Condition:
    """A way to spoil test samples, the same for every contender."""

    name: str
    """'optical+radar', 'months:4', ..."""
    change: Callable[[Case], Batch]
    """The test samples under this condition."""
    about: str = ""
    """What it depends on beside its name and the table."""
    modalities: tuple[str, ...] = ()
    """Of a pattern, the modalities that are left; of any other condition none are named."""


def pattern_conditions(spec: Spec) -> tuple[Condition, ...]:
    """All 2^M - 1 patterns of available modalities, the full one first."""
    return tuple(
        Condition("+".join(names), partial(_keep_only, names=names), modalities=names)
        for names in patterns(spec.modalities)
    )


def month_conditions(spec: Spec) -> tuple[Condition, ...]:
    """Seasons of which only the first 1 to T - 1 steps are known yet."""
    if not any(MODALITIES[name].dynamic for name in spec.modalities):
        return ()
    return tuple(Condition(f"months:{known}", partial(_begun, known=known)) for known in range(1, spec.steps))


def _keep_only(case: Case, names: tuple[str, ...]) -> Batch:
    return case.test.keep_only(names)


def _begun(case: Case, known: int) -> Batch:
    batch = case.test
    keep = {}
    for name in batch.modalities:
        if MODALITIES[name].dynamic:
            steps = batch.valid[name].shape[1]
            seen = torch.arange(steps, device=batch.kept.device) < known
            keep[name] = seen.expand(len(batch), steps)
    return batch.keep_steps(keep)
