"""Where satellite data come from: the simulated world, or files recognised by their content.

A new kind of source is a module here and a row of `SOURCES`.
"""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from geocomiss.errors import SourceError
from geocomiss.recipes import RECIPES, Recipe
from geocomiss.sources.acquisitions import AcquisitionsSource
from geocomiss.sources.base import Source
from geocomiss.sources.cropharvest import CropHarvestSource
from geocomiss.sources.folder import member_of
from geocomiss.sources.openeo import OpenEOSource
from geocomiss.sources.stored import StoredSource

SIMULATED: Final = "simulated"
"""Name of the source that needs no file."""


@dataclass(frozen=True)
class SourceKind:
    """A kind of local data."""

    description: str
    """What it is, for the message that lists what is understood."""
    recognise: Callable[[Path], bool]
    """Whether a path holds such data, by looking at its content."""
    make: Callable[[Path, Recipe | None], Source]
    """Opens it; the recipe is what the model wants, for kinds that can choose."""


SOURCES: Final[dict[str, SourceKind]] = {
    "stored": SourceKind(
        "a stack written by `geocomiss fetch` (Zarr folder)",
        StoredSource.recognise,
        lambda path, _: StoredSource(path),
    ),
    "openeo": SourceKind(
        "monthly composites of WorldCereal/openEO (NetCDF)",
        OpenEOSource.recognise,
        lambda path, _: OpenEOSource(path),
    ),
    "cropharvest": SourceKind(
        "an Earth Engine export of CropHarvest/OpenMapFlow (GeoTIFF, 17 bands a step and 2)",
        CropHarvestSource.recognise,
        lambda path, _: CropHarvestSource(path),
    ),
    "acquisitions": SourceKind(
        "a folder of raw acquisitions (NetCDF: Sentinel-2 with SCL, Sentinel-1, daily weather)",
        AcquisitionsSource.recognise,
        AcquisitionsSource,
    ),
}
"""Kinds of local data, in the order in which they are tried."""


def open_source(text: str, recipe: Recipe | None = None, seed: int = 0) -> Source:
    """The source that a user names.

    Args:
        text: 'simulated', or the path of local data.
        recipe: What the model wants, followed by sources that can choose (simulated, raw
            acquisitions); files state their own.
        seed: Seed of the simulated world.

    Raises:
        SourceError: The path does not exist, is damaged, or holds nothing that is understood.
    """
    if text == SIMULATED:
        from geocomiss.sources.simulated import SimulatedSource  # local files need no world

        return SimulatedSource(recipe or RECIPES["monthly-l2a"], seed)
    path = Path(text)
    understood = f"'{SIMULATED}', or " + ", or ".join(kind.description for kind in SOURCES.values())
    if not path.exists():
        raise SourceError(f"the source {text!r} does not exist", expected=understood, todo="check the path")
    for kind in SOURCES.values():
        if kind.recognise(path):
            return kind.make(path, recipe)
    raise SourceError(
        f"the source {path.name!r} is {_looks(path)}",
        expected=understood,
        todo="give the folder that holds it, with a file of each sensor"
        if path.is_file() and member_of(path)
        else "check the path, or convert the data to one of these",
    )


def _looks(path: Path) -> str:
    """What a path that nobody recognises looks like."""
    if path.is_dir():
        return f"a folder of {sum(1 for _ in path.iterdir())} entries, none of them understood"
    if not path.stat().st_size:
        return "an empty file"
    return f"a file of {path.stat().st_size:,} bytes whose content is not understood"
