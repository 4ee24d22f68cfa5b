"""Condition operators of IoT policies, on one value of the request and one value of the policy.

https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_elements_condition_operators.html. What can not be
read as the operator's kind (a word as a number, a time or an address) does not match. ``StringLike``, ``ArnLike`` and
``ArnEquals`` take patterns and live in ``policy``.
"""

from __future__ import annotations

import ipaddress
import operator
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

Compare = Callable[[str, str], bool]


def _read(kind: Callable[[str], Any], test: Callable[[Any, Any], bool]) -> Compare:
    def compare(has: str, want: str) -> bool:
        try:
            return test(kind(has), kind(want))
        except (ValueError, OverflowError):
            return False

    return compare


def moment(text: str) -> float:
    """ISO 8601, or epoch seconds."""
    if text.replace(".", "", 1).isdigit() and "-" not in text:
        return float(text)
    at = datetime.fromisoformat(text)
    return (at if at.tzinfo else at.replace(tzinfo=UTC)).timestamp()


def _within(has: str, want: str) -> bool:
    try:
        return ipaddress.ip_address(has) in ipaddress.ip_network(want, strict=False)
    except ValueError:
        return False


def _folded(has: str, want: str) -> bool:
    return has.lower() == want.lower()


POSITIVE: dict[str, Compare] = {
    "StringEquals": operator.eq,
    "StringEqualsIgnoreCase": _folded,
    "BinaryEquals": operator.eq,
    "Bool": _folded,
    "IpAddress": _within,
    **{
        f"{family}{name}": _read(kind, test)
        for family, kind in (("Numeric", float), ("Date", moment))
        for name, test in (
            ("Equals", operator.eq), ("LessThan", operator.lt), ("LessThanEquals", operator.le),
            ("GreaterThan", operator.gt), ("GreaterThanEquals", operator.ge),
        )
    },
}  # fmt: skip
PATTERNED = frozenset({"StringLike", "ArnLike", "ArnEquals"})
# The negation of each, as AWS spells it.
NEGATED = {
    "StringNotEquals": "StringEquals", "StringNotEqualsIgnoreCase": "StringEqualsIgnoreCase", "StringNotLike": "StringLike",
    "NumericNotEquals": "NumericEquals", "DateNotEquals": "DateEquals", "NotIpAddress": "IpAddress",
    "ArnNotEquals": "ArnEquals", "ArnNotLike": "ArnLike",
}  # fmt: skip
NULL = "Null"
OPERATORS = frozenset({*POSITIVE, *PATTERNED, *NEGATED, NULL})
