"""The installation: versions, GDAL and PROJ, and what is beside it."""

import os
import platform
import sys
from collections.abc import Iterator
from importlib.metadata import PackageNotFoundError, requires, version
from pathlib import Path
from typing import Final

from packaging.requirements import Requirement

from geocomiss import __version__
from geocomiss.doctor.finding import Finding
from geocomiss.doctor.machine import check_machine
from geocomiss.sources.base import EarthEngine

OLDEST: Final = (3, 11)
"""Python."""
PLACE: Final = (3.0, 0.0)
"""Degrees east and north: the middle of UTM zone 31 on the equator."""
PROJECTED: Final = (500_000.0, 0.0)
"""Metres east and north of it there."""
NEAR: Final = 1e-3
"""Metres."""
EXTRAS: Final = {
    "scikit-learn": ("baselines", "tree baselines of `geocomiss benchmark`"),
    "lightgbm": ("baselines", "tree baselines of `geocomiss benchmark`"),
    "cfgrib": ("grib", "weather in GRIB files"),
    "eccodes": ("grib", "weather in GRIB files"),
    "exactextract": ("zonal", "`geocomiss fields`"),
    "titiler.core": ("serve", "`geocomiss serve`"),
    "uvicorn": ("serve", "`geocomiss serve`"),
}
"""Packages of an extra: its name, and what needs it."""
DRIVERS: Final = ("GTiff", "COG", "GPKG")
"""Formats that maps and areas come in."""
OTHERS: Final = ("PROJ_LIB", "PROJ_DATA", "GDAL_DATA")
"""Variables by which another installation leads GDAL and PROJ to files that are not theirs."""


def check_installation(folder: Path, options: EarthEngine | None = None) -> tuple[Finding, ...]:
    """Look at everything that geocomiss needs, without the network.

    Args:
        folder: Where results will be written.
        options: How Earth Engine would be reached; None: as without any option.
    """
    told = options or EarthEngine()
    return (*_versions(), *_extras(), _gdal(), _proj(), *check_machine(folder, told))


def _versions() -> Iterator[Finding]:
    """geocomiss, Python, and what `pyproject.toml` asks for."""
    yield Finding("geocomiss", __version__)
    told = platform.python_version()
    if sys.version_info[:2] < OLDEST:
        yield Finding("Python", told, "wrong", "install Python 3.11 or newer")
    else:
        yield Finding("Python", told)
    required = _required()
    wrong = [line for line in map(_lacking, required) if line]
    if not required:
        todo = "install it: pip install -c constraints.txt -e ."
        yield Finding("packages", "not checked: geocomiss is run without being installed", "note", todo)
    elif wrong:
        yield Finding(
            "packages",
            "; ".join(wrong),
            "wrong",
            "install geocomiss again: pip install -c constraints.txt -e .",
        )
    else:
        yield Finding("packages", f"all {len(required)} that are needed, new enough")


def _required() -> list[Requirement]:
    """Packages that geocomiss cannot do without; none where it was not installed."""
    try:
        lines = requires("geocomiss") or []
    except PackageNotFoundError:
        return []
    found = [Requirement(line) for line in lines]
    return [each for each in found if each.marker is None or each.marker.evaluate({"extra": ""})]


def _lacking(wanted: Requirement) -> str:
    """What is wrong with a package, '' where nothing is."""
    try:
        held = version(wanted.name)
    except PackageNotFoundError:
        return f"{wanted.name} is missing"
    fits = wanted.specifier.contains(held, prereleases=True)
    return "" if fits else f"{wanted.name} is {held}, wanted {wanted.specifier}"


def _extras() -> Iterator[Finding]:
    for package, (extra, needed_by) in EXTRAS.items():
        try:
            yield Finding(package, version(package))
        except PackageNotFoundError:
            todo = f'for {needed_by}: pip install "geocomiss[{extra}]"'
            yield Finding(package, "not installed", "note", todo)


def _gdal() -> Finding:
    """GDAL with the formats that are read and written."""
    again = "install rasterio from its wheel: pip install --force-reinstall rasterio"
    try:
        import rasterio
    except ImportError as error:
        return Finding("GDAL", f"rasterio cannot be loaded ({error})", "wrong", again)
    with rasterio.Env() as environment:
        lacking = [name for name in DRIVERS if name not in environment.drivers()]
    told = f"GDAL {rasterio.__gdal_version__}, rasterio {rasterio.__version__}"
    if not lacking:
        return Finding("GDAL", told)
    return Finding("GDAL", f"{told}, without {', '.join(lacking)}", "wrong", again)


def _proj() -> Finding:
    """PROJ's data, by a point whose projection is known."""
    led = [name for name in OTHERS if os.environ.get(name)]
    todo = f"unset {', '.join(led)}" if led else "install pyproj and rasterio again from their wheels"
    try:
        import pyproj
        from rasterio.crs import CRS
        from rasterio.errors import RasterioError
        from rasterio.warp import transform
    except ImportError as error:
        return Finding("PROJ data", f"cannot be loaded ({error})", "wrong", todo)
    try:
        by_pyproj = pyproj.Transformer.from_crs(4326, 32631, always_xy=True).transform(*PLACE)
        (x,), (y,) = transform(CRS.from_epsg(4326), CRS.from_epsg(32631), [PLACE[0]], [PLACE[1]])
    except (pyproj.exceptions.ProjError, RasterioError) as error:
        return Finding("PROJ data", f"not found ({type(error).__name__})", "wrong", todo)
    off = max(abs(a - b) for one in (by_pyproj, (x, y)) for a, b in zip(one, PROJECTED, strict=True))
    if off > NEAR:
        return Finding("PROJ data", f"a known point is off by {off:.3g} m", "wrong", todo)
    return Finding("PROJ data", f"PROJ {pyproj.proj_version_str}, a known point is where it should be")
