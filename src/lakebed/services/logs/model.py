"""Log groups, streams and events as values, and the rules of PutLogEvents.

https://docs.aws.amazon.com/AmazonCloudWatchLogs/latest/APIReference/API_PutLogEvents.html
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Any, NamedTuple

import msgspec

from lakebed.api import logs as api
from lakebed.kernel.scope import Scope

EVENT_OVERHEAD = 26
BATCH_BYTES_MAX = 1_048_576
EVENT_BYTES_MAX = BATCH_BYTES_MAX - EVENT_OVERHEAD
PAGE_EVENTS_MAX = 10_000
PAGE_BYTES_MAX = 1 << 20
RETENTION_DAYS = (
    1, 3, 5, 7, 14, 30, 60, 90, 120, 150, 180, 365, 400, 545, 731, 1096, 1827, 2192, 2557, 2922, 3288, 3653,
)  # fmt: skip
TAGS_MAX = 50
DAY_MS = 86_400_000
_TOO_NEW_MS = 2 * 3_600_000
_TOO_OLD_MS = 14 * DAY_MS


class Group(msgspec.Struct, frozen=True):
    """A log group; times in epoch milliseconds."""

    scope: Scope
    id: int
    name: str
    created: int
    retention_days: int | None
    stored_bytes: int
    tags: dict[str, str]

    @property
    def arn(self) -> str:
        """Its ARN without the ``:*`` of its streams."""
        return self.scope.arn("logs", f"log-group:{self.name}")

    def shown(self) -> dict[str, Any]:
        """As DescribeLogGroups tells it."""
        told = {
            "logGroupName": self.name,
            "creationTime": self.created,
            "metricFilterCount": 0,
            "arn": f"{self.arn}:*",
            "logGroupArn": self.arn,
            "storedBytes": self.stored_bytes,
            "logGroupClass": "STANDARD",
        }
        return told if self.retention_days is None else told | {"retentionInDays": self.retention_days}


class Stream(msgspec.Struct, frozen=True):
    """A log stream; ``last_event`` is -1 where nothing was written."""

    id: int
    name: str
    created: int
    first_event: int | None
    last_event: int
    last_ingestion: int | None

    def shown(self, group: Group) -> dict[str, Any]:
        """As DescribeLogStreams tells it."""
        told = {
            "logStreamName": self.name,
            "creationTime": self.created,
            "arn": f"{group.arn}:log-stream:{self.name}",
            "storedBytes": 0,
        }
        if self.first_event is not None:
            told |= {
                "firstEventTimestamp": self.first_event,
                "lastEventTimestamp": self.last_event,
                "lastIngestionTime": self.last_ingestion,
                "uploadSequenceToken": f"{self.last_ingestion:056d}",
            }
        return told


class Event(NamedTuple):
    """An event as it is kept."""

    timestamp: int
    id: int
    stream_id: int
    ingested: int
    message: str

    @property
    def place(self) -> Place:
        """Where it stands among all."""
        return Place(self.timestamp, self.id)


class Place(NamedTuple):
    """A boundary in the order of events: behind the event of this timestamp and id."""

    timestamp: int
    id: int


FIRST = Place(-1, 0)
LAST = Place((1 << 63) - 1, (1 << 63) - 1)


class Accepted(NamedTuple):
    """What of a batch is kept, and what AWS says of the rest."""

    events: list[tuple[int, str]]
    rejected: dict[str, int]


def accept(given: Sequence[Mapping[str, Any]], now: int, retention_days: int | None) -> Accepted:
    """Check a batch as a whole (raises), then leave out what is too new, too old or expired."""
    events = [(int(event["timestamp"]), str(event["message"])) for event in given]
    if len(events) > PAGE_EVENTS_MAX:
        raise api.InvalidParameterException(f"At most {PAGE_EVENTS_MAX} log events can be put in a batch.")
    size = sum(len(message.encode()) + EVENT_OVERHEAD for _, message in events)
    if size > BATCH_BYTES_MAX:
        raise api.InvalidParameterException(f"Upload too large: {size} bytes exceeds limit of {BATCH_BYTES_MAX}")
    times = [timestamp for timestamp, _ in events]
    if any(later < earlier for earlier, later in pairwise(times)):
        raise api.InvalidParameterException(
            "Log events in a single PutLogEvents request must be in chronological order."
        )
    too_old = sum(timestamp < now - _TOO_OLD_MS for timestamp in times)
    too_new = sum(timestamp > now + _TOO_NEW_MS for timestamp in times)
    expired = sum(timestamp < now - retention_days * DAY_MS for timestamp in times) if retention_days else 0
    good = events[max(too_old, expired) : len(events) - too_new]
    if good and good[-1][0] - good[0][0] > DAY_MS:
        raise api.InvalidParameterException(
            "The batch of log events in a single PutLogEvents request cannot span more than 24 hours."
        )
    rejected = {}
    if too_new:
        rejected["tooNewLogEventStartIndex"] = len(events) - too_new
    if too_old:
        rejected["tooOldLogEventEndIndex"] = too_old
    if expired > too_old:
        rejected["expiredLogEventEndIndex"] = expired
    return Accepted(good, rejected)


def event_id(event: Event) -> str:
    """The 56 digits of FilterLogEvents, in the order of events."""
    return f"{(event.timestamp << 64) | event.id:056d}"


def token_of(direction: str, place: Place) -> str:
    """``f``orward or ``b``ackward from a place."""
    return f"{direction}/{place.timestamp + 1:020d}{place.id:020d}/s"


def read_token(token: str) -> tuple[str, Place]:
    """Direction and place of a token."""
    direction, _, rest = token.partition("/")
    digits, _, end = rest.partition("/")
    if direction not in ("f", "b") or end != "s" or len(digits) != 40 or not (digits.isascii() and digits.isdigit()):
        raise api.InvalidParameterException("The specified nextToken is invalid.")
    limit = LAST.id
    return direction, Place(min(int(digits[:20]) - 1, limit), min(int(digits[20:]), limit))
