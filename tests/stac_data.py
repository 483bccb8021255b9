"""Catalogues on disk: COGs with their items, from arrays, from the simulated world, from real patches."""

from collections.abc import Callable, Mapping, Sequence
from datetime import date, datetime, timedelta
from math import ceil, floor
from pathlib import Path
from typing import Any

import numpy as np
from affine import Affine
from numpy.typing import NDArray
from odc.geo.geobox import GeoBox
from rasterio.io import MemoryFile
from rasterio.shutil import copy as rio_copy
from stac_server import StacServer

from geocomiss.simulation.optical import optical_scenes
from geocomiss.simulation.orbits import PASS
from geocomiss.simulation.places import places_of
from geocomiss.simulation.radar import POLARISATIONS, radar_scenes
from geocomiss.simulation.spectra import OPTICAL
from geocomiss.simulation.terrain import elevation
from geocomiss.sources.stac.catalogues import CLASSES, PRODUCTS

NODATA = {"s1-rtc": -32768.0, "nasadem": -32768.0}


def write_cog(path: Path, values: NDArray[Any], grid: GeoBox, nodata: float | None, block: int = 512) -> None:
    """A cloud optimised GeoTIFF of one band."""
    path.parent.mkdir(parents=True, exist_ok=True)
    profile = {
        "driver": "GTiff",
        "height": values.shape[0],
        "width": values.shape[1],
        "count": 1,
        "dtype": values.dtype,
        "crs": str(grid.crs),
        "transform": grid.affine,
        "nodata": nodata,
    }
    with MemoryFile() as memory:
        with memory.open(**profile) as file:
            file.write(values, 1)
        with memory.open() as file:
            rio_copy(file, path, driver="COG", BLOCKSIZE=block, COMPRESS="DEFLATE", LEVEL=1, OVERVIEWS="NONE")


def add_item(
    server: StacServer,
    product: str,
    name: str,
    when: datetime,
    bands: Mapping[str, tuple[NDArray[Any], GeoBox]],
    properties: Mapping[str, Any] = {},
    nodata: float | None = 0,
    extra: Mapping[str, Any] = {},
    block: int = 512,
    write: Callable[..., None] = write_cog,
) -> dict[str, Any]:
    """Write an item's images and list it."""
    kind = PRODUCTS[product]
    nodata = NODATA.get(product, nodata)
    assets = {}
    for band, (values, grid) in bands.items():
        path = f"{name}/{kind.assets[band]}.tif"
        write(server.folder / path, values, grid, nodata, block)
        assets[kind.assets[band]] = {
            "href": f"{server.url}/files/{path}",
            "type": "image/tiff; application=geotiff; profile=cloud-optimized",
            "roles": ["data"],
            **extra,
        }
    whole = next(iter(bands.values()))[1]
    outline = whole.extent.to_crs("EPSG:4326")
    box = outline.boundingbox
    item = {
        "type": "Feature",
        "stac_version": "1.0.0",
        "stac_extensions": ["https://stac-extensions.github.io/projection/v1.1.0/schema.json"],
        "id": name,
        "collection": kind.collection,
        "geometry": outline.json,
        "bbox": [box.left, box.bottom, box.right, box.top],
        "properties": {
            "datetime": when.strftime("%Y-%m-%dT%H:%M:%SZ"),
            "proj:epsg": whole.crs.epsg,
            "proj:shape": list(whole.shape),
            "proj:transform": list(whole.affine)[:6],
            **properties,
        },
        "assets": assets,
        "links": [],
    }
    server.add(item)
    return item


def power(decibels: NDArray[Any]) -> NDArray[np.float32]:
    """Linear backscatter, -32768 where missing."""
    values = 10.0 ** (decibels.astype(np.float64) / 10.0)
    return np.where(np.isfinite(decibels), values, -32768.0).astype(np.float32)


def add_simulated(
    server: StacServer,
    grid: GeoBox,
    first: date,
    last: date,
    seed: int = 0,
    keep: Callable[[int], bool] = lambda number: True,
    repeat: int = 1,
    only: Sequence[str] = OPTICAL,
) -> None:
    """The simulated world as a catalogue: Sentinel-2, Sentinel-1 RTC and NASADEM.

    Args:
        server: Where it is listed.
        grid: What the images show.
        first: First day.
        last: Last day.
        seed: Seed of the world.
        keep: Which optical and radar acquisitions exist, by their number.
        only: Optical bands.
        repeat: The images are this many times as wide and high, showing the same again and again.
    """
    places, days = places_of(grid), (first.toordinal(), last.toordinal())
    wide = GeoBox((grid.height * repeat, grid.width * repeat), grid.affine, grid.crs)
    optical = optical_scenes(seed, places, *days, top=False)
    shape = (-1, *places.shape)

    def image(values: NDArray[Any]) -> tuple[NDArray[Any], GeoBox]:
        return np.tile(values, (repeat, repeat)), wide

    for number, day in enumerate(optical.passes.days):
        if not keep(number):
            continue
        scl = optical.scl.reshape(shape)[number]
        bands = {
            name: image(np.nan_to_num(values.reshape(shape)[number]).astype(np.uint16))
            for name, values in zip(OPTICAL, optical.bands, strict=True)
            if name in only
        }
        told = {
            "platform": "Sentinel-2A",
            "s2:processing_baseline": "03.00",
            "s2:mgrs_tile": "31UFS",
            "eo:cloud_cover": round(100 * float(np.isin(scl, (3, 8, 9, 10)).mean()), 2),
        }
        when = datetime.fromordinal(int(day)) + timedelta(hours=10, minutes=40)
        add_item(server, "s2", f"S2-{when:%Y%m%d}", when, bands | {CLASSES: image(scl)}, told)
    radar = radar_scenes(seed, places, *days)
    for number, day in enumerate(radar.passes.days):
        if not keep(number):
            continue
        bands = {
            name: image(power(values.reshape(shape)[number]))
            for name, values in zip(POLARISATIONS, radar.bands, strict=True)
        }
        told = {
            "platform": "SENTINEL-1A",
            "sat:orbit_state": PASS,
            "sat:absolute_orbit": 30_000 + int(day) * 15,
        }
        when = datetime.fromordinal(int(day)) + timedelta(hours=5, minutes=50)
        add_item(server, "s1-rtc", f"S1-{when:%Y%m%d}", when, bands, told)
    heights = dem_grid(wide)
    values = elevation(seed, places_of(heights))
    add_item(server, "nasadem", "N50E005", datetime(2000, 2, 20), {"elevation": (values, heights)})


def dem_grid(grid: GeoBox) -> GeoBox:
    """Cells of one arc second around a grid."""
    box, size = grid.extent.to_crs("EPSG:4326").boundingbox, 1 / 3600
    left, top = floor(box.left / size) - 9, ceil(box.top / size) + 9
    shape = (ceil(box.span_y / size) + 20, ceil(box.span_x / size) + 20)
    return GeoBox(shape, Affine(size, 0, left * size, 0, -size, top * size), "EPSG:4326")
