"""How the commands show scores: a row per pattern, one dot a modality."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from rich.table import Table

    from geocomiss.benchmarking import Results
    from geocomiss.scores import Scores, ValueScores

MEANS: Final = ("full", "moderate", "extreme", "overall")
Rows = Mapping[str, tuple[str, ...]]
"""Cells of each row by its name."""


def scores_table(scores: "Scores | ValueScores", modalities: tuple[str, ...]) -> "Table":
    """F1 per pattern of available modalities, or the errors of a value, and their means.

    Args:
        scores: What to show.
        modalities: The model's modalities, in order.
    """
    from geocomiss.scores import Scores

    parts = _of_classes(scores) if isinstance(scores, Scores) else _of_values(scores)
    return _table(*parts, modalities)


def _of_classes(scores: "Scores") -> tuple[str, tuple[str, ...], Rows, Rows]:
    named = {"macro_f1": "macro F1", "weighted_f1": "weighted F1"}
    named |= {"ece_uncalibrated": "ECE uncalibrated", "ece": "ECE"}
    known = [
        key for key in named if any(getattr(score, key) is not None for score in scores.patterns.values())
    ]
    rows = {
        pattern: tuple(_known(getattr(score, key)) for key in known)
        for pattern, score in scores.patterns.items()
    }
    means = {name: (f"{getattr(scores, name):.3f}", *[""] * (len(known) - 1)) for name in MEANS}
    return "F1 by available modalities", tuple(named[key] for key in known), rows, means


def _of_values(scores: "ValueScores") -> tuple[str, tuple[str, ...], Rows, Rows]:
    rows = {
        key: (f"{score.rmse:.4g}", _known(score.r2), f"{score.mae:.4g}", f"{score.bias:+.3g}")
        for key, score in scores.patterns.items()
    }
    rmse, r2 = (part.model_dump() if part else {} for part in (scores.rmse, scores.r2))
    means = {name: (f"{rmse[name]:.4g}", _known(r2.get(name)), "", "") for name in MEANS}
    return "Errors by available modalities", ("RMSE", "R2", "MAE", "bias"), rows, means


def _known(value: float | None) -> str:
    return "-" if value is None else f"{value:.3f}"


def _table(
    title: str, headings: tuple[str, ...], rows: Rows, means: Rows, modalities: tuple[str, ...]
) -> "Table":
    """A row per pattern with its dots, then a row per mean."""
    from rich.table import Table

    table = Table(title=title)
    for name in modalities:
        table.add_column(name, justify="center")
    for heading in headings:
        table.add_column(heading, justify="right")
    for pattern, cells in rows.items():
        dots = ["●" if name in pattern.split("+") else "○" for name in modalities]
        table.add_row(*dots, *cells)
    table.add_section()
    for name, cells in means.items():
        table.add_row(name, *[""] * (len(modalities) - 1), *cells)
    return table


def comparison_table(results: "Results") -> "Table":
    """The means of a comparison, a row per contender.

    Args:
        results: What it found.
    """
    from rich.table import Table

    from geocomiss.benchmarking.reporting import METRICS, pooled_scores, summaries

    metric, pooled = METRICS[results.task][0], pooled_scores(results)
    scale, digits = (100, 1) if results.task == "classes" else (1, 3)
    means = summaries(results.modalities)
    table = Table(title=f"{metric.title}{' x 100' if scale == 100 else ''}, out of fold")
    for name in ("", *means):
        table.add_column(name.replace("_", " "), justify="right" if name else "left")
    for contender in results.contenders:
        cells = [pooled.cell(metric.key, contender.key, members) for members in means.values()]
        shown = (f"{cell.mean * scale:.{digits}f}{'*' * cell.partial}" if cell else "–" for cell in cells)
        table.add_row(contender.title, *shown)
    return table
