"""What an export consists of, as it stands in its folder: everything that its files are held to."""

import json
import os
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final, Literal

import numpy as np
import shapely
import xarray as xr
from affine import Affine
from odc.geo import CRS, Geometry
from odc.geo.geobox import GeoBox
from shapely.errors import ShapelyError

from geocomiss.errors import GeocomissError, SourceError, unwritable
from geocomiss.grid import crs_of, crs_text
from geocomiss.sources.base import RadarPass
from geocomiss.sources.ee.tables import CODINGS, Coding
from geocomiss.stack import Origin, origin_of, with_origin

MANIFEST: Final = "export.json"
"""File by which a folder is known as an export."""
FORMAT: Final = 1
"""Version of the manifest and of the files."""
NOTHING: Final = 65_535
"""Number that means "missing" in tiles: one for all bands, since a GeoTIFF has one."""
TURNED: Final = 32_767
"""Signed numbers n travel in tiles as 32767 - n: a GeoTIFF has one type for all bands."""
BUCKET: Final = "gs://"
"""Before the name of a bucket of Cloud Storage."""

PLAIN: Final = ("run", "asked", "project", "side", "max_cloud", "s1_pass")
"""Fields of the manifest that JSON knows."""

Kind = Literal["tile", "weather", "topography"]
"""What a file holds: all steps of the imaging modalities, of the weather, or heights."""


@dataclass(frozen=True)
class Destination:
    """Where Earth Engine writes files."""

    kind: Literal["bucket", "drive"]
    """Cloud Storage or Google Drive."""
    name: str
    """Of the bucket, or of the folder in Drive."""
    prefix: str
    """What the names of the files begin with, such as `maps/togo/` or `togo_`."""

    @property
    def where(self) -> str:
        """In words, or as an address of Cloud Storage."""
        if self.kind == "drive":
            return f"the folder {self.name!r} of Google Drive"
        return f"{BUCKET}{self.name}/{self.prefix.rpartition('/')[0]}".rstrip("/")

    def stem(self, part: str) -> str:
        """Name of the file of a part, without folder and ending."""
        return f"{self.prefix.rpartition('/')[2]}{part}"


@dataclass(frozen=True)
class Part:
    """What one task writes."""

    name: str
    """For example `tile_00003_00012` (row, column)."""
    kind: Kind
    """What it holds."""
    grid: GeoBox
    """Its pixels or cells."""
    bands: tuple[str, ...]
    """Bands of the file, in order: `optical_3_B2` is B2 in step 3."""
    digest: str
    """What stands for the expression that computes it."""

    @property
    def dtype(self) -> str:
        """Type of its numbers."""
        return "uint16" if self.kind == "tile" else CODINGS[self.kind].dtype

    @property
    def nothing(self) -> int:
        """Number that means "missing"."""
        return NOTHING if self.kind == "tile" else CODINGS[self.kind].nothing


@dataclass(frozen=True)
class Manifest:
    """An export."""

    run: str
    """A UUID: tasks of this export are told from all others by it."""
    asked: str
    """Digest of what was asked for, so that the same command goes on and another is refused."""
    project: str
    """The Cloud project that is charged."""
    destination: Destination
    """Where the files are written."""
    grid: GeoBox
    """The pixel grid."""
    side: int
    """Pixels a side of a tile."""
    origin: Origin
    """What the stack will state of itself."""
    bands: Mapping[str, tuple[str, ...]]
    """Bands per modality of the stack."""
    wanted: Mapping[str, tuple[str, ...]] | None
    """Bands per modality that were asked for; None: all."""
    max_cloud: float
    """Per cent of cloud cover up to which an image was used."""
    s1_pass: RadarPass
    """Radar passes that were asked for."""
    parts: tuple[Part, ...]
    """The files."""
    ee_url: str | None = None
    """Address at which it was started, without anything secret; None: Google's, or an older manifest."""
    area: Geometry | None = None
    """Where it was asked for: tiles without any of it were not exported. None: an older manifest."""

    def of_kind(self, kind: Kind) -> tuple[Part, ...]:
        """Parts that hold the same."""
        return tuple(part for part in self.parts if part.kind == kind)


def write_manifest(manifest: Manifest, folder: Path) -> None:
    """Write the manifest; it appears when it is whole.

    Raises:
        MapError: The folder cannot be written.
    """
    values = {
        "geocomiss_export": FORMAT,
        "codings": _codings(),
        **{name: getattr(manifest, name) for name in PLAIN},
        "destination": asdict(manifest.destination),
        "grid": _told(manifest.grid),
        "origin": json.loads(with_origin(xr.DataTree(), manifest.origin).attrs["origin"]),
        "bands": manifest.bands,
        "wanted": manifest.wanted,
        "ee_url": manifest.ee_url,
        "area": _stated(manifest.area),
        "parts": [vars(part) | {"grid": _told(part.grid)} for part in manifest.parts],
    }
    partial = folder / f"{MANIFEST}.partial"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with partial.open("w", encoding="utf-8") as file:
            json.dump(values, file)
            file.flush()
            os.fsync(file.fileno())
        partial.replace(folder / MANIFEST)
    except OSError as error:
        partial.unlink(missing_ok=True)
        raise unwritable(folder, error) from error


def read_manifest(folder: Path) -> Manifest:
    """The export of a folder.

    Raises:
        SourceError: There is none, it is damaged, or of another version.
    """
    path = folder / MANIFEST
    if not path.is_file():
        raise SourceError(
            f"{folder} holds no export", expected=f"a folder with {MANIFEST}", todo="check the path"
        )
    try:
        values = json.loads(path.read_text(encoding="utf-8"))
        _check_version(folder, values)
        return _manifest(values)
    except (OSError, KeyError, TypeError, ValueError, AttributeError, ShapelyError, GeocomissError) as error:
        if isinstance(error, _Version):
            raise
        raise SourceError(
            f"{MANIFEST} of {folder.name} is damaged ({type(error).__name__})",
            expected="what `geocomiss export start` wrote",
            todo="restore it, or start the export again in a new folder",
        ) from error


class _Version(SourceError):
    """A manifest whose numbers would be misread."""


def _check_version(folder: Path, values: Mapping[str, Any]) -> None:
    if values["geocomiss_export"] != FORMAT or values["codings"] != _codings():
        raise _Version(
            f"{folder.name} is an export of another version of geocomiss",
            expected=f"version {FORMAT}, with the codings of this one",
            todo="read it with that version, or start the export again in a new folder",
        )


def _manifest(values: Mapping[str, Any]) -> Manifest:
    tree = xr.DataTree()
    tree.attrs["origin"] = json.dumps(values["origin"])
    plain = {name: values[name] for name in PLAIN}
    return Manifest(
        **plain,
        destination=Destination(**values["destination"]),
        grid=_grid(values["grid"]),
        origin=origin_of(tree),
        bands=_bands(values["bands"]),
        wanted=None if values["wanted"] is None else _bands(values["wanted"]),
        parts=tuple(
            Part(**each | {"grid": _grid(each["grid"]), "bands": tuple(each["bands"])})
            for each in values["parts"]
        ),
        ee_url=_address(values.get("ee_url")),  # manifests of before it was remembered have none
        area=_area(values.get("area")),  # likewise
    )


def _address(value: object) -> str | None:
    if value is None or isinstance(value, str):
        return value
    raise TypeError("an address that is no text")


def _stated(area: Geometry | None) -> dict[str, str] | None:
    """An area as JSON, with all bits of its coordinates."""
    return {"crs": str(area.crs), "wkb": area.geom.wkb_hex} if area else None


def _area(values: Mapping[str, str] | None) -> Geometry | None:
    return Geometry(shapely.from_wkb(values["wkb"]), values["crs"]) if values else None


def _bands(values: Mapping[str, list[str]]) -> dict[str, tuple[str, ...]]:
    return {name: tuple(bands) for name, bands in values.items()}


def _told(grid: GeoBox) -> dict[str, Any]:
    """A grid as JSON."""
    return {"crs": crs_text(crs_of(grid)), "affine": list(grid.affine)[:6], "shape": list(grid.shape)}


def _grid(values: Mapping[str, Any]) -> GeoBox:
    height, width = values["shape"]
    return GeoBox((height, width), Affine(*values["affine"]), CRS(values["crs"]))


def _codings() -> dict[str, Any]:
    """How numbers are meant, as it stands in a manifest."""
    return {name: _coding(coding) for name, coding in CODINGS.items()}


def _coding(coding: Coding) -> dict[str, Any]:
    turned = TURNED if np.dtype(coding.dtype) == np.int16 else None
    return {**asdict(coding), "per_unit": dict(coding.per_unit), "turned": turned}
