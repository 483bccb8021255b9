"""The GeoTIFFs of an export: found, held to the manifest, and read in windows.

Earth Engine splits an image that it finds too large into several files, whose names end in the first row
and column of each: `NAME-0000000000-0000002048.tif`.
"""

import re
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, Final

import rasterio
from affine import Affine
from odc.geo.geobox import GeoBox
from rasterio.errors import RasterioError

from geocomiss.errors import SourceError
from geocomiss.grid import same_grid, window_in
from geocomiss.sources.exports.manifest import BUCKET, Destination, Manifest, Part
from geocomiss.sources.exports.numbers import SETTINGS, VSIGS, File, name_of, unreadable
from geocomiss.sources.files import short_crs

THREADS: Final = 8
"""Files that are looked at side by side: waiting for a server needs no processor."""
ABSENT: Final = re.compile(r"does not exist|response code: 404")
"""What GDAL says of an object that is not in a bucket."""
TOLD: Final = 5
"""Names of files that an error lists."""


def folder_of(manifest: Manifest, folder: Path, given: str | None) -> str:
    """Where the files are: as given, else beside the manifest, else in the bucket.

    Args:
        manifest: The export.
        folder: Its folder.
        given: A folder, or `gs://bucket/prefix`; None: to be found out.

    Raises:
        SourceError: There is no such folder, or they are in Drive still.
    """
    if given is not None:
        if not given.startswith(BUCKET) and not Path(given).is_dir():
            raise SourceError(
                f"--files {given}", expected="a folder, or gs://bucket/prefix", todo="check the path"
            )
        return _path(given)
    if any(folder.glob("*.tif")) or manifest.destination.kind == "drive":
        return str(folder)
    return _path(manifest.destination.where)


def files_of(manifest: Manifest, folder: Path, given: str | None = None) -> dict[str, tuple[File, ...]]:
    """The files of each kind of part, every one looked at.

    Args:
        manifest: The export.
        folder: Its folder.
        given: Where the files are; None: beside the manifest or, without any there, in the bucket.

    Raises:
        SourceError: A file is missing, cannot be read, or is not what was asked for.
    """
    where = folder_of(manifest, folder, given)
    wholes = {kind: whole_of(manifest, kind) for kind in {part.kind for part in manifest.parts}}

    def look(part: Part) -> tuple[File, ...] | None:
        stem = f"{where}/{manifest.destination.stem(part.name)}"
        with rasterio.Env(**SETTINGS):
            return _found(part, stem, wholes[part.kind])

    with ThreadPoolExecutor(THREADS) as pool:
        looked = list(pool.map(look, manifest.parts))
    missing = [part for part, files in zip(manifest.parts, looked, strict=True) if files is None]
    if missing:
        raise _missing(missing, manifest, where)
    result: dict[str, tuple[File, ...]] = {kind: () for kind in wholes}
    for part, files in zip(manifest.parts, looked, strict=True):
        result[part.kind] += files or ()
    return result


def whole_of(manifest: Manifest, kind: str) -> GeoBox:
    """The grid that all parts of a kind make up together."""
    if kind == "tile":
        return manifest.grid
    grids = [part.grid for part in manifest.parts if part.kind == kind]
    top, left = max(grid.affine.f for grid in grids), min(grid.affine.c for grid in grids)
    one = grids[0].affine
    height = round((min(grid.affine.f + grid.height * one.e for grid in grids) - top) / one.e)
    width = round((max(grid.affine.c + grid.width * one.a for grid in grids) - left) / one.a)
    return GeoBox((height, width), Affine(one.a, 0, left, 0, one.e, top), grids[0].crs)


def _found(part: Part, stem: str, whole: GeoBox) -> tuple[File, ...] | None:
    """The files of a part; None where there is none."""
    rows, cols = window_in(part.grid, whole)
    shape = _shape(f"{stem}.tif", part, 0, 0)
    if shape is not None:
        _check_size(f"{stem}.tif", shape, (part.grid.height, part.grid.width))
        return (File(f"{stem}.tif", part.bands, rows, cols),)
    first = _shape(_split(stem, 0, 0), part, 0, 0)
    if first is None:
        return None
    files = []
    for top in range(0, part.grid.height, first[0]):
        for left in range(0, part.grid.width, first[1]):
            path = _split(stem, top, left)
            shape = _shape(path, part, top, left)
            if shape is None:
                raise SourceError(
                    f"{name_of(path)} is missing, of the files into which {part.name} was split",
                    expected="all of them",
                    todo="download it, too",
                )
            expected = min(first[0], part.grid.height - top), min(first[1], part.grid.width - left)
            _check_size(path, shape, expected)
            y, x = rows.start + top, cols.start + left
            files.append(File(path, part.bands, slice(y, y + shape[0]), slice(x, x + shape[1])))
    return tuple(files)


def _shape(path: str, part: Part, top: int, left: int) -> tuple[int, int] | None:
    """Height and width of a file that begins at a pixel of a part; None where there is none."""
    if not path.startswith(VSIGS) and not Path(path).exists():
        return None
    try:
        with rasterio.open(path) as file:
            _check(path, file, part, top, left)
            return int(file.height), int(file.width)
    except RasterioError as error:
        if path.startswith(VSIGS) and ABSENT.search(str(error)):
            return None
        raise unreadable(path, error) from error


def _check(path: str, file: Any, part: Part, top: int, left: int) -> None:
    """Hold a file to what was asked for."""
    expected = part.grid[top : top + 1, left : left + 1]
    if file.crs is None:
        raise _other(path, "no CRS", str(expected.crs))
    found = GeoBox((1, 1), file.transform, short_crs(file.crs.to_wkt()))
    if not same_grid(found, expected):
        corner = f"{found.affine.c:.10g} {found.affine.f:.10g}, pixels of {found.affine.a:.10g}"
        wanted = f"{expected.affine.c:.10g} {expected.affine.f:.10g}, pixels of {expected.affine.a:.10g}"
        raise _other(
            path, f"another grid ({found.crs}, {corner})", f"{expected.crs}, {wanted} in {part.name}"
        )
    names = tuple(name for name in file.descriptions if name)
    if file.count != len(part.bands) or (names and names != part.bands):
        odd = next((name for name in names if name not in part.bands), None)
        found_bands = f"{file.count} bands" + (f", one of them {odd!r}" if odd else "")
        raise _other(path, found_bands, f"the {len(part.bands)} bands of {part.name} in their order")
    if set(file.dtypes) != {part.dtype}:
        raise _other(path, f"numbers of type {file.dtypes[0]}", part.dtype)


def _check_size(path: str, found: tuple[int, int], expected: tuple[int, int]) -> None:
    if found != expected:
        raise _other(path, f"{found[1]} x {found[0]} pixels", f"{expected[1]} x {expected[0]}")


def _other(path: str, found: str, expected: str) -> SourceError:
    return SourceError(
        f"{name_of(path)} has {found}",
        expected=expected,
        todo="check that it belongs to this export, and download it again",
    )


def _missing(parts: Sequence[Part], manifest: Manifest, where: str) -> SourceError:
    names = [f"{manifest.destination.stem(part.name)}.tif" for part in parts]
    more = f" and {len(names) - TOLD:,} more" if len(names) > TOLD else ""
    place = where.replace(VSIGS, BUCKET, 1) if where.startswith(VSIGS) else Path(where).name or where
    return SourceError(
        f"{len(parts):,} of {len(manifest.parts):,} files of the export are not in {place}: "
        f"{', '.join(names[:TOLD])}{more}",
        expected="all of them",
        todo=_remedy(manifest.destination),
    )


def _remedy(destination: Destination) -> str:
    found = "see with `geocomiss export status` whether their tasks have ended"
    if destination.kind == "drive":
        return f"{found}, and download them from {destination.where}"
    return f"{found}; they are written to {destination.where}"


def _split(stem: str, top: int, left: int) -> str:
    """As Earth Engine names what it splits off."""
    return f"{stem}-{top:010d}-{left:010d}.tif"


def _path(where: str) -> str:
    """A folder or address, as GDAL wants it."""
    bare = where.rstrip("/")
    return f"{VSIGS}{bare.removeprefix(BUCKET)}" if bare.startswith(BUCKET) else bare
