"""Options of the commands that read labelled samples."""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final

import typer

from geocomiss_cli import completing, panels
from geocomiss_cli.checks import check_recipe

if TYPE_CHECKING:
    from geocomiss.recipes import Recipe
    from geocomiss.samples import Legend, Samples
    from geocomiss.seasons import Cycle

SAMPLES: Final = "Samples"
SIMULATED: Final = "simulated"
"""What --samples takes in place of a table."""
MAX_SEED: Final = 2**32 - 1
"""The largest seed that every library takes."""
LABEL: Final = "label"
"""Column of labels where none is named."""
NUMBER: Final = 4000
"""Simulated samples where no number is given."""
SEED: Final = 0
"""Seed of the simulated world where none is given."""
OTHER_SEED: Final = 2
"""The same for judging a model: another world than it was trained on."""

SamplesOption = Annotated[
    str,
    typer.Option(
        "--samples",
        help="A table (.npz; Parquet: ours, or WorldCereal's long or wide), a CropHarvest folder, "
        "or 'simulated'.",
        show_default=False,
        rich_help_panel=panels.INPUT,
    ),
]
LabelOption = Annotated[
    str | None,
    typer.Option(
        "--label",
        help="Column that holds the labels of classes.",
        show_default=LABEL,
        rich_help_panel=SAMPLES,
    ),
]
TargetOption = Annotated[
    str | None,
    typer.Option(
        "--target",
        metavar="COLUMN",
        help="Numeric column to predict by regression, instead of classes.",
        show_default="none",
        rich_help_panel=SAMPLES,
    ),
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
    int | None,
    typer.Option(
        "--n",
        min=10,
        help="Number of simulated samples.",
        show_default=str(NUMBER),
        rich_help_panel=SAMPLES,
    ),
]
SimSeedOption = Annotated[
    int | None,
    typer.Option(
        "--sim-seed",
        min=0,
        max=2**32 - 1,
        help="Seed of the simulated world.",
        show_default=f"{SEED}; of evaluate {OTHER_SEED}",
        rich_help_panel=SAMPLES,
    ),
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
SeasonOption = Annotated[
    str | None,
    typer.Option(
        "--season",
        help="Cut a table that holds more: 2017 (the recipe's or model's period that ends in 2017), "
        "2016-11:2017-10, or days.",
        show_default="all steps of the table",
        rich_help_panel=SAMPLES,
    ),
]
RecipeOption = Annotated[
    str,
    typer.Option(
        callback=check_recipe,
        help="How the table was made, where it does not say so itself.",
        autocompletion=completing.recipes,
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
    label: str | None
    """Column of labels; None where none was named."""
    legend: "Legend | None"
    """Already read."""
    group: str | None
    """Column of groups."""
    n: int | None
    """Simulated samples; None where no number was given."""
    sim_seed: int | None
    """Seed of the simulated world; None where none was given."""
    season: str | None
    """Period to cut the table to."""
    parity: bool = False
    """Whether filled-in steps are kept, as the papers do."""
    target: str | None = None
    """Numeric column to predict, in place of labels."""
    own_seed: int = SEED
    """Seed of the simulated world where none was given."""

    def __post_init__(self) -> None:
        """Refuse labels and a target at once, and choices of simulated samples for a table."""
        for option, number in (("--n", self.n), ("--sim-seed", self.sim_seed)):
            if number is not None and self.samples != SIMULATED:
                raise typer.BadParameter(f"{self.samples} is no simulated world", param_hint=option)
        for option, value in (("--label", self.label), ("--legend", self.legend)):
            if self.target is not None and value is not None:
                raise typer.BadParameter(f"a regression has no {option}", param_hint="--target")

    @property
    def column(self) -> str:
        """The column that is to be learnt or compared with."""
        return self.target or self.label or LABEL


def read_wanted(wanted: Wanted, recipe: "Recipe", cycle: "Cycle | None" = None) -> "Samples":
    """Read the samples that a user asked for.

    Args:
        wanted: What is asked for.
        recipe: How they were made, where they do not say so.
        cycle: Steps of a model that they must have.
    """
    from geocomiss.samples import SampleRequest, read_samples

    request = SampleRequest(
        wanted.samples, wanted.label or LABEL, wanted.legend, recipe, wanted.group,
        NUMBER if wanted.n is None else wanted.n,
        wanted.own_seed if wanted.sim_seed is None else wanted.sim_seed,
        wanted.season, cycle, wanted.parity, wanted.target,
    )  # fmt: skip
    return read_samples(request)


def legend_at(path: Path | None) -> "Legend | None":
    """The legend in a file, if there is one."""
    if path is None:
        return None
    from geocomiss.samples.legend import read_legend

    return read_legend(path)
