"""Where items come from: a catalogue that is asked, or a saved search."""

from collections.abc import Mapping
from datetime import date, timedelta
from pathlib import Path
from typing import Any, Final, Protocol

import shapely
from pystac import Item

from geocomiss.errors import AreaError, SeasonError
from geocomiss.sources.passes import Box, Cell
from geocomiss.sources.stac.catalogues import PRODUCTS, product_of
from geocomiss.sources.stac.saved import read_items
from geocomiss.sources.stac.scenes import taken
from geocomiss.sources.stac.search import PREFIX, Api, Days

SLACK: Final = 0.01
"""Degrees by which a search may be left: margins read around an area."""


A_FEW: Final = 60
"""Items by which it is seen that a catalogue goes on: a month of two satellites."""


class Finder(Protocol):
    """Somewhere items are found."""

    @property
    def name(self) -> str:
        """Stated in maps."""

    @property
    def products(self) -> tuple[str, ...]:
        """Keys in `PRODUCTS` of what it may have."""

    @property
    def lacking(self) -> dict[str, str]:
        """Modalities that it cannot deliver, and why."""

    @property
    def directions(self) -> Mapping[str, Mapping[Cell, str]]:
        """Radar directions by season and cell, where they were decided on before."""

    def around(self, product: str, box: Box, days: Days) -> list[Item]:
        """Items of a product in more than the area: what a saved search has of it.

        Raises:
            SourceError: The search fails.
        """

    def later(self, product: str, box: Box, day: date) -> list[Item]:
        """Some items of a product after a day: whether a catalogue goes on, and with which satellites."""

    def items(self, product: str, box: Box, days: Days) -> list[Item]:
        """Items of a product; days (None, None) for a product without dates.

        Raises:
            SourceError: The search fails.
            AreaError: The area was not searched.
            SeasonError: The days were not searched.
        """


class CatalogueFinder:
    """Asks a catalogue by name or `stac+URL`."""

    def __init__(self, text: str) -> None:
        self.api = Api(text)
        self.name = self.api.catalogue.name
        self.products = self.api.catalogue.products
        self.lacking = dict(self.api.catalogue.lacking)
        self.directions: Mapping[str, Mapping[Cell, str]] = {}

    def around(self, product: str, box: Box, days: Days) -> list[Item]:
        """See `Finder.around`."""
        return self.items(product, box, days)

    def items(self, product: str, box: Box, days: Days) -> list[Item]:
        """See `Finder.items`."""
        found = self.api.items((PRODUCTS[product].collection,), box, days)
        return [item for item in found if product_of(item) == product]

    def later(self, product: str, box: Box, day: date) -> list[Item]:
        """See `Finder.later`."""
        days = (day + timedelta(days=1), None)
        return self.api.items((PRODUCTS[product].collection,), box, days, most=A_FEW)


class SavedFinder:
    """Looks into a saved search."""

    def __init__(self, path: Path) -> None:
        self._saved = read_items(path)
        self.name = f"items {path.name}"
        there = {product_of(item) for item in self._saved.items}
        self.products = tuple(key for key in PRODUCTS if key in there)
        self.lacking: dict[str, str] = {}
        self.directions: Mapping[str, Mapping[Cell, str]] = self._saved.directions

    def items(self, product: str, box: Box, days: Days) -> list[Item]:
        """See `Finder.items`."""
        self._check(box, days)
        return self.around(product, box, days)

    def around(self, product: str, box: Box, days: Days) -> list[Item]:
        """See `Finder.around`."""
        area = shapely.box(*box)
        first, last = days
        return [
            item
            for item in self._saved.items
            if product_of(item) == product
            and _extent(item).intersects(area)
            and (first is None or first <= taken(item).date())
            and (last is None or taken(item).date() <= last)
        ]

    def later(self, product: str, box: Box, day: date) -> list[Item]:
        """See `Finder.later`."""
        return [i for i in self._saved.items if product_of(i) == product and taken(i).date() > day][:A_FEW]

    def _check(self, box: Box, days: Days) -> None:
        searched = self._saved.box
        if searched and not shapely.box(*searched).buffer(SLACK).contains(shapely.box(*box)):
            raise AreaError(
                f"the area ({', '.join(f'{edge:.4f}' for edge in box)}) goes beyond the saved search",
                expected=f"an area within {', '.join(f'{edge:.4f}' for edge in searched)}",
                todo="search again with `geocomiss search --save`",
            )
        period, (first, last) = self._saved.days, days
        if period and first and last and not period[0] <= first <= min(last, date.today()) <= period[1]:
            raise SeasonError(
                f"the season {first} to {last} goes beyond the saved search",
                expected=f"days within {period[0]} to {period[1]}",
                todo="search again with `geocomiss search --save`",
            )


def finder_for(text: str) -> Finder:
    """The finder of a catalogue's name, of `stac+URL`, or of a file."""
    return (
        SavedFinder(Path(text))
        if Path(text).is_file() and not text.startswith(PREFIX)
        else CatalogueFinder(text)
    )


def _extent(item: Item) -> Any:
    """The box around an item (shapely); of height and depth, if stated, nothing is kept."""
    edges = item.bbox or [0.0] * 4
    half = len(edges) // 2
    return shapely.box(edges[0], edges[1], edges[half], edges[half + 1])
