"""Several batches of one shard at the same time: records of one partition key stay in one lane and in their order. Pure.

A round reads as much of the shard as all lanes take and splits it by the hash of the partition key. Each lane comes to its
end on its own, with its own retries and halvings; then the shard's checkpoint goes behind the round. A crash in the middle
runs the whole round again (at least once).

https://docs.aws.amazon.com/lambda/latest/dg/services-kinesis-create.html (ParallelizationFactor)
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, field

from lakebed.ports.streams import StreamRecord
from lakebed.services.lambda_.sources.store import Checkpoint


@dataclass(slots=True)
class Lane:
    """Records of some keys, and how far they got."""

    records: list[StreamRecord]
    at: Checkpoint

    def rest(self, batch_size: int) -> list[StreamRecord]:
        """The next batch."""
        until = self.at.until
        left = [one for one in self.records if one.offset >= self.at.offset and (until is None or one.offset < until)]
        return left[:batch_size]


@dataclass(slots=True)
class Round:
    """What was read at once; ``end`` is where the shard goes on."""

    end: int
    lanes: dict[int, Lane] = field(default_factory=dict)

    def is_done(self) -> bool:
        """Whether every lane came to its end."""
        return all(lane.records[-1].offset < lane.at.offset for lane in self.lanes.values())


def split(records: Sequence[StreamRecord], lanes: int) -> Round:
    """A round of these records."""
    made = Round(records[-1].offset + 1)
    for record in records:
        number = int.from_bytes(hashlib.md5(record.partition_key.encode(), usedforsecurity=False).digest()[:4]) % lanes
        lane = made.lanes.setdefault(number, Lane([], Checkpoint(record.offset)))
        lane.records.append(record)
    return made
