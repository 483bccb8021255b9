"""What all sources do alike once a file is read: order, count, window, season, blocks."""

import functools
from collections.abc import Iterable

import numpy as np
import xarray as xr
from odc.geo.geobox import GeoBox

from geocomiss.grid import window_in
from geocomiss.modalities import MODALITIES
from geocomiss.seasons import Calendar
from geocomiss.sources.files import CHUNK
from geocomiss.stack import COUNT, cut_to_season, grid_of_stack, groups_of, new_stack, origin_of, window


def part_of(whole: xr.DataTree, part: GeoBox, season: Calendar) -> xr.DataTree:
    """A window of a stack that lies on its own grid, cut to a season: what `Source.open` returns.

    Args:
        whole: The stack.
        part: The grid of the window.
        season: Time steps wanted.

    Raises:
        AreaError: `part` is no window of the stack's grid.
        SeasonError: The stack does not hold the season.
    """
    rows, cols = window_in(part, grid_of_stack(whole))
    cut = cut_to_season(window(whole, rows, cols), season)
    return new_stack({name: tidy(group) for name, group in groups_of(cut).items()}, origin_of(cut))


def tidy(group: xr.Dataset) -> xr.Dataset:
    """In blocks of one size and without the coding of the file it came from, as Zarr wants it."""
    return group.drop_encoding().chunk(y=CHUNK, x=CHUNK)


def with_count(group: xr.Dataset) -> xr.Dataset:
    """With `count`: 1 where any band is valid, since the file does not tell more."""
    valid = functools.reduce(lambda a, b: a | b, (band.notnull() for band in group.data_vars.values()))
    return group.assign({COUNT: valid.astype(np.int16).assign_attrs(count_kind="composite")})


def in_order(modality: str, names: Iterable[str]) -> tuple[str, ...]:
    """Those of the names that are bands of the modality, in canonical order."""
    given = set(names)
    return tuple(name for name in MODALITIES[modality].band_names if name in given)
