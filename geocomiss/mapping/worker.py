"""What a worker of a cluster has of a map, and what it does for it."""

import gc
import os
import re
import uuid
from collections.abc import Iterable
from contextlib import ExitStack
from pathlib import Path
from typing import Any, Final

import dask
import rasterio
import torch
from distributed.diagnostics.plugin import WorkerPlugin

from geocomiss import __version__
from geocomiss.errors import GeocomissError, MapError, MapStopped
from geocomiss.grid import Tile
from geocomiss.inference import device_named
from geocomiss.mapping.compute import Gathered, gather
from geocomiss.mapping.memory import CACHE
from geocomiss.mapping.peaks import forget_peak
from geocomiss.mapping.plan import Plan
from geocomiss.mapping.queue import Outcome
from geocomiss.mapping.queued import QueuedReading
from geocomiss.mapping.tiles import TileStore
from geocomiss.mapping.work import compute
from geocomiss.sources.base import Counting
from geocomiss.tiling.manifest import own_file

PREFIX: Final = "geocomiss-"
"""How the names of what workers have of maps begin; then comes the planner's connection."""
PARTED: Final = "/"
"""What follows it."""


class MapWorker(WorkerPlugin):
    """What a worker has of a map; travels to each worker when it joins.

    Args:
        plan: The map.
        folder: Its tile store, which all workers see under the same path.
        threads: Threads of a tile's matrix products.
        client: Name of the planner's connection to the scheduler: with it a planner that is gone is known.
    """

    def __init__(self, plan: Plan, folder: Path, threads: int, client: str = "") -> None:
        self.name = f"{PREFIX}{client}{PARTED}{uuid.uuid4().hex}"
        self._set_back: ExitStack | None = None
        self._unfit: Exception | None = None
        self._plan, self._folder, self._threads = plan, folder, threads
        self._version = __version__
        self._arithmetic = plan.arithmetic()

    def setup(self, worker: Any) -> None:
        """Make ready to compute. Raises MapError where this worker cannot."""
        try:
            self._make_ready(worker)
        except Exception as error:  # Dask keeps a worker that joins late, and gives it tiles all the same
            self._unfit = error
            raise

    def _make_ready(self, worker: Any) -> None:
        self._check(worker)
        forget_peak()  # of other maps and other work
        with ExitStack() as kept:
            if not self._others(worker):
                self._set(kept)
            self._device = self._own_device(worker)
            self._set_back = kept.pop_all()
        self._store = TileStore(self._folder, own_file())
        self._ahead = QueuedReading(self._tile_of, self._gather)
        gc.collect()  # what is frozen stays, also what an earlier map left
        gc.freeze()

    def _set(self, kept: ExitStack) -> None:
        """Set what holds for the whole process, and note how it is undone."""
        if "GDAL_CACHEMAX" not in os.environ:
            os.environ["GDAL_CACHEMAX"] = str(CACHE)  # GDAL looks at it when it reads its first image
            kept.callback(os.environ.pop, "GDAL_CACHEMAX", None)
        kept.callback(torch.set_num_threads, torch.get_num_threads())
        torch.set_num_threads(self._threads)
        # a task that computes would hand Dask's own tasks to the cluster
        kept.enter_context(dask.config.set(scheduler="threads", num_workers=self._threads))

    def _others(self, worker: Any) -> list["MapWorker"]:
        """Other maps that this process computes for: what was set for the first holds until the last."""
        known = (each for each in worker.plugins.values() if isinstance(each, MapWorker))
        return [each for each in known if each is not self and each._set_back is not None]

    def _own_device(self, worker: Any) -> torch.device:
        try:
            return device_named(self._plan.request.device, number_of(worker.name))
        except MapError as error:
            raise MapError(
                f"on the worker {worker.address} {error.found}",
                expected=f"{error.expected}, what each worker has",
                todo="start workers where it is, or correct --device",
            ) from error

    def _check(self, worker: Any) -> None:
        """See to it that this worker makes the same bytes as others, where they are looked for."""
        if self._version != __version__:
            raise MapError(
                f"the worker {worker.address} runs geocomiss {__version__}",
                expected=f"{self._version}, as here",
                todo="install the same version on all machines",
            )
        if (threads := worker.state.nthreads) != 1:
            raise MapError(
                f"the worker {worker.address} takes {threads} tasks at a time",
                expected="one: memory is reckoned with for one tile at a time",
                todo="start it with `dask worker ADDRESS --nthreads 1`, several of them where there is room",
            )
        if not self._folder.is_dir():
            raise MapError(
                f"the worker {worker.address} does not see {self._folder}",
                expected="a folder that all machines share, under the same path",
                todo="choose another --out",
            )
        own = self._plan.arithmetic()
        if other := [name for name, value in self._arithmetic.items() if value not in ("", own[name])]:
            raise MapError(
                f"the worker {worker.address} rounds in its own way: "
                + ", ".join(f"{name} {own[name]}" for name in other),
                expected=", ".join(f"{name} {self._arithmetic[name]}" for name in other)
                + ", as on the machine that plans",
                todo="let machines alike compute, with the same torch; --device cpu where some have no GPU",
            )

    def teardown(self, worker: Any) -> None:
        """Set back what `setup` set, once no map needs it. A cache that GDAL has made keeps its size."""
        if self._set_back is None:
            return  # it could not be made ready
        self._ahead.close()
        gc.unfreeze()
        set_back, self._set_back = self._set_back, None
        if others := self._others(worker):
            others[0]._inherit(set_back)
        else:
            set_back.close()

    def _inherit(self, set_back: ExitStack) -> None:
        """Take over what is to be set back in the end. What this map has stays frozen."""
        if self._set_back is not None:
            self._set_back.push(set_back)
        gc.collect()
        gc.freeze()

    def transition(self, key: object, start: str, finish: str, **_: Any) -> None:
        """Is told by Dask what becomes of the tasks of this worker."""
        if self._unfit or not str(key).startswith(self.name):
            return
        if finish == "ready":
            self._ahead.wait(str(key))
        elif finish != "executing":
            self._ahead.drop(str(key))

    def _tile_of(self, task: str) -> Tile:
        return self._plan.tile(task.removeprefix(f"{self.name}-").partition("-")[0])

    def _gather(self, tile: Tile) -> Gathered:
        with rasterio.Env(GDAL_NUM_THREADS=self._threads):
            return gather(self._plan, tile)

    def compute(self, task: str, tile: Tile) -> Outcome:
        """Compute the tile of a task, unless another worker has done so just before it died.

        Raises:
            MapStopped: This worker cannot work; it would take one tile after the other from those that can.
            GeocomissError: What computing a tile raises.
        """
        if self._unfit:
            raise _refused(self._unfit) from self._unfit
        if self._store.written(tile):
            self._store.look_for(tile)
            if record := self._store.record_of(tile):
                self._ahead.drop(task)
                return Outcome(record)
        gathered = self._ahead.take(task, tile)
        outcome = compute(self._plan, self._store, tile, self._device, gathered=gathered)
        gc.collect()  # see `stack.swept`
        source = self._plan.source
        account = source.counted() if isinstance(source, Counting) else None
        return Outcome(outcome.record, outcome.seconds, outcome.pixels, account)


def abandoned(plugins: Iterable[str], clients: Iterable[str]) -> list[str]:
    """Which of the plugins of a cluster belong to maps whose planner is gone.

    Args:
        plugins: All names.
        clients: Connections that the scheduler has.
    """
    alive = set(clients)
    of_maps = ((each, each.removeprefix(PREFIX)) for each in plugins if each.startswith(PREFIX))
    owners = ((each, rest.rpartition(PARTED)[0]) for each, rest in of_maps)
    return [each for each, owner in owners if owner and owner not in alive]


def _refused(why: Exception) -> MapStopped:
    """What a run ends with that has got a worker which cannot work."""
    if isinstance(why, GeocomissError):
        return MapStopped(
            f"a worker joined while the map was made, and {why.found}",
            expected=why.expected,
            todo=f"{why.todo}; the same command then goes on",
        )
    return MapStopped(
        f"a worker joined while the map was made, and could not make itself ready ({type(why).__name__}: "
        f"{why})",
        expected=f"geocomiss {__version__} on all machines",
        todo="install it there or stop this worker; the same command then goes on",
    )


def number_of(name: object) -> int:
    """Which of the workers of its machine this one is: 3 for 3 and 'gpu-3', 0 for names without a number.

    Args:
        name: A worker's name: a number in a cluster of our own, `NAME-NUMBER` where `dask worker --name NAME
            --nworkers N` started several.
    """
    number = re.fullmatch(r"(?:.*-)?(\d+)", str(name))
    return int(number[1]) if number else 0
