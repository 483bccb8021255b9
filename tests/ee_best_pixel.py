"""The algorithms of CropHarvest's rule, for the loopback Earth Engine.

As in `ee_evaluator`, the meaning of each is written from Google's reference, named beside it. Where that
leaves something open, it is said what is assumed. Importing this adds them to `ALGORITHMS`.
"""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from affine import Affine
from ee_evaluator import (
    ALGORITHMS,
    Band,
    Image,
    Plane,
    Refused,
    mapped,
    pairs,
    places,
    told,
)
from numpy.typing import NDArray
from odc.geo.geobox import GeoBox
from scipy.ndimage import distance_transform_edt

METRES_PER_DEGREE = 111_319.49079327358
"""Of WGS 84 at the equator, the point of true scale of EPSG:4326."""


Reducer = str
"""'mean', 'max' or 'sum'."""


def reduce_bands(image: Image, reducer: Reducer) -> Image:
    """ee-image-reduce: over the bands of a pixel; one band, named as the reducer is."""
    sources = list(image.bands.values())
    if reducer != "sum":
        raise Refused("The test server sums bands only.")

    def compute(grid: GeoBox) -> Plane:
        planes = [source.on(grid) for source in sources]
        values, valid = (np.stack([plane[at] for plane in planes]) for at in (0, 1))
        return np.where(valid, values, 0).sum(0), valid.any(0)

    return replace(image, bands={reducer: Band(compute)})


def reduce_neighborhood(
    image: Image,
    reducer: Reducer,
    kernel: int,
    inputWeight: str = "kernel",
    skipMasked: bool = True,
    optimization: str | None = None,
) -> Image:
    """ee-image-reduceneighborhood: valid pixels within a kernel of equal weights; masked ones stay masked."""

    def band(source: Band) -> Band:
        def compute(grid: GeoBox) -> Plane:
            values, valid = source.on(grid.pad(kernel))
            inner = valid[kernel : kernel + grid.height, kernel : kernel + grid.width]
            if reducer == "max":
                return _square(np.where(valid, values, -np.inf), kernel, np.maximum), inner
            total = _square(np.where(valid, values, 0), kernel, np.add)
            return total / np.maximum(_square(valid * 1.0, kernel, np.add), 1), inner

        return Band(compute)

    return replace(image, bands={f"{name}_{reducer}": band(b) for name, b in image.bands.items()})


def _square(values: NDArray[np.float64], reach: int, join: np.ufunc) -> NDArray[np.float64]:
    """Of all values up to `reach` rows and columns away: (H + 2 reach, W + 2 reach) -> (H, W)."""
    height, width = (size - 2 * reach for size in values.shape)
    rows = join.reduce([values[at : at + height] for at in range(2 * reach + 1)])
    columns: NDArray[np.float64] = join.reduce([rows[:, at : at + width] for at in range(2 * reach + 1)])
    return columns


def reproject(image: Image, crs: str, crsTransform: Any = None, scale: float | None = None) -> Image:
    """ee-image-reproject: computed on pixels of this size, then the nearest of them (guides/projections).

    Edges of the pixels are taken to be multiples of their size: so lie those of real exports at a scale.
    """
    if crs != "EPSG:4326" or scale is None or crsTransform is not None:
        raise Refused("The test server reprojects to EPSG:4326 by a scale only.")
    size = scale / METRES_PER_DEGREE

    def band(source: Band) -> Band:
        def compute(grid: GeoBox) -> Plane:
            lon, lat = places(told(grid), crs)
            col, row = np.floor(lon / size + 1e-9).astype(int), np.floor(-lat / size + 1e-9).astype(int)
            left, top = int(col.min()), int(row.min())
            shape = (int(row.max()) - top + 1, int(col.max()) - left + 1)
            own = GeoBox(shape, Affine(size, 0, left * size, 0, -size, -top * size), crs)
            values, valid = source.on(own)
            return values[row - top, col - left], valid[row - top, col - left]

        return Band(compute, source.dtype)

    return replace(image, bands={name: band(each) for name, each in image.bands.items()})


def displace(
    image: Image, displacement: Image, mode: str = "bicubic", maxOffset: float | None = None
) -> Image:
    """ee-image-displace: at each pixel what lies so many metres away, in the projection of the displacement.

    That of a constant is EPSG:4326; interpolation is left out: over whole pixels there is none.
    """
    east, north = displacement.bands.values()

    def band(source: Band) -> Band:
        def compute(grid: GeoBox) -> Plane:
            if str(grid.crs) != "EPSG:4326":
                raise Refused("The test server displaces in EPSG:4326 only.")
            x, y = (float(each.on(grid)[0][0, 0]) / METRES_PER_DEGREE for each in (east, north))
            return source.on(GeoBox(grid.shape, Affine.translation(x, y) * grid.affine, grid.crs))

        return Band(compute)

    return replace(image, bands={name: band(each) for name, each in image.bands.items()})


def fast_distance_transform(
    image: Image, neighborhood: float = 256, units: str = "pixels", metric: str = "squared_euclidean"
) -> Image:
    """ee-image-fastdistancetransform: squared pixels to the nearest that is not 0; regardless of the mask.

    A masked pixel is taken for 0, and where there is none within the neighbourhood its square is returned.
    """
    reach = int(neighborhood)
    ((_, source),) = image.bands.items()

    def compute(grid: GeoBox) -> Plane:
        values, valid = source.on(grid.pad(reach))
        away = distance_transform_edt(~(valid & (values != 0))) if (valid & (values != 0)).any() else None
        inner = slice(reach, reach + grid.height), slice(reach, reach + grid.width)
        squared = np.full(grid.shape, reach**2) if away is None else np.minimum(away[inner], reach) ** 2
        return squared.astype(np.float64), np.ones(grid.shape, bool)

    return Image({"distance": Band(compute)}, image.properties, image.outline)


def pixel_area() -> Image:
    """ee-image-pixelarea: square metres; in degrees they shrink with latitude."""

    def compute(grid: GeoBox) -> Plane:
        area = abs(grid.affine.a * grid.affine.e) * np.ones(grid.shape)
        if str(grid.crs) == "EPSG:4326":
            _, lat = places(told(grid), "EPSG:4326")
            area = area * METRES_PER_DEGREE**2 * np.cos(np.radians(lat))
        return area, np.ones(grid.shape, bool)

    return Image({"area": Band(compute)})


def normalized_difference(input: Image, bandNames: Sequence[str]) -> Image:
    """ee-image-normalizeddifference: (first - second) / (first + second); negative values mask."""
    one, two = (Image({"nd": input.bands[name]}) for name in bandNames)
    with_negative = pairs(one, two, lambda a, b: np.where((a < 0) | (b < 0), np.nan, (a - b) / (a + b)))
    return replace(with_negative, properties={})


def quality_mosaic(collection: Sequence[Image], qualityBand: str) -> Image:
    """ee-imagecollection-qualitymosaic: all bands of the image of most quality, where that is valid.

    Of equals, to nine decimals, the first one is taken: the reference does not say.
    """

    def band(name: str) -> Band:
        def compute(grid: GeoBox) -> Plane:
            best = np.full(grid.shape, -np.inf)
            values, valid = np.zeros(grid.shape), np.zeros(grid.shape, bool)
            for image in collection:
                quality, known = image.bands[qualityBand].on(grid)
                x, x_valid = image.bands[name].on(grid)
                better = known & (quality > best + 1e-9)
                best = np.where(better, quality, best)
                values, valid = np.where(better, x, values), np.where(better, x_valid, valid)
            return values, valid

        return Band(compute, collection[0].bands[name].dtype)

    return Image({name: band(name) for name in collection[0].bands})


ALGORITHMS.update(
    {
        "Image.add": lambda image1, image2: pairs(image1, image2, np.add),
        "Image.subtract": lambda image1, image2: pairs(image1, image2, np.subtract),
        "Image.min": lambda image1, image2: pairs(image1, image2, np.minimum),
        "Image.max": lambda image1, image2: pairs(image1, image2, np.maximum),
        "Image.gt": lambda image1, image2: pairs(image1, image2, np.greater),
        "Image.lt": lambda image1, image2: pairs(image1, image2, np.less),
        "Image.sqrt": lambda value: mapped(value, np.sqrt),
        "Image.normalizedDifference": normalized_difference,
        "Image.reduce": reduce_bands,
        "Image.reduceNeighborhood": reduce_neighborhood,
        "Image.reproject": reproject,
        "Image.displace": displace,
        "Image.fastDistanceTransform": fast_distance_transform,
        "Image.pixelArea": pixel_area,
        "ImageCollection.qualityMosaic": quality_mosaic,
        "Kernel.square": lambda radius, units="pixels", normalize=True, magnitude=1.0: int(radius),
        "Projection": lambda crs, transform=None, transformWkt=None: crs,
        "Reducer.mean": lambda: "mean",
        "Reducer.max": lambda numInputs=1: "max",
        "Reducer.sum": lambda: "sum",
    }
)
