"""Class names and colours of a map, in GDAL's sidecar `<name>.tif.aux.xml` (PAM).

A TIFF cannot hold names of classes. QGIS, GeoServer and gdalinfo read them here.
"""

import xml.etree.ElementTree as ET
from pathlib import Path
from typing import Final

from geocomiss.errors import MapError
from geocomiss.maps.layers import Category
from geocomiss.maps.text import printable

PAM_SUFFIX: Final = ".aux.xml"
"""GDAL's sidecar, next to the raster: holds what a TIFF cannot."""
RAT_COLUMNS: Final = (
    # name, type (0 integer, 2 text), usage (GDALRATFieldUsage)
    ("Value", 0, 5),
    ("Class", 2, 2),
    ("Red", 0, 6),
    ("Green", 0, 7),
    ("Blue", 0, 8),
)
"""Columns of the raster attribute table."""


def sidecar_of(raster: Path) -> Path:
    """Where the sidecar of a raster lies."""
    return raster.with_name(raster.name + PAM_SUFFIX)


def write_categories(raster: Path, categories: tuple[Category, ...]) -> None:
    """Write class names and the attribute table; rasterio has no call for either."""
    root = ET.Element("PAMDataset")
    band = ET.SubElement(root, "PAMRasterBand", band="1")
    names = {entry.value: printable(entry.name) for entry in categories}
    listed = ET.SubElement(band, "CategoryNames")
    for value in range(max(names) + 1):  # the position is the value
        ET.SubElement(listed, "Category").text = names.get(value, "")
    table = ET.SubElement(band, "GDALRasterAttributeTable", tableType="thematic")
    for index, (name, kind, usage) in enumerate(RAT_COLUMNS):
        column = ET.SubElement(table, "FieldDefn", index=str(index))
        for key, text in (("Name", name), ("Type", str(kind)), ("Usage", str(usage))):
            ET.SubElement(column, key).text = text
    for index, entry in enumerate(categories):
        row = ET.SubElement(table, "Row", index=str(index))
        for cell in (entry.value, names[entry.value], *entry.rgb):
            ET.SubElement(row, "F").text = str(cell)
    ET.indent(root)
    # without an XML declaration: GDAL ignores a sidecar that does not begin with <PAMDataset>
    sidecar_of(raster).write_text(ET.tostring(root, encoding="unicode"), encoding="utf-8")


def read_categories(path: Path) -> tuple[Category, ...]:
    """The classes that the sidecar of a map names; none where it has no sidecar or no classes.

    Raises:
        MapError: The sidecar is damaged.
    """
    sidecar = sidecar_of(path)
    if not sidecar.exists():
        return ()
    try:
        rows = ET.parse(sidecar).iterfind(".//GDALRasterAttributeTable/Row")
        cells = [[cell.text or "" for cell in row.iterfind("F")] for row in rows]
        return tuple(
            Category(int(value), name, f"#{int(red):02x}{int(green):02x}{int(blue):02x}")
            for value, name, red, green, blue in cells
        )
    except (ET.ParseError, ValueError, OSError) as error:
        raise MapError(
            f"{sidecar.name} cannot be read ({error})",
            expected="a sidecar written by `geocomiss map`",
            todo="make the map again, with --overwrite",
        ) from error
