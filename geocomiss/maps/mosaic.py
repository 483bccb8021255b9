"""Rasters of several UTM zones as one: GDAL's virtual format (VRT), which QGIS and anything with GDAL opens.

A virtual raster lies in degrees and holds no pixel: it names, for each zone, a virtual raster that warps the
zone's own, nearest neighbour. Pixels of two zones lie askew to each other. At a border a place can therefore
lie in a pixel of either zone whose centre lies beyond the border, and which that zone thus leaves to the
other: a strip along each border, a few pixels wide, holds what the nearest pixel on its own side says, and
shows where nothing else does.

B bands, H x W pixels.
"""

import xml.etree.ElementTree as ET
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise
from math import ceil, cos, radians
from pathlib import Path
from typing import Any, Final

import numpy as np
import rasterio
import rasterio.shutil
from numpy.typing import NDArray
from odc.geo import Geometry
from odc.geo.geobox import GeoBox
from pyproj import Transformer
from rasterio.vrt import WarpedVRT
from rasterio.windows import Window

from geocomiss.grid import crop, grid_of, window_in
from geocomiss.maps.layers import Layer
from geocomiss.maps.sidecar import write_categories
from geocomiss.maps.virtual import Part, write_virtual
from geocomiss.zones import WIDTH

CRS: Final = "EPSG:4326"
"""Of virtual rasters: no zone's, so that an area may be as wide as it likes."""
PARTS: Final = "parts"
"""Folder of what virtual rasters are made of."""
SUFFIX: Final = ".vrt"
"""Of virtual rasters."""
METRES: Final = 111_319.49
"""Of a degree on the equator."""
REACH: Final = 2
"""Pixels to either side of a border that are held for it: one suffices, GDAL's warper errs by an eighth."""
ROWS: Final = 512
"""Rows of a strip that are made at a time."""


@dataclass(frozen=True)
class Piece:
    """A zone's raster."""

    path: Path
    """Where it lies."""
    zone: str
    """Name of the zone."""
    west: float
    """Longitude of the zone's western border."""


def mosaic_grid(area: Geometry, metres: float) -> GeoBox:
    """The pixels in degrees of an area: square, no coarser than in the zones, borders on their edges.

    Args:
        area: The area.
        metres: Side of a zone's pixel.
    """
    return grid_of(area, CRS, 1 / ceil(METRES / metres))


def write_mosaic(
    folder: Path, layer: Layer, grid: GeoBox, pieces: tuple[Piece, ...], home: Path
) -> tuple[str, ...]:
    """Write the virtual raster of a layer.

    Args:
        folder: Where: the raster, and what it is made of in its folder `parts`.
        layer: What it holds.
        grid: Its pixels, see `mosaic_grid`.
        pieces: The layer's rasters, from west to east.
        home: The folder that will hold both the raster and the zones' folders.

    Returns:
        Names of the files written, within `folder`.
    """
    strips = [
        part
        for west, east in pairwise(pieces)
        if east.west - west.west == WIDTH and (part := _write_strip(folder, layer, grid, (west, east)))
    ]
    warped = [_write_warped(folder, layer, grid, piece, home) for piece in pieces]
    raster = folder / f"{layer.name}{SUFFIX}"
    with rasterio.open(pieces[0].path) as first:
        tags = {name: text for name, text in first.tags().items() if name != "AREA_OR_POINT"}
        write_virtual(raster, layer, grid, tuple([*strips, *warped]), tags)
    if layer.categories:
        write_categories(raster, layer.categories)
    return tuple(part.name for part in (*strips, *warped))


def _write_warped(folder: Path, layer: Layer, grid: GeoBox, piece: Piece, home: Path) -> Part:
    """A zone's raster on the pixels of the whole, as a virtual one."""
    path = folder / PARTS / piece.zone / f"{layer.name}{SUFFIX}"
    path.parent.mkdir(parents=True, exist_ok=True)
    with rasterio.open(piece.path) as file:
        own = GeoBox(file.shape, file.transform, file.crs.to_wkt())
        part = crop(grid, own.extent)
        with WarpedVRT(
            file, crs=CRS, transform=part.affine, width=part.width, height=part.height, nodata=layer.nodata
        ) as warped:
            rasterio.shutil.copy(warped, path, driver="VRT")
    tree = ET.parse(path)
    for source in tree.iter("SourceDataset"):  # GDAL finds no way to a file that does not lie below
        source.set("relativeToVRT", "1")
        source.text = Path("..", "..", piece.path.relative_to(home)).as_posix()
    tree.write(path, encoding="unicode")
    return Part(path.relative_to(folder).as_posix(), *_corner(part, grid), (part.height, part.width))


def _corner(part: GeoBox, whole: GeoBox) -> tuple[int, int]:
    rows, cols = window_in(part, whole)
    return rows.start, cols.start


def _write_strip(folder: Path, layer: Layer, grid: GeoBox, sides: tuple[Piece, Piece]) -> Part | None:
    """What shows along the border of two zones; None where the area does not lie there."""
    border = sides[1].west
    cols = _columns(grid, border, sides)
    if cols.start >= cols.stop:
        return None
    part = grid[:, cols]
    path = folder / PARTS / f"{abs(border):g}{'E' if border >= 0 else 'W'}" / f"{layer.name}.tif"
    path.parent.mkdir(parents=True, exist_ok=True)
    profile = {
        "driver": "GTiff",
        "width": part.width,
        "height": part.height,
        "count": len(layer.band_names),
        "dtype": layer.dtype,
        "nodata": layer.nodata,
        "crs": CRS,
        "transform": part.affine,
        "compress": "DEFLATE",
        "blockysize": ROWS,
        "interleave": "band",
        "photometric": "MINISBLACK",
        "SPARSE_OK": True,
        "BIGTIFF": "IF_SAFER",
    }
    with rasterio.open(path, "w", **profile) as file:
        for top, values in _strip(part, border, sides, layer):
            file.write(values, window=Window(0, top, part.width, values.shape[1]))
    return Part(path.relative_to(folder).as_posix(), *_corner(part, grid), (part.height, part.width))


def _columns(grid: GeoBox, border: float, sides: tuple[Piece, ...]) -> slice:
    """The columns beside a border."""
    box, size = grid.extent.boundingbox, float(grid.affine.a)
    widest = 0.0
    for side in sides:
        with rasterio.open(side.path) as file:
            widest = max(widest, abs(file.transform.a))
    degrees = REACH * widest / (METRES * cos(radians(min(89.0, max(abs(box.bottom), abs(box.top))))))
    col, reach = round((border - grid.affine.c) / size), ceil(degrees / size)
    return slice(max(0, col - reach), min(grid.width, col + reach))


def _strip(
    part: GeoBox, border: float, sides: tuple[Piece, Piece], layer: Layer
) -> Iterator[tuple[int, NDArray[Any]]]:
    """First row and values (B, H, W) of the pieces of a strip that hold anything."""
    lon = part.affine.c + (np.arange(part.width) + 0.5) * part.affine.a
    for top in range(0, part.height, ROWS):
        rows = np.arange(top, min(top + ROWS, part.height))
        lat = part.affine.f + (rows + 0.5) * part.affine.e
        values = np.full((len(layer.band_names), len(rows), part.width), layer.nodata, layer.dtype)
        for side, cols, inward in ((sides[0], lon < border, -1), (sides[1], lon >= border, 1)):
            if cols.any():
                values[:, :, cols] = _nearest(side.path, lon[cols], lat, border, inward)
        if (values != layer.nodata).any():
            yield top, values


def _nearest(path: Path, lon: NDArray[Any], lat: NDArray[Any], border: float, inward: int) -> NDArray[Any]:
    """What a zone says at places: of the pixel there or, where its centre lies beyond the border, the next.

    Args:
        path: The zone's raster.
        lon: (W,) degrees.
        lat: (H,) degrees.
        border: Longitude of the border.
        inward: -1 where the zone lies west of it, 1 where east.

    Returns:
        (B, H, W), nodata outside the raster.
    """
    with rasterio.open(path) as file:
        there = Transformer.from_crs(CRS, file.crs.to_wkt(), always_xy=True)
        x, y = there.transform(*np.meshgrid(lon, lat))
        affine = file.transform  # north up, as all our maps are
        col = np.floor((x - affine.c) / affine.a).astype(np.int64)
        row = np.floor((y - affine.f) / affine.e).astype(np.int64)
        middle = affine.c + (col + 0.5) * affine.a, affine.f + (row + 0.5) * affine.e
        centre, _ = there.transform(*middle, direction="INVERSE")
        col += np.where((centre - border) * inward < 0, inward, 0)
        within = (row >= 0) & (row < file.height) & (col >= 0) & (col < file.width)
        values = np.full((file.count, *within.shape), file.nodata, file.dtypes[0])
        if within.any():
            left, top = int(col[within].min()), int(row[within].min())
            right, bottom = int(col[within].max()) + 1, int(row[within].max()) + 1
            block = file.read(window=Window(left, top, right - left, bottom - top))
            values[:, within] = block[:, row[within] - top, col[within] - left]
    return values
