"""Sorting: which lane each processed record goes to, and the error lines of those that failed. Pure.

https://docs.aws.amazon.com/firehose/latest/dev/dynamic-partitioning.html: the partition keys that Prefix uses come from the
function's answer or from the query over the (transformed) record; at most 500 partitions are active at a time. What is
decided here is written into the log with the record, so a restart cannot decide differently.
"""

from __future__ import annotations

from collections.abc import Mapping

from lakebed.services.firehose import frames, prefix, transform
from lakebed.services.firehose.buffers import Buffers
from lakebed.services.firehose.destinations import s3
from lakebed.services.firehose.extraction import ExtractionError
from lakebed.services.firehose.model import DeliveryStream
from lakebed.services.firehose.transform import Outcome, SourceRecord


class PartitionError(Exception):
    """A record that has no partition; ``code`` and message go to the error prefix."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code, self.message = f"DynamicPartitioning.{code}", message


class Sorter:
    """Sorts one batch."""

    def __init__(
        self,
        stream: DeliveryStream,
        buffers: Buffers,
        attempts: int,
        now: float,
        parameters: Mapping[str, str] | None,
        seal: frames.Seal,
    ) -> None:
        self._stream, self._attempts, self._now = stream, max(attempts, 1), now
        self._seal = seal
        self._lambda_arn = parameters["LambdaArn"] if parameters else ""
        self._wanted = [(piece, prefix.key_name(piece)) for piece in stream.partition_keys]
        self._query = stream.query if any(p.namespace == prefix.FROM_QUERY for p in stream.partition_keys) else None
        self._room = prefix.key_room(stream.destination.get("Prefix", "")) if self._wanted else 0
        self._partitions = buffers.partitions() if self._wanted else set()
        self.dropped = 0

    def frame(self, record: SourceRecord, outcome: Outcome) -> bytes:
        """What to append for a record; empty where it was dropped."""
        if outcome.code:
            return self._failed(record, outcome)
        if outcome.data is None:
            self.dropped += 1
            return b""
        lane = frames.DATA
        if self._wanted:
            try:
                lane = self._lane(outcome.keys, outcome.data)
            except PartitionError as problem:
                return self._failed(record, outcome._replace(code=problem.code, message=problem.message))
        return frames.made(lane, record.arrived, outcome.data, self._seal)

    def _lane(self, returned: Mapping[str, str], data: bytes) -> str:
        try:
            queried = self._query.keys_of(data) if self._query else {}
        except ExtractionError as failure:
            raise PartitionError("MetadataExtractionFailed", str(failure)) from None
        used = {
            name: (queried if piece.namespace == prefix.FROM_QUERY else returned).get(piece.value, "")
            for piece, name in self._wanted
        }
        empty = [name.partition(":")[2] for name, value in used.items() if not value]
        if empty:
            raise PartitionError("MissingKeys", f"Partition keys without a value: {', '.join(empty)}.")
        try:
            size = sum(len(value.encode()) for value in used.values())
        except UnicodeEncodeError:
            raise PartitionError("KeysNotText", "A partition key is no valid Unicode.") from None
        if size > self._room:
            raise PartitionError(
                "KeysTooLong", f"Partition keys exceed the {self._room} bytes an object's key has left."
            )
        lane = frames.data_lane(used)
        if lane not in self._partitions:
            if len(self._partitions) >= s3.PARTITIONS_MAX:
                raise PartitionError(
                    "ActivePartitionsLimitExceeded", f"The delivery stream has {s3.PARTITIONS_MAX} active partitions."
                )
            self._partitions.add(lane)
        return lane

    def _failed(self, record: SourceRecord, outcome: Outcome) -> bytes:
        line = transform.error_line(
            record,
            outcome,
            attempts=self._attempts,
            now=self._now,
            lambda_arn=self._lambda_arn,
            source_arn=self._stream.source.stream_arn,
        )
        return frames.made(frames.error_lane(outcome.error_type), record.arrived, line, self._seal)
