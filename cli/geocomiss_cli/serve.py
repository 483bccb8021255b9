"""`geocomiss serve`: a finished map in tiles, for maps that are too large for one page."""

from contextlib import suppress
from typing import TYPE_CHECKING, Annotated

import typer

from geocomiss_cli import panels
from geocomiss_cli.terminal import say_notes, screen
from geocomiss_cli.view import Basemap, Legend, Map, Title

if TYPE_CHECKING:
    from geocomiss.viewing.served import Serving

Host = Annotated[
    str,
    typer.Option(
        help="Address to listen on. The default is this machine only; 0.0.0.0 lets everybody on the network "
        "look at the map.",
        rich_help_panel=panels.SERVER,
    ),
]
Port = Annotated[
    int,
    typer.Option(
        min=0, max=65535, help="Port to listen on. 0: any that is free.", rich_help_panel=panels.SERVER
    ),
]


def serve(
    path: Map,
    legend: Legend = None,
    title: Title = None,
    basemap: Basemap = None,
    host: Host = "127.0.0.1",
    port: Port = 8080,
) -> None:
    r"""Show a map of any size in a browser: the page of report.html, in tiles of all its pixels.

    Serves this map's rasters and nothing else until Ctrl-C. Needs pip install "geocomiss\[serve]".
    """
    from geocomiss.viewing.served import ServeRequest, serve_map

    with suppress(KeyboardInterrupt):  # Ctrl-C is how it ends
        serve_map(ServeRequest(path, legend, title, basemap, host, port), _say)


def _say(serving: "Serving") -> None:
    say_notes(list(serving.notes), [f"not shown: {each}" for each in serving.missing])
    screen().print(f"serving {serving.address} (Ctrl-C ends it)", markup=False)
