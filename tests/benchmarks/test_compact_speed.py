"""Pixels per second of compact models, beside the full ones that taught them and a random forest.

Processor time of one thread, each the fastest of several tries that take turns: other programs keep the
machine busy.
"""

import os
import time

import numpy as np
import pytest
import torch
from sklearn.ensemble import RandomForestClassifier

from geocomiss.batch import Spec, batch_of_values, default_min_steps
from geocomiss.calibration import Readout
from geocomiss.engine import precision_of, prepared
from geocomiss.inference import predict
from geocomiss.methods import STUDENTS, new_method
from geocomiss.modalities import MODALITIES

pytestmark = pytest.mark.skipif(
    not os.environ.get("GEOCOMISS_BENCHMARKS"), reason="measures speed: set GEOCOMISS_BENCHMARKS=1"
)
PIXELS = 16384
CELLS = 4
"""Weather cells that these pixels lie in."""
RUNS = 4
TRAINED = 2200
"""Samples that the forest learns from, as many as there are outside a fold of Canada."""
BANDS = {name: modality.band_names for name, modality in MODALITIES.items()}
SPEC = Spec(BANDS, 12, 11, default_min_steps(tuple(BANDS), 12))


@pytest.fixture(scope="module")
def values():
    rng = np.random.default_rng(0)
    numbers = {name: CELLS if name == "weather" else PIXELS for name in MODALITIES}
    return {
        name: rng.uniform(0.1, 0.9, (number, *SPEC.shape(name))).astype(np.float32)
        for name, number in numbers.items()
    }


def _forest(values):
    """What it takes a forest of 100 trees to tell the classes of these pixels.

    Some labels follow from the values: trees that learn from nothing else than chance are deeper, and slow.
    """
    cells = np.arange(PIXELS) % CELLS
    rows = [values[name][cells] if name == "weather" else values[name] for name in BANDS]
    x = np.concatenate([each.reshape(PIXELS, -1) for each in rows], 1)
    chance = np.random.default_rng(1)
    told = (x[:TRAINED, 0] * SPEC.classes).astype(int)
    y = np.where(chance.random(TRAINED) < 0.6, told, chance.integers(0, SPEC.classes, TRAINED))
    forest = RandomForestClassifier(100, n_jobs=1, random_state=0).fit(x[:TRAINED], y)
    return lambda: forest.predict_proba(x)


def _network(name, preset, values):
    """The same of a network, from a batch to class and confidence."""
    index = {"weather": np.arange(PIXELS) % CELLS}
    batch = batch_of_values(values, SPEC, months=np.arange(1, 13), index=index)
    method = new_method(name, SPEC, {"preset": preset}).eval()
    fast = prepared(method, precision_of("auto", "cpu", method))
    return lambda: predict(fast, batch, readout=Readout())


def _rates(works):
    """Pixels per second of each, the fastest of several rounds."""
    best = dict.fromkeys(works, float("inf"))
    for _ in range(RUNS):
        for name, work in works.items():
            start = time.process_time()
            work()
            best[name] = min(best[name], time.process_time() - start)
    return {name: PIXELS / seconds for name, seconds in best.items()}


def test_compact_models_are_five_times_as_fast_and_ahead_of_a_forest(values, figure):
    torch.set_num_threads(1)
    works = {
        f"{name} {size}": _network(name, size, values) for name in STUDENTS for size in ("full", "compact")
    }
    rates = _rates({**works, "random forest": _forest(values)})
    figure("a random forest of 100 trees", f"{rates['random forest']:,.0f} pixels/s and core")
    for name in STUDENTS:
        full, compact = rates[f"{name} full"], rates[f"{name} compact"]
        figure(
            f"`{name}`, compact and full",
            f"{compact:,.0f} and {full:,.0f} pixels/s and core: {compact / full:.1f} times, and "
            f"{compact / rates['random forest']:.1f} times the forest",
        )
        assert compact > 5 * full
        assert compact > rates["random forest"]
