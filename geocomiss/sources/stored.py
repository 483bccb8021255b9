"""Our own stack on disk, written by `geocomiss fetch`."""

import functools
import json
from pathlib import Path
from typing import Any, Final

import numpy as np
import xarray as xr
from numpy.typing import NDArray
from odc.geo.geobox import GeoBox

from geocomiss.errors import SourceError
from geocomiss.grid import same_grid, window_in
from geocomiss.recipes import Recipe
from geocomiss.seasons import Calendar
from geocomiss.sources import files
from geocomiss.stack import (
    bands_of,
    cut_to_season,
    grid_of_group,
    grid_of_stack,
    groups_of,
    new_stack,
    origin_of,
    read_area,
    read_stack,
    window,
)

METADATA: Final = "zarr.json"
"""File of a Zarr group that holds its attributes."""


class StoredSource:
    """A Zarr folder that states its own recipe, calendar and origin.

    Args:
        path: The folder.
    """

    def __init__(self, path: Path) -> None:
        stack = read_stack(path)
        groups = groups_of(stack)
        self._path, self._origin = path, origin_of(stack)
        self._stack = new_stack({name: _hollow(each) for name, each in groups.items()}, self._origin)
        self._sides = {name: _side(each) for name, each in groups.items()}
        self.area = read_area(path)
        """See `Confined.area`: where it was fetched."""
        self.name = f"stack {path.name}"

    def __reduce__(self) -> tuple[type["StoredSource"], tuple[Path]]:
        """Another process opens the folder itself: arrays without values would travel as if they had some."""
        return StoredSource, (self._path.absolute(),)

    @staticmethod
    def recognise(path: Path) -> bool:
        """Whether a folder is a Zarr group that calls itself a stack of ours."""
        metadata = path / METADATA
        if not metadata.is_file():
            return False
        try:
            attributes = json.loads(metadata.read_text()).get("attributes", {})
        except (OSError, ValueError) as error:
            raise SourceError(
                f"{path.name} has unreadable metadata (zarr.json)",
                expected="a Zarr folder written by `geocomiss fetch`",
                todo="fetch it again",
            ) from error
        return "geocomiss_stack" in attributes

    @property
    def recipe(self) -> Recipe:
        """How it was made."""
        return self._origin.recipe

    @property
    def bands(self) -> dict[str, tuple[str, ...]]:
        """Bands per modality."""
        return bands_of(self._stack)

    @property
    def simulated(self) -> bool:
        """Whether it was fetched from the simulated world."""
        return self._origin.simulated

    @property
    def grid(self) -> GeoBox:
        """Its pixel grid."""
        return grid_of_stack(self._stack)

    @property
    def held(self) -> Calendar:
        """Its time steps."""
        return self._origin.calendar

    def open(self, grid: GeoBox, season: Calendar) -> xr.DataTree:
        """A window of it, cut to a season, in the blocks of the file (see `Source.open`)."""
        # blocks of the window's own would be cut from up to four of these, each of which is unpacked whole;
        # and a window of a lazy array costs as much as it has blocks, whenever something of it is read
        rows, cols = window_in(grid, self.grid)
        whole, groups = groups_of(self._stack), {}
        for name, group in groups_of(window(self._stack, rows, cols, self.grid)).items():
            on_grid = same_grid(grid_of_group(whole[name]), self.grid)
            corner = (rows.start, cols.start) if on_grid else (0, 0)
            groups[name] = _lazy(self._path, name, group, self._sides[name], corner)
        cut = cut_to_season(new_stack(groups, self._origin), season)
        return new_stack(
            {name: group.drop_encoding() for name, group in groups_of(cut).items()}, origin_of(cut)
        )


def _hollow(group: xr.Dataset) -> xr.Dataset:
    """The same arrays without values, and without memory for any: windows of them cost nothing."""

    def hollow(band: xr.DataArray) -> xr.DataArray:
        return band.copy(data=np.broadcast_to(np.zeros((), band.dtype), band.shape))

    return group.map(hollow, keep_attrs=True)


def _side(group: xr.Dataset) -> int:
    """Pixels a side of the blocks of a stored modality."""
    return max(int(side) for band in group.data_vars.values() for side in band.encoding["chunks"][-2:])


def _lazy(path: Path, modality: str, group: xr.Dataset, side: int, corner: tuple[int, int]) -> xr.Dataset:
    """A window of arrays with their values, read in tasks that say which stack is damaged."""

    def lazy(band: xr.DataArray) -> xr.DataArray:
        read = functools.partial(_read, path.absolute(), modality, str(band.name))
        key = (path.absolute() / METADATA, modality, band.name)
        return band.copy(data=files.lazy_array(read, band.shape, band.dtype, key, side, corner))

    return group.map(lazy, keep_attrs=True)


def _read(path: Path, modality: str, name: str, where: tuple[slice, ...]) -> NDArray[Any]:
    try:
        group = _group(path, modality, (path / METADATA).stat().st_mtime_ns)
        return np.asarray(group[name].variable[where].values)
    except (OSError, RuntimeError, ValueError, KeyError) as error:
        raise files.damaged(path, error) from error


@functools.lru_cache(maxsize=64)
def _group(path: Path, modality: str, _changed: int) -> xr.Dataset:
    return xr.open_dataset(path, engine="zarr", group=modality, consolidated=False, cache=False)
