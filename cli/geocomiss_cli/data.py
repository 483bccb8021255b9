"""`geocomiss data`: get public data sets."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final

import typer

from geocomiss_cli import panels
from geocomiss_cli.examples import example
from geocomiss_cli.terminal import screen

if TYPE_CHECKING:
    from rich.progress import TaskID

    from geocomiss.downloading import Fetched
    from geocomiss.downloading.transfer import Progress as Told

app = typer.Typer(no_args_is_help=True, help="Get public data sets.", epilog=example("data cropharvest"))
MEGA: Final = 1e6


@app.callback()
def _group() -> None:
    """Get public data sets."""


@app.command(epilog=example("data cropharvest"))
def cropharvest(
    root: Annotated[
        Path,
        typer.Option(help="Folder for the data set.", show_default=False, rich_help_panel=panels.WRITTEN),
    ],
    url: Annotated[
        str | None,
        typer.Option(
            help="URL of the folder of its files, for a mirror.",
            show_default="its record at Zenodo",
            rich_help_panel=panels.INPUT,
        ),
    ] = None,
) -> None:
    """Download CropHarvest (labels and arrays); what is there stays, an interrupted download goes on."""
    from geocomiss.downloading import CROPHARVEST, download_cropharvest

    with _bar() as tell:
        fetched = download_cropharvest(root, url or CROPHARVEST, tell)
    for each in fetched:
        screen().print(_line(each), markup=False)
    screen().print(f"train on it: --samples {root} --label classification_label (or is_crop)", markup=False)


def _line(fetched: "Fetched") -> str:
    if not fetched.bytes:
        return f"{fetched.path}: there already"
    checked = "MD5 as published" if fetched.checked else "no MD5 published, so none compared"
    return f"{fetched.path}: {fetched.bytes / MEGA:,.1f} MB, {checked}"


@contextmanager
def _bar() -> Iterator["Told"]:
    """A bar per file on standard error."""
    from rich.console import Console
    from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeRemainingColumn
    from rich.progress import TransferSpeedColumn as Speed

    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        DownloadColumn(),
        Speed(),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=Console(stderr=True)) as bar:
        tasks: dict[str, TaskID] = {}

        def tell(name: str, done: int, total: int | None) -> None:
            if name not in tasks:
                tasks[name] = bar.add_task(name, total=total)
            bar.update(tasks[name], completed=done, total=total)

        yield tell
