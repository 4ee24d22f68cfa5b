"""Policies of browser forms: until when, and what a form may say.

https://docs.aws.amazon.com/AmazonS3/latest/API/sigv4-HTTPPOSTConstructPolicy.html. Every field of the form must be named by a
condition, but those that carry the policy and its signature, the file, and ``x-ignore-…``.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

import msgspec

from lakebed.kernel.errors import AwsError
from lakebed.services.s3.model.errors import access_denied
from lakebed.wire.aws.scalars import read_timestamp

POLICY_BYTES_MAX = 20_000
_INSTANT = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{1,9})?Z")
_FREE = frozenset(
    {"policy", "x-amz-signature", "signature", "awsaccesskeyid", "file", "submit", "x-amz-security-token"}
)


def _invalid(message: str) -> AwsError:
    return AwsError("InvalidPolicyDocument", f"Invalid Policy: {message}", status=400)


def _refused(condition: object) -> AwsError:
    shown = msgspec.json.encode(condition).decode()[:300]
    return access_denied(f"Invalid according to Policy: Policy Condition failed: {shown}")


def size_limits(text: bytes) -> tuple[int, int] | None:
    """The ``content-length-range`` of a policy that ``check`` accepted."""
    for condition in msgspec.json.decode(text).get("conditions") or ():
        if isinstance(condition, list) and str(condition[0]).lower() == "content-length-range":
            return int(condition[1]), int(condition[2])
    return None


def check(text: bytes, fields: Mapping[str, str], bucket: str, now: float) -> None:
    """Raise unless the policy allows a form of these fields (names in lower case) now."""
    document = _document(text)
    expires = document.get("expiration")
    if not isinstance(expires, str):
        raise _invalid("Policy missing expiration.")
    if not _INSTANT.fullmatch(expires):
        raise _invalid("Invalid 'expiration' value")
    try:
        ends = read_timestamp(expires)
    except (AwsError, ValueError):
        raise _invalid("Invalid 'expiration' value") from None
    if ends <= now:
        raise access_denied("Invalid according to Policy: Policy expired.")
    conditions = document.get("conditions")
    if not isinstance(conditions, list):
        raise _invalid("Policy missing conditions.")
    values, named = {**fields, "bucket": bucket}, set()
    for condition in conditions:
        named |= _check_condition(condition, values)
    for name in sorted(set(fields) - named - _FREE):
        if not name.startswith("x-ignore-"):
            raise access_denied(f"Invalid according to Policy: Extra input fields: {name}")


def _document(text: bytes) -> dict[str, Any]:
    if len(text) > POLICY_BYTES_MAX:
        raise _invalid("Policy is too long.")
    try:
        document = msgspec.json.decode(text)
    except (msgspec.DecodeError, RecursionError):
        raise _invalid("Invalid JSON.") from None
    if not isinstance(document, dict):
        raise _invalid("Invalid JSON.")
    return document


def _check_condition(condition: Any, values: Mapping[str, str]) -> set[str]:
    """Raise unless the form meets one condition; the fields it names."""
    if isinstance(condition, dict):
        if not condition:
            raise _invalid("Invalid Simple-Condition: Simple-Conditions must have exactly one property specified.")
        for name, wanted in condition.items():
            if not isinstance(wanted, str):
                raise _invalid("Invalid Simple-Condition: value must be a string.")
            if values.get(name.lower()) != wanted:
                raise _refused(["eq", f"${name}", wanted])
        return {name.lower() for name in condition}
    if not isinstance(condition, list) or len(condition) != 3 or not isinstance(condition[0], str):
        raise _invalid("Invalid Condition: a condition is an object or a list of three.")
    operator = condition[0].lower()
    if operator == "content-length-range":
        if not all(isinstance(bound, int | str) and str(bound).isdigit() for bound in condition[1:]):
            raise _invalid("Invalid content-length-range: the bounds must be numbers.")
        return set()
    name, wanted = condition[1], condition[2]
    if not isinstance(name, str) or not name.startswith("$") or not isinstance(wanted, str):
        raise _invalid("Invalid Condition: a field begins with '$' and its value is a string.")
    value = values.get(name[1:].lower())
    if operator == "eq":
        fits = value == wanted
    elif operator == "starts-with":
        fits = value is not None and _begins(name, value, wanted)
    else:
        raise _invalid(f"Invalid condition operator: {condition[0][:40]}")
    if not fits:
        raise _refused(condition)
    return {name[1:].lower()}


def _begins(name: str, value: str, wanted: str) -> bool:
    """``$Content-Type`` may be a list, each of which must begin so."""
    if name.lower() == "$content-type" and "," in value:
        return all(each.strip().startswith(wanted) for each in value.split(","))
    return value.startswith(wanted)
