"""Facts about areas of interest and stacks."""

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Final

import numpy as np
from odc.geo import CRS

from geocomiss.aoi import read_aoi
from geocomiss.grid import crs_text, grid_of
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
    from pyproj import Geod

    area = read_aoi(text)
    degrees = area.geometry.to_crs("EPSG:4326")
    square_metres = abs(Geod(ellps="WGS84").geometry_area_perimeter(degrees.geom)[0])
    grid = grid_of(area.geometry)
    return {
        "what": "an area of interest",
        "crs": crs_text(CRS(area.geometry.crs)),
        "bounds": rounded(degrees.boundingbox.bbox),
        "hectares": round(square_metres / 1e4, 4),
        "polygons": len(getattr(area.geometry.geom, "geoms", [area.geometry.geom])),
        "grid at 10 m": grid_facts(grid),
        "notes": list(area.notes),
    }


def stack_facts(source: "Source", kind: str) -> Facts:
    """How and when a stack was made, and how full it is.

    Raises:
        SourceError: A file is damaged.
    """
    facts: Facts = {
        "what": f"a stack: {kind}",
        "name": source.name,
        "simulated": source.simulated,
        "grid": grid_facts(source.grid) if source.grid else None,
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
    from geocomiss.stack import bands_of, groups_of

    if source.grid is None or source.held is None:
        return {}
    rows, cols = (_middle(size) for size in (source.grid.height, source.grid.width))
    stack = source.open(source.grid[rows, cols], source.held).compute()
    shares = {}
    for name, group in groups_of(stack).items():
        whole = np.stack([np.isfinite(group[band].values) for band in bands_of(stack)[name]])
        shares[name] = round(float(whole.all(0).mean()), 4)
    return shares


def _middle(size: int) -> slice:
    start = max(0, (size - LOOK) // 2)
    return slice(start, min(size, start + LOOK))
