"""Numbers as Markdown tables: digits, the best of a row in bold, signs for what is missing."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from geocomiss.benchmarking.contenders import NOTES, Contender
from geocomiss.benchmarking.reporting.pooled import Cell, Metric, Pooled
from geocomiss.benchmarking.reporting.rows import Row
from geocomiss.benchmarking.results import Results

NOTHING: Final = "–"
"""A condition that is not defined for a contender."""
MARKS: Final = "¹²³⁴⁵⁶⁷⁸⁹"
"""Signs of the footnotes."""


@dataclass(frozen=True)
class Style:
    """How a metric is shown."""

    metric: Metric
    """The metric."""
    factor: float
    """Multiplied by before showing: F1 x 100."""
    digits: int
    """Behind the point."""

    def number(self, value: float, sign: bool = False) -> str:
        """A value as text; with a proper minus."""
        rounded = round(self.factor * value, self.digits) + 0.0  # no minus before a zero
        return f"{rounded:{'+' if sign else ''}.{self.digits}f}".replace("-", "−")

    def shown(self, value: float) -> float:
        """The value that a reader sees, larger the better."""
        return self.metric.sign * round(self.factor * value, self.digits)


def style_of(metric: Metric, results: Results) -> Style:
    """F1 in points with one digit, R2 with two, a target's error with three of its spread's digits."""
    if metric.key in ("macro_f1", "weighted_f1"):
        return Style(metric, 100, 1)
    if metric.key == "r2":
        return Style(metric, 1, 2)
    spread = max(float(np.std(results.truth)), 1e-300)
    return Style(metric, 1, max(0, 2 - int(np.floor(np.log10(spread)))))


def named(style: Style) -> str:
    """Name of the metric with its factor."""
    return f"{style.metric.title} × 100" if style.factor == 100 else style.metric.title


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A Markdown table; the first column to the left, the others to the right."""
    rule = [":--", *("--:" for _ in head[1:])]
    return "\n".join(_line(cells) for cells in (head, rule, *rows)) + "\n"


def _line(cells: Sequence[str]) -> str:
    return "| " + " | ".join(cells) + " |"


def plain(text: str) -> str:
    """Text that Markdown does not take for signs of its own."""
    for sign in "\\|*_<>":
        text = text.replace(sign, f"\\{sign}")
    return text.replace("\n", " ")


def titles(results: Results) -> list[str]:
    """Heads of the columns, with the signs of their footnotes."""
    marks = dict(zip(noted(results.contenders), MARKS, strict=False))
    return [plain(each.title) + marks.get(each.method, "") for each in results.contenders]


def noted(contenders: Iterable[Contender]) -> list[str]:
    """Methods of which a reader must know something, each once."""
    return [name for name in dict.fromkeys(each.method for each in contenders) if name in NOTES]


def footnotes(results: Results) -> str:
    """What a reader must know of the methods, a line each."""
    names = noted(results.contenders)
    lines = [f"{mark} {plain(name)}: {NOTES[name]}." for mark, name in zip(MARKS, names, strict=False)]
    return "  \n".join(lines) + "\n" if lines else ""


def score_table(results: Results, pooled: Pooled, rows: Sequence[Row], style: Style, head: str) -> str:
    """Rows of conditions and means by columns of contenders, the best of each row in bold.

    Args:
        results: For the contenders.
        pooled: Their scores.
        rows: What to show.
        style: Metric and digits.
        head: What stands over the heads of the rows.
    """
    keys = [each.key for each in results.contenders]
    lines = []
    for row in rows:
        cells = [pooled.cell(style.metric.key, key, row.conditions) for key in keys]
        title = f"**{row.title}**" if row.summary else row.title
        lines.append([title, *marked(cells, style)])
    return table([head, *titles(results)], lines)


def marked(cells: Sequence[Cell | None], style: Style) -> list[str]:
    """Cells as text; the best by the digits shown in bold, all of them if several are.

    A mean over fewer conditions carries an asterisk and does not compete.
    """
    shown = [style.shown(each.mean) for each in cells if each and not each.partial]
    best = max(shown, default=np.inf)
    compete = len(shown) > 1
    return [
        _cell(each, style, bool(compete and each and not each.partial and style.shown(each.mean) == best))
        for each in cells
    ]


def _cell(cell: Cell | None, style: Style, best: bool) -> str:
    if cell is None:
        return NOTHING
    mean = f"**{style.number(cell.mean)}**" if best else style.number(cell.mean)
    spread = f" ± {style.number(cell.sd)}" if cell.sd is not None else ""
    return mean + (r"\*" if cell.partial else "") + spread


def simple_table(head: Sequence[str], names: Sequence[str], cell: Callable[[str, int], str]) -> str:
    """A table whose cells are told one by one.

    Args:
        head: Heads of all columns, that of the names first.
        names: Heads of the rows.
        cell: Text of a row's name and a column's number, from 0.
    """
    return table(head, [[name, *(cell(name, column) for column in range(len(head) - 1))] for name in names])
