"""Firehose's operations.

https://docs.aws.amazon.com/firehose/latest/APIReference/Welcome.html. A delivery stream is ACTIVE at once (deviation).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from lakebed.api import firehose as api
from lakebed.kernel.arn import parse
from lakebed.kernel.kernel import Kernel
from lakebed.kernel.scope import Scope
from lakebed.ports.house import Ports
from lakebed.ports.service import Context, operation
from lakebed.ports.streams import places
from lakebed.services.firehose import destination as s3
from lakebed.services.firehose.intake import SERVICE
from lakebed.services.firehose.model import DESTINATION_ID, TAGS_MAX, DeliveryStream, Source
from lakebed.services.firehose.pump import Pumps
from lakebed.services.firehose.puts import Puts, check_batch
from lakebed.services.firehose.settings import FirehoseSettings
from lakebed.services.firehose.store import DeliveryStore

_OTHER_DESTINATIONS = (
    "RedshiftDestinationConfiguration",
    "ElasticsearchDestinationConfiguration",
    "AmazonopensearchserviceDestinationConfiguration",
    "SplunkDestinationConfiguration",
    "HttpEndpointDestinationConfiguration",
    "AmazonOpenSearchServerlessDestinationConfiguration",
    "SnowflakeDestinationConfiguration",
    "IcebergDestinationConfiguration",
)
_OTHER_UPDATES = (
    "RedshiftDestinationUpdate",
    "ElasticsearchDestinationUpdate",
    "AmazonopensearchserviceDestinationUpdate",
    "SplunkDestinationUpdate",
    "HttpEndpointDestinationUpdate",
    "AmazonOpenSearchServerlessDestinationUpdate",
    "SnowflakeDestinationUpdate",
    "IcebergDestinationUpdate",
)


def stream_arn(scope: Scope, request: Mapping[str, Any]) -> str:
    """What a permission is asked for."""
    return scope.arn("firehose", f"deliverystream/{request['DeliveryStreamName']}")


class DeliveryOperations:
    """All operations on delivery streams."""

    def __init__(
        self, k: Kernel, p: Ports, store: DeliveryStore, pumps: Pumps, puts: Puts, settings: FirehoseSettings
    ) -> None:
        self.k, self.p, self.store, self.pumps, self.puts, self.settings = k, p, store, pumps, puts, settings

    @operation(
        "CreateDeliveryStream",
        resource=stream_arn,
        refused=(
            "DeliveryStreamEncryptionConfigurationInput",
            "MSKSourceConfiguration",
            "DatabaseSourceConfiguration",
            *_OTHER_DESTINATIONS,
        ),
    )
    async def create_delivery_stream(
        self, ctx: Context, req: api.CreateDeliveryStreamInput
    ) -> api.CreateDeliveryStreamOutput:
        """https://docs.aws.amazon.com/firehose/latest/APIReference/API_CreateDeliveryStream.html"""
        given = req.get("ExtendedS3DestinationConfiguration") or req.get("S3DestinationConfiguration")
        if given is None or ("ExtendedS3DestinationConfiguration" in req and "S3DestinationConfiguration" in req):
            raise api.InvalidArgumentException("Exactly one destination configuration must be specified.")
        source, positions = self._source(ctx, req)
        made = s3.complete(given)
        for role in [*s3.roles(made), *([source.role_arn] if source.role_arn else [])]:
            self.p.identity.check_pass_role(ctx.principal, role, SERVICE)
        name = req["DeliveryStreamName"]
        if self.store.find(ctx.scope, name) is not None:
            raise api.ResourceInUseException(f"Firehose {name} under accountId {ctx.scope.account} already exists")
        if len(self.store.names(ctx.scope, None, "", self.settings.streams_max)) >= self.settings.streams_max:
            raise api.LimitExceededException(f"You have already consumed your quota of {self.settings.streams_max}.")
        stream = DeliveryStream(
            scope=ctx.scope,
            name=name,
            uid=self.k.ids.token(22).lower(),
            created_at=ctx.now,
            updated_at=None,
            version=1,
            source=source,
            destination=made,
            tags=_with_tags({}, req.get("Tags") or []),
        )
        with self.k.db.tx() as tx:
            self.store.insert(tx, stream, positions)
            tx.after_commit(lambda: self.pumps.add(stream))
        return {"DeliveryStreamARN": stream.arn}

    def _source(self, ctx: Context, req: api.CreateDeliveryStreamInput) -> tuple[Source, dict[str, int]]:
        """The source, and where its reading begins: behind what is in the stream now."""
        kind = req.get("DeliveryStreamType", "DirectPut")
        kinesis = req.get("KinesisStreamSourceConfiguration")
        if kind not in ("DirectPut", "KinesisStreamAsSource"):
            raise api.InvalidArgumentException(f"DeliveryStreamType {kind} has no source configuration.")
        if (kinesis is not None) != (kind == "KinesisStreamAsSource"):
            raise api.InvalidArgumentException(
                "KinesisStreamSourceConfig is only applicable for KinesisStreamAsSource stream type."
                if kinesis
                else "KinesisStreamSourceConfig is required for KinesisStreamAsSource stream type."
            )
        if kinesis is None:
            direct = req.get("DirectPutSourceConfiguration")
            return Source(kind, throughput_hint=direct["ThroughputHintInMBs"] if direct else None), {}
        arn = kinesis["KinesisStreamARN"]
        parts = parse(arn)
        if parts is None or (parts.account, parts.region) != (ctx.scope.account, ctx.scope.region):
            raise api.InvalidArgumentException(f"Kinesis stream {arn} is not in this account and region.")
        positions = {
            place: self.p.streams.position(arn, shard, "LATEST") for place, shard in places(self.p.streams, arn).items()
        }
        return Source(kind, arn, kinesis["RoleARN"], ctx.now), positions

    @operation("DeleteDeliveryStream", resource=stream_arn)
    async def delete_delivery_stream(self, ctx: Context, req: api.DeleteDeliveryStreamInput) -> None:
        """What is not delivered yet is dropped, as AWS reserves the right to do. AllowForceDelete speaks of KMS grants,
        of which there are none.

        https://docs.aws.amazon.com/firehose/latest/APIReference/API_DeleteDeliveryStream.html
        """
        stream = self.store.require(ctx.scope, req["DeliveryStreamName"])
        with self.k.db.tx() as tx:
            self.store.delete(tx, stream)
        await self.pumps.remove(stream)
        self.k.segments.delete(f"firehose/{stream.uid}")

    @operation("DescribeDeliveryStream", resource=stream_arn)
    async def describe_delivery_stream(
        self, ctx: Context, req: api.DescribeDeliveryStreamInput
    ) -> api.DescribeDeliveryStreamOutput:
        """There is one destination, so ExclusiveStartDestinationId leaves none and Limit never cuts.

        https://docs.aws.amazon.com/firehose/latest/APIReference/API_DescribeDeliveryStream.html
        """
        shape = self.store.require(ctx.scope, req["DeliveryStreamName"]).describe()
        if req.get("ExclusiveStartDestinationId", "") >= DESTINATION_ID:
            shape["Destinations"] = []
        return {"DeliveryStreamDescription": shape}

    @operation("ListDeliveryStreams")
    async def list_delivery_streams(
        self, ctx: Context, req: api.ListDeliveryStreamsInput
    ) -> api.ListDeliveryStreamsOutput:
        """https://docs.aws.amazon.com/firehose/latest/APIReference/API_ListDeliveryStreams.html"""
        limit, after = req.get("Limit", 10), req.get("ExclusiveStartDeliveryStreamName", "")
        names = self.store.names(ctx.scope, req.get("DeliveryStreamType"), after, limit + 1)
        return {"DeliveryStreamNames": names[:limit], "HasMoreDeliveryStreams": len(names) > limit}

    @operation("UpdateDestination", resource=stream_arn, refused=_OTHER_UPDATES)
    async def update_destination(self, ctx: Context, req: api.UpdateDestinationInput) -> None:
        """https://docs.aws.amazon.com/firehose/latest/APIReference/API_UpdateDestination.html"""
        stream = self.store.require(ctx.scope, req["DeliveryStreamName"])
        update = req.get("ExtendedS3DestinationUpdate") or req.get("S3DestinationUpdate")
        if update is None or req["DestinationId"] != DESTINATION_ID:
            raise api.InvalidArgumentException(
                f"Destination Id {req['DestinationId']} not found"
                if update is not None
                else "A destination update must be specified."
            )
        if req["CurrentDeliveryStreamVersionId"] != str(stream.version):
            raise api.ConcurrentModificationException(
                f"Cannot update firehose: {stream.name} since the current version id: {stream.version} and specified "
                f"version id: {req['CurrentDeliveryStreamVersionId']} do not match"
            )
        made = s3.merged(stream.destination, update)
        for role in set(s3.roles(made)) - set(s3.roles(stream.destination)):
            self.p.identity.check_pass_role(ctx.principal, role, SERVICE)
        changed = replace(stream, destination=made, version=stream.version + 1, updated_at=ctx.now)
        with self.k.db.tx() as tx:
            self.store.update(tx, changed)
        self.k.tasks.poke(stream.task)

    @operation("PutRecord", resource=stream_arn)
    async def put_record(self, ctx: Context, req: api.PutRecordInput) -> api.PutRecordOutput:
        """https://docs.aws.amazon.com/firehose/latest/APIReference/API_PutRecord.html"""
        stream = self.store.require(ctx.scope, req["DeliveryStreamName"])
        offset = await self.puts.put(stream, [req["Record"]["Data"]])
        return {"RecordId": f"{self.k.ids.token(44)}{offset:020d}", "Encrypted": False}

    @operation("PutRecordBatch", resource=stream_arn)
    async def put_record_batch(self, ctx: Context, req: api.PutRecordBatchInput) -> api.PutRecordBatchOutput:
        """A batch is taken whole or refused whole, so FailedPutCount is always 0.

        https://docs.aws.amazon.com/firehose/latest/APIReference/API_PutRecordBatch.html
        """
        stream = self.store.require(ctx.scope, req["DeliveryStreamName"])
        records = [record["Data"] for record in req["Records"]]
        check_batch(records)
        offset = await self.puts.put(stream, records)
        head = self.k.ids.token(44)
        return {
            "FailedPutCount": 0,
            "Encrypted": False,
            "RequestResponses": [{"RecordId": f"{head}{offset + place:020d}"} for place in range(len(records))],
        }

    @operation("TagDeliveryStream", resource=stream_arn)
    async def tag_delivery_stream(self, ctx: Context, req: api.TagDeliveryStreamInput) -> None:
        """https://docs.aws.amazon.com/firehose/latest/APIReference/API_TagDeliveryStream.html"""
        stream = self.store.require(ctx.scope, req["DeliveryStreamName"])
        self._update(replace(stream, tags=_with_tags(stream.tags, req["Tags"])))

    @operation("UntagDeliveryStream", resource=stream_arn)
    async def untag_delivery_stream(self, ctx: Context, req: api.UntagDeliveryStreamInput) -> None:
        """https://docs.aws.amazon.com/firehose/latest/APIReference/API_UntagDeliveryStream.html"""
        stream = self.store.require(ctx.scope, req["DeliveryStreamName"])
        kept = {key: value for key, value in stream.tags.items() if key not in req["TagKeys"]}
        self._update(replace(stream, tags=kept))

    @operation("ListTagsForDeliveryStream", resource=stream_arn)
    async def list_tags_for_delivery_stream(
        self, ctx: Context, req: api.ListTagsForDeliveryStreamInput
    ) -> api.ListTagsForDeliveryStreamOutput:
        """https://docs.aws.amazon.com/firehose/latest/APIReference/API_ListTagsForDeliveryStream.html"""
        stream = self.store.require(ctx.scope, req["DeliveryStreamName"])
        after, limit = req.get("ExclusiveStartTagKey", ""), req.get("Limit", TAGS_MAX)
        keys = sorted(key for key in stream.tags if key > after)
        tags: list[api.Tag] = [{"Key": key, "Value": stream.tags[key]} for key in keys[:limit]]
        return {"Tags": tags, "HasMoreTags": len(keys) > limit}

    def _update(self, stream: DeliveryStream) -> None:
        with self.k.db.tx() as tx:
            self.store.update(tx, stream)


def _with_tags(current: Mapping[str, str], tags: list[api.Tag]) -> dict[str, str]:
    merged = {**current, **{tag["Key"]: tag.get("Value", "") for tag in tags}}
    for tag in tags:
        if tag["Key"].lower().startswith("aws:"):
            raise api.InvalidArgumentException(f"Tag key {tag['Key']} must not begin with aws:.")
    if len(merged) > TAGS_MAX:
        raise api.LimitExceededException(f"A delivery stream cannot have more than {TAGS_MAX} tags.")
    return merged
