"""`geocomiss map`: from an area of interest to a crop-type map."""

import shlex
import sys
from typing import TYPE_CHECKING

import typer

from geocomiss.modalities import IMAGING
from geocomiss.wording import without_secrets
from geocomiss_cli import checks
from geocomiss_cli import earth_engine as engine
from geocomiss_cli import options as given
from geocomiss_cli.plan import say_cost
from geocomiss_cli.terminal import FAILED_TILES, progress_bar, say_notes, screen

if TYPE_CHECKING:
    from geocomiss.mapping import MapReport


def map_area(
    source: given.Source,
    out: given.Out,
    aoi: given.Aoi = None,
    season: given.Season = None,
    resolution: given.Resolution = None,
    crs: given.Crs = "auto",
    mask: given.Mask = None,
    model: given.Model = None,
    on_mismatch: given.OnMismatch = "refuse",
    simulated_model_on_real_data: given.SimulatedModel = False,
    min_steps: given.MinSteps = None,
    without: given.Without = None,
    require: given.Require = ",".join(IMAGING),
    cloud_dilation: given.CloudDilation = None,
    weather: given.Weather = None,
    priors: given.Priors = None,
    max_cloud: given.MaxCloud = 100.0,
    max_unreadable: given.MaxUnreadable = 10.0,
    probabilities: given.Probabilities = False,
    applicability: given.Applicability = False,
    smooth: given.Smooth = 0,
    minimum_mapping_unit: given.MappingUnit = 0.0,
    legend: given.MapLegend = None,
    ee_project: engine.EeProject = None,
    ee_credentials: engine.EeCredentials = "auto",
    ee_url: engine.EeUrl = None,
    ee_parallel: engine.EeParallel = 20,
    max_requests: engine.EeMaxRequests = None,
    max_eecu_hours: engine.EeMaxHours = None,
    s1_pass: engine.S1Pass = "auto",
    cloud_score: engine.CloudScore = None,
    dry_run: engine.DryRun = False,
    device: given.Device = "auto",
    precision: given.Precision = "auto",
    tile: given.MapTile = None,
    memory: given.Memory = None,
    workers: given.Workers = 0,
    scheduler: given.Scheduler = None,
    skip_failed: given.SkipFailed = False,
    overwrite: given.Overwrite = False,
    seed: given.Seed = 0,
) -> None:
    """Map an area of interest: crop types, how sure they are, and which modalities each pixel had.

    The class written is the one that the network finds likeliest, with its class weights: rare classes are
    found. Its confidence is the calibrated probability that it is right, expected accuracy how often it is
    right in the training regions with what the pixel has. With --priors the most probable class under these
    shares is written instead: fewer pixels of rare classes, and no expected accuracy.
    """
    from geocomiss.mapping import MapRequest, make_map
    from geocomiss.sources.base import EarthEngine

    request = MapRequest(
        source=source,
        out=out,
        aoi=aoi,
        season=season,
        model=model,
        resolution=resolution,
        crs=crs,
        min_steps=checks.min_steps_of(min_steps or ()),
        without=tuple(without or ()),
        require=checks.required_of(require),
        mask=mask,
        on_mismatch=checks.on_mismatch_of(on_mismatch),
        device=device,
        precision=checks.precision_of(precision),
        tile=512 if tile is None else tile,
        memory=checks.memory_of(memory, tile),
        workers=workers,
        scheduler=checks.scheduler_of(scheduler, workers),
        skip_failed=skip_failed,
        overwrite=overwrite,
        simulated_model_on_real_data=simulated_model_on_real_data,
        seed=seed,
        cloud_dilation=cloud_dilation,
        weather=weather,
        priors=priors,
        max_cloud=max_cloud,
        max_unreadable=max_unreadable,
        probabilities=probabilities,
        applicability=applicability,
        smooth=smooth,
        mapping_unit=minimum_mapping_unit,
        legend=legend,
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
        command=without_secrets(shlex.join(["geocomiss", *sys.argv[1:]])),
    )
    if dry_run:
        from geocomiss.costing import cost_of_map

        say_cost(cost_of_map(request), "auto", None)
        return
    with progress_bar("mapping", "pixels") as tell:
        report = make_map(request, tell)
    _say_report(report)
    if report.failed:
        raise typer.Exit(FAILED_TILES)


def _say_report(report: "MapReport") -> None:
    from geocomiss.grid import crs_of, crs_text

    console = screen()
    grid = report.grid
    if report.simulated_model:
        console.print(
            "SIMULATED MODEL: this map shows what a model of a simulated world sees.", style="bold red"
        )
    console.print(f"season: {report.calendar}")
    unit = "degrees" if crs_of(grid).geographic else crs_of(grid).units[0]
    size = f"{grid.width} x {grid.height} pixels of {grid.resolution.x:.6g} {unit}"
    named = "grid of the virtual rasters over all zones" if report.zones else "grid"
    console.print(f"{named}: {size}, {crs_text(crs_of(grid))}", markup=False)
    say_notes(report.notes, report.warnings)
    shares = ", ".join(f"{name} {share:.1%}" for name, share in report.modality_share.items())
    console.print(f"modalities available (share of pixels looked at): {shares}")
    _say_classes(report)
    for zone in report.zones:
        areas = f"{zone['pixels']:,} pixels with a class, {zone['area_ha']:,.2f} ha"
        console.print(
            f"{zone['name']} ({zone['crs']}): {areas}, in {report.folder / zone['name']}", markup=False
        )
    console.print(f"pixels without a class: {_shares(report)}")
    console.print(f"{_rate(report)}, {report.seconds:.1f} s{_time(report)}")
    for name in report.files:
        console.print(f"wrote {report.folder / name}", markup=False)


def _rate(report: "MapReport") -> str:
    """How fast it was made, and what of it was there already."""
    kept = f"{report.kept:,} pixels were computed before" if report.kept else ""
    if report.px_per_s is None:
        return kept or "no pixel was computed"
    told = f"{report.px_per_s:,.0f} pixels/s"
    return f"{told} while tiles were computed ({kept})" if kept else told


def _time(report: "MapReport") -> str:
    """Where the time went."""
    shares = {name: share for name, share in report.time.items() if name != "read_ahead"}
    if not shares:
        return ""
    told = ", ".join(f"{name} {share:.0%}" for name, share in shares.items())
    return f": {told} ({report.time['read_ahead']:.0%} of reading was done meanwhile)"


def _shares(report: "MapReport") -> str:
    """Pixels without a class, by reason; inside the area with their share of it."""
    area = report.grid.width * report.grid.height - report.nodata["outside"]
    if report.zones:  # its grid is none that was counted on
        reasons = sum(pixels for reason, pixels in report.nodata.items() if reason != "outside")
        area = reasons + sum(each["pixels"] for each in report.classes)
    return ", ".join(
        f"{reason.replace('_', ' ')} {pixels:,}"
        + ("" if reason == "outside" else f" ({pixels / max(area, 1):.1%} of the area)")
        for reason, pixels in report.nodata.items()
    )


def _say_classes(report: "MapReport") -> None:
    from rich.table import Table
    from rich.text import Text

    from geocomiss.maps import AREA_NOTE

    total = sum(each["pixels"] for each in report.classes)
    table = Table(title=AREA_NOTE, title_justify="left")
    table.add_column("class")
    for heading in ("pixels", "hectares", "share"):
        table.add_column(heading, justify="right")
    for each in report.classes:
        name = Text.assemble(("■ ", each["color"]), each["name"])
        share = each["pixels"] / total if total else 0.0
        table.add_row(name, f"{each['pixels']:,}", f"{each['area_ha']:,.2f}", f"{share:.1%}")
    screen().print(table)
