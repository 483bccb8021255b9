"""The comparison from end to end: all runs, then what they found together.

N samples, S seeds, C conditions.
"""

from collections.abc import Mapping
from pathlib import Path
from statistics import fmean
from typing import Any, Final, Literal

import numpy as np
from numpy.typing import NDArray

from geocomiss.benchmarking.bench import Bench, BenchmarkRequest
from geocomiss.benchmarking.kept import Run, check_folder
from geocomiss.benchmarking.results import NOT_DEFINED, Results
from geocomiss.benchmarking.schedule import Progress, run_all
from geocomiss.samples import Samples

POSTER_RECIPE: Final = "cropharvest"
"""Recipe of the samples that the poster compares on."""
POSTER_CLASSES: Final = (
    "beverage_spice", "cereals", "fruits_nuts", "leguminous", "non_crop",
    "oilseeds", "other", "root_tuber", "sugar", "vegetables_melons",
)  # fmt: skip
"""The classes that it tells apart."""


def run_benchmark(
    bench: Bench, request: BenchmarkRequest, folder: Path, progress: Progress | None = None
) -> Results:
    """Train and judge every contender on every fold with every seed.

    Runs that the folder already holds are not made again, so that an interrupted comparison goes on
    and a longer one (more seeds, more contenders) begins where a shorter one ended.

    Args:
        bench: The table, prepared by `bench_of` for the same request.
        request: What to compare.
        folder: Where runs are kept.
        progress: Told of each run.

    Raises:
        MethodError: Losses that are not finite.
        MapError: The folder cannot be written, or holds something else.
    """
    check_folder(folder)
    runs = run_all(bench, request, folder, progress or (lambda key, run, kept: None))
    return results_of(bench, request, runs)


def results_of(bench: Bench, request: BenchmarkRequest, runs: Mapping[tuple[str, int, str], Run]) -> Results:
    """Predictions of all runs, put together out of fold."""
    samples = bench.samples
    keys = [contender.key for contender in request.contenders]
    return Results(
        table=samples.name,
        label=request.label,
        task=bench.spec.task,
        classes=bench.classes,
        modalities=bench.spec.modalities,
        truth=bench.y,
        group=samples.group,
        grouped_by=samples.grouped_by,
        fold=bench.fold,
        folds_by=request.folds,
        contenders=request.contenders,
        seeds=request.seeds,
        conditions=tuple(condition.name for condition in bench.conditions),
        predicted={key: _pooled(bench, request, runs, key) for key in keys},
        seconds={key: fmean(run.seconds for (who, _, _), run in runs.items() if who == key) for key in keys},
        step=_step(samples),
        published=_published(bench),
        notes=(*samples.notes, *notes_of(bench)),
    )


def _step(samples: Samples) -> Literal["months", "steps"]:
    follow = np.diff(samples.months, axis=1) % 12 == 1
    return "months" if follow.all() else "steps"


def _published(bench: Bench) -> bool:
    """Whether these are samples of the kind that the poster compares on."""
    samples = bench.samples
    return (
        samples.recipe.name == POSTER_RECIPE
        and not samples.simulated
        and bool(bench.classes)
        and set(bench.classes) <= set(POSTER_CLASSES)
    )


def _pooled(
    bench: Bench, request: BenchmarkRequest, runs: Mapping[tuple[str, int, str], Run], key: str
) -> NDArray[Any]:
    """Out-of-fold predictions of a contender: (S, C, N)."""
    shape = (len(request.seeds), len(bench.conditions), len(bench.y))
    pooled = np.full(shape, NOT_DEFINED, np.int16) if bench.classes else np.full(shape, np.nan, np.float32)
    for place, seed in enumerate(request.seeds):
        for fold in bench.folds:
            run = runs[key, seed, fold]
            pooled[place][:, run.rows] = run.predicted
    return pooled


def notes_of(bench: Bench) -> list[str]:
    """What makes a comparison less than it seems, a sentence each; known before anything is trained."""
    notes = [*bench.notes]
    if bench.labels_per_class:
        notes.append(
            f"at most {bench.labels_per_class} labels of each class outside a fold were used, to learn "
            "from and to stop by, drawn anew with each seed"
        )
    folds = {name: len(set(bench.fold[bench.y == place])) for place, name in enumerate(bench.classes)}
    if lone := [name for name, number in folds.items() if number == 1]:
        notes.append(
            f"samples of {', '.join(lone)} lie in one fold only: what predicts them never saw one, F1 is 0"
        )
    return notes
