"""`geocomiss train --from`: the trained model that a training begins from."""

from typing import TYPE_CHECKING, Annotated

import typer

from geocomiss_cli import panels

if TYPE_CHECKING:
    from geocomiss.checkpoint import Checkpoint

FromOption = Annotated[
    str | None,
    typer.Option(
        "--from",
        metavar="CHECKPOINT",
        help="Begin from this trained model (folder, or name of a shipped one) instead of afresh: for few "
        "samples. Its method, options and normalisation stay; classes it knows keep their heads, by name; "
        "classes without a sample are dropped.",
        show_default="afresh",
        rich_help_panel=panels.METHOD,
    ),
]
FromRateOption = Annotated[
    float | None,
    typer.Option(
        min=1e-8,
        max=1.0,
        help="Learning rate of Adam, constant.",
        show_default="0.001; with --from 0.0003",
        rich_help_panel=panels.RUN,
    ),
]


def model_to_begin_from(name: str | None, given: dict[str, bool]) -> "Checkpoint | None":
    """The trained model, if one is named.

    Args:
        name: Folder or name.
        given: Which options that the model decides were given beside it.
    """
    if name is None:
        return None
    if wrong := [option for option, there in given.items() if there]:
        raise typer.BadParameter(
            f"the model brings its method and options: leave {', '.join(wrong)} out.", param_hint="--from"
        )
    from geocomiss.checkpoint import read_checkpoint

    return read_checkpoint(name)


def say_beginning(begin: "Checkpoint", labels: set[str]) -> None:
    """Which classes are known, new and dropped, before training starts."""
    from geocomiss_cli.terminal import screen

    names = [info.name for info in begin.card.classes]
    parts = {
        "known": [name for name in names if name in labels],
        "new": sorted(labels - set(names)),
        "dropped, without a sample": [name for name in names if name not in labels],
    }
    told = "; ".join(f"{what}: {', '.join(some)}" for what, some in parts.items() if some)
    training = begin.card.training
    screen().print(
        f"begins from {begin.card.method} trained on {training.n} samples of {training.table}; {told}",
        markup=False,
    )
