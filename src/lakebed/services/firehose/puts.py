"""Puts: records handed to a DirectPut stream, durable in its buffer log (or, before a transformation, in its source log).

https://docs.aws.amazon.com/firehose/latest/APIReference/API_PutRecordBatch.html
"""

from __future__ import annotations

from collections.abc import Sequence

from lakebed.api import firehose as api
from lakebed.kernel.kernel import Kernel
from lakebed.services.firehose import frames
from lakebed.services.firehose.model import DeliveryStream
from lakebed.services.firehose.pump import Pumps
from lakebed.services.firehose.sealing import Seals
from lakebed.services.firehose.settings import FirehoseSettings
from lakebed.services.firehose.telemetry import Telemetry

BATCH_RECORDS_MAX, BATCH_BYTES_MAX = 500, 4 << 20
RECORD_BYTES_MAX = 1_024_000


class Puts:
    """The way in for the API and for the port."""

    def __init__(self, k: Kernel, pumps: Pumps, seals: Seals, telemetry: Telemetry, settings: FirehoseSettings) -> None:
        self._k, self._pumps, self._settings = k, pumps, settings
        self._seals, self._telemetry = seals, telemetry

    async def put(self, stream: DeliveryStream, records: Sequence[bytes], operation: str = "PutRecordBatch") -> int:
        """Append records together; the offset of the first. Durable when this returns."""
        if stream.source.stream_arn:
            raise api.InvalidArgumentException(
                "This operation is not permitted on KinesisStreamAsSource delivery stream type."
            )
        pump = self._pumps.of(stream)
        # While earlier records still wait for their transformation later ones queue behind them, whatever is configured.
        through_source = stream.transforms or pump.source_waits(stream)
        log = self._k.segments.log(stream.source_log if through_source else stream.buffer_log)
        if log.size_bytes > self._settings.backlog_bytes_max:
            raise api.ServiceUnavailableException("The delivery stream's backlog is full. Back off and retry.")
        began = self._k.clock.monotonic()
        seal = self._seals.sealer(stream)
        if through_source:
            mark = stream.sealed_mark
            made = list(records) if seal is None else [mark + seal(record) for record in records]
        else:
            now = self._k.clock.now()
            lanes = (frames.DATA, frames.BACKUP) if stream.backed_up else (frames.DATA,)
            made = [frames.made(lane, now, record, seal) for lane in lanes for record in records]
        try:
            offset = await log.append(made)
        except OSError as failure:
            self._k.log.warning("append failed", stream=stream.arn, exc=failure)
            raise api.ServiceUnavailableException("Service unavailable. Back off and retry.") from None
        size = sum(map(len, records))
        self._k.meters.into(stream.arn, len(records), size)
        self._telemetry.came(stream, operation, len(records), size, self._k.clock.monotonic() - began)
        pump.arrived(size)
        return offset


def check_batch(records: Sequence[bytes]) -> None:
    """AWS's limits on a batch."""
    if len(records) > BATCH_RECORDS_MAX:
        raise api.InvalidArgumentException(f"Records count exceeds {BATCH_RECORDS_MAX}.")
    if any(len(record) > RECORD_BYTES_MAX for record in records):
        raise api.InvalidArgumentException(f"A record exceeds {RECORD_BYTES_MAX} bytes.")
    if sum(map(len, records)) > BATCH_BYTES_MAX:
        raise api.InvalidArgumentException("Records size exceeds 4 MB limit")
