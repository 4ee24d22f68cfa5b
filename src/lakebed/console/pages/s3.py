"""S3: buckets, and what is in one, by prefix, as ListObjectsV2 pages it."""

from __future__ import annotations

from typing import Any

import htpy as h

from lakebed.console.asked import Asked, to
from lakebed.console.backend import Backend
from lakebed.console.figures import count, dollars, size
from lakebed.console.parts import empty, facts, notice, pages, panel, table, time_of
from lakebed.console.prices import s3_month
from lakebed.console.shell import Page
from lakebed.console.traffic import meters_of
from lakebed.kernel.errors import AwsError

_KEYS = 200
CURRENT = "/console/s3"


async def buckets(backend: Backend, asked: Asked) -> Page:
    """All buckets of the account."""
    params: dict[str, Any] = {"MaxBuckets": 200}
    if asked.get("token"):
        params["ContinuationToken"] = asked.get("token")
    answer = await backend.call("s3", "ListBuckets", params, backend.scope)
    found, meters, now = answer.get("Buckets", []), meters_of(backend), backend.clock.now()
    lead = "Buckets of this account, of all regions."
    if not found:
        text = "S3 is where streams deliver to, where tables have their data and where query results go. Make the first bucket:"
        return Page("S3", lead, CURRENT, empty("No bucket yet", text, "aws s3 mb s3://landing"))
    rows = []
    for bucket in found:
        meter = meters.get(f"arn:{backend.scope.partition}:s3:::{bucket['Name']}", {})
        rows.append(
            (
                h.a(href=to("s3/objects", bucket=bucket["Name"]))[bucket["Name"]],
                bucket.get("BucketRegion", "—"),
                time_of(now, bucket.get("CreationDate")),
                count(meter.get("recordsIn", 0)),
                size(meter.get("bytesIn", 0)),
                count(meter.get("recordsOut", 0)),
                time_of(now, meter.get("lastIn")),
            )
        )
    columns = ("Bucket", "Region", "Created", "Objects written", "Bytes written", "Reads", "Last write")
    following = asked.again(token=answer["ContinuationToken"]) if answer.get("ContinuationToken") else None
    numbers = ("Objects written", "Bytes written", "Reads")
    content = panel(
        "Buckets",
        table(columns, rows, numbers=numbers, key="buckets-table"),
        pages(asked.again(token=None) if asked.get("token") else None, following),
        note="writes and reads since this house was made",
    )
    return Page("S3", lead, CURRENT, content)


async def objects(backend: Backend, asked: Asked) -> Page:
    """One level of a bucket."""
    bucket, prefix = asked.get("bucket"), asked.get("prefix")
    params: dict[str, Any] = {"Bucket": bucket, "Prefix": prefix, "Delimiter": "/", "MaxKeys": _KEYS}
    if asked.get("token"):
        params["ContinuationToken"] = asked.get("token")
    answer = await backend.call("s3", "ListObjectsV2", params, backend.scope)
    found, folders, now = answer.get("Contents", []), answer.get("CommonPrefixes", []), backend.clock.now()
    rows: list[tuple[h.Node, ...]] = [
        (h.a(href=to("s3/objects", bucket=bucket, prefix=one["Prefix"]))[one["Prefix"][len(prefix) :]], "", "", "", "")
        for one in folders
    ]
    rows += [
        (
            h.a(href=to("s3/object", bucket=bucket, key=one["Key"]))[
                one["Key"][len(prefix) :] or "(the prefix itself)"
            ],
            size(one["Size"]),
            one.get("StorageClass", "STANDARD"),
            time_of(now, one["LastModified"]),
            h.code[one["ETag"].strip('"')],
        )
        for one in found
    ]
    following = asked.again(token=answer["NextContinuationToken"]) if answer.get("NextContinuationToken") else None
    held = sum(one["Size"] for one in found)
    content: list[h.Node] = [
        notice("good", "Deleted. ", h.code[asked.get("deleted")]) if asked.get("deleted") else None,
        panel(
            prefix or "Objects",
            _trail(bucket, prefix),
            table(("Name", "Size", "Storage", "Written", "ETag"), rows, numbers=("Size",), key="objects-table",
                  nothing="Nothing below this prefix."),
            pages(asked.again(token=None) if asked.get("token") else None, following),
            note=f"{count(len(found))} objects, {count(len(folders))} prefixes; {size(held)}, "
            f"{dollars(s3_month(held))} a month on AWS (Standard)",
        )
    ]  # fmt: skip
    if not prefix:
        content.append(await _properties(backend, bucket))
    actions = h.a(".button", href=to("s3/upload", bucket=bucket, prefix=prefix))["Upload"]
    lead = "What is in this bucket, level by level."
    return Page(bucket, lead, CURRENT, content, actions, crumbs=(("S3", CURRENT),))


def _trail(bucket: str, prefix: str) -> h.Element:
    """The prefix, each part a link."""
    parts = prefix.split("/")[:-1]
    steps: list[h.Node] = []
    for number, part in enumerate(parts):
        above = "/".join(parts[: number + 1]) + "/"
        steps.append([h.a(href=to("s3/objects", bucket=bucket, prefix=above))[part or "(empty)"], " / "])
    return h.p(".trail")[h.a(href=to("s3/objects", bucket=bucket))[bucket], " / ", steps]


async def _properties(backend: Backend, bucket: str) -> h.Element:
    """What the bucket does besides holding."""
    versioning = await backend.call("s3", "GetBucketVersioning", {"Bucket": bucket}, backend.scope)
    told = await backend.call("s3", "GetBucketNotificationConfiguration", {"Bucket": bucket}, backend.scope)
    targets = [
        f"{one.get('QueueArn') or one.get('TopicArn') or one.get('LambdaFunctionArn')} on {', '.join(one['Events'])}"
        for kind in ("QueueConfigurations", "TopicConfigurations", "LambdaFunctionConfigurations")
        for one in told.get(kind) or []
    ]
    try:
        policy = (await backend.call("s3", "GetBucketPolicy", {"Bucket": bucket}, backend.scope))["Policy"]
    except AwsError as failure:
        policy = "none" if failure.error_code == "NoSuchBucketPolicy" else failure.error_code
    return panel(
        "Properties",
        facts(
            [
                ("ARN", h.code[f"arn:aws:s3:::{bucket}"]),
                ("Versioning", versioning.get("Status") or "never enabled"),
                ("Tells of events", [h.div[text] for text in targets] or "nobody"),
                ("Policy", h.code[policy]),
            ]
        ),
    )
