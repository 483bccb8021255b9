"""Whether values can be in the canonical units."""

from typing import Final

import numpy as np
import xarray as xr

from geocomiss.errors import StackError
from geocomiss.modalities import MODALITIES
from geocomiss.stack.layout import bands_of, groups_of

MAX_OUTSIDE: Final = 0.05
"""Share of a band's valid values that may lie outside its physical range (single outliers)."""


def unit_problems(stack: xr.DataTree) -> dict[str, str]:
    """Modalities whose values cannot be in the canonical unit, and why, in words.

    A band is a problem when over 5 % of its valid values lie outside its physical range. Reads the
    whole stack: give it a sample window of a large one.
    """
    problems: dict[str, str] = {}
    for name, bands in bands_of(stack).items():
        for band in (MODALITIES[name].band(each) for each in bands):
            values = groups_of(stack)[name][band.name].values
            valid = values[np.isfinite(values)]
            outside = (valid < band.low) | (valid > band.high)
            if valid.size and outside.mean() > MAX_OUTSIDE:
                problems[name] = (
                    f"not {band.unit}, as {outside.mean():.0%} of the values of {band.name} lie outside "
                    f"{band.low:g} to {band.high:g} (median {np.median(valid):g})"
                )
                break
    return problems


def check_units(stack: xr.DataTree) -> None:
    """Refuse a stack whose values cannot be in the canonical units. See `unit_problems`.

    Raises:
        StackError: Naming each modality and what was found.
    """
    problems = unit_problems(stack)
    if problems:
        raise StackError(
            "; ".join(f"{name}: {problem}" for name, problem in problems.items()),
            expected="values in the canonical units",
            todo="convert the stack, or leave these modalities out with --without",
        )
