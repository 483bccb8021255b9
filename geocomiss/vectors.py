"""Vector files with points, fields or districts, of any format that GDAL reads."""

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import geopandas
import pyogrio

from geocomiss.archives import openable
from geocomiss.errors import SampleError

if TYPE_CHECKING:
    from geopandas import GeoDataFrame

AGAIN: Final = "export it again from your GIS"
POINT: Final = "POINT"
DEGREES: Final = "EPSG:4326"
"""CRS of the points of a CSV file."""
TABLE: Final = {
    "X_POSSIBLE_NAMES": "lon,longitude",
    "Y_POSSIBLE_NAMES": "lat,latitude",
    "KEEP_GEOM_COLUMNS": "NO",  # the table of samples has columns lon and lat of its own
}
"""How GDAL finds points in a CSV file, upper case or not; it sees ';' and decimal commas by itself."""


def read_layer(path: Path, what: str, wanted: str, kind: str) -> "GeoDataFrame":
    """The only layer of a kind, or the only one with geometries.

    Points may also stand in a CSV file, in columns `lon` and `lat` (or `longitude` and `latitude`).

    Args:
        path: Vector file.
        what: What it holds, in the plural, for messages.
        wanted: What it should hold, for messages.
        kind: Part of the name of that kind of geometry: 'POINT', 'POLYGON'.

    Raises:
        SampleError: Missing, unreadable, empty, no CRS, or several such layers.
    """
    if not path.exists():
        raise SampleError(
            f"{what} '{path}' do not exist", expected=f"a vector file with {wanted}", todo="check the path"
        )
    unusable = _unusable(path, what, wanted, kind)
    try:
        frame = _read(path, kind, unusable)
    except (pyogrio.errors.DataSourceError, pyogrio.errors.FeatureError, OSError, ValueError) as error:
        raise unusable(f"cannot be read ({str(error).splitlines()[0]})", AGAIN) from error
    if not isinstance(frame, geopandas.GeoDataFrame):
        columns = ", ".join(map(str, frame.columns))
        raise unusable(f"are a table without geometries, of the columns {columns}", AGAIN)
    if frame.empty or frame.geometry.isna().all():
        raise unusable("are empty", AGAIN)
    if frame.crs is None:
        raise unusable("state no CRS, so that nobody can tell where they lie", AGAIN)
    return frame


def _read(path: Path, kind: str, unusable: Callable[[str, str], SampleError]) -> Any:
    """The only fitting layer; of a CSV file its points in degrees."""
    if kind == POINT and path.suffix.lower() == ".csv":
        table = geopandas.read_file(path, engine="pyogrio", **TABLE)
        return table.set_crs(DEGREES) if isinstance(table, geopandas.GeoDataFrame) else table
    layers = [
        (str(name), str(shape)) for name, shape in pyogrio.list_layers(openable(path)) if shape is not None
    ]
    fitting = [name for name, shape in layers if kind in shape.upper()] or [name for name, _ in layers]
    if len(fitting) > 1:
        raise unusable(
            f"are in {len(fitting)} layers ({', '.join(fitting)}), and only one can be read",
            "merge the layers into one, or export the one you mean to a file of its own",
        )
    return geopandas.read_file(openable(path), layer=fitting[0] if fitting else None, engine="pyogrio")


def _unusable(path: Path, what: str, wanted: str, kind: str) -> Callable[[str, str], SampleError]:
    table = ", or a CSV file in UTF-8 with the columns lon and lat in degrees" * (kind == POINT)

    def error(why: str, todo: str) -> SampleError:
        return SampleError(
            f"{what} '{path.name}' {why}",
            expected=f"a vector file with {wanted} and a CRS, such as GeoPackage or GeoJSON{table}",
            todo=todo,
        )

    return error
