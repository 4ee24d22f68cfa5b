"""Spilling: records whose destination did not take them within its retry duration, as JSON lines for the error prefix.

https://docs.aws.amazon.com/firehose/latest/dev/retry.html: an HTTP endpoint has a retry duration, and so has dynamic
partitioning; whole buckets without partitions are tried for as long as records are kept. The duration counts from the first
failure and begins anew with a restart.
"""

from __future__ import annotations

import asyncio
from base64 import b64encode
from collections.abc import Iterable
from itertools import islice
from pathlib import Path

import msgspec

from lakebed.kernel.kernel import Kernel
from lakebed.services.firehose import conversion, frames
from lakebed.services.firehose.destinations import Settings, http_endpoint, s3
from lakebed.services.firehose.frames import Frame
from lakebed.services.firehose.model import DeliveryStream, Plan

PARTITION_FAILED = "dynamic-partitioning-failed"
_LINES = 500


def retry_seconds(stream: DeliveryStream, plan: Plan) -> float | None:
    """For how long a plan is tried before it spills; None where it does not."""
    if not frames.is_data(plan.lane):
        return None
    if stream.kind == http_endpoint.KIND:
        return float(plan.settings["RetryOptions"]["DurationInSeconds"])
    if s3.is_partitioned(plan.settings):
        return float(plan.settings["DynamicPartitioningConfiguration"]["RetryOptions"]["DurationInSeconds"])
    return None


def error_type(stream: DeliveryStream, settings: Settings) -> str:
    """What ``!{firehose:error-output-type}`` reads for a data buffer's failures."""
    if stream.kind == http_endpoint.KIND:
        return http_endpoint.FAILED
    return PARTITION_FAILED if s3.is_partitioned(settings) and not s3.conversion_schema(settings) else conversion.FAILED


async def write(k: Kernel, records: Iterable[Frame], code: str, message: str, attempts: int) -> Path:
    """A file that tells of the records and why they are here."""
    path, ended, taken = k.blobs.draft_path(), int(k.clock.now() * 1000), iter(records)
    file = k.disk.open_append(path)

    def line(frame: Frame) -> bytes:
        told = {
            "attemptsMade": attempts,
            "arrivalTimestamp": int(frame.arrived * 1000),
            "errorCode": code,
            "errorMessage": message,
            "attemptEndingTimestamp": ended,
            "rawData": b64encode(frame.data).decode(),
        }
        return msgspec.json.encode(told) + b"\n"

    try:
        while batch := list(islice(taken, _LINES)):
            with k.clock.working():
                await asyncio.to_thread(lambda lines: file.append([line(each) for each in lines]), batch)
    finally:
        file.close()
    return path
