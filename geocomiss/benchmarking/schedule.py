"""All runs of a comparison: those that are missing are made, several at once if wished."""

from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor, as_completed
from multiprocessing import get_context
from pathlib import Path

from geocomiss.benchmarking.bench import Bench, BenchmarkRequest
from geocomiss.benchmarking.kept import Run, RunKey, read_run
from geocomiss.benchmarking.runs import make_run

Progress = Callable[[RunKey, Run, bool], None]
"""Told of each run, in the order in which they end, and whether it was kept from before."""


def run_all(
    bench: Bench, request: BenchmarkRequest, folder: Path, progress: Progress
) -> dict[tuple[str, int, str], Run]:
    """Read the runs that are kept, and make the others.

    Args:
        bench: The table.
        request: What to compare.
        folder: Of the comparison.
        progress: Told of each run.

    Returns:
        The runs by key of the contender, seed and fold.
    """
    found: dict[tuple[str, int, str], Run] = {}
    todo = []
    for key in keys_of(bench, request):
        kept = _kept(bench, request, key, folder)
        if kept is None:
            todo.append(key)
            continue
        found[key.contender.key, key.seed, key.fold] = kept
        progress(key, kept, True)
    for key, run in _made(bench, request, folder, todo):
        found[key.contender.key, key.seed, key.fold] = run
        progress(key, run, False)
    return found


def _kept(bench: Bench, request: BenchmarkRequest, key: RunKey, folder: Path) -> Run | None:
    """A run made before; None where there is none, or where its weights are wanted and not there."""
    which = (request, key.contender, key.seed, key.fold)
    if request.keep_models and key.contender.kind == "method":
        if not key.weights(folder, bench.training_identity(*which)).exists():
            return None
    digest = bench.identity(*which)
    return read_run(key.path(folder, digest), digest)


def keys_of(bench: Bench, request: BenchmarkRequest) -> list[RunKey]:
    """All runs, seed by seed."""
    return [
        RunKey(contender, seed, fold)
        for seed in request.seeds
        for contender in request.contenders
        for fold in bench.folds
    ]


def _made(
    bench: Bench, request: BenchmarkRequest, folder: Path, todo: list[RunKey]
) -> Iterator[tuple[RunKey, Run]]:
    if request.jobs == 1 or len(todo) < 2:
        for key in todo:
            yield key, make_run(bench, request, key, folder)
        return
    # spawned, not forked: OpenMP's threads do not survive a fork
    pool = ProcessPoolExecutor(min(request.jobs, len(todo)), get_context("spawn"))
    try:
        waiting = {pool.submit(make_run, bench, request, key, folder): key for key in todo}
        for done in as_completed(waiting):
            yield waiting[done], done.result()
    finally:
        pool.shutdown(cancel_futures=True)
