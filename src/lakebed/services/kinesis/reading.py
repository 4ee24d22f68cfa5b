"""Reading, as GetRecords and SubscribeToShard share it: where to begin, what a record looks like, who the children are."""

from __future__ import annotations

from lakebed.api import kinesis as api
from lakebed.kernel.segment import LogRecord
from lakebed.services.kinesis.model import Shard, Stream, shard_id
from lakebed.services.kinesis.records import Records, decode
from lakebed.services.kinesis.sealing import SEALED, Open


def start(
    records: Records,
    stream: Stream,
    shard: Shard,
    kind: str,
    *,
    sequence_number: str | None,
    timestamp: float | None,
    now: float,
) -> int:
    """The offset one of the five kinds of position means."""
    if kind == "TRIM_HORIZON":
        return records.trim_horizon(stream, shard)
    if kind == "LATEST":
        return records.tip(stream, shard)
    if kind == "AT_TIMESTAMP":
        if timestamp is None:
            raise api.InvalidArgumentException("Must either specify timestamp parameter for AT_TIMESTAMP type.")
        if timestamp > now:
            raise api.InvalidArgumentException(
                f"The timestampInMillis parameter cannot be greater than the currentTimestampInMillis. "
                f"timestampInMillis: {int(timestamp * 1000)}, currentTimestampInMillis: {int(now * 1000)}"
            )
        return records.at(stream, shard, timestamp)
    if sequence_number is None:
        raise api.InvalidArgumentException(f"Must either specify starting sequence number parameter for {kind} type.")
    offset = shard.offset_of(sequence_number)
    if offset is None or offset > records.tip(stream, shard):
        raise api.InvalidArgumentException(
            f"StartingSequenceNumber {sequence_number} used in GetShardIterator on shard {shard.id} in stream "
            f"{stream.name} under account {stream.scope.account} is invalid because it did not come from this stream."
        )
    return max(offset + (kind == "AFTER_SEQUENCE_NUMBER"), 0)


def to_record(shard: Shard, record: LogRecord, open_record: Open) -> api.Record:
    """A record as the API shows it."""
    key, data = decode(open_record(record.data))
    shape: api.Record = {
        "SequenceNumber": shard.sequence_number(record.offset),
        "ApproximateArrivalTimestamp": record.arrived,
        "Data": data,
        "PartitionKey": key,
    }
    if record.data[0] == SEALED:
        shape["EncryptionType"] = "KMS"
    return shape


def children(stream: Stream, shard: Shard) -> list[api.ChildShard]:
    """The shards that came of a closed one."""
    found: list[api.ChildShard] = []
    for child in stream.shards:
        parents = [number for number in (child.parent, child.adjacent_parent) if number is not None]
        if shard.number in parents:
            found.append(
                {
                    "ShardId": child.id,
                    "ParentShards": [shard_id(number) for number in parents],
                    "HashKeyRange": {
                        "StartingHashKey": str(child.hash_start),
                        "EndingHashKey": str(child.hash_end),
                    },
                }
            )
    return found
