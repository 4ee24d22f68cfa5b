"""Numbers, sizes, times and prices as the console writes them: thousands separated, units named, one place for all."""

from __future__ import annotations

from datetime import UTC, datetime


def count(value: float) -> str:
    """``336776`` -> ``336,776``."""
    return f"{value:,.0f}"


def rate(per_second: float) -> str:
    """``12`` -> ``12/s``; below one, one digit."""
    return f"{per_second:,.0f}/s" if per_second >= 10 or per_second == 0 else f"{per_second:.1f}/s"


def size(size_bytes: float) -> str:
    """Bytes in powers of 1024."""
    value = float(size_bytes)
    for unit in ("B", "KiB", "MiB", "GiB"):
        if value < 1024 or unit == "GiB":
            return f"{value:,.0f} {unit}" if unit == "B" or value >= 100 else f"{value:,.1f} {unit}"
        value /= 1024
    raise AssertionError("unreachable")


def span(seconds: float) -> str:
    """A duration: ``430 ms``, ``12 s``, ``3 min``, ``2 h``, ``4 d``."""
    if seconds == 0:
        return "0 s"
    for limit, divisor, unit in ((1, 0.001, "ms"), (120, 1, "s"), (7200, 60, "min"), (172_800, 3600, "h")):
        if seconds < limit:
            return f"{seconds / divisor:,.0f} {unit}"
    return f"{seconds / 86400:,.0f} d"


def ago(now: float, then: float | None) -> str:
    """``12 s ago``, ``now``, ``never``."""
    if then is None:
        return "never"
    return "now" if now - then < 1.5 else f"{span(now - then)} ago"


def moment(epoch: float) -> str:
    """An absolute time with its zone."""
    return datetime.fromtimestamp(epoch, UTC).strftime("%Y-%m-%d %H:%M:%S UTC")


def instant(now: float, epoch: float) -> str:
    """A time where order matters: with milliseconds, and with its day where that is not today."""
    at = datetime.fromtimestamp(epoch, UTC)
    is_today = at.date() == datetime.fromtimestamp(now, UTC).date()
    return at.strftime("%H:%M:%S." if is_today else "%Y-%m-%d %H:%M:%S.") + f"{at.microsecond // 1000:03d}"


def dollars(amount: float) -> str:
    """Small prices keep their digits: ``$0.00005``."""
    if amount == 0:
        return "$0"
    if amount < 0.000_000_1:
        return "less than $0.0000001"
    return f"${amount:,.2f}" if amount >= 0.01 else f"${amount:.7f}".rstrip("0")
