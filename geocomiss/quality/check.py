"""Check samples: predict each by a model that never saw its place, and look at what disagrees.

N samples, K classes.
"""

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final

import numpy as np
import torch
from numpy.typing import NDArray

from geocomiss.batch import Spec
from geocomiss.benchmarking.folds import SPATIAL, folds_of
from geocomiss.checkpoint import ClassInfo
from geocomiss.errors import SampleError
from geocomiss.methods import Method, new_method, readable_spec
from geocomiss.quality.confident import Confident, confident_learning
from geocomiss.quality.result import Checked, ClassChecked, Suspicion
from geocomiss.quality.space import CLUSTER, Spread, leaking, spread_of
from geocomiss.samples import Legend, Samples
from geocomiss.samples.folds import grouped_split
from geocomiss.samples.tensors import batch_of_samples, spec_of, truth_of
from geocomiss.staging import PIXELS_AT_ONCE
from geocomiss.training import INNER, Labelled, Progress, Settings, classes_of, fit
from geocomiss.training.loop import Run

FEW: Final = 10
"""Samples of a class below which little can be learnt."""
WEAK: Final = 0.6
"""Out-of-fold accuracy below which models are wrong more often than labels are likely to be."""
UNEVEN: Final = 20.0
"""Ratio of the largest to the smallest class above which it is warned of."""
FOLDS: Final = 5
"""Folds where there are as many spatial groups."""


@dataclass(frozen=True)
class CheckRequest:
    """How to check samples."""

    legend: Legend | None = None
    """Legend that made the classes."""
    method: str = "comiss"
    """Key in `METHODS`, of the models that predict out of fold."""
    settings: Settings = field(default_factory=Settings)
    """How these are trained."""


def check_samples(samples: Samples, request: CheckRequest, progress: Progress | None = None) -> Checked:
    """Check samples.

    Args:
        samples: Samples with labels of two classes or more.
        request: How.
        progress: Told of each epoch of each fold.

    Raises:
        SampleError: Fewer than three spatial groups: nothing can be predicted out of fold.
        MethodError: No such method.
    """
    infos = classes_of(samples, request.legend)
    names = tuple(info.name for info in infos)
    spec = readable_spec(request.method, spec_of(samples, len(names)))
    data = Labelled(batch_of_samples(samples, spec), truth_of(samples, names))
    y = np.asarray(data.y.numpy())
    fold = _folds(samples, y)
    p, judged = _out_of_fold(data, fold, samples.group, _Learner(spec, request, progress))
    if not judged.any():
        raise SampleError(
            "no class has samples in two folds",
            expected="classes that occur in several spatial groups",
            todo="add samples of other places, or group them by another column with --group",
        )
    confident = confident_learning(y[judged], p[judged])
    spread = spread_of(samples.lat, samples.lon)
    shares = np.bincount(y) / len(y)
    leak = leaking(samples.lat, samples.lon, samples.group)
    suspicions = _suspicions(samples, names, y, p, np.flatnonzero(judged), confident)
    classes = _classes(samples, infos, y, suspicions)
    accuracy = float((p[judged].argmax(1) == y[judged]).mean())
    return Checked(
        samples=samples,
        classes=classes,
        fold=fold,
        y=y,
        p=p,
        judged=judged,
        confident=confident,
        suspicions=suspicions,
        spread=spread,
        leaking=leak,
        alike=float((y[spread.neighbour] == y).mean()),
        alike_by_chance=float((shares**2).sum()),
        accuracy=accuracy,
        protocol=f"{len(set(fold.tolist()))} folds of whole spatial groups ({samples.grouped_by}), "
        f"{request.method}",
        warnings=(*_weakness(accuracy), *_warnings(classes, judged, spread, leak)),
    )


def _folds(samples: Samples, y: NDArray[np.int64]) -> NDArray[np.str_]:
    """The fold of each sample, in as many folds as there are groups for, at most `FOLDS`."""
    groups = len(set(samples.group.tolist()))
    if groups < 3:
        raise SampleError(
            f"{groups} spatial groups ({samples.grouped_by})",
            expected="3 or more: one to predict, one to stop training by, one to learn from",
            todo="group samples by another column with --group, such as that of fields",
        )
    for number in range(min(FOLDS, groups), 2, -1):
        try:
            return folds_of(samples, y, SPATIAL, number)
        except SampleError:
            continue  # a fold of a single sample: fewer and larger ones may do
    return folds_of(samples, y, SPATIAL, 2)


@dataclass(frozen=True)
class _Learner:
    """What models of all folds share."""

    spec: Spec
    request: CheckRequest
    progress: Progress | None

    def learn(self, data: Labelled, group: NDArray[np.str_], name: str) -> Method:
        """Train on samples, some groups of which decide when to stop."""
        y = np.asarray(data.y.numpy())
        request = self.request
        inner = grouped_split(group, y, INNER, np.random.default_rng([request.settings.seed, 1]))
        parts = [data[torch.from_numpy(np.flatnonzero(side))] for side in (~inner, inner)]
        options = {"preset": "small"}
        make: Callable[[], Method] = lambda: new_method(request.method, self.spec, options)  # noqa: E731
        method, _ = fit(make, parts[0], parts[1], request.settings, self.progress, Run(name))
        return method


def _out_of_fold(
    data: Labelled, fold: NDArray[np.str_], group: NDArray[np.str_], learner: _Learner
) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    """Predict each sample by a model that did not see its fold.

    Returns:
        Probabilities (N, K), and (N,) whether the class of the label was learnt at all.
    """
    y = np.asarray(data.y.numpy())
    p = np.zeros((len(y), learner.spec.classes))
    judged = np.zeros(len(y), bool)
    names = sorted(set(fold.tolist()))
    for number, name in enumerate(names, 1):
        held = fold == name
        rest = np.flatnonzero(~held)
        method = learner.learn(data[torch.from_numpy(rest)], group[rest], f"fold {number} of {len(names)}")
        p[held] = _probabilities(method, data[torch.from_numpy(np.flatnonzero(held))])
        judged[held] = np.isin(y[held], y[rest])
    return p, judged


def _probabilities(method: Method, data: Labelled) -> NDArray[np.float64]:
    """(N, K) on the CPU."""
    with torch.inference_mode():
        parts = [
            torch.softmax(method(data.batch[start : start + PIXELS_AT_ONCE]).double(), 1)
            for start in range(0, len(data), PIXELS_AT_ONCE)
        ]
    return np.asarray(torch.cat(parts).numpy())


def _suspicions(
    samples: Samples,
    names: tuple[str, ...],
    y: NDArray[np.int64],
    p: NDArray[np.float64],
    rows: NDArray[np.int64],
    confident: Confident,
) -> tuple[Suspicion, ...]:
    """Suspicious labels, the clearest first."""
    suspicious = np.flatnonzero(confident.suspicious(y[rows]))
    order = suspicious[np.argsort(confident.margin[suspicious], kind="stable")]
    features = samples.columns.get("feature")
    return tuple(
        Suspicion(
            row=int(row) + 1,
            feature="" if features is None else str(features[row]),
            label=names[y[row]],
            looks_like=names[confident.found[at]],
            p_label=float(p[row, y[row]]),
            p_looks_like=float(p[row, confident.found[at]]),
            lat=float(samples.lat[row]),
            lon=float(samples.lon[row]),
            group=str(samples.group[row]),
        )
        for at, row in zip(order.tolist(), rows[order].tolist(), strict=True)
    )


def _classes(
    samples: Samples,
    infos: tuple[ClassInfo, ...],
    y: NDArray[np.int64],
    suspicions: tuple[Suspicion, ...],
) -> tuple[ClassChecked, ...]:
    found = []
    for place, info in enumerate(infos):
        mine = y == place
        own = [each for each in suspicions if each.label == info.name]
        wrong = Counter(each.looks_like for each in own)
        apart = spread_of(samples.lat[mine], samples.lon[mine]).nearest
        found.append(
            ClassChecked(
                name=info.name,
                color=info.color,
                n=int(mine.sum()),
                groups=len(set(samples.group[mine].tolist())),
                suspicious=len(own),
                clear=sum(each.clear for each in own),
                mistaken_for=wrong.most_common(1)[0][0] if wrong else "",
                apart=float(np.median(apart)),
            )
        )
    return tuple(found)


def _weakness(accuracy: float) -> tuple[str, ...]:
    """What to say of models that are wrong too often to judge labels."""
    if accuracy >= WEAK:
        return ()
    return (
        f"out-of-fold accuracy {accuracy:.2f}: these models are wrong more often than labels are likely to "
        "be; most labels that look wrong are right",
    )


def _warnings(
    classes: tuple[ClassChecked, ...], judged: NDArray[np.bool_], spread: Spread, leak: float
) -> tuple[str, ...]:
    worries = []
    if few := [f"{each.name} ({each.n})" for each in classes if each.n < FEW]:
        worries.append(f"under {FEW} samples: {', '.join(few)}")
    if alone := [each.name for each in classes if each.groups == 1]:
        worries.append(
            f"in one spatial group only, so never learnt elsewhere and tested there: {', '.join(alone)}"
        )
    if not judged.all():
        worries.append(f"{int((~judged).sum())} labels not judged: their class was in no other fold")
    largest, smallest = (pick(classes, key=lambda each: each.n) for pick in (max, min))
    if largest.n > UNEVEN * smallest.n:
        worries.append(
            f"{largest.name} has {largest.n / smallest.n:.0f} times the samples of {smallest.name}"
        )
    if spread.clusters == 1:
        worries.append(
            f"all samples hang together within {CLUSTER / 1000:g} km: scores say nothing of other places"
        )
    if leak > 0.05:
        worries.append(
            f"{leak:.0%} of the samples have one of another spatial group within {CLUSTER / 1000:g} km: "
            "scores across groups are too high; larger groups (--group) are more honest"
        )
    return tuple(worries)
