"""Weights from a file that somebody else wrote: tensors and nothing else, or a clear error."""

import zipfile
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from hashlib import file_digest
from pathlib import Path
from typing import Final, Generic, TypeVar

import torch
from torch import Size, Tensor

from geocomiss.errors import CheckpointError

FRESH: Final = "fresh"
"""In place of a path: begin from random weights."""
STATED: Final = "sha256:"
"""How a model card says which weights training began from; nothing is read then."""


Size_ = TypeVar("Size_", bound=str)
"""Names of the sizes of a model."""


@dataclass(frozen=True)
class Published:
    """What a user must obtain."""

    title: str
    """Name of the model."""
    obtain: str
    """Where its weights are found."""
    content: str
    """What must lie at the path, in words."""
    files: tuple[str, ...] = ()
    """Files in the folder at the path, that with the tensors last; none where the path is the file."""

    def at(self, path: Path) -> tuple[Path, ...]:
        """The files at a path."""
        return tuple(path / name for name in self.files) or (path,)


@dataclass(frozen=True)
class Weights(Generic[Size_]):
    """Published weights that fit."""

    size: Size_
    """Name of the size."""
    tensors: Mapping[str, Tensor]
    """By published name."""
    sha256: str
    """Digest of the file."""


def is_path(weights: str) -> bool:
    """Whether an option names a file or folder to read."""
    return weights != FRESH and not weights.startswith(STATED)


def identity_of(path: Path, published: Published) -> str:
    """What a card says of the weights at a path: 'sha256:' and the digest of the file with the tensors."""
    with published.at(path)[-1].open("rb") as opened:
        return STATED + file_digest(opened, "sha256").hexdigest()


def check_there(path: Path, published: Published) -> None:
    """Refuse a path at which weights are not complete.

    Raises:
        CheckpointError: A file is missing; it says where the user obtains it.
    """
    if missing := [file for file in published.at(path) if not file.is_file()]:
        what = "does not exist"
        if path.exists():
            what = "is no file" if missing[0] == path else f"has no {missing[0].name}"
        raise CheckpointError(
            f"weights of {published.title}: {path} {what}",
            expected=published.content,
            todo=f"obtain them from {published.obtain} and give --weights",
        )


def read_tensors(file: Path, published: Published) -> dict[str, Tensor]:
    """The tensors of a PyTorch file by name; a 'state_dict' inside is looked into.

    Raises:
        CheckpointError: It cannot be read, or holds something other than tensors.
    """
    _check_whole(file, published)
    try:
        found = torch.load(file, map_location="cpu", weights_only=True)
    except Exception as error:  # damaged files make PyTorch's reader fail in any way it likes
        # not in its words: they advise to load with less care
        why = f"no PyTorch file, or one that holds more than tensors: {type(error).__name__}"
        raise unusable(file, why, published) from error
    if isinstance(found, dict) and isinstance(found.get("state_dict"), dict):
        found = found["state_dict"]
    if not isinstance(found, dict):
        raise unusable(file, f"it holds a {type(found).__name__}", published)
    for name, value in found.items():
        if not (isinstance(name, str) and isinstance(value, Tensor)):
            raise unusable(file, f"{name!r} is no tensor but a {type(value).__name__}", published)
    return found


def _check_whole(file: Path, published: Published) -> None:
    """Refuse an archive of which a part has other bits than were written: PyTorch does not look."""
    try:
        if not zipfile.is_zipfile(file):
            return  # the reader says what it is
        with zipfile.ZipFile(file) as archive:
            damaged = archive.testzip()
    except (OSError, zipfile.BadZipFile, zlib.error) as error:
        raise unusable(file, f"a damaged archive: {error}", published) from error
    if damaged:
        raise unusable(file, f"its part {damaged} is damaged", published)


def check_fits(
    tensors: Mapping[str, Tensor], shapes: Mapping[str, Size], file: Path, published: Published
) -> None:
    """Refuse weights of other names or shapes.

    Args:
        tensors: What a file holds.
        shapes: What the model has, by published name.
        file: The file.
        published: Whose weights these are to be.

    Raises:
        CheckpointError: It names the first key that does not fit.
    """
    for name, shape in shapes.items():
        if name not in tensors:
            raise unusable(file, f"{name} is missing", published)
        if tensors[name].shape != shape:
            found = f"{name} has shape {tuple(tensors[name].shape)} instead of {tuple(shape)}"
            raise unusable(file, found, published)
        if not _is_plain(tensors[name]):
            raise unusable(file, f"{name} is no plain tensor of floating-point numbers", published)
        if not torch.isfinite(tensors[name]).all():
            raise unusable(file, f"{name} holds values that are not finite", published)
    if unknown := [name for name in tensors if name not in shapes]:
        raise unusable(file, f"{unknown[0]} is not a tensor of this model", published)


def _is_plain(tensor: Tensor) -> bool:
    return tensor.is_floating_point() and tensor.layout == torch.strided and not tensor.is_meta


def unusable(file: Path, why: str, published: Published) -> CheckpointError:
    """What to say of a file that is there and wrong."""
    return CheckpointError(
        f"weights of {published.title}: {file} cannot be used ({why})",
        expected=published.content,
        todo=f"obtain the file again from {published.obtain}",
    )
