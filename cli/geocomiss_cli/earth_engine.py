"""Options of the commands that may ask Earth Engine."""

from typing import Annotated, Final, get_args

import typer

from geocomiss_cli import completing
from geocomiss_cli.checks import RadarPass, check_radar_pass

EARTH_ENGINE: Final = "Earth Engine"

EeProject = Annotated[
    str | None,
    typer.Option(
        metavar="PROJECT",
        help="Google Cloud project that is registered for Earth Engine.",
        show_default="EARTHENGINE_PROJECT, else that of the credentials",
        rich_help_panel=EARTH_ENGINE,
    ),
]
EeCredentials = Annotated[
    str,
    typer.Option(
        metavar="WHICH",
        help="'auto' (those of `earthengine authenticate`, else application default ones), "
        "'application-default', a service account's key file, or 'none' (a gateway adds its own).",
        rich_help_panel=EARTH_ENGINE,
    ),
]
EeUrl = Annotated[
    str | None,
    typer.Option(
        metavar="URL",
        help="Address of the API, for a private gateway.",
        show_default="Google's",
        rich_help_panel=EARTH_ENGINE,
    ),
]
EeParallel = Annotated[
    int,
    typer.Option(
        min=1,
        max=40,
        metavar="NUMBER",
        help="Requests under way at a time; Earth Engine allows a project 40 in all.",
        rich_help_panel=EARTH_ENGINE,
    ),
]
EeMaxRequests = Annotated[
    int | None,
    typer.Option(
        min=0,
        metavar="NUMBER",
        help="Stop after so many requests of pixels; what has come is kept.",
        show_default="no limit",
        rich_help_panel=EARTH_ENGINE,
    ),
]
EeMaxHours = Annotated[
    float | None,
    typer.Option(
        "--max-eecu-hours",
        min=0,
        metavar="HOURS",
        help="Do not begin what takes more computing, by an estimate from three trial requests.",
        show_default="no limit",
        rich_help_panel=EARTH_ENGINE,
    ),
]
S1Pass = Annotated[
    str,
    typer.Option(
        "--s1-pass",
        metavar="|".join(get_args(RadarPass)),
        callback=check_radar_pass,
        help="Sentinel-1 passes to use: ascending, descending or both; auto: in each cell of about 100 km "
        "the direction that covers more of it in the season and, of equals, sees it more often.",
        autocompletion=completing.one_of(*get_args(RadarPass)),
        rich_help_panel=EARTH_ENGINE,
    ),
]
CloudScore = Annotated[
    float | None,
    typer.Option(
        "--cloud-score",
        min=0,
        max=1,
        metavar="SCORE",
        help="Cloud Score+ (cs_cdf, 0 cloudy to 1 clear) from which a pixel is clear, with the recipe "
        "monthly-l2a-csplus; useful: 0.5 to 0.65.",
        show_default="the recipe's, 0.6",
        rich_help_panel=EARTH_ENGINE,
    ),
]
DryRun = Annotated[
    bool,
    typer.Option(
        "--dry-run",
        help="Only show what it would take, with --source ee; see `geocomiss plan`.",
        rich_help_panel=EARTH_ENGINE,
    ),
]
