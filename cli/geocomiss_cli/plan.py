"""`geocomiss plan`: what a stack or map from Earth Engine will take."""

from enum import StrEnum
from typing import TYPE_CHECKING, Annotated, Final

import typer

from geocomiss.recipes import RECIPES
from geocomiss_cli import checks, panels
from geocomiss_cli import earth_engine as engine
from geocomiss_cli import options as given
from geocomiss_cli.terminal import screen

if TYPE_CHECKING:
    from geocomiss.costing import CostReport

MEGA: Final = 1e6
CONSOLE: Final = "https://console.cloud.google.com/earth-engine"


class Tier(StrEnum):
    """Tiers of an Earth Engine project."""

    AUTO = "auto"
    COMMUNITY = "community"
    CONTRIBUTOR = "contributor"
    PARTNER = "partner"
    COMMERCIAL = "commercial"


TierOption = Annotated[
    Tier,
    typer.Option(
        help="Tier of the project; auto: commercial where it is registered so, else community.",
        rich_help_panel=panels.COST,
    ),
]
Price = Annotated[
    float | None,
    typer.Option(
        min=0,
        help="Price of an EECU-hour, in any currency.",
        show_default="none",
        rich_help_panel=panels.COST,
    ),
]


def plan(
    aoi: given.NeededAoi,
    season: given.NeededSeason,
    model: Annotated[
        str | None,
        typer.Option(
            help="Plan a map by this model: its recipe, bands and months.",
            show_default="a stack of the recipe",
            rich_help_panel=panels.MODEL,
        ),
    ] = None,
    recipe: given.RecipeName = next(iter(RECIPES)),
    resolution: given.Resolution = None,
    crs: given.Crs = "auto",
    cloud_dilation: given.CloudDilation = None,
    max_cloud: given.MaxCloud = 100.0,
    without: given.Without = None,
    tile: given.Tile = 512,
    trials: Annotated[
        int,
        typer.Option(
            min=0,
            max=3,
            help="Requests to send, to learn what computing takes; 0: none.",
            rich_help_panel=panels.COST,
        ),
    ] = 3,
    tier: TierOption = Tier.AUTO,
    price: Price = None,
    ee_project: engine.EeProject = None,
    ee_credentials: engine.EeCredentials = "auto",
    ee_url: engine.EeUrl = None,
    s1_pass: engine.S1Pass = "auto",
    cloud_score: engine.CloudScore = None,
) -> None:
    """Show what Earth Engine would be asked for: images, tiles, requests, bytes and computing.

    An area in several UTM zones is planned zone by zone, as map and fetch take it, unless --crs is given.
    """
    from geocomiss.costing import CostRequest, plan_costs
    from geocomiss.sources.base import EarthEngine

    request = CostRequest(
        aoi,
        season,
        model,
        recipe,
        resolution,
        crs,
        tile,
        max_cloud,
        cloud_dilation,
        tuple(without or ()),
        EarthEngine(
            ee_project,
            ee_url,
            ee_credentials,
            s1_pass=checks.radar_pass_of(s1_pass),
            cloud_score=cloud_score,
        ),
        trials=trials,
    )
    say_cost(plan_costs(request), tier, price)


def say_cost(report: "CostReport", tier: str, price: float | None) -> None:
    """Tables of what is asked for, and what computing it takes."""
    from geocomiss.grid import crs_of, crs_text

    console, found = screen(), report.estimate
    console.print(f"season: {report.calendar}")
    for name, grid in report.zones or (("grid", report.grid),):
        console.print(f"{name}: {grid.width} x {grid.height} pixels, {crs_text(crs_of(grid))}", markup=False)
    _say_rows(report)
    if report.tasks is None:
        console.print(
            f"{found.requests:,} requests of {found.bytes / MEGA:,.1f} MB to be sent, {found.there:,} "
            f"answered already ({found.trials} of them just now, on trial)"
        )
    else:
        console.print(
            f"export: {report.tasks:,} tasks, one a file; {found.bytes / MEGA:,.1f} MB before compression "
            f"({found.trials} requests of pixels were sent just now, on trial)"
        )
    _say_computing(report, tier, price)


def _say_computing(report: "CostReport", tier: str, price: float | None) -> None:
    from geocomiss.sources.ee.estimate import TIERS

    console, hours = screen(), report.estimate.eecu_hours
    if hours is None:
        console.print("computing: not estimated, as nothing was tried")
    else:
        named = _tier_of(report, tier)
        most = TIERS.get(named)
        share = f", {hours / most:.1%} of the {most:,.0f} a month of {named}" if most else ""
        cost = f", {hours * price:,.2f} at {price:g} an hour" if price is not None else ""
        console.print(f"computing: about {hours:.3g} EECU-hours{share}{cost}")
    _say_registration(report)


def _tier_of(report: "CostReport", tier: str) -> str:
    """The tier that a user names, else what the registration lets expect."""
    if tier != Tier.AUTO:
        return str(tier)
    return Tier.COMMERCIAL if report.registration.use == "commercial" else Tier.COMMUNITY


def _say_registration(report: "CostReport") -> None:
    """How the project is registered, and what a user should know of it."""
    use, exports = report.registration.use, report.registration.exports
    said = {
        "commercial": "registered for commercial use: every EECU-hour is charged",
        "noncommercial": f"registered for noncommercial use; its tier stands in {CONSOLE}. Government users "
        "with operational purposes may need a paid plan",
        "none": f"NOT registered for Earth Engine: register it at {CONSOLE}",
        "unknown": f"its registration and tier stand in {CONSOLE}; government users with operational "
        "purposes may need a paid plan",
    }[use]
    runs = f"; {exports} export tasks run at a time" if exports is not None else ""
    screen().print(f"project {report.project}: {said}{runs}", markup=False)


def _say_rows(report: "CostReport") -> None:
    from rich.table import Table

    table = Table(title="What is asked for", title_justify="left")
    table.add_column("modality")
    table.add_column("step")
    for heading in ("most images in a tile", "tiles", "requests", "MB"):
        table.add_column(heading, justify="right")
    edges = report.calendar.edges()
    for row in report.estimate.rows:
        step = "all" if row.step is None else str(edges[row.step])
        numbers = (row.images, row.tiles, row.requests)
        table.add_row(row.modality, step, *(f"{n:,}" for n in numbers), f"{row.bytes / MEGA:,.2f}")
    screen().print(table)
