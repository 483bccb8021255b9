"""A map that is killed twenty times, at moments that nobody chose."""

import os
import random
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from gappy import gappy_groups, store, untrained
from map_process import finish, names, same, start, wait_for

from geocomiss.mapping import MapRequest, make_map

pytestmark = pytest.mark.skipif(
    not os.environ.get("GEOCOMISS_BENCHMARKS"), reason="takes long: set GEOCOMISS_BENCHMARKS=1"
)
KILLS = 20
TILE = 3
"""Pixels a side: some 400 tiles."""
MOST = 15
"""Tiles that are begun before a kill, at most."""
LONGEST = 0.1
"""Seconds from the moment that the last of them is begun: more than a tile takes."""


def test_a_map_killed_twenty_times_is_the_undisturbed_one(
    tmp_path: Path, figure: Callable[[str, str], None]
) -> None:
    source, model = str(store(tmp_path, gappy_groups())), str(untrained(tmp_path))
    request = MapRequest(source, tmp_path / "map", model=model, device="cpu", tile=TILE)
    undisturbed = make_map(replace(request, out=tmp_path / "undisturbed", tile=512)).folder
    seed = random.randrange(2**32)
    dice = random.Random(seed)
    for kill in range(1, KILLS + 1):
        process = start(request)
        begun = len(names(request.out, "running")) + dice.randrange(MOST)
        wait_for(process, lambda begun=begun: len(names(request.out, "running")) > begun)
        time.sleep(dice.uniform(0, LONGEST))
        assert process.is_alive(), f"it was done before it was killed {KILLS} times (seed {seed})"
        process.kill()
        process.join()
        twice = len(names(request.out, "running")) - len(set(names(request.out, "running")))
        assert twice < kill, seed
    done = len(set(names(request.out, "done")))
    assert finish(start(request)) == 0
    figure(
        f"a map of some 400 tiles, killed {KILLS} times",
        f"byte-identical; {done} tiles were done by then, {twice} computed twice",
    )
    assert same(request.out, undisturbed), seed
