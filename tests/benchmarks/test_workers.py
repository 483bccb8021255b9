"""What a second process on a second core brings to a map.

Wall-clock time: run it on a machine that does nothing else.
"""

import json
import os
from collections.abc import Callable
from pathlib import Path

import pytest
from gappy import untrained
from hollow import hollow_stack

from geocomiss.mapping import MapRequest, make_map

pytestmark = pytest.mark.skipif(
    not os.environ.get("GEOCOMISS_BENCHMARKS"), reason="measures speed: set GEOCOMISS_BENCHMARKS=1"
)
SIDE = 1536
TILE = 256
TARGET = 1.6
"""Times as fast with two processes as with one, each with one thread."""


def test_a_second_worker_brings_most_of_a_second_map(
    tmp_path: Path, figure: Callable[[str, str], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("os.cpu_count", lambda: 1)  # a thread a worker, however many cores there are
    source, model = str(hollow_stack(tmp_path / "stack.zarr", SIDE)), str(untrained(tmp_path))
    rates = {}
    for workers in (1, 2):
        out = tmp_path / f"map{workers}"
        make_map(MapRequest(source, out, model=model, device="cpu", tile=TILE, workers=workers))
        facts = json.loads((out / "run.json").read_text())
        rates[workers] = facts["px_per_s"]
    figure(
        f"a map of {SIDE} x {SIDE} pixels, small network, 1 and 2 workers of one thread",
        f"{rates[1]:,.0f} and {rates[2]:,.0f} px/s: {rates[2] / rates[1]:.2f} times",
    )
    assert rates[2] > TARGET * rates[1]
