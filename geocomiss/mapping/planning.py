"""Everything decided before the first pixel is computed, so that bad input leaves nothing behind."""

from dataclasses import replace
from pathlib import Path

import xarray as xr
from odc.geo import Geometry

from geocomiss.aoi import Area, read_aoi
from geocomiss.batch import Spec
from geocomiss.calibration import Readout, caution, read_priors
from geocomiss.checkpoint import Card, Checkpoint, read_checkpoint
from geocomiss.engine import precision_of
from geocomiss.errors import CheckpointError, MapError
from geocomiss.mapping.budget import check_whole, fitted, sized
from geocomiss.mapping.checks import (
    device_of,
    drift_warnings,
    model_warnings,
    sample_stacks,
    season_of,
    sensor_warnings,
    unit_differences,
    windows_in,
)
from geocomiss.mapping.contract import Contract, band_differences, recipe_differences, settle
from geocomiss.mapping.mapping_unit import check_mapping_unit
from geocomiss.mapping.mask import read_mask
from geocomiss.mapping.memory import bands_read, composited
from geocomiss.mapping.plan import Plan, classes_of
from geocomiss.mapping.request import SHIPPED_MODEL, MapRequest
from geocomiss.maps import (
    Category,
    read_map_legend,
    renamed,
)
from geocomiss.modalities import MODALITIES
from geocomiss.seasons import Cycle
from geocomiss.sources import EARTH_ENGINE, SIMULATED, sources_of
from geocomiss.sources.base import Compositing, Reading, Source
from geocomiss.sources.resolve import Asked, area_held, future_steps, resolve_grid, source_asked, uncovered
from geocomiss.stack import COUNT, groups_of, new_stack, origin_of, without
from geocomiss.wording import without_secrets
from geocomiss.zones import zones_of


def plan_map(request: MapRequest) -> Plan:
    """Resolve a request: model, source, season, grid, and the contract between stack and model.

    Raises:
        GeocomissError: Whatever does not fit, said before anything is written.
    """
    _check_names(request)
    checkpoint = read_checkpoint(model_name(request))
    _check_classes(checkpoint)
    _check_applicability(request, checkpoint)
    request, memory = sized(request, checkpoint)
    card, cycle = checkpoint.card, _cycle(checkpoint)
    area, crs = _place(request)
    asked = area.geometry if area else None
    source = source_of(request, card, asked)
    _check_simulated(request, checkpoint, source)
    readout = card.readout(_priors(request, card))
    geometry = area_held(source, asked)
    grid = resolve_grid(source, geometry, crs, request.resolution)
    calendar, other_calendar = season_of(request, source, cycle)
    if memory and isinstance(source, Compositing) and (scenes := source.scenes(grid, calendar)):
        request, memory = fitted(request, composited(memory, card.spec, scenes))
        source.cut(request.tile)
    check_whole(request, memory, grid)
    shared = tuple(name for name in source.bands if name in card.bands)
    found = (*recipe_differences(source.recipe, card, shared), *band_differences(source.bands, card))
    contract = settle((*other_calendar, *found), request.on_mismatch, request.without)
    plan = Plan(
        request,
        checkpoint,
        replace(card.spec, min_steps=_min_steps(request, card.spec)),
        source,
        without(_needed(source.open(grid, calendar), card.spec), request.without + contract.dropped),
        grid,
        geometry,
        read_mask(request.mask) if request.mask else None,
        calendar,
        _classes(request, card),
        (*(area.notes if area else _confined(geometry)), *_readout_notes(readout), *_unmasked(checkpoint)),
        tuple(uncovered(source, asked)),
        readout=readout,
        precision=precision_of(request.precision, device_of(request), checkpoint.method),
        memory=memory,
    )
    return _checked(plan, contract)


def source_of(request: MapRequest, card: Card, area: Geometry | None = None) -> Source:
    """The source that is asked for. Nothing is asked of it that the model does not read."""
    wanted = {name: bands for name, bands in card.bands.items() if name not in request.without}
    unreadable = request.max_unreadable / 100
    reading = Reading(wanted, request.max_cloud, unreadable, request.tile, request.ee, request.kept, area)
    return source_asked(
        Asked(request.source, card.recipe, request.seed, request.cloud_dilation, request.weather, reading)
    )


def _place(request: MapRequest) -> tuple[Area | None, str]:
    """The area of interest, or what it has in the zone that is asked for, and the CRS of the map."""
    area = read_aoi(request.aoi) if request.aoi else None
    if area is None or request.zone is None:
        return area, request.crs
    zones = {zone.name: zone for zone in zones_of(area.geometry)}
    if request.zone not in zones:
        raise MapError(
            f"the zone {request.zone!r}", expected=" or ".join(zones), todo="name one in which the area lies"
        )
    return replace(area, geometry=zones[request.zone].part), zones[request.zone].crs


def _confined(held: Geometry | None) -> tuple[str, ...]:
    """What to know of a map without an area of interest."""
    return ("mapped is the area that the stack was fetched for, not all of its box",) if held else ()


def _needed(stack: xr.DataTree, spec: Spec) -> xr.DataTree:
    """A stack with what a map reads of it."""
    wanted = bands_read(spec)
    groups = {}
    for name, group in groups_of(stack).items():
        bands = [band for band in group.data_vars if band in (*wanted.get(name, ()), COUNT)]
        # other modalities stay whole: a coarse grid of weather, or two layers of topography
        groups[name] = group[bands] if {*bands} - {COUNT} else group
    return new_stack(groups, origin_of(stack))


def _checked(plan: Plan, contract: Contract) -> Plan:
    """The plan after a look at values, with all that its user should know."""
    request, card, source, grid = plan.request, plan.checkpoint.card, plan.source, plan.grid
    shared = set(source.bands) & set(card.bands)
    windows = windows_in(grid, plan.covering, plan.wanted)
    samples, unread = sample_stacks(plan.stack, source, grid, windows) if shared else ([], ())
    wrong = unit_differences(samples, tuple(card.bands))
    units = settle(wrong, request.on_mismatch, request.without)
    stack = without(plan.stack, units.dropped)
    warnings = (
        *contract.warnings,
        *units.warnings,
        *plan.warnings,
        *sensor_warnings(request, card, stack, source),
        *model_warnings(request, card, source, plan.calendar, grid),
        *drift_warnings([without(sample, units.dropped) for sample in samples], card),
    )
    notes = (*plan.notes, *origin_of(stack).notes, *future_steps(plan.calendar), *unread)
    return replace(plan, stack=stack, notes=notes, warnings=warnings)


def _classes(request: MapRequest, card: Card) -> tuple[Category, ...]:
    own = classes_of(card)
    return renamed(own, read_map_legend(Path(request.legend), own)) if request.legend else own


def model_name(request: MapRequest) -> str:
    """The model asked for, or the shipped one for the simulated world.

    Raises:
        CheckpointError: None is asked for, and data are real.
    """
    if request.model:
        return request.model
    if request.source == SIMULATED:
        return SHIPPED_MODEL
    raise CheckpointError(
        f"no model for the source {without_secrets(request.source)!r}",
        expected=f"--model, a folder written by `geocomiss train`; only {SIMULATED!r} has one of its own",
        todo=f"train one with `geocomiss train --samples ...`, give --model {SIMULATED} for a stack that was "
        "fetched from the simulated world, or correct --source",
    )


def _check_classes(checkpoint: Checkpoint) -> None:
    if target := checkpoint.card.target:
        raise CheckpointError(
            f"a model that predicts a value, {target.name}",
            expected="one that tells classes apart: maps of values are not made",
            todo="map with a model trained with --label; this one can be evaluated",
        )


def _check_applicability(request: MapRequest, checkpoint: Checkpoint) -> None:
    if request.applicability and checkpoint.applicability is None:
        raise CheckpointError(
            "--applicability and a model whose card holds no area of applicability",
            expected="a model trained with this version",
            todo="train it again with the same samples, or leave --applicability out",
        )


def _unmasked(checkpoint: Checkpoint) -> tuple[str, ...]:
    """What to know of an older model's expected accuracy."""
    if checkpoint.card.calibration is None or checkpoint.applicability:
        return ()
    return (
        "expected accuracy is written everywhere, also where nothing is like the training samples: this "
        "model's card holds no area of applicability, train it again to have one",
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
    elif said := caution(readout.calibration):
        notes.append(said)
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
    check_mapping_unit(request.mapping_unit)
    if request.workers and request.scheduler:
        raise MapError("--workers and --scheduler", expected="one of them", todo="leave one out")
    if (request.workers or request.scheduler) and EARTH_ENGINE in sources_of(request.source):
        raise MapError(
            f"--source {request.source} with --workers or --scheduler",
            expected="one process: limits and costs of Earth Engine hold for a project, not for a worker",
            todo="leave the option out (--ee-parallel sets how much is asked at a time), or fetch a stack "
            "first",
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
