"""`geocomiss sample`: a user's own points and polygons as samples to train on."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final

import typer

from geocomiss.recipes import RECIPES
from geocomiss_cli import checks, panels
from geocomiss_cli import earth_engine as engine
from geocomiss_cli import options as given
from geocomiss_cli.terminal import progress_bar, say_notes, screen

if TYPE_CHECKING:
    from geocomiss.sampling import SamplingReport

POINTS: Final = "Points and polygons"
MONTHS: Final = ("?", "J", "F", "M", "A", "M", "J", "J", "A", "S", "O", "N", "D")

PointsOption = Annotated[
    Path,
    typer.Option(
        help="Vector file with labelled points or polygons, any CRS; CSV with columns lon and lat; or "
        "CropHarvest's labels.geojson.",
        show_default=False,
        rich_help_panel=panels.INPUT,
    ),
]
OutOption = Annotated[
    Path, typer.Option(help="Table to write, *.parquet.", show_default=False, rich_help_panel=panels.WRITTEN)
]
LabelOption = Annotated[
    str | None,
    typer.Option(
        help="Column with the class.",
        show_default="label; classification_label in CropHarvest's file",
        rich_help_panel=POINTS,
    ),
]
MergeOption = Annotated[
    bool,
    typer.Option(
        "--merge-labels",
        help="Take labels for one class that differ in case, spaces, '-' and '_' alone, such as 'Maize' and "
        "'maize '. Without it they are listed and refused.",
        rich_help_panel=POINTS,
    ),
]
SeasonColumnOption = Annotated[
    str | None,
    typer.Option(
        metavar="COLUMN",
        help="Column with the season of each point, written like --season.",
        show_default="one --season for all",
        rich_help_panel=panels.GRID,
    ),
]
PerPolygonOption = Annotated[
    int,
    typer.Option("--n-per-polygon", min=1, help="Pixels drawn in a polygon at most.", rich_help_panel=POINTS),
]
EdgeOption = Annotated[
    float,
    typer.Option(
        min=0,
        metavar="METRES",
        help="Centres of pixels keep this distance from the edge of their polygon, inside.",
        rich_help_panel=POINTS,
    ),
]
SeedOption = Annotated[
    int, typer.Option(min=0, help="Seed of the pixels drawn in polygons.", rich_help_panel=POINTS)
]
TileOption = Annotated[
    int,
    typer.Option(
        min=1,
        help="Pixels a side of the windows that are read and kept one by one.",
        rich_help_panel=panels.RUN,
    ),
]
SimSeedOption = Annotated[
    int, typer.Option("--sim-seed", min=0, help="Seed of the simulated world.", rich_help_panel=panels.RUN)
]


def sample(
    points: PointsOption,
    source: given.Source,
    out: OutOption,
    label: LabelOption = None,
    merge_labels: MergeOption = False,
    n_per_polygon: PerPolygonOption = 5,
    edge: EdgeOption = 10.0,
    seed: SeedOption = 0,
    season: given.Season = None,
    season_column: SeasonColumnOption = None,
    recipe: given.RecipeName = next(iter(RECIPES)),
    resolution: given.Resolution = None,
    crs: given.Crs = "auto",
    cloud_dilation: given.CloudDilation = None,
    weather: given.Weather = None,
    max_cloud: given.MaxCloud = 100.0,
    max_unreadable: given.MaxUnreadable = 10.0,
    ee_project: engine.EeProject = None,
    ee_credentials: engine.EeCredentials = "auto",
    ee_url: engine.EeUrl = None,
    ee_parallel: engine.EeParallel = 20,
    max_requests: engine.EeMaxRequests = None,
    s1_pass: engine.S1Pass = "auto",
    cloud_score: engine.CloudScore = None,
    tile: TileOption = 256,
    overwrite: given.Overwrite = False,
    sim_seed: SimSeedOption = 0,
) -> None:
    """Read pixel series at your own points or inside your polygons: a table to train on.

    The values are those that `geocomiss map` reads at these pixels. OUT_report.md says what came of it,
    OUT_left_out.csv lists each point that gave no sample. Given again after an interruption, the same
    command goes on where it stopped.
    """
    from geocomiss.sampling import SamplingRequest, sample_points
    from geocomiss.sources.base import EarthEngine

    request = SamplingRequest(
        points=points,
        source=source,
        out=out,
        label=label,
        merge_labels=merge_labels,
        season=season,
        season_column=season_column,
        per_polygon=n_per_polygon,
        edge=edge,
        recipe=recipe,
        resolution=resolution,
        crs=crs,
        cloud_dilation=cloud_dilation,
        weather=weather,
        max_cloud=max_cloud,
        max_unreadable=max_unreadable,
        tile=tile,
        seed=seed,
        sim_seed=sim_seed,
        overwrite=overwrite,
        ee=EarthEngine(
            ee_project,
            ee_url,
            ee_credentials,
            ee_parallel,
            max_requests=max_requests,
            s1_pass=checks.radar_pass_of(s1_pass),
            cloud_score=cloud_score,
        ),
    )
    with progress_bar("sampling", "samples") as tell:
        report = sample_points(request, tell)
    _say(report)


def _say(report: "SamplingReport") -> None:
    from rich.table import Table
    from rich.text import Text

    console = screen()
    console.print(f"{report.n:,} samples of {report.features:,} points or polygons")
    classes = Table()
    classes.add_column("class")
    classes.add_column("samples", justify="right")
    for name, number in report.per_class.items():
        classes.add_row(Text(name), f"{number:,}")
    console.print(classes, soft_wrap=False)
    console.print("missing, % of the samples")
    missing = Table(box=None, pad_edge=False)
    for heading in ("", *(MONTHS[month] for month in report.months)):
        missing.add_column(heading, justify="right" if heading else "left")
    for name, shares in report.missing.items():
        missing.add_row(name, *(f"{100 * share:.0f}" for share in shares))
    console.print(missing, soft_wrap=False)
    for why, number in report.reasons.items():
        console.print(f"left out: {number:,} {why}", markup=False)
    say_notes(list(report.notes), list(report.warnings))
    for path in report.files:
        console.print(f"wrote {path}", markup=False)
