"""Baselines: trees that read what methods read, NaN where a modality is missing."""

import importlib
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from sklearn.ensemble import RandomForestClassifier, RandomForestRegressor

import geocomiss.benchmarking.baselines as module
from geocomiss.batch import Batch, Spec, batch_of_values
from geocomiss.benchmarking.baselines import BASELINES, embeddings_of, features_of, fit_baseline
from geocomiss.errors import GeocomissError, SampleError
from geocomiss.modalities import patterns
from geocomiss.samples.table import Samples

SERIES = [key for key, kind in BASELINES.items() if not kind.embedded]


def usable(key: str) -> bool:
    try:
        BASELINES[key].make("classes", 0)
    except GeocomissError:
        return False
    return True


each_baseline = pytest.mark.parametrize(
    "key",
    [
        pytest.param(
            key, marks=pytest.mark.skipif(not usable(key), reason=f"{key} cannot be loaded (libgomp?)")
        )
        for key in SERIES
    ],
)


@pytest.fixture(autouse=True)
def few_trees(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "TREES", 30)


def slow_features(batch: Batch) -> np.ndarray:
    rows = []
    for pixel in range(len(batch)):
        row: list[float] = []
        for column, name in enumerate(batch.modalities):
            at = int(batch.index[name][pixel]) if name in batch.index else pixel
            for step in batch.x[name][at]:
                row += [float(v) if batch.available[pixel, column] else float("nan") for v in step]
        rows.append(row)
    return np.array(rows, np.float32)


@pytest.mark.parametrize("hidden", [(), ("optical",), ("radar", "weather")])
def test_features_are_the_values_that_methods_see(batch: Batch, hidden: tuple[str, ...]) -> None:
    part = batch.keep_only(tuple(name for name in batch.modalities if name not in hidden))[:20]
    np.testing.assert_array_equal(features_of(part), slow_features(part))


def test_features_of_rows_that_repeat(spec: Spec) -> None:
    """Weather cells, and a modality that a table does not have."""
    rng = np.random.default_rng(0)
    values = {
        "optical": rng.normal(size=(6, 12, 4)).astype("f4"),
        "weather": rng.normal(size=(2, 12, 2)).astype("f4"),
    }
    batch = batch_of_values(values, spec, index={"weather": np.array([0, 1, 1, 0, 1, 0])})
    np.testing.assert_array_equal(features_of(batch), slow_features(batch))


@pytest.mark.parametrize("task", ["classes", "value"])
@each_baseline
def test_learns_and_predicts_any_pattern(batch: Batch, y: np.ndarray, key: str, task: Any) -> None:
    target = y if task == "classes" else 10.0 + 5.0 * y
    baseline = fit_baseline(key, batch[:100], target[:100], 0, task)
    test = batch[100:]
    for pattern in patterns(batch.modalities):
        predicted = baseline.predict(test.keep_only(pattern))
        assert predicted.shape == (50,)
        assert np.isfinite(predicted).all()
        if task == "classes":
            assert predicted.dtype == np.int64
            assert set(predicted.tolist()) <= {0, 1, 2}
    found = baseline.predict(test)
    if task == "classes":
        assert (found == y[100:]).mean() > 0.85
    else:
        assert np.abs(found - target[100:]).mean() < 1.5


@each_baseline
def test_a_modality_alone_is_used_though_training_had_no_gaps(spec: Spec, key: str) -> None:
    """LightGBM reads a NaN that training never showed as 0; as decibels that would decide every class."""
    rng = np.random.default_rng(0)
    y = rng.integers(0, 3, 600)
    radar, optical = (rng.normal(size=(600, 12, c)) + 0.5 * y[:, None, None] for c in (2, 4))
    values = {"radar": (radar - 20).astype("f4"), "optical": (300 * optical + 3000).astype("f4")}
    batch = batch_of_values(values, spec)
    baseline = fit_baseline(key, batch[:400], y[:400], 0)
    assert not np.isnan(features_of(batch.keep_only(("radar", "optical")))[:, :72]).any()
    assert (baseline.predict(batch[400:].keep_only(("optical",))) == y[400:]).mean() > 0.55  # 0.41 uncentred


@each_baseline
def test_same_seed_same_predictions(batch: Batch, y: np.ndarray, key: str) -> None:
    one, two = (fit_baseline(key, batch[:80], y[:80], 7).predict(batch[80:]) for _ in range(2))
    np.testing.assert_array_equal(one, two)


@each_baseline
def test_hidden_values_change_nothing(batch: Batch, y: np.ndarray, key: str) -> None:
    baseline = fit_baseline(key, batch[:80], y[:80], 0)
    hidden = batch.keep_only(("radar", "weather"))
    other = replace(hidden, x={**hidden.x, "optical": hidden.x["optical"] + 999})
    np.testing.assert_array_equal(baseline.predict(hidden), baseline.predict(other))


def test_nothing_left_is_said(batch: Batch, y: np.ndarray) -> None:
    nothing = batch.keep(torch.arange(len(batch))[:, None] % 2 == torch.zeros(4))
    even = np.arange(len(batch)) % 2 == 0
    classes = fit_baseline("random-forest", batch, y, 0).predict(nothing)
    assert (classes[~even] == -1).all()
    assert (classes[even] >= 0).all()
    values = fit_baseline("random-forest", batch, y + 0.5, 0, "value").predict(nothing)
    assert np.isnan(values[~even]).all()
    assert np.isfinite(values[even]).all()


def test_the_forest_is_scikit_learns(batch: Batch, y: np.ndarray) -> None:
    x = slow_features(batch)
    forest = RandomForestClassifier(30, class_weight="balanced", random_state=3).fit(x[:100], y[:100])
    found = fit_baseline("random-forest", batch[:100], y[:100], 3).predict(batch[100:])
    np.testing.assert_array_equal(found, forest.predict(x[100:]))
    regression = RandomForestRegressor(30, random_state=3).fit(x[:100], y[:100] * 1.5)
    found = fit_baseline("random-forest", batch[:100], y[:100] * 1.5, 3, "value").predict(batch[100:])
    np.testing.assert_allclose(found, regression.predict(x[100:]))


@each_baseline
def test_classes_absent_in_training_are_never_predicted(batch: Batch, y: np.ndarray, key: str) -> None:
    rows = torch.from_numpy(np.flatnonzero(y != 1))
    found = fit_baseline(key, batch[rows], y[y != 1], 0).predict(batch)
    assert set(found.tolist()) == {0, 2}


def test_embeddings_of_a_table(table: Callable[..., Samples], y: np.ndarray, batch: Batch) -> None:
    plain = table(np.ones((150, 12), bool), np.tile(np.arange(1, 13), (150, 1)))
    assert embeddings_of(plain) is None
    rng = np.random.default_rng(0)
    columns = {f"embedding_{i}": rng.normal(size=150) + 2 * y for i in range(3)}
    columns |= {"embedding_name": np.full(150, "x"), "other": rng.normal(size=150)}
    embeddings = embeddings_of(replace(plain, columns=columns))
    assert embeddings is not None
    assert embeddings.shape == (150, 3)
    embeddings[120] = np.nan
    baseline = fit_baseline("embeddings", batch[:100], y[:100], 0, embeddings=embeddings[:100])
    found = baseline.predict(batch[100:], embeddings[100:])
    assert found[20] == -1
    assert (np.delete(found, 20) == np.delete(y[100:], 20)).mean() > 0.75
    assert BASELINES["embeddings"].embedded


def test_what_cannot_be_trained(batch: Batch, y: np.ndarray, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(SampleError, match="1 class"):
        fit_baseline("random-forest", batch, np.zeros(len(batch), int), 0)
    with pytest.raises(SampleError, match="embedding_"):
        fit_baseline("embeddings", batch, y, 0)

    def absent(name: str) -> Any:
        raise ImportError(f"No module named {name!r}")

    monkeypatch.setattr(importlib, "import_module", absent)
    for key in SERIES:
        with pytest.raises(GeocomissError, match=r'pip install "geocomiss\[baselines\]"'):
            fit_baseline(key, batch, y, 0)
