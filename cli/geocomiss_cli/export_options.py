"""Options of `geocomiss export`."""

from pathlib import Path
from typing import Annotated, Final

import typer

from geocomiss_cli import panels

DESTINATION: Final = "Where files are written"
TASKS: Final = "Tasks"

Folder = Annotated[
    Path,
    typer.Argument(
        metavar="EXPORT",
        help="Folder of the export, --out of `geocomiss export start`.",
        rich_help_panel=panels.INPUT,
    ),
]
Queued = Annotated[
    int,
    typer.Option(
        "--max-queued",
        min=1,
        metavar="NUMBER",
        help="Tasks in the project's queue at a time, those of other programs included; Earth Engine allows "
        "3000.",
        rich_help_panel=TASKS,
    ),
]
Retries = Annotated[
    int,
    typer.Option(
        min=0,
        max=10,
        metavar="NUMBER",
        help="How often a task that has failed is started again.",
        rich_help_panel=TASKS,
    ),
]
MaxTasks = Annotated[
    int | None,
    typer.Option(
        "--max-requests",
        min=0,
        metavar="NUMBER",
        help="Start so many tasks at most, with this command; each is one request.",
        show_default="no limit",
        rich_help_panel=TASKS,
    ),
]
MaxHours = Annotated[
    float | None,
    typer.Option(
        "--max-eecu-hours",
        min=0,
        metavar="HOURS",
        help="Start no further task once the export has used so much computing; an export is not begun whose "
        "estimate, from three trial requests, is higher.",
        show_default="no limit",
        rich_help_panel=TASKS,
    ),
]
Bucket = Annotated[
    str | None,
    typer.Option(help="Bucket of Google Cloud Storage.", show_default="none", rich_help_panel=DESTINATION),
]
DriveFolder = Annotated[
    str | None,
    typer.Option(
        metavar="FOLDER",
        help="Folder of Google Drive, in place of a bucket.",
        show_default="none",
        rich_help_panel=DESTINATION,
    ),
]
Prefix = Annotated[
    str | None,
    typer.Option(
        help="What the names of files begin with, such as maps/togo/.",
        show_default="the name of the folder EXPORT",
        rich_help_panel=DESTINATION,
    ),
]
Side = Annotated[
    int,
    typer.Option(
        min=16,
        max=8192,
        metavar="PIXELS",
        help="Pixels a side of a tile: one task, and one file.",
        rich_help_panel=TASKS,
    ),
]
