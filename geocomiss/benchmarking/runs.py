"""One run of a comparison: a contender learns outside one fold and predicts it, under every condition.

C conditions, n samples of the fold.
"""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from geocomiss.batch import Batch
from geocomiss.benchmarking.bench import Bench, BenchmarkRequest, Split, part_of
from geocomiss.benchmarking.conditions import Case
from geocomiss.benchmarking.kept import Run, RunKey, read_weights, write_run, write_weights
from geocomiss.benchmarking.results import NOT_DEFINED
from geocomiss.methods import Method, new_method
from geocomiss.scores import predict_classes
from geocomiss.training import fit


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
        method, seconds = _trained(bench, request, key, split, folder)
        run = Run(split.test, _predicted(bench, split, method), seconds)
    write_run(key.path(folder), run, bench.identity(request, key.contender, key.seed, key.fold))
    return run


def _predicted(bench: Bench, split: Split, method: Method) -> NDArray[Any]:
    """Class indices (C, n) under every condition."""
    batch = bench.data.batch
    case = Case(part_of(batch, split.test), split.test, part_of(batch, split.train))
    predicted = [_classes(method, condition.change(case)) for condition in bench.conditions]
    return np.stack(predicted).astype(np.int16)


def _classes(method: Method, batch: Batch) -> NDArray[Any]:
    """Class indices (n,); not defined where a condition leaves no modality that the method can read."""
    readable = [name in method.supported for name in batch.modalities]
    if not batch.kept[:, torch.tensor(readable)].any():
        return np.full(len(batch), NOT_DEFINED)
    return predict_classes(method, batch.keep_only(method.supported))


def _trained(
    bench: Bench, request: BenchmarkRequest, key: RunKey, split: Split, folder: Path
) -> tuple[Method, float]:
    """The method of a run, and the seconds that training took: kept from before, or trained now."""
    contender, path = key.contender, key.weights(folder)
    digest = bench.training_identity(request, contender, key.seed, key.fold)
    if kept := read_weights(path, digest):
        method = new_method(contender.method, bench.spec, contender.options)
        method.load_state_dict(kept.tensors)
        return method.eval(), kept.seconds
    train, validation = (bench.data[torch.from_numpy(rows)] for rows in (split.train, split.validation))
    settings = replace(request.settings, seed=key.seed)
    start = time.monotonic()
    method, _ = fit(
        lambda: new_method(contender.method, bench.spec, contender.options), train, validation, settings
    )
    seconds = time.monotonic() - start
    if request.keep_models:
        write_weights(path, method.state_dict(), seconds, digest)
    return method, seconds


@contextmanager
def _one_thread() -> Iterator[None]:
    """One thread a run: the same bits however many run at once, and the most runs an hour."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)
