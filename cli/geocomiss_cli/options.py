"""Options that several commands share, and the checks of their values."""

from pathlib import Path
from typing import Annotated, get_args

import typer

from geocomiss.modalities import IMAGING, MODALITIES
from geocomiss.recipes import RECIPES
from geocomiss_cli import completing
from geocomiss_cli.checks import (
    Mismatch,
    Numbers,
    StackFormat,
    check_fetch_format,
    check_memory,
    check_min_steps,
    check_modalities,
    check_on_mismatch,
    check_recipe,
    check_required,
    check_scheduler,
)
from geocomiss_cli.panels import AVAILABILITY, GRID, INPUT, MODEL, RUN, WRITTEN

Source = Annotated[
    str,
    typer.Option(
        help="Where satellite data come from: 'simulated', 'ee' (Google Earth Engine), 'planetary-computer', "
        "'earth-search', another STAC API (stac+URL), the path of a local stack or saved search, or one for "
        "each modality (optical=earth-search,radar=planetary-computer,weather=era5.nc).",
        show_default=False,
        autocompletion=completing.sources,
        rich_help_panel=INPUT,
    ),
]
Weather = Annotated[
    str | None,
    typer.Option(
        metavar="FILE",
        help="Take the weather from this file: ERA5, ERA5-Land or AgERA5 as the Climate Data Store names it "
        '(NetCDF, Zarr; GRIB with pip install "geocomiss[grib]").',
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
Out = Annotated[Path, typer.Option(help="Folder for the map.", show_default=False, rich_help_panel=WRITTEN)]
StackOut = Annotated[
    Path,
    typer.Option(
        help="Folder to write, such as stack.zarr or images/.", show_default=False, rich_help_panel=WRITTEN
    ),
]
FetchFormat = Annotated[
    str,
    typer.Option(
        metavar="|".join(get_args(StackFormat)),
        callback=check_fetch_format,
        help="zarr: a stack to map from. cog: for the eye and any GIS, a GeoTIFF (COG) for each modality and "
        "step in canonical units, and true-colour ones; NaN where nothing was seen.",
        autocompletion=completing.one_of(*get_args(StackFormat)),
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
NeededAoi = Annotated[
    str,
    typer.Option(
        help="Area of interest: a vector file, W,S,E,N in degrees, or WKT.",
        show_default=False,
        rich_help_panel=GRID,
    ),
]
NeededSeason = Annotated[
    str,
    typer.Option(help="2021, 2020-11:2021-10, or days.", show_default=False, rich_help_panel=GRID),
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
        help="CRS, such as EPSG:32631; 'auto': the area's UTM zone (of several, `map` makes a map for each "
        "and `fetch` a stack), or the local stack's own.",
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
        autocompletion=completing.shipped,
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
        autocompletion=completing.one_of(*get_args(Mismatch)),
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
        autocompletion=completing.modalities,
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
        autocompletion=completing.modalities,
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
Applicability = Annotated[
    bool,
    typer.Option(
        "--applicability",
        help="Write how unlike the training samples each pixel is, too: applicability.tif, above 1 outside "
        "the area of applicability. Expected accuracy is left out there with or without it.",
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
MappingUnit = Annotated[
    float,
    typer.Option(
        "--minimum-mapping-unit",
        min=0,
        metavar="HECTARES",
        help="Patches smaller than this take the class of their largest neighbour (GDAL's sieve; pixels that "
        "share an edge are one patch). Their confidence is the probability of that class; pixels without a "
        "class get none. 0: all patches stay.",
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
        autocompletion=completing.one_of(*get_args(Numbers)),
        rich_help_panel=RUN,
    ),
]
Device = Annotated[
    str,
    typer.Option(
        metavar="auto|cpu|cuda|cuda:N",
        help="Where networks run; auto: on a GPU where there is one. Of several workers each takes the next; "
        "with --scheduler it is their machines that need it.",
        autocompletion=completing.devices,
        rich_help_panel=RUN,
    ),
]
Tile = Annotated[
    int,
    typer.Option(
        min=1,
        help="Pixels a side of a tile: small ones take less memory and more time; the map is the same.",
        rich_help_panel=RUN,
    ),
]
MapTile = Annotated[
    int | None,
    typer.Option(
        "--tile",
        min=1,
        help="Pixels a side of a tile: small ones take less memory and more time; the map is the same.",
        show_default="512, or what --memory allows",
        rich_help_panel=RUN,
    ),
]
Memory = Annotated[
    str | None,
    typer.Option(
        metavar="SIZE",
        callback=check_memory,
        help="Memory that all processes on this machine may take together, as 4GB or 800MB: --workers share "
        "equally what 550 MB for the process that plans leave of it. With --scheduler: that each worker may "
        "take. The size of the tiles follows from it, at most 2,048 pixels a side; workers that took more "
        "than their share are named in the end.",
        show_default="as much as --tile takes",
        rich_help_panel=RUN,
    ),
]
Workers = Annotated[
    int,
    typer.Option(
        min=0,
        metavar="PROCESSES",
        help="Compute tiles in so many processes on this machine, which share its cores; the map is the "
        "same. 0: in this process, with all cores.",
        rich_help_panel=RUN,
    ),
]
Scheduler = Annotated[
    str | None,
    typer.Option(
        metavar="ADDRESS",
        callback=check_scheduler,
        help="Compute tiles on the workers of this Dask scheduler, as tcp://host:8786. They need the same "
        "version of geocomiss, and a folder --out and local data that all machines share.",
        show_default="none",
        rich_help_panel=RUN,
    ),
]
SkipFailed = Annotated[
    bool,
    typer.Option(
        "--skip-failed",
        help="Write the map without the tiles that fail again and again; they hold no data and are named. "
        "Otherwise there is no map until the same command succeeds. The exit code is 3 either way.",
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
        autocompletion=completing.recipes,
        rich_help_panel=GRID,
    ),
]
