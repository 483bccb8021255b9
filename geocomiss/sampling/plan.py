"""Everything decided before the first series is read, so that bad input leaves nothing behind."""

from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, Final

import numpy as np
import xarray as xr
from numpy.typing import NDArray
from odc.geo.geobox import GeoBox

from geocomiss import __version__
from geocomiss.errors import SampleError, SeasonError
from geocomiss.recipes import recipe_named
from geocomiss.sampling.features import Features, read_features, season_for_all
from geocomiss.sampling.lattice import Lattice
from geocomiss.sampling.pixels import Pixels, pixels_of
from geocomiss.sampling.request import LeftOut, SamplingRequest
from geocomiss.seasons import Calendar
from geocomiss.sources.base import Reading, Source
from geocomiss.sources.resolve import Asked, files_state, future_steps, resolve_season, source_asked
from geocomiss.stack import window
from geocomiss.wording import without_secrets

NOT_HELD = "season not held by the source"
FETCHED: Final = "fetched"
"""Folder within the unfinished work for what a metered source has sent, and decided."""


@dataclass(frozen=True)
class Part:
    """The pixels of one window and season, which are read and kept together."""

    name: str
    """Of its file."""
    lattice: Lattice
    """Their grid."""
    calendar: Calendar
    """Their time steps."""
    rows: slice
    """Rows of the smallest window that holds them."""
    cols: slice
    """Columns of it."""
    chosen: NDArray[np.bool_]
    """(H, W) which pixels of the window."""
    pixels: NDArray[np.int64]
    """(n,) the same among all pixels, row by row."""

    @property
    def geobox(self) -> GeoBox:
        """The window's grid."""
        return self.lattice.geobox(self.rows, self.cols)


@dataclass(frozen=True)
class Plan:
    """A sampling, decided."""

    request: SamplingRequest
    """What was asked."""
    features: Features
    """Points and polygons; `seasons` holds the keys of `calendars`."""
    source: Source
    """Where series come from."""
    calendars: Mapping[str, Calendar]
    """Time steps by season, all of the same number."""
    stacks: Mapping[str, xr.DataTree]
    """Lazy stacks of a source with a grid of its own, whole, by season."""
    pixels: Pixels
    """The pixels to read, in reading order."""
    left_out: tuple[LeftOut, ...]
    """What gives no sample."""
    notes: tuple[str, ...]
    """What was done on the user's behalf."""
    warnings: tuple[str, ...]
    """What the user should worry about."""

    @property
    def season(self) -> NDArray[np.str_]:
        """(P,) season of each pixel."""
        return self.features.seasons[self.pixels.feature]

    def parts(self) -> Iterator[Part]:
        """The windows to read: the pixels of one tile, grid and season together."""
        number = np.unique(self.season, return_inverse=True)[1]
        tile = self.request.tile
        pixels = self.pixels
        keys = np.stack([pixels.lattice, number, pixels.row // tile, pixels.col // tile])
        group = np.unique(keys, axis=1, return_inverse=True)[1].ravel()
        order = np.lexsort((pixels.col, pixels.row, group))
        starts = np.flatnonzero(np.r_[True, np.diff(group[order]) > 0])
        for count, members in enumerate(np.split(order, starts[1:])):
            row, col = pixels.row[members], pixels.col[members]
            rows = slice(int(row.min()), int(row.max()) + 1)
            cols = slice(int(col.min()), int(col.max()) + 1)
            chosen = np.zeros((rows.stop - rows.start, cols.stop - cols.start), bool)
            chosen[row - rows.start, col - cols.start] = True
            calendar = self.calendars[str(self.season[members[0]])]
            lattice = pixels.lattices[int(pixels.lattice[members[0]])]
            yield Part(f"{count:06d}", lattice, calendar, rows, cols, chosen, members)

    def stack_of(self, part: Part) -> xr.DataTree:
        """The lazy stack of a window."""
        if self.source.grid is None:
            return self.source.open(part.geobox, part.calendar)
        return window(self.stacks[str(part.calendar)], part.rows, part.cols, self.source.grid)

    def asked(self) -> dict[str, Any]:
        """Everything that decides a series: work of another request does not count."""
        request = self.request
        weather = [request.weather, *files_state(Path(request.weather))] if request.weather else None
        return {
            "points": self.features.sha256,
            "seasons": sorted(self.calendars),
            "source": [without_secrets(request.source), request.sim_seed, *files_state(Path(request.source))],
            "weather": weather,
            "recipe": asdict(self.source.recipe),
            "images": [request.max_cloud, request.max_unreadable, request.ee.s1_pass],
            "grid": [request.crs, request.resolution],
            "polygons": [request.per_polygon, request.edge, request.seed],
            "tile": request.tile,
            "geocomiss": __version__,
        }


def plan_sampling(request: SamplingRequest) -> Plan:
    """Resolve a request: points, source, seasons, pixels.

    Raises:
        GeocomissError: Whatever cannot be used, said before anything is written.
    """
    _check(request)
    features = read_features(request)
    reading = Reading(
        None,
        request.max_cloud,
        request.max_unreadable / 100,
        request.tile,
        ee=request.ee,
        keep=request.partial / FETCHED,
    )
    recipe = recipe_named(request.recipe)
    source = source_asked(
        Asked(request.source, recipe, request.sim_seed, request.cloud_dilation, request.weather, reading)
    )
    features, calendars = _dated(features, request, source)
    stacks, features = _opened(features, calendars, source)
    used = set(features.seasons[features.why == ""].tolist())
    calendars = {key: calendar for key, calendar in calendars.items() if key in used}
    pixels, left, warnings = pixels_of(features, source, request)
    future = (note for calendar in calendars.values() for note in future_steps(calendar))
    notes = (*features.notes, *dict.fromkeys(future))
    return Plan(request, features, source, calendars, stacks, pixels, tuple(left), notes, tuple(warnings))


def _check(request: SamplingRequest) -> None:
    for option, value, fine in (
        ("--n-per-polygon", request.per_polygon, request.per_polygon >= 1),
        ("--edge", request.edge, request.edge >= 0),
        ("--tile", request.tile, request.tile >= 1),
    ):
        if not fine:
            raise SampleError(f"{option} {value:g}", expected="a larger number", todo="correct it")
    if request.season and request.season_column:
        raise SampleError(
            "--season and --season-column",
            expected="one season for all points, or a column with one for each",
            todo="leave one of them out",
        )


def _dated(
    features: Features, request: SamplingRequest, source: Source
) -> tuple[Features, dict[str, Calendar]]:
    """The features with their season in one way of writing, and what these seasons are.

    Raises:
        SeasonError: A season cannot be read, or they have different numbers of steps.
    """
    told = request.season_column or (features.seasons != "").any()
    if not told:
        features = season_for_all(features, request.season or "")
    cycle = source.held.cycle() if source.held and not (request.season or told) else source.recipe.cycle
    known: dict[str, Calendar] = {}
    for text in sorted(set(features.seasons[features.why == ""].tolist())):
        try:
            calendar = resolve_season(text or None, source, cycle, exact=False)
        except SeasonError as error:
            raise _in_column(error, features, request, text) from error
        if calendar is None:
            raise SeasonError(
                f"a source that holds {source.held}", expected=str(cycle), todo="give --season within it"
            )
        known[text] = calendar
    if len({(calendar.number, calendar.step) for calendar in known.values()}) > 1:
        shown = "; ".join(sorted({str(calendar) for calendar in known.values()})[:4])
        raise SeasonError(
            f"seasons of different lengths: {shown}", expected="as many steps for all", todo="correct them"
        )
    names = [str(known.get(text, "")) for text in features.seasons.tolist()]
    return replace(features, seasons=np.array(names, np.str_)), {str(each): each for each in known.values()}


def _in_column(error: SeasonError, features: Features, request: SamplingRequest, text: str) -> SeasonError:
    """The same, said of the column that holds the season, where one does."""
    if not request.season_column:
        return error
    rows = np.flatnonzero((features.seasons == text) & (features.why == "")) + 1
    more = f" and {len(rows) - 1} more" if len(rows) > 1 else ""
    return SeasonError(
        f"{error.found} (column {request.season_column!r}, row {rows[0]}{more})",
        expected=error.expected,
        todo="correct these cells; empty ones leave their points out",
    )


def _opened(
    features: Features, calendars: Mapping[str, Calendar], source: Source
) -> tuple[dict[str, xr.DataTree], Features]:
    """Lazy stacks by season of a source with its own grid; features of seasons it lacks are left out.

    Raises:
        SeasonError: It holds none of the seasons.
    """
    if source.grid is None:
        return {}, features
    stacks: dict[str, xr.DataTree] = {}
    lacking: dict[str, SeasonError] = {}
    for key, calendar in calendars.items():
        try:
            stacks[key] = source.open(source.grid, calendar)
        except SeasonError as error:
            lacking[key] = error
    if lacking and not stacks:
        raise next(iter(lacking.values()))
    why = np.where((features.why == "") & np.isin(features.seasons, list(lacking)), NOT_HELD, features.why)
    return stacks, replace(features, why=why)
