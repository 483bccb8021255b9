"""The bootstrap equals drawing groups one by one, and its intervals hold what they claim."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import scipy.stats
from fake_results import FOUR, contender, fake_results
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from geocomiss.benchmarking.contenders import reference_of
from geocomiss.benchmarking.reporting import significance
from geocomiss.benchmarking.reporting.bca import Bootstrap
from geocomiss.benchmarking.reporting.rows import summaries
from geocomiss.benchmarking.reporting.significance import (
    MARGIN,
    absent_share,
    compare,
    holm,
    resampled,
    resamples,
)
from geocomiss.benchmarking.results import NOT_DEFINED, Results
from geocomiss.errors import MethodError
from geocomiss.scores import f1_scores


def slow_draw(results: Results, name: str, weights: NDArray[Any]) -> list[float]:
    """Score of each pattern on the samples of the drawn groups, written out; mean over seeds."""
    groups = np.unique(results.group)
    rows = np.concatenate(
        [np.flatnonzero(results.group == each) for each, times in zip(groups, weights, strict=True)
         for _ in range(times)]
    )  # fmt: skip
    found = []
    for condition in summaries(results.modalities)["all_patterns"]:
        column = results.conditions.index(condition)
        parts = [each[column, rows] for each in results.predicted[name]]
        if results.task == "value":
            found.append(np.mean([np.sqrt(np.mean((each - results.truth[rows]) ** 2)) for each in parts]))
        else:
            scores = [
                f1_scores(results.truth[rows], each.astype(np.int64), len(results.classes)) for each in parts
            ]
            found.append(np.mean([each.macro_f1 for each in scores]))
    return [float(each) for each in found]


@pytest.mark.parametrize("task", ["classes", "value"])
@given(seed=st.integers(0, 1000))
def test_resamples_score_as_if_groups_were_drawn_one_by_one(task: Any, seed: int) -> None:
    results = fake_results(("a",), FOUR[:2], 50, 7, 4, seeds=2, task=task, further=False, seed=seed)
    if task == "classes":
        results.predicted["a"][np.random.default_rng(seed).random(results.predicted["a"].shape) < 0.1] = -1
    found = resampled(results, "a", draws=5, seed=seed)
    drawn = np.concatenate(list(resamples(len(np.unique(results.group)), 5, seed)))
    assert found.draws == pytest.approx(np.array([slow_draw(results, "a", each) for each in drawn]), rel=1e-6)
    whole = np.ones(len(np.unique(results.group)), int)
    assert found.estimate == pytest.approx(np.array(slow_draw(results, "a", whole)), rel=1e-6)


def test_resamples_draw_as_many_groups_as_there_are_and_in_chunks_the_same() -> None:
    drawn = np.concatenate(list(resamples(13, significance.CHUNK + 7, 3)))
    assert drawn.shape == (significance.CHUNK + 7, 13)
    assert (drawn.sum(1) == 13).all()
    assert drawn.mean() == pytest.approx(1)
    assert (drawn[0] != drawn[1]).any()


def test_both_contenders_see_the_same_groups() -> None:
    results = fake_results(("a", "comiss+"), further=False)
    results = replace(results, predicted={**results.predicted, "a": results.predicted["comiss+"]})
    for difference in compare(results, draws=50):
        assert (difference.estimate, difference.low, difference.high) == (0, 0, 0)
        assert difference.p == 1 and not difference.significant and difference.not_inferior


def test_the_order_of_the_contenders_changes_nothing() -> None:
    results = fake_results(("a", "b", "comiss+"), further=False)
    turned = replace(results, contenders=results.contenders[::-1])
    first = {(each.other, each.row.key): each for each in compare(results, draws=60)}
    second = {(each.other, each.row.key): each for each in compare(turned, draws=60)}
    assert first == second


def test_comparisons_are_of_the_reference_with_all_others_for_four_means() -> None:
    found = compare(fake_results(("a", "b", "comiss+"), further=False), draws=40)
    assert [(each.row.key, each.other) for each in found] == [
        (key, other) for key in ("full", "moderate", "extreme", "all_patterns") for other in ("a", "b")
    ]
    assert {each.reference for each in found} == {"comiss+"}


def test_estimate_is_the_difference_of_the_pooled_scores() -> None:
    results = fake_results(("a", "comiss+"), further=False)
    whole = np.ones(len(np.unique(results.group)), int)
    ours, theirs = (np.array(slow_draw(results, each, whole)) for each in ("comiss+", "a"))
    by_key = {each.row.key: each for each in compare(results, draws=200)}
    assert by_key["all_patterns"].estimate == pytest.approx((ours - theirs).mean(), abs=1e-9)
    assert by_key["full"].estimate == pytest.approx(ours[0] - theirs[0], abs=1e-9)
    for each in by_key.values():
        assert each.low <= each.estimate <= each.high
        assert each.not_inferior == (each.low > -MARGIN)


def test_of_an_error_less_is_better() -> None:
    results = fake_results(("a", "b", "c", "d", "comiss+"), task="value", n=2000, further=False)
    worst = next(each for each in compare(results, draws=100) if each.other == "a" and each.row.key == "full")
    assert worst.estimate > 0
    assert worst.not_inferior is None


def test_only_conditions_that_both_answer_to_are_compared() -> None:
    results = fake_results(("a", "comiss+"), further=False)
    full = results.conditions.index("+".join(FOUR))
    results.predicted["a"][:, 1:] = NOT_DEFINED
    found = {each.row.key: each for each in compare(results, draws=40)}
    assert full == 0
    assert set(found) == {"full", "all_patterns"}
    assert found["all_patterns"].partial and not found["full"].partial
    assert found["all_patterns"].estimate == found["full"].estimate


def test_without_others_or_with_one_group_nothing_is_compared() -> None:
    assert compare(fake_results(("a",), further=False)) == ()
    assert compare(fake_results(("a", "b"), groups=1, folds=1, further=False)) == ()


def test_reference() -> None:
    results = fake_results(("random-forest", "comiss+", "comiss"), further=False)
    assert reference_of(results.contenders) == "comiss+"
    assert reference_of(results.contenders, "random-forest") == "random-forest"
    without = replace(results, contenders=tuple(map(contender, ("comiss", "fullco", "random-forest"))))
    assert reference_of(without.contenders) == "fullco"
    assert reference_of((contender("random-forest"),)) == "random-forest"
    with pytest.raises(MethodError, match="'galileo' takes no part"):
        reference_of(results.contenders, "galileo")


def test_holm_by_hand() -> None:
    corrected = holm(np.array([0.01, 0.04, 0.03, 0.005]))
    assert corrected == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert len(holm(np.array([]))) == 0


@given(st.lists(st.floats(0, 1), min_size=1, max_size=12))
def test_holm_is_the_step_down_procedure(p: list[float]) -> None:
    corrected = holm(np.array(p))
    for level in (0.01, 0.05, 0.2):
        rejected: set[int] = set()
        for rank, place in enumerate(sorted(range(len(p)), key=lambda i: p[i])):
            if p[place] * (len(p) - rank) > level:
                break
            rejected.add(place)
        assert {i for i, value in enumerate(corrected) if value <= level} == rejected
    assert (corrected >= np.array(p)).all() and (corrected <= 1).all()


def bootstrap_of(values: NDArray[Any], draws: int = 4000, seed: int = 0) -> Bootstrap:
    """Of a mean."""
    rng = np.random.default_rng(seed)
    drawn = values[rng.integers(0, len(values), (draws, len(values)))].mean(1)
    return Bootstrap(
        float(values.mean()), drawn, np.array([np.delete(values, i).mean() for i in range(len(values))])
    )


@given(st.integers(0, 1000))
def test_intervals_are_those_of_scipy(seed: int) -> None:
    values = np.random.default_rng(seed).gamma(0.8, size=25)
    theirs = scipy.stats.bootstrap((values,), np.mean, n_resamples=4000, method="BCa", rng=seed)
    left_out = np.array([np.delete(values, i).mean() for i in range(25)])
    ours = Bootstrap(float(values.mean()), theirs.bootstrap_distribution, left_out).interval(0.95)
    assert ours == pytest.approx(tuple(theirs.confidence_interval), rel=0.01)


@given(st.integers(0, 1000), st.floats(-0.4, 0.4))
def test_a_p_value_is_the_level_at_which_the_interval_begins_to_hold_zero(seed: int, mean: float) -> None:
    values = np.random.default_rng(seed).gamma(0.8, size=30) - 0.8 + mean
    found = bootstrap_of(values, seed=seed)
    p = found.p_value()
    if p > 0.05:  # in the tail draws are far apart
        low, high = found.interval(1 - p)
        assert min(abs(low), abs(high)) < 0.15 * found.draws.std()


def test_p_values() -> None:
    far = Bootstrap(0.1, np.full(999, 0.1), np.full(9, 0.1))
    assert far.p_value() == pytest.approx(2 / 1000)
    assert Bootstrap(0.0, np.zeros(99), np.zeros(9)).p_value() == 1
    assert Bootstrap(0.0, np.zeros(99), np.zeros(9)).interval(0.95) == (0, 0)
    values = np.random.default_rng(0).normal(0.3, 1, 30)
    ahead, behind = bootstrap_of(values).p_value(), bootstrap_of(-values).p_value()
    assert ahead == pytest.approx(behind)


def test_a_pull_towards_zero_is_corrected() -> None:
    """As where classes are absent from resamples: draws are shrunk, plain percentiles miss the estimate."""
    rng = np.random.default_rng(1)
    pulled = Bootstrap(1.0, 0.95 * (1 + 0.1 * rng.normal(size=5000)), 1 + 0.02 * rng.normal(size=40))
    low, _ = pulled.interval(0.95)
    assert np.quantile(pulled.draws, 0.025) < low < 1


def test_how_often_a_class_is_absent_from_a_resample() -> None:
    results = fake_results(("a", "b"), FOUR[:1], n=40, groups=10, classes=2, further=False)
    lone = (results.group == "3").astype(int)  # the second class lives in one group only
    share = absent_share(replace(results, truth=lone), draws=4000)
    assert share == pytest.approx(0.9**10, abs=0.03)
    assert absent_share(fake_results(("a",), task="value", further=False), draws=10) == 0


def test_intervals_hold_the_true_difference_as_often_as_they_say() -> None:
    """Groups of different difficulty; both right with the same chance, so the true difference is 0."""
    held = []
    for trial in range(120):
        results = one_trial(trial, lead=0.0)
        found = compare(results, draws=200, seed=trial)[0]
        held.append(found.low <= 0 <= found.high)
    assert 0.88 <= np.mean(held) <= 0.995


def test_a_real_lead_is_found() -> None:
    found = [compare(one_trial(trial, lead=0.14), draws=200, seed=trial)[0] for trial in range(20)]
    assert np.mean([each.significant and each.estimate > 0 for each in found]) > 0.7


def one_trial(trial: int, lead: float) -> Results:
    """Two contenders on 40 groups that each of them finds easy or hard in its own way."""
    rng = np.random.default_rng([trial, 7])
    results = fake_results(
        ("a", "b"), FOUR[:1], n=400, groups=40, classes=3, seeds=1, further=False, seed=trial
    )
    group = results.group.astype(int)
    predicted = {}
    for name, mean in (("a", 0.6), ("b", 0.6 + lead)):
        chance = np.clip(mean + rng.normal(0, 0.12, 40), 0, 1)[group]
        right = rng.random(400) < chance
        wrong = (results.truth + rng.integers(1, 3, 400)) % 3
        predicted[name] = np.where(right, results.truth, wrong)[None, None].astype(np.int16)
    return replace(results, predicted=predicted)
