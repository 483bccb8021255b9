"""Labelled samples of the simulated world, made pixel by pixel as its maps are.

Samples come in clusters of a few kilometres, as field campaigns do, at random places on both
hemispheres. A sample is a pixel of the 10 m UTM grid of its place, so its values equal the map's.
"""

import hashlib
import json
from dataclasses import asdict, dataclass
from math import floor
from typing import Final

import numpy as np
import xarray as xr
from numpy.typing import NDArray
from pyproj import Transformer

from geocomiss.composite import margin_pixels
from geocomiss.errors import SampleError
from geocomiss.modalities import MODALITIES
from geocomiss.recipes import Recipe
from geocomiss.samples.table import Samples
from geocomiss.seasons import Calendar
from geocomiss.simulation import CLASSES, World
from geocomiss.simulation.places import Places, places_at
from geocomiss.simulation.weather import cells_at

Floats = NDArray[np.float32]

PER_CLUSTER: Final = 20
"""Samples of one cluster."""
SPREAD: Final = 4000.0
"""Half the side of a cluster's square in metres."""
PIXEL: Final = 10.0
"""Pixel size in metres."""
YEARS: Final = (2018, 2024)
"""First and last year in which a sample's season may end."""
LATITUDES: Final = ((12.0, 57.0), (-42.0, -12.0))
"""Latitudes of places in the north and in the south."""
SOUTHERN: Final = 0.3
"""Share of clusters in the southern hemisphere."""


@dataclass(frozen=True)
class Cluster:
    """Samples around one place, of one season."""

    x: NDArray[np.float64]
    """Pixel centres in metres east in the UTM zone, (S,)."""
    y: NDArray[np.float64]
    """Pixel centres in metres north, (S,)."""
    epsg: int
    """Code of the UTM zone."""
    season: Calendar
    """Time steps."""

    @property
    def lonlat(self) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Longitudes and latitudes of the samples in degrees, each (S,)."""
        lon, lat = Transformer.from_crs(self.epsg, 4326, always_xy=True).transform(self.x, self.y)
        return np.asarray(lon), np.asarray(lat)

    def windows(self, margin: int) -> Places:
        """Pixels around every sample, windows of 2 margin + 1 pixels on top of each other."""
        side = np.arange(-margin, margin + 1) * PIXEL
        x = self.x[:, None, None] + side[None, None, :] + np.zeros((1, side.size, 1))
        y = self.y[:, None, None] - side[None, :, None] + np.zeros((1, 1, side.size))
        lon, lat = Transformer.from_crs(self.epsg, 4326, always_xy=True).transform(x, y)
        return places_at(np.asarray(lon), np.asarray(lat)).reshape(-1, side.size)


def simulated_samples(n: int, seed: int, recipe: Recipe) -> Samples:
    """Draw and simulate labelled samples.

    Args:
        n: Number of samples N.
        seed: Seed of the world and of the places.
        recipe: How their values are made; its cycle is theirs.

    Raises:
        SampleError: Fewer than one sample is asked for.
    """
    if n < 1:
        raise SampleError(f"{n} simulated samples", expected="at least 1", todo="give a larger --n")
    rng = np.random.default_rng(seed)
    sizes = [min(PER_CLUSTER, n - start) for start in range(0, n, PER_CLUSTER)]
    clusters = [_cluster(rng, size, recipe) for size in sizes]
    places = [places_at(*cluster.lonlat) for cluster in clusters]
    simulated = [_values(World(seed), cluster, recipe) for cluster in clusters]
    value = np.concatenate([World(seed).class_at(place) for place in places])
    lat, lon = (np.concatenate([getattr(place, name) for place in places]) for name in ("lat", "lon"))
    years = [cluster.season.last_day.year for cluster in clusters]
    cells = [f"{floor(b)},{floor(a)}" for a, b in zip(lon, lat, strict=True)]
    return Samples(
        name="simulated",
        sha256=_digest(seed, recipe),
        values={name: np.concatenate([part[name] for part in simulated]) for name in MODALITIES},
        bands={name: modality.band_names for name, modality in MODALITIES.items()},
        labels=np.array([crop.name for crop in CLASSES])[value - 1],
        lat=lat,
        lon=lon,
        group=np.array(cells),
        months=np.repeat([cluster.season.months() for cluster in clusters], sizes, axis=0),
        years=tuple(sorted(set(years))),
        columns={"year": np.repeat(years, sizes), "hemisphere": np.where(lat < 0, "south", "north")},
        recipe=recipe,
        recipe_stated=True,
        simulated=True,
        grouped_by="cells of 1 degree",
    )


def _cluster(rng: np.random.Generator, size: int, recipe: Recipe) -> Cluster:
    low, high = LATITUDES[int(rng.random() < SOUTHERN)]
    lat, lon = rng.uniform(low, high), rng.uniform(-180.0, 180.0)
    zone = min(60, floor((lon + 180) / 6) + 1)
    epsg = (32600 if lat >= 0 else 32700) + zone
    x, y = Transformer.from_crs(4326, epsg, always_xy=True).transform(lon, lat)
    shift = rng.uniform(-SPREAD, SPREAD, (2, size))
    centres = (np.floor((np.array([[x], [y]]) + shift) / PIXEL) + 0.5) * PIXEL
    season = recipe.cycle.ending_in(int(rng.integers(YEARS[0], YEARS[1] + 1)))
    return Cluster(centres[0], centres[1], epsg, season)


def _values(world: World, cluster: Cluster, recipe: Recipe) -> dict[str, Floats]:
    """Series of the S samples of a cluster, per modality (S, T, C)."""
    margin = margin_pixels(recipe, PIXEL)
    wide, points = cluster.windows(margin), cluster.windows(0)
    middle = slice(margin, None, 2 * margin + 1)
    optical = world.optical(wide, cluster.season, recipe, PIXEL).isel(y=middle, x=slice(margin, margin + 1))
    rows, cols = cells_at(points)
    cells, at = np.unique(np.stack([rows.ravel(), cols.ravel()]), axis=1, return_inverse=True)
    weather = world.weather(cells[0][:, None], cells[1][:, None], cluster.season, recipe)
    datasets = {
        "optical": optical,
        "radar": world.radar(points, cluster.season, recipe),
        "weather": weather.isel(y=at.ravel()),
        "topography": world.topography(points),
    }
    return {name: _series(name, dataset) for name, dataset in datasets.items()}


def _series(name: str, dataset: xr.Dataset) -> Floats:
    """(S, T, C) of a dataset with S rows and one column."""
    bands = [dataset[band].values.astype(np.float32)[..., 0] for band in MODALITIES[name].band_names]
    cube = np.stack(bands, -1)  # (T, S, C), or (S, C) where nothing changes over time
    return np.ascontiguousarray(np.moveaxis(cube if cube.ndim == 3 else cube[None], 0, 1))


def _digest(seed: int, recipe: Recipe) -> str:
    """What defines the table, in place of a file's digest; a longer table begins with a shorter one."""
    stated = json.dumps({"simulated": 1, "seed": seed, "recipe": asdict(recipe)}, sort_keys=True)
    return hashlib.sha256(stated.encode()).hexdigest()
