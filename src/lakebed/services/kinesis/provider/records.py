"""Records: put, and read by iterator.

https://docs.aws.amazon.com/kinesis/latest/APIReference/API_PutRecords.html and API_GetRecords.html. PutRecords answers
for each record; with shard limits enforced some may be refused while others are stored, as in AWS.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from lakebed.api import kinesis as api
from lakebed.kernel.kernel import Kernel
from lakebed.ports.service import Context, operation
from lakebed.services.kinesis import tokens
from lakebed.services.kinesis.access import Access
from lakebed.services.kinesis.model import Stream, shard_id
from lakebed.services.kinesis.provider.naming import stream_arn, token_uid
from lakebed.services.kinesis.reading import children, start, to_record
from lakebed.services.kinesis.records import (
    PUT_BYTES_MAX,
    THROTTLED,
    Entry,
    Placed,
    Records,
    check_entry,
)
from lakebed.services.kinesis.store import StreamStore

_GET_RECORDS_MAX = 10_000
_GET_BYTES_MAX = 10 << 20
_CONSOLE = "lakebed-loopback"  # looking at records in the console is not consuming them


class RecordOperations:
    """The data plane's operations. The permission is asked for by ``Access``, in the handler."""

    def __init__(self, k: Kernel, access: Access, store: StreamStore, records: Records) -> None:
        self.k, self.access, self.store, self.records = k, access, store, records

    @operation("PutRecord", action=None, resource=stream_arn, refused=("StreamId",))
    async def put_record(self, ctx: Context, req: api.PutRecordInput) -> api.PutRecordOutput:
        """https://docs.aws.amazon.com/kinesis/latest/APIReference/API_PutRecord.html"""
        stream = self.access.stream(ctx, req, "PutRecord")
        entry = Entry(req.get("PartitionKey", ""), req["Data"], req.get("ExplicitHashKey"))
        check_entry(stream, entry)
        # Records are appended in the order in which they arrive and every number is above all before it, so the order
        # that SequenceNumberForOrdering asks for always holds; a number from another shard is a client's mistake.
        if "SequenceNumberForOrdering" in req:
            self._check_ordering(stream, req["SequenceNumberForOrdering"])
        _stop_if_dry(req)
        (placed,) = await self.records.put(ctx.principal, stream, [entry], "PutRecord")
        if placed.error == THROTTLED:
            raise api.ProvisionedThroughputExceededException(_throttled(stream, placed))
        if placed.error:
            raise api.InternalFailureException("Internal service failure.")
        return {
            "ShardId": placed.shard.id,
            "SequenceNumber": placed.sequence_number,
            "EncryptionType": "KMS" if stream.key_id else "NONE",
        }

    @operation("PutRecords", action=None, resource=stream_arn, refused=("StreamId",))
    async def put_records(self, ctx: Context, req: api.PutRecordsInput) -> api.PutRecordsOutput:
        """https://docs.aws.amazon.com/kinesis/latest/APIReference/API_PutRecords.html"""
        stream = self.access.stream(ctx, req, "PutRecords")
        entries = [
            Entry(record.get("PartitionKey", ""), record["Data"], record.get("ExplicitHashKey"))
            for record in req["Records"]
        ]
        size = 0
        limit = stream.record_kib_max << 10
        for entry in entries:
            key_bytes = len(entry.partition_key) if entry.partition_key.isascii() else len(entry.partition_key.encode())
            size += key_bytes + len(entry.data)
            if not key_bytes or entry.explicit_hash_key is not None or key_bytes + len(entry.data) > limit:
                check_entry(stream, entry)
        if size > PUT_BYTES_MAX:
            raise api.InvalidArgumentException(f"Records size exceeds {PUT_BYTES_MAX >> 20} MiB limit")
        _stop_if_dry(req)
        placed = await self.records.put(ctx.principal, stream, entries, "PutRecords")
        failed = 0
        answers: list[api.PutRecordsResultEntry] = []
        for shard, sequence_number, error in placed:
            if not error:
                answers.append({"SequenceNumber": sequence_number, "ShardId": shard.id})
                continue
            failed += 1
            message = (
                _throttled(stream, Placed(shard, "", error)) if error == THROTTLED else "Internal service failure."
            )
            answers.append({"ErrorCode": error, "ErrorMessage": message})
        return {"FailedRecordCount": failed, "Records": answers, "EncryptionType": "KMS" if stream.key_id else "NONE"}

    @operation("GetShardIterator", action=None, resource=stream_arn, refused=("StreamId",))
    async def get_shard_iterator(self, ctx: Context, req: api.GetShardIteratorInput) -> api.GetShardIteratorOutput:
        """https://docs.aws.amazon.com/kinesis/latest/APIReference/API_GetShardIterator.html"""
        stream = self.access.stream(ctx, req, "GetShardIterator")
        shard = stream.shard(req["ShardId"])
        offset = start(
            self.records,
            stream,
            shard,
            req["ShardIteratorType"],
            sequence_number=req.get("StartingSequenceNumber"),
            timestamp=req.get("Timestamp"),
            now=ctx.now,
        )
        _stop_if_dry(req)
        position = tokens.Position(stream.uid, shard.number, offset, ctx.now)
        return {"ShardIterator": tokens.pack_iterator(position, stream.secret)}

    @operation("GetRecords", action=None, refused=("StreamId",))  # the iterator names the stream
    async def get_records(self, ctx: Context, req: api.GetRecordsInput) -> api.GetRecordsOutput:
        """https://docs.aws.amazon.com/kinesis/latest/APIReference/API_GetRecords.html"""
        stream, position = self._position(ctx, req)
        began = self.k.clock.monotonic()
        shard = stream.shard(shard_id(position.shard))
        _stop_if_dry(req)
        place = stream.uid, shard.number
        if not self.records.limits.may_read(place):
            self.records.telemetry.read_throttled(stream, shard)
            raise api.ProvisionedThroughputExceededException(_throttled(stream, Placed(shard, "")))
        limit = min(req.get("Limit", _GET_RECORDS_MAX), _GET_RECORDS_MAX)
        found = self.records.read(stream, shard, position.offset, limit, _GET_BYTES_MAX)
        following = found[-1].offset + 1 if found else position.offset
        open_record = self.records.seals.opener(ctx.principal, stream)
        result: api.GetRecordsOutput = {
            "Records": [to_record(shard, record, open_record) for record in found],
            "MillisBehindLatest": self.records.behind(stream, shard, following),
        }
        if shard.end_offset is not None and following >= shard.end_offset:
            result["ChildShards"] = children(stream, shard)
        else:
            onward = tokens.Position(stream.uid, shard.number, following, ctx.now)
            result["NextShardIterator"] = tokens.pack_iterator(onward, stream.secret)
        size = sum(len(record.data) for record in found)
        self.records.limits.was_read(place, size)
        if ctx.headers.get("user-agent") != _CONSOLE:
            if found:
                self.k.meters.out(stream.arn, len(found), size)
            age = (ctx.now - found[-1].arrived) * 1000 if found else 0.0
            took = self.k.clock.monotonic() - began
            self.records.telemetry.read(stream, shard, len(found), size, age, took)
        return result

    def _position(self, ctx: Context, req: api.GetRecordsInput) -> tuple[Stream, tokens.Position]:
        stream = self.store.by_uid(token_uid(req, "ShardIterator"))
        position = tokens.open_iterator(req["ShardIterator"], stream.secret) if stream else None
        if stream is None or position is None or stream.scope.region != ctx.scope.region:
            raise api.InvalidArgumentException("Invalid ShardIterator.")
        if "StreamARN" not in req and stream.scope.account != ctx.scope.account:
            raise api.InvalidArgumentException("Invalid ShardIterator.")
        self.access.known_stream(ctx, stream, "GetRecords")
        if "StreamARN" in req and req["StreamARN"] != stream.arn:
            raise api.InvalidArgumentException("StreamARN does not match the stream of the ShardIterator.")
        if ctx.now - position.issued > tokens.LIFE_SECONDS:
            raise api.ExpiredIteratorException(
                f"Iterator expired. The iterator was created at time {position.issued:.3f} while right now it is "
                f"{ctx.now:.3f} which is further in the future than the tolerated delay of 300000 milliseconds."
            )
        return stream, position

    def _check_ordering(self, stream: Stream, number: str) -> None:
        if all(shard.offset_of(number) is None for shard in stream.shards):
            raise api.InvalidArgumentException(
                f"ExclusiveMinimumSequenceNumber {number} used in PutRecord on stream {stream.name} under account "
                f"{stream.scope.account} is invalid."
            )


def _throttled(stream: Stream, placed: Placed) -> str:
    return f"Rate exceeded for shard {placed.shard.id} in stream {stream.name} under account {stream.scope.account}."


def _stop_if_dry(req: Mapping[str, Any]) -> None:
    """DryRun: everything was checked, nothing is done."""
    if req.get("DryRun"):
        raise api.DryRunOperationException("The request was rejected because the DryRun parameter was specified.")
