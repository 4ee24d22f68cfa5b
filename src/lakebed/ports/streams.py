"""Streams: Kinesis Data Streams as other services use it. Built by services/kinesis."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from lakebed.kernel.scope import Principal


@dataclass(frozen=True, slots=True)
class StreamRecord:
    """A record as read: ``offset`` is its place in the shard's log, ``arrived`` epoch seconds."""

    offset: int
    sequence_number: str
    partition_key: str
    data: bytes
    arrived: float


@dataclass(frozen=True, slots=True)
class StreamFacts:
    """What tells a stream from another of the same name (``uid``), and how long it keeps a record."""

    uid: str
    retention_seconds: float


class Streams(Protocol):
    """Streams are named by ARN. Errors are Kinesis's (ResourceNotFoundException, ...)."""

    async def put(self, principal: Principal, stream_arn: str, records: Sequence[tuple[str, bytes]]) -> None:
        """Append (partition key, data) pairs, all or none; durable when this returns. Order per key is kept."""
        ...

    def facts(self, stream_arn: str) -> StreamFacts:
        """The stream that has this name now; ResourceNotFoundException when there is none."""
        ...

    def shards(self, stream_arn: str) -> Sequence[str]:
        """Shard ids, parents before children; ResourceNotFoundException when the stream is gone."""
        ...

    def read(
        self,
        stream_arn: str,
        shard_id: str,
        offset: int,
        *,
        records_max: int,
        bytes_max: int,
        principal: Principal | None = None,
    ) -> Sequence[StreamRecord]:
        """Records from ``offset`` on (or the first still kept); empty at the tip. ``principal`` is who KMS is asked for
        where the stream is encrypted (absent: the stream's account); then KMS's errors as Kinesis names them."""
        ...

    def position(self, stream_arn: str, shard_id: str, start: str, timestamp: float | None = None) -> int:
        """The offset of TRIM_HORIZON, LATEST or AT_TIMESTAMP; ``closed`` shards end at their last offset."""
        ...

    def finished(self, stream_arn: str, shard_id: str, offset: int) -> bool:
        """Whether the shard is closed and ``offset`` is behind its last record."""
        ...

    def subscribe(self, stream_arn: str, task: str) -> None:
        """Poke the named task whenever records arrive in the stream, until ``unsubscribe``."""
        ...

    def unsubscribe(self, stream_arn: str, task: str) -> None:
        """Stop poking."""
        ...


def places(streams: Streams, stream_arn: str) -> dict[str, str]:
    """Shard ids by what a reader keeps its position under: a stream deleted and made again has other places."""
    uid = streams.facts(stream_arn).uid
    return {f"{uid}/{shard}": shard for shard in streams.shards(stream_arn)}


def shard_of(place: str) -> str:
    """The shard id in a place."""
    return place.rpartition("/")[2]
