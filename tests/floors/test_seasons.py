"""Season arithmetic."""

from datetime import date, timedelta
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from geocomiss import seasons
from geocomiss.errors import SeasonError
from geocomiss.recipes import RECIPES
from geocomiss.seasons import (
    Calendar,
    Cycle,
    StepLength,
    add_months,
    middle_day,
    monthly_cycle,
    parse_season,
    read_season,
)

MONTHLY = RECIPES["monthly-l2a"].cycle
CROPHARVEST = RECIPES["cropharvest"].cycle
CYCLES = st.builds(Cycle, st.integers(1, 12), st.sampled_from(["month", "30d"]), st.just(12))
YEARS = st.integers(1985, 2024)


@pytest.fixture
def on_2021_07_15(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(seasons, "today", lambda: date(2021, 7, 15))


def test_a_year_is_the_calendar_year_for_a_january_model() -> None:
    calendar = parse_season("2021", MONTHLY)
    assert (calendar.start, calendar.end, calendar.number) == (date(2021, 1, 1), date(2022, 1, 1), 12)


@pytest.mark.parametrize(("year", "start"), [(2021, date(2020, 2, 7)), (2020, date(2019, 2, 6))])
def test_a_year_of_cropharvest_ends_with_january_in_leap_years_too(year: int, start: date) -> None:
    calendar = parse_season(str(year), CROPHARVEST)
    assert (calendar.start, calendar.end) == (start, date(year, 2, 1))
    assert calendar.months() == (2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 1)


def test_a_step_belongs_to_the_month_of_its_middle_day() -> None:
    calendar = Calendar(date(2017, 10, 26), "30d", 12)
    assert calendar.months() == (11, 12, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10)
    assert calendar.years_months()[0] == (2017, 11)
    assert calendar.years_months()[-1] == (2018, 10)


@given(CYCLES, YEARS)
def test_the_period_of_a_year_has_the_cycles_months_and_ends_in_that_year(cycle: Cycle, year: int) -> None:
    calendar = cycle.ending_in(year)
    assert calendar.last_day.year == year
    assert calendar.months() == cycle.months()
    assert cycle.fits(calendar)
    assert calendar.cycle() == cycle


@given(CYCLES, YEARS)
def test_a_season_written_out_is_read_back(cycle: Cycle, year: int) -> None:
    calendar = cycle.ending_in(year)
    assert parse_season(f"{calendar.start}:{calendar.last_day}", cycle) == calendar
    assert parse_season(f" {calendar.start}/{calendar.last_day} ", cycle) == calendar
    if cycle.step == "month":
        assert parse_season(f"{calendar.start:%Y-%m}:{calendar.last_day:%Y-%m}", cycle) == calendar
    else:  # file names of CropHarvest give the day after
        assert parse_season(f"{calendar.start}:{calendar.end}", cycle) == calendar


@given(CYCLES, YEARS)
def test_steps_follow_on_without_gap_or_overlap(cycle: Cycle, year: int) -> None:
    calendar = cycle.ending_in(year)
    edges = calendar.edges()
    assert len(edges) == calendar.number + 1
    assert edges[0] == calendar.start
    assert edges[-1] == calendar.end == calendar.last_day + timedelta(days=1)
    for first, after in pairwise(edges):
        assert first < after
        assert first <= middle_day(first, after) < after
        if cycle.step == "30d":
            assert after - first == timedelta(days=30)
        else:
            assert after == add_months(first, 1)
            assert middle_day(first, after).month == first.month


@given(st.dates(date(1900, 1, 1), date(2100, 1, 1)), st.integers(-500, 500), st.integers(-500, 500))
def test_months_add_up(day: date, one: int, other: int) -> None:
    assert add_months(add_months(day, one), other) == add_months(day, one + other)


@given(st.integers(1, 12), st.integers(1, 40))
def test_monthly_cycle_recognises_consecutive_months_only(first: int, number: int) -> None:
    cycle = Cycle(first, "month", number)
    assert monthly_cycle(cycle.months()) == cycle
    if number > 1:
        broken = (*cycle.months()[:-1], cycle.months()[-1] % 12 + 1)
        assert monthly_cycle(broken) is None


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("21", "cannot be read"),
        ("0021", "cannot be read"),
        ("spring", "cannot be read"),
        ("2020-13:2021-12", "cannot be read"),
        ("2020-02-30:2021-01-31", "cannot be read"),
        ("2020-01:2020-06:2020-12", "cannot be read"),
        ("", "cannot be read"),
        ("2021-10:2020-11", "ends before it begins"),
        ("2021-01-15:2022-01-14", "whole months"),
        ("2021-01:2021-11", "12 steps of a month, January to December"),
        ("2020-11:2021-10", "January to December"),
    ],
)
def test_a_season_that_makes_no_sense_is_refused(text: str, said: str) -> None:
    with pytest.raises(SeasonError, match=said):
        parse_season(text, MONTHLY)


def test_a_backwards_season_is_turned_round_in_the_message() -> None:
    with pytest.raises(SeasonError, match="did you mean 2020-11:2021-10"):
        parse_season("2021-10:2020-11", MONTHLY)


def test_broken_steps_of_thirty_days_are_refused_with_a_day_that_works() -> None:
    with pytest.raises(SeasonError, match="end it on 2021-01-31"):
        parse_season("2020-02-07:2021-02-10", CROPHARVEST)


def test_months_that_a_thirty_day_model_covers_are_its_steps() -> None:
    assert parse_season("2020-02:2021-01", CROPHARVEST) == CROPHARVEST.ending_in(2021)


@pytest.mark.usefixtures("on_2021_07_15")
def test_a_season_partly_in_the_future_is_allowed_and_a_whole_one_is_not() -> None:
    assert parse_season("2021", MONTHLY).last_day == date(2021, 12, 31)
    with pytest.raises(SeasonError, match="wholly in the future"):
        parse_season("2022", MONTHLY)


def test_calendars_speak_plainly() -> None:
    assert str(parse_season("2021", MONTHLY)) == "2021-01-01 to 2021-12-31 (12 calendar months)"
    assert str(parse_season("2021", CROPHARVEST)) == "2020-02-07 to 2021-01-31 (12 steps of 30 days)"
    assert str(CROPHARVEST) == "12 steps of 30 days, February to January"


@pytest.mark.parametrize("step", ["month", "30d"])
@given(year=st.integers(1990, 2024), first=st.integers(1, 12), number=st.integers(1, 18))
def test_months_asked_for_are_honoured_one_by_one_or_refused(
    step: StepLength, year: int, first: int, number: int
) -> None:
    last = add_months(date(year, first, 1), number - 1)
    text = f"{year}-{first:02d}:{last.year}-{last.month:02d}"
    asked = Calendar(date(year, first, 1), "month", number).years_months()
    try:
        calendar = read_season(text, Cycle(2, step, 12))
    except SeasonError:
        assert step == "30d" and number > 12, "only long seasons outgrow steps of 30 days"
    else:
        assert calendar.years_months() == asked
        assert calendar.step == step
