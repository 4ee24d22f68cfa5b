"""On-demand scaling: how many shards a stream should have, which are split or merged for it, and the task that does so.

https://docs.aws.amazon.com/streams/latest/dev/how-do-i-size-a-stream.html#ondemandmode: a stream begins with 4 MiB/s and
4,000 records/s, and can always take twice the peak write throughput of the last 30 days; new capacity is there within
fifteen minutes, here within the minute after the peak. The peak is that of the busiest minute. A warm throughput is a
floor under it. An evaluation splits each shard at most once, the busiest first, so a stream at most doubles; shards are
merged, the quietest neighbours first, once the peak that asked for them is more than 30 days old.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from itertools import pairwise
from typing import NamedTuple

from lakebed.kernel.db import Database
from lakebed.kernel.kernel import Kernel
from lakebed.services.kinesis import model
from lakebed.services.kinesis.limits import SHARD_BYTES_PER_SECOND, SHARD_RECORDS_PER_SECOND
from lakebed.services.kinesis.model import Shard, Stream
from lakebed.services.kinesis.records import Records
from lakebed.services.kinesis.settings import KinesisSettings
from lakebed.services.kinesis.store import StreamStore
from lakebed.services.kinesis.telemetry import Telemetry

_WINDOW_HOURS = 30 * 24
Loads = Mapping[int, float]


class Peak(NamedTuple):
    """Bytes and records a second."""

    size: float
    records: float


def wanted_shards(peak: Peak, warm_mibps: int, most: int) -> int:
    """The shards that take twice the peak, and the warm throughput."""
    needed = max(2 * peak.size / SHARD_BYTES_PER_SECOND, 2 * peak.records / SHARD_RECORDS_PER_SECOND)
    return min(max(math.ceil(needed), warm_mibps, model.ON_DEMAND_SHARDS), max(most, model.ON_DEMAND_SHARDS))


def to_split(stream: Stream, count: int, loads: Loads) -> list[Shard]:
    """Up to ``count`` open shards, the busiest first, of equals the widest."""
    able = [shard for shard in stream.open_shards if shard.hash_end > shard.hash_start]
    able.sort(key=lambda shard: (-loads.get(shard.number, 0.0), shard.hash_start - shard.hash_end))
    return able[:count]


def to_merge(stream: Stream, count: int, loads: Loads) -> list[tuple[Shard, Shard]]:
    """Up to ``count`` pairs of neighbours, none in two pairs, the quietest first, of equals the narrowest."""
    shards = stream.open_shards
    pairs = sorted(
        pairwise(shards),
        key=lambda pair: (
            sum(loads.get(each.number, 0.0) for each in pair),
            pair[1].hash_end - pair[0].hash_start,
        ),
    )
    chosen: list[tuple[Shard, Shard]] = []
    taken: set[int] = set()
    for pair in pairs:
        if len(chosen) >= count:
            break
        if not taken & {each.number for each in pair}:
            taken |= {each.number for each in pair}
            chosen.append(pair)
    return chosen


def scaled(stream: Stream, target: int, loads: Loads, ends: Mapping[int, int], now: float) -> Stream:
    """One step towards ``target`` open shards."""
    count = len(stream.open_shards)
    if target > count:
        for shard in to_split(stream, target - count, loads):
            middle = (shard.hash_start + shard.hash_end) // 2 + 1
            stream = model.split(stream, shard, middle, ends[shard.number], now)
    else:
        for low, high in to_merge(stream, count - target, loads):
            stream = model.merge(stream, low, high, [ends[low.number], ends[high.number]], now)
    return stream


class PeakStore:
    """The busiest minute of each hour."""

    def __init__(self, db: Database) -> None:
        self._db = db

    def note(self, stream: Stream, hour: int, peak: Peak) -> None:
        """A minute of the hour had this throughput."""
        where = (stream.scope.account, stream.scope.region, stream.uid)
        with self._db.tx() as tx:
            tx.execute(
                "INSERT INTO kinesis_peak VALUES (?,?,?,?,?,?) ON CONFLICT DO UPDATE SET bytes=max(bytes, excluded.bytes), "
                "records=max(records, excluded.records)",
                (*where, hour, peak.size, peak.records),
            )
            tx.execute(
                "DELETE FROM kinesis_peak WHERE account=? AND region=? AND uid=? AND hour<=?",
                (*where, hour - _WINDOW_HOURS),
            )

    def peak(self, stream: Stream, hour: int) -> Peak:
        """The highest of the last 30 days."""
        row = self._db.one(
            "SELECT coalesce(max(bytes), 0) AS size, coalesce(max(records), 0) AS records FROM kinesis_peak WHERE account=? "
            "AND region=? AND uid=? AND hour>?",
            (stream.scope.account, stream.scope.region, stream.uid, hour - _WINDOW_HOURS),
        )
        assert row is not None
        return Peak(row["size"], row["records"])


class Scaling:
    """The task: once a minute, for all on-demand streams."""

    name = "kinesis-scaling"
    period = 60.0

    def __init__(
        self, k: Kernel, store: StreamStore, records: Records, telemetry: Telemetry, settings: KinesisSettings
    ) -> None:
        self._k, self._store, self._records, self._telemetry = k, store, records, telemetry
        self._settings = settings
        self._peaks = PeakStore(k.db)

    async def activate(self) -> float | None:
        """Note the minutes that ended, then bring each stream a step nearer to what it should have."""
        now = self._k.clock.now()
        minute = int(now // 60)
        loads: dict[str, Loads] = {}
        for uid, at in sorted(self._telemetry.minutes):
            if at >= minute:
                continue
            seen = self._telemetry.minutes.pop((uid, at))
            stream = self._store.by_uid(uid)
            if stream is None:
                continue
            records, size = (sum(load[place] for load in seen.values()) for place in (0, 1))
            self._peaks.note(stream, at // 60, Peak(size / 60, records / 60))
            loads[uid] = {number: max(load[0] / 1000, load[1] / (1 << 20)) for number, load in seen.items()}
        again = False
        for stream in self._store.on_demand():
            again |= self._scale(stream, loads.get(stream.uid, {}), minute // 60, now)
        return now if again else (minute + 1) * 60.0

    def _scale(self, stream: Stream, loads: Loads, hour: int, now: float) -> bool:
        """Whether there is more to do at once: only a warm throughput is waited for."""
        target = wanted_shards(self._peaks.peak(stream, hour), stream.warm_mibps, self._settings.on_demand_shards_max)
        if target == len(stream.open_shards):
            return False
        ends = {shard.number: self._records.tip(stream, shard) for shard in stream.open_shards}
        made = scaled(stream, target, loads, ends, now)
        with self._k.db.tx() as tx:
            self._store.update_shards(tx, made)
        self._k.log.info("stream scaled", stream=stream.arn, shards=len(made.open_shards))
        self._records.woken(stream.arn)
        return len(made.open_shards) < min(target, stream.warm_mibps)
