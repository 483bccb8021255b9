"""The world of one seed: what is there, and what was observed."""

from dataclasses import dataclass

import numpy as np
import xarray as xr
from numpy.typing import NDArray
from odc.geo.geobox import GeoBox

from geocomiss.modalities import MODALITIES
from geocomiss.recipes import Recipe
from geocomiss.seasons import Calendar
from geocomiss.simulation.fields import cover
from geocomiss.simulation.observe import most_optical, observe_optical, observe_radar, observe_weather
from geocomiss.simulation.places import Places, places_of
from geocomiss.simulation.terrain import elevation, slope


@dataclass(frozen=True)
class World:
    """Everything about the simulated world of one seed."""

    seed: int
    """Names the world: two seeds share nothing but how crops grow and look."""

    def true_class(self, grid: GeoBox) -> NDArray[np.uint8]:
        """True class (1..K, position in `CLASSES` + 1) at the pixel centres of a grid, (H, W)."""
        return self.class_at(places_of(grid))

    def class_at(self, places: Places) -> NDArray[np.uint8]:
        """True class (1..K) at places, in their shape."""
        return cover(self.seed, places).value.reshape(places.shape)

    def optical(self, places: Places, season: Calendar, recipe: Recipe, pixel: float) -> xr.Dataset:
        """Optical steps, see `observe.observe_optical`."""
        return observe_optical(self.seed, places, season, recipe, pixel)

    def acquisitions(self, places: Places, season: Calendar) -> int:
        """Most optical acquisitions of a block, see `observe.most_optical`."""
        return most_optical(self.seed, places, season)

    def radar(self, places: Places, season: Calendar, recipe: Recipe) -> xr.Dataset:
        """Radar steps, see `observe.observe_radar`."""
        return observe_radar(self.seed, places, season, recipe)

    def weather(
        self, rows: NDArray[np.int64], cols: NDArray[np.int64], season: Calendar, recipe: Recipe
    ) -> xr.Dataset:
        """Weather steps of cells, see `observe.observe_weather`."""
        return observe_weather(self.seed, rows, cols, season, recipe)

    def topography(self, places: Places) -> xr.Dataset:
        """Elevation in metres and slope in degrees at places (H, W): `(y, x)`."""
        values = (elevation(self.seed, places), slope(self.seed, places))
        names = MODALITIES["topography"].band_names
        return xr.Dataset({name: (("y", "x"), value) for name, value in zip(names, values, strict=True)})
