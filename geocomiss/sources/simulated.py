"""The embedded source: a simulated world that needs no account, network or file.

It has no grid of its own and no season: it answers for any of both. Blocks are simulated lazily; each
block is simulated with the margin that compositing needs, all dates at once, so memory depends on the
size of a block and not on the area.
"""

import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Final

import dask.array as da
import numpy as np
import xarray as xr
from affine import Affine
from numpy.typing import NDArray
from odc.geo import CRS
from odc.geo.geobox import GeoBox

from geocomiss.composite import margin_pixels, step_starts
from geocomiss.grid import crs_of
from geocomiss.modalities import MODALITIES
from geocomiss.recipes import Recipe
from geocomiss.seasons import Calendar
from geocomiss.simulation import World
from geocomiss.simulation.orbits import PASS
from geocomiss.simulation.places import METRES_PER_DEGREE, places_of
from geocomiss.simulation.weather import CELLS_A_DEGREE
from geocomiss.sources.base import Scenes
from geocomiss.sources.blocks import variable_of
from geocomiss.stack import COUNT, Origin, assign_grid, new_stack, pieces

BLOCK: Final = 128
"""Most pixels a side of a block: a year of one takes 89 MB."""
AT_WORK: Final = 4
"""Blocks that are simulated at a time, on however many cores."""
AT_ONCE: Final = threading.BoundedSemaphore(AT_WORK)
DATE: Final = 58.0
"""Bytes a pixel that an optical acquisition takes while a block is composited: twelve bands in float32, scene
classes, clouds, and a band that is looked at."""
STEP: Final = 56.0
"""Bytes a pixel that a time step of the composite takes."""
LEAST: Final = 2500.0
"""Bytes a pixel of a short season, and of terrain: 2,380 were measured."""
SPARE: Final = 1.25
"""What is taken, in bytes of the arrays: memory comes in pieces, and 4 threads keep some each."""
LOOKED_AT: Final = 8
"""Places along a side of an area at which acquisitions are counted: swaths are far wider than blocks."""
Simulate = Callable[[GeoBox], xr.Dataset]


@dataclass
class SimulatedSource:
    """A source that simulates what it is asked for. Implements `Source`, `Compositing`."""

    recipe: Recipe
    """How its stacks are made; any recipe will do."""
    seed: int
    """Seed of the world."""
    block: int = BLOCK
    """Pixels a side of the blocks of what is opened."""

    @property
    def name(self) -> str:
        """Stated in maps."""
        return f"simulated (seed {self.seed})"

    @property
    def bands(self) -> dict[str, tuple[str, ...]]:
        """All bands of all modalities."""
        return {name: modality.band_names for name, modality in MODALITIES.items()}

    @property
    def simulated(self) -> bool:
        """Always true."""
        return True

    @property
    def grid(self) -> GeoBox | None:
        """None: it fills any grid."""
        return None

    @property
    def held(self) -> Calendar | None:
        """None: it answers for any season."""
        return None

    def scenes(self, grid: GeoBox, season: Calendar) -> Scenes:
        """See `Compositing.scenes`: a block has all dates of a season in memory."""
        everywhere = places_of(grid.zoom_to((LOOKED_AT, LOOKED_AT)).pad(1))
        dates = World(self.seed).acquisitions(everywhere, season)
        pixel = SPARE * max(LEAST, DATE * dates + STEP * season.number)
        return Scenes(pixel, margin_pixels(self.recipe, pixel_metres(grid)), BLOCK, AT_WORK)

    def cut(self, tile: int) -> None:
        """See `Compositing.cut`."""
        self.block = min(BLOCK, tile)

    def open(self, grid: GeoBox, season: Calendar) -> xr.DataTree:
        """The stack of a grid and season, lazily (Dask). Steps in the future come back missing.

        The bands of one modality are computed together: load a window whole, not band by band.
        """
        world, recipe, pixel = World(self.seed), self.recipe, pixel_metres(grid)
        margin = margin_pixels(recipe, pixel)

        def optical(part: GeoBox) -> xr.Dataset:
            wide = world.optical(places_of(part.pad(margin)), season, recipe, pixel)
            inner = slice(margin, -margin or None)
            return wide.isel(y=inner, x=inner)

        def radar(part: GeoBox) -> xr.Dataset:
            return world.radar(places_of(part), season, recipe)

        def topography(part: GeoBox) -> xr.Dataset:
            return world.topography(places_of(part))

        groups = {
            "optical": _lazy("optical", optical, grid, season, self.block),
            "radar": _lazy("radar", radar, grid, season, self.block),
            "weather": self._weather(grid, season),
            "topography": _lazy("topography", topography, grid, None, self.block),
        }
        return new_stack(groups, Origin(self.name, recipe, season, simulated=True, radar_pass=PASS))

    def _weather(self, grid: GeoBox, season: Calendar) -> xr.Dataset:
        cells = weather_grid(grid)
        first_row = round(cells.affine.f * CELLS_A_DEGREE) - 1
        first_col = round(cells.affine.c * CELLS_A_DEGREE)
        rows = first_row - np.arange(cells.height)[:, None] + np.zeros((1, cells.width), np.int64)
        cols = first_col + np.arange(cells.width)[None, :] + np.zeros((cells.height, 1), np.int64)
        weather = World(self.seed).weather(rows, cols, season, self.recipe)
        return assign_grid(weather.chunk(), cells)


def pixel_metres(grid: GeoBox) -> float:
    """Height of a pixel in metres, whatever the unit of the grid's CRS."""
    height, crs = abs(float(grid.affine.e)), crs_of(grid)
    if crs.geographic:
        return height * METRES_PER_DEGREE
    return height * float(crs.proj.axis_info[0].unit_conversion_factor)


def weather_grid(grid: GeoBox) -> GeoBox:
    """The 0.1 degree cells of EPSG:4326 that a grid touches, and one more on each side."""
    box = grid.footprint("EPSG:4326").boundingbox
    left, bottom = (int(np.floor(edge * CELLS_A_DEGREE)) - 1 for edge in (box.left, box.bottom))
    right, top = (int(np.ceil(edge * CELLS_A_DEGREE)) + 1 for edge in (box.right, box.top))
    size = 1 / CELLS_A_DEGREE
    affine = Affine(size, 0, left / CELLS_A_DEGREE, 0, -size, top / CELLS_A_DEGREE)
    return GeoBox((top - bottom, right - left), affine, CRS("EPSG:4326"))


def _lazy(name: str, simulate: Simulate, grid: GeoBox, season: Calendar | None, size: int) -> xr.Dataset:
    """A modality as Dask arrays, one task a block of `size` pixels a side for all its variables."""
    modality = MODALITIES[name]
    variables = (*modality.band_names, *((COUNT,) if modality.dynamic else ()))
    steps = season.number if season else 1

    def block(block_id: Any = None) -> NDArray[np.float32]:
        top, left = block_id[2] * size, block_id[3] * size
        part = grid[top : min(top + size, grid.height), left : min(left + size, grid.width)]
        return _simulated(simulate, part, variables)

    rows, cols = (pieces(length, size) for length in (grid.height, grid.width))
    mapped: Any = da.map_blocks  # dask ships no types for it
    cube = mapped(block, chunks=((len(variables),), (steps,), rows, cols), dtype=np.float32, meta=_META)
    group = xr.Dataset()
    for number, variable in enumerate(variables):
        kind = np.dtype(np.int16 if variable == COUNT else np.float32)
        layer = variable_of(cube, (number,) if season else (number, 0), kind)
        group[variable] = (("time", "y", "x") if season else ("y", "x"), layer)
    if season:
        group = group.assign_coords(time=step_starts(season))
    return assign_grid(group, grid)


def _simulated(simulate: Simulate, part: GeoBox, variables: Sequence[str]) -> NDArray[np.float32]:
    """A block (variables, T, H, W), no more of them at a time than memory is reckoned for."""
    with AT_ONCE:
        values = simulate(part)
        return np.stack([_with_time(values[variable]) for variable in variables])


_META: Final = np.empty((0, 0, 0, 0), np.float32)


def _with_time(values: xr.DataArray) -> NDArray[np.float32]:
    """(T, H, W), T = 1 where nothing changes over time."""
    return np.asarray(values.values if values.ndim == 3 else values.values[None], np.float32)
