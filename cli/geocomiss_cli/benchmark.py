"""`geocomiss benchmark`: all methods trained and compared on the same folds, as the poster's table."""

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from geocomiss_cli import completing, panels
from geocomiss_cli import sampling as given
from geocomiss_cli.options import Device
from geocomiss_cli.tables import comparison_table
from geocomiss_cli.terminal import say_notes, screen
from geocomiss_cli.train import (
    BatchOption,
    ChoiceOption,
    EpochsOption,
    PatienceOption,
    PresetOption,
    RateOption,
    choices_of,
    say_table,
)

if TYPE_CHECKING:
    from geocomiss.benchmarking import BenchmarkRequest, Results
    from geocomiss.samples import Samples

OutOption = Annotated[
    Path,
    typer.Option(
        help="Folder for tables, figures and runs; given again, it goes on.",
        show_default=False,
        rich_help_panel=panels.WRITTEN,
    ),
]
MethodsOption = Annotated[
    str,
    typer.Option(
        help="Names joined by commas, or 'all': every method, and the baselines that are installed. "
        "galileo-probe and anysat-probe have a frozen encoder; comiss-compact, comiss+-compact are compact.",
        autocompletion=completing.contenders,
        rich_help_panel=panels.CONTENDERS,
    ),
]
WeightsOption = Annotated[
    list[str] | None,
    typer.Option(
        metavar="METHOD=PATH",
        help="Published weights of galileo (a folder) or anysat (a file); repeat for both.",
        show_default="without them these two take no part",
        rich_help_panel=panels.CONTENDERS,
    ),
]
AblateOption = Annotated[
    bool,
    typer.Option(
        "--ablate",
        help="Also compare each method with itself without one part in turn.",
        rich_help_panel=panels.CONTENDERS,
    ),
]
FoldsOption = Annotated[
    str,
    typer.Option(
        metavar="random|spatial|KEY",
        help="Whole spatial groups, a column of the table, or random (only for parity with the poster).",
        rich_help_panel=panels.FOLDS,
    ),
]
FoldCountOption = Annotated[
    int | None,
    typer.Option(
        min=2,
        max=100,
        help="Number of folds.",
        show_default="5 spatial, 10 random",
        rich_help_panel=panels.FOLDS,
    ),
]
SeedsOption = Annotated[str, typer.Option(help="Seeds joined by commas.", rich_help_panel=panels.FOLDS)]
GapsOption = Annotated[
    str | None,
    typer.Option(
        metavar="TABLE",
        help="Samples whose cloud gaps are transplanted, for F1 by valid steps.",
        show_default="the table itself",
        rich_help_panel=panels.AVAILABILITY,
    ),
]
FewOption = Annotated[
    int | None,
    typer.Option(
        min=2,
        help="Learn from at most this many labels of each class, drawn anew with each seed: what few labels "
        "would give.",
        show_default="all outside a fold",
        rich_help_panel=panels.FOLDS,
    ),
]
PatternsOption = Annotated[
    bool,
    typer.Option(
        "--patterns-only",
        help="Leave out seasons cut short, natural gaps and corruption: less to predict.",
        rich_help_panel=panels.AVAILABILITY,
    ),
]
ReferenceOption = Annotated[
    str | None,
    typer.Option(
        metavar="METHOD",
        help="Method that all others are compared with.",
        show_default="comiss+ if it takes part, else the last",
        autocompletion=completing.methods,
        rich_help_panel=panels.CONTENDERS,
    ),
]
JobsOption = Annotated[
    int | None,
    typer.Option(
        min=1, help="Runs at once, one thread each.", show_default="one a core", rich_help_panel=panels.RUN
    ),
]
KeepOption = Annotated[
    bool,
    typer.Option(
        "--keep-models",
        help="Keep the weights of every run: new rows then need no new training.",
        rich_help_panel=panels.RUN,
    ),
]


def benchmark(
    samples: given.SamplesOption,
    out: OutOption,
    label: given.LabelOption = None,
    target: given.TargetOption = None,
    legend: given.LegendOption = None,
    methods: MethodsOption = "all",
    weights: WeightsOption = None,
    ablate: AblateOption = False,
    folds: FoldsOption = "spatial",
    fold_count: FoldCountOption = None,
    seeds: SeedsOption = "0,1,2",
    preset: PresetOption = "full",
    option: ChoiceOption = None,
    group: given.GroupOption = None,
    season: given.SeasonOption = None,
    recipe: given.RecipeOption = "monthly-l2a",
    parity: given.ParityOption = False,
    n: given.NumberOption = None,
    sim_seed: given.SimSeedOption = None,
    gaps: GapsOption = None,
    patterns_only: PatternsOption = False,
    reference: ReferenceOption = None,
    labels_per_class: FewOption = None,
    epochs: EpochsOption = 100,
    batch_size: BatchOption = 128,
    learning_rate: RateOption = 1e-3,
    patience: PatienceOption = 5,
    jobs: JobsOption = None,
    keep_models: KeepOption = False,
    device: Device = "auto",
) -> None:
    """Train and compare methods: F1 for every pattern of available modalities, as in the poster.

    Each sample is predicted by models that never saw its fold. Interrupted, the same command goes on;
    with more methods or seeds, it makes only the runs that are missing.
    """
    from geocomiss.benchmarking import (
        BenchmarkRequest,
        contenders_of,
        embedding_columns,
        reference_of,
        with_ablations,
    )
    from geocomiss.inference import device_named
    from geocomiss.recipes import recipe_named
    from geocomiss.samples import SampleRequest, read_samples
    from geocomiss.threads import cores
    from geocomiss.training import Settings

    if gaps and patterns_only:
        raise typer.BadParameter("--patterns-only has no gaps", param_hint="--gaps")
    numbers = _seeds(seeds)
    classes = given.legend_at(legend)
    wanted = given.Wanted(samples, label, classes, group, n, sim_seed, season, parity, target)
    table = given.read_wanted(wanted, recipe_named(recipe))
    options = {"preset": preset, **choices_of(option or [])}
    paths = paths_of(weights or [])
    contenders = contenders_of(methods.split(","), options, bool(embedding_columns(table.columns)), paths)
    contenders = with_ablations(contenders) if ablate else contenders
    chosen = reference_of(contenders, reference)
    say_table(table)
    place = device_named(device)
    request = BenchmarkRequest(
        label=wanted.column,
        contenders=contenders,
        legend=classes,
        folds=folds,
        fold_count=fold_count,
        seeds=numbers,
        gaps=read_samples(SampleRequest(gaps, None, None, recipe_named(recipe))) if gaps else None,
        settings=Settings(epochs, batch_size, learning_rate, patience, device=place),
        labels_per_class=labels_per_class,
        patterns_only=patterns_only,
        jobs=jobs or (1 if place.type == "cuda" else cores()),
        keep_models=keep_models,
    )
    results = _with_progress(table, request, out)
    _write(results, out, chosen)


def paths_of(pairs: list[str]) -> dict[str, str]:
    """METHOD=PATH as a mapping."""
    paths = {}
    for pair in pairs:
        method, separator, path = pair.partition("=")
        if not (method and separator and path):
            raise typer.BadParameter(f"{pair!r} is not METHOD=PATH", param_hint="--weights")
        paths[method] = path
    return paths


def _seeds(text: str) -> tuple[int, ...]:
    """Seeds joined by commas."""
    try:
        seeds = tuple(int(part) for part in text.split(","))
    except ValueError as error:
        raise typer.BadParameter(
            f"{text!r} are no whole numbers joined by commas", param_hint="--seeds"
        ) from error
    if min(seeds) < 0 or max(seeds) > given.MAX_SEED or len(set(seeds)) < len(seeds):
        raise typer.BadParameter(
            f"{text!r}: seeds are from 0 to {given.MAX_SEED}, each once", param_hint="--seeds"
        )
    return seeds


def _with_progress(table: "Samples", request: "BenchmarkRequest", out: Path) -> "Results":
    """Run under a progress bar that names the run that ended last, or with a line a run in a log."""
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

    from geocomiss.benchmarking import (
        Run,
        RunKey,
        bench_of,
        folds_in_words,
        keys_of,
        notes_of,
        run_benchmark,
    )

    bench = bench_of(table, request)
    screen().print(f"folds: {folds_in_words(bench.fold, table.group, request.folds)}", markup=False)
    say_notes(notes_of(bench), [])
    console = Console(stderr=True)
    columns = (TextColumn("runs"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    bar = Progress(
        *columns, TextColumn("{task.fields[last]}"), console=console, disable=not console.is_terminal
    )
    task = bar.add_task("runs", total=len(keys_of(bench, request)), last="")

    def tell(key: RunKey, run: Run, kept: bool) -> None:
        how = "kept from before" if kept else f"trained in {run.seconds:.0f} s"
        last = f"{key.contender.title}, seed {key.seed}, fold {key.fold}: {how}"
        bar.update(task, advance=1, last=last)
        if not console.is_terminal:
            typer.echo(last, err=True)

    with bar:
        return run_benchmark(bench, request, out, tell)


def _write(results: "Results", out: Path, reference: str) -> None:
    """Write the report and show its main table."""
    from geocomiss.benchmarking.reporting import ReportRequest, portable, write_report

    command = portable(["geocomiss", *sys.argv[1:]])
    written = write_report(results, out, ReportRequest(command, reference))
    console = screen()
    console.print(comparison_table(results))
    console.print(f"wrote {', '.join(path.name for path in written)} in {out}", markup=False)
