"""`geocomiss info`: what a file or folder is."""

import json
from pathlib import Path
from typing import Annotated, Any, Final, Literal

import typer

from geocomiss_cli import panels
from geocomiss_cli.terminal import screen

MOST: Final = 15
"""Most lines of one fact in a table."""
LONGEST_PLAIN: Final = 9999
"""Whole numbers up to here, years among them, are shown without separators."""


def info(
    path: Annotated[
        str,
        typer.Argument(
            help="An area (a vector file, W,S,E,N or WKT), a stack, a samples table, a checkpoint, "
            "a map's folder, a GeoTIFF, or the name of a method, whose options it then lists.",
            rich_help_panel=panels.INPUT,
        ),
    ],
    as_json: Annotated[
        bool, typer.Option("--json", help="Print JSON, for machines.", rich_help_panel=panels.WRITTEN)
    ] = False,
) -> None:
    """Say what an area, stack, samples table, checkpoint, map or method is."""
    from geocomiss.inspection import inspect

    facts = inspect(path)
    if as_json:
        typer.echo(json.dumps(facts, indent=2, ensure_ascii=False))
    else:
        _say_table(Path(path).name or path, facts)


def _say_table(title: str, facts: dict[str, Any]) -> None:
    """A row per fact; lists of records as tables of their own."""
    from rich.table import Table
    from rich.text import Text

    table = Table(title=Text(title), title_justify="left", show_header=False)
    table.add_column(style="bold")
    table.add_column(overflow="fold")
    records = {name: value for name, value in facts.items() if _is_records(value)}
    for name, value in facts.items():
        if name not in records:
            table.add_row(Text(name.replace("_", " ")), Text(_worded(value)))
    console = screen()
    console.print(table, soft_wrap=False)
    for name, rows in records.items():
        console.print(_table_of(name.replace("_", " "), rows), soft_wrap=False)


def _table_of(title: str, rows: list[dict[str, Any]]) -> Any:
    from rich.table import Table
    from rich.text import Text

    table = Table(title=Text(title), title_justify="left")
    for heading, value in rows[0].items():
        justify: Literal["left", "right"] = "right" if _is_number(value) else "left"
        # names are to be copied: they are never cut
        table.add_column(heading.replace("_", " "), justify=justify, no_wrap=heading == next(iter(rows[0])))
    for row in rows:
        table.add_row(*(Text(_worded(value)) for value in row.values()))
    return table


def _is_records(value: Any) -> bool:
    return isinstance(value, list) and bool(value) and all(isinstance(each, dict) for each in value)


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _worded(value: Any) -> str:
    """A value as a person reads it."""
    if isinstance(value, dict):
        lines = [f"{name}: {_worded(each)}" for name, each in value.items()]
        more = [f"... and {len(lines) - MOST:,} more (--json has all)"] if len(lines) > MOST else []
        return "\n".join(lines[:MOST] + more)
    if isinstance(value, list):
        return ", ".join(_worded(each) for each in value) or "none"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if value is None:
        return "none"
    if isinstance(value, float):
        return f"{value:,.5f}".rstrip("0").rstrip(".")
    return f"{value:,}" if isinstance(value, int) and abs(value) > LONGEST_PLAIN else str(value)
