"""The coarser levels of a map, made only where the map holds something.

GDAL's own way computes every pixel of them, whatever there is: of a map of scattered fields, nearly always
"no data" from "no data". Here GDAL's kernels see the parts that hold something, each level made from the one
before it, as GDAL does. Modes are those of GDAL, and so are averages where each level has exactly half the
rows and columns of the one before it; elsewhere one of some 50,000 averages differs by one, where the exact
one lies half-way between two numbers.

H x W pixels.
"""

from collections.abc import Iterator
from math import ceil, floor
from pathlib import Path
from typing import Any, Final
from xml.etree import ElementTree as XML

import numpy as np
import rasterio
import rasterio.shutil
from numpy.typing import NDArray
from rasterio.enums import Resampling
from rasterio.windows import Window

from geocomiss.maps.readback import BLOCK

PART: Final = BLOCK // 2
"""Pixels a side of the parts of a level that are made at a time: each from about one block."""
RULES: Final = ("mode", "average")
"""How pixels become one: others are left to GDAL, whose kernels choose otherwise in parts."""
VRT: Final = ".vrt"
"""Follows the name of a file in that of one that adds levels to it."""

Bools = NDArray[np.bool_]
Shape = tuple[int, int]


def with_levels(plain: Path, occupied: Bools, rule: str) -> Path:
    """A raster together with its coarser levels, as one that GDAL copies.

    Args:
        plain: A raster in blocks of `BLOCK` pixels a side. Files whose names begin with its name are added.
        occupied: (rows, columns) blocks that hold more than "no data".
        rule: How four pixels become one: one of `RULES`, or another one.

    Returns:
        A VRT of both; `plain` itself where it needs no levels, or GDAL has to make them.
    """
    with rasterio.open(plain) as file:
        shapes, profile = list(level_shapes(file.shape)), file.profile | {"SPARSE_OK": True}
    # kernels differ where a level is a pixel wide; a map that is so narrow is small
    if rule not in RULES or not shapes or min(shapes[-1]) < 2:
        return plain
    levels, finer = [], plain
    for number, (height, width) in enumerate(shapes, 1):
        level = plain.with_name(f"{plain.name}.{number}.tif")
        with (
            rasterio.open(finer) as source,
            rasterio.open(level, "w", **(profile | {"height": height, "width": width})) as file,
        ):
            occupied = _make(source, file, occupied, Resampling[rule])
        levels.append(level)
        finer = level
    return _joined(plain, levels)


def level_shapes(shape: Shape) -> Iterator[Shape]:
    """Height and width of the levels that GDAL gives a COG: halved until one fits a block."""
    height, width = shape
    while max(height, width) > BLOCK:
        height, width = max(1, height // 2), max(1, width // 2)
        yield height, width


def _make(source: Any, level: Any, occupied: Bools, rule: Resampling) -> Bools:
    """Fill a level (an open file) from the one before it. Returns which of its blocks hold something."""
    down, across = source.height / level.height, source.width / level.width
    held = np.zeros([-(-side // BLOCK) for side in level.shape], bool)
    for top in range(0, level.height, PART):
        height = min(PART, level.height - top)
        rows = _met(top * down, (top + height) * down)
        for left in range(0, level.width, PART):
            width = min(PART, level.width - left)
            if not occupied[rows, _met(left * across, (left + width) * across)].any():
                continue
            window = Window(left * across, top * down, width * across, height * down)
            values = source.read(window=window, out_shape=(source.count, height, width), resampling=rule)
            level.write(values, window=Window(left, top, width, height))
            held[top // BLOCK, left // BLOCK] = True
    return held


def _met(first: float, last: float) -> slice:
    """Blocks along an axis that a span of pixels meets."""
    return slice(floor(first / BLOCK), ceil(last / BLOCK))


def _joined(plain: Path, levels: list[Path]) -> Path:
    """Write a VRT of a raster with its levels; colours, names and tags are those of the raster."""
    path = plain.with_name(plain.name + VRT)
    path.unlink(missing_ok=True)  # GDAL would delete the files that one of a killed run names, too
    rasterio.shutil.copy(plain, path, driver="VRT")
    whole = XML.parse(path)
    for band in whole.iter("VRTRasterBand"):
        for level in levels:
            entry = XML.SubElement(band, "Overview")
            XML.SubElement(entry, "SourceFilename", relativeToVRT="1").text = level.name
            XML.SubElement(entry, "SourceBand").text = band.get("band")
    whole.write(path)
    return path
