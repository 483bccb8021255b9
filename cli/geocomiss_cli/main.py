"""The entry point: registers the commands, and turns errors into one line and an exit code."""

import logging
import os
import signal
import sys
import warnings
from typing import Annotated, Final

import typer

from geocomiss import __version__
from geocomiss.errors import GeocomissError, TilesFailed
from geocomiss_cli import panels
from geocomiss_cli.assess import assess
from geocomiss_cli.benchmark import benchmark
from geocomiss_cli.check import check
from geocomiss_cli.data import app as data
from geocomiss_cli.design import design
from geocomiss_cli.doctor import doctor
from geocomiss_cli.evaluate import evaluate
from geocomiss_cli.examples import example
from geocomiss_cli.export import app as export
from geocomiss_cli.fetch import fetch
from geocomiss_cli.fields import fields
from geocomiss_cli.info import info
from geocomiss_cli.map import map_area
from geocomiss_cli.plan import plan
from geocomiss_cli.sample import sample
from geocomiss_cli.search import search
from geocomiss_cli.serve import serve
from geocomiss_cli.status import status
from geocomiss_cli.stopping import INTERRUPTED, sigterm_heard
from geocomiss_cli.terminal import FAILED_TILES, say_error
from geocomiss_cli.train import train
from geocomiss_cli.view import view

FAILED: Final = 1
"""Exit code of bad input."""
DEBUG: Final = "--debug"

app = typer.Typer(
    name="geocomiss",
    no_args_is_help=True,
    rich_markup_mode="rich",
    pretty_exceptions_enable=False,  # `main` says what went wrong
    epilog=example("map"),
)
for _name, _function, _panel in (
    ("map", map_area, "Maps"),
    ("status", status, "Maps"),
    ("view", view, "Maps"),
    ("serve", serve, "Maps"),
    ("fields", fields, "Maps"),
    ("fetch", fetch, "Satellite data"),
    ("plan", plan, "Satellite data"),
    ("search", search, "Satellite data"),
    ("sample", sample, "Samples and models"),
    ("check", check, "Samples and models"),
    ("train", train, "Samples and models"),
    ("evaluate", evaluate, "Samples and models"),
    ("benchmark", benchmark, "Samples and models"),
    ("design", design, "How good a map is"),
    ("assess", assess, "How good a map is"),
    ("info", info, "Help"),
    ("doctor", doctor, "Help"),
):
    app.command(_name, epilog=example(_name), rich_help_panel=_panel)(_function)
app.add_typer(export, name="export", rich_help_panel="Satellite data")
app.add_typer(data, name="data", rich_help_panel="Satellite data")


def _show_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"geocomiss {__version__}")
        raise typer.Exit


@app.callback()
def _common(
    version: Annotated[
        bool,
        typer.Option(
            "--version",
            callback=_show_version,
            is_eager=True,
            help="Print the version.",
            rich_help_panel=panels.RUN,
        ),
    ] = False,
    debug: Annotated[
        bool,
        typer.Option(
            DEBUG,
            help="Show tracebacks and warnings of libraries; goes anywhere in a command.",
            rich_help_panel=panels.RUN,
        ),
    ] = False,
) -> None:
    """Crop-type maps from whatever satellites saw.

    Sentinel-1, Sentinel-2, weather and terrain; what is missing is handled pixel by pixel.
    """


def main() -> None:
    """Run the command line.

    Exit code 0, 1 bad input, 2 wrong usage, 3 tiles failed, 130 interrupted by Ctrl-C, 143 by SIGTERM.
    """
    # OpenMP threads that spin while they wait starve each other on shared cores: mapping with the full
    # model on 2 virtual cores took 8 times as long (48.9 s against 5.8 s)
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    debug = DEBUG in sys.argv[1:]
    arguments = [argument for argument in sys.argv[1:] if argument != DEBUG]
    with sigterm_heard():
        if debug:
            app(arguments, prog_name="geocomiss")
        else:
            _quieten()
            _run(arguments)


def _run(arguments: list[str]) -> None:
    try:
        app(arguments, prog_name="geocomiss")
    except TilesFailed as error:
        say_error(str(error))
        sys.exit(FAILED_TILES)
    except GeocomissError as error:
        say_error(str(error))
    except KeyboardInterrupt:
        _interrupted()
    except SystemExit as end:
        if end.code == INTERRUPTED:  # typer has turned Ctrl-C into this
            _interrupted()
        raise
    except OSError as error:
        say_error(_of_system(error))
    except MemoryError:
        say_error("The memory is full; expected space for one tile; use a smaller --tile.")
    except Exception as error:  # the last line before a user: whatever it is, no traceback
        say_error(
            f"{type(error).__name__}: {error}. This is a bug in geocomiss; "
            f"please report it with the traceback that {DEBUG} shows."
        )
    sys.exit(FAILED)


def _interrupted() -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # a second Ctrl-C would cut the message short
    say_error(
        "Interrupted. A map, a sampling, a fetch or export from Earth Engine, a download or a benchmark goes "
        "on where it stopped when the same command is given again, a training with --resume."
    )
    sys.exit(INTERRUPTED)


def _of_system(error: OSError) -> str:
    what = f" ({error.filename})" if error.filename else ""
    return (
        f"{error.strerror or error}{what}; expected files that can be read and written, and free space; "
        "check the path, its permissions and the disk."
    )


def _quieten() -> None:
    """Keep libraries off the screen: what matters to a user comes as notes, warnings and errors."""
    warnings.simplefilter("ignore")
    logging.getLogger().addHandler(logging.NullHandler())  # else GDAL's errors are printed a second time
