"""Comparing methods: everything trained and judged on the same folds, under the same conditions."""

from geocomiss.benchmarking.baselines import embedding_columns
from geocomiss.benchmarking.bench import BenchmarkRequest, bench_of
from geocomiss.benchmarking.contenders import ALL, Contender, contenders_of, reference_of, with_ablations
from geocomiss.benchmarking.folds import folds_in_words
from geocomiss.benchmarking.kept import Run, RunKey
from geocomiss.benchmarking.results import NOT_DEFINED, Results
from geocomiss.benchmarking.schedule import keys_of
from geocomiss.benchmarking.workflow import notes_of, run_benchmark

__all__ = [
    "ALL",
    "NOT_DEFINED",
    "BenchmarkRequest",
    "Contender",
    "Results",
    "Run",
    "RunKey",
    "bench_of",
    "contenders_of",
    "embedding_columns",
    "folds_in_words",
    "keys_of",
    "notes_of",
    "reference_of",
    "run_benchmark",
    "with_ablations",
]
