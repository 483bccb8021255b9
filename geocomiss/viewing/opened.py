"""A map as it is found: all that can be shown of it, and what is missing, in words.

Maps of other tools are shown, too, and maps that lost files: a folder or a single GeoTIFF.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

import numpy as np
import rasterio
from odc.geo.geobox import GeoBox
from rasterio.errors import RasterioError
from rasterio.io import DatasetReader

from geocomiss.errors import MapError
from geocomiss.grid import pixel_hectares, tiles_of
from geocomiss.maps import (
    SUMMARY,
    Category,
    Layer,
    applicability,
    expected_accuracy,
    map_layers,
    ndvi_curve,
    read_categories,
    read_map_legend,
    read_summary,
    renamed,
    true_color,
)
from geocomiss.maps.layers import other_color
from geocomiss.viewing.unfinished import CROP_TYPE, main_raster, still_made

HIDDEN: Final = ("probabilities",)
"""Layers that are for computing with, not for looking at."""
NOT_ALWAYS: Final = (expected_accuracy(), applicability())
"""Layers of results that some maps have."""
TILE: Final = 2048
"""Pixels a side that are counted at once."""
BLOCK: Final = 512
"""Pixels a side of what is lost where a file is damaged."""


@dataclass(frozen=True)
class OpenedMap:
    """A map, ready to be shown."""

    folder: Path
    """Where it lies."""
    title: str
    """What it is called."""
    grid: GeoBox
    """Pixels of its main raster."""
    layers: tuple[tuple[Path, Layer], ...]
    """Rasters that can be read, the main one first."""
    areas: tuple[tuple[Category, int, float], ...]
    """Class, pixels and hectares, in the order of the legend."""
    summary: dict[str, Any]
    """What `run.json` says; empty where there is none."""
    missing: tuple[str, ...]
    """What could not be shown and why."""

    @property
    def label(self) -> str:
        """What it must not be mistaken for, such as SIMULATED WORLD; '' where it is a map of the world."""
        return str(self.summary.get("label") or "")

    @property
    def main(self) -> tuple[Path, Layer]:
        """The raster with the classes."""
        return self.layers[0]

    def named(self, name: str) -> tuple[Path, Layer] | None:
        """A raster by its name."""
        return next((each for each in self.layers if each[1].name == name), None)


def open_map_to_view(path: Path, legend: Path | None = None, title: str | None = None) -> OpenedMap:
    """Open a map folder, or one GeoTIFF of classes.

    Args:
        path: Folder or file.
        legend: Other names and colours of the classes.
        title: What to call it; None: after its season.

    Raises:
        MapError: There is nothing to show, or the legend does not fit.
    """
    main = main_raster(path)
    missing = list(still_made(path))
    summary = _summary(main.parent, missing) if path.is_dir() else {}
    with _opened(main) as file:
        if file.count != 1 or np.dtype(file.dtypes[0]) != np.uint8 or file.crs is None:
            kind = f"{file.count} band(s) of {file.dtypes[0]}" + ("" if file.crs else " without CRS")
            raise MapError(
                f"{main} has {kind}",
                expected="one band of bytes, a class each, on a known CRS",
                todo="give the map of classes; if it is one, its file was cut: copy it again",
            )
        grid = GeoBox(file.shape, file.transform, file.crs.to_wkt())
        pixels, hectares = _count(file, grid, missing)
        named = _classes(main, file, summary, missing)
        nodata = int(file.nodata) if file.nodata is not None else 0
    classes = _complete(named, pixels, nodata, missing)
    if legend is not None:
        classes = renamed(classes, read_map_legend(legend, classes))
    declared = {layer.name: layer for layer in map_layers(classes)}
    crop = replace(declared[CROP_TYPE], nodata=nodata)
    found = ((main, crop), *_others(main, declared, missing, path.is_dir()))
    areas = tuple((each, int(pixels[each.value]), float(hectares[each.value])) for each in classes)
    return OpenedMap(main.parent, title or _title(summary, main), grid, found, areas, summary, tuple(missing))


def _opened(main: Path) -> DatasetReader:
    try:
        return rasterio.open(main)
    except RasterioError as error:
        raise _unreadable(main, error) from error


def _unreadable(path: Path, error: Exception) -> MapError:
    return MapError(
        f"{path} cannot be read ({str(error).splitlines()[0]})",
        expected="a whole GeoTIFF",
        todo="make the map again, or copy the file again",
    )


def _summary(folder: Path, missing: list[str]) -> dict[str, Any]:
    try:
        return read_summary(folder)
    except MapError as error:
        missing.append(f"{SUMMARY}: {error.found}; season, model and observations are not known")
        return {}


def _count(file: DatasetReader, grid: GeoBox, missing: list[str]) -> tuple[Any, Any]:
    """Pixels and hectares by value 0..255, of what can be read.

    Raises:
        MapError: Nothing can.
    """
    pixels, hectares, lost = np.zeros(256, np.int64), np.zeros(256), 0
    for part, values in _parts(file, grid):
        if values is None:
            lost += part.height * part.width
            continue
        pixels += np.bincount(values, minlength=256)
        hectares += np.bincount(values, pixel_hectares(part).ravel(), minlength=256)
    if not pixels.any():
        raise _unreadable(Path(file.name), OSError("its pixels are not there"))
    if lost:
        share = lost / (grid.height * grid.width)
        missing.append(
            f"{Path(file.name).name}: {share:.0%} of its pixels cannot be read: its file was cut or damaged; "
            "areas are of the rest, and it may be shown coarsely"
        )
    return pixels, hectares


def _parts(file: DatasetReader, grid: GeoBox) -> Iterator[tuple[GeoBox, Any]]:
    """Values of large parts, where these are damaged of their small parts; None where those are, too."""
    for tile in tiles_of(grid, TILE):
        values = _read_part(file, tile.y, tile.x)
        if values is not None:
            yield tile.geobox, values
            continue
        for part in tiles_of(tile.geobox, BLOCK):
            rows = slice(tile.y.start + part.y.start, tile.y.start + part.y.stop)
            cols = slice(tile.x.start + part.x.start, tile.x.start + part.x.stop)
            yield part.geobox, _read_part(file, rows, cols)


def _read_part(file: DatasetReader, rows: slice, cols: slice) -> Any:
    """Values of a part, one after the other, or None where they are damaged."""
    try:
        return file.read(1, window=((rows.start, rows.stop), (cols.start, cols.stop))).ravel()
    except RasterioError:
        return None


def _classes(
    main: Path, file: DatasetReader, summary: dict[str, Any], missing: list[str]
) -> tuple[Category, ...]:
    """Classes from the sidecar, else the summary, else the palette."""
    try:
        if found := read_categories(main):
            return found
        missing.append(f"{main.name}.aux.xml: not there")
    except MapError as error:
        missing.append(error.found)
    try:
        stated = [Category(each["value"], each["name"], each["color"]) for each in summary["classes"]]
        return tuple(each for each in stated if each.rgb)
    except (KeyError, TypeError, ValueError):
        pass
    try:
        palette = file.colormap(1)
    except ValueError:
        missing.append("names and colours of the classes: none in the file")
        return ()
    missing.append("names of the classes: only their colours are known")
    used = {value: color for value, color in palette.items() if any(color[:3])}
    return tuple(
        Category(value, f"class {value}", "#{:02x}{:02x}{:02x}".format(*color[:3]))
        for value, color in used.items()
    )


def _complete(
    named: tuple[Category, ...], pixels: Any, nodata: int, missing: list[str]
) -> tuple[Category, ...]:
    """The classes, with those that occur and have no name; without those nobody named that do not occur."""
    known = {each.value: each for each in named}
    unknown = [value for value in np.flatnonzero(pixels).tolist() if value != nodata and value not in known]
    if unknown and known:
        missing.append(f"names of the values {', '.join(map(str, unknown))}: the legend does not have them")
    for number, value in enumerate(unknown):
        known[value] = Category(value, f"class {value}", other_color(number))
    classes = tuple(known[value] for value in sorted(known) if value != nodata)
    if len(classes) > 60:  # a palette of 256 entries is no legend
        classes = tuple(each for each in classes if pixels[each.value])
    return classes


def _others(
    main: Path, declared: dict[str, Layer], missing: list[str], whole: bool
) -> Iterator[tuple[Path, Layer]]:
    """The other rasters of a folder, those that every map has first."""
    if not whole:
        return
    present = {path.stem: path for path in sorted(main.parent.glob("*.tif")) if path != main}
    for name in declared:
        if name != CROP_TYPE and name not in present:
            missing.append(f"{name}.tif: not there")
    order = [name for name in declared if name in present]
    for name in (*order, *(each for each in present if each not in declared)):
        if name in HIDDEN:
            continue
        try:
            with rasterio.open(present[name]) as file:
                if problem := _problem(file):
                    missing.append(f"{name}.tif: {problem}")
                    continue
                file.read(1, window=((0, 1), (0, 1)))
                yield present[name], _described(name, file, declared.get(name))
        except (RasterioError, MapError) as error:
            missing.append(f"{name}.tif: cannot be read ({str(error).splitlines()[0]})")


def _problem(file: DatasetReader) -> str:
    """Why a raster beside a map cannot be shown; empty where it can."""
    if file.crs is None:
        return "cannot be read whole: it has no CRS"
    wrong = set(file.dtypes) - {"uint8", "uint16"}
    return f"holds {', '.join(sorted(wrong))}; bytes or 16-bit numbers can be shown" if wrong else ""


def _described(name: str, file: DatasetReader, known: Layer | None) -> Layer:
    """What a raster holds, by what is declared and by what it says itself."""
    bands = tuple(text or f"band {number}" for number, text in enumerate(file.descriptions, 1))
    special = {each.name: each for each in (*NOT_ALWAYS, true_color(1), ndvi_curve(1, bands))}
    layer = known or special.get(name) or Layer(name, 255, name, title=name.replace("_", " "))
    categories = layer.categories
    if file.count == 1 and (found := read_categories(Path(file.name))):
        categories = found
    return replace(
        layer,
        bands=bands,
        scale=file.scales[0],
        offset=file.offsets[0],
        span=layer.span if file.scales[0] == layer.scale else None,  # other units: other ends
        nodata=int(file.nodata) if file.nodata is not None else layer.nodata,
        categories=categories,
    )


def _title(summary: dict[str, Any], main: Path) -> str:
    season = summary.get("season")
    if isinstance(season, dict) and season.get("start") and season.get("end"):
        return f"Crop types, {season['start']} to {season['end']}"
    return f"Crop types, {main.stem}" if main.stem != CROP_TYPE else "Crop types"
