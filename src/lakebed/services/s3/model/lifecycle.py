"""Lifecycle rules: which are taken, whom they concern, and when something is due.

https://docs.aws.amazon.com/AmazonS3/latest/userguide/intro-lifecycle-rules.html. A number of days is counted from the
version's creation (from its successor's, for a noncurrent one; from the upload's beginning) and rounded up to the next
midnight UTC. A transition goes from a warm class to a colder one; objects below 128 KB stay where they are unless a filter
names sizes or the configuration says ``varies_by_storage_class`` (then only the archives take them).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from lakebed.kernel.errors import AwsError
from lakebed.services.s3.model import archives
from lakebed.services.s3.model.errors import invalid_argument, invalid_request, malformed_xml
from lakebed.wire.aws.scalars import write_rfc822

DAY = 86_400
RULES_MAX = 1000
LARGER_ONLY, VARIES = "all_storage_classes_128K", "varies_by_storage_class"
_SMALL = 128 << 10
_CLASSES = ("STANDARD_IA", "INTELLIGENT_TIERING", "ONEZONE_IA", "GLACIER_IR", "GLACIER", "DEEP_ARCHIVE")
_DAYS_MIN = {"STANDARD_IA": 30, "ONEZONE_IA": 30}


class Transition(msgspec.Struct, frozen=True, omit_defaults=True):
    """To ``storage_class`` after ``days``, or on ``date`` where that is not 0. ``newer`` noncurrent versions stay."""

    storage_class: str
    days: int = 0
    date: float = 0.0
    newer: int = 0


class Rule(msgspec.Struct, frozen=True, omit_defaults=True):
    """An enabled or disabled rule. Sizes are exclusive bounds; 0 and -1 mean that an action is absent."""

    id: str
    enabled: bool
    prefix: str = ""
    tags: dict[str, str] = {}
    larger_than: int = -1
    smaller_than: int = 1 << 62
    days: int = 0
    date: float = 0.0
    expired_marker: bool = False
    noncurrent_days: int = 0
    newer_noncurrent: int = 0
    abort_days: int = 0
    transitions: tuple[Transition, ...] = ()
    noncurrent_transitions: tuple[Transition, ...] = ()
    varies: bool = False
    plain_prefix: bool = False  # written without a Filter, and told so

    def concerns(self, key: str, size: int) -> bool:
        """Whether prefix and size let the rule act; tags are asked for separately, as they cost a look at the row."""
        return self.enabled and key.startswith(self.prefix) and self.larger_than < size < self.smaller_than

    def has_tags_of(self, tags: Mapping[str, str]) -> bool:
        """Whether an object carries all tags of the filter."""
        return all(tags.get(name) == value for name, value in self.tags.items())

    def expires_at(self, modified: float) -> float | None:
        """When a current version created at ``modified`` is due."""
        if self.days:
            return due(modified, self.days)
        return self.date or None

    def moves_to(self, transition: Transition, now: str, size: int) -> bool:
        """Whether a transition may move an object of ``size`` that lies in class ``now``."""
        if not archives.is_colder(transition.storage_class, now):
            return False
        sized = self.larger_than != -1 or self.smaller_than != 1 << 62
        if size >= _SMALL or sized:
            return True
        return self.varies and transition.storage_class in archives.ARCHIVES


decode_rules = msgspec.msgpack.Decoder(tuple[Rule, ...]).decode


def due(start: float, days: int) -> float:
    """``days`` later, rounded up to the next midnight UTC."""
    return float((int(start + days * DAY) // DAY + 1) * DAY)


def parse_configuration(
    configured: Sequence[Mapping[str, Any]], new_ids: Sequence[str], smallest: str = LARGER_ONLY
) -> list[Rule]:
    """The rules of a PutBucketLifecycleConfiguration, or what is wrong with them."""
    if not 0 < len(configured) <= RULES_MAX:
        raise malformed_xml()
    if smallest not in (LARGER_ONLY, VARIES):
        raise invalid_argument("The transition default minimum object size is not valid")
    rules = [_rule(entry, new_ids[number], smallest == VARIES) for number, entry in enumerate(configured)]
    if len({rule.id for rule in rules}) != len(rules):
        raise invalid_argument("Rule ID must be unique. Found same ID for more than one rule", "ID")
    return rules


def _rule(entry: Mapping[str, Any], new_id: str, varies: bool) -> Rule:
    identifier = entry.get("ID") or new_id
    if len(identifier) > 255:
        raise invalid_argument("ID length should not exceed allowed limit of 255", "ID", identifier)
    if ("Filter" in entry) == ("Prefix" in entry) or entry.get("Status") not in ("Enabled", "Disabled"):
        raise malformed_xml()
    chosen = _filter(entry.get("Filter"), entry.get("Prefix"))
    actions = _actions(entry)
    if not actions:
        raise invalid_request("At least one action needs to be specified in a rule")
    if chosen.get("tags") and ("abort_days" in actions or "expired_marker" in actions):
        action = "AbortIncompleteMultipartUpload" if "abort_days" in actions else "ExpiredObjectDeleteMarker"
        raise invalid_request(f"{action} cannot be specified with Tags.")
    rule = Rule(id=identifier, enabled=entry["Status"] == "Enabled", varies=varies, **chosen, **actions)
    if rule.days and any(one.days >= rule.days for one in rule.transitions):
        raise invalid_argument(
            f"'Days' in the Expiration action for filter '(prefix={rule.prefix})' must be greater than 'Days' in the "
            "Transition action"
        )
    return rule


def _transitions(entry: Mapping[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for member, name, days_member in (
        ("Transitions", "transitions", "Days"),
        ("NoncurrentVersionTransitions", "noncurrent_transitions", "NoncurrentDays"),
    ):
        listed = tuple(_transition(one, days_member) for one in entry.get(member) or ())
        if len({one.storage_class for one in listed}) != len(listed):
            raise invalid_argument("'StorageClass' must be different for 'Transition' actions in same 'Rule'")
        if len({bool(one.date) for one in listed}) > 1:
            raise invalid_request("Found mixed 'Date' and 'Days' based Transition actions in lifecycle rule")
        if listed:
            found[name] = listed
    return found


def _transition(entry: Mapping[str, Any], days_member: str) -> Transition:
    chosen, days, date = entry.get("StorageClass"), entry.get(days_member), entry.get("Date")
    if chosen not in _CLASSES or (days is None) == (date is None):
        raise malformed_xml()
    if date is not None and date % DAY:
        raise invalid_argument("'Date' must be at midnight GMT", "Date", date)
    if days is not None and days < _DAYS_MIN.get(chosen, 0):
        raise invalid_argument(
            f"'Days' in Transition action must be greater than or equal to {_DAYS_MIN.get(chosen, 0)} for storageClass "
            f"'{chosen}'",
        )
    return Transition(chosen, days or 0, float(date or 0), entry.get("NewerNoncurrentVersions") or 0)


def _filter(configured: Mapping[str, Any] | None, prefix: str | None) -> dict[str, Any]:
    if configured is None:
        return {"prefix": prefix or "", "plain_prefix": True}
    given = {name: value for name, value in configured.items() if value is not None}
    if len(given) > 1:
        raise malformed_xml()
    both = given.get("And") or given
    tags = list(both.get("Tags") or ()) + ([both["Tag"]] if both.get("Tag") else [])
    chosen: dict[str, Any] = {"prefix": both.get("Prefix") or "", "tags": {tag["Key"]: tag["Value"] for tag in tags}}
    if len(chosen["tags"]) != len(tags):
        raise invalid_request("Duplicate Tag Keys are not allowed.")
    for member, name in (("ObjectSizeGreaterThan", "larger_than"), ("ObjectSizeLessThan", "smaller_than")):
        if both.get(member) is not None:
            chosen[name] = int(both[member])
    return chosen


def _actions(entry: Mapping[str, Any]) -> dict[str, Any]:
    actions = _transitions(entry)
    expiration = {name: value for name, value in (entry.get("Expiration") or {}).items() if value is not None}
    if len(expiration) > 1:
        raise malformed_xml()
    if "Days" in expiration:
        actions["days"] = _positive(expiration["Days"], "'Days' for Expiration action must be a positive integer")
    if "Date" in expiration:
        if expiration["Date"] % DAY:
            raise invalid_argument("'Date' must be at midnight GMT", "Date", expiration["Date"])
        actions["date"] = float(expiration["Date"])
    if expiration.get("ExpiredObjectDeleteMarker"):
        actions["expired_marker"] = True
    noncurrent = entry.get("NoncurrentVersionExpiration") or {}
    if noncurrent:
        message = "'NoncurrentDays' for NoncurrentVersionExpiration action must be a positive integer"
        actions["noncurrent_days"] = _positive(noncurrent.get("NoncurrentDays") or 0, message)
        newer = noncurrent.get("NewerNoncurrentVersions") or 0
        if not 0 <= newer <= 100:
            raise invalid_argument(
                "'NewerNoncurrentVersions' must be between 1 and 100", "NewerNoncurrentVersions", newer
            )
        actions["newer_noncurrent"] = newer
    if abort := entry.get("AbortIncompleteMultipartUpload"):
        message = "'DaysAfterInitiation' for AbortIncompleteMultipartUpload action must be a positive integer"
        actions["abort_days"] = _positive(abort.get("DaysAfterInitiation") or 0, message)
    return actions


def _positive(value: int, message: str) -> int:
    if value <= 0:
        raise AwsError("InvalidArgument", message, status=400)
    return value


def expiration_told(rules: Sequence[Rule], key: str, size: int, modified: float, tags: Mapping[str, str]) -> str | None:
    """The ``x-amz-expiration`` header: the soonest expiration of a current version and the rule that causes it."""
    found: list[tuple[float, str]] = []
    for rule in rules:
        when = rule.expires_at(modified)
        if when is not None and rule.concerns(key, size) and rule.has_tags_of(tags):
            found.append((when, rule.id))
    if not found:
        return None
    when, identifier = min(found)
    return f'expiry-date="{write_rfc822(when)}", rule-id="{identifier}"'
