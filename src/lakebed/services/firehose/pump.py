"""The pump: one task for each delivery stream. Scan the buffer log, take in from the source, deliver what is due.

It is woken by the clock when a buffer's time comes, by the source's records, and by puts; what it knows is rebuilt from
tables and log at its first activation, so that a restart needs nothing else.
"""

from __future__ import annotations

from lakebed.kernel.kernel import Kernel
from lakebed.kernel.scope import Scope
from lakebed.ports.house import Ports
from lakebed.services.firehose.buffers import Buffers
from lakebed.services.firehose.delivery import Delivery
from lakebed.services.firehose.frames import is_error
from lakebed.services.firehose.intake import Intake
from lakebed.services.firehose.journal import Journal
from lakebed.services.firehose.model import DeliveryStream
from lakebed.services.firehose.outlets import Outlets
from lakebed.services.firehose.settings import FirehoseSettings
from lakebed.services.firehose.store import DeliveryStore

_SCAN_RECORDS, _SCAN_BYTES = 20_000, 4 << 20
_QUIET_BYTES = 256 << 10  # less than that need not wake a pump that will wake by itself
_KEEP_UNSAVED = 10_000  # offsets scanned without a delivery before progress is saved anyway


class Pump:
    """Drives one delivery stream."""

    period = 60.0

    def __init__(
        self,
        k: Kernel,
        p: Ports,
        store: DeliveryStore,
        stream: DeliveryStream,
        outlets: Outlets,
        settings: FirehoseSettings,
    ) -> None:
        self.name = stream.task
        self._k, self._p, self._store, self._outlets, self._settings = k, p, store, outlets, settings
        self._scope: Scope = stream.scope
        self._stream_name, self._uid = stream.name, stream.uid
        self._journal = Journal(k, p)
        self._saved = 0
        self._room = self._unseen = 0
        self._forget()

    def _forget(self) -> None:
        self._intake = Intake(self._k, self._p, self._journal, self._outlets, self._settings)
        self._delivery: Delivery | None = None
        self._buffers: Buffers | None = None

    def arrived(self, size: int) -> None:
        """Bytes were put: wake the pump where it must look now rather than at its next time."""
        self._unseen += size
        if self._unseen >= self._room:
            self._k.tasks.poke(self.name)

    def source_waits(self, stream: DeliveryStream) -> bool:
        """Whether records put for transformation are not through yet."""
        read = self._buffers.positions.get("", 0) if self._buffers else 0
        return self._k.segments.log(stream.source_log).next_offset > read

    async def activate(self) -> float | None:
        """See ``Task.activate``. After any failure what is known is forgotten and read again: tables and log are right."""
        try:
            return await self._activate()
        except BaseException:
            self._forget()
            raise

    async def _activate(self) -> float | None:
        stream = self._store.find(self._scope, self._stream_name)
        if stream is None or stream.uid != self._uid:
            return None
        self._room = self._unseen = 0
        buffers, delivery = self._state(stream)
        wakes: list[float | None] = []
        if self._scan(stream, buffers):
            wakes.append(await self._intake.run(stream, buffers))
            self._scan(stream, buffers)
        if buffers.scanned < self._k.segments.log(stream.buffer_log).readable_end:
            wakes.append(self._k.clock.now())
        buffers.seal_due(self._k.clock.now(), stream.hints)
        wakes.append(await delivery.run(stream, buffers))
        self._save(stream, buffers)
        wakes.append(buffers.next_due(stream.hints))
        self._tell(stream, buffers)
        wake = min((at for at in wakes if at is not None), default=None)
        self._room = self._room_left(stream, buffers)
        return wake

    def _room_left(self, stream: DeliveryStream, buffers: Buffers) -> int:
        """Bytes that may be put before anything changes: 0 where the next record opens a buffer or a batch."""
        if stream.transforms or self.source_waits(stream):
            return min(self._intake.room, _QUIET_BYTES)
        rooms = [stream.hints(b.lane).size_bytes - b.size for b in buffers.open.values() if not is_error(b.lane)]
        return min(*rooms, _QUIET_BYTES) if rooms else 0

    def _state(self, stream: DeliveryStream) -> tuple[Buffers, Delivery]:
        if self._buffers is None or self._delivery is None:
            self._buffers, plans = self._store.progress(stream)
            self._saved = self._buffers.scanned
            self._delivery = Delivery(self._k, self._p, self._store, self._journal, self._outlets, plans)
        return self._buffers, self._delivery

    def _scan(self, stream: DeliveryStream, buffers: Buffers) -> bool:
        """Assign one read of the log to buffers; whether the log's tip is reached."""
        log = self._k.segments.log(stream.buffer_log)
        found = log.read(buffers.scanned, records_max=_SCAN_RECORDS, bytes_max=_SCAN_BYTES)
        buffers.take(found, stream.hints)
        return buffers.scanned >= log.readable_end

    def _save(self, stream: DeliveryStream, buffers: Buffers) -> None:
        """Deliveries save progress; where there are none (everything dropped), do it now and then."""
        mark = buffers.watermark()
        if mark - self._saved >= _KEEP_UNSAVED:
            self._store.save(stream, buffers)
            self._k.segments.log(stream.buffer_log).trim_before(mark)
            self._saved = mark

    def _tell(self, stream: DeliveryStream, buffers: Buffers) -> None:
        oldest = buffers.oldest()
        now = self._k.clock.now()
        untransformed = 0
        if not stream.source.stream_arn:
            untransformed = self._k.segments.log(stream.source_log).next_offset - buffers.positions.get("", 0)
        self._k.meters.lag(
            stream.arn, seconds=now - oldest if oldest else 0.0, waiting=buffers.waiting() + untransformed
        )
        self._outlets.telemetry.minute(
            stream,
            age=now - oldest if oldest else 0.0,
            partitions=len(buffers.partitions()),
            behind_ms=self._intake.behind_ms,
        )


class Pumps:
    """The pumps of all delivery streams, by uid."""

    def __init__(self, k: Kernel, p: Ports, store: DeliveryStore, outlets: Outlets, settings: FirehoseSettings) -> None:
        self._k, self._p, self._store, self._outlets, self._settings = k, p, store, outlets, settings
        self._pumps: dict[str, Pump] = {}

    def add(self, stream: DeliveryStream) -> None:
        """Begin pumping."""
        pump = self._pumps[stream.uid] = Pump(self._k, self._p, self._store, stream, self._outlets, self._settings)
        self._k.tasks.add(pump)
        if stream.source.stream_arn:
            self._p.streams.subscribe(stream.source.stream_arn, pump.name)

    def of(self, stream: DeliveryStream) -> Pump:
        """A delivery stream's pump."""
        return self._pumps[stream.uid]

    async def remove(self, stream: DeliveryStream) -> None:
        """Stop pumping."""
        self._pumps.pop(stream.uid, None)
        if stream.source.stream_arn:
            self._p.streams.unsubscribe(stream.source.stream_arn, stream.task)
        await self._k.tasks.remove(stream.task)

    async def start(self) -> None:
        """At boot: a pump for every delivery stream."""
        for stream in self._store.all_streams():
            self.add(stream)
