"""What commands share on the screen. Rich is imported inside: `--help` answers at once."""

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from rich.console import Console

FAILED_TILES: Final = 3
"""Exit code where tiles of a map failed again and again, and the others are done."""
UNCUT: Final = 10_000
"""Characters a line where no terminal shows them: tables are cut nowhere."""
Progress = Callable[[int, int], None]
"""Told (done, in all)."""


def screen() -> "Console":
    """Where results go: standard output. Into a file or another program tables go as wide as they are."""
    from rich.console import Console

    console = Console(highlight=False, soft_wrap=True)
    if not console.is_terminal and "COLUMNS" not in os.environ:
        console.width = UNCUT
    return console


def say_error(message: str) -> None:
    """One red line on standard error."""
    from rich.console import Console

    one_line = f"error: {' '.join(message.split())}"
    Console(stderr=True, highlight=False, soft_wrap=True).print(one_line, style="bold red", markup=False)


def say_notes(notes: list[str], warnings: list[str]) -> None:
    """A line per note and per warning."""
    console = screen()
    for note in notes:
        console.print(f"note: {note}", markup=False)
    for warning in warnings:
        console.print(f"warning: {warning}", style="yellow", markup=False)


@contextmanager
def progress_bar(label: str, unit: str) -> Iterator[Progress]:
    """A bar on standard error, from the first time something is reported.

    Args:
        label: What is being done.
        unit: What is counted.
    """
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskProgressColumn, TextColumn
    from rich.progress import TimeElapsedColumn as Elapsed

    columns = (TextColumn(label), BarColumn(), TaskProgressColumn(), MofNCompleteColumn(), TextColumn(unit))
    bar = Progress(*columns, Elapsed(), console=Console(stderr=True))
    task = bar.add_task(label, total=None)
    started = False

    def tell(done: int, total: int) -> None:
        nonlocal started
        if not started:
            bar.start()
            started = True
        bar.update(task, completed=done, total=total)

    try:
        yield tell
    finally:
        if started:
            bar.stop()
