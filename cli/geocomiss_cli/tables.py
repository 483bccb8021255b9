"""How the commands show scores: a row per pattern, one dot a modality."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rich.table import Table

    from geocomiss.scores import Scores


def scores_table(scores: "Scores", modalities: tuple[str, ...]) -> "Table":
    """F1 per pattern of available modalities, and their means.

    Args:
        scores: What to show.
        modalities: The model's modalities, in order.
    """
    from rich.table import Table

    table = Table(title="F1 by available modalities")
    for name in modalities:
        table.add_column(name, justify="center")
    table.add_column("macro F1", justify="right")
    table.add_column("weighted F1", justify="right")
    for pattern, score in scores.patterns.items():
        dots = ["●" if name in pattern.split("+") else "○" for name in modalities]
        table.add_row(*dots, f"{score.macro_f1:.3f}", f"{score.weighted_f1:.3f}")
    table.add_section()
    for name in ("full", "moderate", "extreme", "overall"):
        table.add_row(name, *[""] * (len(modalities) - 1), f"{getattr(scores, name):.3f}", "")
    return table
