"""Reading windows of images over HTTP, through odc-stac, with every byte and failure counted.

odc-stac parses items, finds which images meet a block and reads them in threads; the reader here opens
each image once, reads the one window it needs, and turns what cannot be read into "no data" that is
recorded. Pixels keep their values: each takes the cell in which its centre lies (bilinear for heights).
"""

from collections.abc import Mapping, Sequence
from math import ceil
from typing import Any, Final

import numpy as np
import odc.stac
import rasterio
from affine import Affine
from numpy.typing import NDArray
from odc.geo.geobox import GeoBox
from odc.geo.overlap import compute_reproject_roi
from odc.geo.roi import roi_is_empty
from odc.loader import RioDriver
from pystac import Item
from rasterio.enums import Resampling
from rasterio.errors import RasterioError
from rasterio.warp import reproject
from rasterio.windows import Window

from geocomiss.sources.remote import GDAL_SETTINGS
from geocomiss.sources.stac.catalogues import BEYOND, CLASSES, Product
from geocomiss.sources.stac.ledger import Ledger
from geocomiss.sources.stac.signing import Signer

THREADS: Final = 8
"""Images of a block that are read side by side: waiting for a server needs no processor."""


class _Driver(RioDriver):
    """Opens images for odc-stac."""

    def __init__(self, ledger: Ledger, sign: Signer) -> None:
        super().__init__()
        self._ledger, self._sign = ledger, sign

    def capture_env(self) -> dict[str, Any]:
        """Settings of every thread that reads."""
        return dict(GDAL_SETTINGS)

    def open(self, src: Any, ctx: Any) -> Any:
        """A reader of one image; nothing is opened yet."""
        return _Reader(src, self._ledger, self._sign)


class _Reader:
    """Reads windows of one image."""

    def __init__(self, source: Any, ledger: Ledger, sign: Signer) -> None:
        self._source, self._ledger, self._sign = source, ledger, sign

    def read(
        self, cfg: Any, dst_geobox: GeoBox, *, dst: Any = None, selection: Any = None
    ) -> tuple[tuple[slice, slice], NDArray[Any]]:
        """The part of a block that the image covers, and its values; nothing where it is unreadable."""
        address = self._sign(self._source.uri)
        try:
            with rasterio.open(address, sharing=False) as file:
                where, values, size = _window(file, self._source.band, cfg, dst_geobox)
        except RasterioError as error:
            reason = str(error.__cause__ or error).replace(address, "").strip(" '\":/.")
            self._ledger.failed(self._source.uri, reason.split("\n")[0][:100] or "unreadable")
            return np.s_[0:0, 0:0], np.empty((0, 0), cfg.dtype)
        if size:
            self._ledger.read(size)
        return where, values


class Images:
    """Reads the images of one source.

    Args:
        ledger: Where bytes and failures are counted.
        sign: Adds tokens to addresses.
    """

    def __init__(self, ledger: Ledger, sign: Signer) -> None:
        self.ledger = ledger
        self.sign = sign

    def read(
        self, items: Sequence[Item], product: Product, bands: Sequence[str], grid: GeoBox
    ) -> dict[str, NDArray[Any]]:
        """Each item on its own plane: band -> (items, H, W), as stored, in the order of the items.

        A band that an item lacks or that cannot be read is "no data" there; scene classes are `BEYOND`
        outside the image.
        """
        present = [band for band in bands if any(product.assets[band] in item.assets for item in items)]
        if not present:
            return {}
        loaded = odc.stac.load(
            items,
            bands=[product.assets[band] for band in present],
            geobox=grid,
            groupby=lambda item, parsed, index: index,
            resampling="bilinear" if product.modality == "topography" else "nearest",
            driver=_Driver(self.ledger, self.sign),
            stac_cfg={product.collection: {"assets": _described(product), "warnings": "ignore"}},
            pool=THREADS,
        )
        return {band: loaded[product.assets[band]].values for band in present}


def _described(product: Product) -> Mapping[str, Mapping[str, Any]]:
    """What catalogues leave out of their items: type and "no data" of each asset."""
    plain = {"data_type": product.dtype, "nodata": "nan" if product.nodata is None else product.nodata}
    described = {key: dict(plain) for key in product.assets.values()}
    if CLASSES in product.assets:
        described[product.assets[CLASSES]] = {"data_type": "uint8", "nodata": BEYOND}
    return described


def _window(file: Any, band: int, cfg: Any, grid: GeoBox) -> tuple[tuple[slice, slice], NDArray[Any], int]:
    """(where in the block, values, bytes read) of the only window that is needed."""
    own = GeoBox((file.height, file.width), file.transform, file.crs)
    nearest = cfg.resampling == "nearest"
    # nearest: a shift below a pixel does not change which cell a centre lies in
    plan = compute_reproject_roi(own, grid, ttol=0.9 if nearest else 0.05)
    if roi_is_empty(plan.roi_src) or roi_is_empty(plan.roi_dst):
        return np.s_[0:0, 0:0], np.empty((0, 0), cfg.dtype), 0
    rows, cols = (slice(int(at.start), int(at.stop)) for at in plan.roi_src)
    where = tuple(slice(int(at.start), int(at.stop)) for at in plan.roi_dst)
    window = Window.from_slices(rows, cols)
    shrink = max(1, int(plan.read_shrink))
    shape = (ceil((rows.stop - rows.start) / shrink), ceil((cols.stop - cols.start) / shrink))
    stored = file.read(band, window=window, out_shape=shape)
    values = _cleaned(stored, file.nodatavals[band - 1], cfg)
    if not (plan.paste_ok and shrink == 1):
        width, height = (cols.stop - cols.start) / shape[1], (rows.stop - rows.start) / shape[0]
        at = file.window_transform(window)
        part = Affine(at.a * width, 0, at.c, 0, at.e * height, at.f)  # north up: no rotation
        values = _warped(values, part, file.crs, grid[plan.roi_dst], cfg)
    return (where[0], where[1]), values, _size(file, band, rows, cols) // shrink**2


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
