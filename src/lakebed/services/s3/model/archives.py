"""Storage classes: which there are, which archive, and how a restored copy comes and goes.

https://docs.aws.amazon.com/AmazonS3/latest/userguide/restoring-objects.html. GLACIER and DEEP_ARCHIVE are read after
RestoreObject alone; a copy is there after the longest time AWS names for its tier and stays until the
midnight after its days. Refused by name: SNOW, OUTPOSTS, EXPRESS_ONEZONE, FSx classes, restores of type SELECT.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from lakebed.kernel.errors import AwsError, not_built
from lakebed.services.s3.model.errors import invalid_argument, malformed_xml
from lakebed.services.s3.model.shapes import STANDARD, ObjectVersion, Restore
from lakebed.wire.aws.scalars import write_rfc822

DAY = 86_400
ARCHIVES = ("GLACIER", "DEEP_ARCHIVE")
# From warm to cold: a lifecycle transition only goes this way.
CLASSES = (
    STANDARD, "REDUCED_REDUNDANCY", "STANDARD_IA", "INTELLIGENT_TIERING", "ONEZONE_IA", "GLACIER_IR", *ARCHIVES,
)  # fmt: skip
_ELSEWHERE = ("SNOW", "OUTPOSTS", "EXPRESS_ONEZONE", "FSX_OPENZFS", "FSX_ONTAP")
_SECONDS: Mapping[tuple[str, str], int] = {
    ("GLACIER", "Expedited"): 300,
    ("GLACIER", "Standard"): 5 * 3600,
    ("GLACIER", "Bulk"): 12 * 3600,
    ("DEEP_ARCHIVE", "Standard"): 12 * 3600,
    ("DEEP_ARCHIVE", "Bulk"): 48 * 3600,
}


def storage_class(request: Mapping[str, Any], operation: str) -> str:
    """The storage class of a write."""
    chosen: str = request.get("StorageClass") or STANDARD
    if chosen in _ELSEWHERE:
        raise not_built("s3", operation, f"StorageClass {chosen}")
    if chosen not in CLASSES:
        raise AwsError("InvalidStorageClass", "The storage class you specified is not valid", status=400)
    return chosen


def is_colder(one: str, other: str) -> bool:
    """Whether ``one`` lies below ``other`` in the waterfall of transitions."""
    return CLASSES.index(one) > CLASSES.index(other)


def is_readable(version: ObjectVersion, now: float) -> bool:
    """Whether the bytes may be read: not archived, or a restored copy is there."""
    restore = version.facts.restore
    return version.storage_class not in ARCHIVES or (restore is not None and restore.ready <= now < restore.until)


def check_readable(version: ObjectVersion, now: float) -> None:
    """Raise InvalidObjectState for an archived version that is not restored."""
    if not is_readable(version, now):
        raise AwsError(
            "InvalidObjectState",
            "The operation is not valid for the object's storage class",
            status=403,
            members={"StorageClass": version.storage_class},
        )


def restored(version: ObjectVersion, wanted: Mapping[str, Any], now: float) -> Restore:
    """The restore a RestoreObject asks for; one of a version that is restored moves its end."""
    days = wanted.get("Days")
    if not isinstance(days, int):
        raise malformed_xml()
    if days <= 0:
        raise invalid_argument("Days must be a positive integer", "Days", days)
    if version.storage_class not in ARCHIVES:
        raise AwsError(
            "InvalidObjectState",
            "Restore is not allowed for the object's current storage class",
            status=403,
            members={"StorageClass": version.storage_class},
        )
    before = version.facts.restore
    if before is not None and now < before.ready:
        raise AwsError("RestoreAlreadyInProgress", "Object restore is already in progress", status=409)
    tier = (wanted.get("GlacierJobParameters") or {}).get("Tier") or wanted.get("Tier") or "Standard"
    seconds = _SECONDS.get((version.storage_class, tier))
    if seconds is None:
        raise invalid_argument(f"Retrieval option {tier} is not supported for this storage class", "Tier", tier)
    ready = before.ready if before is not None and now < before.until else now + seconds
    return Restore(ready, float((int(max(ready, now)) // DAY + 1 + days) * DAY), tier)


def header(version: ObjectVersion, now: float) -> dict[str, str]:
    """``Restore`` of an archived version that is being, or is, restored."""
    restore = version.facts.restore
    if restore is None or now >= restore.until:
        return {}
    if now < restore.ready:
        return {"Restore": 'ongoing-request="true"'}
    return {"Restore": f'ongoing-request="false", expiry-date="{write_rfc822(restore.until)}"'}


def status(version: ObjectVersion, now: float) -> dict[str, Any]:
    """``RestoreStatus`` of a listing."""
    restore = version.facts.restore
    if restore is None or now >= restore.until:
        return {}
    if now < restore.ready:
        return {"RestoreStatus": {"IsRestoreInProgress": True}}
    return {"RestoreStatus": {"IsRestoreInProgress": False, "RestoreExpiryDate": restore.until}}
