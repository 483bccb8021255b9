"""Pooled scores equal scikit-learn's on the same predictions, and means run over the right patterns."""

from dataclasses import replace
from statistics import fmean, stdev

import numpy as np
import pytest
from fake_results import FOUR, fake_results
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import f1_score, mean_squared_error, r2_score

from geocomiss.benchmarking.reporting.pooled import class_scores, fold_scores, pooled_scores
from geocomiss.benchmarking.reporting.rows import (
    ordered_patterns,
    pattern_rows,
    prefixed,
    summaries,
    summary_rows,
)
from geocomiss.benchmarking.results import NOT_DEFINED
from geocomiss.modalities import patterns
from geocomiss.scores import f1_scores, summarise


@given(seed=st.integers(0, 10_000), n=st.integers(1, 60), classes=st.integers(1, 5))
def test_f1_is_that_of_scikit_learn_with_gaps_as_errors(seed: int, n: int, classes: int) -> None:
    results = fake_results(("a", "b"), FOUR[:2], n, 5, classes, seeds=2, further=False, seed=seed)
    rng = np.random.default_rng(seed)
    for each in results.predicted.values():
        each[rng.random(each.shape) < 0.2] = -1
    pooled = pooled_scores(results)
    labels = list(range(classes))
    for name, predicted in results.predicted.items():
        for s, c in np.ndindex(predicted.shape[:2]):
            for key, average in (("macro_f1", "macro"), ("weighted_f1", "weighted")):
                slow = f1_score(
                    results.truth, predicted[s, c], labels=labels, average=average, zero_division=0.0
                )
                assert pooled.values[key][name][s, c] == pytest.approx(slow, abs=1e-9)


def test_means_agree_with_those_of_a_model_card() -> None:
    results = fake_results(("a",), seeds=1, further=False)
    found = {
        name: f1_scores(results.truth, results.predicted["a"][0, i].astype(np.int64), len(results.classes))
        for i, name in enumerate(results.conditions)
    }
    card, pooled = summarise(found, results.modalities, 0, ""), pooled_scores(results)
    means = summaries(results.modalities)
    for name in ("full", "moderate", "extreme", "overall"):
        cell = pooled.cell("macro_f1", "a", means[name])
        assert cell is not None
        assert cell.mean == pytest.approx(getattr(card, name), abs=1e-12)


def test_mean_and_spread_over_seeds() -> None:
    results = fake_results(("a",), seeds=3, further=False)
    pooled, members = pooled_scores(results), summaries(FOUR)["moderate"]
    by_seed = [
        fmean(pooled.values["macro_f1"]["a"][s, results.conditions.index(each)] for each in members)
        for s in range(3)
    ]
    cell = pooled.cell("macro_f1", "a", members)
    assert cell is not None
    assert cell.mean == pytest.approx(fmean(by_seed))
    assert cell.sd == pytest.approx(stdev(by_seed))
    one = pooled_scores(fake_results(("a",), seeds=1, further=False)).cell("macro_f1", "a", members)
    assert one is not None and one.sd is None


def test_a_case_that_is_not_defined_is_left_out_of_the_mean_and_said() -> None:
    results = fake_results(("a",), further=False)
    results.predicted["a"][:, results.conditions.index("weather")] = NOT_DEFINED
    pooled = pooled_scores(results)
    assert pooled.cell("macro_f1", "a", ("weather",)) is None
    cell = pooled.cell("macro_f1", "a", summaries(FOUR)["extreme"])
    others = [pooled.cell("macro_f1", "a", (each,)) for each in ("optical", "radar", "topography")]
    assert cell is not None and cell.partial
    assert cell.mean == pytest.approx(fmean(each.mean for each in others if each))
    assert class_scores(results, "a", "weather") is None


def test_per_fold_scores_are_the_posters() -> None:
    results = fake_results(("a",), folds=4, folds_by="random", further=False)
    per_fold = fold_scores(results)
    slow = [
        f1_score(results.truth[inside], results.predicted["a"][s, 0, inside], average="macro")
        for fold in np.unique(results.fold)
        for s in range(3)
        for inside in [results.fold == fold]
    ]
    cell = per_fold.cell("macro_f1", "a", ("+".join(FOUR),))
    assert cell is not None
    assert (cell.mean, cell.sd) == pytest.approx((fmean(slow), stdev(slow)))


def test_a_class_that_a_fold_lacks_is_left_out_there_but_not_when_pooled() -> None:
    results = fake_results(("a",), FOUR[:1], n=6, groups=3, classes=3, seeds=1, folds=3, further=False)
    truth = np.array([0, 0, 1, 1, 0, 1])
    fold = np.array(["0", "0", "1", "1", "2", "2"])
    results = replace(results, truth=truth, fold=fold, predicted={"a": truth[None, None].astype(np.int16)})
    whole, parts = (
        each(results).cell("macro_f1", "a", ("optical",)) for each in (pooled_scores, fold_scores)
    )
    assert whole is not None and whole.mean == pytest.approx(2 / 3)  # class 2 occurs nowhere: F1 0
    assert parts is not None and parts.mean == 1


def test_f1_per_class() -> None:
    results = fake_results(("a",), further=False)
    found = class_scores(results, "a", "optical+radar")
    column = results.conditions.index("optical+radar")
    slow = [f1_score(results.truth, each, average=None) for each in results.predicted["a"][:, column]]
    assert found == pytest.approx(np.stack(slow))


def test_regression_scores_are_those_of_scikit_learn() -> None:
    results = fake_results(("a",), FOUR[:2], task="value", seeds=2, further=False)
    pooled = pooled_scores(results)
    for s, c in np.ndindex(2, 3):
        predicted = results.predicted["a"][s, c]
        mse = mean_squared_error(results.truth, predicted)
        assert pooled.values["rmse"]["a"][s, c] == pytest.approx(mse**0.5)
        assert pooled.values["r2"]["a"][s, c] == pytest.approx(r2_score(results.truth, predicted))


def test_a_value_without_any_modality_is_the_mean_of_the_other_folds() -> None:
    results = fake_results(("a",), FOUR[:2], task="value", seeds=1, further=False)
    results.predicted["a"][0, 1, 7] = np.nan
    results.predicted["a"][0, 2] = np.nan
    pooled = pooled_scores(results)
    predicted = results.predicted["a"][0, 1].astype(float)
    predicted[7] = results.truth[results.fold != results.fold[7]].mean()
    expected = mean_squared_error(results.truth, predicted) ** 0.5
    assert pooled.values["rmse"]["a"][0, 1] == pytest.approx(expected)
    assert pooled.cell("rmse", "a", (results.conditions[2],)) is None


@pytest.mark.parametrize(("size", "numbers"), [(1, (1, 1, 1, 1)), (2, (2, 2, 3, 3)), (3, (3, 3, 7, 7)),
                                               (4, (4, 4, 9, 15))])  # fmt: skip
def test_how_many_cases_each_mean_has(size: int, numbers: tuple[int, ...]) -> None:
    means = summaries(FOUR[:size])
    assert tuple(len(means[key]) for key in ("moderate", "extreme", "overall", "all_patterns")) == numbers
    assert set(means["all_patterns"]) == {"+".join(each) for each in patterns(FOUR[:size])}
    assert all(len(set(each)) == len(each) for each in means.values())


def test_rows_stand_in_the_posters_order() -> None:
    assert [row.title for row in pattern_rows(FOUR)] == [
        "● ● ● ●", "○ ● ● ●", "● ○ ● ●", "● ● ○ ●", "● ● ● ○", "moderate", "● ○ ○ ○", "○ ● ○ ○", "○ ○ ● ○",
        "○ ○ ○ ●", "extreme", "overall", "● ● ○ ○", "● ○ ● ○", "● ○ ○ ●", "○ ● ● ○", "○ ● ○ ●", "○ ○ ● ●",
        "all patterns",
    ]  # fmt: skip


def test_with_two_modalities_one_missing_is_one_left() -> None:
    titles = [row.title for row in pattern_rows(FOUR[:2])]
    assert titles == ["● ●", "● ○", "○ ●", "moderate = extreme", "overall = all patterns"]
    assert [row.title for row in summary_rows(FOUR[:2])] == ["full", "moderate = extreme", "all patterns"]
    assert [row.title for row in pattern_rows(FOUR[:1])] == ["●"]
    assert ordered_patterns(FOUR[:2]) == {0: ("optical+radar",), 1: ("optical", "radar")}


def test_conditions_are_put_in_the_order_of_their_numbers() -> None:
    found = prefixed(("optical", "months:11", "months:2", "gaps:9-12", "gaps:3-4"), "months")
    assert found == ("months:2", "months:11")
