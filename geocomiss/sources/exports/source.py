"""An export of Earth Engine as a source of stacks: the same values as if they had been fetched."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property, partial
from pathlib import Path

import numpy as np
import xarray as xr
from numpy.typing import NDArray
from odc.geo import Geometry
from odc.geo.geobox import GeoBox

from geocomiss.composite import ndvi, step_starts
from geocomiss.modalities import MODALITIES, NDVI
from geocomiss.recipes import Recipe
from geocomiss.seasons import Calendar
from geocomiss.sources.ee import coarse
from geocomiss.sources.ee.graph.wire import decoded
from geocomiss.sources.ee.tables import CODINGS
from geocomiss.sources.exports.files import files_of, whole_of
from geocomiss.sources.exports.manifest import MANIFEST, TURNED, Kind, Manifest, read_manifest
from geocomiss.sources.exports.numbers import Numbers
from geocomiss.sources.files import CHUNK, lazy_array
from geocomiss.sources.layout import part_of
from geocomiss.stack import COUNT, assign_grid, new_stack


@dataclass(frozen=True)
class Layers:
    """An imaging modality of an export."""

    name: str
    """Of the modality."""
    variables: tuple[str, ...]
    """Its bands and the count."""
    steps: int
    """T."""
    numbers: Numbers | None
    """Its numbers; None where no tile has any."""
    recipe: Recipe
    """Says what NDVI is."""

    def read(self, where: tuple[slice, ...]) -> NDArray[np.float32]:
        """All variables and steps of some rows and columns: (V, T, h, w)."""
        y, x = where[-2:]
        values = np.full(
            (len(self.variables), self.steps, y.stop - y.start, x.stop - x.start), np.nan, np.float32
        )
        if self.numbers is not None:
            stored = [each for each in self.variables if each != NDVI]
            asked = [f"{self.name}_{step}_{each}" for step in range(self.steps) for each in stored]
            codes = self.numbers.read(asked, y, x)  # all at once: a file has all bands in each block
            for step, part in enumerate(codes.reshape(self.steps, len(stored), *codes.shape[1:])):
                group = self._decoded(part, stored)
                for number, variable in enumerate(self.variables):
                    values[number, step] = group[variable].values
        values[self.variables.index(COUNT)] = np.nan_to_num(values[self.variables.index(COUNT)])
        return values

    def _decoded(self, codes: NDArray[np.int32], stored: Sequence[str]) -> xr.Dataset:
        """One step."""
        coding = CODINGS[self.name]
        turned = TURNED - codes if np.dtype(coding.dtype) == np.int16 else codes
        planes = decoded(turned, stored, coding)
        group = xr.Dataset({name: (("y", "x"), plane) for name, plane in planes.items()})
        return group.assign({NDVI: ndvi(group, self.recipe)}) if NDVI in self.variables else group


class ExportedSource:
    """The GeoTIFFs of an export. Implements `Source`.

    Args:
        folder: The folder of the export.
        files: Where its GeoTIFFs are, a folder or `gs://bucket/prefix`; None: beside the manifest or,
            without any there, in the bucket that they were written to.
    """

    simulated = False

    def __init__(self, folder: Path, files: str | None = None) -> None:
        self._folder, self._given = folder, files
        self._manifest: Manifest = read_manifest(folder)
        self.name = f"Earth Engine, export {folder.absolute().name}"

    @staticmethod
    def recognise(path: Path) -> bool:
        """Whether a path is the folder of an export."""
        return (path / MANIFEST).is_file()

    @property
    def recipe(self) -> Recipe:
        """How it was made."""
        return self._manifest.origin.recipe

    @property
    def bands(self) -> dict[str, tuple[str, ...]]:
        """Bands per modality."""
        return dict(self._manifest.bands)

    @property
    def grid(self) -> GeoBox:
        """Its pixel grid."""
        return self._manifest.grid

    @property
    def held(self) -> Calendar:
        """Its time steps."""
        return self._manifest.origin.calendar

    @property
    def area(self) -> Geometry | None:
        """See `Confined.area`: where it was asked for."""
        return self._manifest.area

    @cached_property
    def stack(self) -> xr.DataTree:
        """All of it, lazily; every file is looked at.

        Raises:
            SourceError: A file is missing, cannot be read, or is not what was asked for.
        """
        files = files_of(self._manifest, self._folder, self._given)
        numbers: dict[Kind, Numbers] = {}
        for part in self._manifest.parts:
            if part.kind not in numbers:
                whole = whole_of(self._manifest, part.kind)
                numbers[part.kind] = Numbers(whole, files[part.kind], part.nothing)
        origin = self._manifest.origin
        groups, notes = {}, list(origin.notes)
        for name, bands in self._manifest.bands.items():
            if MODALITIES[name].imaging:
                groups[name] = self._imaging(name, bands, numbers.get("tile"))
        if "weather" in numbers:
            groups["weather"], words = self._weather(numbers["weather"])
            notes += words
        if "topography" in numbers:
            groups["topography"] = self._topography(numbers["topography"])
        return new_stack(groups, replace(origin, source=self.name, notes=tuple(notes)))

    def open(self, grid: GeoBox, season: Calendar) -> xr.DataTree:
        """A window of it, cut to a season (see `Source.open`)."""
        return part_of(self.stack, grid, season)

    def _imaging(self, name: str, bands: tuple[str, ...], numbers: Numbers | None) -> xr.Dataset:
        layers = Layers(name, (*bands, COUNT), self.held.number, numbers, self.recipe)
        shape = (len(layers.variables), layers.steps, *self.grid.shape)
        key = (self._folder.absolute() / MANIFEST, name, self._given)
        cube = lazy_array(layers.read, shape, np.dtype(np.float32), key, CHUNK)
        group = xr.Dataset(coords={"time": step_starts(self.held)})
        for number, variable in enumerate(layers.variables):
            kind = np.int16 if variable == COUNT else np.float32
            group[variable] = ("time", "y", "x"), cube[number].astype(kind)
        return assign_grid(group, self.grid)

    def _weather(self, numbers: Numbers) -> tuple[xr.Dataset, list[str]]:
        (part,) = self._manifest.of_kind("weather")
        height, width = part.grid.shape
        codes = numbers.read(part.bands, slice(0, height), slice(0, width))
        group, filled = coarse.weather(codes, part.bands, part.grid, self.held)
        return group, coarse.weather_notes(group, filled)

    def _topography(self, numbers: Numbers) -> xr.Dataset:
        part = self._manifest.of_kind("topography")[0]
        key = (self._folder.absolute() / MANIFEST, "topography", self._given)
        read = partial(numbers.read, part.bands)
        return coarse.topography(
            numbers.grid, part.bands[0], read, self.grid, key, as_exported=self.recipe.screened
        )
