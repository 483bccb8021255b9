"""What a checkpoint keeps of the area of applicability: a few numbers in the card, series in a file.

The file holds values of training samples as the network sees them, in half precision and without places,
labels or order: at most `fitting.KEPT`, whatever the size of the table.

P samples kept, T steps, C bands, M modalities.
"""

from collections.abc import Mapping
from typing import Final

import torch
from pydantic import BaseModel, ConfigDict, Field
from torch import Tensor

from geocomiss.applicability.measure import Applicability, Space
from geocomiss.batch import Spec
from geocomiss.calibration.stored import bits_of, key_of
from geocomiss.modalities import patterns

SERIES: Final = "series."
"""Begins the names of the series of a modality in the file."""
AVAILABLE: Final = "available"
"""Name of what each sample has."""


class StatedApplicability(BaseModel):
    """What the card says of the area of applicability."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    sha256: str = ""
    """Digest of the file with the series; filled in when it is written."""
    n: int = Field(ge=1)
    """Training samples that it was learnt from."""
    groups: int = Field(ge=1)
    """Their spatial groups; samples of one group were not compared."""
    kept: int = Field(ge=1)
    """Samples in the file."""
    weights: dict[str, tuple[float, ...]]
    """(C,) by modality: how far the logits move for a standard deviation of each band, relative to the
    band that moves them most."""
    limits: dict[str, float]
    """Distance at the edge by pattern, 'optical+radar'; all of one that is left out lies outside."""


def stated(known: Applicability) -> StatedApplicability:
    """What a card says of it."""
    keys = {bits_of(key_of(names)): key_of(names) for names in patterns(tuple(known.spaces))}
    return StatedApplicability(
        n=known.n,
        groups=known.groups,
        kept=len(known.available),
        weights={name: _decimals(space.weight) for name, space in known.spaces.items()},
        limits={keys[code]: limit for code, limit in known.limits.items()},
    )


def tensors_of(known: Applicability) -> dict[str, Tensor]:
    """What its file holds."""
    series = {SERIES + name: values.contiguous() for name, values in known.kept.items()}
    return {**series, AVAILABLE: known.available.to(torch.uint8)}


def restored(
    card: StatedApplicability,
    normalisation: Mapping[str, tuple[Tensor, Tensor]],
    tensors: Mapping[str, Tensor],
) -> Applicability:
    """What was stored.

    Args:
        card: What the card says.
        normalisation: Mean and standard deviation (C,) by modality, as the network holds them.
        tensors: What the file holds.

    Raises:
        KeyError: The file lacks a modality.
    """
    spaces = {
        name: Space(mean, std, torch.tensor(card.weights[name]))
        for name, (mean, std) in normalisation.items()
    }
    return Applicability(
        spaces,
        {name: tensors[SERIES + name] for name in spaces},
        tensors[AVAILABLE].bool(),
        {bits_of(key): limit for key, limit in card.limits.items()},
        card.n,
        card.groups,
    )


def problem_of(card: StatedApplicability, spec: Spec) -> str | None:
    """Why it is none of a model that reads this, if it is not."""
    if {name: len(row) for name, row in card.weights.items()} != {
        name: len(bands) for name, bands in spec.bands.items()
    }:
        return "area of applicability is not for the bands of the model"
    known = {key_of(names) for names in patterns(spec.modalities)}
    if not card.limits.keys() <= known or any(limit <= 0 for limit in card.limits.values()):
        return "area of applicability with limits that are none"
    return None


def _decimals(values: Tensor) -> tuple[float, ...]:
    """The shortest decimals that give back the same numbers."""
    return tuple(float(str(each)) for each in values.numpy())
