"""`geocomiss doctor`: is everything in place, and what to do where it is not."""

import json
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer

from geocomiss_cli import earth_engine as engine
from geocomiss_cli import panels
from geocomiss_cli.terminal import screen

if TYPE_CHECKING:
    from collections.abc import Sequence

    from geocomiss.doctor.against import Agreement, Comparison
    from geocomiss.doctor.finding import Finding

WRONG: Final = 1
"""Exit code where something is wrong, or an export does not agree."""
COLORS: Final = {"fine": "green", "note": "yellow", "wrong": "bold red"}


def doctor(
    folder: Annotated[
        Path,
        typer.Option(
            help="Where results will be written: is there room?",
            show_default="here",
            rich_help_panel=panels.INPUT,
        ),
    ] = Path(),
    ee_live: Annotated[
        bool,
        typer.Option(
            "--ee-live",
            help="Also ask Earth Engine something, with your project and credentials.",
            rich_help_panel=engine.EARTH_ENGINE,
        ),
    ] = False,
    against: Annotated[
        Path | None,
        typer.Option(
            metavar="EXPORT.tif",
            help="With --ee-live: fetch the box and season of a real CropHarvest export by the recipe "
            "cropharvest, and compare every band (about 40 requests of a few pixels).",
            show_default="no comparison",
            rich_help_panel=engine.EARTH_ENGINE,
        ),
    ] = None,
    ee_project: engine.EeProject = None,
    ee_credentials: engine.EeCredentials = "auto",
    ee_url: engine.EeUrl = None,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print JSON, for machines.", rich_help_panel=panels.WRITTEN)
    ] = False,
) -> None:
    """Check the installation and the machine, and say what to do; exit code 1 where something is wrong.

    Without --ee-live nothing leaves this machine. Credentials are looked for, never read or printed.

    Example: geocomiss doctor --ee-live --against 98-togo_2019-02-06_2020-02-01.tif
    """
    from geocomiss.doctor.installation import check_installation
    from geocomiss.sources.base import EarthEngine

    if against is not None and not ee_live:
        raise typer.BadParameter("a comparison asks Earth Engine: add --ee-live", param_hint="--against")
    options = EarthEngine(ee_project, ee_url, ee_credentials)
    findings = list(check_installation(folder, options))
    comparison = None
    if ee_live and not any(each.level == "wrong" for each in findings):
        from geocomiss.doctor.against import compare
        from geocomiss.doctor.live import check_earth_engine

        findings.append(check_earth_engine(options))
        if against is not None and findings[-1].level != "wrong":
            comparison = compare(against, options)
    if as_json:
        _say_json(findings, comparison)
    else:
        _say_findings(findings)
        if comparison:
            _say_comparison(comparison)
    if any(each.level == "wrong" for each in findings) or (comparison and not comparison.agrees):
        raise typer.Exit(WRONG)


def _say_json(findings: "Sequence[Finding]", comparison: "Comparison | None") -> None:
    told: dict[str, Any] = {"findings": [asdict(each) for each in findings]}
    if comparison:
        bands = [_row(each) for each in comparison.bands]
        told["comparison"] = asdict(comparison) | {"bands": bands, "agrees": comparison.agrees}
    typer.echo(json.dumps(told, indent=2))


def _row(band: "Agreement") -> dict[str, Any]:
    """A band, with null where there is no number."""
    values = asdict(band) | {"agrees": band.agrees}
    return {key: None if value != value else value for key, value in values.items()}


def _say_findings(findings: "Sequence[Finding]") -> None:
    from rich.table import Table
    from rich.text import Text

    table = Table(show_header=False, box=None)
    for each in findings:
        lines = Text(each.found)
        if each.todo:
            lines.append(f"\n{each.todo}", style=COLORS[each.level])
        table.add_row(Text(each.level, style=COLORS[each.level]), Text(each.what), lines)
    screen().print(table, soft_wrap=False)


def _say_comparison(comparison: "Comparison") -> None:
    from rich.table import Table
    from rich.text import Text

    title = (
        f"{comparison.export}: {comparison.pixels} pixels, {comparison.steps} steps, "
        f"radar passes: {comparison.radar_pass}"
    )
    table = Table(title=Text(title), title_justify="left")
    table.add_column("band")
    for heading in ("values", "agree", "median difference", "largest", "only in the export"):
        table.add_column(heading, justify="right")
    for each in comparison.bands:
        style = "" if each.agrees else COLORS["wrong"]
        row = (f"{each.values:,}", f"{each.share:.1%}", f"{each.median:.4g}", f"{each.largest:.4g}")
        table.add_row(each.band, *row, f"{each.only_export:,}", style=style)
    console = screen()
    console.print(table, soft_wrap=False)
    if comparison.agrees:
        console.print("Earth Engine makes what the export holds.", style=COLORS["fine"])
        return
    differ = ", ".join(each.band for each in comparison.bands if not each.agrees)
    console.print(
        f"Other values in {differ}: do not map from Earth Engine with a model trained on CropHarvest before "
        "it is known why; please report this table.",
        style=COLORS["wrong"],
    )
