"""Iceberg's types as JSON, as Glue's text and as ours.

https://iceberg.apache.org/spec/#appendix-c-json-serialization,
https://docs.aws.amazon.com/athena/latest/ug/querying-iceberg-supported-data-types.html
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterator
from typing import Any

from lakebed.lake.types import Type, UnknownTypeError
from lakebed.ports.sql import SqlFailure

_TO_HIVE = {
    "boolean": "boolean", "int": "int", "long": "bigint", "float": "float", "double": "double", "date": "date",
    "time": "time", "timestamp": "timestamp", "timestamptz": "timestamp with time zone", "timestamp_ns": "timestamp",
    "timestamptz_ns": "timestamp with time zone", "string": "string", "uuid": "string", "binary": "binary",
}  # fmt: skip
_FROM_TYPE = {
    "boolean": "boolean", "integer": "int", "bigint": "long", "real": "float", "double": "double", "date": "date",
    "time": "time", "timestamp": "timestamp", "timestamp with time zone": "timestamptz", "varbinary": "binary",
    "json": "string", "unknown": "string", "tinyint": "int", "smallint": "int",
}  # fmt: skip


def hive_text(kind: Any, *, glue: bool = False) -> str:
    """An Iceberg type (JSON) as Hive's text; ``glue``: as Glue shows it, which knows no zones and no time."""
    if isinstance(kind, str):
        if kind.startswith("decimal"):
            return kind.replace(" ", "")
        if kind.startswith("fixed"):
            return "binary"
        if kind not in _TO_HIVE:
            raise SqlFailure("NOT_SUPPORTED", f"Iceberg type {kind[:50]} is not built in Lakebed")
        text = _TO_HIVE[kind]
        return {"timestamp with time zone": "timestamp", "time": "string"}.get(text, text) if glue else text
    if kind["type"] == "list":
        return f"array<{hive_text(kind['element'], glue=glue)}>"
    if kind["type"] == "map":
        return f"map<{hive_text(kind['key'], glue=glue)},{hive_text(kind['value'], glue=glue)}>"
    fields = ",".join(f"{field['name']}:{hive_text(field['type'], glue=glue)}" for field in kind["fields"])
    return f"struct<{fields}>"


def json_type(kind: Type, ids: Iterator[int]) -> Any:
    """Our type as Iceberg's JSON, nested fields numbered from ``ids``."""
    base, args = kind
    if base == "array":
        return {"type": "list", "element-id": next(ids), "element": json_type(args[0], ids), "element-required": False}
    if base == "map":
        key, value = next(ids), next(ids)
        return {"type": "map", "key-id": key, "key": json_type(args[0], ids), "value-id": value,
                "value": json_type(args[1], ids), "value-required": False}  # fmt: skip
    if base == "row":
        return {"type": "struct", "fields": [
            {"id": next(ids), "name": name or f"field{at}", "required": False, "type": json_type(part, ids)}
            for at, (name, part) in enumerate(args)
        ]}  # fmt: skip
    if base == "decimal":
        return f"decimal({args[0]}, {args[1]})"
    if base in ("varchar", "char"):
        return "string"
    if base not in _FROM_TYPE:
        raise UnknownTypeError(f"type {base} is not supported by Iceberg tables")
    return _FROM_TYPE[base]


def schema(columns: list[tuple[str, Type, str]]) -> dict[str, Any]:
    """A schema of (name, type, comment); ids are given anew when the table is made."""
    ids = itertools.count(len(columns) + 1)
    fields = []
    for at, (name, kind, comment) in enumerate(columns):
        field: dict[str, Any] = {"id": at + 1, "name": name, "required": False, "type": json_type(kind, ids)}
        if comment:
            field["doc"] = comment
        fields.append(field)
    return {"type": "struct", "schema-id": 0, "identifier-field-ids": [], "fields": fields}


_TRANSFORM = re.compile(r"(year|month|day|hour|bucket|truncate|identity|void)s?", re.IGNORECASE)


def spec(terms: list[tuple[str, str, int | None]], columns: dict[str, tuple[int, Type]]) -> dict[str, Any]:
    """A partition spec of (transform, column, width)."""
    fields = []
    for at, (transform, column, width) in enumerate(terms):
        if column not in columns:
            raise SqlFailure("COLUMN_NOT_FOUND", f"Column '{column}' of the partitioning is not a column of the table")
        field_id, kind = columns[column]
        _check(transform, column, kind)
        name = {"identity": column, "truncate": f"{column}_trunc"}.get(transform, f"{column}_{transform}")
        text = f"{transform}[{width}]" if width is not None else transform
        fields.append({"source-id": field_id, "field-id": 1000 + at, "transform": text, "name": name})
    if len({field["name"] for field in fields}) != len(fields):
        raise SqlFailure("INVALID_TABLE_PROPERTY", "a column is partitioned by twice in the same way")
    return {"spec-id": 0, "fields": fields}


def _check(transform: str, column: str, kind: Type) -> None:
    times = ("timestamp", "timestamp with time zone")
    allowed: dict[str, tuple[str, ...]] = {
        "year": ("date", *times), "month": ("date", *times), "day": ("date", *times), "hour": times,
        "truncate": ("integer", "tinyint", "smallint", "bigint", "decimal", "varchar", "char", "varbinary"),
        "bucket": ("integer", "tinyint", "smallint", "bigint", "decimal", "varchar", "char", "varbinary", "date", *times),
    }  # fmt: skip
    if kind.base in ("array", "map", "row") or (transform in allowed and kind.base not in allowed[transform]):
        raise SqlFailure("INVALID_TABLE_PROPERTY", f"Cannot partition by {transform} of {column}: its type is {kind}")


def transform(text: str) -> tuple[str, str, int | None]:
    """``day(ts)``, ``bucket(16, id)``, ``truncate(id, 4)`` or ``id`` as (transform, column, width)."""
    found = re.fullmatch(r"\s*(\w+)\s*\(\s*([^(),]+?)\s*(?:,\s*([^(),]+?)\s*)?\)\s*", text)
    if found is None:
        return "identity", text.strip().strip('`"').lower(), None
    matched = _TRANSFORM.fullmatch(found[1])
    if matched is None:
        raise SqlFailure("INVALID_TABLE_PROPERTY", f"Unknown partition transform: {text.strip()[:100]}")
    name, first, second = matched[1].lower(), found[2].strip('`"').lower(), (found[3] or "").strip('`"').lower()
    if name not in ("bucket", "truncate"):
        if second:
            raise SqlFailure("INVALID_TABLE_PROPERTY", f"Partition transform {name} takes one column")
        return name, first, None
    number, column = (first, second) if first.isdigit() else (second, first)
    if not number.isdigit() or not 1 <= int(number) <= 2**31 - 1 or not column:
        raise SqlFailure("INVALID_TABLE_PROPERTY", f"Partition transform {name} takes a number and a column")
    return name, column, int(number)
