"""What a map states of itself: tags of its rasters, and `run.json`."""

import json
import platform
from dataclasses import asdict
from importlib.metadata import version
from typing import Any, Final

import rasterio

from geocomiss import __version__
from geocomiss.errors import unwritable
from geocomiss.grid import crs_of
from geocomiss.mapping.budget import share_of
from geocomiss.mapping.clock import overlap
from geocomiss.mapping.peaks import Peaks, in_mb, peak, workers_stated
from geocomiss.mapping.plan import Plan
from geocomiss.mapping.request import MapReport
from geocomiss.mapping.sums import over
from geocomiss.maps import AREA_NOTE, SUMMARY
from geocomiss.sources.base import Metered
from geocomiss.stack import origin_of
from geocomiss.tiling import WorkFolder

SIMULATED_MODEL: Final = "SIMULATED MODEL"
PACKAGES: Final = ("torch", "numpy", "xarray", "dask", "rasterio", "odc-geo")


def tags_of(plan: Plan, failures: tuple[str, ...] = ()) -> dict[str, str]:
    """What every layer states. No time, command, tile size or run id: equal maps are equal bytes.

    Args:
        plan: The map.
        failures: Warnings of tiles that are not there.
    """
    card, origin = plan.checkpoint.card, origin_of(plan.stack)
    tags = {
        "software": f"geocomiss {__version__}",
        "model_sha256": card.model_sha256,
        "model_method": card.method,
        "recipe": origin.recipe.name,
        "source": origin.source,
        "season": f"{plan.calendar.start}/{plan.calendar.last_day}",
    }
    if plan.request.smooth:
        tags["smooth"] = f"neighbourhood of {plan.request.smooth} pixels a side"
    if plan.request.mapping_unit:
        tags["minimum_mapping_unit"] = f"{plan.request.mapping_unit:g} ha"
    if plan.readout.priors:
        tags["priors"] = ", ".join(f"{name} {share:.4f}" for name, share in _priors(plan).items())
    if plan.warnings or failures:
        tags["warnings"] = "; ".join((*plan.warnings, *failures))
    if card.simulated:
        tags["label"] = SIMULATED_MODEL if plan.simulated_model else "SIMULATED WORLD"
    return tags


def write_run(plan: Plan, report: MapReport, timings: dict[str, float], work: WorkFolder) -> None:
    """Write `run.json`. Raises MapError where it cannot be written."""
    path = plan.request.out / SUMMARY
    partial = path.with_suffix(".partial")
    try:
        partial.write_text(json.dumps(_run(plan, report, timings), indent=2) + "\n")
        if not report.failed:
            work.publish()
        partial.replace(path)
    except OSError as error:
        partial.unlink(missing_ok=True)
        raise unwritable(plan.request.out, error) from error


def _run(plan: Plan, report: MapReport, timings: dict[str, float]) -> dict[str, Any]:
    return _results(plan, report) | _inputs(plan) | _choices(plan, report) | _making(plan, report, timings)


def _results(plan: Plan, report: MapReport) -> dict[str, Any]:
    """What the map shows."""
    calendar = plan.calendar
    return {
        "label": tags_of(plan).get("label", ""),
        "area": AREA_NOTE,
        "classes": report.classes,
        "nodata": report.nodata,
        "modality_share": report.modality_share,
        "observations": {"steps": [str(day) for day in calendar.edges()[:-1]], **report.observed},
        "season": {
            "start": str(calendar.start),
            "end": str(calendar.last_day),
            "step": calendar.step,
            "steps": calendar.number,
        },
    }


def _inputs(plan: Plan) -> dict[str, Any]:
    """The source and the model that it was made with."""
    card, origin = plan.checkpoint.card, origin_of(plan.stack)
    return {
        "source": {
            "name": origin.source,
            "simulated": origin.simulated,
            "radar_pass": origin.radar_pass,
            "recipe": asdict(origin.recipe),
        },
        "model": {
            "sha256": card.model_sha256,
            "method": card.method,
            "precision": plan.precision,
            "simulated": card.simulated,
            "trained_on": card.training.table,
            "recipe": asdict(card.recipe),
            "bands": {name: list(bands) for name, bands in card.bands.items()},
        },
        "confidence": {
            "calibrated": plan.readout.calibration is not None,
            "class_shares": dict(zip((info.name for info in card.classes), card.shares, strict=True)),
            "priors": _priors(plan) or None,
        },
    }


def _choices(plan: Plan, report: MapReport) -> dict[str, Any]:
    """How it was asked for, and what was said of that."""
    return {
        "applicability": _applicability(plan, report),
        "without": list(plan.request.without),
        "require": list(plan.request.require),
        "smooth": plan.request.smooth,
        "minimum_mapping_unit": plan.dissolved,
        "min_steps": dict(plan.spec.min_steps),
        "on_mismatch": plan.request.on_mismatch,
        "notes": report.notes,
        "warnings": report.warnings,
    }


def _making(plan: Plan, report: MapReport, timings: dict[str, float]) -> dict[str, Any]:
    """Its files, and how they were made."""
    grid = plan.grid
    return {
        "grid": {
            "crs": str(crs_of(grid)),
            "transform": list(grid.affine)[:6],
            "height": grid.height,
            "width": grid.width,
        },
        "files": report.files,
        "tiles": {
            "size": plan.request.tile,
            "number": report.tiles,
            "computed_px": report.computed,
            "kept_px": report.kept,
            "failed": report.failed,
        },
        "fetching": _fetching(plan, timings),
        "memory": _memory(plan, report.peaks),
        "timings": {name: round(seconds, 3) for name, seconds in timings.items()},
        "time": report.time,
        "seconds": round(report.seconds, 3),
        "px_per_s": report.px_per_s and round(report.px_per_s, 1),
        "versions": _versions(),
        "command": plan.request.command,
        "arguments": plan.fingerprint(),
    }


def _versions() -> dict[str, str]:
    return {
        "geocomiss": __version__,
        "python": platform.python_version(),
        "gdal": rasterio.__gdal_version__,
        **{name: version(name) for name in PACKAGES},
    }


def _memory(plan: Plan, peaks: Peaks) -> dict[str, Any]:
    """What was taken at most, by this process and by others, and what was reckoned with, in MB."""
    each = {name: round(taken / 1e6, 1) for name, taken in peaks.own.items()}
    stated = workers_stated(each, in_mb(share_of(plan.request))) if plan.request.by_workers else None
    facts = {"peak_mb": in_mb(peak()), "kept_peak_mb": in_mb(peaks.kept), "workers": stated}
    if plan.memory and plan.request.memory:
        side, pixels = plan.request.tile, plan.grid.height * plan.grid.width
        whole = plan.memory.whole(pixels, side) if plan.request.mapping_unit else 0.0
        facts |= {
            "budget_mb": round(plan.request.memory / 1e6, 1),
            "reckoned_mb": round(max(plan.memory.taken(side), whole) / 1e6, 1),
            "process_mb": round(plan.memory.process / 1e6, 1),
            "bytes_per_tile_pixel": round(plan.memory.pixel, 1),
        }
    return facts


def _fetching(plan: Plan, timings: dict[str, float]) -> dict[str, Any] | None:
    """What reading over a network took in this run; None where nothing was.

    `overlap` is the share of the shorter of the two, reading and computing, that ran beside the other; of
    several processes, with their times taken together.
    """
    if not isinstance(plan.source, Metered) or not plan.source.traffic.requests:
        return None
    traffic = plan.source.traffic
    return asdict(traffic) | {
        "bytes_over_needed": over(traffic.bytes, traffic.needed_bytes),
        "requests_over_fewest": over(traffic.requests, traffic.fewest_requests),
        "overlap": overlap(timings),
    }


def _applicability(plan: Plan, report: MapReport) -> dict[str, Any] | None:
    """What there is to know of the area of applicability; None where it was not looked at."""
    stated = plan.checkpoint.card.applicability
    if stated is None or report.outside_applicability is None:
        return None
    share = round(report.outside_applicability, 6)
    return {"outside_share": share, "samples": stated.n, "spatial_groups": stated.groups}


def _priors(plan: Plan) -> dict[str, float]:
    """Known shares by class; empty where none were given."""
    names = (info.name for info in plan.checkpoint.card.classes)
    return dict(zip(names, plan.readout.priors or (), strict=False))
