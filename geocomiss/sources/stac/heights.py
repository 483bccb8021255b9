"""Terrain from the elevation models of a catalogue, on their own grid, lazily."""

from collections.abc import Sequence
from math import ceil, floor
from typing import Any, Final

import numpy as np
import xarray as xr
from affine import Affine
from numpy.typing import NDArray
from odc.geo.geobox import GeoBox
from pystac import Item
from rasterio.errors import RasterioError

from geocomiss.grid import crs_of
from geocomiss.sources import terrain
from geocomiss.sources.files import CHUNK, lazy_array, short_crs
from geocomiss.sources.stac.blocks import Piece
from geocomiss.sources.stac.catalogues import PRODUCTS, RTC_NO_DATA, Product
from geocomiss.sources.stac.reading import Images
from geocomiss.sources.stac.web import Unreadable
from geocomiss.stack import assign_grid

RING: Final = 2
"""Cells beyond the area: one for the slope, one to interpolate."""


def topography(pieces: Sequence[Piece], images: Images, grid: GeoBox) -> xr.Dataset | None:
    """Elevation and slope on a grid; None where no image can be opened.

    Heights are read on the grid of the first image; those of another spacing (Copernicus GLO-30 is
    coarser east-west from 50 degrees on) are interpolated onto it.
    """
    own = _own_grid(pieces, images)
    if own is None:
        return None
    model = _around(own, grid)
    product = PRODUCTS[pieces[0].product]
    items = [piece.item for piece in pieces]
    shape = (model.height, model.width)
    key = (*(item.id for item in items), str(model.affine), str(images.ledger))

    def read(where: tuple[slice, ...]) -> NDArray[Any]:
        return _mosaic(items, images, product, model[where[-2], where[-1]])

    heights = lazy_array(read, shape, np.dtype(np.float32), key, CHUNK)
    elevation = xr.DataArray(heights, dims=("y", "x"))
    return assign_grid(terrain.topography(elevation, model, grid, grid), grid)


def _mosaic(items: Sequence[Item], images: Images, product: Product, part: GeoBox) -> NDArray[np.float32]:
    """Heights (H, W) in metres, the first image with data at each cell, NaN where none has."""
    planes = images.read(items, product, product.bands, part).values()
    result = np.full(part.shape, np.nan, np.float32)
    for plane in (plane for stack in planes for plane in stack):
        known = np.isfinite(plane) & (plane != np.float32(RTC_NO_DATA))
        result = np.where(np.isnan(result) & known, plane, result).astype(np.float32)
    return result


def _own_grid(pieces: Sequence[Piece], images: Images) -> GeoBox | None:
    """The grid of the first image that can be opened."""
    for piece in pieces:
        product = PRODUCTS[piece.product]
        address = piece.item.assets[product.assets[product.bands[0]]].href
        try:
            return _with_short_crs(images.grid_of(address, product))
        except (RasterioError, Unreadable):
            images.ledger.failed(address, "cannot be opened")
    return None


def _with_short_crs(grid: GeoBox) -> GeoBox:
    return GeoBox(grid.shape, grid.affine, short_crs(crs_of(grid).to_wkt()))


def _around(own: GeoBox, grid: GeoBox) -> GeoBox:
    """The cells of an elevation model, continued in all directions, that lie around a grid."""
    box = grid.extent.to_crs(crs_of(own), resolution=grid.extent.boundingbox.span_x / 16).boundingbox
    at = own.affine  # north up: no rotation
    (left, right), (top, bottom) = (
        [(edge - start) / size for edge in edges]
        for edges, start, size in (
            ((box.left, box.right), at.c, at.a),
            ((box.top, box.bottom), at.f, at.e),
        )
    )
    col, row = floor(left) - RING, floor(top) - RING
    shape = (ceil(bottom) + RING - row, ceil(right) + RING - col)
    return GeoBox(shape, Affine(at.a, 0, at.c + col * at.a, 0, at.e, at.f + row * at.e), own.crs)
