"""Schedule expressions of EventBridge and Glue: ``rate(5 minutes)`` and ``cron(0 10 * * ? *)``, parsed once, asked for the
next moment. Pure, UTC.

https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-scheduled-rule-pattern.html

A cron expression has six fields: minutes, hours, day of month, month, day of week (1 = Sunday), year. One of the two days
must be ``?``; ``L`` is the last day, ``W`` the weekday nearest to a date, ``#`` the n-th weekday of the month.
"""

from __future__ import annotations

import calendar
import re
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta

_RATE = re.compile(r"rate\(\s*([0-9]{1,9})\s+(minute|minutes|hour|hours|day|days)\s*\)", re.ASCII)
_CRON = re.compile(r"cron\(\s*(.+?)\s*\)", re.ASCII)
_UNITS = {"minute": 60, "hour": 3600, "day": 86_400}
_MONTHS = {name.upper(): number for number, name in enumerate(calendar.month_abbr) if name}
_DAYS = {name: number for number, name in enumerate(("SUN", "MON", "TUE", "WED", "THU", "FRI", "SAT"), start=1)}
_YEARS = (1970, 2199)


class ScheduleError(ValueError):
    """Not a schedule expression."""


@dataclass(frozen=True, slots=True)
class Rate:
    """Every so many seconds."""

    seconds: int

    def after(self, moment: float) -> float | None:
        """The next time behind ``moment``."""
        return moment + self.seconds


@dataclass(frozen=True, slots=True)
class Cron:
    """The times that fit all fields."""

    minutes: tuple[int, ...]
    hours: tuple[int, ...]
    month_days: str
    months: frozenset[int]
    week_days: str
    years: frozenset[int]

    def after(self, moment: float) -> float | None:
        """The next time behind ``moment``, None where there is none."""
        start = datetime.fromtimestamp(moment, UTC).replace(second=0, microsecond=0) + timedelta(minutes=1)
        year, month = start.year, start.month
        while year <= _YEARS[1]:
            if year in self.years and month in self.months:
                for day in self._days(year, month):
                    found = self._within(datetime(year, month, day, tzinfo=UTC), start)
                    if found is not None:
                        return found.timestamp()
            year, month = (year, month + 1) if month < 12 else (year + 1, 1)
            if year not in self.years and month == 1:
                year = min((one for one in self.years if one > year), default=_YEARS[1] + 1)
        return None

    def _within(self, day: datetime, start: datetime) -> datetime | None:
        if day.date() < start.date():
            return None
        for hour in self.hours:
            for minute in self.minutes:
                found = day.replace(hour=hour, minute=minute)
                if found >= start:
                    return found
        return None

    def _days(self, year: int, month: int) -> list[int]:
        last = calendar.monthrange(year, month)[1]
        if self.month_days != "?":
            return sorted({day for part in self.month_days.split(",") for day in _month_days(part, year, month, last)})
        return sorted({day for part in self.week_days.split(",") for day in _week_days(part, year, month, last)})


def parse(text: str) -> Rate | Cron:
    """A schedule expression, ScheduleError where it is none."""
    if found := _RATE.fullmatch(text):
        count, unit = int(found.group(1)), found.group(2)
        if count < 1 or (count == 1) == unit.endswith("s"):
            raise ScheduleError(text)
        return Rate(count * _UNITS[unit.removesuffix("s")])
    found = _CRON.fullmatch(text)
    fields = found.group(1).upper().split() if found else []
    if len(fields) != 6:
        raise ScheduleError(text)
    minutes, hours, month_days, months, week_days, years = fields
    if (month_days == "?") == (week_days == "?"):
        raise ScheduleError(text)
    made = Cron(
        tuple(sorted(_numbers(minutes, 0, 59))),
        tuple(sorted(_numbers(hours, 0, 23))),
        month_days,
        frozenset(_numbers(months, 1, 12, _MONTHS)),
        week_days,
        frozenset(_numbers(years, *_YEARS)),
    )
    for year, month in ((2024, 2), (2025, 1)):  # raises for parts that make no sense
        made._days(year, month)
    return made


def _numbers(field: str, low: int, high: int, names: dict[str, int] | None = None) -> set[int]:
    """The numbers of ``*``, lists, ranges and steps."""
    found: set[int] = set()
    for part in field.split(","):
        span, slash, step_text = part.partition("/")
        step = _number(step_text, 1, high) if slash else 1
        if span == "*":
            first, last = low, high
        elif "-" in span:
            begin, _, end = span.partition("-")
            first, last = _number(begin, low, high, names), _number(end, low, high, names)
        else:
            first = _number(span, low, high, names)
            last = high if slash else first
        wrapped = range(first, last + 1) if first <= last else [*range(first, high + 1), *range(low, last + 1)]
        found |= set(list(wrapped)[::step])
    return found


def _number(text: str, low: int, high: int, names: dict[str, int] | None = None) -> int:
    if names and text in names:
        return names[text]
    if not text.isascii() or not text.isdigit() or len(text) > 4 or not low <= int(text) <= high:
        raise ScheduleError(text)
    return int(text)


def _month_days(part: str, year: int, month: int, last: int) -> set[int]:
    if part == "L":
        return {last}
    if part == "LW":
        return {_weekday_near(year, month, last, last)}
    if part.endswith("W"):
        wanted = _number(part[:-1], 1, 31)
        return {_weekday_near(year, month, wanted, last)} if wanted <= last else set()
    return {day for day in _numbers(part, 1, 31) if day <= last}


def _weekday_near(year: int, month: int, day: int, last: int) -> int:
    weekday = date(year, month, day).weekday()
    if weekday == 5:
        return day - 1 if day > 1 else day + 2
    if weekday == 6:
        return day + 1 if day < last else day - 2
    return day


def _week_days(part: str, year: int, month: int, last: int) -> set[int]:
    if part == "L":
        part = "7"
    if "#" in part:
        name, _, nth = part.partition("#")
        days = _on(_number(name, 1, 7, _DAYS), year, month, last)
        place = _number(nth, 1, 5)
        return {days[place - 1]} if place <= len(days) else set()
    if part.endswith("L") and part != "L":
        return {_on(_number(part[:-1], 1, 7, _DAYS), year, month, last)[-1]}
    return {day for weekday in _numbers(part, 1, 7, _DAYS) for day in _on(weekday, year, month, last)}


def _on(weekday: int, year: int, month: int, last: int) -> list[int]:
    """The days of a month that are this weekday (1 = Sunday)."""
    first = (weekday - 2 - date(year, month, 1).weekday()) % 7 + 1
    return list(range(first, last + 1, 7))
