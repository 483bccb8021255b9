"""Crops of fields: how much of each parcel a map gives to each class, by exact shares of pixels.

A pixel cut by a parcel's edge counts with the share of it that lies inside (exactextract), so that
narrow parcels are not lost and neighbours do not both claim a pixel.

P parcels, K classes.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import geopandas
import numpy as np
import pandas as pd
import rasterio
from pyogrio.errors import DataSourceError
from rasterio.errors import RasterioError

from geocomiss.errors import AreaError, MapError, unwritable
from geocomiss.maps import Category, check_one_map, classes_stated
from geocomiss.vectors import read_layer

CROP_TYPE: Final = "crop_type.tif"
CONFIDENCE: Final = "confidence.tif"
FORMATS: Final = {".gpkg": "GPKG", ".geojson": "GeoJSON", ".csv": None}
"""Files that can be written, by ending, and their driver; CSV holds no shapes."""
HALF: Final = 0.5
"""Share of a parcel below which it is said that little of it was mapped."""
AT_ONCE: Final = 5000
"""Parcels that are computed at once."""
INSTALL: Final = 'pip install "geocomiss[zonal]"'
"""What brings the library of exact shares."""
CROP: Final = "crop"
"""Column with the name of a parcel's most frequent class."""
COLUMNS: Final = (
    CROP,
    "crop_value",
    "crop_share",
    "second",
    "second_share",
    "mapped_share",
    "confidence",
    "pixels",
)
"""Columns that are added to the parcels' own, before one share a class."""


@dataclass(frozen=True)
class FieldsRequest:
    """The arguments of `geocomiss fields`."""

    map: Path
    """Folder of a finished map, or a GeoTIFF of classes, ours or not."""
    parcels: Path
    """Polygons, any vector file and CRS."""
    out: Path
    """File to write: `.gpkg`, `.geojson` or `.csv`."""
    overwrite: bool = False
    """Whether it may be replaced."""


@dataclass(frozen=True)
class FieldsReport:
    """What was found."""

    path: Path
    """The file."""
    parcels: int
    """Parcels read."""
    outside: int
    """Those without any mapped pixel."""
    by_crop: tuple[tuple[str, int, float], ...]
    """Crop, parcels and hectares of the parcels, the most frequent first."""
    notes: tuple[str, ...] = ()
    """What a user should know."""


def write_fields(request: FieldsRequest, progress: Callable[[int, int], None] | None = None) -> FieldsReport:
    """Write the crop of each parcel: its most frequent class and the share of every class.

    Args:
        request: What to do.
        progress: Told (parcels done, parcels in all).

    Raises:
        GeocomissError: Input that cannot be used, or a file that is already there.
    """
    _check_out(request)
    raster = _raster(request.map)
    classes, notes = _classes(raster)
    parcels = _parcels(request.parcels)
    table = pd.concat(
        [_tell(part, progress, at, len(parcels)) for at, part in _parts(raster, parcels, classes)],
        ignore_index=True,
    )
    clash = [name for name in parcels.columns if name in table.columns]
    kept = parcels.rename(columns={name: f"{name}_given" for name in clash}).reset_index(drop=True)
    result = geopandas.GeoDataFrame(pd.concat([kept, table], axis=1), geometry="geometry", crs=parcels.crs)
    _write(result, request.out)
    return _report(request.out, result, notes)


def _tell(part: pd.DataFrame, progress: Any, done: int, total: int) -> pd.DataFrame:
    if progress:
        progress(done, total)
    return part


def _check_out(request: FieldsRequest) -> None:
    if request.out.suffix.lower() not in FORMATS:
        raise MapError(
            f"--out {request.out.name}", expected=" or ".join(FORMATS), todo="choose one of these endings"
        )
    if request.out.exists() and not request.overwrite:
        raise MapError(
            f"{request.out} exists", expected="a new file", todo="choose another --out, or add --overwrite"
        )


def _raster(path: Path) -> Path:
    """The raster of classes in a folder, or the file itself."""
    if path.is_file():
        return path
    check_one_map(path)
    if not (path / CROP_TYPE).exists():
        raise MapError(
            f"{path} holds no {CROP_TYPE}",
            expected="a folder written by `geocomiss map`, or a GeoTIFF of classes",
            todo="check --map",
        )
    return path / CROP_TYPE


def _classes(raster: Path) -> tuple[tuple[Category, ...], tuple[str, ...]]:
    """Classes of a raster, and what to know of their names."""
    try:
        with rasterio.open(raster) as file:
            placed = file.crs is not None
        if placed:
            return classes_stated(raster)
    except RasterioError as error:
        raise _unreadable(raster, error) from error
    raise MapError(f"{raster} has no CRS", expected="a GeoTIFF of classes", todo="check --map")


def _unreadable(raster: Path, error: RasterioError) -> MapError:
    return MapError(
        f"the map {raster} cannot be read ({str(error).splitlines()[0]})",
        expected="a finished map, or a GeoTIFF of classes",
        todo="check --map; if it was cut short, copy or make it again",
    )


def _parcels(path: Path) -> Any:
    """Polygons of a file, at least one."""
    found = read_layer(path, "the parcels", "polygons", "POLYGON")
    polygons = found.geometry.geom_type.isin(["Polygon", "MultiPolygon"])
    if not polygons.all() or found.empty:
        kinds = ", ".join(sorted({str(kind) for kind in found.geometry.geom_type})) or "nothing"
        raise AreaError(
            f"the parcels {path} hold {kinds}", expected="polygons only", todo="leave the others out"
        )
    return found.set_geometry(found.geometry.make_valid())


def _parts(raster: Path, parcels: Any, classes: tuple[Category, ...]) -> Iterator[tuple[int, pd.DataFrame]]:
    """The columns of some parcels at a time, and how many are done."""
    try:
        with rasterio.open(raster) as crop:
            placed = parcels.geometry.to_crs(crop.crs.to_wkt())
        for start in range(0, len(parcels), AT_ONCE):
            shapes = placed.iloc[start : start + AT_ONCE].reset_index(drop=True)
            part = geopandas.GeoDataFrame(geometry=shapes)
            yield start + len(part), _columns(raster, part, classes)
    except RasterioError as error:
        raise _unreadable(raster, error) from error


def _columns(raster: Path, part: Any, classes: tuple[Category, ...]) -> pd.DataFrame:
    """What is said of each parcel of a part."""
    with rasterio.open(raster) as file:
        found = _library()(file, part, ["unique", "frac", "count"], output="pandas")
    pixels = found["count"].to_numpy(float)
    shares = np.zeros((len(part), len(classes)))  # (P, K)
    place = {each.value: number for number, each in enumerate(classes)}
    for row, (values, fractions) in enumerate(zip(found["unique"], found["frac"], strict=True)):
        for value, fraction in zip(values, fractions, strict=True):
            if int(value) in place:
                shares[row, place[int(value)]] = fraction
    table = _ranked(shares, classes)
    whole = _pixels(raster, part)
    table["mapped_share"] = np.round(np.divide(pixels, whole, out=np.zeros_like(pixels), where=whole > 0), 4)
    table["confidence"] = _confidence(raster, part)
    table["pixels"] = np.round(pixels, 2)
    named = [f"share_{each.name}" for each in classes]
    return pd.concat([table[list(COLUMNS)], pd.DataFrame(np.round(shares, 4), columns=named)], axis=1)


def _ranked(shares: np.ndarray[Any, Any], classes: tuple[Category, ...]) -> pd.DataFrame:
    """The most frequent class of each parcel and the next, None where there is none."""
    order = np.argsort(-shares, axis=1, kind="stable")  # ties: the class of the lower value
    rows = np.arange(len(shares))
    columns: dict[str, Any] = {}
    for rank, (name, share) in enumerate(((CROP, "crop_share"), ("second", "second_share"))):
        best = order[:, min(rank, shares.shape[1] - 1)]
        top = shares[rows, best]
        columns[name] = [classes[at].name if much > 0 else None for at, much in zip(best, top, strict=True)]
        columns[share] = np.round(top, 4)
        if not rank:
            columns["crop_value"] = np.where(top > 0, [classes[at].value for at in best], 0)
    return pd.DataFrame(columns)


def _pixels(raster: Path, part: Any) -> np.ndarray[Any, Any]:
    """Pixels that a parcel covers, mapped or not: its area by that of a pixel."""
    with rasterio.open(raster) as file:
        size = abs(file.transform.a * file.transform.e - file.transform.b * file.transform.d)
    return np.asarray(part.geometry.area.to_numpy(float) / size)


def _confidence(raster: Path, part: Any) -> np.ndarray[Any, Any]:
    """Mean probability of the mapped classes, NaN where nothing is mapped or the map has none."""
    path = raster.with_name(CONFIDENCE)
    if raster.name != CROP_TYPE or not path.exists():
        return np.full(len(part), np.nan)
    with rasterio.open(path) as file:
        found = _library()(file, part, ["mean"], output="pandas")
        return np.asarray(np.round(found["mean"].to_numpy(float), 4))  # the scale is applied by the library


def _library() -> Any:
    try:
        from exactextract import exact_extract
    except ImportError as error:
        raise MapError(
            "the library exactextract is not installed", expected="the extra zonal", todo=INSTALL
        ) from error
    return exact_extract


def _write(result: Any, out: Path) -> None:
    partial = out.with_name(f".{out.stem}.partial{out.suffix}")
    try:
        out.parent.mkdir(parents=True, exist_ok=True)
        driver = FORMATS[out.suffix.lower()]
        if driver:
            result.to_file(partial, driver=driver, layer="fields", engine="pyogrio")
        else:
            result.drop(columns="geometry").to_csv(partial, index=False)
        partial.replace(out)
    except (OSError, DataSourceError) as error:
        raise unwritable(out.parent, error if isinstance(error, OSError) else OSError(str(error))) from error
    finally:
        partial.unlink(missing_ok=True)


def _report(path: Path, result: Any, notes: tuple[str, ...]) -> FieldsReport:
    hectares = result.geometry.to_crs(result.geometry.estimate_utm_crs()).area / 1e4
    known = result[CROP].notna()
    sums = (
        pd.DataFrame({"crop": result[CROP], "ha": hectares})[known].groupby("crop")["ha"].agg(["size", "sum"])
    )
    rows = sums.sort_values("size", ascending=False).itertuples()
    by_crop = tuple((str(row.Index), int(row.size), float(row.sum)) for row in rows)
    partly = int((known & (result["mapped_share"] < HALF)).sum())
    said = (
        f"parcels mapped on less than half of their area: {partly} (see mapped_share); their crop is that of "
        "the mapped part, their hectares are of the whole parcel"
    )
    notes = (*notes, said) if partly else notes
    return FieldsReport(path, len(result), int((~known).sum()), by_crop, notes)
