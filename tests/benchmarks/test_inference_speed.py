"""Pixels per second of the published-size networks, beside the best matrix product of the machine.

Processor time: other programs keep the machine busy.
"""

import os
import time

import numpy as np
import pytest
import torch

from geocomiss.batch import Spec, batch_of_values, default_min_steps
from geocomiss.calibration import Readout
from geocomiss.engine import precision_of, prepared
from geocomiss.inference import predict
from geocomiss.methods import new_method
from geocomiss.modalities import MODALITIES
from geocomiss.nets import SIZES

pytestmark = pytest.mark.skipif(
    not os.environ.get("GEOCOMISS_BENCHMARKS"), reason="measures speed: set GEOCOMISS_BENCHMARKS=1"
)
PIXELS = 16384
CELLS = 4
"""Weather cells that these pixels lie in."""
RUNS = 3
BANDS = {name: modality.band_names for name, modality in MODALITIES.items()}
SPEC = Spec(BANDS, 12, 11, default_min_steps(tuple(BANDS), 12))
PRODUCTS = ((256, 640, 128), (256, 1536, 512), (512, 512, 512), (1024, 1024, 1024))


def _fastest(work):
    work()
    times = []
    for _ in range(RUNS):
        start = time.process_time()
        work()
        times.append(time.process_time() - start)
    return min(times)


def _best_product(dtype):
    """FLOP/s of the fastest of some matrix products."""
    rates = []
    for rows, inner, columns in PRODUCTS:
        a, b = torch.randn(rows, inner).to(dtype), torch.randn(inner, columns).to(dtype)
        rates.append(2 * rows * inner * columns / _fastest(lambda a=a, b=b: a @ b))
    return max(rates)


def _batch():
    rng = np.random.default_rng(0)
    values, rows = {}, {}
    for name, modality in MODALITIES.items():
        number = CELLS if name == "weather" else PIXELS
        shape = (number, 12 if modality.dynamic else 1, len(modality.bands))
        values[name] = rng.uniform(0.1, 0.9, shape).astype(np.float32)
        if name == "weather":
            rows[name] = np.arange(PIXELS) % CELLS
    return batch_of_values(values, SPEC, months=np.arange(1, 13), index=rows)


def _operations():
    """Floating-point operations a pixel of the encoders of optical and radar, specific and shared.

    As convolutions are counted: five taps at every step, also beyond the ends.
    """
    size, total = SIZES["full"], 0
    for name in ("optical", "radar"):
        width, bands = size.convolution, len(BANDS[name])
        convolutions = 12 * 5 * (bands * width + 2 * width * width)
        total += 2 * (convolutions + 12 * width * size.dense + size.dense * size.features)
    return 2 * total


def test_bfloat16_is_at_least_half_again_as_fast_where_the_processor_has_it():
    torch.set_num_threads(1)
    method, batch = new_method("comiss", SPEC, {"preset": "full"}).eval(), _batch()
    rates = {}
    for precision, dtype in (("float32", torch.float32), ("bfloat16", torch.bfloat16)):
        network = prepared(method, precision)
        rates[precision] = PIXELS / _fastest(
            lambda network=network: predict(network, batch, readout=Readout())
        )
        flops, best = rates[precision] * _operations(), _best_product(dtype)
        print(
            f"\nCo-Miss, full, {precision}: {rates[precision]:,.0f} px/s, {flops / 1e9:.0f} GFLOP/s, "
            f"{flops / best:.0%} of the best product ({best / 1e9:.0f})"
        )
    if precision_of("auto", "cpu", method) != "bfloat16":
        pytest.skip("this processor has no fast bfloat16")
    assert rates["bfloat16"] > 1.5 * rates["float32"]
