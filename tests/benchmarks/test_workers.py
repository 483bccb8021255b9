"""What a worker costs beside the process that plans, and what a second one on a second core brings to a map.

Wall-clock time: run it on a machine that does nothing else.
"""

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Final

import pytest
import torch
from gappy import untrained
from hollow import hollow_stack

from geocomiss.mapping import MapRequest, make_map

pytestmark = pytest.mark.skipif(
    not os.environ.get("GEOCOMISS_BENCHMARKS"), reason="measures speed: set GEOCOMISS_BENCHMARKS=1"
)
SIDE = 2560
TILE = 256
TARGET = 1.6
"""Times as fast with two processes as with one, each with one thread."""
ALONE: Final = 0.8
"""Least rate of one worker, in that of a process that computes itself; the worker's start counts."""


def test_a_second_worker_brings_most_of_a_second_map(
    tmp_path: Path, figure: Callable[[str, str], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("geocomiss.mapping.crew.cores", lambda: 1)  # a thread a worker
    torch.set_num_threads(1)
    source, model = str(hollow_stack(tmp_path / "stack.zarr", SIDE)), str(untrained(tmp_path))
    rates = {}
    for workers in (0, 1, 2):
        out = tmp_path / f"map{workers}"
        make_map(MapRequest(source, out, model=model, device="cpu", tile=TILE, workers=workers))
        facts = json.loads((out / "run.json").read_text())
        rates[workers] = facts["px_per_s"]
    figure(
        f"a map of {SIDE} x {SIDE} pixels, small network, no, 1 and 2 workers of one thread",
        f"{rates[0]:,.0f}, {rates[1]:,.0f} and {rates[2]:,.0f} px/s: "
        f"1 worker {rates[1] / rates[0]:.2f} times none, 2 workers {rates[2] / rates[1]:.2f} times 1",
    )
    assert rates[1] > ALONE * rates[0]
    assert rates[2] > TARGET * rates[1]
