"""Put finished tiles together: the GeoTIFFs, the areas, and `run.json`.

Every stored value is read once, a layer at a time and a tile at a time: memory does not depend on the area.
What the tiles were counted to hold when they were computed is what the written layers are held to.
"""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import reduce
from operator import add
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from geocomiss.errors import GO_ON, MapError, MapStopped, unwritable
from geocomiss.grid import Tile
from geocomiss.mapping.budget import share_of
from geocomiss.mapping.clock import Clock
from geocomiss.mapping.facts import tags_of, write_run
from geocomiss.mapping.far import outside_in_words, share_outside
from geocomiss.mapping.illustrate import IMAGING, coarse_grid, picked
from geocomiss.mapping.package import write_sidecars
from geocomiss.mapping.peaks import Peaks, overdrawn
from geocomiss.mapping.plan import Plan
from geocomiss.mapping.request import MapReport
from geocomiss.mapping.tiles import TileStore
from geocomiss.maps import (
    APPLICABILITY,
    EXPECTED_ACCURACY,
    NOT_MAPPED,
    PROBABILITIES,
    QML_SUFFIX,
    SUMMARY,
    Asset,
    Layer,
    write_sparse_cog,
    write_style,
)
from geocomiss.modalities import MODALITIES
from geocomiss.sources.base import Accounting
from geocomiss.threads import side_by_side, threads_for
from geocomiss.tiling import TILES, Counts, Record, WorkFolder

SHOWING: Final = ("preview.png", "report.html")
"""What shows a map without being part of it."""
STALE: Final = (
    *(f"{name}.*" for name in (EXPECTED_ACCURACY, APPLICABILITY, PROBABILITIES, "true_color", "ndvi")),
    *SHOWING,
)
"""What not every map has, and what shows a map that is replaced."""
LAYERS: Final = 4
"""Layers that are written at a time: GDAL itself uses several cores only while it compresses."""
NAMED: Final = 5
"""Failed tiles that are named in a warning."""


@dataclass(frozen=True)
class Finished:
    """Tiles to be put together."""

    store: TileStore
    """Where they lie."""
    done: Mapping[str, Record]
    """Line in the manifest of each, by name."""
    failed: Mapping[str, str]
    """Why others are not there, by name."""
    kept: int = 0
    """Pixels classified in tiles that this run did not compute."""
    peaks: Peaks = field(default_factory=Peaks)
    """The most memory that the processes took which computed them."""
    worries: tuple[str, ...] = ()
    """What is to be said of what the source could not read, by this run or an earlier one."""

    def tiles(self, plan: Plan) -> Iterator[Tile]:
        """Those that are there, in the order of the grid."""
        return (tile for tile in plan.tiles() if tile.name in self.done)


def assemble(plan: Plan, finished: Finished, clock: Clock, work: WorkFolder) -> MapReport:
    """Write the layers and `run.json` from finished tiles.

    Args:
        plan: The map.
        finished: Its tiles.
        clock: Of the run.
        work: The folder of the run.
    """
    failures = _failures(finished)
    with clock.measure("write"):
        counts = total(plan, finished.done)
        outside = _outside(plan, finished)
        folder = finished.store.folder / "finished"
        with _said_of(plan.request.out, folder):
            assets = _write_layers(plan, finished, folder, counts, failures)
            write_sidecars(folder, plan, assets)
        files = _publish(folder, plan.request.out)
    notes, far = outside_in_words(outside, plan.applicability is not None)
    read = plan.source.account()[0] if isinstance(plan.source, Accounting) else ()
    report = MapReport(
        folder=plan.request.out,
        grid=plan.grid,
        calendar=plan.calendar,
        notes=[*plan.notes, *read, *notes],
        warnings=[*plan.warnings, *finished.worries, *far, *failures, *_overdrawn(plan, finished)],
        files=[*files, SUMMARY],
        px_per_s=clock.rate(finished.kept),
        seconds=clock.total,
        simulated_model=plan.simulated_model,
        tiles=len(finished.done) + len(finished.failed),
        computed=clock.pixels,
        kept=finished.kept,
        time=clock.shares(),
        failed=dict(sorted(finished.failed.items())),
        outside_applicability=outside,
        peaks=finished.peaks,
        **_shown(plan, finished, counts),
    )
    write_run(plan, report, clock.seconds, work)
    return report


def total(plan: Plan, done: Mapping[str, Record]) -> Counts:
    """What all tiles hold together."""
    counts = (done[tile.name].counts for tile in plan.tiles() if tile.name in done)
    nothing = Counts.nothing((len(IMAGING), plan.calendar.number))
    return reduce(add, (each for each in counts if each is not None), nothing)


def _outside(plan: Plan, finished: Finished) -> float | None:
    """Share of the pixels with a class outside the area of applicability; None where it is not known."""
    if plan.applicability is None:
        return None
    index = np.zeros(256, np.int64)
    for tile in finished.tiles(plan):
        index += np.bincount(finished.store.read_layer(tile, APPLICABILITY).ravel(), minlength=256)
    return share_outside(index)


@contextmanager
def _said_of(out: Path, folder: Path) -> Iterator[None]:
    """What cannot be written is said of the map's folder, not of one within: the same command goes on.

    Args:
        out: The map's folder.
        folder: Where its files lie until all are there.
    """
    try:
        yield
    except MapStopped as error:
        found = error.found.replace(str(folder), str(out))
        raise MapStopped(found, expected=error.expected, todo=GO_ON) from error
    except OSError as error:
        raise unwritable(out, error) from error


def _write_layers(
    plan: Plan, finished: Finished, folder: Path, counts: Counts, failures: tuple[str, ...]
) -> tuple[Asset, ...]:
    """Write all rasters, some at a time, each with its style for QGIS."""
    tags = tags_of(plan, failures)
    patterns = tuple(np.flatnonzero(counts.patterns[:NOT_MAPPED]).tolist())

    work = plan.request.out / TILES

    def write(layer: Layer) -> Asset:
        grid = coarse_grid(plan.grid, layer.every)
        windows = _windows(plan, finished, layer)
        if layer.name in COUNTED:
            windows = _held_to(windows, layer, getattr(counts, COUNTED[layer.name]), work)
        path = folder / f"{layer.name}.tif"
        statistics = write_sparse_cog(path, layer, grid, windows, tags, finished.store.folder)
        write_style(folder / f"{layer.name}{QML_SUFFIX}", layer, statistics[0])
        return Asset(layer, grid, statistics)

    return tuple(side_by_side(write, plan.layers(patterns), min(LAYERS, threads_for("cpu"))))


COUNTED: Final = {"crop_type": "classes", "modalities": "patterns"}
"""Layers whose values are counted when a tile is computed, and the field of `Counts` that holds them."""


def _held_to(
    windows: Iterator[tuple[slice, slice, NDArray[Any]]],
    layer: Layer,
    expected: NDArray[np.int64],
    tiles: Path,
) -> Iterator[tuple[slice, slice, NDArray[Any]]]:
    """The same windows; in the end their values must have been those that the tiles were computed with.

    Each tile is what its line in a manifest says, or it would not have been read: so what the line says that
    it holds is wrong, and will be next time.

    Args:
        windows: Of a layer.
        layer: What their values are.
        expected: How often each value was computed.
        tiles: Folder of the tiles and their manifests.

    Raises:
        MapError: They were not.
    """
    found = np.zeros_like(expected)
    for rows, cols, values in windows:
        found += np.bincount(values.ravel(), minlength=expected.size)
        yield rows, cols, values
    if wrong := (int(abs(found - expected).sum()) + 1) // 2:  # one that is lost counts, too
        raise MapError(
            f"the tiles of {layer.name} differ in {wrong:,} pixels from what was computed",
            expected="the values that were computed",
            todo=f"check the disk, delete {tiles} and give the same command again: it computes all anew",
        )


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


def _windows(plan: Plan, finished: Finished, layer: Layer) -> Iterator[tuple[slice, slice, NDArray[Any]]]:
    for tile in finished.tiles(plan):
        at = picked(plan.grid, tile, layer.every)
        if at.y.size and at.x.size:
            yield at.rows, at.cols, finished.store.read_layer(tile, layer.name)


def _shown(plan: Plan, finished: Finished, counts: Counts) -> dict[str, Any]:
    """Pixels and hectares per class, availability of each modality, and what is not mapped and why."""
    looked_at = counts.looked_at
    share = {
        name: float(counts.patterns[[v for v in range(16) if v & m.bit]].sum() / max(looked_at, 1))
        for name, m in MODALITIES.items()
    }
    return {
        "classes": [
            {
                "value": each.value,
                "name": each.name,
                "color": each.color,
                "pixels": int(counts.classes[each.value]),
                "area_ha": round(float(counts.hectares[each.value]), 4),
            }
            for each in plan.classes
        ],
        "modality_share": share,
        "observed": {
            name: [round(float(each), 4) for each in counts.observed[number] / max(looked_at, 1)]
            for number, name in enumerate(IMAGING)
        },
        "nodata": _without_class(plan, finished, counts),
    }


def _without_class(plan: Plan, finished: Finished, counts: Counts) -> dict[str, int]:
    """Pixels without a class by reason."""
    reason = "required_missing" if plan.request.require else "nothing_available"
    outside, masked, failed = counts.outside, counts.masked, 0
    looked_at = 0
    for tile in plan.tiles():
        looked_at += tile.geobox.height * tile.geobox.width
        if tile.name not in finished.done:
            area = plan.within_area(tile)
            wanted = area & plan.mask.read_or_all(tile.geobox, plan.grid) if plan.mask else area
            outside += int((~area).sum())
            masked += int((area & ~wanted).sum())
            failed += int(wanted.sum())
    nodata = {
        "outside": outside + plan.grid.height * plan.grid.width - looked_at,
        "masked": masked,
        "required_missing": 0,
        reason: int(counts.classes[0]) - counts.outside - counts.masked,
    }
    return nodata | ({"failed": failed} if finished.failed else {})


def _overdrawn(plan: Plan, finished: Finished) -> tuple[str, ...]:
    """What to say of workers that took more memory than their share."""
    return overdrawn(finished.peaks.own, share_of(plan.request)) if plan.request.by_workers else ()


def _failures(finished: Finished) -> tuple[str, ...]:
    """What to say of tiles that are not there."""
    if not finished.failed:
        return ()
    reasons = sorted(finished.failed.items())
    named = ", ".join(f"{name} ({why})" for name, why in reasons[:NAMED])
    more = f" and {len(reasons) - NAMED} more (see run.json)" if len(reasons) > NAMED else ""
    return (f"{len(reasons)} tiles failed and hold no data: {named}{more}",)
