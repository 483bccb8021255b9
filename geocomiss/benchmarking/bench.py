"""The table of a comparison, ready to train on: the same for every run.

N samples.
"""

import json
from dataclasses import dataclass, field
from hashlib import sha256
from itertools import product
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from pydantic import JsonValue

from geocomiss import __version__
from geocomiss.batch import Batch, Floats, Spec
from geocomiss.benchmarking.baselines import embeddings_of
from geocomiss.benchmarking.conditions import (
    Condition,
    corruption_conditions,
    gap_conditions,
    month_conditions,
    pattern_conditions,
)
from geocomiss.benchmarking.contenders import Contender
from geocomiss.benchmarking.folds import RANDOM, folds_of
from geocomiss.composite import ndvi_bands
from geocomiss.errors import SampleError
from geocomiss.methods import begins_from_weights, new_method, stated_options
from geocomiss.samples import Legend, Samples
from geocomiss.samples.folds import grouped_split, strata_of
from geocomiss.samples.tensors import batch_of_samples, spec_of, truth_of
from geocomiss.training import INNER, Labelled, Settings, classes_of
from geocomiss.training.identity import REVISION, digest_of


@dataclass(frozen=True)
class BenchmarkRequest:
    """What to compare, and how."""

    label: str
    """Column the labels or the target came from."""
    contenders: tuple[Contender, ...]
    """Who is compared, in the order of the table."""
    legend: Legend | None = None
    """Legend that made the classes."""
    folds: str = "spatial"
    """'random', 'spatial', or a column of the table."""
    fold_count: int | None = None
    """Number of random or spatial folds."""
    seeds: tuple[int, ...] = (0, 1, 2)
    """Seeds of weights, order, drop-out and inner splits."""
    settings: Settings = field(default_factory=Settings)
    """How to train; the seed is replaced by each of the seeds."""
    gaps: Samples | None = None
    """Table whose gaps are transplanted; None takes those of the table itself."""
    jobs: int = 1
    """Runs at once, each in a process of one thread."""
    labels_per_class: int | None = None
    """Most labels of each class to learn from and to stop by; None takes all outside a fold."""
    patterns_only: bool = False
    """Whether the short seasons, the gaps and the corruptions are left out: predicting costs less."""
    keep_models: bool = False
    """Whether trained weights are kept, so that new conditions need no new training."""


@dataclass(frozen=True)
class Bench:
    """What all runs of one comparison share."""

    samples: Samples
    """The table."""
    spec: Spec
    """What the methods read."""
    classes: tuple[str, ...]
    """Names of the K classes; none where a target is predicted."""
    data: Labelled
    """All samples."""
    fold: NDArray[np.str_]
    """(N,) name of each sample's fold."""
    inner_group: NDArray[np.str_]
    """(N,) groups that the inner validation keeps together."""
    conditions: tuple[Condition, ...]
    """What the test samples are put through."""
    embeddings: Floats | None
    """(N, E) embeddings made elsewhere, for the baseline that reads them."""
    notes: tuple[str, ...]
    """What a reader should know of the conditions, a sentence each."""
    digest: str
    """Of the samples as they were read, and of their groups."""
    labels_per_class: int | None = None
    """Most labels of each class that a run learns from; None for all."""

    @property
    def folds(self) -> tuple[str, ...]:
        """Names of the folds."""
        return tuple(str(name) for name in np.unique(self.fold))

    @property
    def y(self) -> NDArray[Any]:
        """(N,) class indices, or values of the target."""
        return np.asarray(self.data.y.numpy())

    @property
    def few(self) -> int | None:
        """Most labels of each class that a run learns from, where that leaves any out."""
        if not self.labels_per_class or self.spec.task == "value":
            return None
        return self.labels_per_class if np.bincount(self.y).max() > self.labels_per_class else None

    def split(self, fold: str, seed: int) -> "Split":
        """The samples of a run: to learn from, to stop by, to predict."""
        held = self.fold == fold
        rows = np.flatnonzero(~held)
        if self.few:
            rows = few_of(self.y[rows], self.few, np.random.default_rng([seed, 2]), rows)
        # the same random numbers as `geocomiss train` takes, so that its models are those compared
        inner = grouped_split(
            self.inner_group[rows], strata_of(self.y[rows]), INNER, np.random.default_rng([seed, 1])
        )
        return Split(rows[~inner], rows[inner], np.flatnonzero(held))

    def identity(self, request: BenchmarkRequest, contender: Contender, seed: int, fold: str) -> str:
        """Digest of everything that the predictions of a run depend on."""
        names = [(condition.name, condition.about) for condition in self.conditions]
        stated = [self.training_identity(request, contender, seed, fold), names]
        return sha256(json.dumps(stated).encode()).hexdigest()

    def training_identity(self, request: BenchmarkRequest, contender: Contender, seed: int, fold: str) -> str:
        """Digest of everything that the trained weights of a run depend on."""
        settings = request.settings
        stated: dict[str, object] = {
            "version": [__version__, REVISION],
            "data": self.digest,
            "ndvi": ndvi_bands(self.samples.recipe),
            "embeddings": self.samples.sha256 if contender.method == "embeddings" else None,
            "label": request.label,
            "classes": self.classes,
            "spec": repr(self.spec),
            "contender": [contender.kind, contender.method, _all_options(contender)],
            "training": _stated(settings) if contender.kind == "method" else None,
            "labels per class": self.few,
            "seed": seed,
        }
        digest = sha256(json.dumps(stated, sort_keys=True).encode())
        for array in (self.fold == fold, self.samples.months):
            digest.update(np.ascontiguousarray(array).tobytes())
        return digest.hexdigest()


def _stated(settings: Settings) -> dict[str, JsonValue]:
    """How methods are trained; the seed is that of the run."""
    stated = {name: value for name, value in vars(settings).items() if name != "seed"}
    return {**stated, "device": str(settings.device)}


def _all_options(contender: Contender) -> dict[str, JsonValue]:
    """The options of a contender, also those left at defaults, which another version may change."""
    if contender.kind == "baseline":
        return dict(contender.options)
    return stated_options(contender.method, contender.options)


@dataclass(frozen=True)
class Split:
    """Rows of the table, (n,) each."""

    train: NDArray[np.int64]
    """To learn from."""
    validation: NDArray[np.int64]
    """To stop by."""
    test: NDArray[np.int64]
    """To predict."""


def few_of(
    y: NDArray[np.int64], most: int, rng: np.random.Generator, rows: NDArray[np.int64]
) -> NDArray[np.int64]:
    """Some of the rows (n,), at most a number of each class, drawn at random and in their order.

    Args:
        y: (n,) class indices of the rows.
        most: Of each class.
        rng: Source of randomness.
        rows: (n,) rows of a table.
    """
    order = rng.permutation(len(y))
    drawn = np.concatenate([order[y[order] == each][:most] for each in np.unique(y)])
    return np.sort(rows[drawn])


def bench_of(samples: Samples, request: BenchmarkRequest) -> Bench:
    """Prepare a table for a comparison.

    Raises:
        SampleError: The table, the folds or the classes cannot be used.
    """
    if request.labels_per_class and samples.target is not None:
        raise SampleError(
            "a number of labels per class, and a target that has no classes",
            expected="one or the other",
            todo="leave --labels-per-class out",
        )
    classes = tuple(info.name for info in classes_of(samples, request.legend))
    spec = spec_of(samples, len(classes))
    y = truth_of(samples, classes)
    fold = folds_of(samples, strata_of(np.asarray(y.numpy())), request.folds, request.fold_count)
    batch = batch_of_samples(samples, spec)
    conditions, notes = _conditions(samples, spec, batch, request)
    # random folds split neighbours, and so does what training is stopped by
    inner = np.arange(len(y)).astype(np.str_) if request.folds == RANDOM else samples.group
    data = Labelled(batch, y)
    bench = Bench(
        samples=samples,
        spec=spec,
        classes=classes,
        data=data,
        fold=fold,
        inner_group=inner,
        conditions=conditions,
        embeddings=embeddings_of(samples),
        notes=notes,
        digest=digest_of(data, inner),
        labels_per_class=request.labels_per_class,
    )
    _check_outside(bench, request.folds)
    for each in request.contenders:
        if each.kind == "method" and begins_from_weights(each.method):
            new_method(each.method, spec, each.options)  # wrong weights are said now, not after other runs
    if bench.few:
        for seed, name in product(request.seeds, bench.folds):
            bench.split(name, seed)  # few labels may lie in a single group: said now, not in the middle
    return bench


def _conditions(
    samples: Samples, spec: Spec, batch: Batch, request: BenchmarkRequest
) -> tuple[tuple[Condition, ...], tuple[str, ...]]:
    """The conditions that are asked for, patterns first, and what to say of them."""
    patterns = pattern_conditions(spec)
    if request.patterns_only:
        return patterns, ()
    gaps, notes = gap_conditions(batch, samples.months, request.gaps or samples)
    corruptions = corruption_conditions(spec, ndvi_bands(samples.recipe))
    return (*patterns, *month_conditions(spec), *gaps, *corruptions), notes


def _check_outside(bench: Bench, folds_by: str) -> None:
    """Refuse folds that leave nothing to learn from or to stop by, before anything is trained."""
    labels = ("class", "classes") if bench.classes else ("value", "values")
    for fold in bench.folds:
        rows = bench.fold != fold
        for number, one, what in (
            (len(np.unique(bench.y[rows])), *labels),
            (len(np.unique(bench.inner_group[rows])), "spatial group", "spatial groups"),
        ):
            if number < 2:
                raise SampleError(
                    f"fold {fold} of {folds_by} leaves samples of {number or 'no'} {one} to train on",
                    expected=f"at least 2 {what}, to train and to stop by",
                    todo="choose other --folds, or another --group",
                )


def part_of(batch: Batch, rows: NDArray[np.int64]) -> Batch:
    """Some samples of a batch."""
    return batch[torch.from_numpy(rows)]
