"""What users would pick instead: trees on the concatenated series, missing modalities as NaN.

The trees see what the methods see: the values of the batch, short gaps filled, NaN where a gap is too
long or a modality is not available. They are trained on the samples as they are, with nothing hidden,
as a user would. NaN needs care: where a feature had none in training, scikit-learn sends it to the
child with more training samples, LightGBM reads it as 0, so features are centred for LightGBM and 0
is the median.

N samples, F features, E embedding columns.
"""

import importlib
import importlib.util
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final, Literal

import numpy as np
import torch
from numpy.typing import NDArray

from geocomiss.batch import Batch, Floats
from geocomiss.errors import GeocomissError, SampleError
from geocomiss.samples import Samples

Task = Literal["classes", "value"]
TREES: Final = 300
"""Trees of a random forest."""
NOTHING: Final = -1
"""Predicted class of a sample that has nothing to predict from; NaN for a value."""
EMBEDDING: Final = "embedding_"
"""How columns of embeddings made elsewhere begin."""

Make = Callable[[Task, int], Any]
"""An untrained estimator of the scikit-learn kind, for a task and a seed."""


@dataclass(frozen=True)
class BaselineKind:
    """One kind of baseline."""

    title: str
    """Name in a table."""
    make: Make
    """Makes the estimator."""
    package: str = "sklearn"
    """Package that must be installed."""
    centred: bool = False
    """Whether 0 must be the median of each feature."""
    embedded: bool = False
    """Whether it reads embeddings and no series; it is then defined for the full pattern only, since
    an embedding has no modalities to take away."""


@dataclass(frozen=True)
class Baseline:
    """A trained baseline."""

    kind: BaselineKind
    """Which it is."""
    task: Task
    """What it predicts."""
    estimator: Any
    """The trained trees."""
    centre: Floats
    """(F,) taken off each feature."""

    def predict(self, batch: Batch, embeddings: Floats | None = None) -> NDArray[Any]:
        """Class index (N,) int64, `NOTHING` where a sample has nothing; for a value float64 and NaN.

        Args:
            batch: N samples.
            embeddings: (N, E), for the kind that reads them.
        """
        x = _features(self.kind, batch, embeddings)
        known = np.isfinite(x).any(1)
        empty = NOTHING if self.task == "classes" else np.nan
        result = np.full(len(x), empty, np.int64 if self.task == "classes" else np.float64)
        if known.any():
            result[known] = self.estimator.predict(x[known] - self.centre)
        return result


def fit_baseline(
    key: str,
    batch: Batch,
    y: NDArray[Any],
    seed: int,
    task: Task = "classes",
    embeddings: Floats | None = None,
) -> Baseline:
    """Train a baseline.

    Args:
        key: Key in `BASELINES`.
        batch: N training samples.
        y: (N,) class indices, or values.
        seed: Of its randomness; the same seed gives the same trees.
        task: What y is.
        embeddings: (N, E), for the kind that reads them.

    Raises:
        GeocomissError: A package is not installed.
        SampleError: Nothing to learn from: no embeddings, or a single class.
    """
    kind = BASELINES[key]
    if task == "classes" and len(np.unique(y)) < 2:
        raise SampleError(
            f"{len(np.unique(y))} class to train {kind.title} on",
            expected="at least 2",
            todo="hold out another fold",
        )
    x = _features(kind, batch, embeddings)
    centre = _medians(x) if kind.centred else np.zeros(x.shape[1], np.float32)
    estimator = kind.make(task, seed).fit(x - centre, y)
    return Baseline(kind, task, estimator, centre)


def usable_baselines(embeddings: bool) -> tuple[str, ...]:
    """Keys of the baselines whose packages are installed, and that have what they read.

    Args:
        embeddings: Whether the table has embeddings.
    """
    return tuple(
        key
        for key, kind in BASELINES.items()
        if importlib.util.find_spec(kind.package) and (embeddings or not kind.embedded)
    )


def check_baseline(key: str, embeddings: bool) -> None:
    """Refuse a baseline that cannot be run, before anything is trained.

    Args:
        key: Key in `BASELINES`.
        embeddings: Whether the table has embeddings.

    Raises:
        GeocomissError: A package is not installed.
        SampleError: The table has no embeddings, and the baseline reads nothing else.
    """
    kind = BASELINES[key]
    _optional(kind.package)
    if kind.embedded and not embeddings:
        raise _no_embeddings(kind)


def features_of(batch: Batch) -> Floats:
    """All series side by side (N, F), in canonical units, NaN where a method sees nothing."""
    parts = []
    for column, name in enumerate(batch.modalities):
        hidden = ~batch.available[:, column, None, None]
        parts.append(batch.x[name][batch.rows(name)].masked_fill(hidden, torch.nan).flatten(1))
    return np.asarray(torch.cat(parts, 1).cpu().numpy())


def embedding_columns(columns: Mapping[str, NDArray[Any]]) -> tuple[str, ...]:
    """Names of the numeric columns `embedding_*` among columns (N,)."""
    return tuple(
        name
        for name, column in columns.items()
        if name.startswith(EMBEDDING) and np.issubdtype(column.dtype, np.number)
    )


def embeddings_of(samples: Samples) -> Floats | None:
    """The numeric columns `embedding_*` of a table, (N, E), or None where it has none."""
    columns = [samples.columns[name].astype(np.float32) for name in embedding_columns(samples.columns)]
    return np.stack(columns, 1) if columns else None


def _features(kind: BaselineKind, batch: Batch, embeddings: Floats | None) -> Floats:
    if not kind.embedded:
        return features_of(batch)
    if embeddings is None:
        raise _no_embeddings(kind)
    return embeddings


def _no_embeddings(kind: BaselineKind) -> SampleError:
    return SampleError(
        f"no embeddings for {kind.title}",
        expected=f"numeric columns {EMBEDDING}*",
        todo="add them to the table, or leave this baseline out",
    )


def _medians(x: Floats) -> Floats:
    """Median (F,) of each feature, 0 where it is missing everywhere."""
    known = np.isfinite(x).any(0)
    medians = np.zeros(x.shape[1], np.float32)
    medians[known] = np.nanmedian(x[:, known], 0)
    return medians


def _forest(task: Task, seed: int) -> Any:
    module = _optional("sklearn.ensemble")
    if task == "value":
        return module.RandomForestRegressor(TREES, n_jobs=1, random_state=seed)
    return module.RandomForestClassifier(TREES, class_weight="balanced", n_jobs=1, random_state=seed)


def _boosted(task: Task, seed: int) -> Any:
    module = _optional("lightgbm")
    # deterministic needs a fixed way of building histograms
    fixed = {"random_state": seed, "n_jobs": 1, "deterministic": True, "force_row_wise": True, "verbose": -1}
    if task == "value":
        return module.LGBMRegressor(**fixed)
    return module.LGBMClassifier(class_weight="balanced", **fixed)


def _optional(name: str) -> Any:
    """A module of the extra `baselines`.

    Raises:
        GeocomissError: It is not installed.
    """
    try:
        return importlib.import_module(name)
    except (ImportError, OSError) as error:  # OSError: LightGBM where the system has no libgomp
        raise GeocomissError(
            f"the package {name.split('.')[0]} cannot be used ({error})",
            expected="the packages of the baselines, installed",
            todo='install them with: pip install "geocomiss[baselines]", or leave these baselines out',
        ) from error


BASELINES: Final[dict[str, BaselineKind]] = {
    "random-forest": BaselineKind("Random forest", _forest),
    "lightgbm": BaselineKind("LightGBM", _boosted, "lightgbm", centred=True),
    "embeddings": BaselineKind("Random forest on embeddings", _forest, embedded=True),
}
"""All baselines by key, in the order of a report."""
