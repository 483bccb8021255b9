"""Smoothing equals its formula pixel by pixel, and no tiling shows in a smoothed map."""

from pathlib import Path

import numpy as np
import pytest
import rasterio

from geocomiss.errors import MapError
from geocomiss.mapping import MapRequest, make_map
from geocomiss.mapping.smoothing import CERTAIN, SMOOTHNESS, smooth


def slow(probabilities: np.ndarray, valid: np.ndarray, window: int) -> np.ndarray:
    believed = np.clip(probabilities, 1 - CERTAIN, CERTAIN)
    x = np.log(believed / (1 - believed))
    result = np.zeros_like(probabilities)
    reach = window // 2
    for row, col in np.argwhere(valid):
        rows = slice(max(0, row - reach), row + reach + 1)
        cols = slice(max(0, col - reach), col + reach + 1)
        odds = []
        for each in x:
            near = each[rows, cols][valid[rows, cols]]
            mean, variance = near.mean(), near.var()
            posterior = (variance * each[row, col] + SMOOTHNESS * mean) / (variance + SMOOTHNESS)
            odds.append(1 / (1 + np.exp(-posterior)))
        result[:, row, col] = np.array(odds) / sum(odds)
    return result


@pytest.mark.parametrize("window", [3, 7])
def test_it_equals_the_slow_way(window: int) -> None:
    rng = np.random.default_rng(window)
    raw = rng.dirichlet([0.4, 0.7, 1.0], (14, 11)).transpose(2, 0, 1)
    valid = rng.random((14, 11)) < 0.8
    found = smooth(np.where(valid, raw, 0), valid, window)
    np.testing.assert_allclose(found, slow(raw, valid, window), atol=1e-9)
    assert not found[:, ~valid].any()
    np.testing.assert_allclose(found.sum(0)[valid], 1)


def test_an_unsure_pixel_yields_and_a_sure_patch_stays() -> None:
    shares = np.zeros((2, 15, 15))
    shares[0], shares[1] = 0.9, 0.1
    shares[:, 7, 7] = 0.45, 0.55  # a speck that is hardly sure
    shares[:, :, 11:] = np.array([0.02, 0.98])[:, None, None]
    found = smooth(shares, np.ones((15, 15), bool), 5).argmax(0)
    assert found[7, 7] == 0
    assert (found[:, 12:] == 1).all() and (found[:, :10] == 0).all()


def test_a_smoothed_map_does_not_show_its_tiles(gappy_stack: Path, model: Path, tmp_path: Path) -> None:
    names = ("crop_type", "confidence", "probabilities")
    bytes_of = {}
    for tile in (512, 17):
        out = tmp_path / str(tile)
        make_map(MapRequest(str(gappy_stack), out, model=str(model), tile=tile, smooth=5, probabilities=True))
        bytes_of[tile] = [(out / f"{name}.tif").read_bytes() for name in names]
        assert not (out / "tiles").exists()
    assert bytes_of[512] == bytes_of[17]
    make_map(MapRequest(str(gappy_stack), tmp_path / "raw", model=str(model), probabilities=True))
    with rasterio.open(tmp_path / "raw" / "probabilities.tif") as file:
        stored = file.read()
    valid = (stored != 255).all(0)
    expected = slow(np.where(valid, stored * 0.005, 0), valid, 5)
    with rasterio.open(tmp_path / "17" / "crop_type.tif") as file:
        classes = file.read(1)
    np.testing.assert_array_equal(classes == 0, ~valid)
    best = np.sort(expected, 0)
    clear = valid & (best[-1] - best[-2] > 1e-9)
    np.testing.assert_array_equal(classes[clear], expected.argmax(0)[clear] + 1)


@pytest.mark.parametrize("window", [1, 4])
def test_a_neighbourhood_without_a_middle_is_refused(
    gappy_stack: Path, model: Path, tmp_path: Path, window: int
) -> None:
    with pytest.raises(MapError, match="odd number"):
        make_map(MapRequest(str(gappy_stack), tmp_path / "x", model=str(model), smooth=window))
