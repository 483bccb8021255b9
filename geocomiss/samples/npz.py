"""Read samples from `.npz`: `X`, `valid` and `bands`, with places, times and labels beside them.

N samples, T steps, C channels. `valid` is the authority: what lies under False is not read.
"""

import hashlib
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from geocomiss.errors import SampleError
from geocomiss.modalities import MODALITIES, Band
from geocomiss.samples.steps import Steps, steps_of
from geocomiss.stack import MAX_OUTSIDE

Arrays = Mapping[str, NDArray[Any]]
LAYOUT: Final = "an .npz file with X (N, T, C), valid (N, T, C), bands (C), lat (N) and lon (N)"
NEEDED: Final = ("X", "valid", "bands", "lat", "lon")
PRECIPITATION: Final = "total_precipitation"


def read_arrays(path: Path) -> tuple[dict[str, NDArray[Any]], str]:
    """All arrays of a file, and its SHA-256. Pickled objects are refused.

    Raises:
        SampleError: It is missing, damaged, pickled, or not of this layout.
    """
    try:
        with path.open("rb") as file:
            sha256 = hashlib.file_digest(file, "sha256").hexdigest()
        loaded = np.load(path, allow_pickle=False)
        if not isinstance(loaded, np.lib.npyio.NpzFile):
            raise ValueError("a single array")
        with loaded:
            arrays = {name: loaded[name] for name in loaded.files}
    except (OSError, ValueError, EOFError, zipfile.BadZipFile) as error:
        raise _unusable(path, f"cannot be read ({_without_advice(error)})") from error
    _check_layout(path, arrays)
    return arrays, sha256


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
    cube = np.where(arrays["valid"], arrays["X"], np.nan).astype(np.float32)  # (N, T, C)
    _check_claims(path, names, arrays["X"], arrays["valid"])
    seen = set(np.array(names)[np.asarray(arrays["valid"].any((0, 1)))].tolist())
    if PRECIPITATION in seen:
        column = names.index(PRECIPITATION)
        cube[..., column] = _per_day(path, arrays, cube[..., column], steps)
    values, bands = {}, {}
    for modality in MODALITIES.values():
        if found := tuple(band for band in modality.band_names if band in seen):
            rows = cube[..., [names.index(band) for band in found]]
            values[modality.name] = rows if modality.dynamic else _first_valid(rows)
            bands[modality.name] = found
            for place, band in enumerate(found):
                _check_unit(path, modality.band(band), values[modality.name][..., place])
    if not values:
        raise _unusable(path, "holds no valid value")
    return values, bands, steps


def labels_of(path: Path, arrays: Arrays, key: str) -> NDArray[np.str_]:
    """The column `key` as class names (N,).

    Raises:
        SampleError: There is no such column, or it holds measurements rather than classes.
    """
    number = len(arrays["X"])
    if key not in arrays or arrays[key].shape != (number,):
        raise SampleError(
            f"{path.name} has no label column {key!r}",
            expected=f"one of {', '.join(label_keys(arrays))}",
            todo="correct --label",
        )
    column = arrays[key]
    if np.issubdtype(column.dtype, np.floating):
        if not np.array_equal(column, np.round(column)):
            raise SampleError(
                f"{key} of {path.name} holds fractions such as {column[column != np.round(column)][0]:.6g}",
                expected="a class per sample: names, or whole numbers",
                todo="give a column of classes with --label; regression is not supported",
            )
        column = column.astype(np.int64)
    if column.dtype.kind == "S":
        column = np.char.decode(column, "utf-8", "replace")
    return np.char.strip(column.astype(np.str_))


def label_keys(arrays: Arrays) -> list[str]:
    """Columns that could hold labels: one value a sample, places left out."""
    number = len(arrays["X"])
    return [name for name, array in arrays.items() if array.shape == (number,) and name not in NEEDED]


def columns_of(arrays: Arrays) -> dict[str, NDArray[Any]]:
    """All columns with one value a sample, for `--fold` and `--group`."""
    return {name: arrays[name] for name in label_keys(arrays)}


def _first_valid(rows: NDArray[np.float32]) -> NDArray[np.float32]:
    """What does not change over time, from the first step at which all is valid: (N, 1, C)."""
    first = np.isfinite(rows).all(2).argmax(1)
    return np.asarray(rows[np.arange(len(rows)), first][:, None])


def _per_day(path: Path, arrays: Arrays, sums: NDArray[np.float32], steps: Steps) -> NDArray[np.float32]:
    """Precipitation (N, T) in metres a day."""
    unit = str(arrays.get("precipitation_unit", np.array("not stated")))
    if unit == "m per day":
        return sums
    if unit == "m per step" and steps.days is not None:
        return np.asarray(sums / steps.days, np.float32)
    raise SampleError(
        f"{path.name} has precipitation in {unit!r}"
        + (" and does not say how long its steps are" if unit == "m per step" else ""),
        expected="the key precipitation_unit: 'm per day', or 'm per step' with times or start_date",
        todo="add it to the file",
    )


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
    known = {band for modality in MODALITIES.values() for band in modality.band_names}
    if not known & {str(band) for band in bands}:
        raise _unusable(path, f"has the bands {', '.join(str(band) for band in bands)}, none of them known")
    for name, limit in (("lat", 90), ("lon", 180)):
        if arrays[name].shape != x.shape[:1] or not (np.abs(arrays[name]) <= limit).all():
            raise _unusable(path, f"has {name} that are not {len(x)} numbers within -{limit}..{limit}")


def _check_claims(path: Path, names: list[str], x: NDArray[Any], valid: NDArray[np.bool_]) -> None:
    wrong = (valid & ~np.isfinite(x)).sum((0, 1))
    if wrong.any():
        worst = int(wrong.argmax())
        raise SampleError(
            f"{int(wrong.sum())} values of {path.name} are marked valid and are NaN or infinite "
            f"(most in {names[worst]}: {wrong[worst]})",
            expected="valid to be False wherever nothing was measured",
            todo="correct the key valid",
        )


def _check_unit(path: Path, band: Band, values: NDArray[np.float32]) -> None:
    known = values[np.isfinite(values)]
    outside = ((known < band.low) | (known > band.high)).mean()
    if outside > MAX_OUTSIDE:
        raise SampleError(
            f"{outside:.0%} of the values of {band.name} in {path.name} lie outside {band.low:g} to "
            f"{band.high:g} {band.unit} (median {np.median(known):g})",
            expected=f"{band.name} in {band.unit}",
            todo="convert the table to these units",
        )


def _without_advice(error: Exception) -> str:
    """What numpy found, without its hint to allow pickles."""
    text = str(error)
    return "it holds pickled objects, which are never read" if "pickle" in text else text


def _unusable(path: Path, why: str) -> SampleError:
    return SampleError(f"the samples table {path} {why}", expected=LAYOUT, todo="check --samples")
