"""Results of a benchmark that never ran: random predictions of differing quality."""

from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from geocomiss.benchmarking.contenders import Contender
from geocomiss.benchmarking.results import Results
from geocomiss.modalities import patterns

FOUR = ("optical", "radar", "weather", "topography")
NAMES = (
    "random-forest", "lightgbm", "unimodal", "fcom-av", "timmil", "dsensd", "dsensd+", "mdico", "fullco",
    "comiss", "comiss+",
)  # fmt: skip
WORTH = {"optical": 0.3, "radar": 0.2, "weather": 0.1, "topography": 0.05}


def contender(name: str) -> Contender:
    kind: Literal["method", "baseline"] = "baseline" if name in ("random-forest", "lightgbm") else "method"
    return Contender(name, name.replace("-", " ") if kind == "baseline" else name, name, {}, kind)


def fake_results(
    names: tuple[str, ...] = NAMES, modalities: tuple[str, ...] = FOUR, n: int = 600, groups: int = 40,
    classes: int = 6, seeds: int = 3, folds: int = 5, task: Literal["classes", "value"] = "classes",
    further: bool = True, folds_by: str = "spatial", published: bool = False, seed: int = 0,
) -> Results:  # fmt: skip
    """Contenders get better from left to right, and worse with what is missing."""
    rng = np.random.default_rng(seed)
    group = rng.integers(0, groups, n)
    fold = rng.integers(0, folds, n) if folds_by == "random" else group % folds
    truth: NDArray[Any] = rng.integers(0, classes, n) if task == "classes" else rng.normal(100, 40, n)
    conditions = tuple("+".join(each) for each in patterns(modalities)) + (_further() if further else ())
    predicted = {}
    for place, name in enumerate(names):
        quality = np.array([_quality(each, modalities) + 0.015 * place for each in conditions])
        # a hard group is hard for all seeds and contenders
        hard = np.random.default_rng(1).normal(0, 0.08, groups)[group]
        shape = (seeds, len(conditions), n)
        share = np.clip(quality[None, :, None] + hard, 0.02, 0.98)
        predicted[name] = _predict(truth, share, shape, classes, task, rng)
    return Results(
        table="fake_2020", label="crop", task=task,
        classes=tuple(f"class_{i}" for i in range(classes)) if task == "classes" else (),
        modalities=modalities, truth=truth, group=group.astype(str), grouped_by="cells of a test",
        fold=fold.astype(str), folds_by=folds_by, contenders=tuple(contender(each) for each in names),
        seeds=tuple(range(seeds)), conditions=conditions, predicted=predicted,
        seconds={each: 3.0 + i for i, each in enumerate(names)},
        step="months", published=published, notes=("made up",),
    )  # fmt: skip


def _further() -> tuple[str, ...]:
    months = tuple(f"months:{i}" for i in range(1, 12))
    gaps = ("gaps:0-2", "gaps:3-4", "gaps:5-6", "gaps:7-8", "gaps:9-12")
    kinds = ("noise", "dropped-band", "interference", "cloud-10", "cloud-30", "cloud-50")
    return (*months, *gaps, "check", *(f"corruption:{kind}{end}" for kind in kinds for end in ("", "+check")))


def _quality(condition: str, modalities: tuple[str, ...]) -> float:
    kind, _, value = condition.partition(":")
    if kind == "months":
        return 0.15 + 0.042 * int(value)
    if kind == "gaps":
        return 0.3 + 0.03 * int(value.split("-")[0])
    if kind in ("check", "corruption"):
        return 0.5 + 0.04 * value.endswith("+check")
    return sum(WORTH[name] for name in condition.split("+"))


def _predict(
    truth: NDArray[Any], share: NDArray[np.float64], shape: tuple[int, ...], classes: int, task: str,
    rng: np.random.Generator,
) -> NDArray[Any]:  # fmt: skip
    if task == "value":
        return (truth + (1 - share) * rng.normal(0, 50, shape)).astype(np.float32)
    right = rng.random(shape) < share
    return np.where(right, truth, rng.integers(0, classes, shape)).astype(np.int16)
