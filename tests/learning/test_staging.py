"""Pixels arrive on a device whole and in order, however they travel; GPUs are shared out in turn.

The processor stands in for a GPU: its streams are stand-ins that do nothing, the way is the same.
"""

import threading
from dataclasses import replace

import numpy as np
import pytest
import torch

from geocomiss import staging
from geocomiss.batch import Around, Batch, Spec, batch_of_values, default_min_steps
from geocomiss.inference import device_named, predict
from geocomiss.mapping.worker import number_of
from geocomiss.methods import new_method

BANDS = {"optical": ("B4", "B8"), "weather": ("temperature_2m",)}
SPEC = Spec(BANDS, 4, 3, default_min_steps(tuple(BANDS), 4))
PROCESSOR = torch.device("cpu")


def _batch(number: int) -> Batch:
    rng = np.random.default_rng(number)
    optical = rng.uniform(0, 5000, (number, 4, 2)).astype(np.float32)
    optical[rng.random((number, 4)) < 0.5] = np.nan
    weather = rng.uniform(0, 20, (3, 4, 1)).astype(np.float32)
    rows = {"weather": rng.integers(0, 3, number)}
    batch = batch_of_values({"optical": optical, "weather": weather}, SPEC, rows, months=np.arange(1, 5))
    around = Around(torch.from_numpy(rng.integers(0, 3, (number, 4))), torch.full((number, 4), 0.25))
    return replace(batch, around={"weather": around})


def _pieces(batch: Batch, size: int) -> list[Batch]:
    return [batch[start : start + size] for start in range(0, len(batch), size)]


def _same(one: Batch, other: Batch) -> None:
    for mine, theirs in ((one.x, other.x), (one.valid, other.valid), (one.index, other.index)):
        assert mine.keys() == theirs.keys()
        for name in mine:
            torch.testing.assert_close(mine[name], theirs[name], rtol=0, atol=0, equal_nan=True)
    assert torch.equal(one.around["weather"].rows, other.around["weather"].rows)
    assert torch.equal(one.around["weather"].weights, other.around["weather"].weights)
    assert torch.equal(one.kept, other.kept) and torch.equal(one.min_steps, other.min_steps)
    assert one.months is not None and other.months is not None and torch.equal(one.months, other.months)


@pytest.mark.parametrize("size", [1, 7, 20, 50])
def test_what_travels_arrives_whole_and_in_order(size: int) -> None:
    batch = _batch(20)
    arrived = list(staging.travelling(iter(_pieces(batch, size)), PROCESSOR))
    assert len(arrived) == -(-20 // size)
    for one, other in zip(arrived, _pieces(batch, size), strict=True):
        _same(one, other)


def test_the_next_part_is_on_its_way_while_one_is_worked_with() -> None:
    taken = threading.Semaphore(0)

    def pieces():
        for piece in _pieces(_batch(6), 2):
            taken.release()
            yield piece

    coming = staging.travelling(pieces(), PROCESSOR)
    next(coming)
    assert taken.acquire(timeout=30) and taken.acquire(timeout=30)  # the second, nobody asked for yet
    assert len(list(coming)) == 2


def test_what_fails_on_the_way_is_told_to_who_waits() -> None:
    def pieces():
        yield _batch(2)
        raise ValueError("out of memory")

    coming = staging.travelling(pieces(), PROCESSOR)
    next(coming)
    with pytest.raises(ValueError, match="out of memory"):
        next(coming)


def test_a_caller_who_stops_leaves_no_thread_behind() -> None:
    before = threading.active_count()
    coming = staging.travelling(iter(_pieces(_batch(20), 2)), PROCESSOR)
    next(coming)
    coming.close()
    assert threading.active_count() == before


def test_predictions_are_the_same_however_pixels_travel(monkeypatch: pytest.MonkeyPatch) -> None:
    batch, method = _batch(50), new_method("comiss", SPEC, {"preset": "small"}).eval()
    plain = predict(method, batch)

    def travelling(batch: Batch, device: torch.device | str):
        return staging.travelling(iter(_pieces(batch, 16)), torch.device(device))

    monkeypatch.setattr("geocomiss.inference.parts", travelling)
    other = predict(method, batch)
    np.testing.assert_array_equal(plain.value, other.value)
    np.testing.assert_allclose(plain.confidence, other.confidence, atol=1e-6)
    np.testing.assert_array_equal(plain.modalities, other.modalities)


def test_each_process_gets_the_gpu_whose_turn_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 4)
    tried: list[str] = []

    def zeros(*_: int, device: str) -> torch.Tensor:
        tried.append(device)
        return torch.empty(1, device="meta")

    monkeypatch.setattr(torch, "zeros", zeros)
    for process in range(6):
        device_named("cuda", process)
    device_named("auto")
    device_named("cuda:2", 3)
    assert tried == ["cuda:0", "cuda:1", "cuda:2", "cuda:3", "cuda:0", "cuda:1", "cuda:0", "cuda:2"]


@pytest.mark.parametrize(
    "name, number",
    [(3, 3), ("12", 12), ("gpu-7", 7), ("a-b-0", 0), ("tcp://127.0.0.1:39131", 0), ("worker", 0)],
)
def test_a_worker_knows_its_number(name: object, number: int) -> None:
    assert number_of(name) == number


@pytest.mark.skipif(not torch.cuda.is_available(), reason="this machine has no GPU")
def test_a_gpu_says_what_the_processor_says() -> None:
    batch, method = _batch(1000), new_method("comiss", SPEC, {"preset": "small"}).eval()
    here, there = predict(method, batch, "cpu"), predict(method, batch, "cuda")
    assert (here.value == there.value).mean() > 0.995
    np.testing.assert_allclose(here.confidence, there.confidence, atol=0.01)
