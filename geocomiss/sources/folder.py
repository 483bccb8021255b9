"""Which files of a folder hold raw acquisitions, told by their variables and not by their names.

Whatever is none of them (declared crops, arrays, text) is left alone and not opened further.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
import xarray as xr
from numpy.typing import NDArray
from odc.geo.geobox import GeoBox

from geocomiss.errors import SourceError
from geocomiss.modalities import MODALITIES
from geocomiss.sources import files
from geocomiss.sources.openeo import variable_named

SCL_NAME: Final = re.compile(r"(?:S2-L2A-)?SCL", re.I)
TEMPERATURE: Final = re.compile(r"temperature_(mean|2m|air_2m_mean(_24h)?)", re.I)
PRECIPITATION: Final = re.compile(r"precipitation_flux|total_precipitation", re.I)
ELEVATION: Final = re.compile(r"elevation|dem|(?:cop-?dem-)?elevation", re.I)
ELEVATION_FILE: Final = re.compile(r"dem|elevation|srtm", re.I)
PASS: Final = re.compile(r"ascending|descending", re.I)
CLASSES: Final = "scl"
"""Stands for the scene classification among the bands of a file."""


@dataclass(frozen=True)
class Member:
    """One file of the folder that holds something we read."""

    path: Path
    """The file."""
    modality: str
    """What it holds."""
    bands: dict[str, str]
    """Canonical band (or `scl`) -> name of the variable; empty for an elevation GeoTIFF."""
    location: str
    """Identifier of the place, '' where the file states none."""
    radar_pass: str
    """'ascending', 'descending' or 'unknown'."""

    @property
    def grid(self) -> GeoBox:
        """Its own pixel grid."""
        return files.netcdf_grid(self.path) if self.bands else files.tiff_grid(self.path)

    @property
    def times(self) -> NDArray[np.datetime64]:
        """Dates of its acquisitions, as the file orders them."""
        dataset = files.open_netcdf(self.path)
        times = np.asarray(dataset[files.time_dim(dataset)].values)
        if not np.issubdtype(times.dtype, np.datetime64):
            raise SourceError(
                f"{self.path.name} has no dates along its time axis",
                expected="a time axis with units such as 'days since 2017-08-01'",
                todo="export it again",
            )
        return times.astype("datetime64[ns]")


def members_of(folder: Path) -> tuple[Member, ...]:
    """The files of a folder that hold acquisitions, daily weather or elevation, by name.

    Raises:
        SourceError: A NetCDF or TIFF file is damaged.
    """
    if not folder.is_dir():
        return ()
    found = (member_of(path) for path in sorted(folder.iterdir()) if not path.name.startswith("."))
    return tuple(member for member in found if member)


def member_of(path: Path) -> Member | None:
    """What a single file holds, or None where it is nothing of the kind.

    Raises:
        SourceError: It is NetCDF or TIFF and damaged.
    """
    if files.has_format(path, "netcdf"):
        return _netcdf_member(path)
    if files.has_format(path, "tiff") and ELEVATION_FILE.search(path.stem):
        with files.open_tiff(path) as file:
            return Member(path, "topography", {}, "", "unknown") if file.count == 1 else None
    return None


def _netcdf_member(path: Path) -> Member | None:
    dataset = files.open_netcdf(path)
    spatial = [str(name) for name, var in dataset.data_vars.items() if {"y", "x"} <= set(var.dims)]
    timed = files.time_dim(dataset) is not None
    for modality, bands in (_understood(spatial) if timed else _elevation(spatial)).items():
        if bands:
            return Member(path, modality, bands, _location(dataset), _pass(path, dataset))
    return None


def _understood(names: Iterable[str]) -> dict[str, dict[str, str]]:
    """Canonical band -> variable, for each modality that changes over time, imaging first."""
    found: dict[str, dict[str, str]] = {"optical": {}, "radar": {}, "weather": {}}
    temperature, precipitation = MODALITIES["weather"].band_names
    for name in names:
        known = variable_named(name)
        if SCL_NAME.fullmatch(name):
            found["optical"][CLASSES] = name
        elif TEMPERATURE.fullmatch(name):
            found["weather"].setdefault(temperature, name)
        elif PRECIPITATION.fullmatch(name):
            found["weather"].setdefault(precipitation, name)
        elif known and MODALITIES[known.modality].imaging:
            found[known.modality].setdefault(known.band, name)
    return found


def _elevation(names: Iterable[str]) -> dict[str, dict[str, str]]:
    elevation = MODALITIES["topography"].band_names[0]
    found = [name for name in names if ELEVATION.fullmatch(name)]
    return {"topography": {elevation: found[0]} if found else {}}


def _location(dataset: xr.Dataset) -> str:
    return str(dataset.attrs.get("location_id", ""))


def _pass(path: Path, dataset: xr.Dataset) -> str:
    """Direction of the radar's pass, from the name of the file or its attributes."""
    texts = (path.stem, *(str(value) for value in dataset.attrs.values()))
    for text in texts:
        if match := PASS.search(text):
            return match[0].lower()
    return "unknown"


def check_one_place(folder: Path, members: tuple[Member, ...]) -> None:
    """Refuse a folder that holds several places.

    Raises:
        SourceError: Different location identifiers, or grids that do not meet.
    """
    places = sorted({member.location for member in members if member.location})
    if len(places) > 1:
        raise _several(folder, f"{len(places)} places ({', '.join(places[:3])})")
    imaging = [member for member in members if MODALITIES[member.modality].imaging]
    systems = sorted({str(member.grid.crs) for member in imaging})
    if len(systems) > 1:
        raise _several(folder, f"images in {' and '.join(systems)}")
    first = imaging[0].grid.extent
    for member in imaging:
        if not member.grid.extent.geom.intersects(first.geom):
            raise _several(folder, f"{imaging[0].path.name} and {member.path.name}, which do not overlap")


def _several(folder: Path, what: str) -> SourceError:
    return SourceError(
        f"the folder {folder.name} holds {what}",
        expected="the acquisitions of one place in one CRS",
        todo="put each place into a folder of its own",
    )
