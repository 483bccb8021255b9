"""The images of a folder as blocks of a stack: a block is read and composited when it is asked for.

One task a block, band by band: of a block one band of all dates is in memory as it is stored, and physical
values only of the rows that are composited. What a block takes grows with the dates, hardly with the bands.

T dates of a season, H x W pixels of a block, h x W those of a strip of its rows.
"""

import re
import threading
import uuid
from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import xarray as xr
from numpy.typing import NDArray
from odc.geo.geobox import GeoBox

from geocomiss import composite
from geocomiss.errors import SourceError
from geocomiss.grid import centres, window_in
from geocomiss.modalities import MODALITIES, NDVI
from geocomiss.recipes import Recipe
from geocomiss.seasons import Calendar
from geocomiss.sources import files
from geocomiss.sources.folder import CLASSES, Member
from geocomiss.sources.openeo import physical, variable_named
from geocomiss.stack import COUNT
from geocomiss.worldcereal import NODATA

AT_WORK: Final = 4
"""Blocks that are composited at a time, on however many cores."""
AT_ONCE: Final = threading.BoundedSemaphore(AT_WORK)
STRIPS: Final = 8
"""Strips of rows in which a block is composited."""
DATE: Final = 5.0
"""Bytes a pixel that a date takes beside what is stored of it: what is clear, what was seen, scene classes,
and a strip in float64."""
STEP: Final = 4.0
"""Bytes a pixel that a step of a variable takes."""
SPARE: Final = 1.25
"""What is taken, in bytes of the arrays: memory comes in pieces."""
REFLECTANCE: Final = 10000.0
"""From reflectance 0..1 to the canonical unit."""
_DIMS: Final = ("time", "y", "x")

Rows = Callable[[slice], NDArray[Any]]
"""Values of some rows of a block: (T, h, W)."""


@dataclass(frozen=True)
class Piece:
    """A variable of a file, and the dates of a season that it holds."""

    member: Member
    """The file."""
    name: str
    """The variable."""
    band: str
    """Its canonical band, or `scl`."""
    taken: NDArray[np.int64]
    """Places of dates along the file's axis of time."""
    put: NDArray[np.int64]
    """Places of the same dates in the season."""

    def on(self, part: GeoBox, whole: GeoBox) -> Rows:
        """Its values on the pixels of a window: the cell in which each centre lies, missing beyond the image.

        Reads all of the window, as it is stored.

        Args:
            part: The window.
            whole: The grid from whose origin its pixels are counted.
        """
        grid = self.member.grid
        x, y = centres(part, whole)
        down, aside = (
            _Along.of(y, grid.affine.f, grid.affine.e, grid.height),
            _Along.of(x, grid.affine.c, grid.affine.a, grid.width),
        )
        dates = slice(int(self.taken.min()), int(self.taken.max()) + 1)
        stored = files.read_window(self.member.path, self.name, dates, down.span, aside.span)
        decode = self._decoder()
        missing = 0 if self.band == CLASSES else np.nan

        def rows(at: slice) -> NDArray[Any]:
            own = down.places[at] - down.span.start
            first, end = int(own[0]), int(own[-1]) + 1
            values = decode(_taken(stored[:, first:end], self.taken - dates.start, 0))
            # columns first: that goes number by number, and there are fewer rows than there will be
            values = _taken(values, aside.places - aside.span.start, 2)
            values = _taken(values, own - first, 1)
            values[:, ~down.inside[at]] = missing
            values[:, :, ~aside.inside] = missing
            return values

        return rows

    def bytes(self, whole: GeoBox) -> float:
        """Bytes, as stored, for each pixel of another grid."""
        own = self.member.grid.resolution
        cells = abs(whole.resolution.x * whole.resolution.y / (own.x * own.y))
        return float(cells * self._variable.dtype.itemsize * (self.taken.max() + 1 - self.taken.min()))

    def stored_side(self, whole: GeoBox) -> int:
        """Pixels of another grid along a side of the blocks in which a file is stored; 0: there are none."""
        sizes = self._variable.encoding.get("chunksizes") or (0,) * self._variable.ndim
        side = max(size for size, dim in zip(sizes, self._variable.dims, strict=True) if dim in ("y", "x"))
        return int(side * abs(self.member.grid.resolution.x / whole.resolution.x))

    @property
    def _variable(self) -> xr.DataArray:
        return files.open_netcdf(self.member.path)[self.name]

    def _decoder(self) -> Callable[[NDArray[Any]], NDArray[Any]]:
        """To canonical units; SCL as stored."""
        path, known = self.member.path, variable_named(self.name)
        if self.band == CLASSES:
            return lambda stored: stored.astype(np.uint8)  # always a copy
        if known and known.product:  # openEO's names mean openEO's integers
            decode = files.decoder(path, self.name, missing=(NODATA,))
            return lambda stored: physical(xr.DataArray(decode(stored), dims=_DIMS), known, []).values
        return files.decoder(path, self.name, factor=_factor(self.member, self.band, self.name))


@dataclass(frozen=True)
class Images:
    """All images of one modality in a season."""

    modality: str
    """Its name."""
    times: NDArray[np.datetime64]
    """(T,) dates, oldest first."""
    series: dict[str, tuple[Piece, ...]]
    """Canonical band, or `scl` -> what holds it."""
    whole: GeoBox
    """The grid of the source, from whose origin pixels are counted."""
    season: Calendar
    """Time steps wanted."""
    recipe: Recipe
    """How to composite."""
    pixel: float
    """Pixel size in metres."""
    bands: frozenset[str]
    """Bands that are composited, of those that are there; all count as seen."""

    @classmethod
    def of(
        cls,
        members: tuple[Member, ...],
        whole: GeoBox,
        season: Calendar,
        recipe: Recipe,
        pixel: float,
        bands: Collection[str] | None = None,
    ) -> "Images":
        """The images of some files of one modality.

        Args:
            members: The files.
            whole: The grid from whose origin pixels are counted.
            season: Time steps wanted.
            recipe: How to composite.
            pixel: Pixel size in metres.
            bands: Those that are to be composited; None: all.

        Raises:
            SourceError: Bands of different dates, some of them twice.
        """
        held: dict[str, list[tuple[Member, str]]] = {}
        for member in members:
            for band, name in member.bands.items():
                held.setdefault(band, []).append((member, name))
        dated = {
            band: np.concatenate([member.times for member, _ in several]) for band, several in held.items()
        }
        times = dated.get(CLASSES, next(iter(dated.values())))
        wanted = composite.dates_within(times, season)
        series = {
            band: _pieces(band, several, _places(band, dated[band], times)[wanted])
            for band, several in held.items()
        }
        made = {*series, NDVI} if bands is None else set(bands)
        return cls(members[0].modality, times[wanted], series, whole, season, recipe, pixel, frozenset(made))

    @property
    def variables(self) -> tuple[str, ...]:
        """What a block holds, in canonical order: bands, NDVI where it can be computed, `count`."""
        there, needed = set(self.series), set(composite.ndvi_bands(self.recipe))
        has_ndvi = self.modality == "optical" and needed <= there and NDVI in self.bands
        made = self.bands & there | (needed | {NDVI} if has_ndvi else set())
        return (*(band for band in MODALITIES[self.modality].band_names if band in made), COUNT)

    @property
    def margin(self) -> int:
        """Pixels beyond each side of a block that matter for it: clouds there are grown into it."""
        return composite.margin_pixels(self.recipe, self.pixel) if self.modality == "optical" else 0

    @property
    def stored_side(self) -> int:
        """Most pixels a side of the blocks in which files are stored; 0: they are not."""
        pieces = [piece for several in self.series.values() for piece in several]
        return max((piece.stored_side(self.whole) for piece in pieces), default=0)

    def bytes(self) -> float:
        """Most bytes that a pixel of a block takes while it is composited."""
        stored = max(
            (sum(piece.bytes(self.whole) for piece in several) for several in self.series.values()),
            default=0.0,
        )
        return SPARE * (stored + DATE * self.times.size + STEP * self.season.number * len(self.variables))

    def composited(self, part: GeoBox) -> NDArray[np.float32]:
        """A block of the stack: (variables, steps, H, W).

        Args:
            part: The pixels, a window of the source's grid.
        """
        result = np.full((len(self.variables), self.season.number, *part.shape), np.nan, np.float32)
        result[-1] = 0
        if self.times.size:
            with AT_ONCE:  # no more of them at a time than memory is reckoned for
                self._fill(result, part)
        return result

    def classes(self, part: GeoBox) -> xr.DataArray:
        """Scene classes of a window, lazily: (T, H, W)."""

        def read(where: tuple[slice, ...]) -> NDArray[np.uint8]:
            block = part[where[1:]]
            return self._rows(CLASSES, block)(slice(0, block.height))

        shape = (self.times.size, *part.shape)
        return self._dated(
            files.lazy_array(read, shape, np.dtype(np.uint8), (uuid.uuid4().hex,), files.CHUNK)
        )

    def _fill(self, result: NDArray[np.float32], part: GeoBox) -> None:
        keep = self._kept(part)
        seen = np.zeros((self.times.size, *part.shape), bool)
        for name in set(self.series) - {CLASSES}:
            steps = result[self.variables.index(name)] if name in self.variables else None
            self._take(name, part, keep, seen, steps)
        if keep is not None:
            seen &= keep
        for rows in _strips(part.height):
            result[-1, :, rows] = composite.dates_seen(self._dated(seen[:, rows]), self.season).values
            self._add_ndvi(result, rows)

    def _take(
        self,
        name: str,
        part: GeoBox,
        keep: NDArray[np.bool_] | None,
        seen: NDArray[np.bool_],
        steps: NDArray[np.float32] | None,
    ) -> None:
        """Read one band of a block, which nobody holds any more when the next one is read.

        Args:
            name: The band.
            part: The block.
            keep: See `_kept`.
            seen: (T, H, W) told where the band was observed.
            steps: (steps, H, W) for its composite; None where that is not asked for.
        """
        values_of = self._rows(name, part)
        for rows in _strips(part.height):
            values = values_of(rows)
            seen[:, rows] |= np.isfinite(values)
            if steps is not None:
                steps[:, rows] = self._steps(self._dated(values), keep, rows).values

    def _steps(self, band: xr.DataArray, keep: NDArray[np.bool_] | None, rows: slice) -> xr.DataArray:
        """The time steps of a band in some rows."""
        if self.modality == "weather":
            return composite.weather_steps(band, self.season)
        if keep is None:
            return composite.radar_steps(band, self.season, self.recipe)
        return composite.optical_steps(band, self._dated(keep[:, rows]), self.season, self.recipe)

    def _kept(self, part: GeoBox) -> NDArray[np.bool_] | None:
        """Optical observations that the composite is made of, (T, H, W); None: all of them."""
        if self.modality != "optical":
            return None
        wide, (down, aside) = widened(part, self.whole, self.margin)
        classes, keep = self._rows(CLASSES, wide), np.empty((self.times.size, *part.shape), bool)
        for rows in _strips(part.height):
            first = max(0, down.start + rows.start - self.margin)
            end = min(wide.height, down.start + rows.stop + self.margin)
            scenes = xr.Dataset({composite.SCL: self._dated(classes(slice(first, end)))})
            found = composite.kept(scenes, self.season, self.recipe, self.pixel).values
            top = down.start + rows.start - first
            keep[:, rows] = found[:, top : top + rows.stop - rows.start, aside]
        return keep

    def _add_ndvi(self, result: NDArray[np.float32], rows: slice) -> None:
        if NDVI in self.variables:
            steps = {
                name: (_DIMS, result[self.variables.index(name), :, rows])
                for name in composite.ndvi_bands(self.recipe)
            }
            values = composite.ndvi(xr.Dataset(steps), self.recipe).values
            result[self.variables.index(NDVI), :, rows] = values

    def _rows(self, band: str, part: GeoBox) -> Rows:
        """The values of a band in a block, which is read; missing on dates that no file has."""
        read = [(piece.put, piece.on(part, self.whole)) for piece in self.series[band]]
        kind, missing = (np.uint8, 0) if band == CLASSES else (np.float32, np.nan)

        def rows(at: slice) -> NDArray[Any]:
            if len(read) == 1 and len(read[0][0]) == self.times.size:
                return read[0][1](at)
            values = np.full((self.times.size, at.stop - at.start, part.width), missing, kind)
            for put, own in read:
                values[put] = own(at)
            return values

        return rows

    def _dated(self, values: Any) -> xr.DataArray:
        return xr.DataArray(values, dims=_DIMS, coords={"time": self.times})


@dataclass(frozen=True)
class _Along:
    """Which cells of an image pixels lie in, along an axis."""

    places: NDArray[np.int64]
    """Of each pixel; the first or last one beyond the image."""
    inside: NDArray[np.bool_]
    """Whether a pixel lies in the image at all."""
    span: slice
    """All cells in which any lies."""

    @classmethod
    def of(cls, centre: NDArray[np.float64], origin: float, size: float, number: int) -> "_Along":
        places = np.floor((centre - origin) / size).astype(np.int64)
        held = np.clip(places, 0, number - 1)
        return cls(held, held == places, slice(int(held[0]), int(held[-1]) + 1))


def _taken(values: NDArray[Any], places: NDArray[np.int64], axis: int) -> NDArray[Any]:
    """Some places along an axis; not copied where they are all of them, in order."""
    if len(places) == values.shape[axis] and (np.diff(places) == 1).all():
        return values
    return np.take(values, places, axis)


def widened(part: GeoBox, whole: GeoBox, margin: int) -> tuple[GeoBox, tuple[slice, slice]]:
    """A window with up to `margin` pixels more on each side, and where `part` lies in it.

    Args:
        part: A window of `whole`.
        whole: The grid.
        margin: Pixels.
    """
    rows, cols = window_in(part, whole)
    outer = [
        slice(max(0, at.start - margin), min(size, at.stop + margin))
        for at, size in ((rows, whole.height), (cols, whole.width))
    ]
    inner = [
        slice(at.start - out.start, at.stop - out.start) for at, out in zip((rows, cols), outer, strict=True)
    ]
    return whole[outer[0], outer[1]], (inner[0], inner[1])


def _strips(height: int) -> Iterator[slice]:
    """Rows of a block that are composited at a time."""
    step = -(-height // STRIPS)
    for first in range(0, height, step):
        yield slice(first, min(first + step, height))


def _pieces(band: str, held: list[tuple[Member, str]], places: NDArray[np.int64]) -> tuple[Piece, ...]:
    """What holds a band, with the dates of each file.

    Args:
        band: The band.
        held: Files and variables, whose dates follow one another.
        places: (T,) of each date of the season among all of theirs, -1: it is in none.
    """
    pieces, first = [], 0
    for member, name in held:
        put = np.flatnonzero((first <= places) & (places < first + member.times.size))
        if put.size:
            pieces.append(Piece(member, name, band, places[put] - first, put))
        first += member.times.size
    return tuple(pieces)


def _places(band: str, own: NDArray[np.datetime64], times: NDArray[np.datetime64]) -> NDArray[np.int64]:
    """Where the dates of the scene classification stand among a band's own; -1: it has no such date."""
    if np.array_equal(own, times):
        return np.arange(times.size)
    if len(np.unique(own)) < own.size or len(np.unique(times)) < times.size:
        raise SourceError(
            f"{band} has other dates than the scene classification, some of them twice",
            expected="each acquisition once in each file",
            todo="take files that overlap in time apart",
        )
    known = {time: place for place, time in enumerate(own.tolist())}
    return np.array([known.get(time, -1) for time in times.tolist()], np.int64)


def _factor(member: Member, band: str, name: str) -> float:
    """From the unit of a file to the canonical one."""
    variable = files.open_netcdf(member.path)[name]
    if member.modality == "optical":
        whole_numbers = variable.dtype.kind in "iu" and "scale_factor" not in variable.attrs
        return 1.0 if whole_numbers else REFLECTANCE
    in_metres = re.match(r"m(?![a-z])", str(variable.attrs.get("units", "")))
    is_rain = band == MODALITIES["weather"].band_names[1]
    return 1e-3 if is_rain and not in_metres else 1.0  # AgERA5 gives mm per day
