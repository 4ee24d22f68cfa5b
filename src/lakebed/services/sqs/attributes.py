"""What may be set on a queue, and what is known of it.

Ranges, defaults and the two redrive policies follow
https://docs.aws.amazon.com/AWSSimpleQueueService/latest/APIReference/API_SetQueueAttributes.html.
Encryption at rest follows https://docs.aws.amazon.com/AWSSimpleQueueService/latest/SQSDeveloperGuide/sqs-server-side-encryption.html:
one kind at a time, SQS's own key where nothing is said.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from lakebed.api import sqs as api
from lakebed.kernel.errors import AwsError

RANGES = {
    "DelaySeconds": (0, 900),
    "KmsDataKeyReusePeriodSeconds": (60, 86_400),
    "MaximumMessageSize": (1024, 1_048_576),
    "MessageRetentionPeriod": (60, 1_209_600),
    "ReceiveMessageWaitTimeSeconds": (0, 20),
    "VisibilityTimeout": (0, 43_200),
}
DEFAULTS = {
    "DelaySeconds": "0",
    "MaximumMessageSize": "1048576",
    "MessageRetentionPeriod": "345600",
    "ReceiveMessageWaitTimeSeconds": "0",
    "SqsManagedSseEnabled": "true",
    "VisibilityTimeout": "30",
}
FIFO_DEFAULTS = {
    "ContentBasedDeduplication": "false",
    "DeduplicationScope": "queue",
    "FifoThroughputLimit": "perQueue",
}
_CHOICES = {
    "ContentBasedDeduplication": ("true", "false"),
    "DeduplicationScope": ("queue", "messageGroup"),
    "FifoQueue": ("true", "false"),
    "FifoThroughputLimit": ("perQueue", "perMessageGroupId"),
}
_DOCUMENTS = ("Policy", "RedrivePolicy", "RedriveAllowPolicy")
_COMPUTED = (
    "ApproximateNumberOfMessages",
    "ApproximateNumberOfMessagesDelayed",
    "ApproximateNumberOfMessagesNotVisible",
    "CreatedTimestamp",
    "LastModifiedTimestamp",
    "QueueArn",
)
_KMS = ("KmsMasterKeyId", "KmsDataKeyReusePeriodSeconds")
READABLE = frozenset({*DEFAULTS, *_DOCUMENTS, *_COMPUTED, *_CHOICES, *_KMS})
POLICY_BYTES_MAX = 65_536


def parameter_error(reason: str) -> AwsError:
    """InvalidParameterValue, which the model does not list but the service answers most mistakes with."""
    return AwsError("InvalidParameterValue", reason)


def checked(wanted: Mapping[str, str]) -> dict[str, str]:
    """The attributes a client sets, normalised; an empty document stays empty: it removes what was there."""
    good: dict[str, str] = {}
    for name, value in wanted.items():
        if name == "SqsManagedSseEnabled":
            if value.lower() not in ("true", "false"):
                raise api.InvalidAttributeValue(f"Invalid value for the parameter {name}.")
            good[name] = value.lower()
        elif name == "KmsMasterKeyId":
            if len(value) > 2048:
                raise api.InvalidAttributeValue(f"Invalid value for the parameter {name}.")
            good[name] = value
        elif name in RANGES:
            good[name] = _number(name, value)
        elif name in _CHOICES:
            if value not in _CHOICES[name]:
                raise api.InvalidAttributeValue(f"Invalid value for the parameter {name}.")
            good[name] = value
        elif name in _DOCUMENTS:
            good[name] = _document(name, value)
        else:
            raise api.InvalidAttributeName(f"Unknown Attribute {name}.")
    return good


def with_encryption(attributes: Mapping[str, str], wanted: Mapping[str, str]) -> dict[str, str]:
    """Attributes with ``wanted`` set; of the two kinds of encryption the one asked for last."""
    by_kms, by_sqs = bool(wanted.get("KmsMasterKeyId")), wanted.get("SqsManagedSseEnabled") == "true"
    if by_kms and by_sqs:
        raise api.InvalidAttributeValue(
            "You can use one type of server-side encryption (SSE) at one time. You can either enable KMS SSE or SQS SSE."
        )
    merged = {name: value for name, value in {**attributes, **wanted}.items() if value}
    if by_sqs:
        merged.pop("KmsMasterKeyId", None)
    if merged.get("KmsMasterKeyId"):
        return {"KmsDataKeyReusePeriodSeconds": "300"} | merged | {"SqsManagedSseEnabled": "false"}
    merged.pop("KmsDataKeyReusePeriodSeconds", None)
    return merged


def check_type(wanted: Mapping[str, str], *, is_fifo: bool) -> None:
    """Refuse what the type of the queue does not have. The type itself is chosen once, and only as FIFO."""
    if is_fifo:
        if wanted.get("FifoQueue") == "false":
            raise api.InvalidAttributeValue(
                "Invalid value for the parameter FifoQueue. Reason: Modifying queue type is not supported."
            )
        return
    for name in _CHOICES:
        if name in wanted:
            if name in ("DeduplicationScope", "FifoThroughputLimit"):
                raise api.InvalidAttributeName(f"You can specify the {name} only when FifoQueue is set to true.")
            raise api.InvalidAttributeName(f"Unknown Attribute {name}.")


def check_throughput(attributes: Mapping[str, str]) -> None:
    """A limit for each group needs duplicates to be a matter of each group."""
    if attributes.get("FifoThroughputLimit") == "perMessageGroupId" and (
        attributes.get("DeduplicationScope") != "messageGroup"
    ):
        raise api.InvalidAttributeValue("Invalid value for the parameter FifoThroughputLimit.")


def _number(name: str, value: str) -> str:
    low, high = RANGES[name]
    if not value.isascii() or not value.isdigit() or len(value) > 9 or not low <= int(value) <= high:
        raise api.InvalidAttributeValue(f"Invalid value for the parameter {name}.")
    return str(int(value))


def _document(name: str, value: str) -> str:
    if not value:
        return ""
    try:
        parsed = json.loads(value)
    except (ValueError, RecursionError):
        parsed = None
    if not isinstance(parsed, dict) or len(value) > POLICY_BYTES_MAX:
        if name == "Policy":
            raise api.InvalidAttributeValue("Invalid value for the parameter Policy.")
        raise _invalid(
            value, name, "Redrive policy is not a valid JSON map." if name == "RedrivePolicy" else "Not JSON."
        )
    if name == "Policy" and not _is_policy(parsed):
        raise api.InvalidAttributeValue("Invalid value for the parameter Policy.")
    if name == "RedrivePolicy":
        _check_redrive(value, parsed)
    elif name == "RedriveAllowPolicy":
        _check_allowed(value, parsed)
    return value


def _is_policy(document: dict[str, Any]) -> bool:
    """Whether it has the shape of a resource policy; what it says is IAM's business."""
    statements = document.get("Statement")
    statements = [statements] if isinstance(statements, dict) else statements
    return isinstance(statements, list) and all(
        isinstance(one, dict)
        and one.get("Effect") in ("Allow", "Deny")
        and ("Principal" in one or "NotPrincipal" in one)
        and ("Action" in one or "NotAction" in one)
        for one in statements
    )


def _check_redrive(text: str, policy: dict[str, Any]) -> None:
    for member in ("deadLetterTargetArn", "maxReceiveCount"):
        if member not in policy:
            reason = f"Redrive policy does not contain mandatory attribute: {member}."
            raise _invalid(text, "RedrivePolicy", reason)
    count = str(policy["maxReceiveCount"])
    if not count.isascii() or not count.isdigit() or len(count) > 4 or not 1 <= int(count) <= 1000:
        reason = f"Invalid value for maxReceiveCount: {count}, valid values are from 1 to 1000 both inclusive."
        raise _invalid(text, "RedrivePolicy", reason)


def _check_allowed(text: str, policy: dict[str, Any]) -> None:
    permission, sources = policy.get("redrivePermission", "allowAll"), policy.get("sourceQueueArns")
    if permission not in ("allowAll", "denyAll", "byQueue"):
        raise _invalid(text, "RedriveAllowPolicy", "Amazon SQS can't create the redrive allow policy.")
    is_list = isinstance(sources, list) and 1 <= len(sources) <= 10 and all(isinstance(one, str) for one in sources)
    if not (is_list if permission == "byQueue" else sources is None):
        raise _invalid(text, "RedriveAllowPolicy", "Amazon SQS can't create the redrive allow policy.")


def _invalid(value: str, name: str, reason: str) -> AwsError:
    return parameter_error(f"Value {value} for parameter {name} is invalid. Reason: {reason}")


def dead_letters_refused(policy: str, reason: str = "Dead letter target does not exist.") -> AwsError:
    """The target of a redrive policy does not exist or does not take this queue's messages."""
    return _invalid(policy, "RedrivePolicy", reason)


def allows_source(allow_policy: str, source_arn: str) -> bool:
    """Whether a queue's RedriveAllowPolicy lets ``source_arn`` send its dead letters there."""
    if not allow_policy:
        return True
    policy = json.loads(allow_policy)
    permission = policy.get("redrivePermission", "allowAll")
    return permission == "allowAll" or (permission == "byQueue" and source_arn in policy["sourceQueueArns"])
