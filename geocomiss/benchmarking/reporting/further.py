"""Conditions beside the patterns of whole modalities: short seasons, natural gaps, corruption."""

from collections.abc import Sequence

from geocomiss.benchmarking.reporting.pooled import METRICS, Pooled
from geocomiss.benchmarking.reporting.rows import Row, prefixed, summaries
from geocomiss.benchmarking.reporting.tables import named, score_table, style_of
from geocomiss.benchmarking.results import Results


def months_section(results: Results, pooled: Pooled) -> str:
    """Scores against how much of the season is known; '' where that was not asked."""
    rows = month_rows(results)
    if not rows:
        return ""
    return _further(results, pooled, rows, "Season cut short", f"{results.step} known", (
        "Only the first steps of the season are known, of every modality that has steps."
    ))  # fmt: skip


def month_rows(results: Results) -> tuple[Row, ...]:
    """The seasons cut short, and the whole one as the last row; () where there are none."""
    cut = prefixed(results.conditions, "months")
    rows = [Row(each, each.removeprefix("months:"), (each,)) for each in cut]
    return (*rows, Row("full", "all", summaries(results.modalities)["full"])) if rows else ()


def gaps_section(results: Results, pooled: Pooled) -> str:
    """Scores under natural gaps; '' where that was not asked."""
    rows = gap_rows(results)
    if not rows:
        return ""
    return _further(results, pooled, rows, "Natural gaps", "optical steps left", (
        "Real patterns of gaps, transplanted from other samples; by the number of valid optical steps."
    ))  # fmt: skip


def gap_rows(results: Results) -> tuple[Row, ...]:
    """The bins of natural gaps."""
    bins = prefixed(results.conditions, "gaps")
    return tuple(Row(each, each.removeprefix("gaps:").replace("-", "–"), (each,)) for each in bins)


def corruption_section(results: Results, pooled: Pooled) -> str:
    """Scores on data that are there but bad; '' where that was not asked."""
    kinds = [each for each in results.conditions if each.startswith("corruption:")]
    if not kinds:
        return ""
    clean = Row("full", "clean", summaries(results.modalities)["full"])
    checked = [Row("check", "clean + check", ("check",))] if "check" in results.conditions else []
    rows = [_kind(each) for each in kinds]
    return _further(results, pooled, [clean, *checked, *rows], "Corruption", "data present but bad", (
        "With all modalities; `+ check`: a novelty check first declares steps missing."
    ))  # fmt: skip


def _kind(condition: str) -> Row:
    title = condition.removeprefix("corruption:").replace("+check", " + check")
    return Row(condition, title, (condition,))


def _further(results: Results, pooled: Pooled, rows: Sequence[Row], title: str, head: str, text: str) -> str:
    style = style_of(METRICS[results.task][0], results)
    return f"## {title}\n\n{named(style)}. {text}\n\n{score_table(results, pooled, rows, style, head)}"
