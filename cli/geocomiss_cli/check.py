"""`geocomiss check`: how good are the samples?"""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from geocomiss_cli import completing, panels
from geocomiss_cli import sampling as given
from geocomiss_cli.options import Device, Overwrite
from geocomiss_cli.terminal import say_notes, screen
from geocomiss_cli.training_progress import shown_progress

if TYPE_CHECKING:
    from geocomiss.quality import Checked

OutOption = Annotated[
    Path,
    typer.Option(
        help="Folder for the check (Markdown, CSV, figure, GeoPackage).",
        show_default=False,
        rich_help_panel=panels.WRITTEN,
    ),
]
MethodOption = Annotated[
    str,
    typer.Option(
        help="Method that predicts samples out of fold, in its small width.",
        autocompletion=completing.methods,
        rich_help_panel=panels.METHOD,
    ),
]
EpochsOption = Annotated[
    int, typer.Option(min=1, help="Most passes; early stopping ends sooner.", rich_help_panel=panels.RUN)
]
SeedOption = Annotated[int, typer.Option(min=0, help="Seed of these models.", rich_help_panel=panels.RUN)]


def check(
    samples: given.SamplesOption,
    out: OutOption,
    label: given.LabelOption = None,
    legend: given.LegendOption = None,
    group: given.GroupOption = None,
    season: given.SeasonOption = None,
    recipe: given.RecipeOption = "monthly-l2a",
    n: given.NumberOption = None,
    sim_seed: given.SimSeedOption = None,
    method: MethodOption = "comiss",
    epochs: EpochsOption = 100,
    seed: SeedOption = 0,
    device: Device = "auto",
    overwrite: Overwrite = False,
) -> None:
    """Look for labels that are probably wrong, classes out of balance, and samples that repeat each other.

    Models are trained on all spatial groups but some, and predict those (5 folds); labels that contradict
    confident predictions are listed (confident learning). Nothing is changed: look at them first.
    """
    from geocomiss.inference import device_named
    from geocomiss.quality import CheckRequest, check_out, check_samples, write_check
    from geocomiss.recipes import recipe_named
    from geocomiss.training import Settings

    check_out(out, overwrite)
    classes = given.legend_at(legend)
    wanted = given.Wanted(samples, label, classes, group, n, sim_seed, season)
    table = given.read_wanted(wanted, recipe_named(recipe))
    settings = Settings(epochs=epochs, seed=seed, device=device_named(device))
    with shown_progress() as tell:
        found = check_samples(table, CheckRequest(classes, method, settings), tell)
    files = write_check(found, out)
    _say(found)
    for path in files:
        screen().print(f"wrote {path}", markup=False)


def _say(found: "Checked") -> None:
    from rich.table import Table
    from rich.text import Text

    console = screen()
    table = Table()
    for heading in ("class", "samples", "groups", "look wrong", "clearly", "mostly like"):
        table.add_column(heading, justify="left" if heading in ("class", "mostly like") else "right")
    for each in found.classes:
        table.add_row(
            Text(each.name),
            f"{each.n:,}",
            f"{each.groups:,}",
            f"{each.suspicious:,}",
            f"{each.clear:,}",
            Text(each.mistaken_for),
        )
    console.print(table, soft_wrap=False)
    console.print(f"out-of-fold accuracy {found.accuracy:.3f} ({found.protocol})", markup=False)
    console.print(f"{len(found.suspicions):,} labels look wrong, {found.clear:,} of them clearly")
    say_notes([], list(found.warnings))
