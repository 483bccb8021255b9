"""What benchmarks measure, as one table at the end, with the machine, the versions and the date.

`GEOCOMISS_BENCHMARKS=1 pytest -s tests/benchmarks` runs them all; with the name of a file that ends in `.md`
instead of 1 the table is written there as well.
"""

import os
import platform
from collections.abc import Callable, Iterator
from datetime import date
from importlib.metadata import version
from pathlib import Path

import pytest
import torch

from geocomiss.engine import fast_bfloat16

LIBRARIES = ("torch", "numpy", "rasterio", "dask", "xarray")
FOUND = pytest.StashKey[list[tuple[str, str, str]]]()


def pytest_configure(config: pytest.Config) -> None:
    config.stash[FOUND] = []


@pytest.fixture
def figure(request: pytest.FixtureRequest) -> Callable[[str, str], None]:
    """Adds a line to the table: what was measured, and the figure with its unit."""
    found = request.config.stash[FOUND]

    def add(what: str, measured: str) -> None:
        found.append((what, measured, request.path.name))
        print(f"\n{what}: {measured}")

    return add


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    if not (found := config.stash[FOUND]):
        return
    lines = [*_machine(), "", *_table(found)]
    terminalreporter.section("figures")
    terminalreporter.write_line("\n".join(lines))
    if (file := os.environ.get("GEOCOMISS_BENCHMARKS", "")).endswith(".md"):
        Path(file).write_text("\n".join(["# Speed, as measured", "", *lines, ""]))


def _machine() -> Iterator[str]:
    bfloat16 = "with" if fast_bfloat16() else "without"
    gpu = torch.cuda.get_device_name() if torch.cuda.is_available() else "no GPU"
    yield f"{date.today()}: {os.cpu_count()} cores of {_processor()}, {bfloat16} fast bfloat16, {gpu}; load "
    yield f"{os.getloadavg()[2]:.1f} in the last quarter of an hour. Python {platform.python_version()}, "
    yield ", ".join(f"{name} {version(name)}" for name in LIBRARIES) + "."


def _processor() -> str:
    info = Path("/proc/cpuinfo")
    lines = info.read_text().splitlines() if info.exists() else []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor() or platform.machine()


def _table(found: list[tuple[str, str, str]]) -> Iterator[str]:
    yield from ("| what | figure | benchmark |", "|---|---|---|")
    yield from (f"| {what} | {measured} | `{file}` |" for what, measured, file in found)
