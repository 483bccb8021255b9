"""`geocomiss search`: what a catalogue has."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final

import typer

from geocomiss_cli import completing, panels
from geocomiss_cli import options as given
from geocomiss_cli.terminal import say_notes, screen

if TYPE_CHECKING:
    from geocomiss.searching import Month, SearchReport

WIDEST: Final = 12
"""Acquisitions that fill a bar of the chart."""

Catalogue = Annotated[
    str,
    typer.Option(
        help="'planetary-computer', 'earth-search', another STAC API (stac+URL), a saved search, or one for "
        "each modality (optical=earth-search,radar=planetary-computer).",
        show_default=False,
        autocompletion=completing.catalogues,
        rich_help_panel=panels.INPUT,
    ),
]
Area = Annotated[
    str,
    typer.Option(
        help="Area of interest: a vector file, W,S,E,N in degrees, or WKT.",
        show_default=False,
        rich_help_panel=panels.GRID,
    ),
]
Period = Annotated[
    str,
    typer.Option(
        help="2021, 2020-11:2021-10, or days, 2020-11-01:2021-10-31.",
        show_default=False,
        rich_help_panel=panels.GRID,
    ),
]
Save = Annotated[
    Path | None,
    typer.Option(
        help="Keep what was found in this file, such as items.json: map and fetch take it as --source, and "
        "always find the same.",
        show_default="not kept",
        rich_help_panel=panels.WRITTEN,
    ),
]


def search(
    source: Catalogue,
    aoi: Area,
    season: Period,
    save: Save = None,
    max_cloud: given.MaxCloud = 100.0,
    overwrite: Annotated[
        bool, typer.Option("--overwrite", help="Replace what --save names.", rich_help_panel=panels.WRITTEN)
    ] = False,
) -> None:
    """Show what a catalogue has of an area and season: satellites, months, clouds."""
    from geocomiss.searching import SearchRequest
    from geocomiss.searching import search as ask

    report = ask(SearchRequest(source, aoi, season, save, max_cloud, overwrite))
    screen().print(f"season: {report.calendar}")
    if report.rows:
        _say_table(report)
        _say_chart(report)
    say_notes(list(report.notes), [])
    if report.saved:
        screen().print(f"wrote {report.saved}", markup=False)


def _say_table(report: "SearchReport") -> None:
    from rich.table import Table

    table = Table(title="What exists", title_justify="left")
    for heading in ("modality", "satellite", "catalogue"):
        table.add_column(heading, overflow="fold")  # in a narrow terminal, too, nothing is cut off
    for heading in ("images", "acquisitions", "first", "last"):
        table.add_column(heading, justify="right", overflow="fold")
    for row in report.rows:
        scenes = sum(month.scenes for month in row.months)
        table.add_row(
            row.modality,
            row.platform,
            row.source,
            f"{row.items:,}",
            f"{scenes:,}",
            str(row.first),
            str(row.last),
        )
    screen().print(table)


def _say_chart(report: "SearchReport") -> None:
    """Acquisitions per month and satellite, as bars, with their mean cloud cover."""
    from rich.table import Table

    table = Table(title="Acquisitions a month (mean cloud cover)", title_justify="left")
    table.add_column("month", no_wrap=True)
    for row in report.rows:
        table.add_column(f"{row.modality} {row.platform}", overflow="fold")
    for number, month in enumerate(report.rows[0].months):
        table.add_row(f"{month.start:%Y-%m}", *(_cell(row.months[number]) for row in report.rows))
    screen().print(table)


def _cell(month: "Month") -> str:
    if month.gap:
        return month.gap
    cloud = "" if month.cloud is None else f" ({month.cloud:.0f} %)"
    return f"{'█' * min(month.scenes, WIDEST)} {month.scenes}{cloud}"
