"""Everything decided before the first pixel is computed, so that bad input leaves nothing behind."""

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any, Final

import numpy as np
import xarray as xr
from numpy.typing import NDArray
from odc.geo import Geometry
from odc.geo.geobox import GeoBox

from geocomiss import __version__
from geocomiss.aoi import read_aoi
from geocomiss.batch import Spec
from geocomiss.calibration import Readout, read_priors
from geocomiss.checkpoint import Card, Checkpoint, read_checkpoint
from geocomiss.engine import Precision, precision_of, prepared
from geocomiss.errors import CheckpointError, MapError
from geocomiss.grid import Tile, crs_of, crs_text, inside, tiles_of
from geocomiss.inference import device_named
from geocomiss.mapping.checks import (
    drift_warnings,
    model_warnings,
    sample_stacks,
    season_of,
    sensor_warnings,
    unit_differences,
)
from geocomiss.mapping.contract import Contract, band_differences, recipe_differences, settle
from geocomiss.mapping.illustrate import OPTICAL, can_illustrate, every_of
from geocomiss.mapping.mask import Mask, read_mask
from geocomiss.mapping.request import SHIPPED_MODEL, MapRequest
from geocomiss.maps import (
    EXPECTED_ACCURACY,
    Category,
    Layer,
    expected_accuracy,
    map_layers,
    ndvi_curve,
    probabilities,
    read_map_legend,
    renamed,
    true_color,
)
from geocomiss.methods import Method
from geocomiss.modalities import MODALITIES
from geocomiss.seasons import Calendar, Cycle
from geocomiss.sources import SIMULATED
from geocomiss.sources.base import Accounting, Reading, Source
from geocomiss.sources.resolve import Asked, files_state, future_steps, resolve_grid, source_asked, uncovered
from geocomiss.stack import bands_of, origin_of, without

BASIC: Final = ("crop_type", "confidence", "modalities", EXPECTED_ACCURACY)
"""Layers that every tile has."""
PICTURE: Final = 1000
"""Most pixels a side of the true-colour picture."""
CURVES: Final = 384
"""Most pixels a side at which vegetation curves are kept."""


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
    classes: tuple[Category, ...]
    """The classes as the map calls them: the model's, or as the user's legend has it."""
    notes: tuple[str, ...] = ()
    """What was done on the user's behalf."""
    warnings: tuple[str, ...] = ()
    """What the user should worry about."""
    readout: Readout = field(default_factory=Readout)
    """How logits become classes and probabilities."""
    precision: Precision = "float32"
    """Numbers that encoders are computed with."""

    @cached_property
    def method(self) -> Method:
        """The network that predicts."""
        return prepared(self.checkpoint.method, self.precision)

    def layers(self, patterns: tuple[int, ...] = ()) -> tuple[Layer, ...]:
        """All rasters of the map.

        Args:
            patterns: Values of the modalities that occur; none: all.
        """
        optical = bands_of(self.stack).get(OPTICAL, ())
        steps = tuple(str(day) for day in self.calendar.edges()[:-1])
        shown = (true_color(every_of(self.grid, PICTURE)), ndvi_curve(every_of(self.grid, CURVES), steps))
        asked = (probabilities(self.classes),) if self.request.probabilities else ()
        possible = (each for each in shown if can_illustrate(each, optical))
        sure = "calibrated" if self.readout.calibration else "uncalibrated"
        expected = (expected_accuracy(),) if self.knows_accuracy else ()
        return (*map_layers(self.classes, patterns, sure), *expected, *asked, *possible)

    @property
    def further(self) -> tuple[Layer, ...]:
        """What tiles hold beyond class, confidence and modalities."""
        further = tuple(layer for layer in self.layers() if layer.name not in BASIC)
        if self.request.smooth and not self.request.probabilities:
            return (*further, probabilities(self.classes))
        return further

    @property
    def knows_accuracy(self) -> bool:
        """Whether it is known how often classes are right: smoothing changes which class is written."""
        return self.readout.knows_accuracy and not self.request.smooth

    @property
    def needs_probabilities(self) -> bool:
        """Whether the probability of every class is asked for, or smoothed."""
        return self.request.probabilities or self.request.smooth > 0

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

    def wanted(self, tile: Tile) -> NDArray[np.bool_]:
        """Which pixels of a tile are to be mapped, in the area and the mask: (H, W)."""
        area = self.within_area(tile)
        return area & self.mask.read(tile.geobox, self.grid) if self.mask and area.any() else area

    def fingerprint(self) -> dict[str, Any]:
        """Everything that decides a pixel: tiles of another fingerprint are of another map."""
        return {
            "area": hashlib.sha256(self.area.geom.wkb).hexdigest() if self.area else None,
            "grid": [crs_text(crs_of(self.grid)), *list(self.grid.affine)[:6], *self.grid.shape],
            "season": str(self.calendar),
            "source": [self.request.source, self.request.seed, *files_state(Path(self.request.source))],
            "found": self.source.state if isinstance(self.source, Accounting) else None,
            "weather": [self.request.weather, *files_state(Path(self.request.weather))]
            if self.request.weather
            else None,
            "bands": {name: list(bands) for name, bands in bands_of(self.stack).items()},
            "cloud_dilation": self.source.recipe.cloud_dilation,
            "min_steps": dict(self.spec.min_steps),
            "model": self.checkpoint.card.model_sha256,
            "readout": self.readout.digest,
            "precision": self.precision,
            "mask": [str(self.mask.path), *self.mask.values, *files_state(self.mask.path)]
            if self.mask
            else None,
            "require": list(self.request.require),
            "tile": self.request.tile,
            "smooth": self.request.smooth,
            "layers": [[each.name, each.every, *each.band_names] for each in self.further],
            "geocomiss": __version__,
        }


def plan_map(request: MapRequest) -> Plan:
    """Resolve a request: model, source, season, grid, and the contract between stack and model.

    Raises:
        GeocomissError: Whatever does not fit, said before anything is written.
    """
    _check_names(request)
    checkpoint = read_checkpoint(_model_name(request))
    _check_classes(checkpoint)
    card, cycle = checkpoint.card, _cycle(checkpoint)
    source = source_asked(_asked(request, card))
    _check_simulated(request, checkpoint, source)
    readout = card.readout(_priors(request, card))
    area = read_aoi(request.aoi) if request.aoi else None
    geometry = area.geometry if area else None
    grid = resolve_grid(source, geometry, request.crs, request.resolution)
    calendar, other_calendar = season_of(request, source, cycle)
    shared = tuple(name for name in source.bands if name in card.bands)
    found = (*recipe_differences(source.recipe, card, shared), *band_differences(source.bands, card))
    contract = settle((*other_calendar, *found), request.on_mismatch, request.without)
    plan = Plan(
        request,
        checkpoint,
        replace(card.spec, min_steps=_min_steps(request, card.spec)),
        source,
        without(source.open(grid, calendar), request.without + contract.dropped),
        grid,
        geometry,
        read_mask(request.mask) if request.mask else None,
        calendar,
        _classes(request, card),
        (*(area.notes if area else ()), *_readout_notes(readout)),
        readout=readout,
        precision=precision_of(request.precision, device_named(request.device)),
    )
    return _checked(plan, contract)


def _asked(request: MapRequest, card: Card) -> Asked:
    """What is asked of the source: nothing that the model does not read."""
    wanted = {name: bands for name, bands in card.bands.items() if name not in request.without}
    unreadable = request.max_unreadable / 100
    reading = Reading(wanted, request.max_cloud, unreadable, request.tile, request.ee, request.kept)
    return Asked(request.source, card.recipe, request.seed, request.cloud_dilation, request.weather, reading)


def _checked(plan: Plan, contract: Contract) -> Plan:
    """The plan after a look at values, with all that its user should know."""
    request, card, source, grid = plan.request, plan.checkpoint.card, plan.source, plan.grid
    samples = (
        sample_stacks(plan.stack, source, grid, plan.wanted) if set(source.bands) & set(card.bands) else []
    )
    wrong = unit_differences(samples, tuple(card.bands))
    units = settle(wrong, request.on_mismatch, request.without)
    stack = without(plan.stack, units.dropped)
    warnings = (
        *contract.warnings,
        *units.warnings,
        *uncovered(grid, source, plan.area),
        *sensor_warnings(request, card, stack, source),
        *model_warnings(request, card, source, plan.calendar, grid),
        *drift_warnings([without(sample, units.dropped) for sample in samples], card),
    )
    notes = (*plan.notes, *origin_of(stack).notes, *future_steps(plan.calendar))
    return replace(plan, stack=stack, notes=notes, warnings=warnings)


def _classes(request: MapRequest, card: Card) -> tuple[Category, ...]:
    own = classes_of(card)
    return renamed(own, read_map_legend(Path(request.legend), own)) if request.legend else own


def classes_of(card: Card) -> tuple[Category, ...]:
    """The classes as the model calls them."""
    return tuple(Category(each.value, each.name, each.color) for each in card.classes)


def _model_name(request: MapRequest) -> str:
    if request.model:
        return request.model
    if request.source == SIMULATED:
        return SHIPPED_MODEL
    raise CheckpointError(
        "no model for real data",
        expected="--model, a folder written by `geocomiss train`",
        todo="train one with `geocomiss train --samples ...`",
    )


def _check_classes(checkpoint: Checkpoint) -> None:
    if target := checkpoint.card.target:
        raise CheckpointError(
            f"a model that predicts a value, {target.name}",
            expected="one that tells classes apart: maps of values are not made",
            todo="map with a model trained with --label; this one can be evaluated",
        )


def _priors(request: MapRequest, card: Card) -> tuple[float, ...] | None:
    names = tuple(info.name for info in card.classes)
    return read_priors(request.priors, names) if request.priors else None


def _readout_notes(readout: Readout) -> tuple[str, ...]:
    """What to know of confidence and expected accuracy."""
    notes = []
    if readout.calibration is None:
        notes.append(
            "the confidence is uncalibrated and there is no expected accuracy: this model's card holds no "
            "calibration, train it again to have one"
        )
    if readout.priors is not None:
        notes.append(
            "the most probable class under the shares of --priors is written"
            + ("; expected accuracy is not known for such a map" if readout.calibration else "")
        )
    return tuple(notes)


def _cycle(checkpoint: Checkpoint) -> Cycle:
    if checkpoint.card.cycle is None:
        raise CheckpointError(
            "a model trained on seasons that start in different months",
            expected="a model with one calendar",
            todo="train it on samples of one calendar; this one can only be evaluated",
        )
    return checkpoint.card.cycle


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
    if request.smooth and (request.smooth < 3 or request.smooth % 2 == 0):
        raise MapError(
            f"--smooth {request.smooth}", expected="an odd number of pixels, 3 or more", todo="correct it"
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
