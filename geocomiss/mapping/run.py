"""Map an area: compute each tile, store it, and put the tiles together."""

import os
import shutil
from pathlib import Path
from typing import Final

import rasterio

from geocomiss.checkpoint import CARD
from geocomiss.errors import MapError, NothingSeen, NothingToMap
from geocomiss.grid import lonlat
from geocomiss.mapping.assemble import Finished, assemble, total
from geocomiss.mapping.checks import device_of
from geocomiss.mapping.clock import Clock
from geocomiss.mapping.illustrate import IMAGING
from geocomiss.mapping.mapping_unit import apply_mapping_unit
from geocomiss.mapping.memory import CACHE
from geocomiss.mapping.plan import Plan
from geocomiss.mapping.planning import plan_map
from geocomiss.mapping.queue import Queue
from geocomiss.mapping.request import MapReport, MapRequest, Progress
from geocomiss.mapping.smoothing import smooth_tiles
from geocomiss.mapping.tiles import TileStore
from geocomiss.mapping.work import Teller, map_here
from geocomiss.maps import NOT_MAPPED, SUMMARY
from geocomiss.stack import bands_of, origin_of
from geocomiss.tiling import TILES, WorkFolder
from geocomiss.wording import without_secrets

NO_IMAGE: Final = "no acquisition"
"""What catalogues say of steps without images."""
OTHERS: Final = {"zarr.json": "a stack", ".zgroup": "a Zarr folder", CARD: "a model"}
"""What folders are that are no place for a map, by a file that they hold."""
REPLACE: Final = "replace it with --overwrite"
"""What can be done about something finished."""


def map_one(
    request: MapRequest, progress: Progress | None = None, *, again: bool = False
) -> tuple[MapReport, Plan]:
    """Map an area of interest, or its part in a zone, on one grid. Returns what was mapped and its plan.

    Args:
        request: What to map.
        progress: Told (pixels mapped, pixels to be mapped).
        again: Whether a finished map with the same arguments may be replaced, as one without tiles that
            failed.

    Raises:
        GeocomissError: Input that cannot be used; nothing half-written stays, except finished
            tiles under `tiles/`.
        TilesFailed: Some tiles failed again and again; the others are done.
    """
    clock = Clock()
    work = WorkFolder(request.out / TILES)
    work.forget_published(request.out / SUMMARY, request.kept)
    overwrite = request.overwrite or again
    check_free(request.out, SUMMARY, overwrite, *_finished(request.out))
    device_of(request)  # refuses one that does not exist, before anything is read
    with work.held(), _small_cache():
        # once more: the process that held it until now may have finished the map
        check_free(request.out, SUMMARY, overwrite, *_finished(request.out))
        with clock.measure("plan"):
            plan = plan_map(request)
            tiles = sum(1 for _ in plan.tiles())
            store = TileStore(work.claim(plan.fingerprint(), tiles, discard=request.overwrite))
            queue = Queue(plan.tiles(), store, lambda: plan.worries)
            before = store.earlier_worries() if queue.kept else ()
        with clock.mapping():
            _map_tiles(plan, store, queue, clock, progress)
        worries = (*plan.worries, *before, *queue.repaired)
        finished = Finished(store, queue.done, queue.failed, queue.kept, queue.peaks, worries)
        _check_content(plan, finished, work)
        if request.smooth:
            with clock.measure("smooth"):
                finished = smooth_tiles(plan, finished)
        if request.mapping_unit:
            with clock.measure("mapping unit"):
                plan, finished = apply_mapping_unit(plan, finished)
        report = assemble(plan, finished, clock, work)
        if not queue.failed:
            shutil.rmtree(request.kept, ignore_errors=True)
            work.clear()  # last: what it clears tells a next run that this one was at it
    return report, plan


def _small_cache() -> rasterio.Env:
    """GDAL with a block cache of a size of its own, unless the user's environment says otherwise."""
    # here in bytes; in the environment small numbers are MB
    return rasterio.Env() if "GDAL_CACHEMAX" in os.environ else rasterio.Env(GDAL_CACHEMAX=CACHE * 2**20)


def _finished(out: Path) -> tuple[str, str]:
    """What a folder with a map holds, and what can be done about it."""
    if WorkFolder(out / TILES).request():
        return "a map without the tiles that failed", "try these again with --overwrite"
    return "a finished map", REPLACE


def check_free(out: Path, marker: str, overwrite: bool, what: str, otherwise: str = REPLACE) -> None:
    """Refuse to write over something finished.

    Args:
        out: Folder to write.
        marker: File that it holds when something is finished.
        overwrite: Whether that may be replaced.
        what: What it is.
        otherwise: What can be done other than to choose another folder.

    Raises:
        MapError: `out` is a file, a stack or a model, or holds `marker` and may not be overwritten.
    """
    if out.exists() and not out.is_dir():
        raise MapError(f"{out} is a file", expected="a folder", todo="choose another --out")
    if own := next((held for mark, held in OTHERS.items() if (out / mark).exists()), None):
        raise MapError(f"{out} is {own}", expected="an empty or new folder", todo="choose another --out")
    if (out / marker).exists() and not overwrite:
        raise MapError(
            f"{out} holds {what}",
            expected="an empty or new folder",
            todo=f"choose another --out, or {otherwise}",
        )


def _map_tiles(plan: Plan, store: TileStore, queue: Queue, clock: Clock, progress: Progress | None) -> None:
    """Compute what is missing.

    Raises:
        TilesFailed: Some tiles failed, and a map without them is not asked for.
    """
    pixels = plan.expected_pixels(queue.waiting) if progress else 0  # where nobody looks, it is not counted
    told = Teller(clock, queue.kept + pixels, len(queue.waiting), queue.kept, progress)
    if plan.request.by_workers:
        from geocomiss.mapping.crew import Crew, map_with  # one process alone needs no cluster

        crew = Crew(plan.request.workers, plan.request.scheduler)
        map_with(crew, plan, store, queue, told)
    else:
        map_here(plan, store, queue, told)
    if not (plan.request.skip_failed and queue.done):
        queue.check()


def _check_content(plan: Plan, finished: Finished, work: WorkFolder) -> None:
    """See to it that there is something to show.

    Raises:
        NothingToMap: No pixel is to be mapped.
        NothingSeen: Nothing was ever seen, or nothing of what a class needs.
    """
    if finished.failed:
        return
    counts = total(plan, finished.done)
    if not counts.patterns[:NOT_MAPPED].any():
        work.clear()
        raise NothingToMap(
            "no pixel whose centre lies in the area of interest and in the mask",
            expected="at least one",
            todo="check --aoi and --mask, or give a finer --resolution",
        )
    seen = bool(counts.patterns[1:NOT_MAPPED].any())
    needed = [name for name in plan.request.require if name in bands_of(plan.stack)]
    imaging = [IMAGING.index(name) for name in needed if name in IMAGING]
    if not seen or (imaging and len(imaging) == len(needed) and not counts.observed[imaging].any()):
        work.clear()
        raise _nothing_seen(plan, seen)


def _nothing_seen(plan: Plan, others: bool) -> NothingSeen:
    """What to say where the source has nothing to make a map of.

    Args:
        plan: The map.
        others: Whether modalities were seen that alone give no class.
    """
    what = "a single valid value"
    if others:
        what = f"a single observation of {' or '.join(plan.request.require)} (see --require)"
    area = lonlat(plan.area or plan.grid.extent)
    own = plan.source.grid
    holds = f"; it holds {plan.source.held} within {lonlat(own.extent)}" if own else ""
    left_out = f"; {', '.join(plan.request.without)} left out (--without)" if plan.request.without else ""
    told = [note for note in origin_of(plan.stack).notes if NO_IMAGE in note or "no elevation" in note]
    return NothingSeen(
        f"the source {without_secrets(plan.request.source)} without {what} in the area of interest ({area}) "
        f"and season ({plan.calendar})" + "".join(f"; {note}" for note in told) + left_out,
        expected="values other than NaN or nodata" + holds,
        todo=f"check the source, the area, the mask{', --without' if left_out else ''} and the season"
        + ("" if own else "; `geocomiss search` shows what a catalogue has"),
    )
