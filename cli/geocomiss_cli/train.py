"""`geocomiss train`: from labelled samples to a model."""

import json
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from geocomiss_cli import completing, panels
from geocomiss_cli import sampling as given
from geocomiss_cli.beginning import FromOption, FromRateOption, model_to_begin_from, say_beginning
from geocomiss_cli.options import Device, Overwrite
from geocomiss_cli.tables import scores_table
from geocomiss_cli.terminal import say_notes, screen
from geocomiss_cli.training_progress import shown_progress

if TYPE_CHECKING:
    from pydantic import JsonValue

    from geocomiss.checkpoint import Card
    from geocomiss.samples import Samples

OutOption = Annotated[
    Path, typer.Option(help="Folder for the model.", show_default=False, rich_help_panel=panels.WRITTEN)
]
MethodOption = Annotated[
    str,
    typer.Option(
        help="One of unimodal, fcom-av, timmil, dsensd, dsensd+, mdico, fullco, comiss, comiss+, and with "
        "--weights galileo, anysat.",
        autocompletion=completing.methods,
        rich_help_panel=panels.METHOD,
    ),
]
WeightsOption = Annotated[
    str | None,
    typer.Option(
        metavar="PATH",
        help="Published weights to begin from: of galileo a folder (config.json, encoder.pt), of anysat "
        "a file; 'fresh' for random ones. The trained model needs them no more.",
        show_default="none: a method of ours begins afresh",
        rich_help_panel=panels.METHOD,
    ),
]
FreezeOption = Annotated[
    bool,
    typer.Option(
        "--freeze",
        help="Leave the pretrained encoder as it is, train a linear layer on it.",
        rich_help_panel=panels.METHOD,
    ),
]
ChoiceOption = Annotated[
    list[str] | None,
    typer.Option(
        "--option",
        metavar="NAME=VALUE",
        help="A choice of the method, for example temperature=1; repeat for several. `geocomiss info "
        "comiss+` lists those of comiss+.",
        show_default="the method's own",
        rich_help_panel=panels.METHOD,
    ),
]
PresetOption = Annotated[
    str,
    typer.Option(
        help="Size of the encoders: 'full' as published, 'small' under 3 MB, 'compact' a fast student that "
        "learns from a full model trained before it (comiss, comiss+).",
        autocompletion=completing.presets,
        rich_help_panel=panels.METHOD,
    ),
]
EpochsOption = Annotated[
    int, typer.Option(min=1, help="Most passes; early stopping ends sooner.", rich_help_panel=panels.RUN)
]
BatchOption = Annotated[
    int, typer.Option(min=2, max=65536, help="Samples a training step.", rich_help_panel=panels.RUN)
]
RateOption = Annotated[
    float,
    typer.Option(min=1e-8, max=1.0, help="Learning rate of Adam, constant.", rich_help_panel=panels.RUN),
]
PatienceOption = Annotated[
    int,
    typer.Option(
        min=1,
        help="Epochs without improvement (0.01 of the monitored loss) after which training ends.",
        rich_help_panel=panels.RUN,
    ),
]
SeedOption = Annotated[
    int,
    typer.Option(
        min=0,
        max=given.MAX_SEED,
        help="Seed of weights, order, drop-out and splits.",
        rich_help_panel=panels.RUN,
    ),
]

ResumeOption = Annotated[
    bool,
    typer.Option(
        "--resume",
        help="Go on with the same training where it was interrupted, if it was.",
        rich_help_panel=panels.RUN,
    ),
]


def train(
    samples: given.SamplesOption,
    out: OutOption,
    label: given.LabelOption = None,
    target: given.TargetOption = None,
    legend: given.LegendOption = None,
    from_model: FromOption = None,
    method: MethodOption = "comiss+",
    weights: WeightsOption = None,
    freeze: FreezeOption = False,
    preset: PresetOption = "full",
    option: ChoiceOption = None,
    fold: given.FoldOption = None,
    group: given.GroupOption = None,
    season: given.SeasonOption = None,
    recipe: given.RecipeOption = "monthly-l2a",
    parity: given.ParityOption = False,
    n: given.NumberOption = None,
    sim_seed: given.SimSeedOption = None,
    epochs: EpochsOption = 100,
    batch_size: BatchOption = 128,
    learning_rate: FromRateOption = None,
    patience: PatienceOption = 5,
    seed: SeedOption = 0,
    device: Device = "auto",
    resume: ResumeOption = False,
    overwrite: Overwrite = False,
) -> None:
    """Train a model and score it on places it was not trained on.

    With --fold the samples of that fold are held out and scored. Without, a first run holds out
    about a fifth of the samples in whole spatial groups; the model itself then learns from all.
    With --target a number is predicted instead of a class; such a model is evaluated, not mapped.
    Beside --out, OUT.partial keeps the state after each epoch until the model is written.
    """
    from geocomiss.checkpoint import check_free, write_checkpoint
    from geocomiss.inference import device_named
    from geocomiss.methods import check_weights_given, checked_options
    from geocomiss.recipes import recipe_named
    from geocomiss.training import Settings, TrainRequest, check_unfinished, draw_curve, forget, train_model
    from geocomiss.training import unfinished_folder as folder_of
    from geocomiss.training.finetune import LATER_RATE

    decided = {"--method": method != "comiss+", "--weights": bool(weights), "--freeze": freeze}
    decided |= {"--preset": preset != "full", "--option": bool(option)}
    start = model_to_begin_from(from_model, decided)
    check_free(out, overwrite)
    check_unfinished(state := folder_of(out), resume, overwrite)
    options = {"preset": preset, **choices_of(option or [])}
    options |= {"weights": weights} if weights else {}
    options |= {"freeze": True} if freeze else {}
    method, options = (start.card.method, start.card.options) if start else (method, options)
    checked_options(method, options)
    check_weights_given(method, options)
    classes = given.legend_at(legend)
    wanted = given.Wanted(samples, label, classes, group, n, sim_seed, season, parity, target)
    made, cycle = (start.card.recipe, start.card.cycle) if start else (recipe_named(recipe), None)
    table = given.read_wanted(wanted, made, cycle)
    say_table(table)
    if start:
        say_beginning(start, set(table.labels.tolist()))
    rate = learning_rate or (LATER_RATE if start else Settings.learning_rate)
    settings = Settings(epochs, batch_size, rate, patience, seed=seed, device=device_named(device))
    request = TrainRequest(wanted.column, classes, method, options, fold, settings, start)
    if not resume:
        forget(state)  # only now, when nothing is left to be refused
    with shown_progress() as tell:
        trained = train_model(table, request, tell, state)
    curve = draw_curve(trained.history)
    card = write_checkpoint(out, trained.card, trained.method, overwrite, curve, trained.applicability)
    forget(state)
    _say_card(card, out)
    say_notes(few_to_calibrate(card), [])


def choices_of(pairs: list[str]) -> "dict[str, JsonValue]":
    """NAME=VALUE as a mapping; values are numbers and true or false where they read like it.

    What has an option of its own is refused: it would be said twice.
    """
    choices: dict[str, JsonValue] = {}
    for pair in pairs:
        name, separator, text = pair.partition("=")
        if not (name and separator):
            raise typer.BadParameter(f"{pair!r} is not NAME=VALUE", param_hint="--option")
        if name in ("preset", "weights", "freeze"):
            raise typer.BadParameter(f"{name} is an option of its own, --{name}", param_hint="--option")
        try:
            choices[name] = json.loads(text)
        except ValueError:
            choices[name] = text
    return choices


def _say_card(card: "Card", out: Path) -> None:
    console = screen()
    if card.scores:
        console.print(scores_table(card.scores, tuple(card.bands)))
        console.print(f"scored on {card.scores.protocol}.", markup=False)
    if teacher := card.training.distilled:
        console.print(
            f"distilled from {teacher.method} of preset {teacher.options['preset']}: "
            f"{teacher.own_parameters:,} weights learnt from {teacher.parameters:,}",
            markup=False,
        )
    what = f"predicts {card.target.name}" if card.target else f"{len(card.classes)} classes"
    console.print(f"wrote {out} ({what}, epoch {card.training.epochs})", markup=False)


def say_table(table: "Samples") -> None:
    """What was read: its size, bands, recipe, calendar and notes."""
    console = screen()
    console.print(
        f"{table.name}: {len(table)} samples, {_what(table)}, grouped by {table.grouped_by}", markup=False
    )
    for name, bands in table.bands.items():
        console.print(f"{name}: {' '.join(bands)}")
    recipe = table.recipe
    origin = "stated by the table" if table.recipe_stated else "assumed, see --recipe"
    products = f"{recipe.s2_level}, {recipe.s1_product}, {recipe.weather_product}, {recipe.terrain_product}"
    console.print(f"recipe: {recipe.name} ({products}), {origin}")
    console.print(f"calendar: {table.calendar}")
    simulated = ("these samples come from the simulated world",) if table.simulated else ()
    say_notes([*table.notes, *simulated], lonely(table))


def lonely(table: "Samples") -> list[str]:
    """A warning where classes have a single sample."""
    counts = Counter(table.labels.tolist()) if table.target is None else Counter()
    names = ", ".join(sorted(str(name) for name, number in counts.items() if number == 1))
    return [f"a single sample of {names}: with one a class is either learnt or tested"] if names else []


def _what(table: "Samples") -> str:
    """What is to be learnt, in words."""
    target = table.target
    if target is None:
        return f"{len(set(table.labels.tolist()))} classes"
    return f"target {target.min():.4g} to {target.max():.4g} (mean {target.mean():.4g})"


def few_to_calibrate(card: "Card") -> list[str]:
    """A note where few samples told how sure the model may be."""
    from geocomiss.calibration import caution

    said = card.calibration and caution(card.calibration)
    return [said] if said else []
