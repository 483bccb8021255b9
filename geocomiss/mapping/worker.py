"""What a worker of a cluster has of a map, and what it does for it."""

import gc
import os
import re
import uuid
from pathlib import Path
from typing import Any

import dask
import rasterio
import torch
from distributed.diagnostics.plugin import WorkerPlugin

from geocomiss import __version__
from geocomiss.errors import MapError
from geocomiss.grid import Tile
from geocomiss.inference import device_named
from geocomiss.mapping.memory import CACHE
from geocomiss.mapping.plan import Plan
from geocomiss.mapping.queue import Outcome
from geocomiss.mapping.tiles import TileStore
from geocomiss.mapping.work import compute
from geocomiss.sources.base import Counting
from geocomiss.tiling.manifest import own_file


class MapWorker(WorkerPlugin):
    """What a worker has of a map; travels to each worker when it joins.

    Args:
        plan: The map.
        folder: Its tile store, which all workers see under the same path.
        threads: Threads of a tile's matrix products.
    """

    def __init__(self, plan: Plan, folder: Path, threads: int) -> None:
        self.name = f"geocomiss-{uuid.uuid4().hex}"
        self._plan, self._folder, self._threads = plan, folder, threads
        self._version = __version__
        self._arithmetic = plan.arithmetic()

    def setup(self, worker: Any) -> None:
        """Make ready to compute. Raises MapError where this worker cannot."""
        self._check(worker)
        os.environ.setdefault("GDAL_CACHEMAX", str(CACHE))  # before the first image is read
        torch.set_num_threads(self._threads)
        self._store = TileStore(self._folder, own_file())
        self._device = device_named(self._plan.request.device, number_of(worker.name))
        gc.freeze()

    def _check(self, worker: Any) -> None:
        """See to it that this worker makes the same bytes as others, where they are looked for."""
        if self._version != __version__:
            raise MapError(
                f"the worker {worker.address} runs geocomiss {__version__}",
                expected=f"{self._version}, as here",
                todo="install the same version on all machines",
            )
        if not self._folder.is_dir():
            raise MapError(
                f"the worker {worker.address} does not see {self._folder}",
                expected="a folder that all machines share, under the same path",
                todo="choose another --out",
            )
        own = self._plan.arithmetic()
        if other := [name for name, value in self._arithmetic.items() if own[name] != value]:
            raise MapError(
                f"the worker {worker.address} rounds in its own way: "
                + ", ".join(f"{name} {own[name]}" for name in other),
                expected=", ".join(f"{name} {self._arithmetic[name]}" for name in other)
                + ", as on the machine that plans",
                todo="let machines alike compute, with the same torch; --device cpu where some have no GPU",
            )

    def teardown(self, worker: Any) -> None:
        """Leave the process as it was."""
        gc.unfreeze()

    def compute(self, tile: Tile) -> Outcome:
        """Compute a tile, unless another worker has done so just before it died."""
        if self._store.written(tile):
            self._store.reload()
            if record := self._store.record_of(tile):
                return Outcome(record)
        # a task that computes would hand Dask's own tasks to the cluster
        with dask.config.set(scheduler="threads", num_workers=self._threads):
            with rasterio.Env(GDAL_NUM_THREADS=self._threads):
                outcome = compute(self._plan, self._store, tile, self._device)
        gc.collect()  # see `stack.swept`
        source = self._plan.source
        account = source.counted() if isinstance(source, Counting) else None
        return Outcome(outcome.record, outcome.seconds, outcome.pixels, account)


def number_of(name: object) -> int:
    """Which of the workers of its machine this one is: 3 for 3 and 'gpu-3', 0 for names without a number.

    Args:
        name: A worker's name: a number in a cluster of our own, `NAME-NUMBER` where `dask worker --name NAME
            --nworkers N` started several.
    """
    number = re.fullmatch(r"(?:.*-)?(\d+)", str(name))
    return int(number[1]) if number else 0
