"""What a model card keeps of calibration: a few numbers per pattern of available modalities.

M modalities, K classes.
"""

from typing import Final

from pydantic import BaseModel, ConfigDict, Field

from geocomiss.modalities import MODALITIES, patterns

DIGITS: Final = 5
"""Decimals kept: far finer than what any number of samples can tell."""


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class PatternCalibration(_Part):
    """What holds where exactly these modalities are available."""

    n: int = Field(ge=0)
    """Samples that have all of them, and so took part."""
    temperature: float = Field(gt=0)
    """T by which logits are divided."""
    bias: tuple[float, ...]
    """(K,) what is then added to the logit of each class, with a mean of 0."""
    right: tuple[float, ...]
    """(K,) log-odds that the class is right where it is written and every step is valid."""
    steps: dict[str, float]
    """What these log-odds fall by from all to none of the steps of a modality valid, by modality."""


class Calibration(_Part):
    """How sure a model may be, learnt from samples that did not train its network."""

    samples: str
    """Which samples these were, in words."""
    n: int = Field(ge=1)
    """How many."""
    shares: tuple[float, ...]
    """(K,) class shares of these samples: what calibrated probabilities refer to."""
    patterns: dict[str, PatternCalibration]
    """By pattern, 'optical+radar': all 2^M - 1 of the model."""


FEW: Final = 100
"""Samples below which a calibration is rough: with 24 it made 7 of 15 patterns worse."""


def caution(calibration: Calibration) -> str | None:
    """What to know of a calibration by few samples; None where there are enough."""
    if calibration.n >= FEW:
        return None
    return f"confidence and expected accuracy rest on {calibration.n} samples only: take them as rough"


def problem_of(calibration: Calibration, modalities: tuple[str, ...], classes: int) -> str | None:
    """Why a stored calibration is none of a model with these modalities and classes, if it is not."""
    if calibration.patterns.keys() != {key_of(names) for names in patterns(modalities)}:
        return "calibration is not for all patterns of the modalities"
    lists = [calibration.shares, *(row for each in calibration.patterns.values() for row in _rows(each))]
    if any(len(row) != classes for row in lists):
        return f"calibration is not for {classes} classes"
    if any(each.steps.keys() != set(dynamic(key)) for key, each in calibration.patterns.items()):
        return "calibration does not say what valid steps do in each pattern"
    if min(calibration.shares) <= 0:
        return "calibration with class shares that are not above 0"
    return None


def key_of(names: tuple[str, ...]) -> str:
    """Name of a pattern: 'optical+radar'."""
    return "+".join(names)


def bits_of(key: str) -> int:
    """A pattern as the bits of its modalities: 3 of 'optical+radar'."""
    return sum(MODALITIES[name].bit for name in key.split("+"))


def dynamic(key: str) -> tuple[str, ...]:
    """The modalities of a pattern that change over time."""
    return tuple(name for name in key.split("+") if MODALITIES[name].dynamic)


def _rows(each: PatternCalibration) -> tuple[tuple[float, ...], ...]:
    return each.bias, each.right
