"""Tiles, and maps, that the memory a user gives allows."""

from dataclasses import replace
from math import ceil

from odc.geo.geobox import GeoBox

from geocomiss.checkpoint import Checkpoint
from geocomiss.errors import MapError
from geocomiss.mapping.memory import AHEAD, PLANNER, Memory, memory_of
from geocomiss.mapping.request import MapRequest
from geocomiss.maps import read_summary
from geocomiss.tiling import TILES, WorkFolder


def sized(request: MapRequest, checkpoint: Checkpoint) -> tuple[MapRequest, Memory | None]:
    """The request with the tiles that its memory allows.

    Raises:
        MapError: It allows none.
    """
    if request.memory is None:
        return request, None
    read = {name: bands for name, bands in checkpoint.card.bands.items() if name not in request.without}
    memory = memory_of(
        checkpoint.method,
        replace(checkpoint.card.spec, bands=read),
        request.needs_probabilities,
        request.smooth > 0,
        AHEAD,
    )
    return fitted(request, memory)


def fitted(request: MapRequest, memory: Memory) -> tuple[MapRequest, Memory]:
    """The request with the tiles that its memory allows, if each process takes so much.

    An unfinished map keeps its tiles where they fit: else it could not go on with other --workers.

    Raises:
        MapError: It allows none, or not those of the unfinished map.
    """
    each, begun = share_of(request) or 0.0, _begun_with(request)
    if begun and memory.taken(begun) <= each:
        return replace(request, tile=begun), memory
    side = memory.side(each)
    if not side:
        raise _too_little(request, memory)
    if begun and not request.overwrite:
        more = (memory.taken(begun) - each) * max(1, request.workers)
        raise MapError(
            f"{_asked(request)} allows tiles of {side} pixels a side, and {request.out} holds an unfinished "
            f"map in tiles of {begun}",
            expected=f"{more / 1e6:,.0f} MB more, to go on with these",
            todo="give more --memory or fewer --workers, or start afresh with --overwrite",
        )
    return replace(request, tile=side), memory


def _asked(request: MapRequest) -> str:
    crew = f" and --workers {request.workers}" if request.workers else ""
    return f"--memory of {(request.memory or 0) / 1e6:,.0f} MB{crew}"


def _too_little(request: MapRequest, memory: Memory) -> MapError:
    """What to say of a memory that allows no tiles at all, and how many workers it would allow."""
    given, workers = request.memory or 0, request.workers
    needed = PLANNER + memory.least * workers if workers else memory.least
    fit = int((given - PLANNER) // memory.least)
    fewer = f"--workers {fit}, " if fit > 0 else "no --workers, " if given >= memory.least else ""
    return MapError(
        _asked(request),
        expected=f"at least {ceil(needed / 1e6):,} MB",
        todo=f"give as much, {fewer if workers else ''}or --tile instead of it",
    )


def share_of(request: MapRequest) -> float | None:
    """Bytes that each process that computes tiles may take; None: that is not limited.

    Workers on this machine share what the process that plans leaves; each of a scheduler's has all of it.
    """
    if request.memory is None:
        return None
    return (request.memory - PLANNER) / request.workers if request.workers else float(request.memory)


def _begun_with(request: MapRequest) -> int:
    """Pixels a side of the tiles of an unfinished map, or of a zone that is finished; 0: there is none."""
    known = WorkFolder(request.out / TILES).request()
    if not known and request.zone:
        try:
            known = read_summary(request.out)
        except MapError:
            known = {}
    arguments = known.get("arguments")
    tile = arguments.get("tile") if isinstance(arguments, dict) else None
    return tile if isinstance(tile, int) and tile > 0 else 0


def check_whole(request: MapRequest, memory: Memory | None, grid: GeoBox) -> None:
    """See to it that a step that looks at the whole map keeps to the memory that is given.

    Args:
        request: What is asked, with the tiles that its memory allows.
        memory: What a process takes; None: it is not limited. Where a scheduler's workers compute, that
            of this process is not.
        grid: The map's.

    Raises:
        MapError: It takes more.
    """
    if not (memory and request.memory and request.mapping_unit) or request.scheduler:
        return
    taken = memory.whole(grid.width * grid.height, request.tile)
    if taken > request.memory:
        raise MapError(
            f"--memory of {request.memory / 1e6:,.0f} MB and --minimum-mapping-unit, which looks at all "
            f"{grid.width:,} x {grid.height:,} pixels of a map at once",
            expected=f"{(taken - request.memory) / 1e6:,.0f} MB more",
            todo="give more, map the area in parts, or leave --minimum-mapping-unit out",
        )
