"""Read samples from `.npz`: `X`, `valid` and `bands`, with places, times and labels beside them.

N samples, T steps, C channels. `valid` is the authority: what lies under False is not read.
"""

import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from geocomiss.errors import SampleError
from geocomiss.modalities import MODALITIES
from geocomiss.samples.contents import Contents
from geocomiss.samples.files import begins_with, sha256_of
from geocomiss.samples.series import PRECIPITATION, per_day, series_of
from geocomiss.samples.steps import Steps, steps_of

Arrays = Mapping[str, NDArray[Any]]
LAYOUT: Final = (
    "an .npz file with X (N, T, C; numbers), valid (N, T, C; bool), bands (C), lat (N) and lon (N), texts "
    "as text and not as objects"
)
BANDS: Final = tuple(band for modality in MODALITIES.values() for band in modality.band_names)
"""All bands that are read."""
NEEDED: Final = ("X", "valid", "bands", "lat", "lon")


def read_arrays(path: Path) -> tuple[dict[str, NDArray[Any]], str]:
    """All arrays of a file, and its SHA-256. Pickled objects are refused.

    Raises:
        SampleError: It is missing, damaged, pickled, or not of this layout.
    """
    try:
        sha256 = sha256_of(path)
        loaded = np.load(path, allow_pickle=False)
        if not isinstance(loaded, np.lib.npyio.NpzFile):
            raise ValueError("a single array")
        with loaded:
            arrays = {name: loaded[name] for name in loaded.files}
    except (OSError, ValueError, EOFError, zipfile.BadZipFile) as error:
        raise _unusable(path, f"cannot be read ({_without_advice(error)})") from error
    _check_layout(path, arrays)
    return arrays, sha256


def recognise(path: Path) -> bool:
    """Whether a file begins as a ZIP archive does, which an `.npz` is, or is called one.

    An archive without an array is something else, a zipped shapefile say.
    """
    if not path.is_file() or path.suffix == ".npz":
        return path.is_file()
    if not begins_with(path, b"PK\x03\x04") or not zipfile.is_zipfile(path):
        return begins_with(path, b"PK\x03\x04")
    with zipfile.ZipFile(path) as archive:
        return any(name.endswith(".npy") for name in archive.namelist())


def read(path: Path) -> Contents:
    """Read a table of this layout.

    Raises:
        SampleError: It cannot be used: see the message.
    """
    arrays, sha256 = read_arrays(path)
    values, bands, steps = values_of(path, arrays)
    lat, lon = (arrays[key].astype(np.float64) for key in ("lat", "lon"))
    unread = [name for name in map(str, arrays["bands"]) if name not in BANDS]
    notes = (f"channels that are no band of ours are not read: {', '.join(unread)}",) if unread else ()
    return Contents(path.stem, sha256, values, bands, steps, lat, lon, columns_of(arrays), notes=notes)


def values_of(
    path: Path, arrays: Arrays
) -> tuple[dict[str, NDArray[np.float32]], dict[str, tuple[str, ...]], Steps]:
    """Series per modality with NaN where missing, the bands they hold, and their steps.

    Returns:
        Per modality (N, T, C) in canonical units (T is 1 for topography), its bands, and the steps.
        Bands and modalities that are valid nowhere are absent.

    Raises:
        SampleError: Values claim to be valid and are not, or cannot be in the units claimed.
    """
    names = [str(name) for name in arrays["bands"]]
    steps = steps_of(path, arrays, arrays["X"].shape[1])
    _check_claims(path, names, arrays["X"], arrays["valid"])
    cube = np.where(arrays["valid"], arrays["X"], np.nan).astype(np.float32)  # (N, T, C)
    if PRECIPITATION in names:
        column = names.index(PRECIPITATION)
        if np.isfinite(cube[..., column]).any():
            unit = str(arrays.get("precipitation_unit", np.array("not stated")))
            cube[..., column] = per_day(path, unit, cube[..., column], steps)
    return *series_of(path, cube, names), steps


def columns_of(arrays: Arrays) -> dict[str, NDArray[Any]]:
    """All columns with one value a sample, places left out."""
    number = len(arrays["X"])
    return {name: array for name, array in arrays.items() if array.shape == (number,) and name not in NEEDED}


def _check_layout(path: Path, arrays: Arrays) -> None:
    if missing := [name for name in NEEDED if name not in arrays]:
        raise _unusable(path, f"has no {', '.join(missing)}")
    x, valid, bands = arrays["X"], arrays["valid"], arrays["bands"]
    if x.ndim != 3 or 0 in x.shape or not np.issubdtype(x.dtype, np.number):
        raise _unusable(path, f"has X of shape {x.shape} and type {x.dtype}")
    if valid.shape != x.shape or valid.dtype != np.bool_:
        raise _unusable(path, f"has valid of shape {valid.shape} and type {valid.dtype}, X {x.shape}")
    if bands.shape != x.shape[2:] or len(set(bands.tolist())) != len(bands):
        raise _unusable(path, f"names {len(set(bands.tolist()))} bands for {x.shape[2]} channels")
    if not set(BANDS) & {str(band) for band in bands}:
        raise SampleError(
            f"the samples table {path} has the bands {', '.join(map(str, bands))}, none of them known",
            expected=f"some of {', '.join(BANDS)}",
            todo="rename them in the key bands",
        )
    for name, limit in (("lat", 90), ("lon", 180)):
        if arrays[name].shape != x.shape[:1] or not (np.abs(arrays[name]) <= limit).all():
            raise _unusable(path, f"has {name} that are not {len(x)} numbers within -{limit}..{limit}")


def _check_claims(path: Path, names: list[str], x: NDArray[Any], valid: NDArray[np.bool_]) -> None:
    wrong = valid & ~np.isfinite(x)
    if wrong.any():
        by_band, row = wrong.sum((0, 1)), int(wrong.any((1, 2)).argmax())
        worst = int(by_band.argmax())
        raise SampleError(
            f"{int(wrong.sum())} values of {path.name} are marked valid and are NaN or infinite "
            f"(most in {names[worst]}: {by_band[worst]}; the first in row {row}, counted from 0)",
            expected="valid to be False wherever nothing was measured",
            todo="correct the key valid",
        )


def _without_advice(error: Exception) -> str:
    """What numpy found, without its hint to allow pickles."""
    text = str(error)
    return "it holds pickled objects, which are never read" if "pickle" in text else text


def _unusable(path: Path, why: str) -> SampleError:
    return SampleError(f"the samples table {path} {why}", expected=LAYOUT, todo="check --samples")
