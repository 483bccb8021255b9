"""What the benchmark's pictures share: colours, the headline, PNG bytes."""

import io
from typing import TYPE_CHECKING, Final

import numpy as np

from geocomiss.benchmarking.folds import RANDOM, SPATIAL
from geocomiss.benchmarking.reporting.parity import WARNING
from geocomiss.benchmarking.results import Results

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

DPI: Final = 150
"""Pixels per inch."""
INK: Final = "#22313f"
"""Text and lines."""
PALE: Final = "#d8dee4"
"""Rules."""
METHOD: Final = "#2a6f97"
"""Dots of methods."""
BASELINE: Final = "#8a8f98"
"""Dots and lines of baselines."""
BEST: Final = "#c8553d"
"""The best, and the contender that the others are compared with."""


def headline(figure: "Figure", results: Results, title: str) -> None:
    """Title, and below it what the samples and folds are; loud where the folds are random."""
    width, height = figure.get_size_inches()
    figure.text(0.2 / width, 1 - 0.32 / height, title, fontsize=13, color=INK, fontweight="bold", va="center")
    random = results.folds_by == RANDOM
    number, seeds = len(np.unique(results.fold)), len(results.seeds)
    simple = results.folds_by in (RANDOM, SPATIAL)
    folds = f"{number} {results.folds_by} folds" if simple else f"{number} folds by {results.folds_by}"
    parts = [results.table, f"{len(results.truth):,} samples", folds, f"{seeds} seed{'s'[: seeds != 1]}"]
    figure.text(
        0.2 / width, 1 - 0.6 / height, " · ".join([*parts, *([WARNING] if random else [])]), fontsize=9,
        color=BEST if random else INK, va="center",
    )  # fmt: skip


def name_width(results: Results) -> float:
    """Room that the longest name of a contender takes, in inches, at 9 points."""
    return 0.085 * max(len(each.title) for each in results.contenders)


def bare(axes: "Axes") -> None:
    """No frame and no ticks, only their names."""
    axes.tick_params(length=0, labelsize=9, colors=INK)
    for spine in axes.spines.values():
        spine.set_visible(False)


def png(figure: "Figure") -> bytes:
    """The picture as PNG; the same picture gives the same bytes."""
    content = io.BytesIO()
    figure.savefig(content, format="png", dpi=DPI, metadata={"Software": None})
    return content.getvalue()
