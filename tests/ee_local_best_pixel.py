"""CropHarvest's rule without its shadows, the slow and obvious way: the scenes of the loopback catalogue.

The score of cloud on cells of 20 m, its mean around each pixel, and the image that is best at each pixel.
"""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta

import numpy as np
import xarray as xr
from affine import Affine
from ee_evaluator import Stored
from ee_local import DIMS, cell_of_each_pixel, radar_scenes
from ee_scenes import L1C
from numpy.typing import NDArray
from odc.geo.geobox import GeoBox
from pyproj import Transformer

from geocomiss.composite import composite_radar, step_starts
from geocomiss.recipes import RECIPES
from geocomiss.seasons import Calendar
from geocomiss.stack import COUNT

Floats = NDArray[np.float64]
Cut = tuple[float, float, float, float] | None
CELL = 20 / 111_319.49079327358
"""Degrees."""


def optical(
    images: Mapping[str, Stored], grid: GeoBox, season: Calendar, bands: Sequence[str], cut: Cut = None
) -> xr.Dataset:
    """Optical steps: of each pixel the image of least cloud, of equals that of least cloud cover.

    With `cut` (west, south, east, north) nothing is known of what lies beyond.
    """
    steps: dict[str, list[Floats]] = {name: [] for name in (*bands, COUNT)}
    for first, last in zip(season.edges()[:-1], season.edges()[1:], strict=True):
        found = [
            each for key, each in images.items() if key.startswith(f"{L1C}/") and _day(each, first, last)
        ]
        found.sort(key=lambda each: (each.properties["CLOUDY_PIXEL_PERCENTAGE"], each.id))
        least = np.full(grid.shape, np.inf)
        chosen = {name: np.full(grid.shape, np.nan) for name in bands}
        for image in found:
            cloud = cloud_around(image, grid, cut)
            better = np.isfinite(cloud) & (cloud < least - 1e-9)
            least[better] = cloud[better]
            for name in bands:
                chosen[name][better] = cell_of_each_pixel(*image.bands[name], grid)[better]
        for name in bands:
            steps[name].append(chosen[name])
        steps[COUNT].append(np.isfinite(chosen[bands[0]]))
    made = {name: (DIMS, np.stack(planes).astype(np.float32)) for name, planes in steps.items()}
    return xr.Dataset(made, coords={"time": step_starts(season)})


def _day(image: Stored, first: object, last: object) -> bool:
    day = datetime.fromtimestamp(image.properties["system:time_start"] / 1000, UTC).date()
    return first <= day < last  # type: ignore[operator]


def cloud_around(image: Stored, grid: GeoBox, cut: Cut) -> Floats:
    """The mean score of cloud of the pixels up to 5 away, NaN where the pixel itself was not seen."""
    wide = grid.pad(5)
    x, y = np.meshgrid(
        wide.affine.c + (np.arange(wide.width) + 0.5) * wide.affine.a,
        wide.affine.f + (np.arange(wide.height) + 0.5) * wide.affine.e,
    )
    lon, lat = Transformer.from_crs(wide.crs.proj, 4326, always_xy=True).transform(x, y)
    col, row = np.floor(lon / CELL).astype(int), np.floor(-lat / CELL).astype(int)
    shape = (np.ptp(row) + 1, np.ptp(col) + 1)
    cells = GeoBox(shape, Affine(CELL, 0, col.min() * CELL, 0, -CELL, -row.min() * CELL), "EPSG:4326")
    signs, wider = sign(image, cells.pad(5)), cells.pad(5)
    if cut:
        easts = wider.affine.c + (np.arange(wider.width) + 0.5) * CELL
        norths = wider.affine.f - (np.arange(wider.height) + 0.5) * CELL
        signs[:, (easts < cut[0]) | (easts > cut[2])] = np.nan
        signs[(norths < cut[1]) | (norths > cut[3])] = np.nan
    cloud = _mean_around(signs)
    return _mean_around(cloud[row - row.min(), col - col.min()])


def sign(image: Stored, grid: GeoBox) -> Floats:
    """The least of the six signs of cloud, not below 0.001."""
    b = {n: cell_of_each_pixel(*image.bands[n], grid).astype(np.float64) / 10_000 for n in image.bands}
    moist, snow = ((b[i] - b[j]) / (b[i] + b[j]) for i, j in (("B8", "B11"), ("B3", "B11")))
    signs = [
        (b["B2"] - 0.1) / (0.5 - 0.1),
        (b["B1"] - 0.1) / (0.3 - 0.1),
        (b["B1"] + b["B10"] - 0.15) / (0.2 - 0.15),
        (b["B4"] + b["B3"] + b["B2"] - 0.2) / (0.8 - 0.2),
        (moist + 0.1) / (0.1 + 0.1),
        (snow - 0.8) / (0.6 - 0.8),
        np.ones(grid.shape),
    ]
    return np.maximum(np.min(signs, axis=0), 0.001)


def _mean_around(values: Floats) -> Floats:
    """Of 11 x 11 values, those there are: (H + 10, W + 10) -> (H, W)."""
    around = np.lib.stride_tricks.sliding_window_view(values, (11, 11))
    seen = np.isfinite(values[5:-5, 5:-5])
    result = np.full(seen.shape, np.nan)
    result[seen] = np.nanmean(around[seen], axis=(1, 2))
    return result


def radar(images: Mapping[str, Stored], grid: GeoBox, season: Calendar, direction: str) -> xr.Dataset:
    """Radar steps: the median of passes within 15 days of the middle, else the one pass that is nearest."""
    scenes = radar_scenes(images, grid, direction)
    steps = []
    for start in season.edges()[:-1]:
        middle = np.datetime64(start + timedelta(days=15), "ns")
        away = abs(scenes.time.values - middle)
        near = np.flatnonzero(away <= np.timedelta64(15, "D"))
        taken = near if near.size else np.array([away.argmin()])
        within = scenes.isel(time=taken)
        within = within.assign_coords(time=np.full(len(taken), middle - np.timedelta64(1, "D")))
        steps.append(composite_radar(within, Calendar(start, "30d", 1), RECIPES["cropharvest"]))
    return xr.concat(steps, "time")
