"""Topics, subscriptions and published messages as values, and the rules a publication keeps.

https://docs.aws.amazon.com/sns/latest/api/API_Publish.html
https://docs.aws.amazon.com/sns/latest/dg/sns-message-attributes.html
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping
from typing import Any

import msgspec

from lakebed.api import sns as api
from lakebed.kernel.arn import parse
from lakebed.kernel.errors import not_built
from lakebed.kernel.scope import Principal, Scope

FIFO_SUFFIX = ".fifo"
SERVICE = "sns.amazonaws.com"
OUTSIDE = ("http", "https")
BATCH_ENTRIES_MAX = 10
_NAME = re.compile(r"[A-Za-z0-9_-]{1,256}", re.ASCII)
_ENTRY_ID = re.compile(r"[A-Za-z0-9_-]{1,80}", re.ASCII)
_ATTRIBUTE_NAME = re.compile(r"[A-Za-z0-9_-]+(\.[A-Za-z0-9_-]+)*", re.ASCII)
_TOKEN = re.compile(r"[!-~]{1,128}", re.ASCII)
_SUBJECT = re.compile(r"[ -~]{1,100}", re.ASCII)
_TYPES = ("String", "String.Array", "Number", "Binary")
_SEQUENCE_BASE = 10**19


class Topic(msgspec.Struct, frozen=True):
    """A topic. ``attributes`` holds what was set."""

    scope: Scope
    name: str
    attributes: dict[str, str]
    tags: dict[str, str]
    deleted_subscriptions: int = 0

    @property
    def arn(self) -> str:
        """Its ARN."""
        return self.scope.arn("sns", self.name)

    @property
    def is_fifo(self) -> bool:
        """Whether it keeps order and drops duplicates."""
        return self.name.endswith(FIFO_SUFFIX)

    @property
    def policy(self) -> str:
        """Its resource policy."""
        return self.attributes["Policy"]

    @property
    def size_max(self) -> int:
        """Bytes a message may have."""
        return int(self.attributes.get("MaximumMessageSize", "262144"))

    @property
    def principal(self) -> Principal:
        """SNS acting for this topic."""
        return Principal(self.scope.account, SERVICE, "service", SERVICE)


class Subscription(msgspec.Struct, frozen=True):
    """Where a topic's messages go. ``token`` is set until it is confirmed."""

    scope: Scope
    topic: str
    id: str
    owner: str
    protocol: str
    endpoint: str
    attributes: dict[str, str]
    token: str = ""

    @property
    def topic_arn(self) -> str:
        """ARN of its topic."""
        return self.scope.arn("sns", self.topic)

    @property
    def arn(self) -> str:
        """Its ARN."""
        return f"{self.topic_arn}:{self.id}"

    @property
    def is_outside(self) -> bool:
        """Whether its endpoint is none of the house's."""
        return self.protocol in OUTSIDE

    @property
    def is_raw(self) -> bool:
        """Whether the endpoint gets the message without the envelope."""
        return self.attributes.get("RawMessageDelivery") == "true"

    @property
    def dead_letters(self) -> str:
        """ARN of the queue for what cannot be delivered, or empty."""
        text = self.attributes.get("RedrivePolicy")
        return str(json.loads(text)["deadLetterTargetArn"]) if text else ""


class Published(msgspec.Struct, frozen=True):
    """A message a topic took. ``bodies`` holds what protocols get instead of ``default``; ``token`` makes it a
    subscription confirmation (``kind`` says of what kind)."""

    message_id: str
    bodies: dict[str, str]
    sent: float
    subject: str = ""
    attributes: dict[str, dict[str, Any]] = {}
    group: str = ""
    deduplication: str = ""
    sequence: int = 0
    token: str = ""
    kind: str = "SubscriptionConfirmation"
    trace: str = ""

    def body(self, protocol: str) -> str:
        """The text for a protocol."""
        return self.bodies.get(protocol, self.bodies["default"])

    @property
    def sequence_number(self) -> str:
        """AWS's form: twenty digits, larger for what comes later."""
        return str(_SEQUENCE_BASE + self.sequence)


class Draft(msgspec.Struct, frozen=True):
    """A message that was checked and is not yet published."""

    bodies: dict[str, str]
    size: int
    subject: str = ""
    attributes: dict[str, dict[str, Any]] = {}
    group: str = ""
    deduplication: str = ""
    trace: str = ""


def invalid(reason: str) -> api.InvalidParameterException:
    """InvalidParameter with AWS's prefix."""
    return api.InvalidParameterException(f"Invalid parameter: {reason}")


def check_topic_name(name: str, *, is_fifo: bool) -> None:
    """Raise unless ``name`` may name a topic of this type."""
    if is_fifo != name.endswith(FIFO_SUFFIX) or not _NAME.fullmatch(name.removesuffix(FIFO_SUFFIX)) or len(name) > 256:
        raise invalid("Topic Name")


def topic_place(arn_text: str, member: str = "TopicArn") -> tuple[Scope, str]:
    """Scope and name of a topic's ARN."""
    arn = parse(arn_text)
    if arn is None or arn.service != "sns" or ":" in arn.resource:
        raise invalid(f"{member} Reason: no valid topic ARN")
    return Scope(arn.account, arn.region, arn.partition), arn.resource


def subscription_place(arn_text: str) -> tuple[Scope, str, str]:
    """Scope, topic name and id of a subscription's ARN."""
    arn = parse(arn_text)
    if arn is None or arn.service != "sns":
        raise invalid("SubscriptionArn Reason: An ARN must have at least 6 elements")
    topic, colon, subscription_id = arn.resource.partition(":")
    if not colon or not subscription_id:
        raise invalid("SubscriptionArn Reason: no valid subscription ARN")
    return Scope(arn.account, arn.region, arn.partition), topic, subscription_id


def draft_of(entry: Mapping[str, Any], topic: Topic, trace: str = "") -> Draft:
    """A draft from Publish or one entry of PublishBatch; raises what is wrong with it."""
    text, subject = entry["Message"], entry.get("Subject")
    if not text:
        raise invalid("Empty message")
    if subject is not None and (not _SUBJECT.fullmatch(subject) or subject.startswith(" ")):
        raise invalid("Subject")
    attributes = {name: dict(value) for name, value in (entry.get("MessageAttributes") or {}).items()}
    for name, value in attributes.items():
        _check_attribute(name, value)
    bodies = _bodies(text, entry.get("MessageStructure"))
    group, deduplication = _ordering(entry, topic)
    draft = Draft(bodies, _size(attributes, text), subject or "", attributes, group, deduplication, trace)
    if draft.size > topic.size_max:
        raise invalid("Message too long")
    return draft


def _bodies(text: str, structure: str | None) -> dict[str, str]:
    if structure is None or structure == "":
        return {"default": text}
    if structure != "json":
        raise invalid("MessageStructure")
    try:
        parsed = json.loads(text)
    except (ValueError, RecursionError):
        parsed = None
    if not isinstance(parsed, dict):
        raise invalid("Message Structure - JSON message body failed to parse")
    bodies = {key: value for key, value in parsed.items() if isinstance(value, str)}
    if "default" not in bodies:
        raise invalid("Message Structure - No default entry in JSON message body")
    return bodies


def _size(attributes: Mapping[str, Mapping[str, Any]], text: str) -> int:
    """Bytes as AWS counts them: the message as sent, and attributes by name, type and value."""
    total = len(text.encode("utf-8", "surrogatepass"))
    for name, value in attributes.items():
        payload = value.get("BinaryValue") or value.get("StringValue", "").encode("utf-8", "surrogatepass")
        total += len(name.encode()) + len(value["DataType"].encode()) + len(payload)
    return total


def _check_attribute(name: str, value: Mapping[str, Any]) -> None:
    kind = value.get("DataType", "")
    if len(name) > 256 or not _ATTRIBUTE_NAME.fullmatch(name) or name.lower().startswith(("aws.", "amazon.")):
        raise _wrong_attribute(f"Message attribute name '{name[:300]}' is invalid")
    if kind not in _TYPES and not kind.startswith(("String.", "Number.", "Binary.")):
        raise _wrong_attribute(
            f"The message attribute '{name}' has an invalid message attribute type, the set of supported type prefixes "
            "is Binary, Number, and String."
        )
    member = "BinaryValue" if kind.startswith("Binary") else "StringValue"
    if not value.get(member):
        raise _wrong_attribute(
            f"The message attribute '{name}' must contain non-empty message attribute value for message attribute type "
            f"'{kind.split('.', 1)[0]}'."
        )
    if kind.startswith("Number"):
        try:
            float(value["StringValue"])
        except ValueError:
            raise _wrong_attribute(f"Could not cast message attribute '{name}' value to number.") from None
    if kind == "String.Array" and array_of(value["StringValue"]) is None:
        raise _wrong_attribute(
            f"The message attribute '{name}' is no JSON array of strings, numbers, booleans or nulls."
        )


def _wrong_attribute(reason: str) -> api.InvalidParameterValueException:
    return api.InvalidParameterValueException(reason)


def array_of(text: str) -> list[Any] | None:
    """The scalars of a String.Array, None where it is not one."""
    try:
        parsed = json.loads(text)
    except (ValueError, RecursionError):
        return None
    is_plain = isinstance(parsed, list) and not any(isinstance(value, list | dict) for value in parsed)
    return parsed if is_plain else None


def _ordering(entry: Mapping[str, Any], topic: Topic) -> tuple[str, str]:
    group, deduplication = entry.get("MessageGroupId"), entry.get("MessageDeduplicationId")
    for name, value in (("MessageGroupId", group), ("MessageDeduplicationId", deduplication)):
        if value is not None and not _TOKEN.fullmatch(value):
            raise invalid(f"{name} Reason: {name} can only include alphanumeric and punctuation characters")
    if not topic.is_fifo:
        if deduplication is not None:
            raise invalid(
                "MessageDeduplicationId Reason: The request includes MessageDeduplicationId parameter that is not valid "
                "for this topic type"
            )
        return group or "", ""
    if group is None:
        raise invalid("The MessageGroupId parameter is required for FIFO topics")
    if deduplication is None:
        if topic.attributes.get("ContentBasedDeduplication") != "true":
            raise invalid(
                "The topic should either have ContentBasedDeduplication enabled or MessageDeduplicationId provided "
                "explicitly"
            )
        deduplication = hashlib.sha256(entry["Message"].encode("utf-8", "surrogatepass")).hexdigest()
    return group, deduplication


def check_entry_ids(entries: list[Any]) -> None:
    """The rules every batch keeps."""
    if not entries:
        raise api.EmptyBatchRequestException("The batch request doesn't contain any entries.")
    if len(entries) > BATCH_ENTRIES_MAX:
        raise api.TooManyEntriesInBatchRequestException("The batch request contains more entries than permissible.")
    ids = [entry["Id"] for entry in entries]
    if len(set(ids)) != len(ids):
        raise api.BatchEntryIdsNotDistinctException("Two or more batch entries in the request have the same Id.")
    if not all(_ENTRY_ID.fullmatch(one) for one in ids):
        raise api.InvalidBatchEntryIdException(
            "The Id of a batch entry in a batch request doesn't abide by the specification."
        )


def check_destination_kind(operation: str, protocol: str) -> None:
    """Refuse by name what leaves the house; what AWS does not know is an invalid parameter."""
    if protocol in ("sqs", "lambda", "firehose", *OUTSIDE):
        return
    if protocol in ("email", "email-json", "sms", "application"):
        raise not_built("sns", operation, f"Protocol {protocol}")
    raise invalid(f"Amazon SNS does not support this protocol string: {protocol[:100]}")
