"""The course of a training on standard error: bars on a screen, lines in a log."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rich.console import Console

    from geocomiss.training import Epoch, Progress


@contextmanager
def shown_progress() -> "Iterator[Progress]":
    """Something to tell of each epoch."""
    from rich.console import Console

    console = Console(stderr=True, highlight=False)
    if not console.is_terminal:
        yield _printed
        return
    with _bars(console) as tell:
        yield tell


def _printed(epoch: "Epoch") -> None:
    """A line an epoch, however long: a log has no width."""
    import typer

    head = f"{epoch.run}, epoch {epoch.number} of {epoch.of}"
    typer.echo(f"{head}: {_outcome(epoch)}, losses: {_terms(epoch)}", err=True)


@contextmanager
def _bars(console: "Console") -> "Iterator[Callable[[Epoch], None]]":
    """A bar a run, and under them the loss terms of the last epoch, in as many lines as they need."""
    from rich.console import Group
    from rich.live import Live
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
    from rich.text import Text

    outcome = TextColumn("{task.fields[outcome]}")
    bars = Progress(
        TextColumn("{task.description}"), BarColumn(20), MofNCompleteColumn(), TimeElapsedColumn(), outcome
    )
    terms, tasks = Text(style="dim"), {}

    with Live(Group(bars, terms), console=console, refresh_per_second=4):

        def tell(epoch: "Epoch") -> None:
            if epoch.run not in tasks:
                tasks[epoch.run] = bars.add_task(epoch.run, total=epoch.of, outcome="")
            bars.update(tasks[epoch.run], completed=epoch.number, outcome=_outcome(epoch))
            terms.plain = f"losses: {_terms(epoch)}"

        yield tell


def _terms(epoch: "Epoch") -> str:
    return " ".join(f"{name} {value:.3f}" for name, value in epoch.losses.items())


def _outcome(epoch: "Epoch") -> str:
    return f"validation {epoch.validation:.3f}{' (best)' if epoch.best else ''}"
