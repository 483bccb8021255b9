"""The check that declares strange steps missing."""

import numpy as np
import pytest
import torch

from geocomiss.batch import Batch, Spec, batch_of_values
from geocomiss.novelty import ENOUGH, Novelty

BANDS = {"optical": ("B2", "B4", "B8"), "radar": ("VV", "VH"), "weather": ("temperature_2m",)}
SPEC = Spec(BANDS, 12, 2, {"optical": 3, "radar": 3, "weather": 1})


def world(number: int, seed: int = 0, holes: float = 0.1) -> Batch:
    """Bands that follow each other, higher in mid-season; random holes."""
    rng = np.random.default_rng(seed)
    values = {}
    for name, bands in BANDS.items():
        common = rng.normal(size=(number, 12, 1)) + 5 * np.sin(np.linspace(0, np.pi, 12))[:, None]
        x = 100 + 10 * (common + 0.2 * rng.normal(size=(number, 12, len(bands))))
        x[rng.random((number, 12)) < holes] = np.nan
        values[name] = x.astype(np.float32)
    return batch_of_values(values, SPEC)


def spoilt(batch: Batch, modality: str, pixel: int, step: int, by: list[float]) -> Batch:
    x = {name: rows.clone() for name, rows in batch.x.items()}
    x[modality][pixel, step] += torch.tensor(by)
    return Batch(x, batch.valid, batch.index, batch.kept, batch.min_steps)


@pytest.mark.parametrize("number", [ENOUGH // 2, 400])
def test_distances_and_limit_are_the_slow_ones(number: int) -> None:
    batch = world(number, holes=0.3)
    known = Novelty.fit(batch, quantile=0.9).known["optical"]
    x, valid = batch.x["optical"].double().numpy(), batch.valid["optical"].numpy()
    places = range(12) if number > ENOUGH else [slice(None)]
    assert len(known.mean) == len(places)
    for place, step in enumerate(places):
        values = x[:, step][valid[:, step]]  # (R, C)
        covariance = np.cov(values.T, bias=True)
        shrunken = 0.95 * covariance + 0.05 * np.diag(np.diag(covariance))
        apart = values - values.mean(0)
        distance = [row @ np.linalg.inv(shrunken) @ row for row in apart]
        np.testing.assert_allclose(known.precision[place].numpy(), np.linalg.inv(shrunken), rtol=1e-6)
        np.testing.assert_allclose(float(known.limit[place]), np.quantile(distance, 0.9), rtol=1e-6)


def test_good_data_of_other_pixels_stay() -> None:
    novelty, other = Novelty.fit(world(400)), world(300, seed=1)
    kept = novelty.screen(other)
    for name in ("optical", "radar"):
        lost = 1 - kept.valid[name].sum() / other.valid[name].sum()
        assert 0.005 < lost < 0.04  # about 1 - QUANTILE
    assert torch.equal(kept.valid["weather"], other.valid["weather"])  # not checked by default


def test_a_strange_step_is_missing_and_filled_like_a_gap() -> None:
    novelty, batch = Novelty.fit(world(400)), world(5, seed=2, holes=0.0)
    bad = spoilt(batch, "optical", 1, 6, [90.0, 90.0, 90.0])
    kept = novelty.screen(bad)
    assert not kept.valid["optical"][1, 6]
    keep = {"optical": kept.valid["optical"], "radar": kept.valid["radar"]}
    expected = batch.keep_steps(keep)
    assert torch.equal(kept.x["optical"], expected.x["optical"])  # nothing of the bad value is left


def test_bands_that_fall_out_of_step_are_novel_though_each_is_in_range() -> None:
    novelty, batch = Novelty.fit(world(400)), world(5, seed=2, holes=0.0)
    bad = spoilt(batch, "optical", 0, 6, [15.0, -15.0, 0.0])
    assert not novelty.screen(bad).valid["optical"][0, 6]


def test_what_is_usual_in_one_month_is_novel_in_another() -> None:
    novelty, batch = Novelty.fit(world(400)), world(5, seed=2, holes=0.0)
    bad = spoilt(batch, "optical", 0, 0, [50.0, 50.0, 50.0])  # mid-season values in the first step
    assert not novelty.screen(bad).valid["optical"][0, 0]


def test_a_sensor_that_is_mostly_strange_is_not_trusted_at_all() -> None:
    novelty, bad = Novelty.fit(world(400)), world(5, seed=2, holes=0.0)
    for step in range(8):
        bad = spoilt(bad, "optical", 3, step, [90.0, 0.0, 0.0])
    kept = novelty.screen(bad)
    assert not kept.valid["optical"][3].any()
    assert not kept.available[3, 0]
    assert kept.available[3, 1]
    assert novelty.screen(bad, distrust=1.0).valid["optical"][3, 8:].any()


def test_missing_stays_missing_and_nothing_is_made_valid() -> None:
    novelty, batch = Novelty.fit(world(400)), world(100, seed=3, holes=0.6)
    kept = novelty.screen(batch)
    for name in batch.modalities:
        assert not (kept.valid[name] & ~batch.valid[name]).any()
        assert torch.isfinite(kept.x[name][kept.valid[name]]).all()


def test_a_band_that_never_varied_and_a_modality_never_seen() -> None:
    values = {"optical": np.full((200, 12, 3), 7.0, np.float32)}
    values["optical"][..., 0] = np.random.default_rng(0).normal(100, 5, (200, 12))
    batch = batch_of_values(values, SPEC)
    novelty = Novelty.fit(batch)
    assert set(novelty.known) == {"optical"}
    assert novelty.screen(batch).valid["optical"].float().mean() > 0.95
    assert torch.isfinite(novelty.known["optical"].precision).all()


def test_a_pixel_is_screened_alike_in_any_company() -> None:
    novelty, batch = Novelty.fit(world(400)), world(60, seed=4)
    whole = novelty.screen(batch)
    for part in (slice(0, 7), slice(7, 60)):
        for name in batch.modalities:
            assert torch.equal(novelty.screen(batch[part]).valid[name], whole.valid[name][part])
