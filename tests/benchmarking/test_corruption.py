"""Corruptions: only valid steps change, alike for every contender, in units that a sensor could deliver."""

import pickle
from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from geocomiss.batch import Batch, Spec, batch_of_values, default_min_steps, fill_gaps
from geocomiss.benchmarking.conditions.base import Case
from geocomiss.benchmarking.conditions.corruption import (
    CORRUPTIONS,
    corrupt,
    corruption_conditions,
    defined_for,
    setting_of,
)
from geocomiss.benchmarking.conditions.draws import Draws
from geocomiss.errors import MethodError

B2, B4, B8, NDVI = range(4)


@pytest.fixture(scope="module")
def rows(batch: Batch) -> np.ndarray:
    return np.arange(len(batch))


@given(numbers=st.lists(st.integers(0, 200), min_size=1, max_size=30, unique=True))
def test_randomness_belongs_to_the_sample(numbers: list[int]) -> None:
    every, some = (Draws(np.array(rows), "a", 4) for rows in (range(201), numbers))
    for kind in ("uniform", "normal"):
        whole = getattr(every, kind)("p", 5, 3)
        np.testing.assert_array_equal(getattr(some, kind)("p", 5, 3), whole[numbers])
        assert not np.array_equal(getattr(every, kind)("q", 5, 3), whole)
        assert not np.array_equal(getattr(Draws(every.rows, "b", 4), kind)("p", 5, 3), whole)
        assert not np.array_equal(getattr(Draws(every.rows, "a", 5), kind)("p", 5, 3), whole)


@pytest.mark.parametrize("kind", CORRUPTIONS)
def test_only_valid_steps_of_one_modality_change(
    batch: Batch, spec: Spec, rows: np.ndarray, kind: str
) -> None:
    bad = corrupt(kind, batch, rows, setting_of(batch, spec))
    hit = CORRUPTIONS[kind].modality
    for name in batch.modalities:
        assert torch.equal(bad.valid[name], batch.valid[name])
        if name != hit:
            np.testing.assert_array_equal(bad.x[name].numpy(), batch.x[name].numpy())
    x, valid = bad.x[hit].numpy(), bad.valid[hit].numpy()
    assert not np.array_equal(x[valid], batch.x[hit].numpy()[valid])
    assert np.isfinite(x[valid]).all()
    # gaps are filled from what is there now, good or bad
    known = torch.from_numpy(np.where(valid[..., None], x, np.float32(np.nan)))
    np.testing.assert_array_equal(x, fill_gaps(known, torch.from_numpy(valid)))


@pytest.mark.parametrize("kind", CORRUPTIONS)
def test_a_sample_is_corrupted_alike_in_any_company(
    batch: Batch, spec: Spec, rows: np.ndarray, kind: str
) -> None:
    setting, name = setting_of(batch, spec), CORRUPTIONS[kind].modality
    whole = corrupt(kind, batch, rows, setting).x[name]
    some = np.array([140, 3, 77])
    part = corrupt(kind, batch[torch.from_numpy(some)], some, setting).x[name]
    np.testing.assert_array_equal(part.numpy(), whole[some].numpy())
    again = corrupt(kind, batch, rows, setting, seed=1).x[name]
    assert not torch.equal(torch.nan_to_num(again), torch.nan_to_num(whole))


@pytest.mark.parametrize(
    ("kind", "share"), [("noise", 0.5), ("interference", 0.3), ("cloud-10", 0.1), ("cloud-50", 0.5)]
)
def test_the_share_of_steps(batch: Batch, spec: Spec, rows: np.ndarray, kind: str, share: float) -> None:
    name = CORRUPTIONS[kind].modality
    valid = batch.valid[name]
    changed = (corrupt(kind, batch, rows, setting_of(batch, spec)).x[name] != batch.x[name]).any(2) & valid
    number = changed.sum(1) - share * valid.sum(1)
    assert (number.abs() < 1).all()  # rounded up or down
    assert abs(changed.sum() / valid.sum() - share) < 0.03


def test_noise_has_the_training_spread(spec: Spec) -> None:
    y = np.zeros(2000, int)
    rng = np.random.default_rng(0)
    x = rng.normal(5000, 200, (2000, 12, 4)).astype("f4")
    x[..., NDVI] = 0.5
    batch = batch_of_values({"optical": x}, spec)
    bad = corrupt("noise", batch, np.arange(len(y)), setting_of(batch, spec)).x["optical"].numpy()
    added = (bad - x)[..., B2]
    assert abs(added[added != 0].std() - 200) < 5


def test_a_dropped_band_reads_zero_at_all_steps(batch: Batch, spec: Spec, rows: np.ndarray) -> None:
    bad = corrupt("dropped-band", batch, rows, setting_of(batch, spec)).x["optical"].numpy()
    valid = batch.valid["optical"].numpy()
    dead = set()
    for pixel in range(len(batch)):
        zero = (bad[pixel][valid[pixel]] == 0).all(0)
        assert zero[:NDVI].sum() == 1
        dead.add(int(zero[:NDVI].argmax()))
    assert dead == {B2, B4, B8}


@pytest.mark.parametrize("kind", [kind for kind in CORRUPTIONS if CORRUPTIONS[kind].modality == "optical"])
def test_ndvi_follows_its_bands(batch: Batch, spec: Spec, rows: np.ndarray, kind: str) -> None:
    bad = corrupt(kind, batch, rows, setting_of(batch, spec)).x["optical"].numpy()[batch.valid["optical"]]
    total = bad[:, B8] + bad[:, B4]
    expected = np.where(total > 0, (bad[:, B8] - bad[:, B4]) / np.maximum(total, 1), 0)
    np.testing.assert_allclose(bad[:, NDVI], expected, atol=1e-5)
    assert (np.abs(bad[:, NDVI]) <= 1).all()


def test_ndvi_of_another_recipe_and_alone() -> None:
    bands = {"optical": ("B3", "B4", "B7", "B8", "NDVI")}
    spec = Spec(bands, 12, 2, default_min_steps(("optical",), 12))
    x = np.random.default_rng(0).uniform(500, 4000, (20, 12, 5)).astype("f4")
    batch = batch_of_values({"optical": x}, spec)
    setting = setting_of(batch, spec, ("B7", "B3"))
    bad = corrupt("cloud-50", batch, np.arange(20), setting).x["optical"].numpy()
    hit = (bad != x).any(2)
    np.testing.assert_allclose(
        bad[hit][:, 4], ((bad[..., 2] - bad[..., 0]) / (bad[..., 2] + bad[..., 0]))[hit], atol=1e-6
    )
    alone = replace(spec, bands={"optical": ("NDVI",)})
    batch = batch_of_values({"optical": x[..., 3:4] / 5000}, alone)
    bad = corrupt("cloud-50", batch, np.arange(20), setting_of(batch, alone)).x["optical"].numpy()
    assert (bad <= x[..., 3:4] / 5000).all()  # white cloud draws NDVI towards 0
    assert (bad >= 0).all()


def test_clouds_are_white_and_interference_loud(batch: Batch, spec: Spec, rows: np.ndarray) -> None:
    setting = setting_of(batch, spec)
    cloudy = corrupt("cloud-30", batch, rows, setting).x["optical"].numpy()
    hit = (cloudy != batch.x["optical"].numpy()).any(2) & batch.valid["optical"].numpy()
    assert ((cloudy[hit][:, B2] > 2000) & (cloudy[hit][:, B2] < 8000)).all()
    loud = corrupt("interference", batch, rows, setting).x["radar"] - batch.x["radar"]
    steps = loud[batch.valid["radar"]]
    assert torch.isclose(steps, torch.tensor(10.0), atol=1e-4).logical_or(steps == 0).all()
    assert torch.allclose(steps[:, 0], steps[:, 1], atol=1e-4)  # both polarisations


def test_what_is_not_defined(batch: Batch, spec: Spec, rows: np.ndarray) -> None:
    with pytest.raises(MethodError, match="'rain'"):
        corrupt("rain", batch, rows, setting_of(batch, spec))
    assert defined_for(("radar", "weather")) == ("interference",)
    assert defined_for(("weather",)) == ()
    assert corruption_conditions(Spec({"weather": ("temperature_2m",)}, 12, 2, {"weather": 1})) == ()


def test_a_modality_that_the_table_lacks_stays_missing(spec: Spec, rows: np.ndarray) -> None:
    values = {"weather": np.ones((5, 12, 2), np.float32)}
    batch = batch_of_values(values, spec)
    for kind in CORRUPTIONS:
        bad = corrupt(kind, batch, np.arange(5), setting_of(batch, spec))
        assert torch.equal(bad.available, batch.available)


def test_conditions(batch: Batch, spec: Spec, rows: np.ndarray) -> None:
    conditions = corruption_conditions(spec)
    names = [condition.name for condition in conditions]
    assert names[0] == "check"
    assert [f"corruption:{kind}" for kind in CORRUPTIONS] == names[1::2]
    assert [f"corruption:{kind}+check" for kind in CORRUPTIONS] == names[2::2]
    case = Case(batch[100:], rows[100:], batch[:100])
    for condition in pickle.loads(pickle.dumps(conditions)):  # runs are made in other processes
        changed = condition.change(case)
        assert len(changed) == 50
        if "check" not in condition.name:
            assert all(torch.equal(changed.valid[name], case.test.valid[name]) for name in changed.modalities)
    plain, checked = (conditions[names.index(f"corruption:interference{end}")] for end in ("", "+check"))
    lost = plain.change(case).valid["radar"].sum() - checked.change(case).valid["radar"].sum()
    assert lost > 0.15 * case.test.valid["radar"].sum()
