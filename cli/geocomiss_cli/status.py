"""`geocomiss status`: how far a map is."""

import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer

from geocomiss_cli import panels
from geocomiss_cli.terminal import FAILED_TILES, screen

if TYPE_CHECKING:
    from geocomiss.tiling import MapStatus, Record

SHOWN: Final = 20
"""Most tiles of a state that are listed."""


def status(
    folder: Annotated[
        Path,
        typer.Argument(
            help="Folder of a map (its --out), finished or in the making.",
            show_default=False,
            rich_help_panel=panels.INPUT,
        ),
    ],
) -> None:
    """Say how many tiles of a map are done, running and failed, also while another process makes it.

    The exit code is 3 where tiles failed.
    """
    from geocomiss.tiling import read_status, read_zones

    if zones := read_zones(folder):
        _say_zones(folder, zones)
        return
    found = read_status(folder)
    console = screen()
    console.print(_headline(found), markup=False)
    if found.tiles:
        console.print(_numbers(found))
    if listed := [*found.running[:SHOWN], *found.interrupted[:SHOWN], *found.failed[:SHOWN]]:
        console.print(_named(listed, found), soft_wrap=False)
    if found.failed:
        raise typer.Exit(FAILED_TILES)


def _say_zones(folder: Path, zones: "tuple[tuple[str, MapStatus | None], ...]") -> None:
    """A row a UTM zone, and the tiles that run or failed in any."""
    from rich.table import Table

    from geocomiss.tiling import ZonedFolder

    console, going_on, lost = screen(), bool(ZonedFolder(folder).planned()), ZonedFolder(folder).failed()
    known = [found for _, found in zones if found]
    busy = any(found.busy for found in known)
    state = "being mapped" if busy else "not finished, the command of the map goes on"
    if not (busy or going_on):
        lacking = "tiles" if any(found.failed for found in known) else "zones" if lost else ""
        state = f"finished without the {lacking} that failed" if lacking else "finished"
    console.print(f"{folder}: a map of {len(zones)} UTM zones, {state}", markup=False)
    table = Table("zone", "state")
    for heading in ("done", "running", "interrupted", "failed", "waiting", "tiles"):
        table.add_column(heading, justify="right")
    for zone, found in zones:
        if zone in lost and not (found and (found.tiles or found.busy)):
            table.add_row(zone, "failed")
        elif found is None:
            table.add_row(zone, "not begun, or nothing to map in it")
        elif not found.tiles:
            table.add_row(zone, "being planned" if found.busy else "finished")
        else:
            parts = (found.done, found.running, found.interrupted, found.failed)
            numbers = (*(len(part) for part in parts), found.waiting, found.tiles)
            words = "without failed tiles" if found.finished else "not finished"
            words = "being mapped" if found.busy else words
            table.add_row(zone, words, *(f"{number:,}" for number in numbers))
    console.print(table)
    for zone, why in lost.items():
        console.print(f"{zone} has no map ({why})", markup=False)
    for found in known:
        if listed := [*found.running[:SHOWN], *found.interrupted[:SHOWN], *found.failed[:SHOWN]]:
            console.print(_named(listed, found), soft_wrap=False)
    if lost or any(found.failed for found in known):
        raise typer.Exit(FAILED_TILES)


def _headline(found: "MapStatus") -> str:
    """What is going on, in a line."""
    if found.busy and not found.tiles:
        return f"{found.folder}: being planned"
    if found.busy:
        left = found.seconds_left
        rest = "" if left is None else f", about {_duration(left)} left"
        return f"{found.folder}: being mapped{rest}"
    if found.tiles and not found.finished:
        return f"{found.folder}: not finished, and no process is at work; the command of the map goes on"
    return f"{found.folder}: a finished map"


def _numbers(found: "MapStatus") -> Any:
    """A row a state."""
    from rich.table import Table

    table = Table("tiles")
    for heading in ("number", "share"):
        table.add_column(heading, justify="right")
    numbers = {
        "done": len(found.done),
        "running": len(found.running),
        "interrupted": len(found.interrupted),
        "failed": len(found.failed),
        "waiting": found.waiting,
    }
    for state, number in numbers.items():
        table.add_row(state, f"{number:,}", f"{number / found.tiles:.1%}")
    table.add_section()
    table.add_row("all", f"{found.tiles:,}", f"{found.pixels:,} pixels mapped")
    return table


def _named(listed: "list[Record]", found: "MapStatus") -> Any:
    """A row for each tile that is being computed or failed."""
    from rich.table import Table
    from rich.text import Text

    table, now = Table("tile", "state", "since", "process", "reason"), time.time()
    for each in listed:
        state = "interrupted" if each in found.interrupted else each.state
        table.add_row(each.tile, state, _duration(now - each.at), Text(each.writer), Text(each.reason))
    return table


def _duration(seconds: float) -> str:
    """For example '42 s', '17 min' or '3.5 h'."""
    if seconds < 100:
        return f"{max(seconds, 0):.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 6000 else f"{seconds / 3600:.1f} h"
