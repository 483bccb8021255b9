"""Dask schedulers and workers as processes of their own."""

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

Process = subprocess.Popen[bytes]


@dataclass(frozen=True)
class Cluster:
    """Processes of a cluster."""

    address: str
    scheduler: Process
    workers: list[Process]


@contextmanager
def cluster(folder: Path, workers: int, *further: str) -> Iterator[Cluster]:
    """A scheduler, and workers with further options that run in another folder."""
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    found = folder / "scheduler.json"

    def dask(*arguments: str) -> Process:
        quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
        return subprocess.Popen([sys.executable, "-m", "dask", *arguments], cwd="/", env=environment, **quiet)

    where = ("--host", "127.0.0.1", "--port", "0", "--no-dashboard", "--scheduler-file", str(found))
    processes = [dask("scheduler", *where)]
    try:
        while not found.exists():
            time.sleep(0.05)
        address = json.loads(found.read_text())["address"]
        options = ("--nthreads", "1", "--no-nanny", "--no-dashboard", "--local-directory", str(folder))
        options += further
        processes += [dask("worker", address, "--name", str(number), *options) for number in range(workers)]
        yield Cluster(address, processes[0], processes[1:])
    finally:
        for process in processes:
            process.kill()
            process.wait()
