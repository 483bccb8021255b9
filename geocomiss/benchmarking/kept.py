"""What is kept of each run: predictions always, trained weights on request.

A file gets its name once it is whole and carries a digest of all that it depends on, so that a
comparison goes on by making the files that are missing or of something else.

C conditions, n samples of the fold.
"""

import os
import zipfile
import zlib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from geocomiss.benchmarking.contenders import Contender
from geocomiss.errors import MapError, unwritable

RUNS: Final = "runs"
"""Folder of the predictions in that of the comparison."""
MODELS: Final = "models"
"""Folder of the weights, where they are kept."""
DIGITS: Final = 8
"""Of the digest of what a file depends on, in its name."""

WRITTEN: Final = (
    RUNS,
    MODELS,
    "table.md",
    "scores.csv",
    "differences.csv",
    "table.png",
    "months.png",
    "gaps.png",
)
"""What the folder of a comparison may hold."""


def check_folder(folder: Path) -> None:
    """Refuse a folder that holds anything but a comparison.

    Raises:
        MapError: It does, or is a file.
    """
    found = [each.name for each in folder.iterdir()] if folder.is_dir() else []
    # an interruption may leave a file that was being written
    others = sorted(name for name in found if name not in WRITTEN and not name.endswith(".partial"))
    if others or folder.is_file():
        raise MapError(
            f"{folder} {'holds ' + ', '.join(others[:4]) if others else 'is a file'}",
            expected="a new folder, or one of an earlier `geocomiss benchmark`",
            todo="choose another --out",
        )


@dataclass(frozen=True)
class RunKey:
    """Which run."""

    contender: Contender
    """Who."""
    seed: int
    """Seed of weights, order, drop-out and inner split."""
    fold: str
    """Name of the fold that is predicted."""

    @property
    def stem(self) -> str:
        """Name of its files, without what they hold."""
        safe = "".join(sign if sign.isalnum() or sign in "-._" else "_" for sign in self.fold)
        mark = sha256(self.fold.encode()).hexdigest()[:6]  # two names may be alike once made safe
        return f"{self.contender.key}/seed{self.seed}-fold_{safe}_{mark}"

    def path(self, folder: Path, digest: str) -> Path:
        """Where its predictions are kept in the folder of the comparison.

        Part of the digest is in the name: a run with other settings takes nothing away from this one.
        """
        return folder / RUNS / f"{self.stem}-{digest[:DIGITS]}.npz"

    def weights(self, folder: Path, digest: str) -> Path:
        """Where its trained weights are kept, if they are; the digest is that of the training."""
        return folder / MODELS / f"{self.stem}-{digest[:DIGITS]}.safetensors"


@dataclass(frozen=True)
class Run:
    """What a run found."""

    rows: NDArray[np.int64]
    """(n,) rows of the table that were predicted."""
    predicted: NDArray[Any]
    """(C, n) class indices or values, in the order of the conditions."""
    seconds: float
    """Time that training took."""


@dataclass(frozen=True)
class About:
    """What a run is of, for readers of its file."""

    conditions: NDArray[np.str_]
    """(C,) their names."""
    classes: NDArray[np.str_]
    """(K,) their names; none of a regression."""
    truth: NDArray[Any]
    """(n,) class indices, or values."""


@dataclass(frozen=True)
class Weights:
    """A trained method."""

    tensors: Mapping[str, Tensor]
    """Its state."""
    seconds: float
    """Time that training took."""


def write_run(path: Path, run: Run, digest: str, about: About) -> None:
    """Keep a run.

    Args:
        path: File.
        run: What it found.
        digest: Of all that it depends on.
        about: What it is of.

    Raises:
        MapError: The folder cannot be written.
    """
    with _whole(path) as partial, partial.open("wb") as file:
        np.savez_compressed(
            file, rows=run.rows, predicted=run.predicted, seconds=run.seconds, identity=digest,
            conditions=about.conditions, classes=about.classes, truth=about.truth,
        )  # fmt: skip


def read_run(path: Path, digest: str) -> Run | None:
    """A run that was kept, or None where there is none, another one, or a damaged file."""
    try:
        with path.open("rb") as opened, np.load(opened, allow_pickle=False) as file:
            if str(file["identity"]) != digest:
                return None
            return Run(file["rows"], file["predicted"], float(file["seconds"]))
    except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile, zlib.error):
        return None


def write_weights(path: Path, tensors: Mapping[str, Tensor], seconds: float, digest: str) -> None:
    """Keep trained weights.

    Raises:
        MapError: The folder cannot be written.
    """
    with _whole(path) as partial:
        save_file(dict(tensors), partial, {"identity": digest, "seconds": str(seconds)})


def read_weights(path: Path, digest: str) -> Weights | None:
    """Weights that were kept, or None where there are none, others, or a damaged file."""
    if not path.exists():
        return None
    try:
        with safe_open(path, "pt") as file:
            about = file.metadata() or {}
            if about.get("identity") != digest:
                return None
            tensors = {name: file.get_tensor(name) for name in file.keys()}
            return Weights(tensors, float(about["seconds"]))
    except (OSError, SafetensorError, KeyError):
        return None


@contextmanager
def _whole(path: Path) -> Iterator[Path]:
    """A file to write, which gets its name only once it is whole."""
    partial = path.with_suffix(f".{os.getpid()}.partial")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        yield partial
        partial.replace(path)
    except (OSError, SafetensorError) as error:
        raise unwritable(path.parent, OSError(str(error))) from error
    finally:  # also after Ctrl-C; it is gone where it has got its name
        partial.unlink(missing_ok=True)
