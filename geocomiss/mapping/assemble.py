"""Put finished tiles together: the GeoTIFFs, the areas, and `run.json`."""

import json
import platform
from collections.abc import Callable, Iterator
from dataclasses import asdict
from importlib.metadata import version
from pathlib import Path
from typing import Any, Final

import numpy as np
import rasterio
from numpy.typing import NDArray

from geocomiss import __version__
from geocomiss.errors import unwritable
from geocomiss.grid import crs_of, pixel_hectares
from geocomiss.mapping.illustrate import IMAGING, coarse_grid, picked
from geocomiss.mapping.package import write_sidecars
from geocomiss.mapping.plan import Plan
from geocomiss.mapping.request import MapReport
from geocomiss.mapping.tiles import TileStore
from geocomiss.maps import (
    AREA_NOTE,
    EXPECTED_ACCURACY,
    NOT_MAPPED,
    PROBABILITIES,
    QML_SUFFIX,
    SUMMARY,
    Asset,
    Layer,
    write_cog,
    write_style,
)
from geocomiss.modalities import MODALITIES
from geocomiss.sources.base import Accounting
from geocomiss.stack import origin_of

SIMULATED_MODEL: Final = "SIMULATED MODEL"
STALE: Final = (
    *(f"{name}.*" for name in (EXPECTED_ACCURACY, PROBABILITIES, "true_color", "ndvi")),
    *("preview.png", "report.html"),
)
"""What not every map has, and what shows a map that is replaced."""
PACKAGES: Final = ("torch", "numpy", "xarray", "dask", "rasterio", "odc-geo")


def assemble(
    plan: Plan,
    store: TileStore,
    timings: dict[str, float],
    pixels: int,
    elapsed: Callable[[], float],
) -> MapReport:
    """Write the layers and `run.json` from finished tiles.

    Args:
        plan: The map.
        store: Its tiles, all done.
        timings: Seconds per kind of work so far.
        pixels: Pixels classified in this run.
        elapsed: Seconds since the start.
    """
    before = elapsed()
    counts = _count(plan, store)
    finished = store.folder / "finished"
    assets = _write_layers(plan, store, finished, counts.pop("patterns"))
    observed = counts.pop("observed")
    write_sidecars(finished, plan, assets)
    files = _publish(finished, plan.request.out)
    timings = timings | {"write": elapsed() - before}
    read, worries = plan.source.account() if isinstance(plan.source, Accounting) else ((), ())
    report = MapReport(
        folder=plan.request.out,
        grid=plan.grid,
        calendar=plan.calendar,
        notes=[*plan.notes, *read],
        warnings=[*plan.warnings, *worries],
        files=[*files, SUMMARY],
        px_per_s=pixels / elapsed(),
        seconds=elapsed(),
        simulated_model=plan.simulated_model,
        observed=observed,
        **counts,
    )
    _write_run(plan, report, timings)
    return report


def _write_layers(
    plan: Plan, store: TileStore, finished: Path, patterns: tuple[int, ...]
) -> tuple[Asset, ...]:
    """Write all rasters, each with its style for QGIS."""
    tags, assets = _tags(plan), []
    for layer in plan.layers(patterns):
        grid = coarse_grid(plan.grid, layer.every)
        windows = _windows(plan, store, layer)
        statistics = write_cog(finished / f"{layer.name}.tif", layer, grid, windows, tags, store.folder)
        write_style(finished / f"{layer.name}{QML_SUFFIX}", layer, statistics[0])
        assets.append(Asset(layer, grid, statistics))
    return tuple(assets)


def _publish(finished: Path, out: Path) -> list[str]:
    """Give all files their names; a map that they replace stops being a finished one first."""
    names = sorted(path.name for path in finished.iterdir())
    try:
        (out / SUMMARY).unlink(missing_ok=True)
        for name in STALE:
            for stale in out.glob(name):
                stale.unlink()
        for name in reversed(names):  # a sidecar before its raster
            (finished / name).replace(out / name)
        finished.rmdir()
    except OSError as error:
        raise unwritable(out, error) from error
    return names


def _windows(plan: Plan, store: TileStore, layer: Layer) -> Iterator[tuple[slice, slice, NDArray[Any]]]:
    for tile in plan.tiles():
        at = picked(plan.grid, tile, layer.every)
        if at.y.size and at.x.size:
            yield at.rows, at.cols, store.read_tile(tile).layer(layer.name)


def _count(plan: Plan, store: TileStore) -> dict[str, Any]:
    """Pixels and hectares per class, availability of each modality, and what is not mapped and why."""
    pixels, hectares = np.zeros(256, np.int64), np.zeros(256)
    bits, outside, masked = np.zeros(256, np.int64), 0, 0
    observed = np.zeros((len(IMAGING), plan.calendar.number), np.int64)
    for tile in plan.tiles():
        result = store.read_tile(tile)
        pixels += np.bincount(result.crop_type.ravel(), minlength=256)
        area = pixel_hectares(tile.geobox).ravel()
        hectares += np.bincount(result.crop_type.ravel(), area, minlength=256)
        bits += np.bincount(result.modalities.ravel(), minlength=256)
        outside, masked = outside + result.outside, masked + result.masked
        observed += result.observed
    looked_at = bits[:NOT_MAPPED].sum()
    unclassified = int(pixels[0]) - outside - masked
    reason = "required_missing" if plan.request.require else "nothing_available"
    share = {
        name: float(bits[[v for v in range(16) if v & m.bit]].sum() / max(looked_at, 1))
        for name, m in MODALITIES.items()
    }
    return {
        "classes": [
            {
                "value": each.value,
                "name": each.name,
                "color": each.color,
                "pixels": int(pixels[each.value]),
                "area_ha": round(float(hectares[each.value]), 4),
            }
            for each in plan.classes
        ],
        "modality_share": share,
        "patterns": tuple(np.flatnonzero(bits[:NOT_MAPPED]).tolist()),
        "observed": {
            name: [round(float(each), 4) for each in observed[number] / max(looked_at, 1)]
            for number, name in enumerate(IMAGING)
        },
        "nodata": {"outside": outside, "masked": masked, "required_missing": 0} | {reason: unclassified},
    }


def _tags(plan: Plan) -> dict[str, str]:
    """What every layer states. No time, command, tile size or run id: equal maps are equal bytes."""
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
    if plan.warnings:
        tags["warnings"] = "; ".join(plan.warnings)
    if card.simulated:
        tags["label"] = SIMULATED_MODEL if plan.simulated_model else "SIMULATED WORLD"
    return tags


def _priors(plan: Plan) -> dict[str, float]:
    """Known shares by class; empty where none were given."""
    names = (info.name for info in plan.checkpoint.card.classes)
    return dict(zip(names, plan.readout.priors or (), strict=False))


def _write_run(plan: Plan, report: MapReport, timings: dict[str, float]) -> None:
    path = plan.request.out / SUMMARY
    partial = path.with_suffix(".partial")
    try:
        partial.write_text(json.dumps(_run(plan, report, timings), indent=2) + "\n")
        partial.replace(path)
    except OSError as error:
        partial.unlink(missing_ok=True)
        raise unwritable(plan.request.out, error) from error


def _run(plan: Plan, report: MapReport, timings: dict[str, float]) -> dict[str, Any]:
    card, origin, calendar = plan.checkpoint.card, origin_of(plan.stack), plan.calendar
    return {
        "label": _tags(plan).get("label", ""),
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
        "without": list(plan.request.without),
        "require": list(plan.request.require),
        "smooth": plan.request.smooth,
        "minimum_mapping_unit": plan.dissolved,
        "min_steps": dict(plan.spec.min_steps),
        "on_mismatch": plan.request.on_mismatch,
        "notes": report.notes,
        "warnings": report.warnings,
        "grid": {
            "crs": str(crs_of(plan.grid)),
            "transform": list(plan.grid.affine)[:6],
            "height": plan.grid.height,
            "width": plan.grid.width,
        },
        "files": report.files,
        "timings": {name: round(seconds, 3) for name, seconds in timings.items()},
        "seconds": round(report.seconds, 3),
        "px_per_s": round(report.px_per_s, 1),
        "versions": {
            "geocomiss": __version__,
            "python": platform.python_version(),
            "gdal": rasterio.__gdal_version__,
            **{name: version(name) for name in PACKAGES},
        },
        "command": plan.request.command,
    }
