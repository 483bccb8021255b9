"""What a stack will cost, before it is fetched: requests and bytes exactly, computing by a few trial tiles.

Earth Engine tells of a single request how many EECU-seconds it took. Compositing costs in proportion to the
pixels and the images that go into them, so that a few trial requests stand for the rest; they are kept like
all others and are not fetched again.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final

from geocomiss.sources.ee.tiler import Tile, Tiler, requests_of

SECONDS_AN_HOUR: Final = 3600.0
TIERS: Final = {"community": 150.0, "contributor": 1_000.0, "partner": 100_000.0}
"""EECU-hours a month of the noncommercial tiers, by
https://developers.google.com/earth-engine/guides/noncommercial_tiers."""


@dataclass(frozen=True)
class Need:
    """A tile that a stack is made of."""

    modality: str
    """Its modality."""
    step: int | None
    """Its time step; None for what is fetched for all steps at once."""
    images: int
    """Images that go into it."""
    tile: Tile
    """What is asked for."""


@dataclass(frozen=True)
class Row:
    """What a modality takes in one step."""

    modality: str
    """Its name."""
    step: int | None
    """The time step; None: all at once."""
    images: int
    """Images (granules) that go into a tile, at most."""
    tiles: int
    """Tiles."""
    requests: int
    """Requests that are still to be sent, if none has to be divided further."""
    bytes: int
    """Bytes of their answers."""


@dataclass(frozen=True)
class Estimate:
    """What a stack takes."""

    rows: tuple[Row, ...]
    """By modality and step."""
    there: int
    """Requests that have been answered already, by an earlier run."""
    eecu_hours: float | None
    """Computing still to be done; None where nothing was tried."""
    trials: int
    """Requests that were tried."""

    @property
    def requests(self) -> int:
        """Requests still to be sent."""
        return sum(row.requests for row in self.rows)

    @property
    def bytes(self) -> int:
        """Bytes of their answers."""
        return sum(row.bytes for row in self.rows)


def estimate(needs: Sequence[Need], tiler: Tiler, trials: int, *, anew: bool = False) -> Estimate:
    """What is still to be asked for, and what it takes.

    Args:
        needs: All tiles of a stack.
        tiler: Knows which of them are there, and tries some.
        trials: At most so many requests are sent, to learn what computing takes.
        anew: Whether everything will be computed, whatever is there: by an export.
    """
    work = [(need, part) for need in needs for part in requests_of(need.tile)]
    left = work if anew else [pair for pair in work if not tiler.there(pair[1])]
    tried = _chosen(left, trials)
    ahead = work if anew else [pair for pair in left if not any(pair is each for each in tried)]
    hours = None
    if tried or not left:
        spent = {name: [0.0, 0.0] for name in {need.modality for need, _ in tried}}
        for need, part in tried:
            seconds = tiler.tried(part)
            spent[need.modality][0] += seconds
            spent[need.modality][1] += _work(need, part)
        hours = _extrapolated(ahead, spent)
    rows = tuple(_rows(needs, ahead))
    return Estimate(rows, len(work) - len(ahead), hours, len(tried))


def together(several: Sequence[Estimate]) -> Estimate:
    """One estimate of those of several parts of an area.

    Computing of parts of which nothing was tried is taken to be in proportion to bytes, as in the others.
    """
    rows: dict[tuple[str, int | None], Row] = {}
    for row in (row for each in several for row in each.rows):
        one = rows.get((row.modality, row.step), Row(row.modality, row.step, 0, 0, 0, 0))
        rows[row.modality, row.step] = Row(
            row.modality,
            row.step,
            max(one.images, row.images),
            one.tiles + row.tiles,
            one.requests + row.requests,
            one.bytes + row.bytes,
        )
    known = [each for each in several if each.eecu_hours is not None]
    hours, left = sum(each.eecu_hours or 0.0 for each in known), sum(each.bytes for each in known)
    other = sum(each.bytes for each in several if each.eecu_hours is None)
    whole = None if other and not left else hours * (1 + (other / left if other else 0.0))
    trials = sum(each.trials for each in several)
    return Estimate(tuple(rows.values()), sum(each.there for each in several), whole, trials)


def _chosen(left: Sequence[tuple[Need, Tile]], trials: int) -> list[tuple[Need, Tile]]:
    """Requests to try: of each imaging modality that of middle work, then those of most and least."""
    by_modality: dict[str, list[tuple[Need, Tile]]] = {}
    for pair in sorted(left, key=lambda pair: _work(*pair)):
        if pair[0].step is not None:
            by_modality.setdefault(pair[0].modality, []).append(pair)
    ends = (lambda pairs: pairs[len(pairs) // 2]), (lambda pairs: pairs[-1]), (lambda pairs: pairs[0])
    wanted = {id(pair): pair for end in ends for pair in map(end, by_modality.values())}
    return list(wanted.values())[:trials]


def _work(need: Need, part: Tile) -> float:
    """What computing is taken to be in proportion to: pixels, bands and images."""
    return float(part.grid.height * part.grid.width * len(part.graph.bands) * max(1, need.images))


def _extrapolated(ahead: Sequence[tuple[Need, Tile]], spent: dict[str, list[float]]) -> float:
    """EECU-hours of what is ahead; modalities that were not tried count like the dearest."""
    rates = {name: seconds / work for name, (seconds, work) in spent.items()}
    dearest = max(rates.values(), default=0.0)
    return sum(_work(*pair) * rates.get(pair[0].modality, dearest) for pair in ahead) / SECONDS_AN_HOUR


def _rows(needs: Iterable[Need], left: Sequence[tuple[Need, Tile]]) -> Iterable[Row]:
    groups: dict[tuple[str, int | None], list[Need]] = {}
    parts: dict[tuple[str, int | None], list[Tile]] = {}
    for need in needs:
        groups.setdefault((need.modality, need.step), []).append(need)
    for need, part in left:
        parts.setdefault((need.modality, need.step), []).append(part)
    for (modality, step), group in groups.items():
        ahead = parts.get((modality, step), [])
        size = sum(p.grid.height * p.grid.width * len(p.graph.bands) * p.graph.itemsize for p in ahead)
        yield Row(modality, step, max(need.images for need in group), len(group), len(ahead), size)
