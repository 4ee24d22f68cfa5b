"""A delivery stream as a value, and the plan of an object that is about to be put."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import msgspec

from lakebed.api import firehose as api
from lakebed.kernel.scope import Scope
from lakebed.services.firehose import frames, prefix
from lakebed.services.firehose.buffers import Buffer, Hints
from lakebed.services.firehose.destinations import Destination, http_endpoint, s3
from lakebed.services.firehose.expansion import Step, steps_of
from lakebed.services.firehose.extraction import Query

DESTINATION_ID = "destinationId-000000000001"
TAGS_MAX = 50
BUILT: Mapping[str, Destination] = {s3.KIND: s3, http_endpoint.KIND: http_endpoint}


class Source(msgspec.Struct, frozen=True):
    """Where records come from. ``stream_arn`` is empty for DirectPut."""

    kind: str
    stream_arn: str = ""
    role_arn: str = ""
    started_at: float = 0.0
    throughput_hint: int | None = None


class Encryption(msgspec.Struct, frozen=True):
    """Server-side encryption of what waits: ``key`` is what KMS is asked for, empty while it is off."""

    key: str = ""
    key_type: str = ""

    def describe(self) -> dict[str, str]:
        """The API's shape."""
        if not self.key:
            return {"Status": "DISABLED"}
        shape = {"Status": "ENABLED", "KeyType": self.key_type}
        if self.key_type == "CUSTOMER_MANAGED_CMK":
            shape["KeyARN"] = self.key
        return shape


NOT_ENCRYPTED = Encryption()


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
    kind: str = s3.KIND
    encryption: Encryption = NOT_ENCRYPTED

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
        return bool(
            s3.lambda_parameters(self.destination) is not None
            or s3.extraction_query(self.destination) is not None
            or self.steps
        )

    @cached_property
    def steps(self) -> list[Step]:
        """How its processors open a record before all else."""
        return steps_of(s3.processors_of(self.destination))

    @property
    def sealed_mark(self) -> bytes:
        """What a sealed record in the source log begins with: nobody else knows the uid."""
        return b"\x00sealed:" + self.uid.encode()

    @cached_property
    def backed_up(self) -> bool:
        """Whether source records also go to a backup bucket."""
        return self.destination["S3BackupMode"] in ("Enabled", "AllData")

    @property
    def storage(self) -> Mapping[str, Any]:
        """The S3 settings that failed records go by."""
        found: Mapping[str, Any] = self.destination.get("S3DestinationDescription", self.destination)
        return found

    @property
    def goes_to(self) -> str:
        """The destination proper, as flow graph and error logs name it."""
        if self.kind == http_endpoint.KIND:
            return str(self.destination["EndpointConfiguration"]["Url"]).partition("?")[0]
        return str(self.destination["BucketARN"])

    def settings_of(self, lane: str) -> Mapping[str, Any]:
        """What says where a lane's objects go."""
        if lane == frames.BACKUP and "S3BackupDescription" in self.destination:
            backup: Mapping[str, Any] = self.destination["S3BackupDescription"]
            return backup
        return self.destination if frames.is_data(lane) else self.storage

    def hints(self, lane: str) -> Hints:
        """When a lane's buffer is due."""
        return s3.hints_of(self.settings_of(lane))

    def describe(self) -> api.DeliveryStreamDescription:
        """The API's shape."""
        shape: dict[str, Any] = {
            "DeliveryStreamName": self.name,
            "DeliveryStreamARN": self.arn,
            "DeliveryStreamStatus": "ACTIVE",
            "DeliveryStreamType": self.source.kind,
            "DeliveryStreamEncryptionConfiguration": self.encryption.describe(),
            "VersionId": str(self.version),
            "CreateTimestamp": self.created_at,
            "Destinations": [{"DestinationId": DESTINATION_ID, **BUILT[self.kind].described(self.destination)}],
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
