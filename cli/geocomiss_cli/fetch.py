"""`geocomiss fetch`: keep a stack on disk, for many maps."""

from geocomiss.recipes import RECIPES
from geocomiss_cli import checks
from geocomiss_cli import earth_engine as engine
from geocomiss_cli import options as given
from geocomiss_cli.plan import say_cost
from geocomiss_cli.terminal import progress_bar, say_notes, screen


def fetch(
    source: given.Source,
    out: given.StackOut,
    aoi: given.Aoi = None,
    season: given.Season = None,
    recipe: given.RecipeName = next(iter(RECIPES)),
    resolution: given.Resolution = None,
    crs: given.Crs = "auto",
    cloud_dilation: given.CloudDilation = None,
    weather: given.Weather = None,
    max_cloud: given.MaxCloud = 100.0,
    max_unreadable: given.MaxUnreadable = 10.0,
    format: given.FetchFormat = "zarr",
    ee_project: engine.EeProject = None,
    ee_credentials: engine.EeCredentials = "auto",
    ee_url: engine.EeUrl = None,
    ee_parallel: engine.EeParallel = 20,
    max_requests: engine.EeMaxRequests = None,
    max_eecu_hours: engine.EeMaxHours = None,
    s1_pass: engine.S1Pass = "auto",
    cloud_score: engine.CloudScore = None,
    dry_run: engine.DryRun = False,
    overwrite: given.Overwrite = False,
    seed: given.Seed = 0,
) -> None:
    """Write the stack of an area and season: what `geocomiss map` would read, or images to look at.

    A stack remembers its area: blocks without any of it are left out, and maps of the stack keep to it.
    An area in several UTM zones becomes a folder with a stack for each, unless --crs is given. Of such a
    folder `geocomiss map --source` makes a map for each zone; everything else takes the stack of one.
    """
    from geocomiss.fetching import FetchRequest, fetch_stack
    from geocomiss.grid import crs_of, crs_text
    from geocomiss.sources.base import EarthEngine

    request = FetchRequest(
        source=source,
        out=out,
        aoi=aoi,
        season=season,
        recipe=recipe,
        resolution=resolution,
        crs=crs,
        format=checks.fetch_format_of(format),
        overwrite=overwrite,
        seed=seed,
        cloud_dilation=cloud_dilation,
        weather=weather,
        max_cloud=max_cloud,
        max_unreadable=max_unreadable,
        ee=EarthEngine(
            ee_project,
            ee_url,
            ee_credentials,
            ee_parallel,
            max_requests=max_requests,
            max_eecu_hours=max_eecu_hours,
            s1_pass=checks.radar_pass_of(s1_pass),
            cloud_score=cloud_score,
        ),
    )
    if dry_run:
        from geocomiss.costing import cost_of_fetch

        say_cost(cost_of_fetch(request), "auto", None)
        return
    with progress_bar("fetching", "steps") as tell:
        report = fetch_stack(request, tell)
    console = screen()
    console.print(f"season: {report.calendar}")
    for name, grid in report.zones or (("grid", report.grid),):
        console.print(f"{name}: {grid.width} x {grid.height} pixels, {crs_text(crs_of(grid))}", markup=False)
    say_notes(list(report.notes), list(report.warnings))
    for name, bands in report.bands.items():
        console.print(f"{name}: {' '.join(bands)}")
    for folder in [report.path / name for name, _ in report.zones] or [report.path]:
        console.print(f"wrote {folder}", markup=False)
