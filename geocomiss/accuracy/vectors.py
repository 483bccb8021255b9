"""Vector files with points or districts."""

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import geopandas
import numpy as np
import pyogrio
import shapely

from geocomiss.errors import SampleError

if TYPE_CHECKING:
    from geopandas import GeoDataFrame


def read_points(path: Path) -> "GeoDataFrame":
    """All points of a vector file's first layer of points; features without geometry stay.

    Raises:
        SampleError: Missing, unreadable, empty, no points, or no CRS.
    """
    frame = _read(path, "the reference points", "points", "POINT")
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
    frame = _read(path, "the districts", "polygons", "POLYGON")
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
    return [str(value) for value in frame[chosen]]


def _kind(series: Any) -> Any:
    return series.dtype if isinstance(series.dtype, np.dtype) else np.dtype(object)


def _read(path: Path, what: str, wanted: str, kind: str) -> "GeoDataFrame":
    """The first layer of a kind, or the first with geometries."""
    if not path.exists():
        raise SampleError(
            f"{what} '{path}' do not exist", expected=f"a vector file with {wanted}", todo="check the path"
        )
    try:
        layers = [(str(name), str(shape)) for name, shape in pyogrio.list_layers(path) if shape is not None]
        fitting = [name for name, shape in layers if kind in shape.upper()] or [name for name, _ in layers]
        frame = geopandas.read_file(path, layer=fitting[0] if fitting else None, engine="pyogrio")
    except (pyogrio.errors.DataSourceError, pyogrio.errors.FeatureError, OSError, ValueError) as error:
        raise _unusable(path, what, wanted)(f"cannot be read ({str(error).splitlines()[0]})") from error
    unusable = _unusable(path, what, wanted)
    if not isinstance(frame, geopandas.GeoDataFrame):
        raise unusable("are a table without geometries")
    if frame.empty or frame.geometry.isna().all():
        raise unusable("are empty")
    if frame.crs is None:
        raise unusable("state no CRS, so that nobody can tell where they lie")
    return frame


def _unusable(path: Path, what: str, wanted: str) -> Callable[[str], SampleError]:
    def error(why: str) -> SampleError:
        return SampleError(
            f"{what} '{path.name}' {why}",
            expected=f"a vector file with {wanted} and a CRS, such as GeoPackage or GeoJSON",
            todo="export it again from your GIS",
        )

    return error
