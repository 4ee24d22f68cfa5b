"""Schedule expressions: the next time, by examples of AWS's page and by properties."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lakebed.wire.aws.schedule import ScheduleError, parse


def after(expression: str, moment: str) -> str:
    found = parse(expression).after(datetime.fromisoformat(moment + "+00:00").timestamp())
    return "" if found is None else datetime.fromtimestamp(found, UTC).strftime("%Y-%m-%dT%H:%M")


@pytest.mark.parametrize(
    ("expression", "moment", "expected"),
    [
        ("rate(1 minute)", "2026-01-01T00:00", "2026-01-01T00:01"),
        ("rate(12 hours)", "2026-01-01T00:00", "2026-01-01T12:00"),
        ("rate(7 days)", "2026-01-01T00:00", "2026-01-08T00:00"),
        ("cron(0 10 * * ? *)", "2026-01-01T10:00", "2026-01-02T10:00"),
        ("cron(15 12 * * ? *)", "2026-01-01T10:00", "2026-01-01T12:15"),
        ("cron(0 18 ? * MON-FRI *)", "2026-01-02T18:00", "2026-01-05T18:00"),
        ("cron(0 8 1 * ? *)", "2026-01-01T09:00", "2026-02-01T08:00"),
        ("cron(0/15 * * * ? *)", "2026-01-01T10:16", "2026-01-01T10:30"),
        ("cron(0/10 * ? * MON-FRI *)", "2026-01-03T00:00", "2026-01-05T00:00"),
        ("cron(0 9 ? * 2#1 *)", "2026-01-06T00:00", "2026-02-02T09:00"),
        ("cron(0 0 L * ? *)", "2026-02-01T00:00", "2026-02-28T00:00"),
        ("cron(0 0 ? * 6L *)", "2026-01-01T00:00", "2026-01-30T00:00"),
        ("cron(0 0 15W * ? *)", "2026-02-01T00:00", "2026-02-16T00:00"),
        ("cron(0 0 29 2 ? *)", "2026-01-01T00:00", "2028-02-29T00:00"),
        ("cron(0 0 1 1 ? 2020)", "2026-01-01T00:00", ""),
        ("cron(0 0 ? 12 SUN 2030)", "2026-01-01T00:00", "2030-12-01T00:00"),
        ("cron(5,35 14 * * ? *)", "2026-01-01T14:05", "2026-01-01T14:35"),
    ],
)
def test_next_time(expression: str, moment: str, expected: str) -> None:
    assert after(expression, moment) == expected


@pytest.mark.parametrize(
    "expression",
    [
        "rate(0 minutes)", "rate(1 minutes)", "rate(5 minute)", "rate(5 weeks)", "cron(0 10 * * * *)", "cron(0 10 ? * ? *)",
        "cron(0 10 * * ?)", "cron(60 10 * * ? *)", "cron(0 10 32 * ? *)", "cron(0 10 ? * 8 *)", "cron(0 10 ? * MON#6 *)", "x",
        "cron(a b c d ? e)", "rate()", "cron()",
    ],
)  # fmt: skip
def test_nonsense_is_refused(expression: str) -> None:
    with pytest.raises(ScheduleError):
        parse(expression)


_FIELD = st.sampled_from(["*", "0", "5", "0/7", "1-4", "2,9"])


@given(_FIELD, _FIELD, st.sampled_from(["*", "1", "15W", "L", "10-20"]), st.floats(0, 2e9))
def test_times_follow_each_other(minute: str, hour: str, day: str, moment: float) -> None:
    made = parse(f"cron({minute} {hour} {day} * ? *)")
    first = made.after(moment)
    assert first is not None
    assert first > moment
    second = made.after(first)
    assert second is not None
    assert second > first
    assert made.after(second - 1) == second
