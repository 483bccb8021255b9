"""Our own stack on disk, written by `geocomiss fetch`."""

import functools
import json
from pathlib import Path
from typing import Any, Final

import numpy as np
import xarray as xr
from numpy.typing import NDArray
from odc.geo.geobox import GeoBox
from xarray.backends import BackendArray
from xarray.core import indexing

from geocomiss.errors import SourceError
from geocomiss.grid import window_in
from geocomiss.recipes import Recipe
from geocomiss.seasons import Calendar
from geocomiss.sources import files
from geocomiss.stack import (
    STORED,
    bands_of,
    cut_to_season,
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
        lazy = {name: _lazy(path.absolute(), name, each) for name, each in groups.items()}
        self._stack = new_stack(lazy, self._origin)
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
        """A window of it, cut to a season (see `Source.open`)."""
        rows, cols = window_in(grid, self.grid)
        return cut_to_season(window(self._stack, rows, cols, self.grid), season)


class _Band(BackendArray):
    """An array of a stored stack, read where it is indexed; an error says which stack is damaged.

    Not Dask's: to make its tasks for a field of some pixels takes several times as long as to read them.

    Args:
        path: The folder of the stack.
        modality: Group of the array.
        like: What is known of it.
    """

    def __init__(self, path: Path, modality: str, like: xr.DataArray) -> None:
        self._path, self._modality, self._name = path, modality, str(like.name)
        self.shape, self.dtype = like.shape, like.dtype

    def __getitem__(self, key: indexing.ExplicitIndexer) -> Any:
        return indexing.explicit_indexing_adapter(key, self.shape, indexing.IndexingSupport.BASIC, self._read)

    def _read(self, where: tuple[Any, ...]) -> NDArray[Any]:
        try:
            group = _group(self._path, self._modality, (self._path / METADATA).stat().st_mtime_ns)
            return np.asarray(group[self._name].variable[where].values)
        except (OSError, RuntimeError, ValueError, KeyError) as error:
            raise files.damaged(self._path, error) from error


def _lazy(path: Path, modality: str, group: xr.Dataset) -> xr.Dataset:
    """A modality whose values are read where they are asked for; windows of it cost nothing."""

    def lazy(band: xr.DataArray) -> xr.DataArray:
        read = indexing.LazilyIndexedArray(_Band(path, modality, band))
        found = band.copy(data=read).drop_encoding()
        found.encoding = {STORED: dict(zip(map(str, band.dims), band.encoding["chunks"], strict=True))}
        return found

    return group.map(lazy, keep_attrs=True)


@functools.lru_cache(maxsize=64)
def _group(path: Path, modality: str, _changed: int) -> xr.Dataset:
    return xr.open_dataset(path, engine="zarr", group=modality, consolidated=False, cache=False)
