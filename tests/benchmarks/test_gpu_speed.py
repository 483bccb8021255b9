"""Pixels per second of the published-size Co-Miss on a GPU, beside the best matrix product of the card.

Pixels come from this machine's memory and classes go back there, as in a map.
"""

import os
import time
from collections.abc import Callable

import pytest
import torch
from full_network import SPEC, full_batch, operations_of_a_pixel

from geocomiss.engine import prepared
from geocomiss.inference import predict
from geocomiss.methods import new_method
from geocomiss.staging import PIXELS_ON_GPU

pytestmark = [
    pytest.mark.skipif(
        not os.environ.get("GEOCOMISS_BENCHMARKS"), reason="measures speed: set GEOCOMISS_BENCHMARKS=1"
    ),
    pytest.mark.skipif(not torch.cuda.is_available(), reason="this machine has no GPU"),
]
RUNS = 5
SIDES = (4096, 8192)
TARGET = 0.3


def _fastest(work: Callable[[], object]) -> float:
    """Seconds; the first run, in which kernels are chosen, does not count."""
    seconds = []
    for _ in range(1 + RUNS):
        torch.cuda.synchronize()
        start = time.perf_counter()
        work()
        torch.cuda.synchronize()
        seconds.append(time.perf_counter() - start)
    return min(seconds[1:])


def _best_product() -> float:
    """FLOP/s of the faster of two square products in bfloat16."""
    rates = []
    for side in SIDES:
        a, b = (torch.randn(side, side, device="cuda", dtype=torch.bfloat16) for _ in range(2))
        rates.append(2 * side**3 / _fastest(lambda a=a, b=b: a @ b))
    return max(rates)


def test_a_gpu_does_three_tenths_of_its_best_product(figure: Callable[[str, str], None]) -> None:
    method = prepared(new_method("comiss", SPEC, {"preset": "full"}).eval(), "bfloat16")
    batch, best = full_batch(4 * PIXELS_ON_GPU), _best_product()
    whole = len(batch) / _fastest(lambda: predict(method, batch, "cuda"))
    there = batch.to("cuda")
    alone = len(batch) / _fastest(lambda: predict(method, there, "cuda"))
    shares = [rate * operations_of_a_pixel() / best for rate in (alone, whole)]
    figure(
        f"Co-Miss, full, bfloat16, on {torch.cuda.get_device_name()}",
        f"{alone:,.0f} pixels/s: {shares[0]:.0%} of the best product ({best / 1e12:.0f} TFLOP/s); pixels "
        f"from memory: {whole:,.0f}, {shares[1]:.0%}",
    )
    assert min(shares) > TARGET, "pixels on the card already, and pixels from this machine's memory"
