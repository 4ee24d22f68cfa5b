"""Streams and shards as values: hashing, sequence numbers, resharding. Pure; time comes in as an argument.

A partition key's MD5 is a 128-bit number that falls into exactly one open shard's range
(https://docs.aws.amazon.com/streams/latest/dev/key-concepts.html#partition-key). A sequence number has 56 digits like
AWS's: ``49``, the shard's opening time in milliseconds, its number, and the record's place in the shard's log plus one;
so numbers rise strictly within a shard, a child's are above its parents', and a reader goes back from number to offset
without an index. Resharding closes parents at the end of their logs and opens children for their ranges
(https://docs.aws.amazon.com/streams/latest/dev/kinesis-using-sdk-java-resharding.html).
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from hashlib import md5

from lakebed.api import kinesis as api
from lakebed.kernel.scope import Scope

HASH_MAX = (1 << 128) - 1
RETENTION_HOURS_MIN, RETENTION_HOURS_MAX = 24, 8760
TAGS_MAX = 50
BY_KEY, BY_US = "USER_PARTITION_KEY", "AUTO"
ON_DEMAND, PROVISIONED = "ON_DEMAND", "PROVISIONED"
ON_DEMAND_SHARDS = 4
_OFFSET_DIGITS = 28


@dataclass(frozen=True)
class Shard:
    """A shard; ``end_offset`` is the offset behind its last record once it is closed. Numbers are unique in a stream."""

    number: int
    hash_start: int
    hash_end: int
    opened_at: float
    parent: int | None = None
    adjacent_parent: int | None = None
    closed_at: float | None = None
    end_offset: int | None = None

    @cached_property
    def id(self) -> str:
        """``shardId-000000000007``."""
        return shard_id(self.number)

    @cached_property
    def sequence_head(self) -> str:
        """What all sequence numbers of this shard begin with."""
        return f"49{int(self.opened_at * 1000):016d}{self.number:010d}"

    def sequence_number(self, offset: int) -> str:
        """The sequence number of the record at ``offset``; of offset -1: the shard's starting number."""
        return f"{self.sequence_head}{offset + 1:0{_OFFSET_DIGITS}d}"

    def offset_of(self, sequence_number: str) -> int | None:
        """The offset a sequence number stands for, None where it is not one of this shard."""
        if len(sequence_number) != len(self.sequence_head) + _OFFSET_DIGITS:
            return None
        if not sequence_number.startswith(self.sequence_head):
            return None
        return int(sequence_number[-_OFFSET_DIGITS:]) - 1

    def describe(self) -> api.Shard:
        """The API's shape."""
        shape: api.Shard = {
            "ShardId": self.id,
            "HashKeyRange": {"StartingHashKey": str(self.hash_start), "EndingHashKey": str(self.hash_end)},
            "SequenceNumberRange": {"StartingSequenceNumber": self.sequence_number(-1)},
        }
        if self.parent is not None:
            shape["ParentShardId"] = shard_id(self.parent)
        if self.adjacent_parent is not None:
            shape["AdjacentParentShardId"] = shard_id(self.adjacent_parent)
        if self.end_offset is not None:
            shape["SequenceNumberRange"]["EndingSequenceNumber"] = self.sequence_number(self.end_offset)
        return shape


@dataclass(frozen=True)
class Stream:
    """A stream with all shards that are not yet expired, in order of their numbers.

    ``key_id`` names the KMS key new records are sealed with, as its owner named it ('' for none); ``policy`` is the
    resource policy's text; ``metrics`` the shard-level metrics that are on; ``distribution`` who chooses a record's shard.
    """

    scope: Scope
    name: str
    uid: str
    secret: bytes
    mode: str
    created_at: float
    retention_hours: int
    record_kib_max: int
    tags: Mapping[str, str]
    shards: tuple[Shard, ...]
    key_id: str = ""
    policy: str = ""
    metrics: tuple[str, ...] = ()
    distribution: str = BY_KEY
    warm_mibps: int = 0

    @cached_property
    def arn(self) -> str:
        """The stream's ARN."""
        return self.scope.arn("kinesis", f"stream/{self.name}")

    @cached_property
    def open_shards(self) -> tuple[Shard, ...]:
        """Shards that take records, in the order of their hash ranges."""
        return tuple(sorted((s for s in self.shards if s.closed_at is None), key=lambda shard: shard.hash_start))

    @cached_property
    def range_ends(self) -> list[int]:
        """The last hash of each open shard: ``bisect_left(range_ends, hash)`` finds a hash's shard."""
        return [shard.hash_end for shard in self.open_shards]

    @cached_property
    def by_id(self) -> Mapping[str, Shard]:
        """Shards by id."""
        return {shard.id: shard for shard in self.shards}

    def shard(self, wanted: str) -> Shard:
        """A shard by id, else AWS's error."""
        try:
            return self.by_id[wanted]
        except KeyError:
            raise api.ResourceNotFoundException(
                f"Shard {wanted} in stream {self.name} under account {self.scope.account} does not exist"
            ) from None

    def shard_for(self, partition_key: str) -> Shard:
        """Where a partition key's records go."""
        return self.open_shards[bisect_left(self.range_ends, hash_key(partition_key))]

    def log_name(self, shard: Shard) -> str:
        """The name of a shard's segment log."""
        return f"kinesis/{self.uid}/{shard.id}"


def shard_id(number: int) -> str:
    """AWS's form of a shard's number."""
    return f"shardId-{number:012d}"


def hash_key(partition_key: str) -> int:
    """The 128-bit number of a partition key."""
    return int.from_bytes(md5(partition_key.encode(), usedforsecurity=False).digest(), "big")


def even_shards(count: int, now: float, *, first_number: int = 0) -> tuple[Shard, ...]:
    """``count`` shards that divide the hash space evenly."""
    bounds = [(HASH_MAX + 1) * part // count for part in range(count + 1)]
    return tuple(Shard(first_number + part, bounds[part], bounds[part + 1] - 1, opened_at=now) for part in range(count))


def split(stream: Stream, shard: Shard, at: int, end_offset: int, now: float) -> Stream:
    """Close ``shard`` and open two children, the second beginning at hash ``at``."""
    if shard.closed_at is not None:
        raise api.InvalidArgumentException(
            f"Shard {shard.id} in stream {stream.name} under account {stream.scope.account} has already been merged or "
            "split, and thus is not eligible for merging or splitting."
        )
    if not shard.hash_start < at <= shard.hash_end:
        raise api.InvalidArgumentException(
            f"NewStartingHashKey {at} used in SplitShard() on shard {shard.id} in stream {stream.name} under account "
            f"{stream.scope.account} is not both greater than one plus the shard's StartingHashKey {shard.hash_start} "
            f"and less than the shard's EndingHashKey {shard.hash_end}."
        )
    number = _next_number(stream)
    children = (
        Shard(number, shard.hash_start, at - 1, now, parent=shard.number),
        Shard(number + 1, at, shard.hash_end, now, parent=shard.number),
    )
    return _resharded(stream, [replace(shard, closed_at=now, end_offset=end_offset)], children)


def merge(stream: Stream, shard: Shard, adjacent: Shard, end_offsets: Sequence[int], now: float) -> Stream:
    """Close two shards whose ranges touch and open one for both."""
    for each in (shard, adjacent):
        if each.closed_at is not None:
            raise api.InvalidArgumentException(
                f"Shard {each.id} in stream {stream.name} under account {stream.scope.account} has already been merged "
                "or split, and thus is not eligible for merging or splitting."
            )
    low, high = sorted((shard, adjacent), key=lambda each: each.hash_start)
    if shard.number == adjacent.number or low.hash_end + 1 != high.hash_start:
        raise api.InvalidArgumentException(
            f"Shards {shard.id} and {adjacent.id} in stream {stream.name} under account {stream.scope.account} are not "
            "an adjacent pair of shards eligible for merging"
        )
    child = Shard(
        _next_number(stream), low.hash_start, high.hash_end, now, parent=shard.number, adjacent_parent=adjacent.number
    )
    closed = [
        replace(each, closed_at=now, end_offset=end) for each, end in zip((shard, adjacent), end_offsets, strict=True)
    ]
    return _resharded(stream, closed, (child,))


def rescale(stream: Stream, target: int, end_offsets: Mapping[int, int], now: float) -> Stream:
    """Close all open shards and open ``target`` even ones (UpdateShardCount's final state).

    A child covers parts of possibly many parents; it names the two whose ranges hold its first and last hash.
    """
    fresh = even_shards(target, now, first_number=_next_number(stream))
    children = []
    for child in fresh:
        first = stream.open_shards[bisect_left(stream.range_ends, child.hash_start)]
        last = stream.open_shards[bisect_left(stream.range_ends, child.hash_end)]
        other = None if last.number == first.number else last.number
        children.append(replace(child, parent=first.number, adjacent_parent=other))
    closed = [replace(shard, closed_at=now, end_offset=end_offsets[shard.number]) for shard in stream.open_shards]
    return _resharded(stream, closed, children)


def expire_shards(stream: Stream, now: float) -> Stream:
    """Without the shards that were closed longer ago than the retention period."""
    horizon = now - stream.retention_hours * 3600
    kept = tuple(shard for shard in stream.shards if shard.closed_at is None or shard.closed_at >= horizon)
    return stream if len(kept) == len(stream.shards) else replace(stream, shards=kept)


def with_tags(current: Mapping[str, str], added: Mapping[str, str], name: str, account: str) -> dict[str, str]:
    """The tags of a stream or consumer after some were added or replaced.

    https://docs.aws.amazon.com/streams/latest/dev/tagging.html
    """
    for key in added:
        if key.lower().startswith("aws:"):
            raise api.InvalidArgumentException(f"Tag key {key} must not begin with aws:.")
    merged = {**current, **added}
    if len(merged) > TAGS_MAX:
        raise api.InvalidArgumentException(
            f"Failed to add tags to stream {name} under account {account} because a given stream "
            f"cannot have more than {TAGS_MAX} tags associated with it."
        )
    return merged


def _next_number(stream: Stream) -> int:
    return max(shard.number for shard in stream.shards) + 1


def _resharded(stream: Stream, closed: Sequence[Shard], opened: Sequence[Shard]) -> Stream:
    changed = {shard.number: shard for shard in closed}
    return replace(stream, shards=(*(changed.get(shard.number, shard) for shard in stream.shards), *opened))
