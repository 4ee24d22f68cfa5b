"""Retention: segments whose records are all too old are unlinked, and shards closed longer ago than that disappear.

Readers never see an expired record whether this ran or not; it gives the disk back.
"""

from __future__ import annotations

from lakebed.kernel.kernel import Kernel
from lakebed.services.kinesis.model import expire_shards
from lakebed.services.kinesis.records import Records
from lakebed.services.kinesis.store import StreamStore


class Retention:
    """One task for all streams."""

    name = "kinesis-retention"
    period = 300.0

    def __init__(self, k: Kernel, store: StreamStore, records: Records) -> None:
        self._k, self._store, self._records = k, store, records

    async def activate(self) -> float | None:
        """Trim every shard's log and drop expired shards."""
        now = self._k.clock.now()
        for stream in self._store.all_streams():
            kept = expire_shards(stream, now)
            if kept is not stream:
                gone = {shard.id for shard in stream.shards} - {shard.id for shard in kept.shards}
                with self._k.db.tx() as tx:
                    self._store.update_shards(tx, kept)
                for shard_id in gone:
                    self._k.segments.delete(f"kinesis/{stream.uid}/{shard_id}")
            for shard in kept.shards:
                self._records.log(kept, shard).trim_older(now - stream.retention_hours * 3600)
            self._records.seals.forget_old(kept, now - stream.retention_hours * 3600)
        return None
