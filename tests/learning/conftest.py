"""Small labelled worlds: classes that differ in every modality, with holes."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
import torch

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
CLASSES = ("grass", "maize", "wheat")
STEPS = 12
MONTHS = np.arange(1, 13)
SCALES = {
    "total_precipitation": (0.005, 0.003),
    "slope": (12, 8),
    "elevation": (1000, 800),
    "NDVI": (0.4, 0.15),
}
"""Middle and spread of bands whose modality has another scale, near enough to nature for encoders that
bring their own normalisation."""


@dataclass(frozen=True)
class World:
    """Makes values in which class k lies k standard deviations away, in every band."""

    holes: float = 0.0
    blur: float = 0.0
    """Standard deviation of an offset that all values of a pixel and modality share."""

    def values(self, y: np.ndarray, seed: int = 0) -> dict[str, np.ndarray]:
        rng = np.random.default_rng(seed)
        result = {}
        for name, bands in BANDS.items():
            steps = STEPS if MODALITIES[name].dynamic else 1
            x = rng.normal(size=(len(y), steps, len(bands))) + 1.5 * y[:, None, None]
            if self.blur:
                x += self.blur * rng.normal(size=(len(y), 1, 1))
            x[rng.random(x.shape[:2]) < self.holes] = np.nan
            x[rng.random(len(x)) < self.holes] = np.nan
            result[name] = self._scaled(name, x).astype(np.float32)
        return result

    def _scaled(self, name: str, x: np.ndarray) -> np.ndarray:
        usual = {"optical": (2000, 300), "radar": (-14, 4), "weather": (280, 20), "topography": (0, 1)}[name]
        middle, spread = np.array([SCALES.get(band, usual) for band in BANDS[name]]).T
        return middle + spread * x


@pytest.fixture(scope="session")
def world() -> World:
    return World(holes=0.15)


@pytest.fixture(scope="session")
def spec() -> Spec:
    return Spec(BANDS, STEPS, len(CLASSES), default_min_steps(tuple(BANDS), STEPS))


@pytest.fixture(scope="session")
def labelled(world: World, spec: Spec) -> tuple[Batch, torch.Tensor]:
    """120 pixels with holes, and their classes."""
    y = np.random.default_rng(5).integers(0, 3, 120)
    return batch_of_values(world.values(y), spec, months=MONTHS), torch.from_numpy(y)


@pytest.fixture(scope="session")
def samples() -> Samples:
    """180 samples in 9 cells, with fold and region columns."""
    rng = np.random.default_rng(3)
    y = rng.integers(0, 3, 180)
    cell = np.arange(180) % 9
    values = World(holes=0.05).values(y)
    # in canonical units: the scale of the toy world does not fit every band
    return Samples(
        name="toy",
        sha256="0" * 64,
        values=values,
        bands=BANDS,
        labels=np.array(CLASSES)[y],
        lat=50 + cell * 2.0 + 0.25,
        lon=np.full(180, 4.5),
        group=cell.astype(str),
        months=np.tile(np.arange(1, 13), (180, 1)),
        years=(2021,),
        columns={"fold": cell % 3, "region": np.where(cell < 4, "north", "south")},
        recipe=RECIPES["monthly-l2a"],
        recipe_stated=True,
    )


@pytest.fixture(scope="session")
def vectors(shared: Path) -> dict[str, torch.Tensor]:
    """Loss terms computed by the reference implementations, and what they were computed from."""
    stored = np.load(shared / "vectors" / "colearn_loss_vectors.npz", allow_pickle=False)
    return {name: torch.from_numpy(np.asarray(stored[name])) for name in stored.files}
