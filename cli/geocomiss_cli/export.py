"""`geocomiss export`: batch jobs of Earth Engine for large areas."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final

import typer

from geocomiss.recipes import RECIPES
from geocomiss_cli import checks, panels
from geocomiss_cli import earth_engine as engine
from geocomiss_cli import export_options as chosen
from geocomiss_cli import options as given
from geocomiss_cli.examples import example
from geocomiss_cli.plan import Price, Tier, TierOption, say_cost
from geocomiss_cli.terminal import progress_bar, say_notes, screen

if TYPE_CHECKING:
    from geocomiss.exporting import ExportRequest, Limits, StartReport, State

SHOWN: Final = 30
"""Rows of a table that are shown unless all are asked for."""

app = typer.Typer(
    no_args_is_help=True,
    epilog=example("export start"),
    help="Batch jobs of Earth Engine for large areas: start, watch, and collect into a stack.",
)


@app.command(epilog=example("export start"))
def start(
    out: Annotated[
        Path,
        typer.Option(
            metavar="EXPORT",
            help="Folder for what the other commands need to know.",
            show_default=False,
            rich_help_panel=panels.WRITTEN,
        ),
    ],
    aoi: given.NeededAoi,
    season: given.NeededSeason,
    bucket: chosen.Bucket = None,
    drive_folder: chosen.DriveFolder = None,
    prefix: chosen.Prefix = None,
    model: Annotated[
        str | None,
        typer.Option(
            help="Export what this model reads: its recipe, bands and months.",
            show_default="everything of the recipe",
            rich_help_panel=panels.MODEL,
        ),
    ] = None,
    recipe: given.RecipeName = next(iter(RECIPES)),
    resolution: given.Resolution = None,
    crs: given.Crs = "auto",
    tile: chosen.Side = 1024,
    cloud_dilation: given.CloudDilation = None,
    max_cloud: given.MaxCloud = 100.0,
    cloud_score: engine.CloudScore = None,
    s1_pass: engine.S1Pass = "auto",
    without: given.Without = None,
    max_queued: chosen.Queued = 3000,
    max_requests: chosen.MaxTasks = None,
    max_eecu_hours: chosen.MaxHours = None,
    dry_run: Annotated[
        bool,
        typer.Option(
            "--dry-run",
            help="Only show what it would take; see `geocomiss plan`.",
            rich_help_panel=panels.RUN,
        ),
    ] = False,
    tier: TierOption = Tier.AUTO,
    price: Price = None,
    ee_project: engine.EeProject = None,
    ee_credentials: engine.EeCredentials = "auto",
    ee_url: engine.EeUrl = None,
) -> None:
    """Queue a task for each tile of an area; the same command goes on after an interruption."""
    from geocomiss.exporting import ExportRequest, Limits
    from geocomiss.sources.base import EarthEngine

    request = ExportRequest(
        out,
        aoi,
        season,
        bucket,
        drive_folder,
        prefix,
        model=model,
        recipe=recipe,
        resolution=resolution,
        crs=crs,
        tile=tile,
        max_cloud=max_cloud,
        cloud_dilation=cloud_dilation,
        without=tuple(without or ()),
        ee=EarthEngine(
            ee_project,
            ee_url,
            ee_credentials,
            s1_pass=checks.radar_pass_of(s1_pass),
            cloud_score=cloud_score,
        ),
        limits=Limits(max_queued, tasks=max_requests, eecu_hours=max_eecu_hours),
    )
    if dry_run:
        from geocomiss.costing import cost_of_export

        say_cost(cost_of_export(request), tier, price)
    else:
        _start(request)


def _start(request: "ExportRequest") -> None:
    from geocomiss.exporting import start_export

    with progress_bar("queueing", "tasks") as tell:
        report = start_export(request, tell)
    say_notes(list(report.notes), [])
    _say_started(report, request.limits)


def _say_started(report: "StartReport", limits: "Limits") -> None:
    console, sent, total = screen(), report.sent, len(report.manifest.parts)
    console.print(
        f"{sent.tasks:,} tasks started, {total - sent.tasks - sent.left:,} of {total:,} were there already; "
        f"files go to {report.manifest.destination.where}",
        markup=False,
    )
    why = {
        "queue": "the queue is full",
        "tasks": f"--max-requests {limits.tasks}",
        "hours": f"--max-eecu-hours {limits.eecu_hours}",
    }
    if sent.stop:
        console.print(
            f"{sent.left:,} tasks are still to be started ({why[sent.stop]}): `geocomiss export wait` or the "
            "same command goes on",
            markup=False,
        )


@app.command(epilog=example("export status"))
def status(
    export: chosen.Folder,
    every: Annotated[
        bool,
        typer.Option(
            "--all",
            help=f"Show every tile, not only {SHOWN}, the unfinished ones first.",
            rich_help_panel=panels.WRITTEN,
        ),
    ] = False,
    ee_project: engine.EeProject = None,
    ee_credentials: engine.EeCredentials = "auto",
    ee_url: engine.EeUrl = None,
) -> None:
    """Show the tasks of an export: states, attempts, computing used, and why they failed."""
    from geocomiss.exporting import state_of_export
    from geocomiss.sources.base import EarthEngine

    _say_state(state_of_export(export, EarthEngine(ee_project, ee_url, ee_credentials)), every)


@app.command(epilog=example("export wait"))
def wait(
    export: chosen.Folder,
    interval: Annotated[
        float,
        typer.Option(
            min=0.01,
            metavar="SECONDS",
            help="Time between two looks at the tasks.",
            rich_help_panel=chosen.TASKS,
        ),
    ] = 30.0,
    max_queued: chosen.Queued = 3000,
    retries: chosen.Retries = 2,
    max_requests: chosen.MaxTasks = None,
    max_eecu_hours: chosen.MaxHours = None,
    ee_project: engine.EeProject = None,
    ee_credentials: engine.EeCredentials = "auto",
    ee_url: engine.EeUrl = None,
) -> None:
    """Wait until all tasks have succeeded: queues what did not fit yet, starts failed ones again."""
    from geocomiss.exporting import Limits, wait_for_export
    from geocomiss.sources.base import EarthEngine

    limits = Limits(max_queued, retries, max_requests, max_eecu_hours)
    with progress_bar("exporting", "files") as tell:
        state = wait_for_export(
            export, EarthEngine(ee_project, ee_url, ee_credentials), limits, interval, tell
        )
    _say_summary(state)


@app.command(epilog=example("export cancel"))
def cancel(
    export: chosen.Folder,
    ee_project: engine.EeProject = None,
    ee_credentials: engine.EeCredentials = "auto",
    ee_url: engine.EeUrl = None,
) -> None:
    """Cancel the tasks of an export that have not ended; what is written stays."""
    from geocomiss.exporting import cancel_export
    from geocomiss.sources.base import EarthEngine

    number, state = cancel_export(export, EarthEngine(ee_project, ee_url, ee_credentials))
    screen().print(f"{number:,} tasks cancelled")
    _say_summary(state)


@app.command(epilog=example("export collect"))
def collect(
    export: chosen.Folder,
    out: Annotated[
        Path,
        typer.Option(
            help="Stack to write, such as stack.zarr.", show_default=False, rich_help_panel=panels.WRITTEN
        ),
    ],
    files: Annotated[
        str | None,
        typer.Option(
            metavar="FOLDER",
            help="Where its GeoTIFFs are: a folder, downloaded or mounted, or gs://bucket/prefix.",
            show_default="EXPORT itself or, without any there, the bucket",
            rich_help_panel=panels.INPUT,
        ),
    ] = None,
    overwrite: given.Overwrite = False,
) -> None:
    """Read the GeoTIFFs of an export into a stack; each is held to the grid and bands asked for."""
    from geocomiss.exporting import CollectRequest, collect_export, files_to_download
    from geocomiss.grid import crs_of, crs_text

    if files is None:
        _say_downloads(files_to_download(export))
    with progress_bar("collecting", "steps") as tell:
        report = collect_export(CollectRequest(export, out, files, overwrite), tell)
    console, grid = screen(), report.grid
    console.print(f"season: {report.calendar}")
    console.print(f"grid: {grid.width} x {grid.height} pixels, {crs_text(crs_of(grid))}", markup=False)
    say_notes(list(report.notes), [])
    for name, bands in report.bands.items():
        console.print(f"{name}: {' '.join(bands)}")
    console.print(f"wrote {report.path}", markup=False)


def _say_downloads(names: tuple[str, ...]) -> None:
    """The files that are to be got from Drive."""
    if names:
        screen().print(f"{len(names):,} files to download from Google Drive into the folder EXPORT:")
    for name in names:
        screen().print(name, markup=False)


def _say_state(state: "State", every: bool) -> None:
    from rich.table import Table

    table = Table(title="Tasks", title_justify="left")
    for heading in ("file", "state"):
        table.add_column(heading)
    for heading in ("attempts", "done", "EECU-hours"):
        table.add_column(heading, justify="right")
    table.add_column("error")
    rows = sorted(state.rows, key=lambda row: (row.state == "SUCCEEDED", row.state == "WAITING"))
    for row in state.rows if every else rows[:SHOWN]:
        hours = f"{row.eecu_hours:.3f}"
        table.add_row(row.part, row.state, str(row.attempts), f"{row.progress:.0%}", hours, row.error)
    screen().print(table)
    if not every and len(rows) > SHOWN:
        screen().print(f"and {len(rows) - SHOWN:,} more: --all")
    _say_summary(state)


def _say_summary(state: "State") -> None:
    states = dict.fromkeys(row.state for row in state.rows)
    counted = ", ".join(f"{state.number(name):,} {name}" for name in states)
    screen().print(f"{len(state.rows):,} files: {counted}; {state.eecu_hours:.3g} EECU-hours used")
