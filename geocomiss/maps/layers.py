"""What the rasters of a map hold."""

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True)
class Category:
    """One class of a categorical map."""

    value: int
    """Value in the file, 0..255."""
    name: str
    """What GIS software shows."""
    color: str
    """'#rrggbb'."""

    @property
    def rgb(self) -> tuple[int, int, int]:
        """Red, green, blue, 0..255."""
        red, green, blue = bytes.fromhex(self.color.removeprefix("#"))
        return red, green, blue


@dataclass(frozen=True)
class Layer:
    """What a raster of one band holds."""

    name: str
    """Name of the band and stem of the file."""
    nodata: int
    """Value that says "nothing here"."""
    description: str
    """What the values mean, a line; becomes the tag DESCRIPTION."""
    dtype: Literal["uint8", "uint16"] = "uint8"
    """Type of the values."""
    unit: str = ""
    """Unit of the values once scaled; empty where they have none."""
    scale: float = 1.0
    """Factor from stored to true values."""
    categories: tuple[Category, ...] = ()
    """Classes, for palette and names; none for quantities."""
    overviews: Literal["mode", "average", "nearest"] = "nearest"
    """How coarser levels are made: 'mode' for classes, 'average' for quantities, 'nearest' for bits."""
