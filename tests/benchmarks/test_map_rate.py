"""A whole map from a local stored stack beside what its network alone can do, in the same process.

Wall-clock time: reading beside computing is what is measured. Run it on a machine that does nothing else.
"""

import json
import os
import time

import numpy as np
import pytest
import torch
from affine import Affine
from gappy import BANDS, RECIPE, SEASON, TRAINING, gappy_groups, store
from odc.geo.geobox import GeoBox

from geocomiss.batch import Spec, batch_of_stack, default_min_steps
from geocomiss.checkpoint import Card, ClassInfo, statistics_of, write_checkpoint
from geocomiss.inference import predict
from geocomiss.mapping import MapRequest, make_map, plan_map
from geocomiss.methods import new_method
from geocomiss.stack import window
from geocomiss.staging import PIXELS_AT_ONCE
from geocomiss.threads import cores, side_by_side, threads_for

pytestmark = pytest.mark.skipif(
    not os.environ.get("GEOCOMISS_BENCHMARKS"), reason="measures speed: set GEOCOMISS_BENCHMARKS=1"
)
SIDE = 768
TRIED = 256
"""Pixels a side of the tiles, and of the window with which the network is timed before and after the map."""
TARGET = 0.8


def _model(folder, preset):
    options = {"preset": preset}
    spec = Spec(BANDS, 12, 3, default_min_steps(tuple(BANDS), 12))
    torch.manual_seed(1)
    method = new_method("comiss", spec, options).eval()
    names = (("maize", "#ffd300"), ("wheat", "#a57000"), ("non_crop", "#808080"))
    card = Card(
        method="comiss",
        options=options,
        classes=tuple(
            ClassInfo(value=number, name=name, color=color) for number, (name, color) in enumerate(names, 1)
        ),
        recipe=RECIPE,
        cycle=RECIPE.cycle,
        steps=12,
        bands=BANDS,
        min_steps=dict(spec.min_steps),
        statistics=statistics_of(method),
        training=TRAINING,
        scores=None,
        simulated=False,
    )
    write_checkpoint(folder, card, method)
    return str(folder)


def _rate(plan, batch):
    """Pixels a second of the network alone, on all cores."""
    threads = threads_for("cpu")
    parts = [batch[start : start + PIXELS_AT_ONCE] for start in range(0, len(batch), PIXELS_AT_ONCE)]
    start = time.perf_counter()
    said = side_by_side(lambda part: predict(plan.method, part, readout=plan.readout), parts, threads)
    return sum(len(each.value) for each in said) / (time.perf_counter() - start)


@pytest.mark.parametrize("preset", ["full", "compact"])
def test_a_map_from_disk_reaches_most_of_the_rate_of_its_network(tmp_path, preset, figure):
    torch.set_num_threads(cores())
    grid = GeoBox((SIDE, SIDE), Affine(10, 0, 640000, 0, -10, 5610000), "EPSG:32631")
    source = str(store(tmp_path, gappy_groups(grid, SEASON)))
    model = _model(tmp_path / "model", preset)
    request = MapRequest(source, tmp_path / "map", model=model, device="cpu", tile=TRIED)
    plan = plan_map(request)
    part = window(plan.stack, slice(0, TRIED), slice(0, TRIED), plan.grid).compute()
    small = plan.grid[:TRIED, :TRIED]
    batch = batch_of_stack(part, plan.spec, np.ones(small.shape, bool), small, plan.grid)
    _rate(plan, batch)
    before = _rate(plan, batch)
    report = make_map(request)
    alone = (before + _rate(plan, batch)) / 2
    timings = json.loads((tmp_path / "map" / "run.json").read_text())["timings"]
    mapping = SIDE * SIDE / (report.seconds - timings["plan"])
    figure(
        f"a map of {SIDE} x {SIDE} pixels from a stored stack, Co-Miss, {preset}, {plan.precision}, "
        f"{torch.get_num_threads()} threads",
        f"{report.px_per_s:,.0f} px/s, without planning {mapping:,.0f}: {mapping / alone:.0%} of the "
        f"{alone:,.0f} of its network",
    )
    if preset == "full":  # of a network that is twenty times as fast reading is the larger part
        assert mapping > TARGET * alone
