"""Facts about areas of interest and stacks."""

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Final

import numpy as np
from numpy.typing import NDArray
from odc.geo import CRS, Geometry
from odc.geo.geobox import GeoBox

from geocomiss.aoi import read_aoi
from geocomiss.grid import crs_text, grid_of, same_grid, tile_at
from geocomiss.inspection.facts import Facts, grid_facts, rounded

if TYPE_CHECKING:
    from geocomiss.seasons import Calendar
    from geocomiss.sources.base import Source

LOOK: Final = 96
"""Pixels a side of the window in the middle of a stack that is read, to tell how full it is."""


def area_facts(text: str) -> Facts:
    """Where an area lies and how large it is.

    Raises:
        AreaError: It cannot be mapped, or is none.
    """
    area = read_aoi(text)
    return {
        "what": "an area of interest",
        "crs": crs_text(CRS(area.geometry.crs)),
        **_extent(area.geometry),
        "grid at 10 m": grid_facts(grid_of(area.geometry)),
        "notes": list(area.notes),
    }


def _extent(area: Geometry) -> Facts:
    from pyproj import Geod

    degrees = area.to_crs("EPSG:4326")
    square_metres = abs(Geod(ellps="WGS84").geometry_area_perimeter(degrees.geom)[0])
    return {
        "bounds": rounded(degrees.boundingbox.bbox),
        "hectares": round(square_metres / 1e4, 4),
        "polygons": len(getattr(area.geom, "geoms", [area.geom])),
    }


def stack_facts(source: "Source", kind: str) -> Facts:
    """How and when a stack was made, and how full it is.

    Raises:
        SourceError: A file is damaged.
    """
    from geocomiss.sources.resolve import area_held

    facts: Facts = {
        "what": f"a stack: {kind}",
        "name": source.name,
        "simulated": source.simulated,
        "grid": grid_facts(source.grid) if source.grid else None,
        "fetched for": _extent(area) if (area := area_held(source, None)) else None,
        "calendar": _calendar(source.held) if source.held else None,
        "recipe": asdict(source.recipe),
    }
    valid = _valid_share(source)
    return facts | {
        "modalities": [
            {"modality": name, "valid in the middle": valid.get(name), "bands": list(bands)}
            for name, bands in source.bands.items()
        ]
    }


def export_facts(folder: Path) -> Facts:
    """What an export of Earth Engine consists of, by its manifest: its files may be written still.

    Raises:
        SourceError: The manifest is damaged.
    """
    from geocomiss.sources.exports.manifest import read_manifest

    manifest = read_manifest(folder)
    return {
        "what": "an export of Earth Engine",
        "project": manifest.project,
        "files": len(manifest.parts),
        "written to": manifest.destination.where,
        "grid": grid_facts(manifest.grid),
        "calendar": _calendar(manifest.origin.calendar),
        "recipe": asdict(manifest.origin.recipe),
        "modalities": [{"modality": name, "bands": list(bands)} for name, bands in manifest.bands.items()],
    }


def _calendar(calendar: "Calendar") -> Facts:
    return {
        "first day": str(calendar.start),
        "last day": str(calendar.last_day),
        "steps": calendar.number,
        "step": calendar.step,
    }


def _valid_share(source: "Source") -> dict[str, float]:
    """Share of steps and pixels at which all bands of a modality are valid, in the middle."""
    from geocomiss.stack import bands_of, grid_of_group, groups_of

    if source.grid is None or source.held is None:
        return {}
    part, held = _middle(source, source.grid)
    stack = source.open(part, source.held).compute()
    shares = {}
    for name, group in groups_of(stack).items():
        whole = np.asarray(
            np.stack([np.isfinite(group[band].values) for band in bands_of(stack)[name]]).all(0)
        )
        on_grid = same_grid(grid_of_group(group), part)
        shares[name] = round(float((whole[..., held] if on_grid else whole).mean()), 4)
    return shares


def _middle(source: "Source", grid: GeoBox) -> tuple[GeoBox, NDArray[np.bool_]]:
    """The window that is read, and its pixels (H, W) that the source was fetched for."""
    from geocomiss.covering import Covering
    from geocomiss.sources.resolve import area_held

    covering = Covering(area, grid) if (area := area_held(source, None)) else None
    numbers = covering.numbers(LOOK) if covering else np.zeros(0, np.int64)
    for number in np.roll(numbers, -(len(numbers) // 2)).tolist():
        part = tile_at(grid, LOOK, number).geobox
        if covering and (held := covering.inside(part)).any():
            return part, held
    part = grid[_centred(grid.height), _centred(grid.width)]
    return part, np.ones(part.shape, bool)


def _centred(size: int) -> slice:
    start = max(0, (size - LOOK) // 2)
    return slice(start, min(size, start + LOOK))
