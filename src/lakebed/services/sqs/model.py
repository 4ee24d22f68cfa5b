"""Queues and messages as values, receipt handles, and the rules a message must keep.

https://docs.aws.amazon.com/AWSSimpleQueueService/latest/SQSDeveloperGuide/quotas-messages.html
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import json
import re
from collections.abc import Mapping
from typing import Any

import msgspec

from lakebed.api import sqs as api
from lakebed.kernel.errors import AwsError
from lakebed.kernel.scope import Scope
from lakebed.services.sqs.attributes import parameter_error

MESSAGE_BYTES_MAX = 1_048_576
BATCH_ENTRIES_MAX = 10
IN_FLIGHT_MAX = 120_000
VISIBILITY_MAX = 43_200
_TRACE_LENGTH_MAX = 1024  # of the request's X-Amzn-Trace-Id, which a message carries on
FIFO_IN_FLIGHT_MAX = 20_000
FIFO_SUFFIX = ".fifo"
_QUEUE_NAME = re.compile(r"[A-Za-z0-9_-]{1,80}", re.ASCII)
_TOKEN = re.compile(r"[!-~]{1,128}", re.ASCII)
_SEQUENCE_BASE = 10**19
_ENTRY_ID = re.compile(r"[A-Za-z0-9_-]{1,80}", re.ASCII)
_ATTRIBUTE_NAME = re.compile(r"[A-Za-z0-9_-]+(\.[A-Za-z0-9_-]+)*", re.ASCII)
_ATTRIBUTE_TYPE = re.compile(r"(String|Number|Binary)(\..+)?", re.ASCII | re.DOTALL)
_INVALID_CHARACTERS = re.compile(
    "[\x00-\x08\x0b\x0c\x0e-\x1f\ud800-\udfff\ufffe\uffff]"
)  # the few: compiles six times faster


class Queue(msgspec.Struct, frozen=True):
    """A queue. ``attributes`` holds what is set, defaults included."""

    scope: Scope
    id: int
    name: str
    attributes: dict[str, str]
    tags: dict[str, str]
    created: float
    modified: float
    purged: float

    @property
    def arn(self) -> str:
        """Its ARN."""
        return self.scope.arn("sqs", self.name)

    @property
    def is_fifo(self) -> bool:
        """Whether it keeps order within groups and drops duplicates."""
        return self.attributes.get("FifoQueue") == "true"

    @property
    def in_flight_max(self) -> int:
        """How many messages may be handed out and not deleted at the same time."""
        return FIFO_IN_FLIGHT_MAX if self.is_fifo else IN_FLIGHT_MAX

    @property
    def policy(self) -> str | None:
        """Its resource policy."""
        return self.attributes.get("Policy") or None

    @property
    def kms_key(self) -> str:
        """The KMS key its messages are sealed under, or empty."""
        return self.attributes.get("KmsMasterKeyId", "")

    @property
    def is_sealed(self) -> bool:
        """Whether its messages are sealed by SQS's own key. Queues made before that was built have no such attribute."""
        return not self.kms_key and self.attributes.get("SqsManagedSseEnabled") == "true"

    @property
    def key_reuse_seconds(self) -> int:
        """How long a data key serves."""
        return int(self.attributes.get("KmsDataKeyReusePeriodSeconds", "300"))

    @property
    def retention_seconds(self) -> int:
        """How long messages are kept."""
        return int(self.attributes["MessageRetentionPeriod"])

    @property
    def visibility_seconds(self) -> int:
        """How long a received message stays hidden."""
        return int(self.attributes["VisibilityTimeout"])

    @property
    def redrive(self) -> tuple[str, int] | None:
        """ARN of the dead-letter queue and how often a message is received before it goes there."""
        text = self.attributes.get("RedrivePolicy")
        if not text:
            return None
        policy = json.loads(text)
        return str(policy["deadLetterTargetArn"]), int(policy["maxReceiveCount"])


class Seal(msgspec.Struct, frozen=True):
    """How a body is sealed: for which queue, and the wrapped data key (empty: by SQS's own key)."""

    queue: str
    wrapped: bytes = b""


class Draft(msgspec.Struct, frozen=True):
    """A message before it is sent; ``delay`` None takes the queue's. ``stored`` is what lies in the table of a sealed one."""

    body: str
    delay: int | None = None
    attributes: dict[str, dict[str, Any]] = {}
    system: dict[str, dict[str, Any]] = {}
    group: str = ""
    deduplication: str = ""
    stored: str = ""
    seal: Seal | None = None
    trace: str = ""


class Sent(msgspec.Struct, frozen=True):
    """What a sender is told; ``seq`` is 0 on a standard queue."""

    message_id: str
    seq: int = 0

    @property
    def sequence_number(self) -> str:
        """AWS's form: twenty digits, larger for what comes later."""
        return sequence_number(self.seq)


class Attempt(msgspec.Struct, frozen=True):
    """What a ReceiveMessage with a ReceiveRequestAttemptId handed out, and until when that is hidden."""

    seqs: list[int]
    received: float
    visible_at: float


class Stored(msgspec.Struct, frozen=True):
    """What a message carries besides its body."""

    attributes: dict[str, dict[str, Any]] = {}
    trace: str = ""
    group: str = ""
    dead_letter_source: str = ""
    deduplication: str = ""
    seal: Seal | None = None


class Message(msgspec.Struct, frozen=True):
    """A message as it was just received."""

    seq: int
    message_id: str
    body: str
    md5: str
    extra: Stored
    sender: str
    sent: float
    receives: int
    first_received: float

    def system_attributes(self) -> dict[str, str]:
        """All attributes AWS tells of a message."""
        told = {
            "SenderId": self.sender,
            "SentTimestamp": str(int(self.sent * 1000)),
            "ApproximateReceiveCount": str(self.receives),
            "ApproximateFirstReceiveTimestamp": str(int(self.first_received * 1000)),
        }
        if self.extra.dead_letter_source:
            told["DeadLetterQueueSourceArn"] = self.extra.dead_letter_source
        if self.extra.trace:
            told["AWSTraceHeader"] = self.extra.trace
        if self.extra.group:
            told["MessageGroupId"] = self.extra.group
        if self.extra.deduplication:
            told["MessageDeduplicationId"] = self.extra.deduplication
            told["SequenceNumber"] = sequence_number(self.seq)
        return told


class Move(msgspec.Struct, frozen=True):
    """A message move task: dead letters of ``source`` on their way to ``destination``, or back (None)."""

    source: str
    id: int
    handle: str
    destination: str | None
    rate: int | None
    status: str
    failure: str
    to_move: int
    moved: int
    started: float


def sequence_number(seq: int) -> str:
    """SequenceNumber as clients see it."""
    return str(_SEQUENCE_BASE + seq)


def stored_of(draft: Draft) -> Stored:
    """What is kept of a draft besides its body."""
    trace = draft.system.get("AWSTraceHeader", {}).get("StringValue", "") or draft.trace
    return Stored(draft.attributes, trace, draft.group, "", draft.deduplication, draft.seal)


def check_queue_name(name: str, *, is_fifo: bool) -> None:
    """Raise unless ``name`` may name a queue of this type."""
    if is_fifo:
        if len(name) > 80 or not name.endswith(FIFO_SUFFIX) or not _QUEUE_NAME.fullmatch(name[: -len(FIFO_SUFFIX)]):
            raise parameter_error(
                "The name of a FIFO queue can only include alphanumeric characters, hyphens, or underscores, must end "
                "with .fifo suffix and be 1 to 80 in length"
            )
        return
    if not _QUEUE_NAME.fullmatch(name):
        raise parameter_error("Can only include alphanumeric characters, hyphens, or underscores. 1 to 80 in length")


def check_entry_ids(entries: list[Any], kind: str) -> None:
    """The rules every batch keeps."""
    if not entries:
        raise api.EmptyBatchRequest(f"There should be at least one {kind} in the request.")
    if len(entries) > BATCH_ENTRIES_MAX:
        raise api.TooManyEntriesInBatchRequest(
            f"Maximum number of entries per request are {BATCH_ENTRIES_MAX}. You have sent {len(entries)}."
        )
    seen: set[str] = set()
    for entry in entries:
        if not _ENTRY_ID.fullmatch(entry["Id"]):
            raise api.InvalidBatchEntryId(
                "A batch entry id can only contain alphanumeric characters, hyphens and underscores. "
                "It can be at most 80 letters long."
            )
        if entry["Id"] in seen:
            raise api.BatchEntryIdsNotDistinct(f"Id {entry['Id']} repeated.")
        seen.add(entry["Id"])


def draft_of(entry: Mapping[str, Any], queue: Queue, trace: str = "") -> Draft:
    """A draft from SendMessage or one entry of a batch; raises what is wrong with it."""
    body = entry["MessageBody"]
    if not body:
        raise AwsError("MissingParameter", "The request must contain the parameter MessageBody.")
    check_characters(body)
    delay = entry.get("DelaySeconds")
    if delay is not None and not 0 <= delay <= 900:
        raise parameter_error(
            f"Value {delay} for parameter DelaySeconds is invalid. Reason: DelaySeconds must be >= 0 and <= 900."
        )
    group, deduplication = _ordering(entry, queue)
    attributes = dict(entry.get("MessageAttributes") or {})
    if len(attributes) > 10:
        raise parameter_error(f"Number of message attributes [{len(attributes)}] exceeds the allowed maximum [10].")
    for name, value in attributes.items():
        _check_attribute(name, value)
    system = dict(entry.get("MessageSystemAttributes") or {})
    for name, value in system.items():
        if name != "AWSTraceHeader" or value.get("DataType") != "String" or not value.get("StringValue"):
            raise parameter_error(f"Message system attribute name '{name}' is invalid.")
    trace = trace if len(trace) <= _TRACE_LENGTH_MAX and trace.isascii() and trace.isprintable() else ""
    return Draft(body, delay, attributes, system, group, deduplication, trace=trace)


def _ordering(entry: Mapping[str, Any], queue: Queue) -> tuple[str, str]:
    """Message group and deduplication id. A standard queue takes a group (fair queues) and no deduplication id."""
    for name in ("MessageGroupId", "MessageDeduplicationId"):
        check_token(name, entry.get(name))
    group, deduplication = entry.get("MessageGroupId"), entry.get("MessageDeduplicationId")
    if not queue.is_fifo:
        if deduplication is not None:
            raise _wrong_queue_type("MessageDeduplicationId", deduplication)
        return group or "", ""
    if group is None:
        raise AwsError("MissingParameter", "The request must contain the parameter MessageGroupId.")
    if entry.get("DelaySeconds"):
        raise _wrong_queue_type("DelaySeconds", entry["DelaySeconds"])
    return group, deduplication or content_deduplication(queue, entry["MessageBody"])


def content_deduplication(queue: Queue, body: str) -> str:
    """The digest of the body where the queue takes it for a deduplication id."""
    if queue.attributes.get("ContentBasedDeduplication") != "true":
        raise parameter_error(
            "The queue should either have ContentBasedDeduplication enabled or MessageDeduplicationId provided explicitly"
        )
    return hashlib.sha256(body.encode()).hexdigest()


def check_token(name: str, value: str | None) -> None:
    """A group, deduplication or attempt id, where one is given."""
    if value is not None and not _TOKEN.fullmatch(value):
        raise parameter_error(
            f"Value {value[:1024]} for parameter {name} is invalid. "
            f"Reason: {name} can only include alphanumeric and punctuation characters. 1 to 128 in length."
        )


def _wrong_queue_type(name: str, value: object) -> AwsError:
    return parameter_error(
        f"Value {value} for parameter {name} is invalid. "
        "Reason: The request includes a parameter that is not valid for this queue type."
    )


def check_characters(body: str) -> None:
    """Only what XML 1.0 can carry."""
    if _INVALID_CHARACTERS.search(body):
        raise api.InvalidMessageContents(
            "Invalid characters found. Valid unicode characters are #x9 | #xA | #xD | #x20 to #xD7FF | "
            "#xE000 to #xFFFD | #x10000 to #x10FFFF"
        )


def _check_attribute(name: str, value: Mapping[str, Any]) -> None:
    lowered = name.lower()
    if len(name) > 256 or not _ATTRIBUTE_NAME.fullmatch(name) or lowered.startswith(("aws.", "amazon.")):
        raise parameter_error(f"Message attribute name '{name}' is invalid.")
    kind = value.get("DataType", "")
    if not _ATTRIBUTE_TYPE.fullmatch(kind) or len(kind) > 256:
        raise parameter_error(
            f"The type of message attribute '{name}' is invalid. You must use only the following supported type "
            "prefixes: Binary, Number, String."
        )
    check_characters(kind)
    if value.get("StringListValues") or value.get("BinaryListValues"):
        raise parameter_error(f"Message attribute list values in SendMessage operation are not supported: '{name}'.")
    member = "BinaryValue" if kind.startswith("Binary") else "StringValue"
    if not value.get(member):
        raise parameter_error(
            f"Message attribute '{name}' must contain a non-empty message attribute value for message attribute type "
            f"'{kind.split('.', 1)[0]}'."
        )
    if kind.startswith("Number"):
        try:
            float(value["StringValue"])
        except ValueError:
            raise parameter_error(f"Can't cast the value of message attribute '{name}' to a number.") from None
    elif member == "StringValue":
        check_characters(value["StringValue"])


def size_of(draft: Draft) -> int:
    """Bytes of a message as AWS counts them: body and attributes."""
    total = len(draft.body.encode("utf-8", "surrogatepass"))
    for name, value in draft.attributes.items():
        payload = value.get("BinaryValue") or value.get("StringValue", "").encode()
        total += len(name.encode()) + len(value["DataType"].encode()) + len(payload)
    return total


def receipt_handle(queue: Queue, message: Message) -> str:
    """The handle of one receipt: it names the queue, the message, and which receipt of it."""
    text = f"{queue.arn} {message.seq} {message.receives} {message.message_id}"
    return base64.b64encode(text.encode()).decode()


def read_receipt(queue: Queue, handle: str) -> tuple[int, int, str]:
    """Sequence number, receipt number and message id of a handle of this queue."""
    try:
        arn, seq, receives, message_id = base64.b64decode(handle, validate=True).decode("ascii").split(" ")
        if arn == queue.arn and len(seq) <= 18 and len(receives) <= 18:
            return int(seq), int(receives), message_id
    except (binascii.Error, ValueError):
        pass
    raise api.ReceiptHandleIsInvalid(f'The input receipt handle "{handle[:1024]}" is not a valid receipt handle.')
