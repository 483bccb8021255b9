"""Work side by side: the same in any number of threads, and never more than asked for."""

import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
import rasterio
import torch

from geocomiss.mapping import MapRequest, compute, make_map
from geocomiss.threads import MOST, ON_GPU, side_by_side, threads_for


@pytest.fixture
def torch_threads() -> Iterator[Callable[[int], None]]:
    before = torch.get_num_threads()
    yield torch.set_num_threads
    torch.set_num_threads(before)


@pytest.mark.parametrize("threads", [1, 2, 5])
def test_results_come_in_order_and_so_many_are_worked_on_at_once(threads: int) -> None:
    now, most, lock = 0, 0, threading.Lock()
    met = threading.Barrier(threads)  # broken, after a while, where fewer work at once

    def work(item: int) -> int:
        nonlocal now, most
        with lock:
            now, most = now + 1, max(most, now + 1)
        met.wait(timeout=20)
        with lock:
            now -= 1
        return -item

    assert list(side_by_side(work, range(4 * threads), threads)) == [-i for i in range(4 * threads)]
    assert most == threads


def test_items_are_taken_as_they_are_worked_on() -> None:
    taken = []

    def items() -> Iterator[int]:
        for item in range(100):
            taken.append(item)
            yield item

    made = side_by_side(lambda item: item, items(), 2)
    assert next(made) == 0 and len(taken) == 3
    assert next(made) == 1 and len(taken) == 4


def test_torch_s_threads_are_shared_out_and_given_back(torch_threads: Callable[[int], None]) -> None:
    torch_threads(4)
    assert set(side_by_side(lambda _: torch.get_num_threads(), range(6), 2)) == {2}
    assert set(side_by_side(lambda _: torch.get_num_threads(), range(6), 8)) == {1}
    assert torch.get_num_threads() == 4


def test_what_fails_is_raised_and_torch_s_threads_are_given_back(
    torch_threads: Callable[[int], None],
) -> None:
    torch_threads(3)
    with pytest.raises(ZeroDivisionError):
        list(side_by_side(lambda item: 1 // item, [2, 1, 0, 1], 3))
    assert torch.get_num_threads() == 3


def test_threads_follow_the_device(torch_threads: Callable[[int], None]) -> None:
    torch_threads(3)
    assert threads_for("cpu") == 3 and threads_for("cuda:1") == ON_GPU
    torch_threads(MOST + 5)
    assert threads_for("cpu") == MOST


@pytest.mark.parametrize("threads", [2, 7])
def test_any_number_of_threads_makes_the_same_map(
    gappy_stack: Path,
    model: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    torch_threads: Callable[[int], None],
    threads: int,
) -> None:
    make_map(MapRequest(str(gappy_stack), tmp_path / "one", model=str(model), device="cpu"))
    monkeypatch.setattr(compute, "STRIP", 300)
    monkeypatch.setattr(compute, "FEWEST", 50)
    torch_threads(threads)
    seen: list[tuple[int, int]] = []
    report = make_map(
        MapRequest(str(gappy_stack), tmp_path / "many", model=str(model), device="cpu"),
        lambda done, of: seen.append((done, of)),
    )
    assert len(seen) > 5 and seen == sorted(seen) and seen[-1][0] == seen[-1][1]
    for name in ("crop_type", "confidence", "modalities"):
        with (
            rasterio.open(tmp_path / "one" / f"{name}.tif") as one,
            rasterio.open(tmp_path / "many" / f"{name}.tif") as many,
        ):
            np.testing.assert_array_equal(one.read(), many.read())
    assert abs(sum(value for name, value in report.time.items() if name != "read_ahead") - 1) < 0.01
