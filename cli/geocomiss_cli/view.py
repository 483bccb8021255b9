"""`geocomiss view`: a picture and a page of a finished map."""

from pathlib import Path
from typing import Annotated

import typer

from geocomiss_cli import panels
from geocomiss_cli.terminal import say_notes, screen

Map = Annotated[
    Path,
    typer.Argument(
        metavar="MAP",
        help="Folder of a map, or a GeoTIFF of classes (of any tool).",
        show_default=False,
        rich_help_panel=panels.INPUT,
    ),
]
Out = Annotated[
    Path | None,
    typer.Option(
        help="Folder for preview.png and report.html.",
        show_default="beside the map",
        rich_help_panel=panels.WRITTEN,
    ),
]
Legend = Annotated[
    Path | None,
    typer.Option(
        metavar="FILE",
        help="CSV with other names and colours of the classes: the column value or class, and name or color "
        "(#rrggbb) or both.",
        show_default="as the map has them",
        rich_help_panel=panels.LOOKS,
    ),
]
Title = Annotated[
    str | None,
    typer.Option(
        help="What the map is called.", show_default="after its season", rich_help_panel=panels.LOOKS
    ),
]
Low = Annotated[
    float,
    typer.Option(
        min=0,
        max=1,
        help="Confidence (0 to 1) below which the picture is hatched.",
        rich_help_panel=panels.LOOKS,
    ),
]
Basemap = Annotated[
    str | None,
    typer.Option(
        metavar="URL",
        help="Base tiles under the map of the page: an address with {z}, {x}, {y}. The page then asks that "
        "server for tiles; without, it uses no network.",
        show_default="none",
        rich_help_panel=panels.LOOKS,
    ),
]
Side = Annotated[
    int,
    typer.Option(
        min=100,
        max=8000,
        help="Most pixels a side of the sharpest picture in the page.",
        rich_help_panel=panels.LOOKS,
    ),
]


def view(
    path: Map,
    out: Out = None,
    legend: Legend = None,
    title: Title = None,
    low: Low = 0.5,
    basemap: Basemap = None,
    side: Side = 2000,
) -> None:
    """Write preview.png, for a report, and report.html, which opens in any browser without a network."""
    from geocomiss.viewing import ViewRequest, view_map

    report = view_map(ViewRequest(path, out, legend, title, low, basemap, side))
    say_notes([], [f"not shown: {each}" for each in report.missing])
    for file in report.files:
        screen().print(f"wrote {file} ({file.stat().st_size / 1e6:.2f} MB)", markup=False)
