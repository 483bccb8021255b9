"""Training, evaluation and mapping see the same tensors for the same pixel."""

import math

import numpy as np
import pytest
import torch
from odc.geo.geom import point

from geocomiss.batch import Batch, Spec, batch_of_stack, default_min_steps
from geocomiss.checkpoint import Checkpoint
from geocomiss.evaluation import evaluate_model
from geocomiss.grid import grid_of
from geocomiss.methods import METHODS
from geocomiss.recipes import RECIPES
from geocomiss.samples import SampleRequest, read_samples
from geocomiss.samples.tensors import batch_of_samples
from geocomiss.seasons import Calendar
from geocomiss.sources.simulated import SimulatedSource
from geocomiss.training import Settings, TrainRequest, train_model


def mapped_pixel(source: SimulatedSource, spec: Spec, lat: float, lon: float, season: Calendar) -> Batch:
    """The batch that mapping makes of the pixel around a place, from a window with neighbours."""
    grid = grid_of(point(lon, lat, "EPSG:4326"))
    window = grid.pad(2)
    chosen = np.zeros(window.shape, bool)
    chosen[2, 2] = True
    return batch_of_stack(source.open(window, season).compute(), spec, chosen)


@pytest.mark.parametrize("name", sorted(RECIPES))
def test_a_sample_and_the_map_pixel_on_it_are_the_same_tensors(name: str) -> None:
    recipe = RECIPES[name]
    samples = read_samples(SampleRequest("simulated", "label", None, recipe, n=40, sim_seed=5))
    steps = recipe.steps
    spec = Spec(samples.bands, steps, 2, default_min_steps(tuple(samples.bands), steps), recipe.screened)
    sampled = batch_of_samples(samples, spec)
    source = SimulatedSource(recipe, 5)
    for i in (0, 13, 27, 39):
        season = recipe.cycle.ending_in(int(samples.columns["year"][i]))
        mapped = mapped_pixel(source, spec, samples.lat[i], samples.lon[i], season)
        for modality in spec.modalities:
            row = int(mapped.index[modality][0]) if modality in mapped.index else 0
            torch.testing.assert_close(
                mapped.x[modality][row], sampled.x[modality][i], rtol=0, atol=0, equal_nan=True
            )
            assert torch.equal(mapped.valid[modality][row], sampled.valid[modality][i])
        assert torch.equal(mapped.available[0], sampled.available[i])


def test_training_and_evaluation_hand_methods_the_tensors_of_their_samples(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    recipe = RECIPES["monthly-l2a"]
    samples = read_samples(SampleRequest("simulated", "label", None, recipe, n=60, sim_seed=5))
    seen: list[Batch] = []
    monkeypatch.setattr("geocomiss.calibration.fitting.GAPS", 0)  # these hide steps on purpose
    kind = METHODS["comiss"]
    forward, loss = kind.forward, kind.loss
    monkeypatch.setattr(kind, "forward", lambda self, batch: seen.append(batch) or forward(self, batch))
    monkeypatch.setattr(
        kind, "loss", lambda self, batch, y, rng: seen.append(batch) or loss(self, batch, y, rng)
    )
    trained = train_model(
        samples,
        TrainRequest("label", method="comiss", options={"preset": "small"}, settings=Settings(epochs=1)),
    )
    expected = batch_of_samples(samples, trained.card.spec)
    assert_rows_of(seen, expected)
    seen.clear()
    evaluate_model(Checkpoint(trained.card, trained.method), samples)
    assert_rows_of(seen, expected)


def assert_rows_of(seen: list[Batch], expected: Batch) -> None:
    """Every row that a method saw is a row of the samples' batch, bit for bit."""
    assert seen
    for modality, x in expected.x.items():
        known = {row.numpy().tobytes() for row in x}
        for batch in seen:
            assert all(row.numpy().tobytes() in known for row in batch.x[modality].detach())


def test_the_pixel_around_a_sample_is_the_samples_own() -> None:
    samples = read_samples(SampleRequest("simulated", "label", None, RECIPES["monthly-l2a"], n=5, sim_seed=5))
    grid = grid_of(point(samples.lon[0], samples.lat[0], "EPSG:4326"))
    x, y = grid.affine.c + 5, grid.affine.f - 5
    centre = point(samples.lon[0], samples.lat[0], "EPSG:4326").to_crs(grid.crs).coords[0]
    assert math.dist(centre, (x, y)) < 0.01
