"""What lies above the maps of several UTM zones: virtual rasters, a STAC Collection, sums, and `run.json`."""

import json
import shutil
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import rasterio
from odc.geo.geobox import GeoBox

from geocomiss.aoi import read_aoi
from geocomiss.covering import Covering
from geocomiss.errors import unwritable
from geocomiss.grid import crs_of, crs_text, grid_of
from geocomiss.mapping.assemble import STALE
from geocomiss.mapping.clock import Clock
from geocomiss.mapping.mask import read_mask
from geocomiss.mapping.plan import Plan
from geocomiss.mapping.request import MapReport, MapRequest
from geocomiss.mapping.sums import summed, with_lacking, with_rate
from geocomiss.maps import (
    COLLECTION,
    ITEM,
    LEGEND,
    PARTS,
    QML_SUFFIX,
    SUFFIX,
    SUMMARY,
    CollectionFacts,
    Layer,
    Piece,
    Statistics,
    map_collection,
    mosaic_grid,
    read_categories,
    read_summary,
    write_mosaic,
    write_style,
)
from geocomiss.maps.stac import JSON_TYPE
from geocomiss.sources.resolve import DEFAULT_RESOLUTION
from geocomiss.zones import Zone

PARTIAL: Final = "zones.partial"
"""Folder in which files are written before they get their names."""


@dataclass(frozen=True)
class Mapped:
    """A zone with a map."""

    plan: Plan
    """As it was decided."""
    report: MapReport | None
    """What was mapped in this run; None where it was finished before."""


@dataclass(frozen=True)
class Lacking:
    """Zones of the area that have no map."""

    failed: Mapping[str, str]
    """Why nothing came of zones, by name."""
    unseen: tuple[str, ...]
    """Names of those in which nothing was ever seen."""


def write_over(
    request: MapRequest,
    zones: tuple[Zone, ...],
    mapped: Mapping[str, Mapped],
    lacking: Lacking,
    notes: tuple[str, ...],
    clock: Clock,
) -> MapReport:
    """Write what shows the zones' maps together.

    Args:
        request: What was asked.
        zones: All zones of the area, from west to east.
        mapped: Those with a map, by name.
        lacking: Those without one, where they have pixels to be mapped.
        notes: What to know of the zones.
        clock: Of the run.

    Raises:
        MapError: It cannot be written.
    """
    made = tuple(zone for zone in zones if zone.name in mapped)
    work = request.out / PARTIAL
    shutil.rmtree(work, ignore_errors=True)
    try:
        work.mkdir()
        with clock.measure("write"):
            grid, layers = _write_layers(request, made, mapped, work)
            files = _publish(work, request.out, _others(request, made, mapped, layers, work))
            told = _told_of(request, zones, lacking)
        summary = _summary(request, made, mapped, notes, clock)
        summary |= {"files": [*files, SUMMARY], "grid": _described(grid)}
        summary = with_lacking(summary, lacking.failed, told)
        partial = work / SUMMARY
        partial.write_text(json.dumps(summary, indent=2) + "\n")
        partial.replace(request.out / SUMMARY)
    except OSError as error:
        raise unwritable(request.out, error) from error
    finally:
        shutil.rmtree(work, ignore_errors=True)
    return _report(request, mapped, summary, grid, clock)


def _write_layers(
    request: MapRequest, zones: tuple[Zone, ...], mapped: Mapping[str, Mapped], work: Path
) -> tuple[GeoBox, tuple[Layer, ...]]:
    """Write a virtual raster of each layer. Returns the grid of the first and the layers."""
    area = read_aoi(request.aoi or "").geometry
    grid: GeoBox | None = None
    layers: list[Layer] = []
    for layer in _layers(request.out, zones, mapped):
        every = (Piece(request.out / each.name / f"{layer.name}.tif", each.name, each.west) for each in zones)
        pieces = tuple(piece for piece in every if piece.path.exists())
        if pieces:
            own = mosaic_grid(area, min(_side(piece.path) for piece in pieces))
            write_mosaic(work, layer, own, pieces, request.out)
            write_style(work / f"{layer.name}{QML_SUFFIX}", layer, _statistics(request.out, zones, layer))
            grid, layers = grid or own, [*layers, layer]
    if grid is None:
        raise OSError(f"no raster in {', '.join(zone.name for zone in zones)}")
    return grid, tuple(layers)


def _layers(out: Path, zones: tuple[Zone, ...], mapped: Mapping[str, Mapped]) -> tuple[Layer, ...]:
    """The layers of the zones' maps, with the patterns that occur in any."""
    found = (read_categories(out / zone.name / "modalities.tif") for zone in zones)
    patterns = sorted({each.value for categories in found for each in categories})
    several = [mapped[zone.name].plan.layers(tuple(patterns)) for zone in zones]
    return tuple({layer.name: layer for layers in reversed(several) for layer in layers}.values())


def _side(path: Path) -> float:
    with rasterio.open(path) as file:
        return abs(float(file.transform.a))


def _statistics(out: Path, zones: tuple[Zone, ...], layer: Layer) -> Statistics:
    """The lowest and the highest value of a layer's first band, from the zones' STAC Items."""
    items = (_item(out / zone.name) for zone in zones)
    # a zone may lack the layer: no picture without optical images
    assets = (item["assets"].get(layer.name) for item in items)
    stated = [asset["bands"][0]["statistics"] for asset in assets if asset]
    low = [each["minimum"] for each in stated if "minimum" in each]
    high = [each["maximum"] for each in stated if "maximum" in each]
    return Statistics(min(low, default=None), max(high, default=None), None, None, 0.0)


def _item(folder: Path) -> dict[str, Any]:
    item: dict[str, Any] = json.loads((folder / ITEM).read_text(encoding="utf-8"))
    return item


def _others(
    request: MapRequest,
    zones: tuple[Zone, ...],
    mapped: Mapping[str, Mapped],
    layers: tuple[Layer, ...],
    work: Path,
) -> tuple[Layer, ...]:
    """Write the legend and the STAC Collection."""
    first = zones[0].name
    shutil.copyfile(request.out / first / LEGEND, work / LEGEND)
    calendar = mapped[first].plan.calendar
    files = {
        LEGEND: ("legend", "text/csv"),
        SUMMARY: ("areas of all zones, season, source, model, warnings, versions", JSON_TYPE),
        **{f"{layer.name}{QML_SUFFIX}": ("style for QGIS", "application/xml") for layer in layers},
    }
    items = {zone.name: _item(request.out / zone.name) for zone in zones}
    facts = CollectionFacts(calendar.start, calendar.last_day, items, layers, files)
    (work / COLLECTION).write_text(
        json.dumps(map_collection(facts), indent=1, ensure_ascii=False) + "\n", encoding="utf-8"
    )
    return layers


def _publish(work: Path, out: Path, layers: Iterable[Layer]) -> list[str]:
    """Give all files their names. Returns those of the folder itself, rasters first."""
    (out / SUMMARY).unlink(missing_ok=True)
    for name in STALE[-2:]:
        (out / name).unlink(missing_ok=True)
    shutil.rmtree(out / PARTS, ignore_errors=True)
    (work / PARTS).replace(out / PARTS)
    names = sorted(path.name for path in work.iterdir())
    for name in names:
        (work / name).replace(out / name)
    rasters = [f"{layer.name}{SUFFIX}" for layer in layers]
    return [*rasters, *(name for name in names if name not in rasters)]


def _summary(
    request: MapRequest,
    zones: tuple[Zone, ...],
    mapped: Mapping[str, Mapped],
    notes: tuple[str, ...],
    clock: Clock,
) -> dict[str, Any]:
    """The content of `run.json`."""
    parts = {zone.name: read_summary(request.out / zone.name) for zone in zones}
    whole = with_rate(summed(parts), clock)
    named = [
        {
            "name": zone.name,
            "crs": zone.crs,
            "pixels": sum(each["pixels"] for each in parts[zone.name]["classes"]),
            "area_ha": round(sum(each["area_ha"] for each in parts[zone.name]["classes"]), 4),
        }
        for zone in zones
    ]
    return whole | {
        "notes": [*notes, *whole["notes"]],
        "zones": named,
        "time": _time(mapped),
        "command": request.command,
    }


def _told_of(request: MapRequest, zones: tuple[Zone, ...], lacking: Lacking) -> dict[str, int]:
    """Pixels of the zones without a map, by the reason for which they have no class."""
    unseen = "required_missing" if request.require else "nothing_available"
    found = {"masked": 0, unseen: 0} | ({"failed": 0} if lacking.failed else {})
    for zone in zones:
        if zone.name in lacking.failed or zone.name in lacking.unseen:
            wanted, masked = pixels_of(request, zone)
            found["failed" if zone.name in lacking.failed else unseen] += wanted
            found["masked"] += masked
    return found


def pixels_of(request: MapRequest, zone: Zone) -> tuple[int, int]:
    """Pixels of the area that lie in a zone without a map: (those to be mapped, those masked)."""
    resolution = DEFAULT_RESOLUTION if request.resolution is None else request.resolution
    grid = grid_of(zone.part, zone.crs, resolution)
    covering, mask = Covering(zone.part, grid), read_mask(request.mask) if request.mask else None
    wanted = masked = 0
    for tile in covering.tiles(request.tile):
        inside = covering.inside(tile.geobox)
        kept = inside & mask.read_or_all(tile.geobox, grid) if mask and inside.any() else inside
        wanted, masked = wanted + int(kept.sum()), masked + int((inside & ~kept).sum())
    return wanted, masked


def _time(mapped: Mapping[str, Mapped]) -> dict[str, float]:
    """Where the time of this run went: the zones' shares by what each took."""
    reports = [each.report for each in mapped.values() if each.report]
    seconds = sum(report.seconds for report in reports)
    names = dict.fromkeys(name for report in reports for name in report.time)
    share: Callable[[str], float] = lambda name: sum(r.time[name] * r.seconds for r in reports) / seconds  # noqa: E731
    return {name: round(share(name), 4) for name in names}


def _described(grid: GeoBox) -> dict[str, Any]:
    return {
        "crs": crs_text(crs_of(grid)),
        "transform": list(grid.affine)[:6],
        "height": grid.height,
        "width": grid.width,
    }


def _report(
    request: MapRequest, mapped: Mapping[str, Mapped], summary: dict[str, Any], grid: GeoBox, clock: Clock
) -> MapReport:
    plan = next(iter(mapped.values())).plan
    applicability = summary.get("applicability") or {}
    return MapReport(
        folder=request.out,
        grid=grid,
        calendar=plan.calendar,
        notes=summary["notes"],
        warnings=summary["warnings"],
        classes=summary["classes"],
        modality_share=summary["modality_share"],
        nodata=summary["nodata"],
        files=summary["files"],
        px_per_s=summary["px_per_s"],
        seconds=summary["seconds"],
        simulated_model=plan.simulated_model,
        observed={key: each for key, each in summary["observations"].items() if key != "steps"},
        tiles=summary["tiles"]["number"],
        computed=clock.pixels,
        kept=summary["tiles"]["kept_px"],
        time=summary["time"],
        failed=summary["tiles"]["failed"] | summary["failed_zones"],
        outside_applicability=applicability.get("outside_share"),
        zones=tuple(summary["zones"]),
    )
