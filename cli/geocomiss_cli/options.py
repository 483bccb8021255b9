"""Options that several commands share, and the checks of their values."""

from collections.abc import Iterable
from pathlib import Path
from typing import Annotated, Final, Literal, cast, get_args

import typer

from geocomiss.modalities import IMAGING, MODALITIES
from geocomiss.recipes import RECIPES

GRID: Final = "Area, time and grid"
MODEL: Final = "Model"
AVAILABILITY: Final = "What is missing"
RUN: Final = "Run"
WRITTEN: Final = "What is written"
EARTH_ENGINE: Final = "Earth Engine"
NONE: Final = "none"

Mismatch = Literal["refuse", "drop", "allow"]
"""What happens with a modality that was not made as the model wants it."""
Numbers = Literal["auto", "float32", "bfloat16"]
"""What encoders compute with."""

StackFormat = Literal["zarr", "cog"]
"""What `geocomiss fetch` writes."""


def modality_named(name: str) -> str:
    """The name itself, where it is a modality. Raises typer.BadParameter where it is none."""
    if name not in MODALITIES:
        raise typer.BadParameter(f"{name!r} is no modality; choose from {', '.join(MODALITIES)}.")
    return name


def check_modalities(entries: list[str] | None) -> list[str]:
    """Hold a repeatable option to modalities, also with commas, each once."""
    names = (name.strip() for entry in entries or () for name in entry.split(","))
    return list(dict.fromkeys(modality_named(name) for name in names))


def check_required(text: str) -> str:
    """Hold `--require` to modalities or 'none'."""
    required_of(text)
    return text


def required_of(text: str) -> tuple[str, ...]:
    """'optical,radar' as a tuple; () for 'none'."""
    return () if text == NONE else tuple(modality_named(name.strip()) for name in text.split(","))


def check_min_steps(entries: list[str] | None) -> list[str]:
    """Hold `--min-steps` to NUMBER or MODALITY=NUMBER."""
    min_steps_of(entries or ())
    return entries or []


def min_steps_of(entries: Iterable[str]) -> dict[str, int]:
    """Steps per modality: a bare number means every imaging one, and a named one wins."""
    bare: dict[str, int] = {}
    named: dict[str, int] = {}
    for entry in entries:
        name, _, number = entry.rpartition("=")
        if not number.isdecimal() or int(number) < 1:
            raise typer.BadParameter(f"{entry!r} is neither a number of at least 1 nor MODALITY=NUMBER.")
        if name:
            named[modality_named(name)] = int(number)
        else:
            bare = dict.fromkeys(IMAGING, int(number))
    return bare | named


def check_recipe(name: str) -> str:
    """Hold `--recipe` to the table of recipes."""
    if name not in RECIPES:
        raise typer.BadParameter(f"{name!r} is no recipe; choose from {', '.join(RECIPES)}.")
    return name


def check_on_mismatch(text: str) -> str:
    """Hold `--on-mismatch` to its three values."""
    return on_mismatch_of(text)


def precision_of(text: str) -> Numbers:
    """One of the three values of `--precision`."""
    for known in get_args(Numbers):
        if text == known:
            return cast(Numbers, known)
    raise typer.BadParameter(f"{text!r} is none of {', '.join(get_args(Numbers))}.", param_hint="--precision")


def on_mismatch_of(text: str) -> Mismatch:
    """One of the three values of `--on-mismatch`."""
    for known in get_args(Mismatch):
        if text == known:
            return cast(Mismatch, known)
    raise typer.BadParameter(f"{text!r} is none of {', '.join(get_args(Mismatch))}.")


def check_fetch_format(text: str) -> str:
    """Hold `--format` to its values."""
    return fetch_format_of(text)


def fetch_format_of(text: str) -> StackFormat:
    """One of the values of `--format`."""
    for known in get_args(StackFormat):
        if text == known:
            return cast(StackFormat, known)
    raise typer.BadParameter(f"{text!r} is none of {', '.join(get_args(StackFormat))}.")


Source = Annotated[
    str,
    typer.Option(
        help="Where satellite data come from: 'simulated', 'ee' (Google Earth Engine), 'planetary-computer', "
        "'earth-search', another STAC API (stac+URL), the path of a local stack or saved search, or one for "
        "each modality (optical=earth-search,radar=planetary-computer,weather=era5.nc).",
        show_default=False,
    ),
]
Weather = Annotated[
    str | None,
    typer.Option(
        metavar="FILE",
        help="Take the weather from this file: ERA5, ERA5-Land or AgERA5 as the Climate Data Store names it "
        "(NetCDF, Zarr; GRIB where cfgrib is installed).",
        show_default="the source's own, if it has any",
        rich_help_panel=AVAILABILITY,
    ),
]
MaxCloud = Annotated[
    float,
    typer.Option(
        min=0,
        max=100,
        metavar="PERCENT",
        help="Leave out optical images of a catalogue with more cloud cover.",
        rich_help_panel=AVAILABILITY,
    ),
]
MaxUnreadable = Annotated[
    float,
    typer.Option(
        min=0,
        max=100,
        metavar="PERCENT",
        help="Images of a catalogue that may be unreadable; with more the run stops.",
        rich_help_panel=AVAILABILITY,
    ),
]
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
DryRun = Annotated[
    bool,
    typer.Option(
        "--dry-run",
        help="Only show what it would take, with --source ee; see `geocomiss plan`.",
        rich_help_panel=EARTH_ENGINE,
    ),
]
Out = Annotated[Path, typer.Option(help="Folder for the map.", show_default=False)]
StackOut = Annotated[
    Path, typer.Option(help="Folder to write, such as stack.zarr or images/.", show_default=False)
]
FetchFormat = Annotated[
    str,
    typer.Option(
        metavar="|".join(get_args(StackFormat)),
        callback=check_fetch_format,
        help="zarr: a stack to map from. cog: for the eye and any GIS, a GeoTIFF (COG) for each modality and "
        "step in canonical units, and true-colour ones; NaN where nothing was seen.",
        rich_help_panel=WRITTEN,
    ),
]
Aoi = Annotated[
    str | None,
    typer.Option(
        help="Area of interest: a vector file, W,S,E,N in degrees, or WKT.",
        show_default="a local stack, whole",
        rich_help_panel=GRID,
    ),
]
Season = Annotated[
    str | None,
    typer.Option(
        help="2021 (the period of the model, or of the recipe, that ends in 2021), 2020-11:2021-10, "
        "or days, 2020-11-01:2021-10-31.",
        show_default="the only one that a local stack holds",
        rich_help_panel=GRID,
    ),
]
Resolution = Annotated[
    float | None,
    typer.Option(
        help="Pixel size in units of the CRS (metres for UTM).",
        show_default="10, or the local stack's own",
        rich_help_panel=GRID,
    ),
]
Crs = Annotated[
    str,
    typer.Option(
        help="CRS, such as EPSG:32631; 'auto': the area's UTM zone, or the local stack's own.",
        rich_help_panel=GRID,
    ),
]
Mask = Annotated[
    str | None,
    typer.Option(
        metavar="FILE:VALUES",
        help="Raster of any CRS: only pixels of these values are mapped, as cropland.tif:40,50; "
        "without values, where it is not 0.",
        show_default="none",
        rich_help_panel=GRID,
    ),
]
Model = Annotated[
    str | None,
    typer.Option(
        help="Checkpoint folder, or the name of a shipped one.",
        show_default="the shipped one of the simulated world, for --source simulated only",
        rich_help_panel=MODEL,
    ),
]
Priors = Annotated[
    Path | None,
    typer.Option(
        metavar="FILE",
        help="Known class shares of the area: CSV with the columns class,share (adding up to 1 or to 100 "
        "per cent). Probabilities are re-weighted to them, and the most probable class is written.",
        show_default="as in training",
        rich_help_panel=MODEL,
    ),
]
OnMismatch = Annotated[
    str,
    typer.Option(
        metavar="|".join(get_args(Mismatch)),
        callback=check_on_mismatch,
        help="What happens with a modality that was not made as the model wants it: refuse the stack, "
        "drop the modality (treat it as missing), or allow it.",
        rich_help_panel=MODEL,
    ),
]
SimulatedModel = Annotated[
    bool,
    typer.Option(
        "--simulated-model-on-real-data",
        help="Let a model of the simulated world map real data; the map is labelled SIMULATED MODEL.",
        rich_help_panel=MODEL,
    ),
]
MinSteps = Annotated[
    list[str] | None,
    typer.Option(
        metavar="MODALITY=NUMBER",
        callback=check_min_steps,
        help="Valid time steps from which a modality counts as available at a pixel; a bare number is for "
        f"{' and '.join(IMAGING)}. Repeatable.",
        show_default="as the model says",
        rich_help_panel=AVAILABILITY,
    ),
]
Without = Annotated[
    list[str] | None,
    typer.Option(
        metavar="MODALITY",
        callback=check_modalities,
        help=f"Leave out any of {', '.join(MODALITIES)}; repeat, or separate with commas.",
        show_default="none",
        rich_help_panel=AVAILABILITY,
    ),
]
CloudDilation = Annotated[
    float | None,
    typer.Option(
        metavar="METRES",
        help="Grow clouds and shadows by this much, where the source is raw or simulated.",
        show_default="the recipe's, 30 for monthly-l2a",
        rich_help_panel=AVAILABILITY,
    ),
]
Require = Annotated[
    str,
    typer.Option(
        callback=check_required,
        help="A class is written only where one of these is available; 'none' switches it off.",
        rich_help_panel=AVAILABILITY,
    ),
]
Probabilities = Annotated[
    bool,
    typer.Option(
        "--probabilities",
        help="Write the probability of every class, too: probabilities.tif, a band a class.",
        rich_help_panel=WRITTEN,
    ),
]
Smooth = Annotated[
    int,
    typer.Option(
        min=0,
        metavar="PIXELS",
        help="Smooth the map over a neighbourhood of so many pixels a side, odd: a pixel that the model "
        "is unsure of takes over what its neighbours agree on. The most probable class "
        "is written then, and no expected accuracy. 0: not smoothed.",
        rich_help_panel=WRITTEN,
    ),
]
MapLegend = Annotated[
    str | None,
    typer.Option(
        "--legend",
        metavar="FILE",
        help="CSV with other names and colours of the classes: the column value or class, and name or color "
        "(#rrggbb) or both. The legend.csv of a map is one.",
        show_default="as the model has them",
        rich_help_panel=WRITTEN,
    ),
]
Precision = Annotated[
    str,
    typer.Option(
        metavar="auto|float32|bfloat16",
        help="Numbers that the encoders compute with; auto: bfloat16 where the processor multiplies it fast. "
        "About 1 pixel in 1,000 gets another class.",
        rich_help_panel=RUN,
    ),
]
Device = Annotated[
    str, typer.Option(help="Where networks run: 'auto', 'cpu', 'cuda' or 'cuda:1'.", rich_help_panel=RUN)
]
Tile = Annotated[
    int,
    typer.Option(
        min=1,
        help="Pixels a side of a tile: small ones take less memory and more time; the map is the same.",
        rich_help_panel=RUN,
    ),
]
Overwrite = Annotated[
    bool, typer.Option("--overwrite", help="Replace what --out holds.", rich_help_panel=RUN)
]
Seed = Annotated[int, typer.Option(min=0, help="Seed of the simulated world.", rich_help_panel=RUN)]
RecipeName = Annotated[
    str,
    typer.Option(
        callback=check_recipe,
        help=f"How the stack is made, where the source can choose: {', '.join(RECIPES)}.",
        rich_help_panel=GRID,
    ),
]
