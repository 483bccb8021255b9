"""Many small `.h5` files, one sample each, and one array file that holds them all.

N files, T steps, C channels.
"""

import hashlib
import os
import zipfile
from collections.abc import Iterable
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from geocomiss.errors import SampleError
from geocomiss.samples.files import unreadable

SUFFIX: Final = ".h5"
VARIABLE: Final = "array"
CACHE: Final = "arrays.cache.npz"
"""Written beside the folder of the arrays; may be deleted at any time."""


def read_arrays(folder: Path, shape: tuple[int, int]) -> tuple[list[str], NDArray[np.float32]]:
    """The variable `array` of every `.h5` file of a folder.

    The first reading leaves one file with all of them beside the folder, where that can be written; it
    is used as long as names, sizes and times of the files stay the same.

    Args:
        folder: Folder of the files.
        shape: (T, C) that each must have.

    Returns:
        Stems of the N files in alphabetical order, and their values (N, T, C).

    Raises:
        SampleError: There are no files, or one is damaged.
    """
    names, state = _listing(folder)
    cache = folder.parent / CACHE
    kept = _read_cache(cache, state)
    if kept is not None and kept.shape == (len(names), *shape):
        return names, kept
    arrays = np.stack([_read_one(folder / f"{name}{SUFFIX}", shape) for name in names])
    _write_cache(cache, state, arrays)
    return names, arrays


def _listing(folder: Path) -> tuple[list[str], str]:
    """Stems of the files, and a digest of names, sizes and times of change."""
    try:
        with os.scandir(folder) as entries:
            found = sorted((e.name, e.stat().st_size, e.stat().st_mtime_ns) for e in _arrays(entries))
    except OSError as error:
        raise unreadable(folder, error.strerror or error) from error
    if not found:
        raise SampleError(f"{folder} holds no {SUFFIX} file", expected="a file a sample", todo="get the data")
    state = hashlib.sha256(repr(found).encode()).hexdigest()
    return [name.removesuffix(SUFFIX) for name, _, _ in found], state


def _arrays(entries: Iterable["os.DirEntry[str]"]) -> list["os.DirEntry[str]"]:
    return [entry for entry in entries if entry.name.endswith(SUFFIX)]


def _read_one(path: Path, shape: tuple[int, int]) -> NDArray[np.float32]:
    """(T, C) of one file."""
    import netCDF4  # inside: only this kind of table needs it

    try:
        with netCDF4.Dataset(path) as file:
            file.set_auto_mask(False)
            values = np.asarray(file.variables[VARIABLE][:], np.float32)
    except (OSError, KeyError, ValueError, RuntimeError) as error:
        raise unreadable(path, error) from error
    if values.shape != shape:
        raise unreadable(path, f"its {VARIABLE} is of shape {values.shape}, not {shape}")
    return values


def _read_cache(path: Path, state: str) -> NDArray[np.float32] | None:
    """What was kept, if it is of this state; a damaged or old file counts as none."""
    try:
        with path.open("rb") as file, np.load(file, allow_pickle=False) as kept:
            return np.asarray(kept["values"]) if str(kept["state"]) == state else None
    except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile):
        return None


def _write_cache(path: Path, state: str, values: NDArray[np.float32]) -> None:
    """Keep the values; not being able to only costs time later."""
    partial = path.with_name(f".{path.name}.{os.getpid()}.partial.npz")
    try:
        np.savez(partial, state=np.array(state), values=values)
        partial.replace(path)
    except OSError:
        partial.unlink(missing_ok=True)
