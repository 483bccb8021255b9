"""How fast the program answers: each command's help, the version, importing the package."""

import os
import resource
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import typer.main

from geocomiss_cli import main as entry

ROOT = Path(__file__).resolve().parents[2]
ENVIRONMENT = os.environ | {"PYTHONPATH": os.pathsep.join([str(ROOT), str(ROOT / "cli")])}
LIMIT = 0.5
"""Seconds within which `geocomiss --help` answers."""
RUNS = 5


def _taken(code: str, runs: int = RUNS) -> tuple[float, float]:
    """Least seconds of a fresh Python: by the clock, of processor time."""
    clock, processor = [], []
    for _ in range(runs):
        begin, before = time.perf_counter(), resource.getrusage(resource.RUSAGE_CHILDREN)
        subprocess.run([sys.executable, "-c", code], stdout=subprocess.DEVNULL, env=ENVIRONMENT, check=True)
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        clock.append(time.perf_counter() - begin)
        processor.append(after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime)
    return min(clock), min(processor)


def _command(*arguments: str) -> str:
    return f"import sys; sys.argv = ['geocomiss', *{arguments}]; from geocomiss_cli.main import main; main()"


def test_help_answers_within_half_a_second(figure: Callable[[str, str], None]) -> None:
    """By the clock where the machine is free; by processor time where other programs keep it busy."""
    clock, processor = _taken(_command("--help"))
    busy = os.getloadavg()[0] > 0.75 * (os.cpu_count() or 1)
    figure("`geocomiss --help`", f"{clock:.2f} s, {processor:.2f} s of it processor time")
    assert (processor if busy else clock) < LIMIT


def _names() -> Iterator[tuple[str, ...]]:
    """All commands, those of groups with the name of their group before them."""
    commands = typer.main.get_command(entry.app).commands  # type: ignore[attr-defined]
    for name, command in commands.items():
        inner = getattr(command, "commands", None)
        yield from [(name, each) for each in inner] if inner else [(name,)]


@pytest.mark.skipif(
    not os.environ.get("GEOCOMISS_BENCHMARKS"), reason="measures speed: set GEOCOMISS_BENCHMARKS=1"
)
def test_every_command_answers_as_fast(figure: Callable[[str, str], None]) -> None:
    taken = {" ".join(name): _taken(_command(*name, "--help"), 3) for name in _names()}
    slowest = max(taken, key=lambda name: taken[name][1])
    for name, (clock, processor) in sorted(taken.items(), key=lambda each: -each[1][1]):
        most = f", the slowest of {len(taken)} commands" if name == slowest else ""
        figure(f"`geocomiss {name} --help`{most}", f"{clock:.2f} s, {processor:.2f} s of it processor time")
    clock, processor = _taken("import geocomiss")
    figure("`import geocomiss`", f"{clock:.2f} s, {processor:.2f} s of it processor time")
    assert taken[slowest][1] < 2 * LIMIT
