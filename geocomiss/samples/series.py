"""From channels side by side to series per modality, held to canonical units.

N samples, T steps, C channels.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from geocomiss.errors import SampleError
from geocomiss.modalities import MODALITIES, Band
from geocomiss.samples.steps import Steps
from geocomiss.stack import MAX_OUTSIDE

Floats = NDArray[np.float32]
PRECIPITATION: Final = "total_precipitation"
MAX_TORN: Final = 0.1
"""Share of the steps with some band that may lack another before it is said."""


def series_of(
    path: Path, cube: Floats, names: Sequence[str]
) -> tuple[dict[str, Floats], dict[str, tuple[str, ...]]]:
    """Series per modality and the bands they hold; what is valid nowhere is absent.

    Args:
        path: File, for messages.
        cube: (N, T, C) in canonical units, NaN where missing.
        names: The C channels; those that are no band are not read.

    Returns:
        Per modality (N, T, C), T being 1 for topography, and its bands in canonical order.

    Raises:
        SampleError: Nothing is valid, or values cannot be in the units claimed.
    """
    places = {name: place for place, name in enumerate(names)}
    seen = np.asarray(np.isfinite(cube).any((0, 1)))  # (C,)
    values, bands = {}, {}
    for modality in MODALITIES.values():
        found = tuple(name for name in modality.band_names if name in places and seen[places[name]])
        if found:
            rows = cube[..., [places[name] for name in found]]
            values[modality.name] = rows if modality.dynamic else _first_valid(rows)
            bands[modality.name] = found
    if not values:
        raise SampleError(
            f"the samples table {path} holds no valid value",
            expected="series of satellite, weather or terrain data",
            todo="check --samples",
        )
    check_units(path, values, bands)
    return values, bands


def check_units(path: Path, values: Mapping[str, Floats], bands: Mapping[str, tuple[str, ...]]) -> None:
    """Hold series to the physical ranges of their bands.

    Raises:
        SampleError: More than a few values of a band lie outside.
    """
    for name, rows in values.items():
        for place, band in enumerate(bands[name]):
            _check_unit(path, MODALITIES[name].band(band), rows[..., place])


def torn(values: Mapping[str, Floats], bands: Mapping[str, tuple[str, ...]]) -> tuple[str, ...]:
    """What to say of modalities that lose many steps to a few bands, a sentence each.

    A step counts where all bands of a modality are there; one that is rarely there takes all others away.
    """
    notes = []
    for name, rows in values.items():
        here = np.isfinite(rows)
        some: NDArray[np.bool_] = np.any(here, 2)  # (N, T)
        lost = 1 - np.all(here, 2)[some].mean() if some.any() else 0.0
        if lost > MAX_TORN:
            shares = zip(bands[name], here[some].mean(0), strict=True)  # (C,)
            rare = ", ".join(f"{band} ({share:.0%})" for band, share in shares if share < 1)
            notes.append(
                f"{lost:.0%} of the steps of {name} count as missing, because not all bands are there: "
                f"{rare} of the steps that have any; leave rare bands out of the table"
            )
    return tuple(notes)


def per_day(path: Path, unit: str, sums: Floats, steps: Steps) -> Floats:
    """Precipitation (N, T) in metres a day, from 'm per day' or 'm per step'.

    Raises:
        SampleError: Another unit, or steps of unknown length.
    """
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


def _first_valid(rows: Floats) -> Floats:
    """What does not change over time, from the first step at which all is valid: (N, 1, C)."""
    first = np.isfinite(rows).all(2).argmax(1)
    return np.asarray(rows[np.arange(len(rows)), first][:, None])


def _check_unit(path: Path, band: Band, values: Floats) -> None:
    known = values[np.isfinite(values)]
    outside = ((known < band.low) | (known > band.high)).mean() if known.size else 0.0
    if outside > MAX_OUTSIDE:
        raise SampleError(
            f"{outside:.0%} of the values of {band.name} in {path.name} lie outside {band.low:g} to "
            f"{band.high:g} {band.unit} (median {np.median(known):g})",
            expected=f"{band.name} in {band.unit}",
            todo="convert the table to these units",
        )
