"""A group of files as a table and its partitions, with the parameters Glue's crawlers write and a serde Athena reads.

https://docs.aws.amazon.com/glue/latest/dg/table-properties-crawler.html
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Collection, Mapping
from typing import Any

from lakebed.lake import formats
from lakebed.ports.inspection import Inspected
from lakebed.services.glue.crawlers.grouping import Group, Leaf

Body = dict[str, Any]
_NAME_CHARS_MAX = 128
_COLUMN_WORDS = re.compile(r"[^a-z0-9_]")
_BINARY = {"parquet": "PARQUET", "orc": "ORC", "avro": "AVRO"}


def name_of(path: str, prefix: str, taken: Collection[str]) -> str:
    """The last folder's name, or the file's; a hash of the path behind it where another table has that."""
    last = path.rstrip("/").rpartition("/")[2]
    name = (prefix.lower() + _COLUMN_WORDS.sub("_", last.lower()))[:_NAME_CHARS_MAX] or "table"
    if name not in taken:
        return name
    digest = hashlib.md5(path.encode(), usedforsecurity=False).hexdigest()
    return f"{name[: _NAME_CHARS_MAX - 33]}_{digest}"


def table_input(name: str, group: Group, crawler: str, extra: Mapping[str, str]) -> Body:
    """As CreateTable takes it."""
    counts = [sum(getattr(one, part) for one in group.leaves) for part in ("objects", "size", "records")]
    counts = [sum(getattr(one, part) for one in group.leaves) for part in ("objects", "size", "records")]
    totals = Leaf(group.path, (), group.schema, *counts)
    keys = group.key_names
    columns = [{"Name": column, "Type": kind} for column, kind in visible(group.schema, keys)]
    parameters = {**_facts(group.schema, totals), "UPDATED_BY_CRAWLER": crawler, **extra}
    if keys:
        parameters["partition_filtering.enabled"] = "true"
    return {
        "Name": name, "Owner": "owner", "Retention": 0, "TableType": "EXTERNAL_TABLE", "Parameters": parameters,
        "PartitionKeys": [{"Name": key, "Type": "string"} for key in keys],
        "StorageDescriptor": _descriptor(group.schema, f"s3://{group.path}", columns, parameters),
    }  # fmt: skip


def partition_input(leaf: Leaf, keys: Collection[str]) -> Body:
    """As BatchCreatePartition takes it."""
    columns = [{"Name": column, "Type": kind} for column, kind in visible(leaf.schema, keys)]
    parameters = _facts(leaf.schema, leaf)
    return {
        "Values": list(leaf.values), "Parameters": parameters,
        "StorageDescriptor": _descriptor(leaf.schema, f"s3://{leaf.path}", columns, parameters),
    }  # fmt: skip


def visible(schema: Inspected, keys: Collection[str]) -> list[tuple[str, str]]:
    """A column that has the name of a partition key: files that are read by names lose it, others rename it."""
    if schema.classification == "csv" or "grok" in schema.options:
        return [(f"{name}_column" if name in keys else name, kind) for name, kind in schema.columns]
    return [(name, kind) for name, kind in schema.columns if name not in keys]


def _facts(schema: Inspected, leaf: Leaf) -> dict[str, str]:
    average = max(leaf.size // leaf.records, 1) if leaf.records else 0
    facts = {
        "CrawlerSchemaDeserializerVersion": "1.0", "CrawlerSchemaSerializerVersion": "1.0", "typeOfData": "file",
        "classification": schema.classification, "compressionType": schema.compression, "objectCount": str(leaf.objects),
        "recordCount": str(leaf.records), "averageRecordSize": str(average), "sizeKey": str(leaf.size),
    }  # fmt: skip
    if schema.classification == "csv":
        facts |= {"columnsOrdered": "true", "delimiter": schema.options["delimiter"],
                  "areColumnsQuoted": "true" if schema.options.get("quote") else "false"}  # fmt: skip
        if schema.options.get("header"):
            facts["skip.header.line.count"] = "1"
    if schema.options.get("json_path"):
        facts["jsonPath"] = schema.options["json_path"]
    if schema.options.get("row_tag"):
        facts["rowTag"] = schema.options["row_tag"]
    if "grok" in schema.options:
        facts |= {"grokPattern": schema.options["grok"], "grokCustomPatterns": schema.options["custom_patterns"]}
    return facts


def _descriptor(schema: Inspected, location: str, columns: list[Body], parameters: Mapping[str, str]) -> Body:
    storage = _storage(schema, columns)
    return {
        "Columns": columns, "Location": location, **storage, "Compressed": schema.compression != "none",
        "NumberOfBuckets": -1, "BucketColumns": [], "SortColumns": [], "StoredAsSubDirectories": False,
        "Parameters": dict(parameters),
    }  # fmt: skip


def _storage(schema: Inspected, columns: list[Body]) -> Body:
    kind, options = schema.classification, schema.options
    if kind in _BINARY:
        made = formats.storage({"stored": _BINARY[kind]})
        if kind == "avro":
            made["SerdeInfo"]["Parameters"]["avro.schema.literal"] = options.get("avro_schema", "")
        return made
    if kind == "csv":
        return _csv(options)
    if "grok" in options:
        parameters = {"input.format": options["grok"]}
        if options["custom_patterns"]:
            parameters["input.grokCustomPatterns"] = options["custom_patterns"]
        return _text(formats.GROK, parameters)
    if "row_tag" in options:
        return {"InputFormat": "", "OutputFormat": "", "SerdeInfo": {"Parameters": {"rowTag": options["row_tag"]}}}
    if kind == "xml":
        return {"InputFormat": "", "OutputFormat": "", "SerdeInfo": {"Parameters": {}}}
    return _text(formats.OPENX, {"paths": ",".join(sorted(column["Name"] for column in columns))})


def _csv(options: Mapping[str, str]) -> Body:
    quoted = options.get("serde") == "OpenCSVSerDe" or (
        options.get("quote") and options.get("serde") != "LazySimpleSerDe"
    )
    if quoted:
        quote = options.get("quote") or '"'
        return _text(formats.OPENCSV, {"separatorChar": options["delimiter"], "quoteChar": quote, "escapeChar": "\\"})
    return _text(formats.LAZY, {"field.delim": options["delimiter"]})


def _text(serde: str, parameters: dict[str, str]) -> Body:
    made = formats.storage({"serde_name": serde, "stored": ""})
    made["SerdeInfo"] = {"SerializationLibrary": serde, "Parameters": {**parameters, "serialization.format": "1"}}
    return made
