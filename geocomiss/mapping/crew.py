"""Work through the tiles of a map with the workers of a Dask cluster.

Each tile is a task of its own. A worker gets the plan once, when it joins; what it computes it writes to the
tile store, and only a line of numbers comes back. A worker that dies loses the tile it was at.
"""

import logging
import uuid
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import partial
from typing import Any, Final

import dask
import distributed as _distributed
from distributed.client import ClosedClientError
from distributed.scheduler import KilledWorker

from geocomiss import __version__
from geocomiss.errors import MapError, MapStopped
from geocomiss.grid import Tile
from geocomiss.mapping.memory import CACHE
from geocomiss.mapping.plan import Plan
from geocomiss.mapping.queue import Outcome, Queue
from geocomiss.mapping.tiles import TileStore
from geocomiss.mapping.work import Told
from geocomiss.mapping.worker import MapWorker, abandoned
from geocomiss.sources.base import Counting
from geocomiss.threads import cores

distributed: Any = _distributed  # ships few types
CONNECT: Final = 20.0
"""Seconds to wait for a scheduler."""
JOIN: Final = 60.0
"""Seconds to wait for the first worker."""
TRIES: Final = 3
"""How often the plan is sent: one worker that dies meanwhile keeps it from all."""
LOOK: Final = 5.0
"""Seconds after which it is looked whether there are workers at all."""
KEPT: Final = 2**30
"""Bytes of freed memory that a process of this machine keeps for what it needs next."""
LARGE: Final = 2**25
"""Bytes from which memory is asked for, and given back, one by one; glibc allows no more."""
ALONE: Final = 300.0
"""Seconds without a single worker after which a run ends."""
QUEUED: Final = 1
"""Tiles that a worker has waiting while it computes another."""


@dataclass(frozen=True)
class Crew:
    """Who computes."""

    workers: int = 0
    """Processes to start on this machine; 0: none, the planning process computes itself."""
    scheduler: str | None = None
    """Address of a Dask scheduler whose workers compute, as tcp://host:8786."""


def _task(plugin: str, tile: Tile) -> Outcome:
    """What a worker runs."""
    worker = distributed.get_worker()
    outcome: Outcome = worker.plugins[plugin].compute(str(worker.get_current_task()), tile)
    return outcome


def map_with(crew: Crew, plan: Plan, store: TileStore, queue: Queue, told: Told) -> None:
    """Compute the tiles of a queue.

    Raises:
        MapError: No scheduler, no worker, or one that cannot work.
        GeocomissError: Nothing further can be computed (see `Queue.fail`).
    """
    with _connected(crew) as client:
        threads = max(1, cores() // crew.workers) if crew.workers else 1
        plugin = MapWorker(plan, store.folder.absolute(), threads, client.id)
        try:
            _register(client, plugin)
            _dismiss_abandoned(client)
            for tile, future in _futures(client, plugin.name, queue):
                try:
                    outcome = _result(future)
                except Exception as error:  # whatever it is, other tiles may be none the worse for it
                    queue.fail(tile, error)
                    continue
                if isinstance(plan.source, Counting):
                    plan.source.count(outcome.account)
                store.accept(outcome.record)
                queue.finish(tile, outcome)
                told.finished(tile, outcome)
        finally:
            _dismiss(client, plugin.name)


def _futures(client: Any, plugin: str, queue: Queue) -> Iterator[tuple[Tile, Any]]:
    """Each tile and its future, once it is over. A few more than there are workers are under way."""
    running: dict[Any, Tile] = {}
    while True:
        with _reached():
            threads = sum(client.nthreads().values())
            while len(running) < threads * (1 + QUEUED) and (tile := queue.next()) is not None:
                key = f"{plugin}-{tile.name}-{uuid.uuid4().hex}"
                running[client.submit(_task, plugin, tile, key=key, pure=False)] = tile
            over = _over(client, list(running)) if running else []
        if not running:
            return
        for future in over:
            yield running.pop(future), future
            future.release()


def _over(client: Any, futures: list[Any]) -> list[Any]:
    """The futures that are over, at least one.

    Raises:
        MapError: No worker was left for a long time.
    """
    alone = 0.0
    while alone < ALONE:
        try:
            with client.as_current():
                return list(distributed.wait(futures, timeout=LOOK, return_when="FIRST_COMPLETED").done)
        except TimeoutError:
            alone = 0.0 if client.nthreads() else alone + LOOK
    raise MapError(
        f"no worker for {ALONE:.0f} s",
        expected="workers at the scheduler",
        todo="start some and give the same command again: it goes on",
    )


def _result(future: Any) -> Outcome:
    """What came of a task, as our own errors where it failed."""
    try:
        outcome: Outcome = future.result()
        return outcome
    except KilledWorker as error:
        raise RuntimeError("workers died while they computed it, perhaps for lack of memory") from error
    except distributed.CancelledError as error:
        raise _lost(error) from error


@contextmanager
def _reached() -> Iterator[None]:
    """For what is asked of a scheduler. Raises MapStopped where it is gone."""
    try:
        yield
    except (distributed.CancelledError, ClosedClientError, OSError) as error:
        raise _lost(error) from error


def _lost(error: Exception) -> MapStopped:
    return MapStopped(
        f"the scheduler was lost while the map was made ({type(error).__name__})",
        expected="a scheduler that runs, and a network between it and here, until the map is done",
        todo="start it and its workers again and give the same command again: it goes on with what is done",
    )


@contextmanager
def _connected(crew: Crew) -> Iterator[Any]:
    """A client of the cluster, started or found."""
    logging.getLogger("distributed").setLevel(logging.CRITICAL)  # what matters is said by our own errors
    if crew.scheduler:
        with _client(crew.scheduler) as client:
            yield client
        return
    with _local(crew.workers) as cluster, distributed.Client(cluster, set_as_default=False) as client:
        yield client


def _client(scheduler: str) -> Any:
    """A client of a scheduler that runs.

    Raises:
        MapError: There is none at this address.
    """
    try:
        # a client that was given what is no address at all cannot be closed, and says so with a traceback
        with suppress(OSError):  # a name that is not known yet: the client waits for it
            distributed.comm.resolve_address(scheduler)
        return distributed.Client(scheduler, timeout=CONNECT, set_as_default=False)
    except (OSError, ValueError) as error:
        why = str(error) if isinstance(error, ValueError) else f"no answer within {CONNECT:g} s"
        raise MapError(
            f"no Dask scheduler at {scheduler!r} ({why})",
            expected="the address of one, as tcp://host:8786",
            todo="start it with `dask scheduler`, or correct --scheduler",
        ) from error


def _local(workers: int) -> Any:
    """Processes on this machine, each with its share of the cores.

    Raises:
        MapError: They cannot be started.
    """
    threads = str(max(1, cores() // workers))
    # what is to hold from the start of a process: libraries look at it when they are loaded
    environment = {
        "OMP_NUM_THREADS": threads,
        "OMP_WAIT_POLICY": "PASSIVE",  # threads that spin while they wait starve those of other workers
        "GDAL_CACHEMAX": str(CACHE),
        # Dask's own 64 kB give back the memory of each batch, to be asked for again
        "MALLOC_TRIM_THRESHOLD_": str(KEPT),
        "MALLOC_MMAP_THRESHOLD_": str(LARGE),
    }
    start = partial(
        distributed.LocalCluster,
        n_workers=workers,
        threads_per_worker=1,  # a process computes one tile at a time
        memory_limit=0,  # a tile's memory is bounded; a worker killed for it would be so again
        dashboard_address=None,
        # even then Dask serves some pages, by default at 8787, and warns where that is taken
        scheduler_kwargs={"dashboard_address": "127.0.0.1:0"},
        silence_logs=logging.CRITICAL,
    )
    try:
        with dask.config.set({"distributed.nanny.pre-spawn-environ": environment}):
            return _whole(start)
    except RuntimeError as error:
        raise MapError(
            "the processes of --workers did not start",
            expected='in a script, that what it runs stands below `if __name__ == "__main__":`: each process '
            "begins by reading the script",
            todo="put it there, or map without workers",
        ) from error


def _whole(start: Callable[[], Any]) -> Any:
    """A cluster that has started. Interrupted meanwhile, it is closed once it has.

    It starts in a thread that Ctrl-C does not reach: Dask cannot close a cluster that has half started, waits
    for it and ends with tracebacks.
    """
    with ThreadPoolExecutor(1) as thread:
        starting = thread.submit(start)
        try:
            return starting.result()
        except KeyboardInterrupt:
            with suppress(Exception):  # its processes may have been interrupted, too
                starting.result().close()
            raise


def _register(client: Any, plugin: MapWorker) -> None:
    """Send the plan to all workers, and to those that come later.

    Raises:
        MapError: There is no worker, or one cannot work.
    """
    for left in reversed(range(TRIES)):
        with _reached():
            _await_worker(client)
        try:
            client.register_plugin(plugin)
            return
        except ImportError as error:
            raise MapError(
                f"the workers cannot load what they need ({error})",
                expected=f"geocomiss {__version__} on all machines",
                todo="install it where `dask worker` runs",
            ) from error
        except OSError as error:  # a worker died while it made itself ready, or the scheduler did
            if client.status != "running":
                raise _lost(error) from error
            if not left:
                raise _unready(error) from error


def _await_worker(client: Any) -> None:
    try:
        client.wait_for_workers(1, timeout=JOIN)
    except TimeoutError as error:
        raise MapError(
            f"no worker joined within {JOIN:.0f} s",
            expected="workers at the scheduler",
            todo="start some with `dask worker ADDRESS --nthreads 1`",
        ) from error


def _unready(error: Exception) -> MapStopped:
    return MapStopped(
        f"workers went while they made themselves ready ({type(error).__name__})",
        expected="workers that stay",
        todo="see what they say, perhaps for lack of memory, and give the same command again",
    )


def _dismiss_abandoned(client: Any) -> None:
    """Let the workers forget maps whose planners were killed: each holds its network, and two threads.

    A planner that lives has a connection that the scheduler knows before it knows the plugin; when it loses
    it, its tiles are cancelled, and it stops (see `_reached`).
    """
    try:
        # within one turn of its loop, so that no planner comes or goes between; it need not have geocomiss
        plugins, clients = client.run_on_scheduler(
            lambda dask_scheduler: (list(dask_scheduler.worker_plugins), list(dask_scheduler.clients))
        )
    except Exception:  # whatever this scheduler does not allow: the map does not need it
        logging.getLogger(__name__).debug("what dead planners left stays", exc_info=True)
        return
    for name in abandoned(plugins, clients):
        _dismiss(client, name)


def _dismiss(client: Any, plugin: str) -> None:
    """Let the workers forget a map; a cluster that is gone has forgotten it already."""
    if client.status != "running":
        return
    try:
        client.unregister_worker_plugin(plugin)
    except (OSError, ValueError, KeyError, distributed.CancelledError):  # KeyError: a worker never had it
        logging.getLogger(__name__).debug("nothing to forget", exc_info=True)
