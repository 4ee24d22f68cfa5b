"""Record format conversion: a draft of JSON lines becomes Parquet or ORC by the columns of a Glue table.

https://docs.aws.amazon.com/firehose/latest/dev/record-format-conversion.html. Records that do not convert are told of
under ``format-conversion-failed``
(https://docs.aws.amazon.com/firehose/latest/dev/record-format-conversion-error-handling.html).
"""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import msgspec

from lakebed.kernel.kernel import Kernel
from lakebed.kernel.scope import Principal, Scope
from lakebed.ports.conversion import Conversion
from lakebed.ports.house import Ports
from lakebed.services.firehose.destinations import s3
from lakebed.services.firehose.frames import Frame
from lakebed.services.firehose.model import DeliveryStream, Plan

FAILED = "format-conversion-failed"
_ERROR_LINES = 1000


class Result(NamedTuple):
    """The converted file, its rows, and what was rejected: (line number, reason)."""

    path: Path
    rows: int
    rejected: Sequence[tuple[int, str]]


async def convert(p: Ports, k: Kernel, stream: DeliveryStream, plan: Plan, lines: Path, principal: Principal) -> Result:
    """Convert a finished draft as the plan's settings say."""
    settings = plan.settings["DataFormatConversionConfiguration"]
    schema = settings["SchemaConfiguration"]
    table = p.catalog.table(principal, catalog_scope(stream, schema), schema["DatabaseName"], schema["TableName"])
    columns = [(column["Name"], column["Type"]) for column in table["StorageDescriptor"]["Columns"]]
    deserializer = settings["InputFormatConfiguration"]["Deserializer"]
    openx, hive = deserializer.get("OpenXJsonSerDe") or {}, deserializer.get("HiveJsonSerDe") or {}
    form = s3.converted_format(plan.settings)
    serializer = settings["OutputFormatConfiguration"]["Serializer"]["OrcSerDe" if form == "orc" else "ParquetSerDe"]
    target = k.blobs.draft_path()
    with k.clock.working():
        done = await p.converter.convert(
            Conversion(
                source=lines,
                target=target,
                columns=columns,
                format=form,
                compression=serializer.get("Compression", "SNAPPY").lower(),
                row_group_bytes=serializer.get("BlockSizeBytes", 256 << 20),
                case_insensitive=openx.get("CaseInsensitive", True),
                rename={key: column for column, key in (openx.get("ColumnToJsonKeyMappings") or {}).items()},
                dots_to_underscores=openx.get("ConvertDotsInJsonKeysToUnderscores", False),
                timestamp_formats=hive.get("TimestampFormats") or (),
                options=serializer if form == "orc" else {},
            )
        )
    return Result(target, done.rows, done.rejected)


def catalog_scope(stream: DeliveryStream, schema: Mapping[str, Any]) -> Scope:
    """Whose catalogue the schema is in."""
    return Scope(
        schema.get("CatalogId") or stream.scope.account,
        schema.get("Region") or stream.scope.region,
        stream.scope.partition,
    )


def write_rejected(k: Kernel, records: Iterable[Frame], stream: DeliveryStream, plan: Plan, result: Result) -> Path:
    """A file of JSON lines telling of the rejected records."""
    reasons = dict(result.rejected)
    schema = plan.settings["DataFormatConversionConfiguration"]["SchemaConfiguration"]
    scope = catalog_scope(stream, schema)
    table = {
        "catalogId": scope.account,
        "databaseName": schema["DatabaseName"],
        "tableName": schema["TableName"],
        "region": scope.region,
        "versionId": schema.get("VersionId", "LATEST"),
        "catalogArn": scope.arn("glue", "catalog"),
    }
    path = k.blobs.draft_path()
    file = k.disk.open_append(path)
    lines: list[bytes] = []
    for number, frame in enumerate(records):
        if number not in reasons:
            continue
        line = {
            "attemptsMade": 1,
            "arrivalTimestamp": int(frame.arrived * 1000),
            "lastErrorCode": "DataFormatConversion.ParseError",
            "lastErrorMessage": reasons[number],
            "attemptEndingTimestamp": int(k.clock.now() * 1000),
            "rawData": b64encode(frame.data).decode(),
            "sequenceNumber": None,
            "subSequenceNumber": None,
            "dataCatalogTable": table,
        }
        lines.append(msgspec.json.encode(line) + b"\n")
        if len(lines) == _ERROR_LINES:
            file.append(lines)
            lines = []
    file.append([*lines, b""])
    file.close()
    return path
