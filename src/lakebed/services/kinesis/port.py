"""Kinesis for other services: ``lakebed.ports.streams.Streams`` over the same data plane as the API."""

from __future__ import annotations

from collections.abc import Sequence

from lakebed.api import kinesis as api
from lakebed.kernel.arn import parse
from lakebed.kernel.scope import Principal, Scope
from lakebed.ports.house import Ports
from lakebed.ports.streams import StreamFacts, StreamRecord
from lakebed.services.kinesis.model import Stream
from lakebed.services.kinesis.records import Entry, Records, check_entry, decode
from lakebed.services.kinesis.store import StreamStore


class StreamsPort:
    """Implements ``Streams``."""

    def __init__(self, p: Ports, store: StreamStore, records: Records) -> None:
        self._p, self._store, self._records = p, store, records

    async def put(self, principal: Principal, stream_arn: str, records: Sequence[tuple[str, bytes]]) -> None:
        """All or none: where a shard's limit is reached nothing is appended, and the caller puts the batch again.

        OSError where the disk takes no more; shards written before that one keep their part.
        """
        stream = self._stream(stream_arn)
        self._p.identity.authorise(
            principal,
            "kinesis:PutRecords",
            stream_arn,
            resource_policy=stream.policy or None,
            resource_account=stream.scope.account,
        )
        entries = [Entry(key, data) for key, data in records]
        for entry in entries:
            check_entry(stream, entry)
        self._records.check_limits(stream, entries)
        for placed in await self._records.put(principal, stream, entries, "PutRecords", limited=False):
            if placed.error:
                raise OSError(f"{stream.arn} {placed.shard.id} can not be written")

    def facts(self, stream_arn: str) -> StreamFacts:
        stream = self._stream(stream_arn)
        return StreamFacts(stream.uid, stream.retention_hours * 3600.0)

    def shards(self, stream_arn: str) -> Sequence[str]:
        return [shard.id for shard in self._stream(stream_arn).shards]

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
        stream = self._stream(stream_arn)
        shard = stream.shard(shard_id)
        number = shard.sequence_number
        found = []
        open_record = self._records.seals.opener(principal or _owner(stream), stream)
        for record in self._records.read(stream, shard, offset, records_max, bytes_max):
            key, data = decode(open_record(record.data))
            found.append(StreamRecord(record.offset, number(record.offset), key, data, record.arrived))
        return found

    def position(self, stream_arn: str, shard_id: str, start: str, timestamp: float | None = None) -> int:
        stream = self._stream(stream_arn)
        shard = stream.shard(shard_id)
        if start == "LATEST":
            return self._records.tip(stream, shard)
        if start == "TRIM_HORIZON":
            return self._records.trim_horizon(stream, shard)
        if start != "AT_TIMESTAMP" or timestamp is None:
            raise ValueError(f"{start} is no position")
        return self._records.at(stream, shard, timestamp)

    def finished(self, stream_arn: str, shard_id: str, offset: int) -> bool:
        shard = self._stream(stream_arn).shard(shard_id)
        return shard.end_offset is not None and offset >= shard.end_offset

    def subscribe(self, stream_arn: str, task: str) -> None:
        self._records.subscribe(stream_arn, task)

    def unsubscribe(self, stream_arn: str, task: str) -> None:
        self._records.unsubscribe(stream_arn, task)

    def _stream(self, stream_arn: str) -> Stream:
        parts = parse(stream_arn)
        if parts is None or parts.service != "kinesis" or not parts.resource.startswith("stream/"):
            raise api.InvalidArgumentException(f"Invalid StreamARN {stream_arn}.")
        return self._store.require(Scope(parts.account, parts.region, parts.partition), parts.resource[7:])


def _owner(stream: Stream) -> Principal:
    """The stream's own account, for readers that name nobody."""
    account = stream.scope.account
    root = stream.scope.global_arn("iam", "root")
    return Principal(account, root, "root", account, root)
