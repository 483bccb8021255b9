"""Maps that are still being made."""

from pathlib import Path
from typing import Final

from geocomiss.errors import MapError
from geocomiss.maps import check_one_map
from geocomiss.tiling import TILES, zones_of_folder

CROP_TYPE: Final = "crop_type"
"""Stem of the raster that a map is about."""


def main_raster(path: Path) -> Path:
    """The raster of classes in a map's folder, or the file itself.

    Raises:
        MapError: It is not there, or not yet.
    """
    main = path / f"{CROP_TYPE}.tif" if path.is_dir() else path
    if path.is_dir():
        check_one_map(path)
    if main.exists():
        return main
    if still_made(path):
        raise MapError(
            f"{path} holds an unfinished map",
            expected="a finished one",
            todo=f"see how far it is with `geocomiss status {path}`; the same `geocomiss map` finishes it",
        )
    raise MapError(
        f"{main} does not exist",
        expected="a folder written by `geocomiss map`, or a GeoTIFF of classes",
        todo="check the path",
    )


def still_made(path: Path) -> tuple[str, ...]:
    """What to know of a folder in which tiles are still to be made; empty where none are."""
    if (path / TILES).is_dir() or zones_of_folder(path):
        return (f"tiles that are still to be made, see `geocomiss status {path}`",)
    return ()
