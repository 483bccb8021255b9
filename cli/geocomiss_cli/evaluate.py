"""`geocomiss evaluate`: scores of a model for every pattern of available modalities."""

from pathlib import Path
from typing import Annotated

import typer

from geocomiss_cli import panels
from geocomiss_cli import sampling as given
from geocomiss_cli.options import Device, Priors
from geocomiss_cli.tables import scores_table
from geocomiss_cli.terminal import say_notes, screen


def evaluate(
    model: Annotated[
        str,
        typer.Option(
            help="Checkpoint folder, or a shipped one.", show_default=False, rich_help_panel=panels.MODEL
        ),
    ],
    samples: given.SamplesOption,
    label: given.LabelOption = None,
    target: given.TargetOption = None,
    legend: given.LegendOption = None,
    fold: given.FoldOption = None,
    season: given.SeasonOption = None,
    n: given.NumberOption = None,
    sim_seed: given.SimSeedOption = None,
    json: Annotated[
        Path | None,
        typer.Option(
            "--json", help="File for the scores.", show_default="none", rich_help_panel=panels.WRITTEN
        ),
    ] = None,
    priors: Priors = None,
    device: Device = "auto",
) -> None:
    """Score a model on labelled samples it was not trained on.

    Modalities are taken away from all samples alike, in every combination. --fold KEY=VALUE scores
    only those samples. Samples of classes that the model does not know are left out. A model that
    predicts a value is compared with the column of that name, or with --target.

    ECE is the expected calibration error: how far confidence is from the share of samples that are right,
    before calibration and as maps show it. With --priors all scores are of the most probable class under
    these shares, on the samples as they are.
    """
    from geocomiss.checkpoint import read_checkpoint
    from geocomiss.evaluation import evaluate_model, write_scores
    from geocomiss.inference import device_named
    from geocomiss.samples.folds import fold_of

    checkpoint = read_checkpoint(model)
    classes, predicted = given.legend_at(legend), checkpoint.card.target
    if predicted and target is None and label is None:
        target = predicted.name
    wanted = given.Wanted(
        samples, label, classes, None, n, sim_seed, season, target=target, own_seed=given.OTHER_SEED
    )
    table = given.read_wanted(wanted, checkpoint.card.recipe, checkpoint.card.cycle)
    chosen = table.take(fold_of(table, fold)) if fold else table
    found = evaluate_model(checkpoint, chosen, device_named(device), priors)
    say_notes(list(table.notes), list(found.warnings))
    console = screen()
    console.print(scores_table(found.scores, tuple(checkpoint.card.bands)))
    console.print(f"scored on {found.scores.protocol}")
    if json is not None:
        write_scores(found.scores, json)
        console.print(f"wrote {json}", markup=False)
