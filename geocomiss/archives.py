"""ZIP files with shapefiles, as offices and portals hand them out."""

import zipfile
from pathlib import Path, PurePosixPath
from typing import Final

APPLE: Final = "__MACOSX"
"""Folder in which macOS keeps attributes under the names of the files."""


def openable(path: Path) -> Path | str:
    """A vector file as GDAL opens it: of a ZIP file whose shapefiles lie in one folder, that folder."""
    if path.suffix.lower() != ".zip" or not zipfile.is_zipfile(path):
        return path
    with zipfile.ZipFile(path) as archive:
        inside = [PurePosixPath(name) for name in archive.namelist()]
    shapes = [each for each in inside if each.suffix.lower() == ".shp" and APPLE not in each.parts]
    folders = {str(each.parent) for each in shapes}
    return f"/vsizip/{path}/{folders.pop()}" if len(folders) == 1 and "." not in folders else path
