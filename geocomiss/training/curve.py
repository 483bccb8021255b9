"""The learning curve of a training as a picture.

Matplotlib is imported inside: training many models, as a benchmark does, needs no picture.
"""

from collections.abc import Sequence
from io import BytesIO
from typing import TYPE_CHECKING, Final

from geocomiss.training.state import Epoch

if TYPE_CHECKING:
    from matplotlib.axes import Axes

COLORS: Final = (
    "#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#7a5195", "#8c6d31", "#b22222"
)  # fmt: skip
"""Of the loss terms; the first six are told apart by colour-blind eyes too (Okabe and Ito)."""
TOTAL: Final = "#9a9a9a"
"""Of their sum, drawn wide."""
WATCHED: Final = "#000000"
"""Of the monitored loss."""


def draw_curve(history: Sequence[Epoch]) -> bytes:
    """Draw the losses of every run of a training against the epoch: a PNG.

    Per run the terms of the training loss by name, on a logarithmic axis because they differ by
    orders of magnitude, and the monitored validation loss, with the epoch whose weights are kept.

    Args:
        history: All epochs of all runs, in order; at least one.
    """
    from matplotlib.figure import Figure

    runs = list(dict.fromkeys(epoch.run for epoch in history))
    figure = Figure(figsize=(6.4 * len(runs) + 1.6, 4.4), dpi=120, layout="constrained")
    terms = dict.fromkeys(name for epoch in history for name in epoch.losses if name != "total")
    colors = {"total": TOTAL} | {name: COLORS[place % len(COLORS)] for place, name in enumerate(terms)}
    panels = figure.subplots(1, len(runs), squeeze=False, sharey=True)[0]
    for axes, run in zip(panels, runs, strict=True):
        _draw_run(axes, run, [epoch for epoch in history if epoch.run == run], colors)
    panels[0].set_ylabel("loss")
    named = {
        name: line for axes in panels for line, name in zip(*axes.get_legend_handles_labels(), strict=True)
    }
    figure.legend(named.values(), named.keys(), loc="outside right upper", frameon=False)
    file = BytesIO()
    figure.savefig(file, format="png", metadata={"Software": None})
    return file.getvalue()


def _draw_run(axes: "Axes", run: str, epochs: list[Epoch], colors: dict[str, str]) -> None:
    from matplotlib.ticker import MaxNLocator

    numbers = [epoch.number for epoch in epochs]
    mark = "o" if len(epochs) == 1 else ""  # a single epoch makes no line
    for name, color in colors.items():
        values = [epoch.losses.get(name, float("nan")) for epoch in epochs]
        width = 3.0 if name == "total" else 1.2
        axes.plot(numbers, values, mark + "-", color=color, linewidth=width, label=f"training: {name}")
    watched = [epoch.validation for epoch in epochs]
    axes.plot(numbers, watched, mark + "--", color=WATCHED, linewidth=1.8, label="validation, monitored")
    best = [epoch for epoch in epochs if epoch.best][-1]
    axes.plot(
        [best.number], [best.validation], "*", color=WATCHED, markersize=13, label="weights kept", zorder=5
    )
    axes.axvline(best.number, color="0.75", linewidth=0.8, zorder=0)
    axes.set_title(f"{run}: epoch {best.number} of {len(epochs)} is kept", fontsize=11)
    axes.set_xlabel("epoch")
    axes.set_yscale("log")
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    axes.grid(alpha=0.25)
