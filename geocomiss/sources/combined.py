"""A source of its own for each modality: `optical=earth-search,radar=planetary-computer,weather=FILE`."""

import re
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any, Final

import xarray as xr
from odc.geo import Geometry
from odc.geo.geobox import GeoBox

from geocomiss.covering import common
from geocomiss.errors import SourceError
from geocomiss.grid import same_grid
from geocomiss.modalities import MODALITIES
from geocomiss.recipes import COMPARED, Recipe
from geocomiss.seasons import Calendar
from geocomiss.sources.base import (
    Accounting,
    Compositing,
    Confined,
    Counting,
    Listing,
    Metered,
    Scenes,
    Source,
    Traffic,
)
from geocomiss.stack import Origin, groups_of, new_stack, origin_of

PART: Final = re.compile(r"(?:^|,)(" + "|".join(MODALITIES) + ")=")
"""Where the part of a modality begins."""


class CombinedSource:
    """Takes each modality from a source of its own. Implements `Source`, `Accounting`, `Counting`, `Metered`.

    Args:
        parts: Source of each modality.

    Raises:
        SourceError: A source does not have the modality, or two lie on grids of their own.
    """

    def __init__(self, parts: Mapping[str, Source]) -> None:
        self._parts = {name: parts[name] for name in MODALITIES if name in parts}
        for name, part in self._parts.items():
            if name not in part.bands:
                raise SourceError(
                    f"{part.name} has no {name}", expected=f"a source of {name}", todo="take it from another"
                )
        self.name = ", ".join(f"{name} {part.name}" for name, part in self._parts.items())
        self.grid = self._only_grid()
        self.area = self._common_area()
        """See `Confined.area`: what all parts hold."""

    @property
    def recipe(self) -> Recipe:
        """Of each modality its source's."""
        first = next(iter(self._parts.values())).recipe
        told: dict[str, Any] = {
            field: getattr(self._parts[name].recipe, field)
            for name, field, _ in (*COMPARED, ("optical", "cloud_dilation", ""))
            if name in self._parts
        }
        return replace(first, **told)

    @property
    def bands(self) -> dict[str, tuple[str, ...]]:
        """Of each modality its source's."""
        return {name: part.bands[name] for name, part in self._parts.items()}

    @property
    def simulated(self) -> bool:
        """Whether all values come from the simulated world."""
        return all(part.simulated for part in self._parts.values())

    @property
    def held(self) -> Calendar | None:
        """The time steps of the first source that holds a period of its own."""
        return next((part.held for part in self._parts.values() if part.held is not None), None)

    @property
    def state(self) -> str:
        """Of the sources that read over a network."""
        return " ".join(part.state for part in self.parts if isinstance(part, Accounting))

    @property
    def items(self) -> tuple[str, ...]:
        """Addresses of the STAC Items of all parts."""
        listed = (part.items for part in self.parts if isinstance(part, Listing))
        return tuple(dict.fromkeys(address for each in listed for address in each))

    def account(self) -> tuple[tuple[str, ...], tuple[str, ...]]:
        """Of the sources that read over a network, each by name."""
        notes: list[str] = []
        warnings: list[str] = []
        for part in self.parts:
            if isinstance(part, Accounting):
                said, worries = part.account()
                notes += [f"{part.name}: {each}" for each in said]
                warnings += [f"{part.name}: {each}" for each in worries]
        return tuple(notes), tuple(warnings)

    @property
    def traffic(self) -> Traffic:
        """Of all parts that count theirs."""
        return sum((part.traffic for part in self.parts if isinstance(part, Metered)), Traffic())

    def counted(self) -> object:
        """See `Counting.counted`; of each part."""
        return [part.counted() if isinstance(part, Counting) else None for part in self.parts]

    def count(self, counted: object) -> None:
        """See `Counting.count`."""
        for part, each in zip(self.parts, counted if isinstance(counted, list) else [], strict=False):
            if isinstance(part, Counting):
                part.count(each)

    def scenes(self, grid: GeoBox, season: Calendar) -> Scenes | None:
        """See `Compositing.scenes`; of the part that takes most, as all make their blocks in turn."""
        parts = (part.scenes(grid, season) for part in self.parts if isinstance(part, Compositing))
        return max(filter(None, parts), key=lambda each: each.taken(each.side), default=None)

    def cut(self, tile: int) -> None:
        """See `Compositing.cut`."""
        for part in self.parts:
            if isinstance(part, Compositing):
                part.cut(tile)

    def open(self, grid: GeoBox, season: Calendar) -> xr.DataTree:
        """Each modality from its source (see `Source.open`)."""
        stacks = {id(part): part.open(grid, season) for part in self.parts}
        groups: dict[str, xr.Dataset] = {}
        recipe = self.recipe
        for name, part in self._parts.items():
            stack = stacks[id(part)]
            if name in groups_of(stack):
                groups[name] = groups_of(stack)[name]
            own = {field: getattr(origin_of(stack).recipe, field) for at, field, _ in COMPARED if at == name}
            recipe = replace(recipe, **own)
        origins = [origin_of(stacks[id(part)]) for part in self.parts]
        radar = (
            origin_of(stacks[id(self._parts["radar"])]).radar_pass if "radar" in self._parts else "unknown"
        )
        notes = tuple(dict.fromkeys(note for origin in origins for note in origin.notes))
        return new_stack(
            groups, Origin(self.name, recipe, season, self.simulated, radar_pass=radar, notes=notes)
        )

    @property
    def parts(self) -> list[Source]:
        """Each source once."""
        return list({id(part): part for part in self._parts.values()}.values())

    def _only_grid(self) -> GeoBox | None:
        grids = [part.grid for part in self.parts if part.grid is not None]
        if any(not same_grid(grid, grids[0]) for grid in grids[1:]):
            raise SourceError(
                "two sources on pixel grids of their own",
                expected="at most one local stack, the rest from catalogues",
                todo="bring them to one grid with `geocomiss fetch`",
            )
        return grids[0] if grids else None

    def _common_area(self) -> Geometry | None:
        area = None
        for part in self.parts:
            held = part.area if isinstance(part, Confined) else None
            shared = common(area, held) if area and held else area or held
            if shared is None and area:
                raise SourceError(
                    f"{part.name} was fetched for another area than the sources before it",
                    expected="sources of one area",
                    todo="fetch it again with the --aoi of the others",
                )
            area = shared
        return area


def is_combined(text: str) -> bool:
    """Whether a `--source` names a source for each modality."""
    return PART.match(text) is not None


def parts_of(text: str) -> dict[str, str]:
    """'optical=a,radar=b' as {'optical': 'a', 'radar': 'b'}.

    Raises:
        SourceError: A modality is named twice or has no source.
    """
    marks = list(PART.finditer(text))
    ends = [mark.start() for mark in marks[1:]] + [len(text)]
    pairs = [(mark[1], text[mark.end() : end]) for mark, end in zip(marks, ends, strict=True)]
    if len({name for name, _ in pairs}) < len(pairs) or not all(value for _, value in pairs):
        raise SourceError(
            f"the source {text!r}",
            expected="each modality once, as optical=earth-search,radar=planetary-computer,weather=era5.nc",
            todo="correct --source",
        )
    return dict(pairs)


def combined(text: str, make: Callable[[str, tuple[str, ...]], Source]) -> CombinedSource:
    """The source of 'optical=a,radar=b'.

    Args:
        text: As typed.
        make: Opens a source for some modalities.
    """
    parts = parts_of(text)
    sources = {
        each: make(each, tuple(name for name, value in parts.items() if value == each))
        for each in dict.fromkeys(parts.values())
    }
    return CombinedSource({name: sources[each] for name, each in parts.items()})


def with_weather(source: Source, weather: Source) -> CombinedSource:
    """A source with its weather taken from another."""
    parts = {name: source for name in source.bands if name != "weather"}
    return CombinedSource(parts | {"weather": weather})
