"""The area of interest: polygons from a vector file, from `W,S,E,N`, or from WKT.

Everything that can be wrong with an area is found here, before any pixel is read.
"""

import re
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import shapely
from odc.geo import CRS, Geometry

from geocomiss.archives import openable
from geocomiss.errors import AreaError

if TYPE_CHECKING:
    from geopandas import GeoDataFrame

WGS84: Final = "EPSG:4326"
"""CRS of `W,S,E,N`, of WKT, and of files that state none but hold degrees."""
WKT_START: Final = re.compile(
    r"(multi)?(point|linestring|polygon)|geometrycollection|linearring|srid\s*=", re.IGNORECASE
)
"""How WKT begins. A file whose name begins like this is found first."""
POLYGONS: Final = ("Polygon", "MultiPolygon")
SHOWN: Final = 6
"""Layers of a file that are named at most."""
ONE_GLOBE: Final = 360.0
"""Degrees. Longitudes beyond 180 but within this were meant to go round the antimeridian."""


@dataclass(frozen=True)
class Area:
    """An area of interest that can be mapped: valid polygons of more than zero area."""

    geometry: Geometry
    """Polygon or MultiPolygon, in the CRS it was given in, x before y."""
    notes: tuple[str, ...] = ()
    """What was assumed or repaired, a sentence each."""


def read_aoi(text: str) -> Area:
    """Read what a user gave as `--aoi`.

    Args:
        text: The path of a vector file (any format GDAL reads, any CRS; all features are united),
            `W,S,E,N` in degrees, or WKT in degrees (longitude before latitude).

    Raises:
        AreaError: Missing, unreadable, empty, no polygons, zero area, crossing the antimeridian,
            or coordinates that are no numbers or do not fit their CRS.
    """
    text = text.strip()
    if (numbers := _numbers(text)) is not None:
        return _area([_box(text, numbers)], WGS84, "--aoi")
    if _exists(text):
        return _read_file(Path(text))
    if WKT_START.match(text):
        return _area([_read_wkt(text)], WGS84, "the WKT")
    raise AreaError(
        f"the AOI file {_short(text)!r} does not exist",
        expected="the path of a vector file, W,S,E,N in degrees, or WKT",
        todo="check the path",
    )


def _numbers(text: str) -> list[float] | None:
    """The numbers of 'a,b,c', or None where it is anything else."""
    try:
        numbers = [float(part) for part in text.split(",")]
    except ValueError:
        return None
    return numbers if len(numbers) > 1 or not _exists(text) else None


def _box(text: str, numbers: list[float]) -> shapely.Polygon:
    if len(numbers) != 4 or not np.isfinite(numbers).all():
        raise AreaError(
            f"the AOI {text!r} with {len(numbers)} numbers",
            expected="four finite numbers W,S,E,N in degrees, such as 4.8,50.6,4.9,50.7",
            todo="correct --aoi",
        )
    west, south, east, north = numbers
    if west > east:
        raise _antimeridian(f"the AOI {text!r} has its west edge {west:g} east of its east edge {east:g}")
    if south > north:
        raise AreaError(
            f"the AOI {text!r} has its south edge {south:g} north of its north edge {north:g}",
            expected="W,S,E,N in degrees, south before north",
            todo=f"did you mean {west:g},{north:g},{east:g},{south:g}?",
        )
    return shapely.box(west, south, east, north)


def _read_wkt(text: str) -> Any:
    try:
        with np.errstate(invalid="ignore"):  # NaN coordinates are found, and said, later
            return shapely.from_wkt(text)
    except shapely.errors.ShapelyError as error:
        raise AreaError(
            f"the WKT {_short(text)!r} cannot be read ({_first_line(error)})",
            expected="a POLYGON, MULTIPOLYGON or GEOMETRYCOLLECTION in degrees, longitude before latitude",
            todo="correct --aoi",
        ) from error


def _read_file(path: Path) -> Area:
    notes: list[str] = []
    frame = _read_frame(path, notes)
    what = f"the AOI file '{path.name}'"
    shapes = [shape for shape in frame.geometry if shape is not None and not shape.is_empty]
    if not shapes:
        raise AreaError(
            f"{what} holds no geometry ({len(frame)} features)",
            expected="one polygon or more",
            todo="draw the area again and export it",
        )
    if frame.crs is None:
        notes.append(f"{path.name} states no CRS; its coordinates fit degrees, WGS 84 is assumed.")
        return _area(shapes, None, what, notes)
    code = frame.crs.to_authority()  # a short name reads better than WKT, in messages and in maps
    return _area(shapes, ":".join(code) if code else frame.crs.to_wkt(), what, notes)


def _read_frame(path: Path, notes: list[str]) -> "GeoDataFrame":
    """All features of the first layer of a vector file that has, or may have, polygons."""
    import geopandas
    import pyogrio

    try:
        layers = _layers(path)
        if len(layers) > 1:
            others = ", ".join(map(repr, layers[1:SHOWN])) + (", ..." if len(layers) > SHOWN else "")
            notes.append(
                f"{path.name} has {len(layers)} layers; {layers[0]!r} is used, not {others}: export the one "
                "you mean to a file of its own if it is another."
            )
        with np.errstate(invalid="ignore"):  # NaN coordinates are found, and said, later
            frame = geopandas.read_file(openable(path), layer=layers[0] if layers else None, engine="pyogrio")
    except (pyogrio.errors.DataSourceError, pyogrio.errors.FeatureError, OSError, ValueError) as error:
        raise _unreadable(path, _first_line(error)) from error
    if not isinstance(frame, geopandas.GeoDataFrame):
        raise _unreadable(path, "it is a table without geometries")
    return frame


def _layers(path: Path) -> list[str]:
    """Names of the layers with geometries, those of points and lines last."""
    import pyogrio

    kinds = {str(name): str(kind) for name, kind in pyogrio.list_layers(openable(path)) if kind is not None}
    return sorted(kinds, key=lambda name: "Point" in kinds[name] or "Line" in kinds[name])


def _unreadable(path: Path, why: str) -> AreaError:
    return AreaError(
        f"the AOI file '{path.name}' cannot be read ({why})",
        expected="a vector file with polygons, such as GeoJSON, GeoPackage or Shapefile",
        todo="check that it opens elsewhere, or export it again",
    )


def _area(shapes: list[Any], crs: str | None, what: str, notes: list[str] | None = None) -> Area:
    """Hold shapes to everything an area must be, and unite them. `crs` None: degrees or refuse."""
    notes = notes or []
    polygons = _polygons(shapes, what, notes)
    known = CRS(crs or WGS84)
    _check_coordinates(polygons, known, what, stated=crs is not None)
    if not all(polygon.is_valid for polygon in polygons):
        notes.append(f"{_capital(what)} crosses itself and was repaired; look at the result.")
        polygons = [part for polygon in polygons for part in _parts(shapely.make_valid(polygon))]
    united = shapely.union_all(polygons)
    if not united.area > 0:
        raise AreaError(
            f"{what} has an area of zero",
            expected="a polygon with an inside",
            todo="draw it again with at least three corners apart",
        )
    geometry = Geometry(united, known)
    _check_globe(geometry, what)
    return Area(geometry, tuple(notes))


def _polygons(shapes: list[Any], what: str, notes: list[str]) -> list[Any]:
    """The polygons among shapes and inside collections, without heights."""
    parts = [part for shape in shapes for part in _parts(shape)]
    if not parts:
        kinds = sorted({shape.geom_type for shape in shapes if not shape.is_empty}) or ["nothing"]
        raise AreaError(
            f"{what} holds {' and '.join(kinds)} instead of polygons",
            expected="polygons",
            todo="draw the area as a polygon, or buffer the points or lines",
        )
    if left_out := sum(not _parts(shape) for shape in shapes):
        notes.append(f"{_capital(what)} also holds points or lines ({left_out}); they are left out.")
    return [shapely.force_2d(part) for part in parts]


def _parts(shape: Any) -> list[Any]:
    """The polygons in a shape, however deep in collections."""
    if shape.is_empty:
        return []
    if shape.geom_type == "GeometryCollection":
        return [part for inner in shape.geoms for part in _parts(inner)]
    return list(shape.geoms) if shape.geom_type == "MultiPolygon" else [shape] * (shape.geom_type in POLYGONS)


def _check_coordinates(polygons: list[Any], crs: CRS, what: str, *, stated: bool) -> None:
    """Refuse coordinates that are no numbers, or that cannot be degrees where they must be."""
    xy = shapely.get_coordinates(polygons)  # (points, 2)
    if not np.isfinite(xy).all():
        raise AreaError(
            f"{what} holds coordinates that are not finite numbers",
            expected="finite coordinates",
            todo="remove the broken corner, or draw the area again",
        )
    if not crs.geographic:
        return
    (x, y), (x0, y0) = np.abs(xy).max(0), xy[np.abs(xy).sum(1).argmax()]
    if y <= 90 and 180 < x <= ONE_GLOBE and stated:
        raise _antimeridian(f"{what} has the longitude {x0:g}, beyond 180")
    if x > 180 or y > 90:
        raise AreaError(
            f"{what} has the coordinates ({x0:g}, {y0:g}), which cannot be degrees"
            + ("" if stated else ", and states no CRS"),
            expected="longitudes within 180 and latitudes within 90"
            if stated
            else "a file that states its CRS, or degrees in WGS 84",
            todo="check the order (longitude before latitude) and the CRS (GeoJSON is always WGS 84)",
        )


def _check_globe(geometry: Geometry, what: str) -> None:
    """Refuse an area across the antimeridian, or outside what its CRS can say."""
    box = geometry.to_crs(WGS84).boundingbox
    if not np.isfinite([box.left, box.bottom, box.right, box.top]).all():
        raise AreaError(
            f"{what} lies outside what its CRS ({geometry.crs}) can describe",
            expected="coordinates that fit the CRS",
            todo="check which CRS the file was drawn in",
        )
    if box.span_x > 180:
        raise _antimeridian(f"{what} reaches from longitude {box.left:.4f} to {box.right:.4f}")


def _antimeridian(found: str) -> AreaError:
    return AreaError(
        found,
        expected="an area that does not cross the antimeridian, W <= E, within -180 to 180",
        todo="split it, and map its parts on their own, to longitude 179.999 and from -179.999",
    )


def _exists(text: str) -> bool:
    try:
        return Path(text).exists() if text else False
    except (OSError, ValueError):  # a name too long, or with characters no file can have: WKT, say
        return False


def _first_line(error: Exception) -> str:
    """What went wrong, without GDAL's advice on drivers."""
    return (str(error).strip() or type(error).__name__).splitlines()[0].split(".; ")[0]


def _capital(sentence: str) -> str:
    return sentence[:1].upper() + sentence[1:]


def _short(text: str) -> str:
    return text if len(text) <= 80 else f"{text[:77]}..."
