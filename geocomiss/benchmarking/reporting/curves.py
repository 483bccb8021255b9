"""Pictures of lines: scores against the months known, and against the steps that gaps leave."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import isotonic_regression

from geocomiss.benchmarking.reporting.drawing import (
    BASELINE,
    BEST,
    INK,
    PALE,
    bare,
    headline,
    name_width,
    png,
)
from geocomiss.benchmarking.reporting.further import gap_rows, month_rows
from geocomiss.benchmarking.reporting.pooled import METRICS, Pooled
from geocomiss.benchmarking.reporting.rows import Row
from geocomiss.benchmarking.reporting.tables import named, style_of
from geocomiss.benchmarking.results import Results

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

COLOURS: Final = (
    "#2a6f97", "#d89c2b", "#3d8168", "#8e5ea2", "#5aa9d6", "#9c6644", "#b5608f", "#7a8b2f", "#4b4e9e",
)  # fmt: skip
"""Of methods."""
DASHES: Final = ("-", (0, (5, 1.6)), (0, (1.2, 1.4)))
"""Kinds of lines, for where colours run out and for baselines."""
APART: Final = 0.047
"""Least distance of two names, as a share of the height."""


@dataclass(frozen=True)
class Look:
    """How the line of a contender looks."""

    colour: str
    """Of line, dots and name."""
    dash: str | tuple[float, tuple[float, float]] = "-"
    """Kind of line."""
    width: float = 1.4
    """In points."""
    dot: float = 3.2
    """Diameter in points."""
    layer: int = 3
    """The higher, the further in front."""


@dataclass(frozen=True)
class End:
    """The right end of a line."""

    title: str
    """Name of the contender."""
    x: int
    """Last place with a value."""
    y: float
    """That value."""
    look: Look
    """Of the line."""


def months_figure(results: Results, pooled: Pooled, reference: str) -> bytes | None:
    """Scores against the number of months known, as PNG; None where there are no such conditions."""
    rows = month_rows(results)
    if not rows:
        return None
    head = f"{results.step} of the season known"
    return png(draw_lines(results, pooled, rows, reference, head))


def gaps_figure(results: Results, pooled: Pooled, reference: str) -> bytes | None:
    """Scores against the valid optical steps of natural gaps, as PNG; None where there are none."""
    rows = gap_rows(results)
    if not rows:
        return None
    return png(draw_lines(results, pooled, rows, reference, "optical steps left by natural gaps"))


def draw_lines(results: Results, pooled: Pooled, rows: Sequence[Row], reference: str, head: str) -> "Figure":
    """A line per contender over the rows, named at its right end.

    Args:
        results: For the contenders.
        pooled: Their scores.
        rows: Places on the x axis.
        reference: Key of the contender drawn broadly, with its spread over seeds.
        head: What the x axis is.
    """
    from matplotlib.figure import Figure

    style = style_of(METRICS[results.task][0], results)
    width = 7.7 + max(name_width(results), 1.0)
    figure = Figure(figsize=(width, 5.4), facecolor="white")
    axes = figure.add_axes((0.7 / width, 0.115, 6.4 / width, 0.725))
    looks, ends = line_looks(results, reference), []
    for contender in results.contenders:
        cells = [pooled.cell(style.metric.key, contender.key, row.conditions) for row in rows]
        values = style.factor * np.array([each.mean if each else np.nan for each in cells])
        spread = style.factor * np.array([each.sd or 0 if each else np.nan for each in cells])
        if np.isnan(values).all():
            continue
        look = looks[contender.key]
        _line(axes, values, spread if contender.key == reference else None, look)
        last = int(np.flatnonzero(~np.isnan(values))[-1])
        ends.append(End(contender.title, last, float(values[last]), look))
    _dress(axes, rows, head)
    _name_ends(axes, ends, len(rows) - 1)
    headline(figure, results, f"{named(style)} against the {head}")
    return figure


def line_looks(results: Results, reference: str) -> dict[str, Look]:
    """How each contender is drawn: the reference red and broad, baselines grey and dashed."""
    looks = {reference: Look(BEST, width=2.8, dot=5, layer=4)}
    others = [each for each in results.contenders if each.key != reference]
    methods = [each.key for each in others if each.kind == "method"]
    for place, key in enumerate(methods):
        looks[key] = Look(COLOURS[place % len(COLOURS)], DASHES[place // len(COLOURS) % len(DASHES)])
    for place, key in enumerate(each.key for each in others if each.kind != "method"):
        looks[key] = Look(BASELINE, DASHES[1 + place % 2], layer=2)
    return looks


def apart(values: Sequence[float], gap: float, low: float, high: float) -> NDArray[np.float64]:
    """Places as near to ascending values as a least distance and two bounds allow.

    The least-squares solution: isotonic regression of the values less what the distances add up to,
    cut at the bounds. Where there is too little room, the distance shrinks.
    """
    gap = min(gap, (high - low) / max(len(values) - 1, 1))
    steps = gap * np.arange(len(values))
    level = isotonic_regression(np.asarray(values, np.float64) - steps).x
    return np.asarray(np.clip(level, low, max(low, high - steps[-1])) + steps)


def _line(axes: "Axes", values: NDArray[np.float64], spread: NDArray[np.float64] | None, look: Look) -> None:
    axes.plot(
        values, marker="o", color=look.colour, lw=look.width, ls=look.dash, ms=look.dot, zorder=look.layer
    )
    if spread is not None:
        axes.fill_between(
            range(len(values)), values - spread, values + spread, color=look.colour, alpha=0.15, lw=0
        )


def _dress(axes: "Axes", rows: Sequence[Row], head: str) -> None:
    axes.set_xticks(range(len(rows)), [row.title for row in rows])
    axes.set_xlim(-0.025 * len(rows), len(rows) - 1 + 0.012 * len(rows))
    axes.set_xlabel(head, color=INK, fontsize=10)
    axes.grid(axis="y", color=PALE, linewidth=0.8)
    bare(axes)


def _name_ends(axes: "Axes", ends: list[End], last: int) -> None:
    """Names at the right, moved apart as little as needed, each joined to the end of its line."""
    ordered = sorted(ends, key=lambda each: each.y)
    if not ordered:
        return
    low, high = axes.get_ylim()
    left, right = axes.get_xlim()
    places = apart([each.y for each in ordered], APART * (high - low), low, high)
    edge = right + 0.045 * (right - left)
    for end, y in zip(ordered, places, strict=True):
        axes.plot(
            [end.x + 0.012 * (right - left), edge], [end.y, y], color=end.look.colour, lw=0.7,
            clip_on=False, zorder=1,
        )  # fmt: skip
        axes.text(
            edge + 0.008 * (right - left), y, end.title, color=end.look.colour, fontsize=9, va="center",
            fontweight="bold" if end.look.layer > 3 else "normal",
        )  # fmt: skip
    axes.set_xlim(left, right)
    axes.set_ylim(low, high)
