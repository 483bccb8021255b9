"""The layers of a map as small pictures of their values, on the pixels of a web map.

Each layer becomes one PNG of bytes (true colour a JPEG): the page colours it, so that it can show the
value of a clicked pixel, other colours, and single classes.

B bands, h x w pixels.
"""

import base64
import io
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
import rasterio
from affine import Affine
from numpy.typing import NDArray
from odc.geo.geobox import GeoBox
from PIL import Image
from rasterio.enums import Resampling
from rasterio.vrt import WarpedVRT
from rasterio.warp import transform_bounds

from geocomiss.grid import crs_of
from geocomiss.maps import STEP, Layer

WEB: Final = "EPSG:3857"
"""Web Mercator: what map libraries draw without further ado."""
BYTES: Final = 254
"""Highest stored value that is shown; 255 says "nothing here"."""
NOTHING: Final = 255
"""Says "nothing here" in every picture."""
COARSER: Final = (1, 2, 4, 8)
"""How much coarser a damaged raster is tried: overviews lie before the sharp pixels."""
NEARLY: Final = 1.05
"""How much coarser than a picture an overview may be: pixels of web maps lie aslant."""
QUALITY: Final = 82
"""Of JPEG pictures: above it files grow and eyes see nothing."""


@dataclass(frozen=True)
class Frame:
    """Where the pictures of a page lie."""

    bounds: tuple[float, float, float, float]
    """West, south, east, north in metres of Web Mercator."""
    size: tuple[int, int]
    """Width and height in pixels of the sharpest picture."""

    def scaled(self, side: int) -> tuple[int, int]:
        """Width and height with at most `side` pixels a side."""
        factor = min(1.0, side / max(self.size))
        return max(1, round(self.size[0] * factor)), max(1, round(self.size[1] * factor))


@dataclass(frozen=True)
class Picture:
    """A layer, ready for a page."""

    url: str
    """`data:` address of a PNG or JPEG."""
    size: tuple[int, int]
    """Width and height of one band."""
    bands: int
    """Bands, one below the other."""
    scale: float
    """Factor from the picture's bytes to true values."""
    offset: float
    """True value of a byte 0."""

    @property
    def bytes(self) -> int:
        """What it adds to a page."""
        return len(self.url)


def frame_of(grid: GeoBox, side: int) -> Frame:
    """The frame of a map, with about its pixels, at most `side` a side."""
    west, south, east, north = transform_bounds(
        crs_of(grid).to_wkt(), WEB, *grid.extent.boundingbox.bbox, densify_pts=21
    )
    longest = max(grid.width, grid.height)
    pixel = max(east - west, north - south) / min(longest, side)
    size = max(1, round((east - west) / pixel)), max(1, round((north - south) / pixel))
    return Frame((west, south, east, north), size)


def picture_of(path: Path, layer: Layer, frame: Frame, side: int) -> Picture:
    """A layer as a picture.

    Args:
        path: Its raster.
        layer: What it holds.
        frame: Where the picture lies.
        side: Most pixels a side.

    Raises:
        rasterio.errors.RasterioError: The raster is damaged.
    """
    width, height = frame.scaled(side)
    values = _warped(path, layer, frame, (width, height))
    bands = len(values)
    if layer.look == "rgb":
        return Picture(_jpeg(values[:3], layer.nodata), (width, height), 1, 1.0, 0.0)
    stored, step = _stored(values, layer)
    url = _png(stored.reshape(bands * height, width))
    return Picture(url, (width, height), bands, layer.scale * step, layer.offset)


def _warped(path: Path, layer: Layer, frame: Frame, size: tuple[int, int]) -> NDArray[Any]:
    """Values (B, h, w) of the pixel in which each centre lies, of the overview that fits."""
    west, south, east, north = frame.bounds
    pixel = Affine((east - west) / size[0], 0, west, 0, (south - north) / size[1], north)
    with (
        rasterio.open(path, **_overview(path, size)) as file,
        WarpedVRT(
            file,
            crs=WEB,
            transform=pixel,
            width=size[0],
            height=size[1],
            resampling=Resampling.nearest,
            nodata=layer.nodata,
        ) as warped,
    ):
        return np.asarray(warped.read())


def _overview(path: Path, size: tuple[int, int]) -> dict[str, int]:
    """The coarsest overview that is no coarser than a picture, as an option of opening; none: the raster."""
    with rasterio.open(path) as file:
        ratio = max(file.shape) / max(size) * NEARLY
        fitting = [level for level, factor in enumerate(file.overviews(1)) if factor <= ratio]
    return {"overview_level": fitting[-1]} if fitting else {}


def _stored(values: NDArray[Any], layer: Layer) -> tuple[NDArray[np.uint8], int]:
    """Values as bytes, and how many of the raster's units one of these is."""
    valid = values != layer.nodata
    highest = int(values[valid].max()) if valid.any() else 0
    step = 1
    if not layer.categories:
        step = max(1, -(-highest // BYTES))
        if layer.scale == STEP:  # two per cent of probability are enough for the eye, and pack well
            step = max(step, 4)
    return np.where(valid, np.minimum(values // step, BYTES), NOTHING).astype(np.uint8), step


def _png(values: NDArray[np.uint8]) -> str:
    return _encoded(Image.fromarray(values, "L"), "PNG")


def _jpeg(values: NDArray[Any], nodata: int) -> str:
    """True colour; grey where nothing was seen."""
    shown = np.where((values == nodata).all(0), 235, values).astype(np.uint8)
    return _encoded(Image.fromarray(np.moveaxis(shown, 0, -1), "RGB"), "JPEG")


def _encoded(image: Image.Image, kind: str) -> str:
    file = io.BytesIO()
    image.save(file, kind, optimize=True, quality=QUALITY)
    return f"data:image/{kind.lower()};base64," + base64.b64encode(file.getvalue()).decode()
