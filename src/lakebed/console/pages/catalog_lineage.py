"""Who writes a table and who reads it, as far as the house saw: delivery streams, recent queries, views.

A delivery stream counts by where its prefix begins or which table it converts by; a query by naming the table in its text.
So this is what happened and what is set up, not a proof.
"""

from __future__ import annotations

import base64
import json
import re
from typing import Any

import htpy as h

from lakebed.console.asked import to
from lakebed.console.backend import Backend
from lakebed.console.parts import panel, table, time_of
from lakebed.kernel.errors import AwsError

_QUERIES, _ROWS, _STREAMS = 50, 20, 50
# What changes a table stands first in a statement: its name follows at once.
_CHANGING = (
    r"\s*(?:INSERT\s+INTO|MERGE\s+INTO|UPDATE|DELETE\s+FROM|OPTIMIZE|VACUUM|MSCK\s+REPAIR\s+TABLE|(?:ALTER|DROP)\s+TABLE|"
    r"CREATE\s+(?:EXTERNAL\s+)?TABLE)\s+(?:IF\s+(?:NOT\s+)?EXISTS\s+)?(?:[^\s(]+\.)?"
)


async def lineage(backend: Backend, database: str, told: dict[str, Any]) -> h.Element:
    """The panel."""
    name, location = told["Name"], (told.get("StorageDescriptor") or {}).get("Location") or ""
    writes, reads = await _queries(backend, database, name)
    writes = await _streams(backend, database, name, location) + writes
    reads = await _views(backend, database, name) + reads
    columns = ("Who", "How", "When")
    return panel(
        "Lineage",
        h.h3["Written by"],
        table(columns, writes[:_ROWS], nothing="Nobody that the house saw."),
        h.h3["Read by"],
        table(columns, reads[:_ROWS], nothing="Nobody that the house saw."),
        note=f"delivery streams, views, and the newest {_QUERIES} queries",
    )


Rows = list[tuple[h.Node, ...]]


async def _queries(backend: Backend, database: str, name: str) -> tuple[Rows, Rows]:
    """Of the newest queries of the primary workgroup those that name the table: (that change it, that read it)."""
    params = {"MaxResults": _QUERIES, "WorkGroup": "primary"}
    ids = (await backend.call("athena", "ListQueryExecutions", params, backend.scope)).get("QueryExecutionIds", [])
    if not ids:
        return [], []
    answer = await backend.call("athena", "BatchGetQueryExecution", {"QueryExecutionIds": ids}, backend.scope)
    bare = re.escape(name)
    mention = re.compile(rf"(?<![\w$.])(?:\W?{re.escape(database)}\W{{1,3}})?[\"`]?{bare}(?![\w.])", re.IGNORECASE)
    change = re.compile(rf"{_CHANGING}[\"`]?{bare}(?!\w)", re.IGNORECASE)
    writes: Rows = []
    reads: Rows = []
    for one in sorted(answer["QueryExecutions"], key=lambda one: -float(one["Status"]["SubmissionDateTime"])):
        text, context = one["Query"], one.get("QueryExecutionContext", {}).get("Database", "default")
        named = mention.search(text)
        if not named or one["Status"]["State"] != "SUCCEEDED":
            continue
        if context != database and not re.search(rf"\b{re.escape(database)}\b", text, re.IGNORECASE):
            continue
        line = " ".join(text.split())
        row = (
            h.a(href=to("athena", query=one["QueryExecutionId"]))[line[:90] + ("…" if len(line) > 90 else "")],
            "Athena",
            time_of(backend.clock.now(), one["Status"]["SubmissionDateTime"]),
        )
        (writes if change.match(text) else reads).append(row)
    return writes, reads


async def _streams(backend: Backend, database: str, name: str, location: str) -> Rows:
    """Delivery streams that bring records to where the table's data is."""
    rows: Rows = []
    listed = await backend.call("firehose", "ListDeliveryStreams", {"Limit": _STREAMS}, backend.scope)
    for stream in listed["DeliveryStreamNames"]:
        try:
            answer = await backend.call(
                "firehose", "DescribeDeliveryStream", {"DeliveryStreamName": stream}, backend.scope
            )
        except AwsError:  # deleted meanwhile
            continue
        for destination in answer["DeliveryStreamDescription"].get("Destinations", []):
            if _delivers(destination, database, name, location):
                meter = backend.flow(backend.scope)["resources"].get(
                    answer["DeliveryStreamDescription"]["DeliveryStreamARN"], {}
                )
                rows.append(
                    (
                        h.a(href=to("firehose/stream", stream=stream))[stream],
                        "Firehose",
                        time_of(backend.clock.now(), meter.get("lastOut")),
                    )
                )
                break
    return rows


def _delivers(destination: dict[str, Any], database: str, name: str, location: str) -> bool:
    iceberg = destination.get("IcebergDestinationDescription") or {}
    for one in iceberg.get("DestinationTableConfigurationList") or []:
        if (one.get("DestinationDatabaseName"), one.get("DestinationTableName")) == (database, name):
            return True
    s3 = destination.get("ExtendedS3DestinationDescription") or destination.get("S3DestinationDescription") or {}
    schema = s3.get("DataFormatConversionConfiguration", {}).get("SchemaConfiguration", {})
    if (schema.get("DatabaseName"), schema.get("TableName")) == (database, name):
        return True
    bucket = s3.get("BucketARN", "").rpartition(":")[2]
    fixed = s3.get("Prefix", "").partition("!{")[0]
    return bool(bucket and location and fixed) and f"s3://{bucket}/{fixed}".startswith(location.rstrip("/") + "/")


async def _views(backend: Backend, database: str, name: str) -> Rows:
    """Views of the same database over it."""
    answer = await backend.call("glue", "GetTables", {"DatabaseName": database, "MaxResults": 100}, backend.scope)
    rows: Rows = []
    for one in answer.get("TableList", []):
        if one.get("TableType") == "VIRTUAL_VIEW" and re.search(
            rf"(?<![\w$]){re.escape(name)}(?!\w)", view_text(one.get("ViewOriginalText") or ""), re.IGNORECASE
        ):
            link = h.a(href=to("catalog/table", database=database, table=one["Name"]))[one["Name"]]
            rows.append((link, "view", time_of(backend.clock.now(), one.get("UpdateTime"))))
    return rows


def view_text(stored: str) -> str:
    """The SQL of a view as Athena stores it: ``/* Presto View: <base64 of JSON> */``; other text as it is."""
    found = re.fullmatch(r"/\* Presto View: ([A-Za-z0-9+/=]+) \*/", stored.strip())
    if found is None:
        return stored
    try:
        told = json.loads(base64.b64decode(found[1], validate=True))
    except (ValueError, RecursionError):
        return stored
    return str(told.get("originalSql", stored)) if isinstance(told, dict) else stored
