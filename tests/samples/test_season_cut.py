"""`--season` cuts a table to a period, whatever its steps."""

from datetime import date, timedelta

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from geocomiss.errors import SampleError, SeasonError
from geocomiss.recipes import RECIPES
from geocomiss.samples import SampleRequest, read_samples
from geocomiss.samples.contents import Contents
from geocomiss.samples.season import cut_to_season
from geocomiss.samples.steps import Steps, steps_from, thirty_day_steps
from geocomiss.seasons import Calendar, Cycle

YEAR = Calendar(date(2017, 1, 1), "month", 12)


def contents(steps):
    """Values that tell their sample and step."""
    n, t = steps.months.shape
    rows = (np.arange(n)[:, None] * 1000 + np.arange(t)).astype(np.float32)
    values = {"radar": np.stack([rows, -rows], -1), "topography": np.ones((n, 1, 2), np.float32)}
    bands = {"radar": ("VV", "VH"), "topography": ("elevation", "slope")}
    counts = {"radar": rows.astype(np.int16)}
    place = np.arange(n) * 1.0
    columns = {"crop": np.arange(n).astype(str)}
    return Contents("toy", "", values, bands, steps, place, place, columns, counts=counts)


def months(first, number, samples=3):
    days = [date((first + i) // 12, (first + i) % 12 + 1, 1) for i in range(number)]
    return steps_from(days, samples)


@given(st.integers(0, 30), st.integers(12, 40), st.integers(0, 30), st.integers(1, 24))
def test_months_are_cut_like_one_by_one(first, number, at, length):
    base = 2015 * 12
    season = Calendar(date(2015 + at // 12, at % 12 + 1, 1), "month", length)
    wanted = [step for step in range(number) if at <= first + step < at + length]
    table = contents(months(base + first, number))
    if len(wanted) < length:
        with pytest.raises(SampleError, match="covers"):
            cut_to_season(table, season)
        return
    found = cut_to_season(table, season)
    assert (found.values["radar"] == table.values["radar"][:, wanted]).all()
    assert (found.counts["radar"] == table.counts["radar"][:, wanted]).all()
    assert found.values["topography"].shape == (3, 1, 2)
    assert found.steps.months[0].tolist() == list(season.months())


@given(st.integers(0, 700))
@example(382)
@example(383)
def test_thirty_day_steps_fill_a_year_or_are_left_out(shift):
    first = np.array([date(2016, 1, 1) + timedelta(days=shift)], "datetime64[D]")
    table = contents(thirty_day_steps(first, 25))
    last = first[0] + np.timedelta64(750, "D")
    # half a step and a day may be missing at either end
    reaches = first[0] <= np.datetime64("2017-01-17") and last >= np.datetime64("2017-12-16")
    if not reaches:
        with pytest.raises(SampleError):
            cut_to_season(table, YEAR)
        return
    found = cut_to_season(table, YEAR)
    assert found.steps.months.shape == (1, 12)
    assert (found.steps.middles >= np.datetime64("2017-01-01")).all()
    assert (found.steps.middles <= np.datetime64("2017-12-31")).all()


def test_samples_of_other_years_are_left_out_and_counted():
    firsts = np.array(["2017-01-01", "2016-01-06", "2017-01-03"], "datetime64[D]")
    found = cut_to_season(contents(thirty_day_steps(firsts, 12)), YEAR)
    assert found.columns["crop"].tolist() == ["0", "2"]
    assert found.notes == (f"1 samples of toy do not cover {YEAR} and are left out",)


def test_a_table_without_dates_cannot_be_cut():
    undated = Steps(np.ones((3, 12), np.int64), None, ())
    with pytest.raises(SampleError, match="does not say when"):
        cut_to_season(contents(undated), YEAR)


def read(path, label, season, cycle=None):
    return read_samples(
        SampleRequest(str(path), label, None, RECIPES["monthly-l2a"], season=season, cycle=cycle)
    )


def test_real_tables_are_cut(shared):
    folder = shared / "data" / "samples"
    dekads = read(folder / "france2023_dekad.npz", "croptype24", "2023")
    assert dekads.months[0].tolist() == sorted([*range(1, 13)] * 3)
    corsica = read(folder / "france2022_corsica.npz", "croptype24", "2021-11:2022-10")
    assert corsica.cycle.first_month == 11 and corsica.years == (2022,)
    assert corsica.values["optical"].shape == (500, 12, 10)
    with pytest.raises(SampleError, match=r"its steps lie within 2021-09-01 to 2023-01-31"):
        read(folder / "france2022_corsica.npz", "croptype24", "2020")


def test_a_season_must_fit_the_model(shared):
    path = shared / "data" / "samples" / "canada2017_long.parquet"
    november = Cycle(11, "month", 12)
    with pytest.raises(SeasonError, match="November"):
        read(path, "CROPTYPE_LABEL", "2017-01:2017-12", november)
    with pytest.raises(SampleError, match="covers"):
        read(path, "CROPTYPE_LABEL", "2017", november)  # November 2016 is not there


def test_simulated_samples_have_seasons_of_their_own():
    with pytest.raises(SampleError, match="--season"):
        read("simulated", "label", "2020")
