"""What is looked at before mapping starts: do season and values fit, and what should a user know?"""

import re
from collections.abc import Callable, Iterator
from typing import Final

import numpy as np
import torch
import xarray as xr
from numpy.typing import NDArray
from odc.geo.geobox import GeoBox

from geocomiss.checkpoint import Card
from geocomiss.covering import Covering
from geocomiss.errors import GeocomissError, MapError, SeasonError
from geocomiss.grid import Tile, number_of_tiles, tile_at
from geocomiss.inference import device_named, no_device
from geocomiss.mapping.queue import ENDING
from geocomiss.mapping.request import MapRequest
from geocomiss.modalities import MODALITIES
from geocomiss.recipes import Difference
from geocomiss.seasons import Calendar, Cycle
from geocomiss.sources.base import Source
from geocomiss.sources.resolve import resolve_season
from geocomiss.stack import (
    bands_of,
    groups_of,
    holds,
    origin_of,
    periods,
    unit_problems,
    window,
    without,
)

NON_CROP: Final = frozenset(
    ("non", "noncrop", "nocrop", "background", "forest", "built", "urban", "water", "bare")
)
"""Words in class names that tell of land without crops."""
SAMPLE: Final = 96
"""Pixels a side of the windows whose values are looked at before mapping starts."""
SAMPLES: Final = 3
"""Number of such windows."""
SPARE: Final = 6
"""Such windows that cannot be read after which no more are tried."""
DRIFT: Final = 2.0
"""Spreads (standard deviations of the training samples) by which a band's mean may lie away from theirs."""
LEAST: Final = 100
"""Values from which a mean is compared."""
TRIED: Final = 300
"""Windows, spread over the area, among which those with something to map are looked for."""


def season_of(request: MapRequest, source: Source, cycle: Cycle) -> tuple[Calendar, tuple[Difference, ...]]:
    """The season to map, and the difference where a local stack has another calendar.

    Raises:
        SeasonError: See `resolve_season`.
    """
    calendar, held = resolve_season(request.season, source, cycle), source.held
    if held is None:
        if calendar is None:
            raise SeasonError("no season", expected="--season", todo="say which season to map")
        return calendar, ()
    if calendar is None or not (holds(held, calendar) or periods(held, cycle)):
        other = Difference("calendar", "the stack holds", str(held), str(cycle), "refuse")
        return calendar or held, (other,)
    return calendar, ()


def windows_in(
    grid: GeoBox, covering: Covering | None, wanted: Callable[[Tile], NDArray[np.bool_]]
) -> Iterator[Tile]:
    """Some small windows that hold something to map, in an order that begins anywhere in the area.

    Of a large grid they are not listed, but picked by number.

    Args:
        grid: The pixel grid.
        covering: The area of interest on it; None: the whole grid.
        wanted: Which pixels of a window are to be mapped.
    """
    numbers = covering.numbers(SAMPLE) if covering else None
    many = number_of_tiles(grid, SAMPLE) if numbers is None else len(numbers)
    spread = np.unique(np.linspace(0, many - 1, TRIED).astype(np.int64)) if many else np.zeros(0, np.int64)
    for place in np.random.default_rng(0).permutation(spread):  # not all from the first rows
        tile = tile_at(grid, SAMPLE, int(place if numbers is None else numbers[place]))
        try:
            some = bool(wanted(tile).any())
        except MapError:  # a damaged part of a mask: its tiles are tried, set aside and named
            continue
        if some:
            yield tile


def sample_stacks(
    stack: xr.DataTree, source: Source, grid: GeoBox, windows: Iterator[Tile]
) -> tuple[list[xr.DataTree], tuple[str, ...]]:
    """The values of a few small windows that will be mapped, and notes on what could not be looked at.

    Windows that cannot be read are passed over: their tiles are tried again, set aside and named later.

    Args:
        stack: The lazy stack.
        source: Where it comes from: one that fills any grid is asked for each window itself, so that no
            more than the window is read.
        grid: Its pixel grid.
        windows: See `windows_in`; no more are taken than are read.

    Raises:
        Exception: The error of the first window, where none can be read.
    """
    samples: list[xr.DataTree] = []
    errors: list[Exception] = []
    if not bands_of(stack):
        return samples, ()
    for tile in windows:
        try:
            samples.append(_sample(stack, source, grid, tile))
        except ENDING:
            raise
        except Exception as error:  # whatever it is, other windows may be none the worse for it
            errors.append(error)
        if len(samples) == SAMPLES or len(errors) == SPARE:
            break
    if errors and not samples:
        raise errors[0]
    return samples, (*_passed_over(errors), *_unseen(samples))


def _sample(stack: xr.DataTree, source: Source, grid: GeoBox, tile: Tile) -> xr.DataTree:
    if source.grid is not None:
        return window(stack, tile.y, tile.x, grid).compute()
    kept = bands_of(stack)
    part = source.open(tile.geobox, origin_of(stack).calendar)
    return without(part, tuple(name for name in bands_of(part) if name not in kept)).compute()


def _passed_over(errors: list[Exception]) -> tuple[str, ...]:
    if not errors:
        return ()
    first = errors[0]
    reason = first.found if isinstance(first, GeocomissError) else f"{type(first).__name__}: {first}"
    return (
        f"{len(errors)} of the windows whose values are looked at before mapping could not be read "
        f"({reason}) and others were taken; tiles that fail again and again are named at the end",
    )


def _unseen(samples: list[xr.DataTree]) -> tuple[str, ...]:
    """What to say where there was no value to look at."""
    bands = ((name, band) for sample in samples for name, own in bands_of(sample).items() for band in own)
    if any(_valid_values(samples, name, band).size for name, band in bands):
        return ()
    what = f"the {len(samples)} windows looked at hold no value"
    if not samples:
        what = f"of up to {TRIED} windows of {SAMPLE} x {SAMPLE} pixels none holds a pixel to be mapped"
    return (f"units and values were not compared with the training samples before mapping: {what}",)


def unit_differences(samples: list[xr.DataTree], read: tuple[str, ...]) -> tuple[Difference, ...]:
    """Modalities whose values, in a few windows that will be mapped, cannot be in their unit.

    Args:
        samples: The windows, see `sample_stacks`.
        read: Modalities that the model reads.
    """
    problems: dict[str, str] = {}
    for sample in samples:
        problems |= unit_problems(sample)
    return tuple(
        Difference(name, "unit", problems[name], "canonical units", "refuse")
        for name in read
        if name in problems
    )


def drift_warnings(samples: list[xr.DataTree], card: Card) -> Iterator[str]:
    """Bands whose mean lies far from that of the training samples: another product, or another world.

    Args:
        samples: A few windows that will be mapped, see `sample_stacks`.
        card: The model's card, with mean and spread of each band it was trained on.
    """
    for name, statistics in card.statistics.items():
        for number, band in enumerate(card.bands[name]):
            values = _valid_values(samples, name, band)
            spread = statistics.std[number]
            if values.size < LEAST or not spread > 0:
                continue
            away = (float(values.mean()) - statistics.mean[number]) / spread
            if abs(away) > DRIFT:
                yield (
                    f"{name} {band}: mean {values.mean():.4g} where the training samples have "
                    f"{statistics.mean[number]:.4g}, {abs(away):.1f} times their spread away"
                )


def _valid_values(samples: list[xr.DataTree], name: str, band: str) -> NDArray[np.float64]:
    """All valid values of a band in the samples."""
    groups = [groups_of(sample).get(name) for sample in samples]
    arrays = [group[band].values for group in groups if group is not None and band in group]
    values = np.concatenate([np.ravel(array) for array in arrays] or [np.empty(0)]).astype(np.float64)
    return values[np.isfinite(values)]


def sensor_warnings(request: MapRequest, card: Card, stack: xr.DataTree, source: Source) -> Iterator[str]:
    """Modalities that the model reads and nobody delivers."""
    for name in card.bands:
        if name not in source.bands and name not in request.without:
            yield f"the stack has no {name}: it is treated as missing"


def class_warnings(request: MapRequest, card: Card, stack: xr.DataTree) -> Iterator[str]:
    """Maps in which no pixel can have a class, or every pixel is a crop."""
    possible = set(bands_of(stack)) & set(card.bands)
    if request.require and not possible & set(request.require):
        needed = " or ".join(request.require)
        yield f"no pixel can get a class: each needs {needed}, and there is none (see --require)"
    elif request.mask is None and not any(_is_non_crop(each.name) for each in card.classes):
        yield "neither a mask (--mask) nor a non-crop class: every pixel is given a crop"


def model_warnings(card: Card, source: Source, season: Calendar, grid: GeoBox) -> Iterator[str]:
    """Where a model is used beyond what it was trained on."""
    if not (card.simulated and source.simulated):  # crops of the simulated world grow alike everywhere
        yield from _place_warnings(card.training.cells, grid)
        years = card.training.years
        if years and season.last_day.year not in years:
            trained = ", ".join(str(year) for year in years)
            yield f"the season ends in {season.last_day.year}, those of the training samples in {trained}"


def device_of(request: MapRequest) -> torch.device:
    """Where networks run; what is on this machine says nothing of the workers of a scheduler.

    Raises:
        MapError: There is no such device, on this machine or, where workers elsewhere compute, at all.
    """
    if not request.scheduler or request.device == "auto":
        return device_named(request.device)
    try:
        return torch.device(request.device)  # each worker looks for it when it joins
    except RuntimeError as error:
        raise no_device(request.device, error) from error


def required_bits(names: tuple[str, ...]) -> int:
    """Modalities as a bit field."""
    return sum(MODALITIES[name].bit for name in names)


def _place_warnings(cells: tuple[tuple[int, int], ...], grid: GeoBox) -> Iterator[str]:
    box = grid.extent.to_crs("EPSG:4326").boundingbox
    lat, lon = int(np.floor((box.bottom + box.top) / 2)), int(np.floor((box.left + box.right) / 2))
    if cells and all((south >= 0) != (lat >= 0) for south, _ in cells):
        yield "the area lies in the other hemisphere than all training samples: the seasons are reversed"
    elif cells and (lat, lon) not in set(cells):
        yield "the area lies outside the 1-degree cells of the training samples"


def _is_non_crop(name: str) -> bool:
    """Whether a class takes in land without crops, going by its name."""
    words = set(re.split(r"[^a-z]+", name.lower()))
    return bool((NON_CROP | {"no", "not"}) & words)
