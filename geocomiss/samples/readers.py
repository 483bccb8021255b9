"""Which file of samples is read by which code: found by looking at it.

A new kind of table is a module with a `recognise` and a `read`, and a line in `READERS`.
"""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from geocomiss.errors import SampleError
from geocomiss.samples import cropharvest, npz, stored, worldcereal
from geocomiss.samples.contents import Contents


@dataclass(frozen=True)
class Reader:
    """One kind of table."""

    description: str
    """What it is, for messages."""
    recognise: Callable[[Path], bool]
    """Whether a path is of this kind."""
    read: Callable[[Path], Contents]
    """Reads it; raises SampleError."""


READERS: Final[tuple[Reader, ...]] = (
    Reader("an .npz file", npz.recognise, npz.read),
    Reader("a samples.parquet of geocomiss", stored.recognise, stored.read),
    Reader("a long WorldCereal Parquet file", worldcereal.recognise_long, worldcereal.read_long),
    Reader("a wide WorldCereal Parquet file", worldcereal.recognise_wide, worldcereal.read_wide),
    Reader("a CropHarvest folder", cropharvest.recognise, cropharvest.read),
)
"""All kinds, asked in this order."""


def reader_of(path: Path) -> Reader | None:
    """The reader of a file or folder, or None where it is no table of a known kind."""
    return next((reader for reader in READERS if reader.recognise(path)), None)


def read_contents(path: Path) -> Contents:
    """Read a table of any kind.

    Raises:
        SampleError: There is none, it is of no known kind, or it cannot be used.
    """
    kinds = ", ".join(reader.description for reader in READERS)
    if not path.exists():
        raise SampleError(
            f"there is no samples table {path}", expected=f"{kinds}, or 'simulated'", todo="check --samples"
        )
    reader = reader_of(path)
    if reader is None:
        raise SampleError(f"{path} is no samples table", expected=kinds, todo="check --samples")
    return reader.read(path)
