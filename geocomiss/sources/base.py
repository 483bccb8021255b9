"""What every source of satellite data offers."""

from typing import Protocol

import xarray as xr
from odc.geo.geobox import GeoBox

from geocomiss.recipes import Recipe
from geocomiss.seasons import Calendar


class Source(Protocol):
    """Somewhere stacks come from. A row of `SOURCES`."""

    @property
    def name(self) -> str:
        """Stated in maps: the kind of source and a file's name, never a path."""

    @property
    def recipe(self) -> Recipe:
        """How its stacks are made."""

    @property
    def bands(self) -> dict[str, tuple[str, ...]]:
        """What it can deliver: bands per modality, canonical names. Known without reading pixels."""

    @property
    def simulated(self) -> bool:
        """Whether its values come from the simulated world."""

    @property
    def grid(self) -> GeoBox | None:
        """Its own pixel grid, which maps then keep, or None where it fills any grid asked for."""

    @property
    def held(self) -> Calendar | None:
        """The time steps that it holds, or None where it answers for any season."""

    def open(self, grid: GeoBox, season: Calendar) -> xr.DataTree:
        """The stack of a grid and season, lazily (Dask).

        Args:
            grid: The grid to fill; a window of the source's own where it has one.
            season: Time steps wanted. Steps in the future come back missing.

        Raises:
            SeasonError: The season is not held.
            SourceError: A file is damaged.
        """
