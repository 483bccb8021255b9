"""One run of a comparison: a contender learns outside one fold and predicts it, under every condition.

C conditions, n samples of the fold.
"""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from geocomiss.batch import Batch
from geocomiss.benchmarking.baselines import fit_baseline
from geocomiss.benchmarking.bench import Bench, BenchmarkRequest, Split, part_of
from geocomiss.benchmarking.conditions import Case, Condition
from geocomiss.benchmarking.kept import About, Run, RunKey, read_weights, write_run, write_weights
from geocomiss.benchmarking.results import NOT_DEFINED
from geocomiss.methods import Method, new_method
from geocomiss.scores import predict_classes, predict_values
from geocomiss.training.distil import learn

Predict = Callable[[Condition, Case], NDArray[Any]]
"""Class indices or values (n,) of a case under a condition; `NOT_DEFINED` or NaN where there is none."""


def make_run(bench: Bench, request: BenchmarkRequest, key: RunKey, folder: Path) -> Run:
    """Train, predict and keep one run.

    Args:
        bench: The table.
        request: What is compared.
        key: Which run.
        folder: Of the comparison.

    Raises:
        SampleError: Too few samples outside the fold.
        MethodError: Losses that are not finite.
        MapError: The folder cannot be written.
    """
    with _one_thread():
        split = bench.split(key.fold, key.seed)
        learn = _learn_baseline if key.contender.kind == "baseline" else _learn_method
        predict, seconds = learn(bench, request, key, split, folder)
        batch = bench.data.batch
        case = Case(part_of(batch, split.test), split.test, part_of(batch, split.train))
        predicted = np.stack([predict(condition, case) for condition in bench.conditions])
    stored = np.float32 if bench.spec.task == "value" else np.int16
    run = Run(split.test, predicted.astype(stored), seconds)
    digest = bench.identity(request, key.contender, key.seed, key.fold)
    conditions = np.array([condition.name for condition in bench.conditions], np.str_)
    about = About(conditions, np.array(bench.classes, np.str_), bench.y[split.test])
    write_run(key.path(folder, digest), run, digest, about)
    return run


def _learn_method(
    bench: Bench, request: BenchmarkRequest, key: RunKey, split: Split, folder: Path
) -> tuple[Predict, float]:
    """A method, and the seconds that training took: kept from before, or trained now."""
    contender = key.contender
    digest = bench.training_identity(request, contender, key.seed, key.fold)
    path = key.weights(folder, digest)
    if kept := read_weights(path, digest):
        method = new_method(contender.method, bench.spec, contender.options)
        method.load_state_dict(kept.tensors)
        return _predictor(method, request.settings.device), kept.seconds
    train, validation = (bench.data[torch.from_numpy(rows)] for rows in (split.train, split.validation))
    settings = replace(request.settings, seed=key.seed)
    start = time.monotonic()
    method = learn(contender.method, contender.options, bench.spec, train, validation, settings).method
    seconds = time.monotonic() - start
    if request.keep_models:
        write_weights(path, method.state_dict(), seconds, digest)
    return _predictor(method, request.settings.device), seconds


def _predictor(method: Method, device: torch.device | str) -> Predict:
    method.to(device)

    def predict(condition: Condition, case: Case) -> NDArray[Any]:
        if not _answers(method, condition):
            return np.full(len(case.rows), np.nan if method.spec.task == "value" else NOT_DEFINED)
        return _predicted(method, condition.change(case).to(device))

    return predict


def _answers(method: Method, condition: Condition) -> bool:
    """Whether a pattern is one of a method's: of what it reads, or the full one, as on the poster.

    Any other would repeat a score of fewer modalities under the name of more.
    """
    names = set(condition.modalities)
    return names <= set(method.supported) or names == set(method.spec.modalities)


def _predicted(method: Method, batch: Batch) -> NDArray[Any]:
    """What a method says (n,); not defined where a condition leaves nothing that it can read."""
    value = method.spec.task == "value"
    readable = torch.tensor([name in method.supported for name in batch.modalities], device=batch.kept.device)
    if not batch.kept[:, readable].any():
        return np.full(len(batch), np.nan if value else NOT_DEFINED)
    batch = batch.keep_only(method.supported)
    if not value:
        return predict_classes(method, batch)
    there = batch.available.any(1).cpu().numpy()
    return np.where(there, predict_values(method, batch), np.nan)


def _learn_baseline(
    bench: Bench, request: BenchmarkRequest, key: RunKey, split: Split, folder: Path
) -> tuple[Predict, float]:
    """A baseline learns from all samples outside the fold: it has nothing to stop by."""
    rows = np.concatenate([split.train, split.validation])
    embeddings, full = bench.embeddings, bench.conditions[0]
    own = None if embeddings is None else embeddings[rows]
    start = time.monotonic()
    baseline = fit_baseline(
        key.contender.method, part_of(bench.data.batch, rows), bench.y[rows], key.seed, bench.spec.task, own
    )
    seconds = time.monotonic() - start

    def predict(condition: Condition, case: Case) -> NDArray[Any]:
        if baseline.kind.embedded and condition != full:
            return np.full(len(case.rows), np.nan if bench.spec.task == "value" else NOT_DEFINED)
        return baseline.predict(condition.change(case), None if embeddings is None else embeddings[case.rows])

    return predict, seconds


@contextmanager
def _one_thread() -> Iterator[None]:
    """One thread a run: the same bits however many run at once, and the most runs an hour."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)
