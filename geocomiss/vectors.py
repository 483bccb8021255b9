"""Vector files with points, fields or districts, of any format that GDAL reads."""

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import geopandas
import pyogrio

from geocomiss.errors import SampleError

if TYPE_CHECKING:
    from geopandas import GeoDataFrame


def read_layer(path: Path, what: str, wanted: str, kind: str) -> "GeoDataFrame":
    """The first layer of a kind, or the first with geometries.

    Args:
        path: Vector file.
        what: What it holds, in the plural, for messages.
        wanted: What it should hold, for messages.
        kind: Part of the name of that kind of geometry: 'POINT', 'POLYGON'.

    Raises:
        SampleError: Missing, unreadable, empty, or no CRS.
    """
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
