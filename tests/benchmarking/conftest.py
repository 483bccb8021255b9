"""Small worlds for the parts of a comparison."""

from collections.abc import Callable

import numpy as np
import pytest

from geocomiss.batch import Batch, Spec, batch_of_values, default_min_steps
from geocomiss.modalities import MODALITIES
from geocomiss.recipes import RECIPES
from geocomiss.samples.table import Samples

BANDS = {
    "optical": ("B2", "B4", "B8", "NDVI"),
    "radar": ("VV", "VH"),
    "weather": ("temperature_2m", "total_precipitation"),
    "topography": ("elevation", "slope"),
}
MIDDLE = {"B2": 500, "B4": 700, "B8": 3000, "VV": -10, "VH": -16, "temperature_2m": 285, "elevation": 300}
SPREAD = {"B2": 60, "B4": 80, "B8": 300, "VV": 1, "VH": 1, "temperature_2m": 4, "elevation": 40}
STEPS = 12


def values_of(y: np.ndarray, seed: int = 0, holes: float = 0.1, steps: int = STEPS) -> dict[str, np.ndarray]:
    """Series in canonical units in which class k lies 1.5 k standard deviations away; holes are NaN."""
    rng = np.random.default_rng(seed)
    result = {}
    for name, bands in BANDS.items():
        length = steps if MODALITIES[name].dynamic else 1
        x = rng.normal(size=(len(y), length, len(bands))) + 1.5 * y[:, None, None]
        x = x * [SPREAD.get(band, 0.001) for band in bands] + [MIDDLE.get(band, 0.005) for band in bands]
        if name == "optical":
            x[..., 3] = (x[..., 2] - x[..., 1]) / (x[..., 2] + x[..., 1])
        if MODALITIES[name].imaging:
            x[rng.random(x.shape[:2]) < holes] = np.nan
        result[name] = x.astype(np.float32)
    return result


@pytest.fixture(scope="session")
def spec() -> Spec:
    return Spec(BANDS, STEPS, 3, default_min_steps(tuple(BANDS), STEPS))


@pytest.fixture(scope="session")
def y() -> np.ndarray:
    return np.random.default_rng(5).integers(0, 3, 150)


@pytest.fixture(scope="session")
def batch(spec: Spec, y: np.ndarray) -> Batch:
    """150 pixels with holes."""
    return batch_of_values(values_of(y), spec)


@pytest.fixture(scope="session")
def table() -> Callable[..., Samples]:
    """Makes tables of samples with given optical gaps and months."""

    def make(valid: np.ndarray, months: np.ndarray, name: str = "toy", seed: int = 0) -> Samples:
        number, steps = valid.shape
        values = values_of(np.arange(number) % 3, seed, holes=0.0, steps=steps)
        values["optical"][~valid] = np.nan
        return Samples(
            name=name,
            sha256="0" * 64,
            values=values,
            bands=BANDS,
            labels=np.array(["a", "b", "c"])[np.arange(number) % 3],
            lat=np.full(number, 50.0),
            lon=np.full(number, 4.0),
            group=(np.arange(number) % 9).astype(str),
            months=months,
            years=(2021,),
            columns={},
            recipe=RECIPES["monthly-l2a"],
            recipe_stated=True,
        )

    return make
