"""GDAL's virtual raster (VRT): an XML file that says which other rasters show where.

Written as text: rasterio has no call for one that shows several rasters.
"""

import xml.etree.ElementTree as ET
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from odc.geo.geobox import GeoBox

from geocomiss.grid import crs_of, crs_text
from geocomiss.maps.layers import Layer
from geocomiss.maps.text import printable

TYPES: Final = {"uint8": "Byte", "uint16": "UInt16"}
"""GDAL's names of numbers."""
SMALLEST: Final = 256
"""Pixels a side of the coarsest overview, about."""


@dataclass(frozen=True)
class Part:
    """A raster on pixels of the whole."""

    name: str
    """File, relative to the virtual raster."""
    row: int
    """First row of the whole that it covers."""
    col: int
    """First column."""
    shape: tuple[int, int]
    """Rows and columns."""


def write_virtual(
    path: Path, layer: Layer, grid: GeoBox, parts: tuple[Part, ...], tags: dict[str, str]
) -> None:
    """Write a virtual raster. Where several parts have a value, that of the last one shows.

    Args:
        path: `*.vrt`.
        layer: What it holds.
        grid: Its pixels.
        parts: What it is made of; their bands are the layer's.
        tags: Facts for its metadata.
    """
    root = ET.Element("VRTDataset", rasterXSize=str(grid.width), rasterYSize=str(grid.height))
    # longitude before latitude, as the numbers of the pixels come
    ET.SubElement(root, "SRS", dataAxisToSRSAxisMapping="2,1").text = crs_text(crs_of(grid))
    a, b, c, d, e, f = list(grid.affine)[:6]
    ET.SubElement(root, "GeoTransform").text = ", ".join(f"{each!r}" for each in (c, a, b, f, d, e))
    metadata = ET.SubElement(root, "Metadata")
    for key, text in tags.items():
        ET.SubElement(metadata, "MDI", key=key).text = printable(text)
    for band, name in enumerate(layer.band_names, 1):
        described = _band(root, layer, band, name)
        for part in parts:
            _source(described, layer, part, band)
    # declared, not stored: a coarse picture is drawn from the overviews of the parts
    levels = [2**n for n in range(1, 20) if max(grid.shape) / 2**n >= SMALLEST]
    if levels:
        ET.SubElement(root, "OverviewList", resampling="nearest").text = " ".join(map(str, levels))
    ET.indent(root)
    path.write_text(ET.tostring(root, encoding="unicode"), encoding="utf-8")


def _band(root: ET.Element, layer: Layer, band: int, name: str) -> ET.Element:
    """A band with its name, unit, scale and colours."""
    described = ET.SubElement(root, "VRTRasterBand", dataType=TYPES[layer.dtype], band=str(band))
    said = {
        "Description": printable(name),
        "NoDataValue": str(layer.nodata),
        "ColorInterp": ("Red", "Green", "Blue")[band - 1] if layer.rgb else _look(layer, band),
        "UnitType": layer.unit,
        "Offset": repr(float(layer.offset)),
        "Scale": repr(float(layer.scale)),
    }
    for key, text in said.items():
        if text:
            ET.SubElement(described, key).text = text
    if layer.categories:
        colors = {each.value: (*each.rgb, 255) for each in layer.categories}
        names = {each.value: printable(each.name) for each in layer.categories}
        table, listed = ET.SubElement(described, "ColorTable"), ET.SubElement(described, "CategoryNames")
        for value in range(max(colors) + 1):  # the position is the value
            parts = zip(("c1", "c2", "c3", "c4"), colors.get(value, (0, 0, 0, 0)), strict=True)
            ET.SubElement(table, "Entry", {key: str(part) for key, part in parts})
            ET.SubElement(listed, "Category").text = names.get(value, "")
    return described


def _look(layer: Layer, band: int) -> str:
    if layer.categories:
        return "Palette"
    return "Gray" if band == 1 else "Undefined"


def _source(band: ET.Element, layer: Layer, part: Part, number: int) -> None:
    source = ET.SubElement(band, "ComplexSource")
    ET.SubElement(source, "SourceFilename", relativeToVRT="1").text = part.name
    ET.SubElement(source, "SourceBand").text = str(number)
    height, width = part.shape
    size = {"xSize": str(width), "ySize": str(height)}
    # said, so that a file is opened only when it is read
    ET.SubElement(
        source, "SourceProperties",
        RasterXSize=str(width), RasterYSize=str(height), DataType=TYPES[layer.dtype],
    )  # fmt: skip
    ET.SubElement(source, "SrcRect", {"xOff": "0", "yOff": "0", **size})
    ET.SubElement(source, "DstRect", {"xOff": str(part.col), "yOff": str(part.row), **size})
    ET.SubElement(source, "NODATA").text = str(layer.nodata)
