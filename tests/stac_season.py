"""A year of the simulated world as a catalogue of large images, written fast: one block again and again."""

from dataclasses import replace
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Any

import geopandas
import numpy as np
import rasterio
from affine import Affine
from gappy import RECIPE, untrained
from numpy.typing import NDArray
from odc.geo.geobox import GeoBox
from stac_data import NODATA, add_item, dem_grid, power
from stac_server import StacServer

from geocomiss.simulation.optical import optical_scenes
from geocomiss.simulation.orbits import PASS
from geocomiss.simulation.places import places_of
from geocomiss.simulation.radar import POLARISATIONS, radar_scenes
from geocomiss.simulation.spectra import OPTICAL
from geocomiss.simulation.terrain import elevation
from geocomiss.sources.stac.catalogues import CLASSES
from geocomiss.sources.stac.tiff import layout_of, part_of

WORLD = 64
"""Pixels a side that are simulated, and repeated all over the images."""
CORNER = Affine(10, 0, 600_000, 0, -10, 5_640_000)
BANDS = ("B2", "B3", "B4", "B8")
AWAY = (237, 161)
"""Rows and columns from the corner of the images to that of the area: its tiles cross their blocks."""


def area(side: int) -> GeoBox:
    """The pixels to map, a window of the images."""
    row, col = AWAY
    return GeoBox((side, side), CORNER * Affine.translation(col, row), "EPSG:32631")


def write_area(path: Path, side: int) -> Path:
    """The same as a vector file, in its own CRS."""
    frame = geopandas.GeoDataFrame(geometry=[area(side).extent.geom], crs="EPSG:32631")
    frame.to_file(path)
    return path


def add_season(server: StacServer, side: int, block: int, every: int = 3) -> None:
    """Sentinel-2 (scene classification at 20 m), Sentinel-1 RTC and NASADEM of 2021.

    Args:
        server: Where they are listed.
        side: Pixels a side of the area that is to be mapped.
        block: Pixels a side of the blocks of images.
        every: Each so many acquisitions one exists; 3 are about two a month of either sensor.
    """
    small = GeoBox((WORLD, WORLD), CORNER, "EPSG:32631")
    blocks = -(-(side + max(AWAY)) // (2 * block)) * 2
    wide, coarse = (GeoBox((n, n), CORNER * Affine.scale(s), "EPSG:32631") for n, s in (
        (blocks * block, 1), (blocks * block // 2, 2)
    ))  # fmt: skip
    places, days = places_of(small), (date(2021, 1, 1).toordinal(), date(2021, 12, 31).toordinal())
    shape = (-1, WORLD, WORLD)

    def image(values: NDArray[Any], grid: GeoBox, step: int = 1) -> tuple[NDArray[Any], GeoBox]:
        one = values[::step, ::step]
        return np.tile(one, (block // one.shape[0],) * 2), grid

    optical = optical_scenes(0, places, *days, top=False)
    for number, day in list(enumerate(optical.passes.days))[::every]:
        scl = optical.scl.reshape(shape)[number]
        bands = {
            name: image(np.nan_to_num(values.reshape(shape)[number]).astype(np.uint16), wide)
            for name, values in zip(OPTICAL, optical.bands, strict=True)
            if name in BANDS
        }
        when = datetime.fromordinal(int(day)) + timedelta(hours=10, minutes=40)
        told = {"platform": "Sentinel-2A", "s2:processing_baseline": "03.00", "s2:mgrs_tile": "31UFS"}
        images = bands | {CLASSES: image(scl, coarse, 2)}
        add_item(server, "s2", f"S2-{when:%Y%m%d}", when, images, told, block=block, write=write_repeated)
    radar = radar_scenes(0, places, *days)
    for number, day in list(enumerate(radar.passes.days))[::every]:
        images = {
            name: image(power(values.reshape(shape)[number]), wide)
            for name, values in zip(POLARISATIONS, radar.bands, strict=True)
        }
        when = datetime.fromordinal(int(day)) + timedelta(hours=5, minutes=50)
        told = {
            "platform": "SENTINEL-1A",
            "sat:orbit_state": PASS,
            "sat:absolute_orbit": 30_000 + int(day) * 15,
        }
        add_item(server, "s1-rtc", f"S1-{when:%Y%m%d}", when, images, told, block=block, write=write_repeated)
    heights = dem_grid(wide)
    values = elevation(0, places_of(heights))
    add_item(server, "nasadem", "N50E005", datetime(2000, 2, 20), {"elevation": (values, heights)})


def write_repeated(path: Path, values: NDArray[Any], grid: GeoBox, nodata: float | None, block: int) -> None:
    """A tiled GeoTIFF every block of which holds the same values: compressed once, stored as often."""
    path.parent.mkdir(parents=True, exist_ok=True)
    profile = {
        "driver": "GTiff", "count": 1, "dtype": values.dtype, "crs": str(grid.crs), "nodata": nodata,
        "tiled": True, "blockxsize": block, "blockysize": block, "compress": "DEFLATE", "zlevel": 1,
    }  # fmt: skip
    one = GeoBox((block, block), grid.affine, grid.crs)
    for part, options in ((one, {}), (grid, {"SPARSE_OK": "TRUE"})):
        with rasterio.open(path, "w", height=part.height, width=part.width, transform=part.affine, **profile,
                           **options) as file:  # fmt: skip
            if part is one:
                file.write(values, 1)
        if part is one:
            stored = path.read_bytes()
            first = layout_of(stored)
            start, length = int(first.starts[0]), int(first.lengths[0])
            content = stored[start : start + length]
    whole = layout_of(path.read_bytes())
    path.write_bytes(part_of(whole, dict.fromkeys(range(len(whole.starts)), content)))


def model_for(folder: Path) -> Path:
    """An untrained model of what the catalogue has, and of weather, which it has not.

    Its encoders are tiny where a test has made `nets.SIZES` so.
    """
    recipe = replace(RECIPE, s1_product="gamma0", terrain_product="SRTM")
    return untrained(folder, "unimodal", recipe=recipe, method="unimodal")


__all__ = ["BANDS", "NODATA", "add_season", "area", "model_for", "write_area", "write_repeated"]
