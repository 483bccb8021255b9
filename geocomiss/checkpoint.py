"""A trained model on disk: a folder with `model.safetensors` and `card.json`. Nothing is unpickled.

The card says what a model reads, how that must have been made, which classes it tells apart, what
it was trained on and how well it does; the weights are tensors and nothing else, and so is
`applicability.safetensors`, which tells how far the model may go. A picture of the training,
`learning_curve.png`, may lie beside them; nothing reads it.
"""

import hashlib
import os
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import safetensors
import safetensors.torch
from pydantic import ValidationError
from torch import Tensor

from geocomiss.applicability import Applicability, restored, stated, tensors_of
from geocomiss.card import BegunFrom, Card, ClassInfo, HashedPlaces, Statistics, Target, Training
from geocomiss.errors import CheckpointError, MethodError
from geocomiss.methods import Method, new_method

__all__ = [
    "APPLICABILITY",
    "CARD",
    "CURVE",
    "SHIPPED",
    "WEIGHTS",
    "BegunFrom",
    "Card",
    "Checkpoint",
    "ClassInfo",
    "HashedPlaces",
    "Statistics",
    "Target",
    "Training",
    "check_free",
    "digest",
    "read_card",
    "read_checkpoint",
    "shipped_models",
    "statistics_of",
    "write_checkpoint",
]

WEIGHTS: Final = "model.safetensors"
CARD: Final = "card.json"
CURVE: Final = "learning_curve.png"
APPLICABILITY: Final = "applicability.safetensors"
SHIPPED: Final = Path(__file__).parent / "models"
"""Models that come with the package, a folder each."""
WRITTEN: Final = "a folder with model.safetensors and card.json, as `geocomiss train` writes it"


@dataclass(frozen=True)
class Checkpoint:
    """A model ready to use."""

    card: Card
    """What it is."""
    method: Method
    """The network, in evaluation mode."""
    applicability: Applicability | None = None
    """How far it may go from its training samples; None for a regression and for older models."""


def read_checkpoint(name_or_path: str) -> Checkpoint:
    """Read a model: a folder, or the name of one that comes with the package.

    Raises:
        CheckpointError: It is missing, damaged, pickled, of a method that has changed since, or its
            weights are not those of its card.
    """
    folder = _folder(name_or_path)
    card = _read_card(folder)
    method = _method_of(card, folder)
    weights = folder / WEIGHTS
    try:
        method.load_state_dict(_tensors(weights, card.model_sha256))
    except RuntimeError as error:
        raise _damaged(weights, str(error).splitlines()[0]) from error
    return Checkpoint(card, method.eval(), _applicability(folder, card, method))


def _method_of(card: Card, folder: Path) -> Method:
    try:
        return new_method(card.method, card.spec, card.options)
    except MethodError as error:
        raise CheckpointError(
            f"the model {folder} was trained by another version of geocomiss ({error.found})",
            expected=f"a model whose {card.method} is that of today",
            todo="train it again, or map with the version that trained it",
        ) from error


def read_card(name_or_path: str) -> Card:
    """Read the card of a model without its weights.

    Raises:
        CheckpointError: It is missing or damaged.
    """
    return _read_card(_folder(name_or_path))


def write_checkpoint(
    folder: Path, card: Card, method: Method, overwrite: bool = False, curve: bytes | None = None,
    applicability: Applicability | None = None,
) -> Card:  # fmt: skip
    """Write a model. The folder appears under its name only when it is whole.

    Args:
        folder: Where to.
        card: What the model is; its digests are filled in.
        method: The network.
        overwrite: Whether a model that is there may be replaced.
        curve: Its learning curve, a PNG.
        applicability: How far it may go; the card will state it.

    Returns:
        The card as written.

    Raises:
        CheckpointError: The folder is taken, or cannot be written.
    """
    check_free(folder, overwrite)
    partial = folder.with_name(f".{folder.name}.partial")
    try:
        shutil.rmtree(partial, ignore_errors=True)
        partial.mkdir(parents=True)
        tensors = {name: tensor.contiguous().cpu() for name, tensor in method.state_dict().items()}
        # not save_file: its files are readable by their owner alone
        (partial / WEIGHTS).write_bytes(safetensors.torch.save(tensors))
        card = card.model_copy(update={"model_sha256": digest(partial / WEIGHTS), "applicability": None})
        if applicability:
            (partial / APPLICABILITY).write_bytes(safetensors.torch.save(tensors_of(applicability)))
            said = stated(applicability).model_copy(update={"sha256": digest(partial / APPLICABILITY)})
            card = card.model_copy(update={"applicability": said})
        (partial / CARD).write_text(card.model_dump_json(indent=1) + "\n", encoding="utf-8")
        if curve:
            (partial / CURVE).write_bytes(curve)
        if folder.exists():
            shutil.rmtree(folder)
        partial.rename(folder)
    except (OSError, safetensors.SafetensorError) as error:
        shutil.rmtree(partial, ignore_errors=True)
        raise CheckpointError(
            f"the model cannot be written to {folder} ({error})",
            expected="a folder that can be written, on a disk with room",
            todo="choose another --out",
        ) from error
    return card


def check_free(folder: Path, overwrite: bool) -> None:
    """Refuse a folder that a model must not be written to; ask before a long training.

    Raises:
        CheckpointError: It exists, and is no model or must not be replaced.
    """
    if not folder.exists():
        _check_parent(folder)
        return
    ours = folder.is_dir() and {path.name for path in folder.iterdir()} <= {
        CARD,
        WEIGHTS,
        CURVE,
        APPLICABILITY,
    }
    if not (ours and overwrite):
        raise CheckpointError(
            f"{folder} exists already" + ("" if ours else " and holds more than a model"),
            expected="a new folder for the model" + (", or --overwrite" if ours else ""),
            todo="choose another --out" + (" or give --overwrite" if ours else ""),
        )


def _check_parent(folder: Path) -> None:
    parent = next(each for each in folder.absolute().parents if each.exists())
    if not (parent.is_dir() and os.access(parent, os.W_OK)):
        raise CheckpointError(
            f"the model cannot be written to {folder}: {parent} is no folder, or not writable",
            expected="a place for the model",
            todo="choose another --out",
        )


def statistics_of(method: Method) -> dict[str, Statistics]:
    """The normalisation that a method holds, as the card states it."""
    layers = {name: method.normaliser(name) for name in method.spec.modalities}
    return {
        name: Statistics(mean=tuple(layer.mean.tolist()), std=tuple(layer.std.tolist()))
        for name, layer in layers.items()
    }


def shipped_models() -> tuple[str, ...]:
    """Names of the models that come with the package."""
    return tuple(sorted(path.parent.name for path in SHIPPED.glob(f"*/{CARD}")))


def digest(path: Path) -> str:
    """SHA-256 of a file, in hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _folder(name_or_path: str) -> Path:
    for folder in (Path(name_or_path), SHIPPED / name_or_path):
        if folder.is_file():
            raise CheckpointError(
                f"{name_or_path} is a file", expected=WRITTEN, todo="give the folder; pickles are never read"
            )
        if folder.is_dir():
            missing = [name for name in (CARD, WEIGHTS) if not (folder / name).is_file()]
            if missing:
                raise CheckpointError(
                    f"{folder} has no {' and no '.join(missing)}", expected=WRITTEN, todo="check --model"
                )
            return folder
    raise CheckpointError(
        f"there is no model {name_or_path!r}",
        expected=f"{WRITTEN}, or one of the shipped: {', '.join(shipped_models()) or 'none'}",
        todo="check --model",
    )


def _read_card(folder: Path) -> Card:
    path = folder / CARD
    try:
        return Card.model_validate_json(path.read_bytes())
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"])
        raise _damaged(path, f"{where + ': ' if where else ''}{first['msg']}") from error
    except OSError as error:
        raise _damaged(path, str(error)) from error


def _tensors(path: Path, sha256: str) -> dict[str, Tensor]:
    """What a file holds, if it is the one that the card means."""
    try:
        if digest(path) != sha256:
            raise _damaged(path, "its digest is not the one in the card")
        return safetensors.torch.load_file(path)
    except (safetensors.SafetensorError, OSError) as error:
        raise _damaged(path, str(error).splitlines()[0]) from error


def _applicability(folder: Path, card: Card, method: Method) -> Applicability | None:
    if card.applicability is None:
        return None
    path = folder / APPLICABILITY
    layers = {name: method.normaliser(name) for name in method.spec.modalities}
    normalisation = {name: (layer.mean, layer.std) for name, layer in layers.items()}
    try:
        return restored(card.applicability, normalisation, _tensors(path, card.applicability.sha256))
    except KeyError as error:
        raise _damaged(path, f"it has no {error.args[0]}") from error


def _damaged(path: Path, why: str) -> CheckpointError:
    return CheckpointError(
        f"{path} cannot be used ({why})",
        expected=WRITTEN,
        todo="copy the model again, or train it again with this version",
    )
