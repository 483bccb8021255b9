"""Blocks of all variables are taken apart without copies of the whole."""

import tracemalloc
from typing import Any

import dask
import dask.array as da
import numpy as np
import pytest

from geocomiss.sources.blocks import variable_of

VARIABLES, STEPS, SIDE, BLOCKS = 14, 6, 32, 8


def cube() -> Any:
    """Blocks (variables, T, H, W) in which each value tells where it is."""

    def block(block_id: Any = None) -> Any:
        values = np.arange(VARIABLES * STEPS * SIDE * SIDE, dtype=np.float32)
        return values.reshape(VARIABLES, STEPS, SIDE, SIDE) + block_id[2] * 10 + block_id[3] * 100

    many = (SIDE,) * BLOCKS
    mapped: Any = da.map_blocks  # type: ignore[attr-defined]
    return mapped(block, chunks=((VARIABLES,), (STEPS,), many, many), dtype=np.float32)


def test_a_variable_is_what_a_slice_would_be() -> None:
    whole = cube().compute()
    found = variable_of(cube(), (3,), np.dtype("f4"))
    assert found.shape == whole.shape[1:] and found.dtype == np.float32
    np.testing.assert_array_equal(found.compute(), whole[3])
    flat = variable_of(cube(), (5, 2), np.dtype("i2"))
    assert flat.shape == whole.shape[2:] and flat.dtype == np.int16
    np.testing.assert_array_equal(flat.compute(), whole[5, 2].astype("i2"))


@pytest.mark.parametrize("wanted", [VARIABLES, 2])
def test_reading_takes_little_more_than_what_is_read(wanted: int) -> None:
    variables = [variable_of(cube(), (number,), np.dtype("f4")) for number in range(wanted)]
    tracemalloc.start()
    with dask.config.set(scheduler="synchronous"):
        read = dask.compute(*variables)  # type: ignore[attr-defined]
    _, most = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert most < 2.5 * sum(each.nbytes for each in read)
