"""Where satellite data come from: the simulated world, Earth Engine, catalogues, recognised files.

A new kind of source is a module here and a row of `SOURCES`.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

from geocomiss.errors import SourceError
from geocomiss.modalities import MODALITIES
from geocomiss.recipes import RECIPES, Recipe
from geocomiss.sources.acquisitions import AcquisitionsSource
from geocomiss.sources.base import Reading, Source
from geocomiss.sources.combined import combined, is_combined, parts_of
from geocomiss.sources.cropharvest import CropHarvestSource
from geocomiss.sources.folder import member_of
from geocomiss.sources.openeo import OpenEOSource
from geocomiss.sources.stored import StoredSource
from geocomiss.sources.zoned import check_one_stack

SIMULATED: Final = "simulated"
"""Name of the source that needs no file."""
EARTH_ENGINE: Final = "ee"
"""Name of Google Earth Engine."""
CATALOGUES: Final = ("planetary-computer", "earth-search")
"""Catalogues with a name of their own: the keys of `stac.catalogues.CATALOGUES`."""
CATALOGUE_PREFIX: Final = "stac+"
"""Before the address of any other STAC API."""


@dataclass(frozen=True)
class SourceKind:
    """A kind of local data."""

    description: str
    """What it is, for the message that lists what is understood."""
    recognise: Callable[[Path], bool]
    """Whether a path holds such data, by looking at its content."""
    make: Callable[[Path, Recipe | None, Reading], Source]
    """Opens it; the recipe is what the model wants, for kinds that can choose."""


def _holds_items(path: Path) -> bool:
    from geocomiss.sources.stac.saved import recognise  # other local files need no STAC client

    return path.suffix.lower() in (".json", ".geojson") and recognise(path)


def _catalogue(where: Path | str, recipe: Recipe | None, reading: Reading) -> Source:
    from geocomiss.sources.stac.finders import finder_for  # as above
    from geocomiss.sources.stac.source import StacSource

    return StacSource(finder_for(str(where)), recipe, reading)


def _exported(path: Path, recipe: Recipe | None, reading: Reading) -> Source:
    from geocomiss.sources.exports.source import ExportedSource  # other local files need no Google client

    return ExportedSource(path)


SOURCES: Final[dict[str, SourceKind]] = {
    "stored": SourceKind(
        "a stack written by `geocomiss fetch` (Zarr folder)",
        StoredSource.recognise,
        lambda path, *_: StoredSource(path),
    ),
    "export": SourceKind(
        "the folder of `geocomiss export` (export.json, and GeoTIFFs beside it or in a bucket)",
        lambda path: (path / "export.json").is_file(),
        _exported,
    ),
    "openeo": SourceKind(
        "monthly composites of WorldCereal/openEO (NetCDF)",
        OpenEOSource.recognise,
        lambda path, *_: OpenEOSource(path),
    ),
    "cropharvest": SourceKind(
        "an Earth Engine export of CropHarvest/OpenMapFlow (GeoTIFF, 17 bands a step and 2)",
        CropHarvestSource.recognise,
        lambda path, *_: CropHarvestSource(path),
    ),
    "acquisitions": SourceKind(
        "a folder of raw acquisitions (NetCDF: Sentinel-2 with SCL, Sentinel-1, daily weather)",
        AcquisitionsSource.recognise,
        lambda path, recipe, reading: AcquisitionsSource(path, recipe, reading),
    ),
    "items": SourceKind(
        "a search saved by `geocomiss search --save` (JSON of STAC items)",
        _holds_items,
        _catalogue,
    ),
}
"""Kinds of local data, in the order in which they are tried."""


def open_source(
    text: str, recipe: Recipe | None = None, seed: int = 0, reading: Reading | None = None
) -> Source:
    """The source that a user names.

    Args:
        text: 'simulated', 'ee' (Google Earth Engine), a catalogue ('planetary-computer', 'earth-search',
            'stac+URL'), the path of local data, or one of these for each modality
            ('optical=earth-search,weather=era5.nc').
        recipe: What the model wants, followed by sources that can choose (simulated, Earth Engine,
            catalogues, raw acquisitions); files state their own.
        seed: Seed of the simulated world.
        reading: How catalogues and Earth Engine are read.

    Raises:
        SourceError: The path does not exist, is damaged, or holds nothing that is understood; a
            server does not answer.
    """
    reading = reading or Reading()
    if is_combined(text):
        return combined(text, lambda part, names: _part(part, names, recipe, seed, reading))
    if text == SIMULATED:
        from geocomiss.sources.simulated import SimulatedSource  # local files need no world

        return SimulatedSource(recipe or RECIPES["monthly-l2a"], seed)
    if text == EARTH_ENGINE:
        from geocomiss.sources.ee.source import EarthEngineSource  # other sources need no Google client

        return EarthEngineSource(recipe, reading)
    if text in CATALOGUES or text.startswith(CATALOGUE_PREFIX):
        return _catalogue(text, recipe, reading)
    return _local(text, recipe, reading)


def sources_of(text: str) -> tuple[str, ...]:
    """What a user named, each on its own, where there may be one for each modality."""
    return tuple(dict.fromkeys(parts_of(text).values())) if is_combined(text) else (text,)


def _part(text: str, names: tuple[str, ...], recipe: Recipe | None, seed: int, reading: Reading) -> Source:
    """The source of some modalities of a combined one."""
    if names == ("weather",) and Path(text).exists():
        return weather_source(text, recipe)
    everything = {name: modality.band_names for name, modality in MODALITIES.items()}
    wanted = everything if reading.wanted is None else reading.wanted
    only = {name: wanted.get(name, everything[name]) for name in names}
    return open_source(text, recipe, seed, replace(reading, wanted=only))


def weather_source(text: str, recipe: Recipe | None = None) -> Source:
    """The weather of a file, or of any other source that has some.

    Raises:
        SourceError: It holds none, or does not exist.
    """
    path = Path(text)
    if any(kind.recognise(path) for kind in SOURCES.values()):
        return open_source(text, recipe)
    from geocomiss.sources.weather import WeatherSource  # as above

    return WeatherSource(path.absolute(), recipe)


def _local(text: str, recipe: Recipe | None, reading: Reading) -> Source:
    """A source on disk, recognised by its content."""
    path = Path(text)
    known = (
        repr(SIMULATED),
        f"{EARTH_ENGINE!r} (Google Earth Engine)",
        *CATALOGUES,
        f"{CATALOGUE_PREFIX}URL",
        *(k.description for k in SOURCES.values()),
    )
    understood = ", or ".join(known)
    if not path.exists():
        raise SourceError(f"the source {text!r} does not exist", expected=understood, todo="check the path")
    check_one_stack(path)
    for kind in SOURCES.values():
        if kind.recognise(path):
            return kind.make(path.absolute(), recipe, reading)  # workers may run in other folders
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
