"""`geocomiss design`: draw a validation sample from a map."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final, Literal, cast, get_args

import typer

from geocomiss_cli import panels
from geocomiss_cli.terminal import screen

if TYPE_CHECKING:
    from geocomiss.accuracy import ClusterReport, DesignReport

Rule = Literal["proportional", "equal", "neyman"]
"""As `geocomiss.accuracy.Allocation`, which would import too much for `--help`."""
EXPECTED: Final = 0.8


def check_rule(text: str) -> str:
    """Hold `--allocation` to its values."""
    if text not in get_args(Rule):
        raise typer.BadParameter(f"{text!r} is none of {', '.join(get_args(Rule))}.")
    return text


def check_expected(entries: list[str] | None) -> list[str]:
    """Hold `--expect` to NUMBER or CLASS=NUMBER."""
    expected_of(entries or [])
    return entries or []


def expected_of(entries: list[str]) -> tuple[dict[str, float], float]:
    """Expected user's accuracies by class, and the one of all others."""
    named: dict[str, float] = {}
    others = EXPECTED
    for entry in entries:
        name, _, number = entry.rpartition("=")
        try:
            value = float(number)
        except ValueError:
            value = 0.0
        if not 0 < value < 1:
            raise typer.BadParameter(f"{entry!r} is neither an accuracy between 0 and 1 nor CLASS=ACCURACY.")
        if name:
            named[name] = value
        else:
            others = value
    return named, others


def design(
    map_folder: Annotated[
        Path,
        typer.Option(
            "--map", help="Folder of a finished map.", show_default=False, rich_help_panel=panels.INPUT
        ),
    ],
    out: Annotated[
        Path,
        typer.Option(help="GeoPackage to write, *.gpkg.", show_default=False, rich_help_panel=panels.WRITTEN),
    ],
    n: Annotated[
        int | None,
        typer.Option(
            min=2, help="Points in all.", show_default="--target-se decides", rich_help_panel=panels.SIZE
        ),
    ] = None,
    target_se: Annotated[
        float | None,
        typer.Option(
            min=0.0001,
            max=0.5,
            help="As many points as this standard error of overall accuracy takes, such as 0.02.",
            show_default="--n decides",
            rich_help_panel=panels.SIZE,
        ),
    ] = None,
    allocation: Annotated[
        str,
        typer.Option(
            metavar="|".join(get_args(Rule)),
            callback=check_rule,
            help="Points of a class by its area, the same for each, or by area times the standard "
            "deviation to expect (Neyman; see --expect).",
            rich_help_panel=panels.SIZE,
        ),
    ] = "proportional",
    expect: Annotated[
        list[str] | None,
        typer.Option(
            metavar="CLASS=ACCURACY",
            callback=check_expected,
            help="User's accuracy that you expect of a class, between 0 and 1; a bare number is for all "
            "others. Repeatable. For neyman and --target-se.",
            show_default=f"{EXPECTED}",
            rich_help_panel=panels.SIZE,
        ),
    ] = None,
    min_per_class: Annotated[
        int,
        typer.Option(
            min=2,
            help="Points that each class gets at least. 50 make good intervals.",
            rich_help_panel=panels.SIZE,
        ),
    ] = 10,
    clusters: Annotated[
        float | None,
        typer.Option(
            min=0,
            metavar="SIDE",
            help="Draw squares of this side instead (metres for UTM), and pixels in each: less travel, wider "
            "intervals. Takes --n and --per-cluster.",
            show_default="points all over the map, by class",
            rich_help_panel=panels.CLUSTERS,
        ),
    ] = None,
    per_cluster: Annotated[
        int, typer.Option(min=1, help="Points in each square of --clusters.", rich_help_panel=panels.CLUSTERS)
    ] = 10,
    seed: Annotated[int, typer.Option(min=0, help="Seed of the draw.", rich_help_panel=panels.RUN)] = 0,
    overwrite: Annotated[
        bool,
        typer.Option(
            "--overwrite", help="Replace --out, with the labels it may hold.", rich_help_panel=panels.RUN
        ),
    ] = False,
) -> None:
    """Draw a validation sample: random pixels within each class of a map, ready to be labelled.

    Fill in the column `label` of the layer `points` (field work, or looking at images; the layer `pixels`
    outlines what a label is for), then give the file to `geocomiss assess`: how the points were drawn
    stands in its columns. The file does not name the mapped class (`stratum` is its number), and points
    come in random order, so that nobody is led.
    """
    from geocomiss.accuracy import ClusterRequest, DesignRequest, draw_clusters, draw_sample

    if clusters is not None:
        if n is None:
            raise typer.BadParameter("--clusters needs --n.")
        squares = ClusterRequest(map_folder, out, n, clusters, per_cluster, seed, overwrite)
        _say_clusters(draw_clusters(squares))
        return
    if (n is None) == (target_se is None):
        raise typer.BadParameter("give either --n or --target-se.")
    named, others = expected_of(expect or [])
    request = DesignRequest(
        map=map_folder,
        out=out,
        n=n,
        target_se=target_se,
        allocation=cast(Rule, allocation),
        expected=named,
        expected_default=others,
        at_least=min_per_class,
        seed=seed,
        overwrite=overwrite,
    )
    _say(draw_sample(request))


def _say_clusters(report: "ClusterReport") -> None:
    console = screen()
    console.print(f"{report.n:,} points in {report.drawn:,} of {report.squares:,} squares")
    console.print(f"wrote {report.path}", markup=False)
    console.print(f"fill in its column `label`, then: geocomiss assess --map MAP --reference {report.path}")


def _say(report: "DesignReport") -> None:
    from rich.table import Table
    from rich.text import Text

    console = screen()
    table = Table(title=f"{report.n:,} points", title_justify="left")
    for heading in ("class", "mapped ha", "points", "expected user's accuracy", "± (95 %)"):
        table.add_column(heading, justify="left" if heading == "class" else "right")
    for each in report.strata:
        error = 1.96 * (each.expected * (1 - each.expected) / each.points) ** 0.5
        name, area = Text(each.name), f"{each.hectares:,.1f}"
        table.add_row(name, area, f"{each.points:,}", f"{each.expected:.2f}", f"{error:.2f}")
    console.print(table, soft_wrap=False)
    console.print(f"overall accuracy to expect: ± {1.96 * report.overall_se:.3f} (95 %)")
    console.print(f"wrote {report.path}", markup=False)
    console.print(f"fill in its column `label`, then: geocomiss assess --map MAP --reference {report.path}")
