"""Event notifications: which configurations S3 takes, which of them an event concerns, and the event's JSON.

https://docs.aws.amazon.com/AmazonS3/latest/userguide/notification-how-to-event-types-and-destinations.html
https://docs.aws.amazon.com/AmazonS3/latest/userguide/notification-content-structure.html (version 2.1)

and, for EventBridge, .../userguide/ev-events.html. Refused by name: events whose cause does not exist here (replication,
Intelligent-Tiering's archives, annotations).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import quote_plus

import msgspec

from lakebed.kernel.arn import parse
from lakebed.kernel.errors import not_built
from lakebed.services.s3.model.errors import invalid_argument
from lakebed.services.s3.model.shapes import Bucket, Caller, ObjectVersion, canonical_id
from lakebed.wire.aws.dialect import host_id
from lakebed.wire.aws.scalars import write_iso_millis

EVENTS = {
    "s3:ObjectCreated:Put", "s3:ObjectCreated:Post", "s3:ObjectCreated:Copy", "s3:ObjectCreated:CompleteMultipartUpload",
    "s3:ObjectRemoved:Delete", "s3:ObjectRemoved:DeleteMarkerCreated",
    "s3:ObjectTagging:Put", "s3:ObjectTagging:Delete", "s3:ObjectAcl:Put",
    "s3:ObjectRestore:Post", "s3:ObjectRestore:Completed", "s3:ObjectRestore:Delete",
    "s3:LifecycleExpiration:Delete", "s3:LifecycleExpiration:DeleteMarkerCreated", "s3:LifecycleTransition",
    "s3:ReducedRedundancyLostObject",
}  # fmt: skip
_WILDCARDS = {
    f"s3:{family}:*"
    for family in ("ObjectCreated", "ObjectRemoved", "ObjectTagging", "ObjectRestore", "LifecycleExpiration")
}
# EventBridge's detail type and, where its detail has one, the reason.
_BRIDGED = {
    "s3:ObjectCreated:Put": ("Object Created", "PutObject"),
    "s3:ObjectCreated:Post": ("Object Created", "POST Object"),
    "s3:ObjectCreated:Copy": ("Object Created", "CopyObject"),
    "s3:ObjectCreated:CompleteMultipartUpload": ("Object Created", "CompleteMultipartUpload"),
    "s3:ObjectRemoved:Delete": ("Object Deleted", "DeleteObject"),
    "s3:ObjectRemoved:DeleteMarkerCreated": ("Object Deleted", "DeleteObject"),
    "s3:LifecycleExpiration:Delete": ("Object Deleted", "Lifecycle Expiration"),
    "s3:LifecycleExpiration:DeleteMarkerCreated": ("Object Deleted", "Lifecycle Expiration"),
    "s3:ObjectTagging:Put": ("Object Tags Added", ""),
    "s3:ObjectTagging:Delete": ("Object Tags Deleted", ""),
    "s3:ObjectAcl:Put": ("Object ACL Updated", ""),
    "s3:ObjectRestore:Post": ("Object Restore Initiated", ""),
    "s3:ObjectRestore:Completed": ("Object Restore Completed", ""),
    "s3:ObjectRestore:Delete": ("Object Restore Expired", ""),
    "s3:LifecycleTransition": ("Object Storage Class Changed", ""),
}
BRIDGE = "events"
CONFIGURATIONS_MAX = 100
_OPERATION = "PutBucketNotificationConfiguration"


class Target(msgspec.Struct, frozen=True, omit_defaults=True):
    """One QueueConfiguration, TopicConfiguration or LambdaFunctionConfiguration, or EventBridge, which takes every event.
    ``kind`` is ``sqs``, ``sns``, ``lambda`` or ``events``."""

    id: str
    kind: str
    arn: str
    events: tuple[str, ...]
    prefix: str = ""
    suffix: str = ""
    rules: tuple[tuple[str, str], ...] = ()

    def wants(self, event: str, key: str) -> bool:
        """Whether ``s3:ObjectCreated:Put`` of this key goes to this target."""
        if self.kind == BRIDGE:
            return event in _BRIDGED
        return (
            key.startswith(self.prefix)
            and key.endswith(self.suffix)
            and any(
                event == wanted or (wanted.endswith("*") and event.startswith(wanted[:-1])) for wanted in self.events
            )
        )


class Delivery(msgspec.Struct, frozen=True):
    """A message of the outbox: a finished event on its way to one target."""

    bucket: str
    kind: str
    target: str
    body: str
    id: str = ""


class Happened(msgspec.Struct, frozen=True):
    """What is to be told of; ``more`` are facts that only this kind of event has."""

    event: str
    version: ObjectVersion
    caller: Caller
    at: float
    more: dict[str, Any] = {}


_decode_targets = msgspec.msgpack.Decoder(tuple[Target, ...]).decode


def targets(bucket: Bucket) -> tuple[Target, ...]:
    """The bucket's configuration."""
    return _decode_targets(bucket.notification) if bucket.notification else ()


def parse_configuration(configuration: Mapping[str, Any], bucket: Bucket, new_ids: Sequence[str]) -> list[Target]:
    """The targets of a PutBucketNotificationConfiguration; ``new_ids`` name those without an Id."""
    entries = [("sqs", "QueueArn", entry) for entry in configuration.get("QueueConfigurations") or ()]
    entries += [("sns", "TopicArn", entry) for entry in configuration.get("TopicConfigurations") or ()]
    entries += [
        ("lambda", "LambdaFunctionArn", entry) for entry in configuration.get("LambdaFunctionConfigurations") or ()
    ]
    if len(entries) > CONFIGURATIONS_MAX:
        raise invalid_argument("A bucket takes at most 100 notification configurations")
    found = [
        _target(kind, entry[member], entry, bucket, new_ids[number])
        for number, (kind, member, entry) in enumerate(entries)
    ]
    if len({target.id for target in found}) != len(found):
        raise invalid_argument("Same ID used for multiple configurations. IDs must be unique")
    _check_overlaps(found)
    if configuration.get("EventBridgeConfiguration") is not None:
        found.append(Target("", BRIDGE, bucket.scope.arn("events", "event-bus/default"), ()))
    return found


def _target(kind: str, arn_text: str, entry: Mapping[str, Any], bucket: Bucket, new_id: str) -> Target:
    arn = parse(arn_text)
    if arn is None or arn.service != kind or arn.resource.endswith(".fifo"):
        raise invalid_argument(
            "The ARN could not be parsed or is of a destination that S3 does not notify", "arn", arn_text
        )
    if arn.region != bucket.region:
        raise invalid_argument(
            "The notification destination service region is not valid for the bucket location constraint",
            "arn",
            arn_text,
        )
    events = tuple(entry["Events"])
    for event in events:
        if event not in EVENTS and event not in _WILDCARDS:
            raise not_built("s3", _OPERATION, f"event {event}")
    identifier = entry.get("Id") or new_id
    if len(identifier) > 255:
        raise invalid_argument("The configuration ID must be at most 255 characters", "Id", identifier)
    rules = _rules(entry.get("Filter") or {})
    named = {name.lower(): value for name, value in rules}
    return Target(identifier, kind, arn_text, events, named.get("prefix", ""), named.get("suffix", ""), rules)


def _rules(configured: Mapping[str, Any]) -> tuple[tuple[str, str], ...]:
    rules = tuple(
        (str(rule.get("Name", "")), str(rule.get("Value", "")))
        for rule in (configured.get("Key") or {}).get("FilterRules") or ()
    )
    names = [name.lower() for name, _ in rules]
    for name in names:
        if name not in ("prefix", "suffix"):
            raise invalid_argument("filter rule name must be either prefix or suffix", "FilterRule.Name", name)
        if names.count(name) > 1:
            raise invalid_argument(f"Cannot specify more than one {name} rule in a filter.", "FilterRule.Name", name)
    for _, value in rules:
        if len(value.encode()) > 1024:
            raise invalid_argument("Size of filter rule value cannot exceed 1024 bytes in UTF-8 representation")
    return rules


def _check_overlaps(found: Sequence[Target]) -> None:
    for number, one in enumerate(found):
        for other in found[:number]:
            prefixes = one.prefix.startswith(other.prefix) or other.prefix.startswith(one.prefix)
            suffixes = one.suffix.endswith(other.suffix) or other.suffix.endswith(one.suffix)
            if prefixes and suffixes and _expanded(one) & _expanded(other):
                raise invalid_argument(
                    "Configurations overlap. Configurations on the same bucket cannot share a common event type."
                    if not (one.rules or other.rules)
                    else "Configuration is ambiguously defined. Cannot have overlapping suffixes in two rules if the "
                    "prefixes are overlapping for the same event type."
                )


def _expanded(target: Target) -> set[str]:
    return {
        event
        for event in EVENTS
        for wanted in target.events
        if event == wanted or (wanted.endswith("*") and event.startswith(wanted[:-1]))
    }


def configuration(found: Sequence[Target]) -> dict[str, Any]:
    """What GetBucketNotificationConfiguration tells."""
    answer: dict[str, Any] = {"EventBridgeConfiguration": {}} if any(one.kind == BRIDGE for one in found) else {}
    for member, kind, arn_member in (
        ("QueueConfigurations", "sqs", "QueueArn"),
        ("TopicConfigurations", "sns", "TopicArn"),
        ("LambdaFunctionConfigurations", "lambda", "LambdaFunctionArn"),
    ):
        entries = []
        for target in found:
            if target.kind == kind:
                entry: dict[str, Any] = {"Id": target.id, arn_member: target.arn, "Events": list(target.events)}
                if target.rules:
                    rules = [{"Name": name, "Value": value} for name, value in target.rules]
                    entry["Filter"] = {"Key": {"FilterRules": rules}}
                entries.append(entry)
        if entries:
            answer[member] = entries
    return answer


def message(happened: Happened, bucket: Bucket, target: Target) -> str:
    """The event as its target takes it: a record for queues, topics and functions, a detail for EventBridge."""
    told = _detail(happened, bucket) if target.kind == BRIDGE else {"Records": [_record(happened, bucket, target)]}
    return msgspec.json.encode(told).decode()


def _record(happened: Happened, bucket: Bucket, target: Target) -> dict[str, Any]:
    """The record, as AWS sends it."""
    event, version, caller = happened.event, happened.version, happened.caller
    entry: dict[str, Any] = {"key": quote_plus(version.key, safe="/")}
    if version.marker or not event.startswith(("s3:ObjectRemoved", "s3:LifecycleExpiration")):
        if not version.marker:
            entry["size"] = version.size
        entry["eTag"] = version.etag
    if bucket.versioning:
        entry["versionId"] = version.version_id
    entry["sequencer"] = version.sequencer
    newer = event.startswith(("s3:ObjectTagging", "s3:Lifecycle", "s3:ObjectAcl"))
    record: dict[str, Any] = {
        "eventVersion": "2.3" if newer else "2.1",
        "eventSource": "aws:s3",
        "awsRegion": bucket.region,
        "eventTime": write_iso_millis(happened.at),
        "eventName": event.removeprefix("s3:"),
        "userIdentity": {"principalId": _identity(caller)},
        "requestParameters": {"sourceIPAddress": caller.source_ip},
        "responseElements": {"x-amz-request-id": caller.request_id, "x-amz-id-2": host_id(caller.request_id)},
        "s3": {
            "s3SchemaVersion": "1.0",
            "configurationId": target.id,
            "bucket": {
                "name": bucket.name,
                "ownerIdentity": {"principalId": canonical_id(bucket.account)[:14].upper()},
                "arn": bucket.arn,
            },
            "object": entry,
        },
    }
    if "expires" in happened.more:
        restored = {
            "lifecycleRestorationExpiryTime": write_iso_millis(happened.more["expires"]),
            "lifecycleRestoreStorageClass": version.storage_class,
        }
        record["glacierEventData"] = {"restoreEventData": restored}
    if "class" in happened.more:
        changed = {"destinationStorageClass": happened.more["class"]}
        record["lifecycleEventData"] = {"transitionEventData": changed}
    return record


def _detail(happened: Happened, bucket: Bucket) -> dict[str, Any]:
    """The detail of EventBridge's event, with its detail type."""
    event, version, caller = happened.event, happened.version, happened.caller
    entry: dict[str, Any] = {"key": version.key, "etag": version.etag}
    removed = event.startswith(("s3:ObjectRemoved", "s3:LifecycleExpiration"))
    if not removed:
        entry["size"] = version.size
    if bucket.versioning:
        entry["version-id"] = version.version_id
    entry["sequencer"] = version.sequencer
    kind, reason = _BRIDGED[event]
    detail: dict[str, Any] = {
        "version": "0",
        "bucket": {"name": bucket.name},
        "object": entry,
        "request-id": caller.request_id,
        "requester": caller.principal.arn if caller.principal.kind == "service" else caller.principal.account,
        "source-ip-address": caller.source_ip,
    }
    if reason:
        detail["reason"] = reason
    if removed:
        marked = event.endswith("DeleteMarkerCreated")
        detail["deletion-type"] = "Delete Marker Created" if marked else "Permanently Deleted"
    if "expires" in happened.more:
        detail["restore-expiry-time"] = write_iso_millis(happened.more["expires"])
    if event.startswith("s3:ObjectRestore"):
        detail["source-storage-class"] = version.storage_class
    if "class" in happened.more:
        detail["destination-storage-class"] = happened.more["class"]
    return {"type": kind, "detail": detail}


def _identity(caller: Caller) -> str:
    user = caller.principal.user_id
    return user if caller.principal.kind == "service" else f"AWS:{user}"


def probe_event(bucket: Bucket, request_id: str, now: float) -> str:
    """What a queue receives when a configuration naming it is put."""
    return msgspec.json.encode(
        {
            "Service": "Amazon S3",
            "Event": "s3:TestEvent",
            "Time": write_iso_millis(now),
            "Bucket": bucket.name,
            "RequestId": request_id,
            "HostId": host_id(request_id),
        }
    ).decode()
