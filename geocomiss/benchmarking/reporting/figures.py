"""The table as a picture: means by what is missing above, every single pattern below."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np
from numpy.typing import NDArray

from geocomiss.benchmarking.contenders import NOTES
from geocomiss.benchmarking.reporting.drawing import (
    BASELINE,
    BEST,
    INK,
    METHOD,
    PALE,
    bare,
    headline,
    name_width,
    png,
)
from geocomiss.benchmarking.reporting.pooled import METRICS, Cell, Pooled
from geocomiss.benchmarking.reporting.rows import ordered_patterns
from geocomiss.benchmarking.reporting.tables import NOTHING, Style, named, noted, style_of
from geocomiss.benchmarking.results import Results

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

LEFT, RIGHT, TOP, BOTTOM = 0.35, 0.3, 1.2, 0.45
"""Margins in inches; names of contenders come on top of the left one."""
LINE: Final = 0.3
"""Height of a contender's line in inches."""
BETWEEN: Final = 0.75
"""Between the two parts, in inches, without the dots of the patterns."""
DOT: Final = 0.19
"""Distance of these dots in inches."""


@dataclass(frozen=True)
class _Plot:
    """What both parts of the picture need."""

    results: Results
    pooled: Pooled
    style: Style

    @property
    def groups(self) -> dict[int, tuple[str, ...]]:
        return ordered_patterns(self.results.modalities)

    @property
    def patterns(self) -> list[str]:
        return [each for group in self.groups.values() for each in group]

    @property
    def titles(self) -> list[str]:
        return [each.title for each in self.results.contenders]

    def cells(self, conditions: tuple[str, ...]) -> list[Cell | None]:
        key = self.style.metric.key
        return [self.pooled.cell(key, each.key, conditions) for each in self.results.contenders]

    def best(self, cells: Sequence[Cell | None]) -> list[bool]:
        """Whether each is the best by the digits shown; means over fewer cases do not compete."""
        shown = [self.style.shown(each.mean) if each and not each.partial else -np.inf for each in cells]
        top = max(shown)
        return [np.isfinite(each) and each == top for each in shown]


def table_figure(results: Results, pooled: Pooled) -> bytes:
    """Means by the number of missing modalities, and all patterns, as PNG."""
    return png(draw_table(results, pooled))


def draw_table(results: Results, pooled: Pooled) -> "Figure":
    """The picture of `table_figure`."""
    from matplotlib.figure import Figure

    plot = _Plot(results, pooled, style_of(METRICS[results.task][0], results))
    lines = LINE * len(results.contenders)
    left = LEFT + max(name_width(results), 1.0)
    width = left + max(0.62 * len(plot.patterns), 7.5) + RIGHT
    heads = DOT * len(results.modalities)
    height = TOP + lines + BETWEEN + heads + lines + BOTTOM
    figure = Figure(figsize=(width, height), facecolor="white")
    slot = (width - left - RIGHT) / len(plot.groups)
    for place, (missing, group) in enumerate(plot.groups.items()):
        # a quarter of each slot is for the numbers
        box = ((left + place * slot) / width, 1 - (TOP + lines) / height, 0.74 * slot / width, lines / height)
        axes = figure.add_axes(box)
        _dot_panel(axes, plot, plot.cells(group))
        axes.set_title(_missing(missing, len(plot.groups)), fontsize=9.5, color=INK, pad=7, loc="left")
        axes.set_yticklabels(plot.titles if place == 0 else [])
    box = (left / width, BOTTOM / height, 1 - (left + RIGHT) / width, lines / height)
    _matrix(figure.add_axes(box), plot)
    headline(figure, results, f"{named(plot.style)} by the modalities available")
    figure.text(0.2 / width, 0.2 / height, _caption(results), fontsize=7.5, color=INK, va="center")
    return figure


def _missing(missing: int, modalities: int) -> str:
    if missing == 0:
        return "all available"
    return f"{missing} missing" + (" (one left)" if missing == modalities - 1 else "")


def _caption(results: Results) -> str:
    spread = "dots with the standard deviation over seeds; " if len(results.seeds) > 1 else ""
    notes = [f"{name}: {NOTES[name].split(' of ')[0].split(',')[0]}" for name in noted(results.contenders)]
    return "; ".join([f"{spread}the darker a cell, the nearer to the best of its column", *notes])


def _dot_panel(axes: "Axes", plot: _Plot, cells: list[Cell | None]) -> None:
    """A dot per contender, with its spread over seeds, and the number at the right."""
    factor = plot.style.factor
    for row, (contender, cell, best) in enumerate(
        zip(plot.results.contenders, cells, plot.best(cells), strict=True)
    ):
        colour = BEST if best else (METHOD if contender.kind == "method" else BASELINE)
        if cell is not None:
            axes.errorbar(
                factor * cell.mean, row, xerr=factor * (cell.sd or 0), fmt="o", color=colour, ms=6,
                mfc="white" if cell.partial else colour, elinewidth=1.6,
            )  # fmt: skip
        axes.text(
            1.22, row, _number(cell, plot.style), transform=axes.get_yaxis_transform(), ha="right",
            va="center", fontsize=8, color=colour if best else INK, fontweight="bold" if best else "normal",
        )  # fmt: skip
    _dress_panel(axes, len(cells))


def _number(cell: Cell | None, style: Style) -> str:
    return style.number(cell.mean) + ("*" if cell.partial else "") if cell else NOTHING


def _dress_panel(axes: "Axes", lines: int) -> None:
    axes.set_ylim(lines - 0.5, -0.5)
    axes.set_yticks(range(lines))
    axes.margins(x=0.08)
    axes.locator_params(axis="x", nbins=5)
    axes.set_axisbelow(True)
    axes.grid(color=PALE, linewidth=0.7)
    bare(axes)
    axes.tick_params(axis="x", labelsize=7.5)


def _matrix(axes: "Axes", plot: _Plot) -> None:
    """Contenders by patterns; the darker, the nearer to the best of the column."""
    columns = [plot.cells((each,)) for each in plot.patterns]
    behind = _behind(columns, plot.style)
    known = behind[np.isfinite(behind)]
    limit = max(float(np.quantile(known, 0.9)) if len(known) else 0.0, 1e-9)
    axes.imshow(behind, cmap="YlGnBu_r", vmin=-0.35 * limit, vmax=1.05 * limit, aspect="auto")
    for column, cells in enumerate(columns):
        for row, (cell, best) in enumerate(zip(cells, plot.best(cells), strict=True)):
            axes.text(
                column, row, _number(cell, plot.style), ha="center", va="center", fontsize=8,
                color="white" if behind[row, column] < 0.4 * limit else INK,
                fontweight="bold" if best else "normal",
            )  # fmt: skip
    axes.set_yticks(range(len(behind)), plot.titles)
    axes.set_xticks([])
    _pattern_heads(axes, plot)
    _separate(axes, plot)
    bare(axes)


def _behind(columns: list[list[Cell | None]], style: Style) -> NDArray[np.float64]:
    """How far each contender is behind the best of its column, (contenders, columns); NaN undefined."""
    values = np.array(
        [[style.metric.sign * each.mean if each else np.nan for each in cells] for cells in columns]
    )
    best = np.where(np.isnan(values), -np.inf, values).max(1, keepdims=True)
    return np.asarray((best - values).T)


def _pattern_heads(axes: "Axes", plot: _Plot) -> None:
    """A dot per modality above each column, dark where it is available."""
    for row, name in enumerate(reversed(plot.results.modalities)):
        y = -0.5 - (row + 0.7) * DOT / LINE
        axes.text(
            -0.012, y, name, transform=axes.get_yaxis_transform(), ha="right", va="center", fontsize=8,
            color=INK,
        )  # fmt: skip
        for column, pattern in enumerate(plot.patterns):
            there = name in pattern.split("+")
            axes.plot(
                column, y, "o", ms=6.5, mfc=INK if there else "white", mec=INK if there else "#a9b3bd",
                clip_on=False,
            )  # fmt: skip


def _separate(axes: "Axes", plot: _Plot) -> None:
    """White rules between cells, broad ones where one more modality is missing."""
    groups = [len(group) for group in plot.groups.values()]
    for edge in range(1, sum(groups)):
        axes.axvline(edge - 0.5, color="white", lw=0.8)
    for edge in range(1, len(plot.results.contenders)):
        axes.axhline(edge - 0.5, color="white", lw=0.8)
    for last in np.cumsum(groups)[:-1]:
        axes.axvline(last - 0.5, color="white", lw=5)
    axes.set_xlim(-0.5, sum(groups) - 0.5)
    axes.set_ylim(len(plot.results.contenders) - 0.5, -0.5)
