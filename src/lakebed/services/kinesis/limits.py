"""Limits of shards: what may be written and read in a second, where ``enforce_shard_limits`` is on.

https://docs.aws.amazon.com/streams/latest/dev/service-sizes-and-limits.html: a shard takes 1 MiB or 1,000 records a second
and gives 2 MiB in five calls a second; a GetRecords call that returned more than two seconds' worth (at most 10 MiB) makes
the next ones wait for as long as its bytes would have taken. Seconds are those of Lakebed's clock.
"""

from __future__ import annotations

from lakebed.kernel.clock import Clock

SHARD_BYTES_PER_SECOND, SHARD_RECORDS_PER_SECOND = 1 << 20, 1000
READ_BYTES_PER_SECOND, READ_CALLS_PER_SECOND = 2 << 20, 5
_USED_MAX = 10_000  # shards whose use within this second is remembered
Key = tuple[str, int]


class WriteUse:
    """What was written to a shard in a second."""

    def __init__(self) -> None:
        self.second = self.records = self.size = 0

    def turn(self, second: int) -> None:
        """Begin anew where the second is another."""
        if self.second != second:
            self.second, self.records, self.size = second, 0, 0

    @property
    def full(self) -> bool:
        """Whether the second is used up."""
        return self.records >= SHARD_RECORDS_PER_SECOND or self.size >= SHARD_BYTES_PER_SECOND

    def add(self, records: int, size: int) -> None:
        """Count."""
        self.records += records
        self.size += size


class ReadUse:
    """What was read from a shard in a second, and until when it owes for a large answer."""

    def __init__(self) -> None:
        self.second = self.calls = self.size = 0
        self.owes_until = 0.0

    def turn(self, second: int) -> None:
        """Begin anew where the second is another."""
        if self.second != second:
            self.second, self.calls, self.size = second, 0, 0


class Limits:
    """The uses of all shards. Nothing is counted or refused while ``enforced`` is off."""

    def __init__(self, clock: Clock, *, enforced: bool) -> None:
        self.enforced = enforced
        self._clock = clock
        self._writes: dict[Key, WriteUse] = {}
        self._reads: dict[Key, ReadUse] = {}

    def writing(self, key: Key) -> WriteUse:
        """What a shard took within this second."""
        found = self._writes.get(key)
        if found is None:
            if len(self._writes) >= _USED_MAX:
                self._writes.clear()
            found = self._writes[key] = WriteUse()
        found.turn(int(self._clock.now()))
        return found

    def _reading(self, key: Key) -> ReadUse:
        found = self._reads.get(key)
        if found is None:
            if len(self._reads) >= _USED_MAX:
                self._reads.clear()
            found = self._reads[key] = ReadUse()
        found.turn(int(self._clock.now()))
        return found

    def may_write(self, key: Key, size: int) -> bool:
        """Count one record if the shard still takes it."""
        use = self.writing(key)
        if use.records >= SHARD_RECORDS_PER_SECOND or use.size + size > SHARD_BYTES_PER_SECOND:
            return False
        use.add(1, size)
        return True

    def may_read(self, key: Key) -> bool:
        """Count one call if the shard still gives."""
        if not self.enforced:
            return True
        use = self._reading(key)
        if (
            use.calls >= READ_CALLS_PER_SECOND
            or use.size >= READ_BYTES_PER_SECOND
            or use.owes_until > self._clock.now()
        ):
            return False
        use.calls += 1
        return True

    def was_read(self, key: Key, size: int) -> None:
        """An answer of ``size`` bytes was given."""
        if not self.enforced:
            return
        use = self._reading(key)
        use.size += size
        if size > READ_BYTES_PER_SECOND:
            use.owes_until = self._clock.now() + size / READ_BYTES_PER_SECOND
