"""Evaluates Earth Engine expressions over a small catalogue, for exactly the algorithms that we use.

The meaning of each is written from Google's published reference, one page an algorithm under
https://developers.google.com/earth-engine/apidocs/ (named beside it), and from its guides:
https://developers.google.com/earth-engine/guides/resample (nearest neighbour unless told otherwise) and
https://developers.google.com/earth-engine/guides/scale (everything, neighbourhoods too, is computed on the
grid that is asked for). Any other algorithm is refused by name.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any

import numpy as np
import shapely
from affine import Affine
from numpy.typing import NDArray
from odc.geo.geobox import GeoBox
from pyproj import Transformer

Plane = tuple[NDArray[np.float64], NDArray[np.bool_]]
"""Values and mask (True: valid), (H, W)."""


class Refused(Exception):
    """What Earth Engine answers with status 400."""


class Band:
    """A band that can be computed on any grid; each grid once."""

    def __init__(self, compute: Callable[[GeoBox], Plane], dtype: str = "float64") -> None:
        self._compute, self.dtype = compute, dtype
        self._done: dict[Any, Plane] = {}

    def on(self, grid: GeoBox) -> Plane:
        key = told(grid)
        if key not in self._done:
            self._done[key] = self._compute(grid)
        return self._done[key]


@dataclass(frozen=True)
class Image:
    """Bands by name, in order, and properties."""

    bands: Mapping[str, Band]
    properties: Mapping[str, Any] = field(default_factory=dict)
    outline: Any = None


@dataclass(frozen=True)
class Stored:
    """An image of the catalogue: arrays of each band with their own grid and mask."""

    id: str
    bands: Mapping[str, tuple[NDArray[Any], NDArray[np.bool_], GeoBox]]
    properties: Mapping[str, Any]
    outline: Any

    @property
    def image(self) -> Image:
        bands = {name: Band(_sampled(*band), str(band[0].dtype)) for name, band in self.bands.items()}
        index = {"system:index": self.id.rpartition("/")[2]}
        return Image(bands, {**index, **self.properties}, self.outline)


def _sampled(values: NDArray[Any], valid: NDArray[np.bool_], own: GeoBox) -> Callable[[GeoBox], Plane]:
    """Nearest neighbour: the pixel in which the centre of an output pixel lies."""

    def compute(grid: GeoBox) -> Plane:
        x, y = places(told(grid), str(own.crs))
        col = np.floor((x - own.affine.c) / own.affine.a + 1e-9).astype(int)
        row = np.floor((y - own.affine.f) / own.affine.e + 1e-9).astype(int)
        inside = (row >= 0) & (row < own.height) & (col >= 0) & (col < own.width)
        row, col = np.clip(row, 0, own.height - 1), np.clip(col, 0, own.width - 1)
        return values[row, col].astype(np.float64), inside & valid[row, col]

    return compute


Told = tuple[tuple[float, ...], int, int, str]


def told(grid: GeoBox) -> Told:
    """A grid as something that can be looked up."""
    return tuple(grid.affine), grid.height, grid.width, str(grid.crs)


@lru_cache(maxsize=256)
def places(told: Told, crs: str) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """x and y of all pixel centres in another CRS."""
    affine, height, width, own = told
    x, y = centres(GeoBox((height, width), Affine(*affine[:6]), own))
    return (x, y) if crs == own else _transformer(own, crs).transform(x, y)


@lru_cache(maxsize=16)
def _transformer(one: str, other: str) -> Transformer:
    return Transformer.from_crs(one, other, always_xy=True)


def centres(grid: GeoBox) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """x and y of all pixel centres, (H, W)."""
    col, row = np.meshgrid(np.arange(grid.width) + 0.5, np.arange(grid.height) + 0.5)
    a = grid.affine
    return a.a * col + a.b * row + a.c, a.d * col + a.e * row + a.f


class Evaluator:
    """Evaluates one expression.

    Args:
        expression: As in the REST API: `result` and `values`.
        catalogue: Images by identifier; a collection is what its images' identifiers begin with.
        profiles: Profiles of computations by their number.
    """

    def __init__(
        self, expression: Mapping[str, Any], catalogue: Mapping[str, Stored], profiles: Sequence[str] = ()
    ) -> None:
        self._values, self._result = expression["values"], expression["result"]
        self.catalogue, self.profiles = catalogue, profiles
        self._known: dict[str, Any] = {}

    def result(self) -> Any:
        return self._reference(self._result, {})

    def _reference(self, name: str, arguments: Mapping[str, Any]) -> Any:
        if arguments:  # within a mapped function: depends on its argument
            return self.node(self._values[name], arguments)
        if name not in self._known:
            self._known[name] = self.node(self._values[name], {})
        return self._known[name]

    def node(self, node: Mapping[str, Any], arguments: Mapping[str, Any]) -> Any:
        ((kind, content),) = node.items()
        if kind == "constantValue":
            return content
        if kind == "integerValue":
            return int(content)
        if kind == "valueReference":
            return self._reference(content, arguments)
        if kind == "argumentReference":
            return arguments[content]
        if kind == "arrayValue":
            return [self.node(each, arguments) for each in content["values"]]
        if kind == "dictionaryValue":
            return {key: self.node(each, arguments) for key, each in content["values"].items()}
        if kind == "functionDefinitionValue":
            names, body = content["argumentNames"], content["body"]
            return lambda *given: self._reference(body, {**arguments, **dict(zip(names, given, strict=True))})
        if kind == "functionInvocationValue":
            given = {key: self.node(each, arguments) for key, each in content["arguments"].items()}
            return self._invoke(content["functionName"], given)
        raise Refused(f"A value of kind {kind}.")

    def _invoke(self, name: str, given: dict[str, Any]) -> Any:
        if name in ("Image.load", "ImageCollection.load"):
            return self._load(name, given["id"])
        if name == "Profile.getProfiles":  # as text; of one computation
            return self.profiles[int(given["ids"][0])]
        if name not in ALGORITHMS:
            raise Refused(f"The test server does not know the algorithm {name!r}.")
        return ALGORITHMS[name](**given)

    def _load(self, name: str, asset: str) -> Any:
        """ee-image, ee-imagecollection: the asset of this identifier."""
        if name == "Image.load":
            if asset not in self.catalogue:
                raise Refused(f"Image.load: Image asset '{asset}' not found (does not exist).")
            return self.catalogue[asset].image
        found = [each.image for key, each in self.catalogue.items() if key.startswith(f"{asset}/")]
        if not found:
            raise Refused(f"ImageCollection.load: ImageCollection asset '{asset}' not found.")
        return found


def _as_image(value: Any) -> Image:
    return value if isinstance(value, Image) else constant(value)


def constant(value: Any) -> Image:
    """ee-image-constant: the same everywhere; bands `constant`, `constant_1`, ..."""
    numbers = value if isinstance(value, list) else [value]

    def fixed(number: float) -> Band:
        return Band(lambda grid: (np.full(grid.shape, float(number)), np.ones(grid.shape, bool)))

    return Image({("constant" if not at else f"constant_{at}"): fixed(n) for at, n in enumerate(numbers)})


def mapped(
    image: Any, change: Callable[[NDArray[np.float64]], NDArray[np.float64]], dtype: str = "float64"
) -> Image:
    """Each band by itself; the mask stays."""
    image = _as_image(image)

    def band(source: Band) -> Band:
        def compute(grid: GeoBox) -> Plane:
            values, valid = source.on(grid)
            with np.errstate(all="ignore"):
                return change(values), valid

        return Band(compute, dtype)

    return replace(image, bands={name: band(each) for name, each in image.bands.items()})


def pairs(image1: Any, image2: Any, change: Callable[[Any, Any], Any]) -> Image:
    """ee-image-add and the like: pairs of bands in order, or one band with all of the other."""
    one, two = _as_image(image1), _as_image(image2)
    if len(one.bands) != len(two.bands) and 1 not in (len(one.bands), len(two.bands)):
        raise Refused("Image.add: bands do not match.")
    longer = one if len(one.bands) >= len(two.bands) else two
    first, second = list(one.bands.values()), list(two.bands.values())

    def band(a: Band, b: Band) -> Band:
        def compute(grid: GeoBox) -> Plane:
            (x, x_valid), (y, y_valid) = a.on(grid), b.on(grid)
            with np.errstate(all="ignore"):
                values = np.asarray(change(x, y), np.float64)
            finite = np.isfinite(values)
            return np.where(finite, values, 0.0), x_valid & y_valid & finite

        return Band(compute)

    size = len(longer.bands)
    bands = {
        name: band(first[at if len(first) == size else 0], second[at if len(second) == size else 0])
        for at, name in enumerate(longer.bands)
    }
    return Image(bands, one.properties, one.outline)


def select(input: Image, bandSelectors: list[Any], newNames: list[str] | None = None) -> Image:
    """ee-image-select: bands by name or number, renamed."""
    names = [list(input.bands)[each] if isinstance(each, int) else each for each in bandSelectors]
    for name in names:
        if name not in input.bands:
            raise Refused(
                f"Image.select: Band pattern '{name}' did not match any bands of {list(input.bands)}"
            )
    return replace(
        input, bands={new: input.bands[old] for new, old in zip(newNames or names, names, strict=True)}
    )


def rename(input: Image, names: list[str]) -> Image:
    """ee-image-rename."""
    return replace(input, bands=dict(zip(names, input.bands.values(), strict=True)))


def unmask(input: Image, value: Any = 0, sameFootprint: bool = True) -> Image:
    """ee-image-unmask: value and mask of another image where this one is masked.

    With `sameFootprint` nothing changes outside the footprint; a collection's result has none.
    """
    if sameFootprint and input.outline is not None:
        raise Refused("The test server knows unmask of a footprint with sameFootprint=False only.")
    other = list(_as_image(value).bands.values())

    def band(source: Band, fill: Band) -> Band:
        def compute(grid: GeoBox) -> Plane:
            (x, x_valid), (y, y_valid) = source.on(grid), fill.on(grid)
            return np.where(x_valid, x, y), x_valid | y_valid

        return Band(compute, source.dtype)

    bands = {n: band(b, other[at if len(other) > 1 else 0]) for at, (n, b) in enumerate(input.bands.items())}
    return replace(input, bands=bands)


def update_mask(image: Image, mask: Image) -> Image:
    """ee-image-updatemask: the mask is changed where it is not zero; one band serves all."""
    masks = list(mask.bands.values())

    def band(source: Band, keep: Band) -> Band:
        def compute(grid: GeoBox) -> Plane:
            (x, valid), (kept, kept_valid) = source.on(grid), keep.on(grid)
            return x, valid & kept_valid & (kept > 0)

        return Band(compute, source.dtype)

    bands = {n: band(b, masks[at if len(masks) > 1 else 0]) for at, (n, b) in enumerate(image.bands.items())}
    return replace(image, bands=bands)


def remap(
    image: Image, defaultValue: float | None = None, bandName: str | None = None, **lists: list[float]
) -> Image:
    """ee-image-remap: values of the first band by two lists; others the default, or masked."""
    source = image.bands[bandName] if bandName else next(iter(image.bands.values()))
    known, new = lists["from"], lists["to"]

    def compute(grid: GeoBox) -> Plane:
        values, valid = source.on(grid)
        result = np.full(values.shape, np.nan if defaultValue is None else float(defaultValue))
        for old, other in zip(known, new, strict=True):
            result[values == old] = other
        found = np.isfinite(result)
        return np.where(found, result, 0), valid & found

    return replace(image, bands={"remapped": Band(compute)})


@dataclass(frozen=True)
class Kernel:
    """Weights around a focus."""

    weights: NDArray[np.float64]
    x: int
    y: int


def kernel_fixed(
    width: int, height: int, weights: list[list[float]], x: int, y: int, normalize: bool = False
) -> Kernel:
    """ee-kernel-fixed: a list of rows of weights; x and y of the focus."""
    table = np.array(weights, np.float64)
    if table.shape != (height, width):
        raise Refused("Kernel.fixed: weights are not height x width.")
    return Kernel(table, x, y)


def focal_max(image: Image, kernel: Kernel) -> Image:
    """ee-image-focalmax: the largest value within a kernel; weights of 0 are outside it, as in a circle."""

    def band(source: Band) -> Band:
        def compute(grid: GeoBox) -> Plane:
            pad = max(kernel.weights.shape)
            values, valid = source.on(grid.pad(pad))
            if not valid.all():
                raise Refused("The reference does not say what focalMax does with masked pixels.")
            best = np.full(grid.shape, -np.inf)
            for row, col in zip(*np.nonzero(kernel.weights), strict=True):
                top, left = pad + row - kernel.y, pad + col - kernel.x
                best = np.maximum(best, values[top : top + grid.height, left : left + grid.width])
            return best, np.ones(grid.shape, bool)

        return Band(compute)

    return replace(image, bands={name: band(each) for name, each in image.bands.items()})


def mosaic(collection: Sequence[Image]) -> Image:
    """ee-imagecollection-mosaic: by the mask of each band, last on top."""

    def band(name: str) -> Band:
        def compute(grid: GeoBox) -> Plane:
            values, valid = np.zeros(grid.shape), np.zeros(grid.shape, bool)
            for image in collection:
                x, x_valid = image.bands[name].on(grid)
                values, valid = np.where(x_valid, x, values), valid | x_valid
            return values, valid

        return Band(compute, collection[0].bands[name].dtype)

    return Image({name: band(name) for name in collection[0].bands})


def _reduced(collection: Sequence[Image], rule: Callable[[Any, Any], Plane]) -> Image:
    """ee-imagecollection-reduce: over the images that are valid at a pixel; bands are matched by name."""

    def band(name: str) -> Band:
        def compute(grid: GeoBox) -> Plane:
            planes = [image.bands[name].on(grid) for image in collection]
            return rule(np.stack([p[0] for p in planes]), np.stack([p[1] for p in planes]))

        return Band(compute)

    return Image({name: band(name) for name in collection[0].bands})


def median(collection: Sequence[Image]) -> Image:
    """ee-imagecollection-median; of an even number the mean of the middle two."""

    def rule(values: Any, valid: Any) -> Plane:
        some = valid.any(0)
        with np.errstate(all="ignore"):
            middle = np.nanmedian(np.where(valid | ~some, values, np.nan), axis=0)
        return np.where(some, middle, 0), some

    return _reduced(collection, rule)


def mean(collection: Sequence[Image]) -> Image:
    """ee-imagecollection-mean."""

    def rule(values: Any, valid: Any) -> Plane:
        number = valid.sum(0)
        return np.where(valid, values, 0).sum(0) / np.maximum(number, 1), number > 0

    return _reduced(collection, rule)


def count(collection: Sequence[Image]) -> Image:
    """ee-imagecollection-count: images with a valid mask; masked where there is none at all."""
    return _reduced(collection, lambda values, valid: (valid.sum(0).astype(np.float64), valid.any(0)))


def add_bands(dstImg: Image, srcImg: Image, names: list[str] | None = None, overwrite: bool = False) -> Image:
    """ee-image-addbands: all bands of the first, then of the second; names that are taken get `_1`."""
    bands = dict(dstImg.bands)
    for name, band in srcImg.bands.items():
        bands[name if name not in bands else f"{name}_1"] = band
    return replace(dstImg, bands=bands)


def clamp(input: Image, low: float, high: float) -> Image:
    """ee-image-clamp."""
    return mapped(input, lambda values: np.clip(values, low, high))


def _cast(dtype: str) -> Callable[[Image], Image]:
    """ee-image-touint16 and the like: values out of range would be clamped; ours never are."""

    def cast(value: Image) -> Image:
        limits = np.iinfo(dtype)

        def checked(values: NDArray[np.float64]) -> NDArray[np.float64]:
            if ((values < limits.min) | (values > limits.max) | (values != np.trunc(values))).any():
                raise Refused(f"Values that are no {dtype}: scale, round and clamp them first.")
            return values

        return mapped(value, checked, dtype)

    return cast


def clip(input: Image, geometry: Any) -> Image:
    """ee-image-clip: masked where the geometry does not cover; here, where a pixel's centre lies outside."""
    shapely.prepare(geometry)

    def band(source: Band) -> Band:
        def compute(grid: GeoBox) -> Plane:
            values, valid = source.on(grid)
            lon, lat = places(told(grid), "EPSG:4326")
            return values, valid & shapely.contains_xy(geometry, lon, lat)

        return Band(compute, source.dtype)

    return replace(input, bands={name: band(each) for name, each in input.bands.items()})


def filtered(collection: Sequence[Image], filter: Callable[[Image], bool]) -> list[Image]:
    """ee-imagecollection-filter."""
    return [image for image in collection if filter(image)]


def date_range(start: Any, end: Any) -> tuple[float, float]:
    """ee-daterange: from the start to before the end, in milliseconds."""
    return _millis(start), _millis(end)


def _millis(value: Any) -> float:
    """ee-date: UTC."""
    return datetime.fromisoformat(value).replace(tzinfo=UTC).timestamp() * 1000


def date_range_contains(leftValue: tuple[float, float], rightField: str) -> Callable[[Image], bool]:
    """ee-filter-daterangecontains."""
    return lambda image: leftValue[0] <= image.properties[rightField] < leftValue[1]


def intersects(leftField: str, rightValue: Any, maxError: Any = None) -> Callable[[Image], bool]:
    """ee-filter-intersects, ee-imagecollection-filterbounds."""
    return lambda image: image.outline.intersects(rightValue)


def equals(leftField: str, rightValue: Any) -> Callable[[Image], bool]:
    """ee-filter-eq."""
    return lambda image: image.properties.get(leftField) == rightValue


def list_contains(leftField: str, rightValue: Any) -> Callable[[Image], bool]:
    """ee-filter-listcontains."""
    return lambda image: rightValue in image.properties.get(leftField, [])


def reduce_columns(collection: Sequence[Image], reducer: int, selectors: list[str]) -> dict[str, Any]:
    """ee-imagecollection-reducecolumns with ee-reducer-tolist: rows that lack a value are dropped."""
    rows = [[image.properties.get(name) for name in selectors] for image in collection]
    return {"list": [row for row in rows if all(value is not None for value in row)]}


def multi_polygon(coordinates: Any, crs: Any = None, geodesic: Any = None, **_: Any) -> Any:
    """ee-geometry-multipolygon."""
    return shapely.union_all([shapely.Polygon(rings[0]) for rings in coordinates])


def rectangle(coordinates: list[float], crs: Any = None, geodesic: Any = None, evenOdd: Any = True) -> Any:
    """ee-geometry-rectangle: west, south, east, north."""
    return shapely.box(*coordinates)


def coordinates(geometry: Any) -> Any:
    """ee-geometry-coordinates."""
    return [[list(point) for point in geometry.exterior.coords]]


ALGORITHMS: dict[str, Callable[..., Any]] = {
    "Image.constant": constant,
    "Image.select": select,
    "Image.rename": rename,
    "Image.unmask": unmask,
    "Image.updateMask": update_mask,
    "Image.remap": remap,
    "Image.focalMax": focal_max,
    "Kernel.fixed": kernel_fixed,
    "Image.and": lambda image1, image2: pairs(image1, image2, lambda a, b: (a != 0) & (b != 0)),
    "Image.gte": lambda image1, image2: pairs(image1, image2, np.greater_equal),
    "Image.not": lambda value: mapped(value, lambda x: (x == 0).astype(np.float64)),
    "Image.multiply": lambda image1, image2: pairs(image1, image2, np.multiply),
    "Image.divide": lambda image1, image2: pairs(image1, image2, np.divide),
    "Image.pow": lambda image1, image2: pairs(image1, image2, np.power),
    "Image.log10": lambda value: mapped(value, np.log10),
    "Image.round": lambda value: mapped(value, lambda x: np.floor(x + 0.5)),
    "Image.clamp": clamp,
    "Image.toUint16": _cast("uint16"),
    "Image.toInt16": _cast("int16"),
    "Image.toInt32": _cast("int32"),
    "Image.addBands": add_bands,
    "Image.clip": clip,
    "Image.geometry": lambda feature, maxError=None: feature.outline,
    "Geometry.coordinates": coordinates,
    "GeometryConstructors.Rectangle": rectangle,
    "GeometryConstructors.MultiPolygon": multi_polygon,
    "ImageCollection.fromImages": lambda images: images,
    "ImageCollection.mosaic": mosaic,
    "reduce.median": median,
    "reduce.mean": mean,
    "reduce.count": count,
    "Collection.map": lambda collection, baseAlgorithm: [baseAlgorithm(each) for each in collection],
    "Collection.filter": filtered,
    "Collection.reduceColumns": reduce_columns,
    "AggregateFeatureCollection.array": lambda collection, property: [
        each.properties[property] for each in collection if property in each.properties
    ],
    "Reducer.toList": lambda tupleSize, numOptional=0: tupleSize,
    "Dictionary.get": lambda dictionary, key: dictionary[key],
    "Element.set": lambda object, key, value: replace(object, properties={**object.properties, key: value}),
    "Feature": lambda geometry=None, metadata=None: geometry,
    "ErrorMargin": lambda value=None, unit="meters": value,
    "DateRange": date_range,
    "Filter.dateRangeContains": date_range_contains,
    "Filter.intersects": intersects,
    "Filter.equals": equals,
    "Filter.eq": equals,
    "Filter.listContains": list_contains,
    "Filter.and": lambda filters: lambda image: all(each(image) for each in filters),
}
"""By the names that the client sends."""
