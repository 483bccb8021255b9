"""What simulating is reckoned to take is what it takes, and tiles follow from it."""

import threading
import time
import tracemalloc
from concurrent.futures import ThreadPoolExecutor
from datetime import date
from pathlib import Path

import dask
import numpy as np
import pytest
import xarray as xr
from affine import Affine
from gappy import untrained
from odc.geo.geobox import GeoBox

from geocomiss.mapping import MapRequest, plan_map
from geocomiss.recipes import RECIPES
from geocomiss.seasons import Calendar
from geocomiss.simulation import World
from geocomiss.simulation.orbits import OPTICAL_SWATH, optical_passes
from geocomiss.simulation.places import places_of
from geocomiss.sources.simulated import AT_WORK, SimulatedSource, _simulated
from geocomiss.stack import groups_of

GRID = GeoBox((64, 64), Affine(10, 0, 600000, 0, -10, 5600000), "EPSG:32631")
YEAR = date(2021, 1, 1)


def most_taken(source: SimulatedSource, season: Calendar) -> int:
    """Most bytes that a block of any modality takes."""
    taken = []
    for group in groups_of(source.open(GRID, season)).values():
        tracemalloc.start()
        with dask.config.set(scheduler="synchronous"):
            group.compute()
        taken.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    return max(taken)


@pytest.mark.parametrize("name", ["monthly-l2a", "cropharvest"])
def test_no_block_takes_more_than_it_is_reckoned_to(name: str) -> None:
    source, season = SimulatedSource(RECIPES[name], 0), RECIPES[name].cycle.ending_in(2021)
    source.open(GRID, season).compute()  # what is loaded or remembered for good is no block's
    found = source.scenes(GRID, season)
    one = found.taken(64) / found.blocks
    assert 0.5 * one < most_taken(source, season) < one


def test_a_block_at_the_edge_of_a_swath_is_seen_on_the_days_of_two() -> None:
    wide = GeoBox((10, 400), Affine(1000, 0, 300_000, 0, -1000, 5_600_000), "EPSG:32631")
    season, met = Calendar(YEAR, "month", 12), 0
    days = season.start.toordinal(), season.last_day.toordinal()
    for seed in range(4):
        world = World(seed)
        most = world.acquisitions(places_of(wide), season)
        for at in range(0, 400, 10):  # blocks of 10 km: one of them lies across the edge
            found = len(optical_passes(seed, places_of(wide[:, at : at + 10]), *days).days)
            assert found <= most < 160
            met += found > 80
    assert met and wide.width * 1000 > OPTICAL_SWATH


def test_no_more_blocks_are_simulated_at_a_time_than_are_reckoned_with() -> None:
    now, most, lock = 0, 0, threading.Lock()

    def simulate(part: GeoBox) -> xr.Dataset:
        nonlocal now, most
        with lock:
            now += 1
            most = max(most, now)
        time.sleep(0.02)
        with lock:
            now -= 1
        return xr.Dataset({"B4": (("y", "x"), np.zeros(part.shape))})

    with ThreadPoolExecutor(3 * AT_WORK) as pool:
        for each in [pool.submit(_simulated, simulate, GRID, ("B4",)) for _ in range(4 * AT_WORK)]:
            each.result()
    assert most == AT_WORK


def test_a_map_of_the_simulated_world_counts_what_simulating_takes(tmp_path: Path) -> None:
    memory = 1_300_000_000
    asked = {"aoi": "4.98,50.61,4.985,50.615", "season": "2021", "device": "cpu"}
    plan = plan_map(MapRequest("simulated", tmp_path, model=str(untrained(tmp_path)), memory=memory, **asked))  # type: ignore[arg-type]
    assert plan.memory is not None and plan.memory.scenes is not None
    alone = plan.memory.process + plan.memory.pixel * plan.request.tile**2
    assert alone < plan.memory.taken(plan.request.tile) <= memory
    assert isinstance(plan.source, SimulatedSource) and plan.source.block == min(128, plan.request.tile)
