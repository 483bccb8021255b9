"""Small maps and reference points to assess them with."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from assessed import CLASSES, GRID, points_at, write_map
from numpy.typing import NDArray


@pytest.fixture
def truth() -> NDArray[np.uint8]:
    """Classes on the ground: 20 % maize, 30 % wheat, the rest no crop, in fields of 5 pixels a side."""
    rng = np.random.default_rng(0)
    fields = rng.choice([1, 2, 3], (GRID.height // 5, GRID.width // 5), p=[0.2, 0.3, 0.5])
    return np.kron(fields, np.ones((5, 5), np.uint8)).astype(np.uint8)


@pytest.fixture
def mapped(truth: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """What a map says: one pixel in five wrong, and no class in a corner."""
    rng = np.random.default_rng(1)
    wrong = rng.random(truth.shape) < 0.2
    values = np.where(wrong, rng.integers(1, 4, truth.shape), truth).astype(np.uint8)
    values[:20, :30] = 0
    return values


@pytest.fixture
def map_folder(tmp_path: Path, mapped: NDArray[np.uint8]) -> Path:
    """That map on disk; its west half has no optical data."""
    bits = np.full(mapped.shape, 15, np.uint8)
    bits[:, :100] = 14
    bits[mapped == 0] = 255
    return write_map(tmp_path / "map", mapped, bits)


@pytest.fixture
def simple_points(tmp_path: Path, truth: NDArray[np.uint8]) -> Callable[..., Path]:
    """A simple random sample of true labels over the whole grid, written as GeoPackage."""

    def write(n: int = 300, seed: int = 0, crs: Any = "EPSG:32631", **columns: Any) -> Path:
        rng = np.random.default_rng(seed)
        rows, cols = rng.integers(0, GRID.height, n), rng.integers(0, GRID.width, n)
        labels = [CLASSES[value] for value in truth[rows, cols].tolist()]
        frame = points_at(rows, cols, labels, **columns).to_crs(crs)
        path = tmp_path / "points.gpkg"
        frame.to_file(path, driver="GPKG")
        return path

    return write
