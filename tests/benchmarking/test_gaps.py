"""Natural gaps: real patterns of what was seen, put on other samples."""

import pickle
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from geocomiss.benchmarking.conditions.base import Case
from geocomiss.benchmarking.conditions.gaps import Bin, Donors, bins_of, donors_of, gap_conditions, with_gaps
from geocomiss.errors import SampleError
from geocomiss.recipes import RECIPES
from geocomiss.samples import SampleRequest, read_samples
from geocomiss.samples.table import Samples
from geocomiss.samples.tensors import batch_of_samples, spec_of

YEAR = np.arange(1, 13)
Make = Callable[..., Samples]


def year(number: int, first: int = 1) -> np.ndarray:
    return np.tile((np.arange(first - 1, first + 11) % 12) + 1, (number, 1))


def random_valid(number: int, share: float, seed: int, steps: int = 12) -> np.ndarray:
    return np.random.default_rng(seed).random((number, steps)) < share


@given(st.integers(1, 60))
def test_bins_cover_all_numbers_of_steps_once(steps: int) -> None:
    held = [step for each in bins_of(steps) for step in range(each.low, each.high + 1)]
    assert held == list(range(steps + 1))


def test_names_of_bins() -> None:
    assert [str(each) for each in bins_of(12)] == [
        "gaps:0-2", "gaps:3-4", "gaps:5-6", "gaps:7-8", "gaps:9-10", "gaps:11-12",
    ]  # fmt: skip
    assert [str(each) for each in bins_of(3)] == ["gaps:0", "gaps:1", "gaps:2", "gaps:3"]


def slow_month(valid: np.ndarray, months: np.ndarray, month: int) -> bool:
    """The last stretch of steps in a month."""
    steps = [step for step in range(len(months)) if months[step] == month]
    stretch = [step for step in steps if all(months[later] == month for later in range(step, steps[-1] + 1))]
    return bool(valid[stretch[(len(stretch) - 1) // 2]])


def test_dekads_become_months(table: Make) -> None:
    """51 dekads from September to January of the year after next: months come twice, the later counts."""
    months = np.tile([(8 + dekad // 3) % 12 + 1 for dekad in range(51)], (40, 1))
    valid = random_valid(40, 0.4, 1, 51)
    donors = donors_of(table(valid, months), 12)
    order = valid.sum(1).argsort(kind="stable")
    for place, donor in enumerate(order):
        expected = [slow_month(valid[donor], months[donor], month) for month in YEAR]
        np.testing.assert_array_equal(donors.by_month["optical"][place], expected)
    assert donors.covered.all()
    assert set(donors.by_month) == {"optical", "radar"}


@pytest.mark.parametrize(("length", "steps"), [(36, 12), (12, 12), (17, 12), (6, 12), (3, 3), (51, 5)])
def test_seasons_without_months_are_stretched(table: Make, length: int, steps: int) -> None:
    valid = random_valid(10, 0.5, 2, length)
    donors = donors_of(table(valid, np.zeros((10, length), int)), steps)
    order = valid.sum(1).argsort(kind="stable")
    assert not donors.covered.any()
    for step in range(steps):
        begin, end = step * length / steps, (step + 1) * length / steps
        inside = [at for at in range(length) if at + 1 > begin and at < end]  # overlaps the place
        middle = inside[(len(inside) - 1) // 2]
        np.testing.assert_array_equal(donors.by_place["optical"][:, step], valid[order][:, middle])


def gaps_of(samples: Samples, donors: Donors, wanted: Bin, rows: np.ndarray) -> np.ndarray:
    batch = batch_of_samples(samples, spec_of(samples, 3))[torch.from_numpy(rows)]
    changed = with_gaps(batch, samples.months[rows], donors, wanted, rows)
    return np.asarray(changed.valid["optical"].numpy())


def test_gaps_are_those_of_one_donor_and_the_samples_own(table: Make) -> None:
    own = random_valid(50, 0.9, 3)
    samples = table(own, year(50, first=11))  # November to October
    given_away = random_valid(30, 0.5, 4)
    donors = donors_of(table(given_away, year(30)), 12)
    found = gaps_of(samples, donors, Bin(5, 6), np.arange(50))
    for sample in range(50):
        by_month = [given_away[:, month - 1] for month in samples.months[sample]]
        possible = np.stack(by_month, 1) & own[sample]  # (30, 12)
        assert (possible == found[sample]).all(1).any()
        counts = possible.sum(1)
        reachable = ((counts >= 5) & (counts <= 6)).any()
        assert not reachable or 5 <= found[sample].sum() <= 6


def test_where_no_donor_fits_the_nearest_is_taken(table: Make) -> None:
    samples = table(np.ones((5, 12), bool), year(5))
    lent = np.zeros((3, 12), bool)
    lent[0, :7], lent[1, :9], lent[2, :] = True, True, True
    found = gaps_of(samples, donors_of(table(lent, year(3)), 12), Bin(3, 4), np.arange(5))
    assert (found.sum(1) == 7).all()


def test_mixed_and_unknown_months(table: Make) -> None:
    """One sample tells its months, one does not: the first is aligned by month, the other by place."""
    lent = np.zeros((1, 12), bool)
    lent[0, :4] = True  # January to April
    months = np.stack([year(1, first=3)[0], np.zeros(12, int)])
    samples = table(np.ones((2, 12), bool), months)
    found = gaps_of(samples, donors_of(table(lent, year(1)), 12), Bin(3, 4), np.arange(2))
    np.testing.assert_array_equal(np.sort(samples.months[0][found[0]]), [1, 2, 3, 4])
    np.testing.assert_array_equal(np.flatnonzero(found[1]), [0, 1, 2, 3])


def test_a_donor_that_lacks_a_month_is_aligned_by_place(table: Make) -> None:
    lent = np.array([[True, False, True]])
    samples = table(np.ones((1, 3), bool), np.array([[7, 8, 9]]))
    found = gaps_of(samples, donors_of(table(lent, np.array([[5, 6, 7]])), 3), Bin(2, 2), np.arange(1))
    np.testing.assert_array_equal(found, lent)


def test_a_sample_gets_the_same_donor_in_any_company(table: Make) -> None:
    samples = table(random_valid(40, 0.9, 5), year(40))
    donors = donors_of(table(random_valid(60, 0.6, 6), year(60)), 12)
    whole = gaps_of(samples, donors, Bin(5, 6), np.arange(40))
    some = np.array([31, 2, 17])
    np.testing.assert_array_equal(gaps_of(samples, donors, Bin(5, 6), some), whole[some])
    assert len({row.tobytes() for row in whole}) > 10  # not one donor for all


def test_radar_gaps_come_along(table: Make) -> None:
    lender = table(random_valid(10, 0.5, 7), year(10))
    lender.values["radar"][:, 3] = np.nan
    samples = table(np.ones((8, 12), bool), year(8))
    batch = batch_of_samples(samples, spec_of(samples, 3))
    changed = with_gaps(batch, samples.months, donors_of(lender, 12), Bin(5, 6), np.arange(8))
    assert not changed.valid["radar"][:, 3].any()
    assert changed.valid["radar"][:, 4].all()
    assert torch.equal(changed.valid["weather"], batch.valid["weather"])


def test_conditions_and_bins_without_donors(table: Make) -> None:
    samples = table(np.ones((30, 12), bool), year(30))
    batch = batch_of_samples(samples, spec_of(samples, 3))
    lent = random_valid(40, 0.62, 8)
    lent[lent.sum(1) <= 4] = True
    lent[0] = False  # a lone donor makes no bin
    lender = table(lent, year(40), "lender")
    donors = donors_of(lender, 12)
    conditions, notes = gap_conditions(batch, samples.months, lender)
    names = [condition.name for condition in conditions]
    assert "gaps:5-6" in names
    assert not {"gaps:0-2", "gaps:3-4"} & set(names)
    assert len(notes) == 1 and "gaps of lender bring too few" in notes[0] and "gaps:0-2 (" in notes[0]
    rows = np.arange(10, 20)
    case = Case(batch[10:20], rows, batch[20:])
    changed = pickle.loads(pickle.dumps(conditions))[names.index("gaps:5-6")].change(case)
    expected = with_gaps(case.test, samples.months[rows], donors, Bin(5, 6), rows)
    assert torch.equal(changed.valid["optical"], expected.valid["optical"])
    assert ((changed.valid["optical"].sum(1) >= 5) & (changed.valid["optical"].sum(1) <= 6)).all()


def test_many_donors_are_thinned_evenly(table: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("geocomiss.benchmarking.conditions.gaps.MOST_DONORS", 5)
    valid = np.arange(12) < np.arange(13)[:, None]  # 0 to 12 steps
    donors = donors_of(table(valid, year(13)), 12)
    np.testing.assert_array_equal(donors.by_month["optical"].sum(1), [0, 3, 6, 9, 12])


def test_tables_without_optical_series(table: Make) -> None:
    samples = table(np.ones((5, 12), bool), year(5))
    bare = Samples(**{
        **vars(samples),
        "values": {"radar": samples.values["radar"]},
        "bands": {"radar": samples.bands["radar"]},
    })  # fmt: skip
    with pytest.raises(SampleError, match="--gaps"):
        donors_of(bare, 12)
    batch = batch_of_samples(bare, spec_of(bare, 3))
    conditions, notes = gap_conditions(batch, bare.months, samples)
    assert conditions == ()
    assert "no optical" in notes[0]


def test_real_gaps_on_real_samples(shared: Path) -> None:
    """France's dekads lent to Canada's months."""
    samples, lender = (
        read_samples(
            SampleRequest(str(shared / "data" / "samples" / name), label, None, RECIPES["monthly-l2a"])
        )
        for name, label in (("canada2017.npz", "label"), ("france2023_dekad.npz", "croptype24"))
    )
    batch = batch_of_samples(samples, spec_of(samples, 11))
    rows = np.arange(0, len(samples), 10)
    conditions, _ = gap_conditions(batch, samples.months, lender)
    found = {condition.name: condition for condition in conditions}
    assert {"gaps:3-4", "gaps:5-6", "gaps:7-8"} <= set(found)
    for name, condition in found.items():
        low, high = (int(text) for text in name.removeprefix("gaps:").split("-"))
        left = condition.change(Case(batch[torch.from_numpy(rows)], rows, batch)).valid["optical"].sum(1)
        assert ((left >= low) & (left <= high)).float().mean() > 0.95
