"""Reference points: read, placed on the map, and each either used or not, with the reason.

N points.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np
from numpy.typing import NDArray

from geocomiss.accuracy.columns import DESIGN, HECTARES, PIXELS, PROBABILITY
from geocomiss.accuracy.labels import NO_LABEL, Matched, match_labels
from geocomiss.accuracy.raster import Located, MapOnDisk, locate, pixel_centres
from geocomiss.accuracy.request import AssessRequest
from geocomiss.accuracy.vectors import read_points
from geocomiss.errors import SampleError
from geocomiss.grid import crs_of

if TYPE_CHECKING:
    from geopandas import GeoDataFrame

USED: Final = "used"
NO_PLACE: Final = "no geometry"
OUTSIDE: Final = "outside the map"
NO_CLASS: Final = "no class in the map"
TRAINING: Final = "on or beside a training sample or in its field"
UNLABELLED: Final = "no label"
LEFT_OUT: Final = "label left out by the legend"
OFF_MAP: Final = (OUTSIDE, NO_CLASS)
"""Places about which the map says nothing; they need no label."""


@dataclass(frozen=True)
class Reference:
    """N reference points on a map."""

    name: str
    """The file's name."""
    ids: NDArray[np.str_]
    """(N,) the column `id`, or the row in the file, from 1."""
    lat: NDArray[np.float64]
    """(N,) degrees north."""
    lon: NDArray[np.float64]
    """(N,) degrees east."""
    centre_x: NDArray[np.float64]
    """(N,) centre of the point's pixel, in the map's CRS."""
    centre_y: NDArray[np.float64]
    """(N,) like `centre_x`."""
    labels: NDArray[np.str_]
    """(N,) as written, '' where there is none."""
    code: NDArray[np.int64]
    """(N,) class value, `NO_LABEL` where there is none."""
    unknown: Mapping[int, str]
    """Names of the labels that the map does not know, by code."""
    located: Located
    """What the map says there."""
    status: NDArray[np.str_]
    """(N,) `USED`, or why not."""
    columns: Mapping[str, NDArray[Any]]
    """Columns on how points were drawn, where the file has them: texts (N,), '' where empty."""
    notes: tuple[str, ...]
    """What was assumed, a sentence each."""

    def __len__(self) -> int:
        """Number of points N."""
        return len(self.ids)


def read_reference(request: AssessRequest, one: MapOnDisk) -> Reference:
    """Read reference points and place them on a map.

    Raises:
        SampleError: The file, its CRS, its label column or its labels cannot be used.
        MapError: A layer of the map is damaged.
    """
    frame = read_points(request.reference)
    labels = _texts(frame, request.label, request.reference)
    matched = match_labels(labels, one.classes, request.legend, request.unknown_labels == "count")
    x, y = _xy(frame, crs_of(one.grid).to_wkt())
    lon, lat = _xy(frame, "EPSG:4326")
    located = locate(one, x, y)
    codes = np.array(matched.codes, np.int64)
    training = np.zeros(len(frame), bool)
    if request.footprint and not request.allow_training_points:
        training = request.footprint.covers(lat, lon)
    ids = frame["id"].astype(str) if "id" in frame else [str(row) for row in range(1, len(frame) + 1)]
    return Reference(
        request.reference.name,
        np.array(list(ids), np.str_),
        lat,
        lon,
        *_centres(one, located),
        np.array(labels, np.str_),
        codes,
        matched.unknown,
        located,
        _status(x, located, training, labels, codes),
        _design_columns(frame, request),
        _notes(matched, located, codes),
    )


def _centres(one: MapOnDisk, located: Located) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    x, y = pixel_centres(one.grid, located.row, located.col)
    return np.where(located.inside, x, np.nan), np.where(located.inside, y, np.nan)


def _texts(frame: "GeoDataFrame", column: str, path: Path) -> list[str]:
    others = [str(name) for name in frame.columns if name != frame.geometry.name]
    if column not in others:
        raise SampleError(
            f"the reference points '{path.name}' have no column {column!r}",
            expected=f"the column with labels, one of {', '.join(others) or 'none'}",
            todo="correct --label",
        )
    texts = _cells(frame[column])
    if not any(texts):
        raise SampleError(
            f"the column {column!r} of '{path.name}' is empty in all {len(frame)} rows",
            expected="the class found at each point",
            todo="fill it in, or correct --label",
        )
    return texts


def _cells(series: Any) -> list[str]:
    """Cells as texts without spaces around; '' for empty ones. 3.0 is '3', as in a legend."""
    missing = series.isna()
    return [
        "" if absent else str(int(cell) if isinstance(cell, float) and cell.is_integer() else cell).strip()
        for cell, absent in zip(series.tolist(), missing.tolist(), strict=True)
    ]


def _xy(frame: "GeoDataFrame", crs: str) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Coordinates in a CRS; NaN where a feature has no geometry or lies beyond that CRS."""
    shapes = frame.geometry.to_crs(crs)
    x, y = (np.asarray(each, np.float64) for each in (shapes.x, shapes.y))
    fine = np.isfinite(x) & np.isfinite(y)
    return np.where(fine, x, np.nan), np.where(fine, y, np.nan)


def _status(
    x: NDArray[np.float64],
    located: Located,
    training: NDArray[np.bool_],
    labels: list[str],
    codes: NDArray[np.int64],
) -> NDArray[np.str_]:
    """`USED`, or the first reason why not, (N,)."""
    empty = np.array([not label for label in labels])
    reasons = (
        (np.isnan(x), NO_PLACE),
        (~located.inside, OUTSIDE),
        (located.value == 0, NO_CLASS),
        (training, TRAINING),
        (empty, UNLABELLED),
        (codes == NO_LABEL, LEFT_OUT),
    )
    return np.select([where for where, _ in reasons], [why for _, why in reasons], USED)


def _design_columns(frame: "GeoDataFrame", request: AssessRequest) -> dict[str, NDArray[Any]]:
    names = {"stratum": request.stratum or "stratum", "cluster": request.cluster}
    for name in (DESIGN, PIXELS, HECTARES, PROBABILITY):
        names[name] = name
    if request.stratum and request.stratum not in frame:
        raise SampleError(
            f"the reference points '{request.reference.name}' have no column {request.stratum!r}",
            expected="the column with strata",
            todo="correct --stratum",
        )
    return {key: np.array(_cells(frame[column]), np.str_) for key, column in names.items() if column in frame}


def _notes(matched: Matched, located: Located, codes: NDArray[np.int64]) -> tuple[str, ...]:
    notes = [
        f"{name}: {', '.join(repr(way) for way in ways)} are read as one label"
        for name, ways in matched.merged.items()
    ]
    on = located.inside & (codes != NO_LABEL)
    pixels, inverse = np.unique(np.stack([located.row[on], located.col[on]]), axis=1, return_inverse=True)
    if twice := int(on.sum()) - pixels.shape[1]:
        labels = codes[on]
        differ = sum(
            len(set(labels[inverse.ravel() == pixel].tolist())) > 1
            for pixel in np.flatnonzero(np.bincount(inverse.ravel()) > 1)
        )
        told = f"; at {differ} of these pixels their labels differ" if differ else ""
        notes.append(f"{twice} points share a pixel with another{told}")
    return tuple(notes)
