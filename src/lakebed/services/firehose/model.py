"""A delivery stream as a value, and the plan of an object that is about to be put."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import msgspec

from lakebed.api import firehose as api
from lakebed.kernel.scope import Scope
from lakebed.services.firehose import destination as s3
from lakebed.services.firehose import frames, prefix
from lakebed.services.firehose.buffers import Buffer, Hints
from lakebed.services.firehose.extraction import Query

DESTINATION_ID = "destinationId-000000000001"
TAGS_MAX = 50


class Source(msgspec.Struct, frozen=True):
    """Where records come from. ``stream_arn`` is empty for DirectPut."""

    kind: str
    stream_arn: str = ""
    role_arn: str = ""
    started_at: float = 0.0
    throughput_hint: int | None = None


class Plan(msgspec.Struct):
    """An object decided on: lane and offsets say which records, the rest how and where. ``settings`` is what the
    destination (or backup) was when it was planned, so that an update in between changes nothing."""

    lane: str
    first: int
    upto: int
    records: int
    size: int
    started: float
    oldest: float
    key: str
    error_key: str
    settings: dict[str, Any]

    def buffer(self) -> Buffer:
        """The buffer this plan stands for."""
        return Buffer(self.lane, self.first, self.started, self.oldest, self.upto, self.size, self.records)


@dataclass(frozen=True)
class DeliveryStream:
    """A delivery stream and its configuration; how far it got is in the store and in its pump."""

    scope: Scope
    name: str
    uid: str
    created_at: float
    updated_at: float | None
    version: int
    source: Source
    destination: Mapping[str, Any]
    tags: Mapping[str, str]

    @cached_property
    def arn(self) -> str:
        """The delivery stream's ARN."""
        return self.scope.arn("firehose", f"deliverystream/{self.name}")

    @property
    def task(self) -> str:
        """The name of its pump."""
        return f"firehose:{self.uid}"

    @property
    def buffer_log(self) -> str:
        """The log of what is taken and not yet delivered."""
        return f"firehose/{self.uid}/buffer"

    @property
    def source_log(self) -> str:
        """The log of what was put and not yet transformed (DirectPut with a Lambda processor)."""
        return f"firehose/{self.uid}/source"

    @cached_property
    def partition_keys(self) -> tuple[prefix.Piece, ...]:
        """The partition keys its prefix uses; empty without dynamic partitioning."""
        return prefix.partition_keys(self.destination.get("Prefix", "")) if s3.is_partitioned(self.destination) else ()

    @cached_property
    def query(self) -> Query | None:
        """The query its MetadataExtraction processor makes partition keys with."""
        text = s3.extraction_query(self.destination)
        return Query(text) if text is not None else None

    @property
    def transforms(self) -> bool:
        """Whether records pass a processor before they are buffered."""
        return s3.lambda_parameters(self.destination) is not None or s3.extraction_query(self.destination) is not None

    @cached_property
    def backed_up(self) -> bool:
        """Whether source records also go to a backup bucket."""
        return bool(self.destination["S3BackupMode"] == "Enabled")

    def settings_of(self, lane: str) -> Mapping[str, Any]:
        """What says where a lane's objects go."""
        if lane == frames.BACKUP and "S3BackupDescription" in self.destination:
            backup: Mapping[str, Any] = self.destination["S3BackupDescription"]
            return backup
        return self.destination

    def hints(self, lane: str) -> Hints:
        """When a lane's buffer is due."""
        return s3.hints_of(self.settings_of(lane))

    def describe(self) -> api.DeliveryStreamDescription:
        """The API's shape."""
        basic = {key: self.destination[key] for key in _BASIC if key in self.destination}
        shape: dict[str, Any] = {
            "DeliveryStreamName": self.name,
            "DeliveryStreamARN": self.arn,
            "DeliveryStreamStatus": "ACTIVE",
            "DeliveryStreamType": self.source.kind,
            "DeliveryStreamEncryptionConfiguration": {"Status": "DISABLED"},
            "VersionId": str(self.version),
            "CreateTimestamp": self.created_at,
            "Destinations": [
                {
                    "DestinationId": DESTINATION_ID,
                    "S3DestinationDescription": basic,
                    "ExtendedS3DestinationDescription": dict(self.destination),
                }
            ],
            "HasMoreDestinations": False,
        }
        if self.updated_at is not None:
            shape["LastUpdateTimestamp"] = self.updated_at
        if self.source.stream_arn:
            shape["Source"] = {
                "KinesisStreamSourceDescription": {
                    "KinesisStreamARN": self.source.stream_arn,
                    "RoleARN": self.source.role_arn,
                    "DeliveryStartTimestamp": self.source.started_at,
                }
            }
        elif self.source.throughput_hint is not None:
            shape["Source"] = {"DirectPutSourceDescription": {"ThroughputHintInMBs": self.source.throughput_hint}}
        return shape  # type: ignore[return-value]  # built of its parts


_BASIC = (
    "RoleARN",
    "BucketARN",
    "Prefix",
    "ErrorOutputPrefix",
    "BufferingHints",
    "CompressionFormat",
    "EncryptionConfiguration",
    "CloudWatchLoggingOptions",
)
