"""Everything decided before the first pixel is computed, so that bad input leaves nothing behind."""

import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Final

import numpy as np
import xarray as xr
from numpy.typing import NDArray
from odc.geo import Geometry
from odc.geo.geobox import GeoBox

from geocomiss.aoi import Area, read_aoi
from geocomiss.batch import Spec
from geocomiss.checkpoint import Checkpoint, read_checkpoint
from geocomiss.errors import CheckpointError, MapError, SeasonError
from geocomiss.grid import Tile, crs_of, inside, tiles_of
from geocomiss.mapping.contract import band_differences, recipe_differences, settle
from geocomiss.mapping.mask import Mask, read_mask
from geocomiss.mapping.request import SHIPPED_MODEL, MapRequest
from geocomiss.modalities import MODALITIES
from geocomiss.recipes import Difference
from geocomiss.seasons import Calendar, Cycle, today
from geocomiss.sources import open_source
from geocomiss.sources.base import Source
from geocomiss.sources.resolve import resolve_grid, resolve_season
from geocomiss.stack import bands_of, grid_of_stack, holds, origin_of, periods, unit_problems, window, without

NON_CROP: Final = frozenset(
    ("non", "noncrop", "nocrop", "background", "forest", "built", "urban", "water", "bare")
)
"""Words in class names that tell of land without crops."""
PREFLIGHT: Final = 96
"""Pixels a side of the windows whose values are looked at before mapping starts."""


@dataclass(frozen=True)
class Plan:
    """A map, decided."""

    request: MapRequest
    """What was asked."""
    checkpoint: Checkpoint
    """The model."""
    spec: Spec
    """What it reads, with the user's `--min-steps`."""
    source: Source
    """Where the stack comes from."""
    stack: xr.DataTree
    """The lazy stack on `grid`, without the modalities that are left out."""
    grid: GeoBox
    """The pixel grid of the map."""
    area: Geometry | None
    """The area of interest; None: the whole grid."""
    mask: Mask | None
    """Where a map is wanted, if not everywhere."""
    calendar: Calendar
    """The season."""
    notes: tuple[str, ...]
    """What was done on the user's behalf."""
    warnings: tuple[str, ...]
    """What the user should worry about."""

    @property
    def simulated_model(self) -> bool:
        """Whether a model of the simulated world meets real data."""
        return self.checkpoint.card.simulated and not self.source.simulated

    def tiles(self) -> Iterator[Tile]:
        """All tiles of the grid."""
        return tiles_of(self.grid, self.request.tile)

    def within_area(self, tile: Tile) -> NDArray[np.bool_]:
        """Which pixels of a tile lie in the area of interest: (H, W)."""
        if self.area is None:
            return np.ones(tile.geobox.shape, bool)
        return inside(self.area, tile.geobox, self.grid)


def plan_map(request: MapRequest) -> Plan:
    """Resolve a request: model, source, season, grid, and the contract between stack and model.

    Raises:
        GeocomissError: Whatever does not fit, said before anything is written.
    """
    _check_names(request)
    checkpoint = read_checkpoint(_model_name(request))
    card = checkpoint.card
    if card.cycle is None:
        raise CheckpointError(
            "a model trained on seasons that start in different months",
            expected="a model with one calendar",
            todo="train it on samples of one calendar; this one can only be evaluated",
        )
    source = open_source(request.source, card.recipe, request.seed)
    _check_simulated(request, checkpoint, source)
    area = read_aoi(request.aoi) if request.aoi else None
    grid, grid_warnings = _grid(request, source, area)
    calendar, differences = _season(request, source, card.cycle)
    left_out = _left_out(request)
    shared = tuple(name for name in source.bands if name in card.bands)
    differences += recipe_differences(source.recipe, card, shared) + band_differences(source.bands, card)
    contract = settle(differences, request.on_mismatch, left_out)
    stack = without(source.open(grid, calendar), left_out + contract.dropped)
    units = settle(_unit_differences(stack, checkpoint.card.spec), request.on_mismatch, left_out)
    stack = without(stack, units.dropped)
    return Plan(
        request,
        checkpoint,
        replace(checkpoint.card.spec, min_steps=_min_steps(request, checkpoint.card.spec)),
        source,
        stack,
        grid,
        area.geometry if area else None,
        read_mask(request.mask) if request.mask else None,
        calendar,
        (*(area.notes if area else ()), *origin_of(stack).notes, *_future(calendar)),
        (
            *contract.warnings,
            *units.warnings,
            *grid_warnings,
            *_model_warnings(request, checkpoint, source, grid),
        ),
    )


def _model_name(request: MapRequest) -> str:
    if request.model:
        return request.model
    if request.source == "simulated":
        return SHIPPED_MODEL
    raise CheckpointError(
        "no model for real data",
        expected="--model, a folder written by `geocomiss train`",
        todo="train one with `geocomiss train --samples ...`",
    )


def _check_names(request: MapRequest) -> None:
    for option, names in (
        ("--without", request.without),
        ("--require", request.require),
        ("--min-steps", tuple(request.min_steps)),
    ):
        if wrong := [name for name in names if name not in MODALITIES]:
            raise MapError(
                f"{option} {', '.join(wrong)}", expected=" or ".join(MODALITIES), todo="correct the name"
            )
    if request.tile < 1:
        raise MapError(f"--tile {request.tile}", expected="at least 1 pixel", todo="correct it")


def _check_simulated(request: MapRequest, checkpoint: Checkpoint, source: Source) -> None:
    if checkpoint.card.simulated and not source.simulated and not request.simulated_model_on_real_data:
        raise CheckpointError(
            "a model of the simulated world and a stack of real data",
            expected="a model trained on real samples",
            todo="train one, or add --simulated-model-on-real-data: the map is then labelled SIMULATED MODEL",
        )


def _grid(request: MapRequest, source: Source, area: Area | None) -> tuple[GeoBox, tuple[str, ...]]:
    geometry = area.geometry if area else None
    grid = resolve_grid(source, geometry, request.crs, request.resolution)
    if geometry is None or source.grid is None:
        return grid, ()
    local = geometry.to_crs(crs_of(grid))
    outside = 1 - (local & source.grid.extent).area / local.area
    if outside < 1e-6:
        return grid, ()
    return grid, (f"{outside:.1%} of the area of interest lies outside the stack and is not mapped",)


def _season(request: MapRequest, source: Source, cycle: Cycle) -> tuple[Calendar, tuple[Difference, ...]]:
    calendar = resolve_season(request.season, source, cycle)
    held = source.held
    if held is None and calendar is not None:
        return calendar, ()
    if held is not None and (calendar is None or (not holds(held, calendar) and not periods(held, cycle))):
        other = Difference("calendar", "the stack", str(held), str(cycle), "refuse")
        return calendar or held, (other,)
    if calendar is None:
        raise SeasonError("no season", expected="--season", todo="say which season to map")
    return calendar, ()


def _left_out(request: MapRequest) -> tuple[str, ...]:
    return tuple(dict.fromkeys(request.without))


def _min_steps(request: MapRequest, spec: Spec) -> dict[str, int]:
    wanted = {name: steps for name, steps in request.min_steps.items() if name in spec.bands}
    for name, steps in wanted.items():
        if not 1 <= steps <= spec.shape(name)[0]:
            raise MapError(
                f"--min-steps {name}={steps}",
                expected=f"1 to {spec.shape(name)[0]}, the steps of the model",
                todo="correct it",
            )
    return dict(spec.min_steps) | wanted


def _unit_differences(stack: xr.DataTree, spec: Spec) -> tuple[Difference, ...]:
    """Modalities whose values, in a few sample windows, cannot be in the canonical unit."""
    read = {name: bands for name, bands in bands_of(stack).items() if name in spec.bands}
    if not read or not {"optical", "radar", "topography"} & set(read):
        return ()
    problems: dict[str, str] = {}
    for y, x in _sample_windows(stack):
        problems |= unit_problems(window(stack, y, x).compute())
    return tuple(
        Difference(name, "unit", problem, "canonical units", "refuse")
        for name, problem in problems.items()
        if name in read
    )


def _sample_windows(stack: xr.DataTree) -> Iterator[tuple[slice, slice]]:
    height, width = grid_of_stack(stack).shape
    shares = (0.5,) if max(height, width) <= PREFLIGHT else (0.25, 0.5, 0.75)
    for share in shares:
        top = max(0, round(height * share) - PREFLIGHT // 2)
        left = max(0, round(width * share) - PREFLIGHT // 2)
        yield slice(top, top + PREFLIGHT), slice(left, left + PREFLIGHT)


def _future(calendar: Calendar) -> tuple[str, ...]:
    edges = calendar.edges()
    ahead = sum(edge > today() for edge in edges[:-1])
    if not ahead:
        return ()
    return (f"{ahead} of {calendar.number} steps of the season lie in the future: they are missing",)


def _model_warnings(
    request: MapRequest, checkpoint: Checkpoint, source: Source, grid: GeoBox
) -> Iterator[str]:
    card = checkpoint.card
    if not (card.simulated and source.simulated):  # crops of the simulated world grow alike everywhere
        yield from _place_warnings(card.training.cells, grid)
    if request.mask is None and not any(_is_non_crop(each.name) for each in card.classes):
        yield "neither a mask (--mask) nor a non-crop class: every pixel is given a crop"


def _place_warnings(cells: tuple[tuple[int, int], ...], grid: GeoBox) -> Iterator[str]:
    box = grid.extent.to_crs("EPSG:4326").boundingbox
    lat, lon = int(np.floor((box.bottom + box.top) / 2)), int(np.floor((box.left + box.right) / 2))
    if cells and all((south >= 0) != (lat >= 0) for south, _ in cells):
        yield "the area lies in the other hemisphere than all training samples: the seasons are reversed"
    elif cells and (lat, lon) not in set(cells):
        yield "the area lies outside the 1-degree cells of the training samples"


def _is_non_crop(name: str) -> bool:
    """Whether a class takes in land without crops, going by its name."""
    words = re.split(r"[^a-z]+", name.lower())
    return bool(NON_CROP & set(words)) or "no" in words or "not" in words
