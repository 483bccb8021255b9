"""`geocomiss assess`: accuracy and area of a map, from reference points."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final, Literal, cast, get_args

import typer

from geocomiss_cli import panels
from geocomiss_cli import sampling as given
from geocomiss_cli.terminal import say_notes, screen

if TYPE_CHECKING:
    from geocomiss.accuracy import Assessment, ClassFigures
    from geocomiss.footprint import Footprint

Design = Literal["simple", "stratified", "cluster"]
"""As `geocomiss.accuracy.Design`, which would import too much for `--help`."""
UnknownLabels = Literal["refuse", "count"]
"""What happens with labels that the map does not know."""
POINTS: Final = "Reference points"
DRAWN: Final = "How they were drawn"
MORE: Final = "What is looked at"


def check_design(text: str | None) -> str | None:
    """Hold `--design` to its values."""
    if text is not None and text not in get_args(Design):
        raise typer.BadParameter(f"{text!r} is none of {', '.join(get_args(Design))}.")
    return text


def check_unknown(text: str) -> str:
    """Hold `--unknown-labels` to its values."""
    if text not in get_args(UnknownLabels):
        raise typer.BadParameter(f"{text!r} is none of {', '.join(get_args(UnknownLabels))}.")
    return text


def assess(
    map_folder: Annotated[
        Path,
        typer.Option(
            "--map", help="Folder of a finished map.", show_default=False, rich_help_panel=panels.INPUT
        ),
    ],
    reference: Annotated[
        Path,
        typer.Option(
            help="Vector file with a labelled point at each reference pixel, any CRS; as `geocomiss design` "
            "draws it, or your own.",
            show_default=False,
            rich_help_panel=POINTS,
        ),
    ],
    out: Annotated[
        Path,
        typer.Option(
            help="Folder for the report (Markdown, CSV, figure).",
            show_default=False,
            rich_help_panel=panels.WRITTEN,
        ),
    ],
    label: Annotated[
        str, typer.Option(help="Column with the class found at each point.", rich_help_panel=POINTS)
    ] = "label",
    legend: given.LegendOption = None,
    unknown_labels: Annotated[
        str,
        typer.Option(
            metavar="|".join(get_args(UnknownLabels)),
            callback=check_unknown,
            help="Labels that the map does not know: refuse them, or count them as classes that it lacks.",
            rich_help_panel=POINTS,
        ),
    ] = "refuse",
    model: Annotated[
        str | None,
        typer.Option(
            help="Checkpoint that made the map: points on or beside its training samples, and in the "
            "polygons that these were drawn in, are left out.",
            show_default="not checked",
            rich_help_panel=POINTS,
        ),
    ] = None,
    allow_training_points: Annotated[
        bool,
        typer.Option(
            "--allow-training-points",
            help="Use points on training samples, too; accuracies are then too high.",
            rich_help_panel=POINTS,
        ),
    ] = False,
    design: Annotated[
        str | None,
        typer.Option(
            metavar="|".join(get_args(Design)),
            callback=check_design,
            help="Points at random over the map, at random within strata, or random clusters of points.",
            show_default="as the file's column `design` says",
            rich_help_panel=DRAWN,
        ),
    ] = None,
    stratum: Annotated[
        str | None,
        typer.Option(
            metavar="COLUMN",
            help="Column with strata other than the map's classes.",
            show_default="`stratum` where the sizes of its strata are known, else the map's classes",
            rich_help_panel=DRAWN,
        ),
    ] = None,
    strata_sizes: Annotated[
        Path | None,
        typer.Option(
            help="CSV with the sizes of these strata: stratum and pixels or area_ha.",
            show_default="columns stratum_pixels or stratum_ha of the points",
            rich_help_panel=DRAWN,
        ),
    ] = None,
    cluster: Annotated[
        str, typer.Option(metavar="COLUMN", help="Column with clusters.", rich_help_panel=DRAWN)
    ] = "cluster",
    not_a_probability_sample: Annotated[
        bool,
        typer.Option(
            "--not-a-probability-sample",
            help="The points were chosen, not drawn: show the points' accuracies, without errors and areas.",
            rich_help_panel=DRAWN,
        ),
    ] = False,
    domains: Annotated[
        Path | None,
        typer.Option(
            help="Vector file with districts: accuracy and area for each, too.",
            show_default="none",
            rich_help_panel=MORE,
        ),
    ] = None,
    domain_name: Annotated[
        str | None,
        typer.Option(
            metavar="COLUMN",
            help="Column with their names.",
            show_default="`name`, else the first with text",
            rich_help_panel=MORE,
        ),
    ] = None,
    overwrite: Annotated[
        bool, typer.Option("--overwrite", help="Replace the report in --out.", rich_help_panel=panels.RUN)
    ] = False,
) -> None:
    """Say how good a map is and how many hectares there are, with 95 % intervals.

    Errors and areas need a probability sample: draw one with `geocomiss design`, or say with --design how
    yours was drawn. A column `inclusion_probability`, where there is one, weighs the points.
    """
    from geocomiss.accuracy import AssessRequest, assess_map, check_out, write_assessment

    if not_a_probability_sample and design is not None:
        raise typer.BadParameter("--design and --not-a-probability-sample exclude each other.")
    check_out(out, overwrite)
    chosen = given.legend_at(legend)
    request = AssessRequest(
        map=map_folder,
        reference=reference,
        design=cast(Design | None, design),
        probability_sample=not not_a_probability_sample,
        label=label,
        legend=chosen.classes if chosen else None,
        unknown_labels=cast(UnknownLabels, unknown_labels),
        stratum=stratum,
        strata_sizes=strata_sizes,
        cluster=cluster,
        domains=domains,
        domain_name=domain_name,
        model=model,
        footprint=_footprint(model, map_folder),
        allow_training_points=allow_training_points,
    )
    found = assess_map(request)
    files = write_assessment(found, out)
    _say(found)
    for path in files:
        screen().print(f"wrote {path}", markup=False)


def _footprint(model: str | None, map_folder: Path) -> "Footprint | None":
    """Where the training samples of a map's model lie; None where the card does not say."""
    if model is None:
        return None
    from geocomiss.checkpoint import read_card
    from geocomiss.errors import CheckpointError
    from geocomiss.maps import read_summary

    card = read_card(model)
    made_by = read_summary(map_folder).get("model", {}).get("sha256")
    if made_by != card.model_sha256:
        raise CheckpointError(
            f"the map was not made by {model} (weights {made_by}, not {card.model_sha256})",
            expected="the model that made the map",
            todo="correct --model, or leave it out",
        )
    return card.training.places


def _say(found: "Assessment") -> None:
    from geocomiss.accuracy import worded

    console = screen()
    console.print(_classes_table(found), soft_wrap=False)
    console.print(f"overall accuracy: {worded(found.whole.overall)}")
    for part in found.patterns if len(found.patterns) > 1 else ():
        accuracy = worded(part.overall) if part.enough else "too few to tell"
        console.print(f"{part.name}: {part.mapped_ha:,.1f} ha, {part.points} points, {accuracy}")
    for part in found.districts:
        accuracy = worded(part.overall) if part.enough else "too few: mapped area only"
        console.print(f"{part.name}: {part.points} points, {accuracy}", markup=False)
    say_notes(list(found.notes), list(found.warnings))


def _classes_table(found: "Assessment") -> object:
    from rich import box
    from rich.table import Table
    from rich.text import Text

    title = f"{found.design} sample" if found.design else "NOT A PROBABILITY SAMPLE"
    table = Table(title=title, title_justify="left", box=box.SIMPLE, pad_edge=False)  # fits 80 columns
    areas = ("hectares", "95 % interval") if found.design else ()
    for heading in ("class", "mapped", *areas, "user's", "producer's", "n"):
        table.add_column(heading, justify="left" if heading == "class" else "right", overflow="fold")
    for each in found.whole.classes:
        table.add_row(*(Text(cell) for cell in _cells(each, bool(areas))))
    if found.design:
        table.caption = "~ cautious: the usual interval is too short here. ± is 1.96 standard errors."
    return table


def _cells(each: "ClassFigures", areas: bool) -> list[str]:
    from geocomiss.accuracy import worded

    cells = [each.name, f"{each.mapped_ha:,.1f}"]
    if areas and each.area:
        low, high = each.area.interval
        mark = "~" if each.area.advised == "cautious" else ""
        cells += [f"{each.area.hectares:,.1f}", f"{mark}{low:,.1f}–{high:,.1f}"]
    accuracies = [worded(one, 2).replace(" ", "") for one in (each.users, each.producers)]
    return [*cells, *accuracies, str(each.reference_points)]
