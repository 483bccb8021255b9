"""Parity with the poster: its way of scoring, and its numbers beside ours."""

from typing import Final

from geocomiss.benchmarking.folds import RANDOM
from geocomiss.benchmarking.reporting import poster
from geocomiss.benchmarking.reporting.pooled import METRICS, Pooled, fold_scores
from geocomiss.benchmarking.reporting.rows import Row, letters, pattern_rows
from geocomiss.benchmarking.reporting.tables import (
    NOTHING,
    Style,
    marked,
    named,
    plain,
    score_table,
    style_of,
    table,
)
from geocomiss.benchmarking.results import Results

WARNING: Final = "neighbours in training and test: parity with the poster only"
"""What to know of random folds."""


def fold_section(results: Results) -> str:
    """The poster's way, where folds are the poster's."""
    if results.folds_by != RANDOM:
        return ""
    scores = fold_scores(results)
    first = style_of(METRICS[results.task][0], results)
    rows = pattern_rows(results.modalities)
    text = score_table(results, scores, rows, first, letters(results.modalities))
    return (
        f"## {named(first)}, mean of per-fold scores\n\nThe poster's way: each fold scored by itself, mean "
        f"± standard deviation over folds x seeds; a class that a fold lacks is left out there.\n\n{text}"
    )


def poster_section(results: Results, pooled: Pooled) -> str:
    """Published numbers and ours, column by column; '' where the samples are others."""
    if not results.published or results.task != "classes":
        return ""
    random = results.folds_by == RANDOM
    scores = fold_scores(results) if random else pooled
    way = "mean of per-fold scores" if random else "pooled, on other folds than the poster's"
    here = {each.key: plain(each.title) for each in results.contenders if each.key in poster.METHODS}
    columns = [(key, own) for key in poster.METHODS for own in (True, False) if key in here or not own]
    head = [f"{here[key]} here" if own else f"{poster.METHODS[key]} poster" for key, own in columns]
    lines = [
        [row.title, *(_ours(scores, key, row) if own else _theirs(key, row) for key, own in columns)]
        for row in pattern_rows(poster.MODALITIES)
        if poster.printed(row.key, "comiss") is not None
    ]
    return (
        f"## Beside the poster\n\nMacro F1 × 100 here ({way}); the poster does not say which F1 it prints. "
        "In parentheses the mean recomputed from the poster's cells where it is not the one printed; \\* "
        f"mean of fewer cases.\n\n{table([letters(poster.MODALITIES), *head], lines)}"
    )


def _ours(scores: Pooled, key: str, row: Row) -> str:
    cell = scores.cell("macro_f1", key, row.conditions)
    style = Style(METRICS["classes"][0], 100, 1)
    return marked([cell], style)[0]


def _theirs(key: str, row: Row) -> str:
    value, again = poster.printed(row.key, key), poster.recomputed(row.key, key)
    if value is None:
        return NOTHING
    few = r"\*" if poster.incomplete(row.key, key) else ""
    # 0.051: half of the last digit, and what floats add
    return f"{value:.1f}{few}" + (f" ({again:.1f})" if again and abs(again - value) > 0.051 else "")
