"""What a user's area and season mean for a source: its own pixels and periods where it has any."""

import os
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Final

from odc.geo import Geometry
from odc.geo.geobox import GeoBox

from geocomiss.covering import common
from geocomiss.errors import AreaError, RecipeError, SeasonError, SourceError
from geocomiss.grid import crop, crs_of, crs_text, densify, grid_of, lonlat
from geocomiss.recipes import Recipe
from geocomiss.seasons import Calendar, Cycle, parse_season, read_season, today
from geocomiss.sources import EARTH_ENGINE, open_source, weather_source
from geocomiss.sources.base import Confined, EarthEngine, Reading, Source
from geocomiss.sources.combined import with_weather
from geocomiss.stack import periods

DEFAULT_RESOLUTION: Final = 10.0
"""Metres."""
SHOWN: Final = 5e-4
"""Share of an area that is not 0.0 % in words; edges that are straight in another CRS come to less."""


@dataclass(frozen=True)
class Asked:
    """What a user and a model ask of a source."""

    text: str
    """As in `open_source`."""
    recipe: Recipe
    """What the model wants, or what the user asked for."""
    seed: int = 0
    """Seed of the simulated world."""
    cloud_dilation: float | None = None
    """Metres by which clouds are grown; None leaves it to the recipe."""
    weather: str | None = None
    """File from which the weather is taken; None: from the source, if it has any."""
    reading: Reading = field(default_factory=Reading)
    """How catalogues are read."""


def source_asked(asked: Asked) -> Source:
    """The source that a user names, with clouds grown and weather taken as the user wants it.

    Raises:
        RecipeError: A dilation below 0, or the source's clouds were grown by another distance already.
        SourceError: See `open_source`.
    """
    distance = asked.cloud_dilation
    recipe = asked.recipe if distance is None else replace(asked.recipe, cloud_dilation=distance)
    reading = _checked(asked.reading)
    _check_metered(asked.text, reading.ee)
    source = open_source(asked.text, recipe, asked.seed, reading)
    if distance is not None and (distance < 0 or source.recipe.cloud_dilation != distance):
        raise RecipeError(
            f"--cloud-dilation {distance:g} for {source.name}",
            expected="0 or more metres, and a source whose clouds are still to be grown",
            todo="leave the option out, or give raw acquisitions",
        )
    return with_weather(source, weather_source(asked.weather, recipe)) if asked.weather else source


def _checked(reading: Reading) -> Reading:
    """Refuses shares that are none."""
    for option, value, most in (
        ("--max-cloud", reading.max_cloud, 100),
        ("--max-unreadable", reading.max_unreadable * 100, 100),
    ):
        if not 0 <= value <= most:
            raise SourceError(f"{option} {value:g}", expected=f"0 to {most} per cent", todo="correct it")
    return reading


def _check_metered(text: str, ee: EarthEngine) -> None:
    """Refuses choices of compositing by Earth Engine for a source that is another."""
    given = [
        option
        for option, value, unset in (
            ("--s1-pass", ee.s1_pass, "auto"),
            ("--cloud-score", ee.cloud_score, None),
        )
        if value != unset
    ]
    if given and EARTH_ENGINE not in (part.rpartition("=")[2] for part in text.split(",")):
        raise SourceError(
            f"{' and '.join(given)} for the source {text!r}",
            expected=f"--source {EARTH_ENGINE}: only there can it be chosen",
            todo="leave it out",
        )


def resolve_season(text: str | None, source: Source, cycle: Cycle, *, exact: bool = True) -> Calendar | None:
    """The season asked for or, without one, the only period that a local stack holds.

    Args:
        text: The user's `--season`, if any.
        source: Where the stack comes from.
        cycle: Steps of the model, or of the recipe where there is no model.
        exact: Whether the season must have the months of the cycle (a model asks for them).

    Returns:
        None where a local stack holds no period of the cycle at all.

    Raises:
        SeasonError: No season given where one is needed, or several to choose from.
    """
    if text:
        return parse_season(text, cycle) if exact else read_season(text, cycle)
    if source.held is None:
        raise SeasonError("no season", expected="--season, for example 2021", todo="say which season to map")
    found = periods(source.held, cycle)
    if len(found) > 1:
        raise SeasonError(
            f"the stack holds {len(found)} seasons: {'; '.join(map(str, found))}",
            expected="one of them",
            todo=f"say which, for example --season {found[-1].last_day.year}",
        )
    return found[0] if found else None


def resolve_grid(source: Source, area: Geometry | None, crs: str, resolution: float | None) -> GeoBox:
    """The grid of an area: a local stack's own pixels, else snapped to the resolution.

    Raises:
        AreaError: No area where one is needed, or another grid than the local stack's.
    """
    if source.grid is None:
        if area is None:
            raise AreaError(
                "no area of interest", expected="--aoi", todo="give a vector file, W,S,E,N or WKT"
            )
        return grid_of(area, crs, DEFAULT_RESOLUTION if resolution is None else resolution)
    own = source.grid
    asked_crs = None if crs == "auto" else crs
    if (asked_crs and crs_of(own) != asked_crs) or (
        resolution is not None and abs(own.resolution.x - resolution) > 1e-9
    ):
        raise AreaError(
            f"{_asked(asked_crs, resolution)} for a stack of {own.resolution.x:g} in {crs_text(crs_of(own))}",
            expected="the stack's own grid: its pixels are never resampled",
            todo="leave the option out",
        )
    return crop(own, area, source.name) if area else own


def _asked(crs: str | None, resolution: float | None) -> str:
    """The options as the user typed them."""
    given = [f"--crs {crs}"] if crs else []
    return " ".join([*given, f"--resolution {resolution:g}"] if resolution is not None else given)


def area_held(source: Source, area: Geometry | None) -> Geometry | None:
    """The part of an area that a source holds: all that it holds where no area is asked for.

    Raises:
        AreaError: It holds nothing of the area.
    """
    held = source.area if isinstance(source, Confined) else None
    if area is None or held is None:
        return area or held
    shared = common(area, held)
    if shared is None:
        raise AreaError(
            f"the area of interest ({lonlat(area)}) shares nothing with what was fetched ({source.name})",
            expected=f"an area that does, within {lonlat(held)}",
            todo="fetch a stack of it, or leave --aoi out to map what was fetched",
        )
    return shared


def uncovered(source: Source, area: Geometry | None) -> Iterator[str]:
    """Says how much of the area of interest a local stack does not cover, if any."""
    if area is None or source.grid is None:
        return
    crs, held = crs_of(source.grid), area_held(source, area) or area
    asked, there = (each.to_crs(crs, resolution=densify(each)) for each in (area, held))
    outside = 1 - (there & source.grid.extent).area / asked.area
    if outside > SHOWN:
        yield f"{outside:.1%} of the area of interest lies outside the stack and is left out"


def future_steps(season: Calendar) -> Iterator[str]:
    """Says how many steps of a season are still to come, if any."""
    ahead = sum(edge > today() for edge in season.edges()[:-1])
    if ahead:
        yield f"{ahead} of {season.number} steps of the season lie in the future: they are missing"


def files_state(path: Path) -> list[int]:
    """Number, size and latest change of the files of a source or mask: other data, other state."""
    found = [path.stat()] if path.is_file() else [file.stat() for file in _files(path)]
    return [
        len(found),
        sum(each.st_size for each in found),
        max((each.st_mtime_ns for each in found), default=0),
    ]


def _files(folder: str | Path) -> Iterator[os.DirEntry[str]]:
    """All files in a folder and those in it: of the hundred thousand of a stack each is asked once."""
    if not os.path.isdir(folder):
        return
    with os.scandir(folder) as entries:
        for entry in entries:
            if entry.is_dir(follow_symlinks=False):
                yield from _files(entry.path)
            elif entry.is_file():
                yield entry
