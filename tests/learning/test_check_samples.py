"""Wrong labels that were planted are found; measures of space equal their slow, obvious counterparts."""

import csv
import math
from dataclasses import replace
from pathlib import Path

import geopandas
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from geocomiss.errors import SampleError
from geocomiss.quality import Checked, CheckRequest, check_out, check_samples, write_check
from geocomiss.quality.confident import UNSURE, confident_learning
from geocomiss.quality.space import leaking, spread_of
from geocomiss.samples import Samples
from geocomiss.training import Settings

PLANTED = 10


@pytest.fixture(scope="module")
def spoilt(samples: Samples) -> tuple[Samples, np.ndarray]:
    """The toy samples with ten wrong labels, and which they are."""
    rows = np.random.default_rng(0).choice(len(samples), PLANTED, replace=False)
    names = np.unique(samples.labels)
    labels = samples.labels.copy()
    labels[rows] = names[(np.searchsorted(names, labels[rows]) + 1) % len(names)]
    return replace(samples, labels=labels), rows


@pytest.fixture(scope="module")
def checked(spoilt: tuple[Samples, np.ndarray]) -> Checked:
    return check_samples(spoilt[0], CheckRequest(settings=Settings(epochs=12)))


@pytest.mark.slow
def test_planted_labels_are_found(spoilt: tuple[Samples, np.ndarray], checked: Checked) -> None:
    planted = {int(row) + 1 for row in spoilt[1]}
    found = [each.row for each in checked.suspicions]
    assert len(planted & set(found)) >= 6, "the others are not above the threshold of their class"
    assert len(set(found) - planted) <= 3
    margins = checked.confident.margin
    assert len(planted & set((np.argsort(margins)[:PLANTED] + 1).tolist())) >= 9, "all are at the very end"
    assert sum(each.suspicious for each in checked.classes) == len(found)
    truth = checked.samples.labels
    assert all(each.label == truth[each.row - 1] != each.looks_like for each in checked.suspicions)


@pytest.mark.slow
def test_nobody_is_judged_by_a_model_that_saw_the_place(checked: Checked) -> None:
    for group in set(checked.samples.group.tolist()):
        assert len(set(checked.fold[checked.samples.group == group].tolist())) == 1
    assert np.allclose(checked.p.sum(1), 1)


@pytest.mark.slow
def test_files_are_complete_and_not_overwritten(checked: Checked, tmp_path: Path) -> None:
    out = tmp_path / "check"
    files = write_check(checked, out)
    assert sorted(path.name for path in out.iterdir()) == sorted(path.name for path in files)
    with (out / "suspicious.csv").open() as file:
        assert len(list(csv.DictReader(file))) == len(checked.suspicions)
    frame = geopandas.read_file(out / "samples.gpkg")
    assert len(frame) == len(checked.samples) and frame.crs.to_epsg() == 4326
    assert frame["suspicious"].sum() == len(checked.suspicions)
    assert (out / "check.png").read_bytes().startswith(b"\x89PNG")
    assert "## Places" in (out / "check.md").read_text()
    with pytest.raises(SampleError, match="exists already"):
        check_out(out, overwrite=False)
    check_out(out, overwrite=True)
    (out / "mine.txt").touch()
    with pytest.raises(SampleError, match="more than a check"):
        check_out(out, overwrite=True)


def test_a_place_that_cannot_be_written_is_refused_before_anything_is_trained() -> None:
    with pytest.raises(SampleError, match=r"/proc/none/check cannot be written"):
        check_out(Path("/proc/none/check"), overwrite=False)


@pytest.mark.slow
def test_a_class_of_one_group_is_not_judged_and_said(samples: Samples) -> None:
    labels = samples.labels.astype("U8")
    alone = samples.group == "4"
    labels[alone] = "hops"
    found = check_samples(replace(samples, labels=labels), CheckRequest(settings=Settings(epochs=2)))
    assert not found.judged[alone].any()
    assert all(each.label != "hops" for each in found.suspicions)
    assert any("never learnt elsewhere" in each and "hops" in each for each in found.warnings)


def test_too_few_groups_are_refused(samples: Samples) -> None:
    part = samples.take(np.isin(samples.group, ["0", "1"]))
    with pytest.raises(SampleError, match="2 spatial groups"):
        check_samples(part, CheckRequest(settings=Settings(epochs=1)))


@given(st.integers(0, 10_000), st.integers(2, 5), st.integers(1, 60))
def test_confident_learning_is_its_formula(seed: int, classes: int, number: int) -> None:
    rng = np.random.default_rng(seed)
    p = rng.dirichlet(np.ones(classes), number)
    y = rng.integers(0, classes, number)
    found = confident_learning(y, p)
    for i in range(number):
        able = []
        for j in range(classes):
            own = [p[k, j] for k in range(number) if y[k] == j]
            if own and p[i, j] >= sum(own) / len(own) - 1e-12:
                able.append(j)
        expected = max(able, key=lambda j: p[i, j]) if able else UNSURE
        assert found.found[i] == expected
    assert found.joint.sum() == (found.found != UNSURE).sum()
    assert 0 <= found.noise <= 1


def metres(one: tuple[float, float], other: tuple[float, float]) -> float:
    """Haversine."""
    (a, b), (c, d) = (tuple(map(math.radians, each)) for each in (one, other))
    h = math.sin((c - a) / 2) ** 2 + math.cos(a) * math.cos(c) * math.sin((d - b) / 2) ** 2
    return 2 * 6_371_000 * math.asin(math.sqrt(h))


@given(st.integers(0, 10_000), st.integers(1, 25), st.sampled_from([0.001, 0.03, 5.0]))
def test_distances_and_clusters_are_those_of_the_slow_way(seed: int, number: int, wide: float) -> None:
    rng = np.random.default_rng(seed)
    places = rng.uniform(0, wide, (number, 2)) + np.array([50, 179])
    places[rng.random(number) < 0.2] = places[0]  # some share a place
    group = rng.choice(["a", "b"], number)
    apart = [[metres(one, other) for other in places] for one in places]
    found = spread_of(*places.T)
    for i in range(number):
        others = [apart[i][j] for j in range(number) if j != i]
        assert found.nearest[i] == pytest.approx(min(others, default=math.inf), abs=0.01)
        assert number == 1 or found.neighbour[i] != i
    left, clusters = set(range(number)), 0
    while left:
        front, clusters = {left.pop()}, clusters + 1
        while front:
            front = {j for i in front for j in left if apart[i][j] <= 1000}
            left -= front
    assert found.clusters == clusters
    leak = [any(apart[i][j] <= 1000 and group[i] != group[j] for j in range(number)) for i in range(number)]
    assert leaking(*places.T, group) == pytest.approx(np.mean(leak))


def test_the_ratio_of_clark_and_evans_tells_random_from_clustered() -> None:
    rng = np.random.default_rng(0)
    random = spread_of(*(rng.uniform(0, 1, (600, 2)) + np.array([0, 10])).T).ratio
    middles = rng.uniform(0, 1, (20, 2))[rng.integers(0, 20, 600)]
    clustered = spread_of(*(middles + rng.normal(0, 0.002, (600, 2)) + np.array([0, 10])).T).ratio
    assert random == pytest.approx(1, abs=0.1)
    assert clustered is not None and clustered < 0.3
