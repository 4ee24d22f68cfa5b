"""What a delivery stream tells its owner when something fails: Lakebed's log, and CloudWatch Logs where that is enabled.

https://docs.aws.amazon.com/firehose/latest/dev/monitoring-with-cloudwatch-logs.html: one JSON object an event.
"""

from __future__ import annotations

import msgspec

from lakebed.kernel.kernel import Kernel
from lakebed.ports.house import Ports
from lakebed.services.firehose.model import DeliveryStream


class Journal:
    """Writes failures where they can be read."""

    def __init__(self, k: Kernel, p: Ports) -> None:
        self._k, self._p = k, p

    def failed(self, stream: DeliveryStream, code: str, message: str, *, processor: str = "") -> None:
        """A source, a function or a bucket did not do as asked; it will be tried again."""
        self._k.log.warning("firehose", stream=stream.arn, code=code, message=message)
        options = stream.destination["CloudWatchLoggingOptions"]
        if not options["Enabled"]:
            return
        event = {
            "deliveryStreamARN": stream.arn,
            "destination": stream.goes_to,
            "deliveryStreamVersionId": stream.version,
            "message": message,
            "errorCode": code,
        }
        if processor:
            event["processor"] = processor
        self._p.logs.write(
            stream.scope,
            options["LogGroupName"],
            options["LogStreamName"],
            [(self._k.clock.now(), msgspec.json.encode(event).decode())],
        )
