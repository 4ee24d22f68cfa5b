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
from lakebed.services.firehose.destinations import http_endpoint, s3
from lakebed.services.firehose.destinations.seams import CONFIGURATIONS as OTHER_DESTINATIONS
from lakebed.services.firehose.destinations.seams import UPDATES as OTHER_UPDATES
from lakebed.services.firehose.intake import SERVICE
from lakebed.services.firehose.model import BUILT, DESTINATION_ID, TAGS_MAX, DeliveryStream, Encryption, Source
from lakebed.services.firehose.outlets import Outlets
from lakebed.services.firehose.pump import Pumps
from lakebed.services.firehose.puts import Puts, check_batch
from lakebed.services.firehose.sealing import OWNED_ALIAS
from lakebed.services.firehose.settings import FirehoseSettings
from lakebed.services.firehose.store import DeliveryStore


def stream_arn(scope: Scope, request: Mapping[str, Any]) -> str:
    """What a permission is asked for."""
    return scope.arn("firehose", f"deliverystream/{request['DeliveryStreamName']}")


class DeliveryOperations:
    """All operations on delivery streams."""

    def __init__(
        self,
        k: Kernel,
        p: Ports,
        store: DeliveryStore,
        pumps: Pumps,
        puts: Puts,
        outlets: Outlets,
        settings: FirehoseSettings,
    ) -> None:
        self.k, self.p, self.store, self.pumps, self.puts, self.settings = k, p, store, pumps, puts, settings
        self.seals, self.secrets = outlets.seals, outlets.secrets

    @operation(
        "CreateDeliveryStream",
        resource=stream_arn,
        refused=(
            "MSKSourceConfiguration",
            "DatabaseSourceConfiguration",
            *OTHER_DESTINATIONS,
        ),
    )
    async def create_delivery_stream(
        self, ctx: Context, req: api.CreateDeliveryStreamInput
    ) -> api.CreateDeliveryStreamOutput:
        """https://docs.aws.amazon.com/firehose/latest/APIReference/API_CreateDeliveryStream.html"""
        kind, given = _configuration(req)
        source, positions = self._source(ctx, req)
        made = BUILT[kind].complete(given)
        for role in [*BUILT[kind].roles(made), *([source.role_arn] if source.role_arn else [])]:
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
            destination={},
            tags=_with_tags({}, req.get("Tags") or []),
            kind=kind,
        )
        stream = replace(stream, destination=self._without_secret(stream, made))
        if "DeliveryStreamEncryptionConfigurationInput" in req:
            stream = self._encrypted(stream, req["DeliveryStreamEncryptionConfigurationInput"])
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

    @operation("UpdateDestination", resource=stream_arn, refused=OTHER_UPDATES)
    async def update_destination(self, ctx: Context, req: api.UpdateDestinationInput) -> None:
        """https://docs.aws.amazon.com/firehose/latest/APIReference/API_UpdateDestination.html"""
        stream = self.store.require(ctx.scope, req["DeliveryStreamName"])
        update: Any = req.get(BUILT[stream.kind].UPDATE) or (
            req.get("S3DestinationUpdate") if stream.kind == s3.KIND else None
        )
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
        kind = BUILT[stream.kind]
        made = kind.merged(stream.destination, update)
        for role in set(kind.roles(made)) - set(kind.roles(stream.destination)):
            self.p.identity.check_pass_role(ctx.principal, role, SERVICE)
        if "EndpointConfiguration" in update:
            made = self._without_secret(stream, made)
        changed = replace(stream, destination=made, version=stream.version + 1, updated_at=ctx.now)
        with self.k.db.tx() as tx:
            self.store.update(tx, changed)
        self.k.tasks.poke(stream.task)

    @operation("PutRecord", resource=stream_arn)
    async def put_record(self, ctx: Context, req: api.PutRecordInput) -> api.PutRecordOutput:
        """https://docs.aws.amazon.com/firehose/latest/APIReference/API_PutRecord.html"""
        stream = self.store.require(ctx.scope, req["DeliveryStreamName"])
        offset = await self.puts.put(stream, [req["Record"]["Data"]], "PutRecord")
        return {"RecordId": f"{self.k.ids.token(44)}{offset:020d}", "Encrypted": bool(stream.encryption.key)}

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
            "Encrypted": bool(stream.encryption.key),
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

    @operation("StartDeliveryStreamEncryption", resource=stream_arn)
    async def start_delivery_stream_encryption(self, ctx: Context, req: api.StartDeliveryStreamEncryptionInput) -> None:
        """Also to change the key: what waits stays readable under the one it was sealed with.

        https://docs.aws.amazon.com/firehose/latest/APIReference/API_StartDeliveryStreamEncryption.html
        """
        stream = self.store.require(ctx.scope, req["DeliveryStreamName"])
        given = req.get("DeliveryStreamEncryptionConfigurationInput") or {"KeyType": "AWS_OWNED_CMK"}
        self._update(self._encrypted(stream, given))

    @operation("StopDeliveryStreamEncryption", resource=stream_arn)
    async def stop_delivery_stream_encryption(self, ctx: Context, req: api.StopDeliveryStreamEncryptionInput) -> None:
        """https://docs.aws.amazon.com/firehose/latest/APIReference/API_StopDeliveryStreamEncryption.html"""
        self._update(replace(self.store.require(ctx.scope, req["DeliveryStreamName"]), encryption=Encryption()))

    def _encrypted(
        self, stream: DeliveryStream, given: api.DeliveryStreamEncryptionConfigurationInput
    ) -> DeliveryStream:
        if stream.source.stream_arn:
            raise api.InvalidArgumentException(
                "Server-side encryption is only for DirectPut; with a Kinesis stream as source encrypt that stream."
            )
        customers = given["KeyType"] == "CUSTOMER_MANAGED_CMK"
        if customers != ("KeyARN" in given):
            raise api.InvalidArgumentException(
                "KeyARN is required for CUSTOMER_MANAGED_CMK."
                if customers
                else "KeyARN is not allowed for AWS_OWNED_CMK."
            )
        key = given["KeyARN"] if customers else OWNED_ALIAS
        self.seals.check(stream, key)
        return replace(stream, encryption=Encryption(key, given["KeyType"]))

    def _without_secret(self, stream: DeliveryStream, made: dict[str, Any]) -> dict[str, Any]:
        """The destination with its access key sealed, as it is stored."""
        endpoint = made.get("EndpointConfiguration")
        if endpoint and endpoint.get(http_endpoint.ACCESS_KEY):
            sealed = self.secrets.seal(endpoint[http_endpoint.ACCESS_KEY], stream.uid)
            made = {**made, "EndpointConfiguration": {**endpoint, http_endpoint.ACCESS_KEY: sealed}}
        return made

    def _update(self, stream: DeliveryStream) -> None:
        with self.k.db.tx() as tx:
            self.store.update(tx, stream)


def _configuration(req: api.CreateDeliveryStreamInput) -> tuple[str, Any]:
    """The kind of destination asked for, and its configuration."""
    given: list[tuple[str, Any]] = [
        (kind, req[destination.CONFIGURATION])  # type: ignore[literal-required]  # the built destinations' members
        for kind, destination in BUILT.items()
        if destination.CONFIGURATION in req
    ]
    if "S3DestinationConfiguration" in req:
        given.append((s3.KIND, req["S3DestinationConfiguration"]))
    if len(given) != 1:
        raise api.InvalidArgumentException("Exactly one destination configuration must be specified.")
    return given[0]


def _with_tags(current: Mapping[str, str], tags: list[api.Tag]) -> dict[str, str]:
    merged = {**current, **{tag["Key"]: tag.get("Value", "") for tag in tags}}
    for tag in tags:
        if tag["Key"].lower().startswith("aws:"):
            raise api.InvalidArgumentException(f"Tag key {tag['Key']} must not begin with aws:.")
    if len(merged) > TAGS_MAX:
        raise api.LimitExceededException(f"A delivery stream cannot have more than {TAGS_MAX} tags.")
    return merged
