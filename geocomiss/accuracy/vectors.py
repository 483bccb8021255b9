"""Vector files with points or districts."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

import geopandas
import numpy as np
import shapely

from geocomiss.errors import SampleError
from geocomiss.vectors import read_layer

if TYPE_CHECKING:
    from geopandas import GeoDataFrame


def read_points(path: Path) -> "GeoDataFrame":
    """All points of a vector file's first layer of points; features without geometry stay.

    Raises:
        SampleError: Missing, unreadable, empty, no points, or no CRS.
    """
    frame = read_layer(path, "the reference points", "points", "POINT")
    kinds = sorted(set(frame.geometry.geom_type.dropna()) - {"Point", "MultiPoint"})
    if kinds:
        raise SampleError(
            f"the reference points '{path.name}' hold {' and '.join(kinds)}",
            expected="points, each at the pixel that its label describes",
            todo="draw a point inside each, or take the points that `geocomiss design` drew",
        )
    parts = shapely.get_num_geometries(frame.geometry.values)
    if (parts > 1).any():
        raise SampleError(
            f"{int((parts > 1).sum())} features of '{path.name}' hold several points",
            expected="one point a feature",
            todo="split them (multipart to singleparts)",
        )
    centres = shapely.centroid(frame.geometry.values)  # of one point: the point, also of a MultiPoint
    return frame.set_geometry(geopandas.GeoSeries(centres, index=frame.index, crs=frame.crs))


def read_districts(path: Path, column: str | None) -> "GeoDataFrame":
    """Districts with their names: columns `name` and geometry, a row each, in the file's order.

    Args:
        path: Vector file with polygons.
        column: Column with names; None takes `name`, or else the first column of text, or numbers them.

    Raises:
        SampleError: Missing, unreadable, no polygons, no CRS, or no such column.
    """
    frame = read_layer(path, "the districts", "polygons", "POLYGON")
    frame = frame[frame.geometry.geom_type.isin(["Polygon", "MultiPolygon"])]
    if frame.empty:
        raise SampleError(
            f"the districts '{path.name}' hold no polygons", expected="polygons", todo="check --domains"
        )
    named = _names(frame, column, path)
    shapes = geopandas.GeoDataFrame(
        {"name": named}, geometry=shapely.make_valid(frame.geometry.values), crs=frame.crs
    )
    return shapes.dissolve("name", sort=False, as_index=False)


def _names(frame: "GeoDataFrame", column: str | None, path: Path) -> list[str]:
    others = [str(name) for name in frame.columns if name != frame.geometry.name]
    if column is not None and column not in others:
        raise SampleError(
            f"the districts '{path.name}' have no column {column!r}",
            expected=f"one of {', '.join(others) or 'none'}",
            todo="correct --domain-name",
        )
    texts = [name for name in others if not np.issubdtype(_kind(frame[name]), np.number)]
    chosen = column or ("name" if "name" in others else next(iter(texts), None))
    if chosen is None:
        return [f"district {number}" for number in range(1, len(frame) + 1)]
    pairs = zip(frame[chosen].tolist(), frame[chosen].isna().tolist(), strict=True)
    return ["without a name" if absent else str(value) for value, absent in pairs]


def _kind(series: Any) -> Any:
    return series.dtype if isinstance(series.dtype, np.dtype) else np.dtype(object)
