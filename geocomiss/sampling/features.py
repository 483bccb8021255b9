"""Points and polygons with labels, as a user's file has them.

F features.
"""

import hashlib
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Final

import geopandas
import numpy as np
import shapely
from numpy.typing import NDArray

from geocomiss.errors import SampleError
from geocomiss.sampling.request import SamplingRequest
from geocomiss.vectors import read_layer
from geocomiss.wording import composed, plain

if TYPE_CHECKING:
    from geopandas import GeoDataFrame

NO_PLACE: Final = "no geometry"
OFF_EARTH: Final = "coordinates beyond 180 degrees of longitude or 90 of latitude"
NO_LABEL: Final = "no label"
NO_SEASON: Final = "no season"
TESTING: Final = "CropHarvest keeps it for testing"
CROPHARVEST: Final = {"dataset", "index", "is_crop", "export_end_date", "lat", "lon"}
"""Columns by which the labels of CropHarvest are recognised."""
KINDS: Final = {"Point", "MultiPoint", "Polygon", "MultiPolygon"}
SHOWN: Final = 12
"""Spellings listed in a message."""


@dataclass(frozen=True)
class Features:
    """F points and polygons. Those with a reason in `why` give no samples."""

    name: str
    """The file's name."""
    sha256: str
    """Digest of places, labels and seasons."""
    shapes: NDArray[Any]
    """(F,) shapely geometries in degrees; None where there is none."""
    labels: NDArray[np.str_]
    """(F,) class names, '' where there is none."""
    seasons: NDArray[np.str_]
    """(F,) as a user would type `--season`, '' where no column says it."""
    why: NDArray[np.str_]
    """(F,) why a feature cannot be used, '' where it can."""
    columns: Mapping[str, NDArray[Any]]
    """(F,) the file's other columns, texts or numbers."""
    notes: tuple[str, ...] = ()
    """What was assumed, a sentence each."""

    def __len__(self) -> int:
        """Number of features F."""
        return len(self.labels)

    @property
    def polygons(self) -> NDArray[np.bool_]:
        """(F,) which are polygons."""
        return np.asarray(shapely.get_dimensions(self.shapes) == 2)


def read_features(request: SamplingRequest) -> Features:
    """Read the points and polygons of a file.

    Raises:
        SampleError: The file, its CRS, its geometries, its columns or its labels cannot be used.
    """
    frame = read_layer(request.points, "the points", "points or polygons", "POINT")
    cropharvest = set(frame.columns) >= CROPHARVEST
    if cropharvest:
        frame = frame.set_geometry(geopandas.points_from_xy(frame["lon"], frame["lat"], crs=4326))
    shapes = _shapes(frame, request)
    label = request.label or ("classification_label" if cropharvest else "label")
    texts, merged = _spelt(_column(frame, label, "--label", request), request)
    if not any(texts):
        raise SampleError(
            f"the column {label!r} of '{request.points.name}' is empty in all {len(frame)} rows",
            expected="the class at each point",
            todo="fill it in, or correct --label",
        )
    seasons = _seasons(frame, request, cropharvest)
    stated = bool(request.season_column) or (cropharvest and not request.season)
    testing = [cropharvest and str(row).lower() in ("true", "1") for row in _tested(frame)]
    why = np.select(
        [
            _nowhere(shapes), _off_earth(shapes), np.array(testing), np.array(texts) == "",
            (np.array(seasons) == "") & stated,
        ],
        [NO_PLACE, OFF_EARTH, TESTING, NO_LABEL, NO_SEASON],
        "",
    )  # fmt: skip
    digest = hashlib.sha256(repr((texts, seasons)).encode())
    for shape in shapes:
        digest.update(b"" if shape is None else shapely.to_wkb(shape))
    return Features(
        request.points.name, digest.hexdigest(), shapes, np.array(texts, np.str_),
        np.array(seasons, np.str_), why, _others(frame), merged,
    )  # fmt: skip


def season_for_all(features: Features, season: str) -> Features:
    """The same, with one season for those whose column says none because there is no such column."""
    return replace(features, seasons=np.where(features.seasons == "", season, features.seasons))


def _shapes(frame: "GeoDataFrame", request: SamplingRequest) -> NDArray[Any]:
    """Geometries in degrees without heights; a MultiPoint of one point is that point."""
    name = request.points.name
    kinds = sorted(set(frame.geometry.geom_type.dropna()) - KINDS)
    if kinds:
        raise SampleError(
            f"the points '{name}' hold {' and '.join(kinds)}",
            expected="points or polygons",
            todo="draw fields as polygons, or put a point into each",
        )
    several = (shapely.get_num_geometries(frame.geometry.values) > 1) & (
        frame.geometry.geom_type == "MultiPoint"
    )
    if several.any():
        raise SampleError(
            f"{int(several.sum())} features of '{name}' hold several points",
            expected="one point a feature",
            todo="split them (multipart to singleparts)",
        )
    shapes = np.array(shapely.force_2d(frame.geometry.to_crs(4326).values))
    points = shapely.get_dimensions(shapes) == 0
    shapes[points] = shapely.centroid(shapes[points])
    shapes[~points] = shapely.make_valid(shapes[~points])
    return shapes


def _nowhere(shapes: NDArray[Any]) -> NDArray[np.bool_]:
    """Which have no geometry, or one beyond what its CRS describes."""
    bounds = shapely.bounds(shapes)
    return np.asarray(shapely.is_missing(shapes) | shapely.is_empty(shapes) | ~np.isfinite(bounds).all(1))


def _off_earth(shapes: NDArray[Any]) -> NDArray[np.bool_]:
    """Which reach beyond all degrees: projected coordinates, or a wrong CRS; no UTM zone has them."""
    west, south, east, north = shapely.bounds(shapes).T
    return np.asarray((west < -180) | (east > 180) | (south < -90) | (north > 90))


def _column(frame: "GeoDataFrame", column: str, option: str, request: SamplingRequest) -> list[str]:
    """Cells as texts without spaces around; '' for empty ones. 3.0 is '3', as in a legend."""
    others = [str(name) for name in frame.columns if name != frame.geometry.name]
    if column not in others:
        raise SampleError(
            f"the points '{request.points.name}' have no column {column!r}",
            expected=f"one of {', '.join(others) or 'none'}",
            todo=f"correct {option}",
        )
    missing = frame[column].isna().tolist()
    return [
        "" if absent else composed(str(int(cell) if isinstance(cell, float) and cell.is_integer() else cell))
        for cell, absent in zip(frame[column].tolist(), missing, strict=True)
    ]


def _spelt(texts: list[str], request: SamplingRequest) -> tuple[list[str], tuple[str, ...]]:
    """Labels each in one spelling, the most frequent of its kind, and what was merged.

    Raises:
        SampleError: One label in several spellings, and nobody asked to merge them.
    """
    counts: dict[str, Counter[str]] = {}
    for text in texts:
        counts.setdefault(plain(text), Counter())[text] += 1
    counts.pop("", None)
    several = {key: ways for key, ways in counts.items() if len(ways) > 1}
    listed = [
        ", ".join(f"{way!r} ({number})" for way, number in ways.most_common()) for ways in several.values()
    ]
    if several and not request.merge_labels:
        more = f"; and {len(listed) - SHOWN} more" if len(listed) > SHOWN else ""
        raise SampleError(
            f"labels written in more than one way: {'; '.join(listed[:SHOWN])}{more}",
            expected="one spelling a class",
            todo="correct them, or add --merge-labels to take each for one class",
        )
    chosen = {key: _usual(ways) for key, ways in counts.items()}
    notes = tuple(f"{each} are one class, {chosen[key]!r}" for key, each in zip(several, listed, strict=True))
    return [chosen.get(plain(text), "") for text in texts], notes


def _usual(ways: Counter[str]) -> str:
    """The most frequent spelling, the first in the alphabet where several are, without spaces around."""
    return min(ways, key=lambda way: (-ways[way], way)).strip()


def _seasons(frame: "GeoDataFrame", request: SamplingRequest, cropharvest: bool) -> list[str]:
    """What `--season` would be for each feature; '' where it is not known."""
    if request.season_column:
        return [text.strip() for text in _column(frame, request.season_column, "--season-column", request)]
    if not cropharvest or request.season:
        return [""] * len(frame)
    ends = (text[:4] for text in _column(frame, "export_end_date", "--points", request))
    return [f"{int(year) - 1}-02:{year}-01" if year.isdecimal() else "" for year in ends]


def _tested(frame: "GeoDataFrame") -> Sequence[Any]:
    return list(frame["is_test"]) if "is_test" in frame.columns else [False] * len(frame)


def _others(frame: "GeoDataFrame") -> dict[str, NDArray[Any]]:
    """All columns but the geometry: numbers as they are, everything else as texts."""
    columns: dict[str, NDArray[Any]] = {}
    for name in frame.columns:
        if name == frame.geometry.name:
            continue
        series = frame[name]
        if isinstance(series.dtype, np.dtype) and series.dtype.kind in "iufb":
            columns[str(name)] = series.to_numpy()
        else:
            cells = zip(series.tolist(), series.isna().tolist(), strict=True)
            columns[str(name)] = np.array(["" if absent else str(cell) for cell, absent in cells], np.str_)
    return columns
