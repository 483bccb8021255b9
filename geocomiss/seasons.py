"""Time: the calendar of a stack, the yearly cycle of a model, and the season a user asks for.

A step belongs to the month that holds its middle day, so thirty-day steps that start on
26 October are November to October, whatever their first days say.
"""

import re
from dataclasses import dataclass
from datetime import date, timedelta
from itertools import pairwise
from typing import Final, Literal

from geocomiss.errors import SeasonError

StepLength = Literal["month", "30d"]
"""Calendar months, or exactly thirty days (CropHarvest)."""

DAYS_30: Final = timedelta(days=30)


@dataclass(frozen=True)
class Calendar:
    """Dated, half-open, gapless time steps: those of one stack."""

    start: date
    """First day of the first step."""
    step: StepLength
    """Length of each step."""
    number: int
    """Number of steps T."""

    def edges(self) -> tuple[date, ...]:
        """First days of all steps and, last, the day after the end: T + 1 dates."""
        if self.step == "month":
            return tuple(add_months(self.start, i) for i in range(self.number + 1))
        return tuple(self.start + i * DAYS_30 for i in range(self.number + 1))

    @property
    def end(self) -> date:
        """The day after the last step."""
        return self.edges()[-1]

    @property
    def last_day(self) -> date:
        """The last day of the last step."""
        return self.end - timedelta(days=1)

    def months(self) -> tuple[int, ...]:
        """Month (1..12) of each step: the month that holds its middle day. Length T."""
        edges = self.edges()
        return tuple(middle_day(a, b).month for a, b in pairwise(edges))

    def years_months(self) -> tuple[tuple[int, int], ...]:
        """(year, month) of the middle day of each step. Length T."""
        edges = self.edges()
        middles = [middle_day(a, b) for a, b in pairwise(edges)]
        return tuple((day.year, day.month) for day in middles)

    def cycle(self) -> "Cycle":
        """The same steps in any year."""
        return Cycle(self.months()[0], self.step, self.number)

    def __str__(self) -> str:
        """For example '2021-01-01 to 2021-12-31 (12 calendar months)'."""
        unit = "calendar months" if self.step == "month" else "steps of 30 days"
        return f"{self.start} to {self.last_day} ({self.number} {unit})"


@dataclass(frozen=True)
class Cycle:
    """The steps a model was trained on, without a year."""

    first_month: int
    """Month (1..12) of the first step."""
    step: StepLength
    """Length of each step."""
    number: int
    """Number of steps T."""

    def ending_in(self, year: int) -> Calendar:
        """The period whose last day lies in `year`."""
        last_month = (self.first_month + self.number - 2) % 12 + 1
        end = add_months(date(year, last_month, 1), 1)
        if self.step == "month":
            return Calendar(add_months(end, -self.number), "month", self.number)
        return Calendar(end - self.number * DAYS_30, "30d", self.number)

    def months(self) -> tuple[int, ...]:
        """Month (1..12) of each step. Length T."""
        return tuple((self.first_month - 1 + i) % 12 + 1 for i in range(self.number))

    def fits(self, calendar: Calendar) -> bool:
        """Whether `calendar` has these steps: the same number, in the same months.

        Calendar months and thirty-day steps fit each other where their middle days share months.
        """
        return calendar.months() == self.months()

    def __str__(self) -> str:
        """For example '12 steps of a month, January to December'."""
        months = self.months()
        unit = "a month" if self.step == "month" else "30 days"
        steps = "1 step" if self.number == 1 else f"{self.number} steps"
        return f"{steps} of {unit}, {_month_name(months[0])} to {_month_name(months[-1])}"


def parse_season(text: str, cycle: Cycle) -> Calendar:
    """The dated steps that a user's `--season` means for a model with this `cycle`.

    Args:
        text: '2021' (the period of the cycle whose last day lies in 2021), '2020-11:2021-10'
            (first and last month), or '2020-11-01:2021-10-31' (first and last day).
        cycle: Steps of the model.

    Raises:
        SeasonError: Unreadable, backwards, wholly in the future, not whole steps, or not the
            months of the cycle.
    """
    calendar = read_season(text, cycle)
    if not cycle.fits(calendar):
        raise SeasonError(
            f"the season {text!r} means {calendar}",
            expected=f"{cycle}, as the model has it",
            todo=f"give a year, such as {calendar.last_day.year}, or months that match",
        )
    return calendar


def read_season(text: str, cycle: Cycle) -> Calendar:
    """The dated steps of a `--season` where no model asks for particular months.

    Args:
        text: As in `parse_season`. A year means the period of the cycle, months and days what they say.
        cycle: Steps of the recipe.

    Raises:
        SeasonError: Unreadable, backwards, wholly in the future, or not whole steps.
    """
    calendar = _read_season(text.strip(), cycle)
    if calendar.start > today():
        raise SeasonError(
            f"the season {text!r} ({calendar}) lies wholly in the future, today is {today()}",
            expected="a season that has begun",
            todo="ask for an earlier one",
        )
    return calendar


def _read_season(text: str, cycle: Cycle) -> Calendar:
    if re.fullmatch(r"\d{4}", text):
        if not 1900 <= int(text) <= 9000:
            raise _unreadable(text)
        return cycle.ending_in(int(text))
    parts = text.replace("/", ":").split(":")
    if len(parts) != 2:
        raise _unreadable(text)
    first, last = _read_day(parts[0], text), _read_day(parts[1], text)
    end = last + timedelta(days=1) if len(parts[1]) > 7 else add_months(last, 1)
    if end <= first:
        raise SeasonError(
            f"the season {text!r} ends before it begins",
            expected="the first month or day before the last",
            todo=f"did you mean {parts[1]}:{parts[0]}?",
        )
    if cycle.step == "30d" and len(parts[0]) > 7:
        return _whole_steps(text, first, end)
    return _whole_months(text, first, end, cycle)


def _whole_steps(text: str, first: date, end: date) -> Calendar:
    # the last day may be given as the last one inside or, as in CropHarvest's file names, the next
    for days in ((end - first).days, (end - first).days - 1):
        if days > 0 and days % DAYS_30.days == 0:
            return Calendar(first, "30d", days // DAYS_30.days)
    raise SeasonError(
        f"the season {text!r} has {(end - first).days} days",
        expected="a whole number of 30-day steps",
        todo=f"end it on {first + timedelta(days=((end - first).days // 30 or 1) * 30 - 1)}",
    )


def _whole_months(text: str, first: date, end: date, cycle: Cycle) -> Calendar:
    if first.day != 1 or end.day != 1:
        raise SeasonError(
            f"the season {text!r} does not consist of whole months",
            expected="the first day of a month and the last day of a month",
            todo="use for example 2020-11:2021-10",
        )
    months = Calendar(first, "month", (end.year - first.year) * 12 + end.month - first.month)
    if cycle.step == "month":
        return months
    thirty = Calendar(end - months.number * DAYS_30, "30d", months.number)
    if thirty.years_months() != months.years_months():
        raise SeasonError(
            f"the season {text!r} is {months.number} months, too many for as many steps of 30 days",
            expected="steps of 30 days that keep to their months",
            todo="give the first and last day, a multiple of 30 days apart",
        )
    return thirty


def _read_day(text: str, season: str) -> date:
    try:
        return date.fromisoformat(text if len(text) > 7 else f"{text}-01")
    except ValueError as error:
        raise _unreadable(season) from error


def _unreadable(text: str) -> SeasonError:
    return SeasonError(
        f"the season {text!r} cannot be read",
        expected="a year (2021), months (2020-11:2021-10) or days (2020-11-01:2021-10-31)",
        todo="write --season in one of these ways",
    )


def monthly_cycle(months: tuple[int, ...]) -> Cycle | None:
    """The cycle of a table whose steps lie in these months, or None where they do not follow on."""
    cycle = Cycle(months[0], "month", len(months))
    return cycle if cycle.months() == tuple(months) else None


def middle_day(start: date, end: date) -> date:
    """The middle day of a half-open step."""
    return start + (end - start) // 2


def add_months(day: date, months: int) -> date:
    """The first day of the month `months` after the month of `day`."""
    index = day.year * 12 + day.month - 1 + months
    return date(index // 12, index % 12 + 1, 1)


def today() -> date:
    """Today's date; one place, so that tests can set it."""
    return date.today()


def _month_name(month: int) -> str:
    return date(2001, month, 1).strftime("%B")
