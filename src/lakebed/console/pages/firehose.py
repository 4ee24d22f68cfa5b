"""Firehose: delivery streams, and one with its source, buffer, transformation, destination and errors."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import htpy as h

from lakebed.console.asked import Asked, to
from lakebed.console.backend import Backend
from lakebed.console.figures import count, moment, span
from lakebed.console.pages.logs import event_lines, newest
from lakebed.console.parts import cost, empty, facts, pages, panel, state, table, tiles, time_of
from lakebed.console.prices import firehose as price
from lakebed.console.shell import Page
from lakebed.console.traffic import meter_of, tiles_of
from lakebed.kernel.errors import AwsError

CURRENT = "/console/firehose"
_STREAMS, _LINES = 50, 30


async def streams(backend: Backend, asked: Asked) -> Page:
    """All delivery streams of the region."""
    after = asked.get("after")
    params: dict[str, Any] = {"Limit": _STREAMS} | ({"ExclusiveStartDeliveryStreamName": after} if after else {})
    answer = await backend.call("firehose", "ListDeliveryStreams", params, backend.scope)
    names = answer["DeliveryStreamNames"]
    lead = "Delivery streams buffer records, transform and convert them, and write them to S3."
    if not names:
        text = "A delivery stream brings records to a bucket. It needs the bucket and a role that may write there:"
        command = (
            "aws firehose create-delivery-stream --delivery-stream-name to-s3 \\\n"
            "  --s3-destination-configuration RoleARN=arn:aws:iam::000000000000:role/to-s3,BucketARN=arn:aws:s3:::landing"
        )
        return Page("Firehose", lead, CURRENT, empty(f"No delivery stream in {backend.scope.region}", text, command))
    rows = []
    for name in names:
        arn = backend.scope.arn("firehose", f"deliverystream/{name}")
        meter = meter_of(backend, arn)
        lag = meter["lagSeconds"]
        rows.append(
            (
                h.a(href=to("firehose/stream", stream=name))[name],
                count(meter["recordsIn"]),
                count(meter["recordsOut"]),
                "—" if meter["waiting"] is None else count(meter["waiting"]),
                "—" if lag is None else span(lag),
                count(meter["errors"]),
                time_of(backend.clock.now(), meter["lastOut"]),
            )
        )
    columns = ("Delivery stream", "Came in", "Delivered", "In the buffer", "Lag", "Errors", "Last delivery")
    following = asked.again(after=names[-1]) if answer.get("HasMoreDeliveryStreams") else None
    content = panel(
        "Delivery streams",
        table(columns, rows, numbers=columns[1:-1], key="streams-table"),
        pages(asked.again(after=None) if after else None, following),
        note="records since this house was made",
    )
    return Page("Firehose", lead, CURRENT, content)


async def stream(backend: Backend, asked: Asked) -> Page:
    """One delivery stream."""
    name = asked.get("stream")
    params = {"DeliveryStreamName": name}
    answer = await backend.call("firehose", "DescribeDeliveryStream", params, backend.scope)
    told = answer["DeliveryStreamDescription"]
    destination = told["Destinations"][0]
    http = destination.get("HttpEndpointDestinationDescription")
    s3 = destination.get("ExtendedS3DestinationDescription") or destination.get("S3DestinationDescription") or {}
    sealed = told.get("DeliveryStreamEncryptionConfiguration") or {}
    meter = meter_of(backend, told["DeliveryStreamARN"])
    source = told.get("Source", {}).get("KinesisStreamSourceDescription", {}).get("KinesisStreamARN")
    details = [
        ("ARN", h.code[told["DeliveryStreamARN"]]),
        ("State", state(told["DeliveryStreamStatus"])),
        ("Source", h.code[source] if source else "direct puts"),
        (
            "Encrypted in the buffer",
            [sealed.get("Status", "DISABLED"), f" by {sealed.get('KeyType')}" if sealed.get("KeyType") else ""],
        ),
        ("Made", moment(told["CreateTimestamp"])),
        cost(price(meter["recordsIn"], meter["bytesIn"]), "for what came in so far; 5 KB a record at least"),
    ]
    if failure := told.get("FailureDescription"):
        details.append(("Failure", f"{failure['Type']}: {failure['Details']}"))
    content = [
        h.div[tiles(tiles_of(backend, told["DeliveryStreamARN"]))],
        panel("Delivery stream", facts(details)),
        panel("Destination", facts(_endpoint(http) if http else _destination(s3))),
        await _failures(backend, (http or s3).get("CloudWatchLoggingOptions") or {}),
    ]
    lead = "What it takes, what it does with it, where it brings it."
    return Page(name, lead, CURRENT, content, crumbs=(("Firehose", CURRENT),))


async def _failures(backend: Backend, options: Mapping[str, Any]) -> h.Element:
    """What it logged: deliveries and transformations that failed."""
    title = "When it could not deliver"
    group = options.get("LogGroupName", "")
    if not options.get("Enabled") or not group:
        text = (
            "It logs nothing: CloudWatchLoggingOptions are off. What it could not deliver lies under the error prefix."
        )
        return panel(title, h.p(".nothing")[text])
    try:
        found = await newest(backend, group, _LINES)
    except AwsError as failure:
        text = "It has logged nothing." if failure.error_code == "ResourceNotFoundException" else failure.message
        return panel(title, h.p(".nothing")[text])
    link = h.a(href=to("logs/events", group=group))["All of them"]
    return panel(title, event_lines(backend, found), note=f"the newest, from {group}", actions=link)


def _endpoint(http: Mapping[str, Any]) -> list[tuple[str, h.Node]]:
    backup, hints = http.get("S3DestinationDescription") or {}, http.get("BufferingHints") or {}
    bucket = backup.get("BucketARN", "").rpartition(":")[2]
    endpoint = http.get("EndpointConfiguration") or {}
    request = http.get("RequestConfiguration") or {}
    errors = backup.get("ErrorOutputPrefix", "")
    return [
        ("HTTP endpoint", h.code[endpoint.get("Url", "—")]),
        ("Name", endpoint.get("Name") or "—"),
        ("Sends at", f"{hints.get('SizeInMBs', 5)} MB or {hints.get('IntervalInSeconds', 300)} s, whichever is first"),
        ("Tries again for", span(http.get("RetryOptions", {}).get("DurationInSeconds", 300))),
        ("Content encoding", request.get("ContentEncoding", "NONE")),
        ("Transformed by", h.code[", ".join(_functions(http))] if _functions(http) else "nobody"),
        ("Backed up", http.get("S3BackupMode", "FailedDataOnly")),
        (
            "Backup in",
            h.a(href=to("s3/objects", bucket=bucket, prefix=_fixed(errors)))[f"{bucket}/{errors}"] if bucket else "—",
        ),
    ]


def _functions(destination: Mapping[str, Any]) -> list[str]:
    return [
        parameter["ParameterValue"]
        for processor in destination.get("ProcessingConfiguration", {}).get("Processors", [])
        for parameter in processor.get("Parameters", [])
        if parameter["ParameterName"] == "LambdaArn"
    ]


def _destination(s3: Mapping[str, Any]) -> list[tuple[str, h.Node]]:
    bucket = s3.get("BucketARN", "").rpartition(":")[2]
    hints, convert = s3.get("BufferingHints", {}), s3.get("DataFormatConversionConfiguration", {})
    schema, errors = convert.get("SchemaConfiguration", {}), s3.get("ErrorOutputPrefix", "")
    functions = _functions(s3)
    table_name = f"{schema.get('DatabaseName')}.{schema.get('TableName')}"
    is_converted = bool(convert.get("Enabled"))
    return [
        ("Bucket", h.a(href=to("s3/objects", bucket=bucket))[bucket]),
        ("Prefix", h.code[s3.get("Prefix") or "(none)"]),
        (
            "Errors go to",
            h.a(href=to("s3/objects", bucket=bucket, prefix=_fixed(errors)))[errors or "(the bucket's top)"],
        ),
        ("Writes at", f"{hints.get('SizeInMBs', 5)} MB or {hints.get('IntervalInSeconds', 300)} s, whichever is first"),
        ("Compression", s3.get("CompressionFormat", "UNCOMPRESSED")),
        ("Transformed by", h.code[", ".join(functions)] if functions else "nobody"),
        ("Converted", f"to columns, as {table_name}" if is_converted else "no"),
        ("Partitioned by records", "yes" if s3.get("DynamicPartitioningConfiguration", {}).get("Enabled") else "no"),
        ("Backup of the source", s3.get("S3BackupMode", "Disabled")),
    ]


def _fixed(prefix: str) -> str:
    """The part of a prefix before its first expression, cut at a level."""
    return prefix.partition("!{")[0].rpartition("/")[0] + "/" if "/" in prefix.partition("!{")[0] else ""
