"""Tiles of which few pixels are mapped: written as these pixels, read as what they were."""

import numpy as np
import pytest

from geocomiss.mapping.sparse import ELSEWHERE, FEW, packed, unpacked


def arrays_of(rng: np.random.Generator, mapped: np.ndarray) -> dict[str, np.ndarray]:
    """Layers with values at mapped pixels alone, and what has no pixels."""
    one = np.where(mapped, rng.integers(0, 255, mapped.shape), 255).astype(np.uint8)
    several = np.where(mapped, rng.integers(0, 9, (3, *mapped.shape)), np.array([7, 0, 3])[:, None, None])
    return {"one": one, "several": several.astype(np.uint16), "counts": np.array([4, 5])}


@pytest.mark.parametrize("seed", range(20))
def test_what_is_packed_comes_back_bit_for_bit(seed: int) -> None:
    rng = np.random.default_rng(seed)
    mapped = rng.random((rng.integers(1, 40), rng.integers(1, 40))) < rng.choice([0, 0.01, 0.1, 0.5, 1])
    arrays = arrays_of(rng, mapped)
    stored = packed(arrays, mapped)
    for name, values in arrays.items():
        found = unpacked(stored, name)
        assert found.dtype == values.dtype and found.shape == values.shape and (found == values).all()


def test_few_pixels_are_stored_as_these_and_many_as_they_are() -> None:
    mapped = np.zeros((64, 64), bool)
    mapped[3:5, 7] = True
    few = packed(arrays_of(np.random.default_rng(0), mapped), mapped)
    assert few["one"].shape == (2,) and few["several"].shape == (3, 2)
    mapped[: 64 // FEW + 1] = True
    many = arrays_of(np.random.default_rng(0), mapped)
    assert packed(many, mapped).keys() == many.keys()


def test_an_array_that_differs_between_the_pixels_stays_whole() -> None:
    mapped = np.zeros((64, 64), bool)
    mapped[3, 7] = True
    arrays = arrays_of(np.random.default_rng(0), mapped)
    arrays["several"][1, 60, 60] += 1
    stored = packed(arrays, mapped)
    assert ELSEWHERE + "one" in stored and ELSEWHERE + "several" not in stored
    assert (unpacked(stored, "several") == arrays["several"]).all()
