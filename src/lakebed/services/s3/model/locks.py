"""Object Lock: a bucket's configuration, a version's retention and legal hold, and what they forbid.

https://docs.aws.amazon.com/AmazonS3/latest/userguide/object-lock.html. A version under COMPLIANCE cannot be deleted, nor its
retention shortened, by anybody; GOVERNANCE yields to ``s3:BypassGovernanceRetention`` with the header that asks for it; a
legal hold stays until it is taken off. Refused by name: event holds, MFA delete.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec

from lakebed.kernel.errors import AwsError, not_built
from lakebed.services.s3.model.errors import access_denied, invalid_argument, invalid_request, malformed_xml
from lakebed.services.s3.model.shapes import Bucket, Lock, ObjectVersion

DAY = 86_400
GOVERNANCE, COMPLIANCE = "GOVERNANCE", "COMPLIANCE"
_MODES = (GOVERNANCE, COMPLIANCE)
_DAYS_MAX, _YEARS_MAX = 36_500, 100


class Configuration(msgspec.Struct, frozen=True, omit_defaults=True):
    """Object Lock of a bucket; ``mode`` "" where there is no default retention."""

    mode: str = ""
    days: int = 0
    years: int = 0


_decode = msgspec.msgpack.Decoder(Configuration).decode


def configuration_of(bucket: Bucket) -> Configuration | None:
    """The bucket's configuration, None where Object Lock is not enabled."""
    return _decode(bucket.object_lock) if bucket.object_lock else None


def require(bucket: Bucket) -> Configuration:
    """The configuration, or what S3 says where there is none."""
    found = configuration_of(bucket)
    if found is None:
        raise invalid_request("Bucket is missing Object Lock Configuration")
    return found


def parse_configuration(document: Mapping[str, Any]) -> Configuration:
    """The configuration of a PutObjectLockConfiguration."""
    if document.get("ObjectLockEnabled") != "Enabled":
        raise malformed_xml()
    rule = document.get("Rule")
    if rule is None:
        return Configuration()
    chosen = rule.get("DefaultRetention") or {}
    if chosen.get("DefaultEventHold") is not None:
        raise not_built("s3", "PutObjectLockConfiguration", "DefaultRetention.DefaultEventHold")
    days, years = chosen.get("Days"), chosen.get("Years")
    if chosen.get("Mode") not in _MODES or (days is None) == (years is None):
        raise malformed_xml()
    period, limit = (days, _DAYS_MAX) if days is not None else (years, _YEARS_MAX)
    if not isinstance(period, int) or period <= 0:
        raise invalid_argument("Default retention period must be a positive integer value")
    if period > limit:
        raise invalid_argument("Default retention period too large")
    return Configuration(chosen["Mode"], days or 0, years or 0)


def told(configuration: Configuration) -> dict[str, Any]:
    """What GetObjectLockConfiguration tells."""
    answer: dict[str, Any] = {"ObjectLockEnabled": "Enabled"}
    if configuration.mode:
        period = {"Days": configuration.days} if configuration.days else {"Years": configuration.years}
        answer["Rule"] = {"DefaultRetention": {"Mode": configuration.mode, **period}}
    return answer


def of_write(request: Mapping[str, Any], bucket: Bucket, now: float) -> Lock | None:
    """The lock a new version begins with: what the write says, else the bucket's default retention."""
    mode, until, hold = (
        request.get(name) for name in ("ObjectLockMode", "ObjectLockRetainUntilDate", "ObjectLockLegalHoldStatus")
    )
    configuration = configuration_of(bucket)
    if mode is None and until is None and hold is None:
        if configuration is None or not configuration.mode:
            return None
        days = configuration.days or configuration.years * 365
        return Lock(configuration.mode, now + days * DAY)
    require(bucket)
    if (mode is None) != (until is None):
        raise invalid_argument("x-amz-object-lock-retain-until-date and x-amz-object-lock-mode must both be supplied")
    if mode is not None:
        _check(str(mode), float(until or 0), now)
    elif configuration is not None and configuration.mode:
        mode, until = configuration.mode, now + (configuration.days or configuration.years * 365) * DAY
    if hold not in (None, "ON", "OFF"):
        raise invalid_argument("Legal Hold must be either of 'ON' or 'OFF'", "x-amz-object-lock-legal-hold", hold)
    return Lock(mode or "", float(until or 0), None if hold is None else hold == "ON")


def _check(mode: str, until: float, now: float) -> None:
    if mode not in _MODES:
        raise invalid_argument("Unknown wormMode directive.", "x-amz-object-lock-mode", mode)
    if until <= now:
        raise invalid_argument("The retain until date must be in the future!", "x-amz-object-lock-retain-until-date")


def is_retained(lock: Lock | None, now: float) -> bool:
    """Whether a retention is in force."""
    return lock is not None and bool(lock.mode) and lock.until > now


def is_locked(lock: Lock | None, now: float) -> bool:
    """Whether anything keeps the version from being deleted."""
    return lock is not None and (bool(lock.legal_hold) or is_retained(lock, now))


def check_deletable(lock: Lock | None, now: float, *, bypass: bool) -> None:
    """Raise where a lock keeps the version."""
    if lock is None or not is_locked(lock, now):
        return
    if lock.legal_hold or lock.mode != GOVERNANCE or not bypass:
        raise access_denied("Access Denied because object protected by object lock.")


def retained(lock: Lock | None, retention: Mapping[str, Any], now: float, *, bypass: bool) -> Lock:
    """The lock after PutObjectRetention; an empty retention takes the old one off."""
    for refused in ("EventHold", "EventHoldDuration"):
        if retention.get(refused) is not None:
            raise not_built("s3", "PutObjectRetention", f"ObjectLockRetention.{refused}")
    mode, until = retention.get("Mode"), retention.get("RetainUntilDate")
    if (mode is None) != (until is None):
        raise malformed_xml()
    if mode is not None and mode not in _MODES:
        raise malformed_xml()
    old = lock or Lock()
    if is_retained(old, now):
        weaker = mode is None or float(until or 0) < old.until or (old.mode == COMPLIANCE and mode != COMPLIANCE)
        weaker = weaker or (old.mode == GOVERNANCE and mode != old.mode and not bypass)
        if weaker and (old.mode == COMPLIANCE or not bypass):
            raise access_denied("Access Denied because object protected by object lock.")
    if mode is not None:
        _check(mode, float(until or 0), now)
    return msgspec.structs.replace(old, mode=mode or "", until=float(until or 0))


def headers(version: ObjectVersion) -> dict[str, Any]:
    """The members by which GetObject and HeadObject tell a lock."""
    lock, answer = version.facts.lock, {}
    if lock is not None and lock.mode:
        answer = {"ObjectLockMode": lock.mode, "ObjectLockRetainUntilDate": lock.until}
    if lock is not None and lock.legal_hold is not None:
        answer["ObjectLockLegalHoldStatus"] = "ON" if lock.legal_hold else "OFF"
    return answer


def not_locked() -> AwsError:
    """GetObjectRetention or GetObjectLegalHold of a version that has none."""
    return AwsError(
        "NoSuchObjectLockConfiguration", "The specified object does not have a ObjectLock configuration", status=404
    )
