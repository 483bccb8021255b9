"""Reading windows of images over HTTP, through odc-stac, with every byte and failure counted.

odc-stac parses items, finds which images meet a block and reads them in threads; the reader here opens
each image once, reads the one window it needs, and turns what cannot be read into "no data" that is
recorded. What it fetches is decided in `parts`; GDAL decodes. Files that are no GeoTIFFs as expected, files
on disk, and smaller copies within an image (for coarse grids) are read by GDAL's own means.

Pixels keep their values: each takes the cell in which its centre lies (bilinear for heights).
"""

import re
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from math import ceil
from typing import Any, Final

import numpy as np
import odc.stac
import rasterio
from affine import Affine
from numpy.typing import NDArray
from odc.geo.geobox import GeoBox
from odc.geo.overlap import compute_reproject_roi
from odc.loader import RioDriver
from pystac import Item
from rasterio.enums import Resampling
from rasterio.errors import RasterioError
from rasterio.warp import reproject
from rasterio.windows import Window

from geocomiss.sources.remote import GDAL_SETTINGS
from geocomiss.sources.stac.catalogues import BEYOND, CLASSES, Product
from geocomiss.sources.stac.kept import KeptBlocks
from geocomiss.sources.stac.ledger import Ledger
from geocomiss.sources.stac.parts import Parts, grid_of_image
from geocomiss.sources.stac.signing import Signer
from geocomiss.sources.stac.web import Unranged, Unreadable

THREADS: Final = 8
"""Images of a block that are read side by side: waiting for a server needs no processor."""
NOWHERE: Final = np.s_[0:0, 0:0]
"""Where an image fills a block that it does not meet."""


class _Driver(RioDriver):
    """Opens images of one product for odc-stac."""

    def __init__(self, images: "Images", kind: str) -> None:
        super().__init__()
        self._images, self._kind = images, kind

    def capture_env(self) -> dict[str, Any]:
        """Settings of every thread that reads."""
        return dict(GDAL_SETTINGS)

    def open(self, src: Any, ctx: Any) -> Any:
        """A reader of one image; nothing is opened yet."""
        return _Reader(src, self._images, self._kind)


class _Reader:
    """Reads windows of one image."""

    def __init__(self, source: Any, images: "Images", kind: str) -> None:
        self._source, self._images, self._kind = source, images, kind

    def read(
        self, cfg: Any, dst_geobox: GeoBox, *, dst: Any = None, selection: Any = None
    ) -> tuple[tuple[slice, slice], NDArray[Any]]:
        """The part of a block that the image covers, and its values; nothing where it is unreadable."""
        ledger, address = self._images.ledger, self._source.uri
        try:
            return self._read(address, cfg, dst_geobox)
        except Unreadable as error:
            ledger.failed(address, str(error.args[0]))
        except RasterioError as error:
            ledger.failed(address, _reason(error, address))
        return NOWHERE, np.empty((0, 0), cfg.dtype)

    def _read(self, address: str, cfg: Any, grid: GeoBox) -> tuple[tuple[slice, slice], NDArray[Any]]:
        parts, band = self._images.parts, self._source.band
        image = parts.image(address, self._kind)
        need = _needed(image.grid, cfg, grid) if image else None
        if image and need and need.shrink == 1:
            if need.empty:
                return NOWHERE, np.empty((0, 0), cfg.dtype)
            with suppress(Unranged):  # else it is read as a whole, below
                with parts.opened(address, image, need.rows, need.cols) as file:
                    return need.where, self._values(file, band, need, cfg, grid, counted=True)
        with rasterio.open(self._images.sign(address), sharing=False) as file:
            need = _needed(grid_of_image(file), cfg, grid)
            if need.empty:
                return NOWHERE, np.empty((0, 0), cfg.dtype)
            return need.where, self._values(file, band, need, cfg, grid, counted=False)

    def _values(
        self, file: Any, band: int, need: "_Need", cfg: Any, grid: GeoBox, counted: bool
    ) -> NDArray[Any]:
        values = _window(file, band, need, cfg, grid)
        self._images.ledger.read(_size(file, band, need.rows, need.cols) // need.shrink**2, counted)
        return values


class Images:
    """Reads the images of one source.

    Args:
        ledger: Where bytes and failures are counted.
        sign: Adds tokens to addresses.
        kept: Where blocks are kept that several windows touch.
    """

    def __init__(self, ledger: Ledger, sign: Signer, kept: KeptBlocks) -> None:
        self.ledger = ledger
        self.sign = sign
        self.parts = Parts(ledger, sign, kept)

    def grid_of(self, address: str, product: Product) -> GeoBox:
        """The pixels of an image.

        Raises:
            Unreadable: It cannot be read, or
            RasterioError: GDAL cannot read it.
        """
        if image := self.parts.image(address, product.collection):
            return image.grid
        with rasterio.Env(**GDAL_SETTINGS), rasterio.open(self.sign(address), sharing=False) as file:
            return grid_of_image(file)

    def read(
        self, items: Sequence[Item], product: Product, bands: Sequence[str], grid: GeoBox
    ) -> dict[str, NDArray[Any]]:
        """Each item on its own plane: band -> (items, H, W), as stored, in the order of the items.

        A band that an item lacks or that cannot be read is "no data" there; scene classes are `BEYOND`
        outside the image.
        """
        alike = _alike(items, product, bands)
        if len(alike) == 1 and len(items) in map(len, alike.values()):
            return self._loaded(items, product, next(iter(alike)), grid)
        planes: dict[str, NDArray[Any]] = {}
        for present, at in alike.items():
            loaded = self._loaded([items[number] for number in at], product, present, grid)
            for band, values in loaded.items():
                nothing = BEYOND if band == CLASSES else product.nodata
                empty = np.nan if nothing is None else nothing
                whole = planes.setdefault(band, np.full((len(items), *grid.shape), empty, values.dtype))
                whole[at] = values
        return planes

    def _loaded(
        self, items: Sequence[Item], product: Product, bands: Sequence[str], grid: GeoBox
    ) -> dict[str, NDArray[Any]]:
        """The same of items that have all of the bands."""
        loaded = odc.stac.load(
            items,
            bands=[product.assets[band] for band in bands],
            geobox=grid,
            groupby=lambda item, parsed, index: index,
            resampling="bilinear" if product.modality == "topography" else "nearest",
            driver=_Driver(self, product.collection),
            stac_cfg={product.collection: {"assets": _described(product), "warnings": "ignore"}},
            pool=THREADS,
        )
        return {band: loaded[product.assets[band]].values for band in bands}


def _alike(items: Sequence[Item], product: Product, bands: Sequence[str]) -> dict[tuple[str, ...], list[int]]:
    """Which items have which of the bands: odc-stac takes all for what the first one is."""
    found: dict[tuple[str, ...], list[int]] = {}
    for number, item in enumerate(items):
        present = tuple(band for band in bands if product.assets[band] in item.assets)
        if present:
            found.setdefault(present, []).append(number)
    return found


def _reason(error: RasterioError, address: str) -> str:
    """Why GDAL could not read an image, in a line without its address and the tokens in it."""
    text = str(error.__cause__ or error).split("\n")[0].replace(f"'/vsicurl/{address}'", "the answer")
    text = re.sub(r"\?\S*", "", text.replace(address, "the answer"))
    return text.strip(" '\":/.")[:100] or "unreadable"


def _described(product: Product) -> Mapping[str, Mapping[str, Any]]:
    """What catalogues leave out of their items: type and "no data" of each asset."""
    plain = {"data_type": product.dtype, "nodata": "nan" if product.nodata is None else product.nodata}
    described = {key: dict(plain) for key in product.assets.values()}
    if CLASSES in product.assets:
        described[product.assets[CLASSES]] = {"data_type": "uint8", "nodata": BEYOND}
    return described


def _grid_of(file: Any) -> GeoBox:
    return GeoBox((file.height, file.width), file.transform, file.crs)


@dataclass(frozen=True)
class _Need:
    """What a block of the grid needs of an image."""

    rows: slice
    """Rows of the image."""
    cols: slice
    """Columns of it."""
    where: tuple[slice, slice]
    """Rows and columns of the block that they fill."""
    shrink: int
    """Pixels of the image a side that become one: above 1 for coarse grids."""
    pasted: bool
    """Whether pixels lie upon pixels."""

    @property
    def empty(self) -> bool:
        """Whether image and block do not meet."""
        return any(at.start >= at.stop for at in (self.rows, self.cols, *self.where))


def _needed(own: GeoBox, cfg: Any, grid: GeoBox) -> _Need:
    """The only window of an image that a block needs."""
    # nearest: a shift below a pixel does not change which cell a centre lies in
    plan = compute_reproject_roi(own, grid, ttol=0.9 if cfg.resampling == "nearest" else 0.05)
    rows, cols = (slice(int(at.start), int(at.stop)) for at in plan.roi_src)
    where = tuple(slice(int(at.start), int(at.stop)) for at in plan.roi_dst)
    shrink = max(1, int(plan.read_shrink))
    return _Need(rows, cols, (where[0], where[1]), shrink, bool(plan.paste_ok))


def _window(file: Any, band: int, need: _Need, cfg: Any, grid: GeoBox) -> NDArray[Any]:
    """The values of a window in the pixels of a block."""
    rows, cols, shrink = need.rows, need.cols, need.shrink
    window = Window.from_slices(rows, cols)
    shape = (ceil((rows.stop - rows.start) / shrink), ceil((cols.stop - cols.start) / shrink))
    stored = file.read(band, window=window, out_shape=shape)
    values = _cleaned(stored, file.nodatavals[band - 1], cfg)
    if need.pasted and shrink == 1:
        return values
    width, height = (cols.stop - cols.start) / shape[1], (rows.stop - rows.start) / shape[0]
    at = file.window_transform(window)
    part = Affine(at.a * width, 0, at.c, 0, at.e * height, at.f)  # north up: no rotation
    return _warped(values, part, file.crs, grid[need.where], cfg)


def _cleaned(stored: NDArray[Any], nodata: float | None, cfg: Any) -> NDArray[Any]:
    """In the type of the product; floats with the file's own "no data" as the product's."""
    values = stored.astype(cfg.dtype)
    if values.dtype.kind == "f" and nodata is not None:
        values[stored == nodata] = cfg.fill_value
    return values


def _warped(values: NDArray[Any], affine: Affine, crs: Any, part: GeoBox, cfg: Any) -> NDArray[Any]:
    """Values at the pixel centres of a part of the block."""
    result = np.full(part.shape, cfg.fill_value, cfg.dtype)
    reproject(
        values,
        result,
        src_transform=affine,
        src_crs=crs,
        src_nodata=cfg.fill_value,
        dst_transform=part.transform,
        dst_crs=str(part.crs),
        dst_nodata=cfg.fill_value,
        resampling=Resampling[cfg.resampling],
    )
    return result


def _size(file: Any, band: int, rows: slice, cols: slice) -> int:
    """Bytes of the stored blocks that a window touches."""
    height, width = file.block_shapes[band - 1]
    blocks = (
        (row, col)
        for row in range(rows.start // height, ceil(rows.stop / height))
        for col in range(cols.start // width, ceil(cols.stop / width))
    )
    try:
        return sum(int(file.block_size(band, row, col)) for row, col in blocks)
    except RasterioError:  # a sparse block, or a format that does not tell
        pixels = (rows.stop - rows.start) * (cols.stop - cols.start)
        return int(pixels * np.dtype(file.dtypes[band - 1]).itemsize)
