"""Options of the commands that read labelled samples."""

from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final

import typer

from geocomiss_cli.options import check_recipe

if TYPE_CHECKING:
    from geocomiss.recipes import Recipe
    from geocomiss.samples import Legend, Samples

SAMPLES: Final = "Samples"

SamplesOption = Annotated[
    str, typer.Option("--samples", help="An .npz table, or 'simulated'.", show_default=False)
]
LabelOption = Annotated[
    str, typer.Option("--label", help="Column that holds the labels.", rich_help_panel=SAMPLES)
]
LegendOption = Annotated[
    Path | None,
    typer.Option(
        "--legend",
        help="CSV with the columns label,class[,color]: merges labels into classes, leaves out the rest.",
        show_default="labels as they are",
        rich_help_panel=SAMPLES,
    ),
]
NumberOption = Annotated[
    int, typer.Option("--n", min=10, help="Number of simulated samples.", rich_help_panel=SAMPLES)
]
SimSeedOption = Annotated[
    int, typer.Option("--sim-seed", min=0, help="Seed of the simulated world.", rich_help_panel=SAMPLES)
]
FoldOption = Annotated[
    str | None,
    typer.Option(
        "--fold",
        metavar="KEY=VALUE",
        help="Samples with this value in a column: held out by train, the only ones scored by evaluate.",
        show_default="none",
        rich_help_panel=SAMPLES,
    ),
]
GroupOption = Annotated[
    str | None,
    typer.Option(
        "--group",
        metavar="KEY",
        help="Column of spatial groups; samples of one group stay together.",
        show_default="cells of a global grid",
        rich_help_panel=SAMPLES,
    ),
]
RecipeOption = Annotated[
    str,
    typer.Option(
        callback=check_recipe,
        help="How the table was made, where it does not say so itself.",
        rich_help_panel=SAMPLES,
    ),
]
ParityOption = Annotated[
    bool,
    typer.Option(
        "--parity",
        help="Keep copied radar steps and cloudy optical steps of gap-filled exports, as the papers do.",
        rich_help_panel=SAMPLES,
    ),
]


@dataclass(frozen=True)
class Wanted:
    """The options above, together."""

    samples: str
    """File or 'simulated'."""
    label: str
    """Column."""
    legend: "Legend | None"
    """Already read."""
    group: str | None
    """Column of groups."""
    n: int
    """Simulated samples."""
    sim_seed: int
    """Seed of the simulated world."""


def read_wanted(wanted: Wanted, recipe: "Recipe") -> "Samples":
    """Read the samples that a user asked for."""
    from geocomiss.samples import SampleRequest, read_samples

    request = SampleRequest(
        wanted.samples, wanted.label, wanted.legend, recipe, wanted.group, wanted.n, wanted.sim_seed
    )
    return read_samples(request)


def legend_at(path: Path | None) -> "Legend | None":
    """The legend in a file, if there is one."""
    if path is None:
        return None
    from geocomiss.samples.legend import read_legend

    return read_legend(path)


def recipe_for(name: str, parity: bool) -> "Recipe":
    """A recipe of the table, with nothing screened where parity with the papers is wanted."""
    from geocomiss.recipes import recipe_named

    recipe = recipe_named(name)
    return replace(recipe, screened=False) if parity else recipe
