"""The report in Markdown, in the order of the poster's table.

N samples, K classes, S seeds.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from geocomiss.benchmarking.folds import RANDOM, folds_in_words
from geocomiss.benchmarking.reporting.further import corruption_section, gaps_section, months_section
from geocomiss.benchmarking.reporting.parity import WARNING, fold_section, poster_section
from geocomiss.benchmarking.reporting.pooled import METRICS, Cell, Pooled, class_scores
from geocomiss.benchmarking.reporting.rows import Row, letters, pattern_rows, summaries, summary_rows
from geocomiss.benchmarking.reporting.significance import MARGIN, Difference, absent_share
from geocomiss.benchmarking.reporting.tables import (
    NOTHING,
    Style,
    footnotes,
    marked,
    named,
    plain,
    score_table,
    simple_table,
    style_of,
    table,
    titles,
)
from geocomiss.benchmarking.results import Results


def markdown(results: Results, pooled: Pooled, differences: Sequence[Difference], command: str = "") -> str:
    """The whole report.

    Args:
        results: What a benchmark found.
        pooled: Its scores, see `pooled_scores`.
        differences: Comparisons with a reference.
        command: The command that made it.
    """
    sections = [
        _heading(results, command),
        *_main_tables(results, pooled),
        fold_section(results),
        poster_section(results, pooled),
        _class_table(results),
        _difference_table(results, differences),
        months_section(results, pooled),
        gaps_section(results, pooled),
        corruption_section(results, pooled),
        _seconds(results),
    ]
    return "\n".join(section for section in sections if section)


def _heading(results: Results, command: str) -> str:
    task = "the classes of" if results.task == "classes" else "the value of"
    lines = [f"# Benchmark on {plain(results.table)}: {task} `{results.label}`", ""]
    if results.folds_by == RANDOM:
        lines += [f"> **Random folds: {WARNING}.**", ""]
    lines += [
        f"* {len(results.truth):,} samples in {_several(len(np.unique(results.group)), 'spatial group')} "
        f"({plain(results.grouped_by)})",
        f"* {folds_in_words(results.fold, results.group, results.folds_by)}",
        f"* {_truth(results)}",
        f"* modalities: {', '.join(results.modalities)}",
        f"* seeds: {', '.join(map(str, results.seeds))}",
        *(f"* {plain(note)}" for note in results.notes),
    ]
    if command:
        lines += ["", "```", command, "```"]
    return "\n".join(lines) + "\n"


def _several(number: int, noun: str) -> str:
    return f"{number:,} {noun}{'' if number == 1 else 's'}"


def _truth(results: Results) -> str:
    if results.task == "value":
        mean, sd = float(results.truth.mean()), float(results.truth.std(ddof=1))
        return f"target: mean {mean:.4g}, standard deviation {sd:.4g}"
    counts = np.bincount(results.truth, minlength=len(results.classes))
    named = (f"{plain(name)} {count:,}" for name, count in zip(results.classes, counts, strict=True))
    return f"{len(results.classes)} classes: {', '.join(named)}"


def _main_tables(results: Results, pooled: Pooled) -> list[str]:
    rows = pattern_rows(results.modalities)
    first, second = (style_of(metric, results) for metric in METRICS[results.task])
    head = letters(results.modalities)
    return [
        f"## {named(first)}\n\n{_spread(results)}\n\n"
        f"{score_table(results, pooled, rows, first, head)}\n{_legend(results, pooled)}",
        f"## {named(second)}\n\n{score_table(results, pooled, rows, second, head)}",
    ]


def _spread(results: Results) -> str:
    number = len(results.seeds)
    spread = f", mean ± standard deviation over {number} seeds" if number > 1 else "; one seed, so no spread"
    return f"On the pooled out-of-fold predictions{spread}; the best of each row in bold."


def _legend(results: Results, pooled: Pooled) -> str:
    """What the signs of the table mean."""
    lines = ["● available, ○ missing at all samples. " + _means(results)]
    if results.task == "classes":
        lines.append("A sample left without any modality counts as an error.")
    else:
        lines.append("A sample left without any modality is given the mean target of the other folds.")
    patterns = summaries(results.modalities)["all_patterns"]
    keys = (each.key for each in results.contenders)
    metric = METRICS[results.task][0].key
    if any((cell := pooled.cell(metric, key, patterns)) is None or cell.partial for key in keys):
        lines.append(
            f"{NOTHING} not defined for this contender; \\* mean of the cases that are, not compared."
        )
    return "  \n".join(lines) + "\n\n" + footnotes(results)


def _means(results: Results) -> str:
    size = len(results.modalities)
    if size < 2:
        return ""
    if size == 2:
        return "With two modalities, one missing is one left: moderate and extreme are the same."
    cases = len(summaries(results.modalities)["overall"])
    return (
        f"moderate: mean with one missing; extreme: mean with one left; overall: mean of these {cases} "
        f"cases{' (the poster)' if size == 4 else ''}; all patterns: mean of all {2**size - 1}."
    )


def _class_table(results: Results) -> str:
    if results.task != "classes":
        return ""
    full = summaries(results.modalities)["full"][0]
    scores = [class_scores(results, each.key, full) for each in results.contenders]
    style = Style(METRICS["classes"][0], 100, 1)
    counts = np.bincount(results.truth, minlength=len(results.classes))
    lines = []
    for place, name in enumerate(results.classes):
        cells = [None if each is None else _class_cell(each[:, place]) for each in scores]
        lines.append([plain(name), f"{counts[place]:,}", *marked(cells, style)])
    return f"## F1 × 100 per class, all modalities\n\n{table(['class', 'samples', *titles(results)], lines)}"


def _class_cell(values: NDArray[Any]) -> Cell:
    return Cell(float(values.mean()), float(values.std(ddof=1)) if len(values) > 1 else None, False)


def _difference_table(results: Results, differences: Sequence[Difference]) -> str:
    if not differences:
        return ""
    style = style_of(METRICS[results.task][0], results)
    rows = summary_rows(results.modalities)
    found = {(each.other, each.row.key): each for each in differences}
    names = {each.key: title for each, title in zip(results.contenders, titles(results), strict=True)}
    others = [key for key in names if any((key, row.key) in found for row in rows)]
    lines = [[names[key], *(_compared(found.get((key, row.key)), style) for row in rows)] for key in others]
    reference = names[differences[0].reference]
    text = table([f"{reference} against", *(row.title for row in rows)], lines)
    groups = _several(len(np.unique(results.group)), "spatial group")
    return (
        f"## Differences to {reference}\n\n{named(style)}: above 0, {reference} is better. 95 % intervals "
        f"(BCa) of a paired bootstrap of {groups}, seeds averaged; p two-sided, Holm-corrected over the "
        f"comparisons of a column; bold below 0.05.{_absent(results)}\n\n"
        f"{text}\n{_inferiority(rows, differences, names)}"
    )


def _absent(results: Results) -> str:
    """How often a resample lacks a class, where that is often enough to matter."""
    share = absent_share(results)
    if share < 0.01:
        return ""
    return f" In {share:.0%} of the resamples some class has no sample; its F1 is 0 there."


def _compared(difference: Difference | None, style: Style) -> str:
    if difference is None:
        return NOTHING
    low, estimate, high = (
        style.number(value, sign=True) for value in (difference.low, difference.estimate, difference.high)
    )
    estimate = f"**{estimate}**" if difference.significant else estimate
    few = r"\*" if difference.partial else ""
    return f"{estimate}{few} [{low}, {high}], p {difference.p_holm:.3f}"


def _inferiority(rows: Sequence[Row], differences: Sequence[Difference], names: dict[str, str]) -> str:
    """To whom the reference is not inferior, in words."""
    if any(each.not_inferior is None for each in differences):
        return ""
    lines = []
    for row in rows:
        worse = [names[each.other] for each in differences if each.row == row and not each.not_inferior]
        lines.append(f"* {row.title}: {'not shown against ' + ', '.join(worse) if worse else 'against all'}")
    return f"Not inferior (lower end above −{100 * MARGIN:.1f} points):\n\n" + "\n".join(lines) + "\n"


def _seconds(results: Results) -> str:
    known = [each for each in results.contenders if each.key in results.seconds]
    if not known:
        return ""
    by_title = dict(zip((each.key for each in results.contenders), titles(results), strict=True))
    text = simple_table(
        ["", *(by_title[each.key] for each in known)],
        ["seconds"],
        lambda _, column: f"{results.seconds[known[column].key]:.1f}",
    )
    return f"## Training time of a fold\n\n{text}"
