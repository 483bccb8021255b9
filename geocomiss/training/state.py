"""An unfinished training on disk, from which an interrupted one goes on with the same bits.

A folder with one file a run: tensors, and as their header JSON. Nothing is unpickled. Each file is
replaced as a whole, so that an interruption at any moment leaves a state that is complete.
"""

import json
import os
import shutil
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final

import safetensors
import safetensors.torch
from pydantic import JsonValue
from torch import Tensor

from geocomiss.errors import CheckpointError

REQUEST: Final = "request"
"""Header: what was asked for."""
ENDING: Final = ".safetensors"
RUN: Final = "run"
"""Header: everything about the run that is no tensor."""


@dataclass(frozen=True)
class Epoch:
    """What one pass over the samples brought."""

    run: str
    """Which of the runs of a training this is."""
    number: int
    """Counts from 1."""
    of: int
    """Most epochs."""
    losses: dict[str, float]
    """Mean of each loss term over the epoch."""
    validation: float
    """The monitored loss on the inner validation part."""
    best: bool
    """Whether that is the best so far."""


@dataclass(frozen=True)
class State:
    """A run after one of its epochs."""

    tensors: Mapping[str, Tensor]
    """Weights, their running mean, best weights, moments of Adam and states of the generators:
    'weights.…', 'mean.…', 'best.…', 'adam.…' and 'random.…'."""
    value: float
    """The lowest monitored loss so far."""
    epoch: int
    """Its epoch, the one of the best weights."""
    mark: float
    """The monitored loss that counts as the last improvement."""
    marked: int
    """Its epoch."""
    history: tuple[Epoch, ...]
    """All epochs so far."""

    def part(self, name: str) -> dict[str, Tensor]:
        """The tensors whose names begin with 'name.', without that."""
        start = f"{name}."
        return {key.removeprefix(start): t for key, t in self.tensors.items() if key.startswith(start)}


class Unfinished:
    """The folder of an unfinished training.

    Args:
        folder: Where it is, or will be once the first epoch is done.
        request: What is asked for now; an unfinished training of anything else is refused.
    """

    def __init__(self, folder: Path, request: Mapping[str, JsonValue]) -> None:
        self.folder = folder
        self.request = json.loads(json.dumps(request))  # as it will be read again

    def check(self) -> None:
        """Refuse an unfinished training of another request.

        Raises:
            CheckpointError: A file is damaged, or of another request.
        """
        for path in sorted(self.folder.glob(f"*{ENDING}")):
            self._check(_header(path)[REQUEST])

    def read(self, run: str) -> State | None:
        """The state of a run, or None where it has not begun.

        Raises:
            CheckpointError: The file is damaged.
        """
        path = self._path(run)
        if not path.is_file():
            return None
        told = _header(path)[RUN]
        try:
            tensors = safetensors.torch.load_file(path)
            history = tuple(Epoch(**epoch) for epoch in told.pop("history"))
            return State(tensors, **told, history=history)
        except (safetensors.SafetensorError, OSError, LookupError, TypeError) as error:
            raise _damaged(path, error) from error

    def write(self, run: str, state: State) -> None:
        """Replace the state of a run.

        Raises:
            CheckpointError: It cannot be written.
        """
        told = {key: value for key, value in vars(state).items() if key not in ("tensors", "history")}
        told["history"] = [asdict(epoch) for epoch in state.history]
        header = {REQUEST: json.dumps(self.request), RUN: json.dumps(told)}
        path = self._path(run)
        partial = path.with_suffix(".new")
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            tensors = {name: tensor.contiguous() for name, tensor in state.tensors.items()}
            safetensors.torch.save_file(tensors, partial, header)
            os.replace(partial, path)
        except (OSError, safetensors.SafetensorError) as error:
            raise CheckpointError(
                f"the unfinished training cannot be written to {self.folder} ({error})",
                expected="a folder that can be written, on a disk with room",
                todo="free space, then go on with --resume",
            ) from error

    def _path(self, run: str) -> Path:
        return self.folder / f"{run.replace(' ', '_')}{ENDING}"

    def _check(self, request: dict[str, Any]) -> None:
        names = [name for name in {**request, **self.request} if request.get(name) != self.request.get(name)]
        if not names:
            return
        name = names[0]
        raise CheckpointError(
            f"{self.folder} is an unfinished training with another {name} "
            f"({_short(request.get(name))}, now {_short(self.request.get(name))})",
            expected="the same samples, method and settings as before the interruption",
            todo="repeat the first command with --resume, or start from the beginning with --overwrite",
        )


def unfinished_folder(out: Path) -> Path:
    """Where the training of the model `out` keeps its state: beside it, 'model.partial'."""
    return out.with_name(f"{out.name}.partial")


def check_unfinished(folder: Path, resume: bool, overwrite: bool) -> None:
    """Refuse to begin a training where another was interrupted, unless that is to go on or be given up.

    Raises:
        CheckpointError: There is an unfinished training, and neither was asked for.
    """
    if folder.exists() and not (resume or overwrite):
        raise CheckpointError(
            f"{folder} is an unfinished training",
            expected="--resume to go on with it, or --overwrite to start from the beginning",
            todo="choose one of these, or another --out",
        )


def forget(folder: Path) -> None:
    """Remove the state of a training that is finished or given up."""
    shutil.rmtree(folder, ignore_errors=True)


def _header(path: Path) -> dict[str, Any]:
    """The two parts of the header of a state."""
    try:
        with safetensors.safe_open(path, "pt") as file:
            texts = file.metadata() or {}
        return {key: json.loads(texts[key]) for key in (REQUEST, RUN)}
    except (safetensors.SafetensorError, OSError, ValueError, LookupError) as error:
        raise _damaged(path, error) from error


def _short(value: JsonValue) -> str:
    text = value if isinstance(value, str) else json.dumps(value)
    return text if len(text) <= 40 else f"{text[:37]}..."


def _damaged(path: Path, error: Exception) -> CheckpointError:
    return CheckpointError(
        f"{path} cannot be used ({str(error).splitlines()[0] if str(error) else type(error).__name__})",
        expected="a state that `geocomiss train` wrote",
        todo="start from the beginning with --overwrite",
    )
