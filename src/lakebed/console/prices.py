"""What it would have cost on AWS: list prices of us-east-1 in dollars, without free tiers. A teaching aid, not a bill.

Athena's price is the service's own (``lakebed.services.athena.price_usd``). The rest, with the page it is from:
https://aws.amazon.com/s3/pricing/, /kinesis/data-streams/pricing/, /firehose/pricing/, /lambda/pricing/, /sqs/pricing/,
/sns/pricing/, /iot-core/pricing/, /cloudwatch/pricing/.
"""

from __future__ import annotations

_GIGABYTE = 1 << 30
S3_GIGABYTE_MONTH = 0.023
KINESIS_SHARD_HOUR, KINESIS_MILLION_UNITS, _UNIT_BYTES = 0.015, 0.014, 25_000
KINESIS_ON_DEMAND_HOUR, KINESIS_ON_DEMAND_IN, KINESIS_ON_DEMAND_OUT = 0.04, 0.08, 0.04
FIREHOSE_GIGABYTE, _FIREHOSE_RECORD_BYTES = 0.029, 5120
LAMBDA_MILLION, LAMBDA_GIGABYTE_SECOND = 0.20, 0.000_016_666_7
SQS_MILLION, SNS_MILLION = 0.40, 0.50
IOT_RULE_MILLION, IOT_ACTION_MILLION = 0.15, 0.15
LOGS_GIGABYTE = 0.50
HOURS_A_MONTH = 730


def s3_month(size_bytes: float) -> float:
    """A month of storage, Standard class."""
    return size_bytes / _GIGABYTE * S3_GIGABYTE_MONTH


def kinesis_month(shards: int) -> float:
    """A month of provisioned shards."""
    return shards * KINESIS_SHARD_HOUR * HOURS_A_MONTH


def kinesis_puts(records: int, size_bytes: float) -> float:
    """Payload units of what came in: 25 KB each, at least one a record."""
    return max(records, size_bytes / _UNIT_BYTES) / 1e6 * KINESIS_MILLION_UNITS


def kinesis_on_demand(size_in: float, size_out: float) -> float:
    """A month of a stream on demand, and what went in and out so far."""
    moved = size_in * KINESIS_ON_DEMAND_IN + size_out * KINESIS_ON_DEMAND_OUT
    return KINESIS_ON_DEMAND_HOUR * HOURS_A_MONTH + moved / _GIGABYTE


def firehose(records: int, size_bytes: float) -> float:
    """Ingestion: each record counts as 5 KB at least."""
    return max(size_bytes, records * _FIREHOSE_RECORD_BYTES) / _GIGABYTE * FIREHOSE_GIGABYTE


def requests(count: float, million: float) -> float:
    """A number of requests at a price for a million."""
    return count / 1e6 * million


def lambda_run(milliseconds: int, memory_mb: int) -> float:
    """One invocation on x86: the request and the memory for its billed time."""
    return LAMBDA_MILLION / 1e6 + lambda_time(milliseconds, memory_mb)


def lambda_time(milliseconds: float, memory_mb: int) -> float:
    """Memory for a time."""
    return milliseconds / 1000 * memory_mb / 1024 * LAMBDA_GIGABYTE_SECOND


def logs(size_bytes: float) -> float:
    """Ingested log data."""
    return size_bytes / _GIGABYTE * LOGS_GIGABYTE
