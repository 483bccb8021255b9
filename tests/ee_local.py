"""The scenes of the loopback catalogue, mosaicked the slow and obvious way and composited locally."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from itertools import groupby
from typing import Any

import numpy as np
import xarray as xr
from ee_evaluator import Stored
from ee_scenes import CLOUD_SCORE, S1, S2
from numpy.typing import NDArray
from odc.geo.geobox import GeoBox
from pyproj import Transformer

from geocomiss.composite import SCORE, composite_optical, composite_radar, margin_pixels
from geocomiss.recipes import Recipe
from geocomiss.seasons import Calendar

DIMS = ("time", "y", "x")


def optical(
    images: Mapping[str, Stored], grid: GeoBox, season: Calendar, recipe: Recipe, bands: Sequence[str] = ()
) -> xr.Dataset:
    """Optical composites of a grid, from the granules themselves; of all bands, or some."""
    margin = margin_pixels(recipe, 10.0)
    granules = [each for key, each in images.items() if key.startswith(f"{S2}/") and _newest(each)]
    by_score = SCORE if recipe.cloud_rule == "cloud-score-plus" else ""
    if by_score:
        granules = [_scored(each, images) for each in granules if _index(each) in images]
    passes = _passes(granules, lambda each: str(each.properties["DATATAKE_IDENTIFIER"]))
    known = bands or [name for name in granules[0].bands if name not in ("SCL", SCORE)]
    scenes = _scenes(passes, grid.pad(margin), [*known, by_score or "SCL"])
    if not by_score:
        scenes = scenes.assign(scl=scenes["SCL"].fillna(0).astype(np.uint8)).drop_vars("SCL")
    inner = slice(margin, -margin or None)
    made = composite_optical(scenes, season, recipe, 10.0)
    return made.isel(y=inner, x=inner)


def radar(
    images: Mapping[str, Stored], grid: GeoBox, season: Calendar, recipe: Recipe, direction: str
) -> xr.Dataset:
    """Radar composites of a grid and direction, or 'BOTH', from the slices themselves."""
    return composite_radar(radar_scenes(images, grid, direction), season, recipe)


def radar_scenes(images: Mapping[str, Stored], grid: GeoBox, direction: str) -> xr.Dataset:
    """All passes of a direction, or of 'BOTH', on a grid."""
    kept = [
        each
        for key, each in images.items()
        if key.startswith(f"{S1}/")
        and direction in (each.properties["orbitProperties_pass"], "BOTH")
        and each.properties["instrumentMode"] == "IW"
        and len(each.properties["transmitterReceiverPolarisation"]) == 2
    ]
    passes = _passes(kept, lambda each: str(each.properties["orbitNumber_start"]))
    return _scenes(passes, grid, ["VV", "VH"])


def _index(image: Stored) -> str:
    """The identifier of a granule's Cloud Score+."""
    return image.id.replace(S2, CLOUD_SCORE)


def _scored(image: Stored, images: Mapping[str, Stored]) -> Stored:
    """With Cloud Score+ as one more band."""
    return replace(image, bands={**image.bands, SCORE: images[_index(image)].bands["cs_cdf"]})


def _newest(image: Stored) -> bool:
    return image.properties["PROCESSING_BASELINE"] == "05.00"


def _passes(images: Iterable[Stored], key: Callable[[Stored], str]) -> list[list[Stored]]:
    """Images of one pass, in the order in which they count: by name."""
    ordered = sorted(images, key=lambda each: (key(each), each.id))
    return [list(group) for _, group in groupby(ordered, key)]


def _scenes(passes: list[list[Stored]], grid: GeoBox, bands: Sequence[str]) -> xr.Dataset:
    """Each pass on a grid: at each pixel the first image that has data there."""
    times, stacked = [], {name: [] for name in bands}
    for images in sorted(passes, key=lambda group: group[0].properties["system:time_start"]):
        seconds = min(image.properties["system:time_start"] for image in images) / 1000
        times.append(np.datetime64(datetime.fromtimestamp(seconds, UTC).replace(tzinfo=None), "ns"))
        for name in bands:
            plane = np.full(grid.shape, np.nan, np.float32)
            for image in reversed(images):
                values = cell_of_each_pixel(*image.bands[name], grid)
                plane = np.where(np.isnan(values), plane, values)
            stacked[name].append(plane)
    return xr.Dataset({n: (DIMS, np.stack(v)) for n, v in stacked.items()}, coords={"time": times})


def cell_of_each_pixel(
    values: NDArray[Any], valid: NDArray[np.bool_], own: GeoBox, grid: GeoBox
) -> NDArray[np.float32]:
    """The value of the cell in which the centre of each pixel lies, NaN where it is masked or outside."""
    padded = np.full((own.height + 2, own.width + 2), np.nan, np.float32)
    padded[1:-1, 1:-1] = np.where(valid, values, np.nan)
    x, y = np.meshgrid(
        grid.affine.c + (np.arange(grid.width) + 0.5) * grid.affine.a,
        grid.affine.f + (np.arange(grid.height) + 0.5) * grid.affine.e,
    )
    if grid.crs != own.crs:
        x, y = Transformer.from_crs(grid.crs.proj, own.crs.proj, always_xy=True).transform(x, y)
    col = np.clip(np.floor((x - own.affine.c) / own.affine.a), -1, own.width).astype(int)
    row = np.clip(np.floor((y - own.affine.f) / own.affine.e), -1, own.height).astype(int)
    return padded[row + 1, col + 1]
