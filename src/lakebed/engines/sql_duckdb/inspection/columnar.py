"""Parquet, ORC and Avro: columns and rows from footer or header. DuckDB reads Parquet's; the others need
``lakebed[lake]`` and are UNKNOWN without it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import duckdb

from lakebed.engines.sql_duckdb.instance import Instances, literal
from lakebed.ports.inspection import UNKNOWN

_SIMPLE = {
    "boolean": "boolean", "tinyint": "tinyint", "smallint": "smallint", "integer": "int", "bigint": "bigint",
    "utinyint": "smallint", "usmallint": "int", "uinteger": "bigint", "ubigint": "bigint", "hugeint": "decimal(38,0)",
    "float": "float", "double": "double", "varchar": "string", "blob": "binary", "date": "date", "uuid": "string",
    "timestamp": "timestamp", "timestamp_s": "timestamp", "timestamp_ms": "timestamp", "timestamp_ns": "timestamp",
    "timestamp with time zone": "timestamp", "time": "string", "interval": "string", "enum": "string",
}  # fmt: skip
_AVRO = {"boolean": "boolean", "int": "int", "long": "bigint", "float": "float", "double": "double", "bytes": "binary",
         "string": "string", "enum": "string", "fixed": "binary", "null": "string"}  # fmt: skip


def classify(instances: Instances, path: str) -> dict[str, Any] | None:
    """None for a file that has none of the three marks."""
    with Path(path).open("rb") as file:
        head = file.read(4)
    if head == b"Obj\x01":
        return _avro(path)
    if head[:3] == b"ORC":
        return _orc(path)
    if head == b"PAR1":
        return _parquet(instances, path)
    return None


def _parquet(instances: Instances, path: str) -> dict[str, Any]:
    connection = instances.open([path], [])
    try:
        shape = connection.execute(f"SELECT * FROM read_parquet([{literal(path)}]) LIMIT 0").description  # noqa: S608
        rows = connection.execute(f"SELECT count(*) FROM read_parquet([{literal(path)}])").fetchone()  # noqa: S608
    except duckdb.Error:
        return {"classification": UNKNOWN}
    columns = [(name.lower(), _duckdb_type(kind)) for name, kind, *_ in shape]
    return {"classification": "parquet", "columns": columns, "records": int(rows[0])}


def _duckdb_type(kind: Any) -> str:
    name = kind.id
    if name == "decimal":
        (_, precision), (_, scale) = kind.children
        return f"decimal({precision},{scale})"
    if name in ("list", "array"):
        return f"array<{_duckdb_type(kind.children[0][1])}>"
    if name == "map":
        (_, key), (_, value) = kind.children
        return f"map<{_duckdb_type(key)},{_duckdb_type(value)}>"
    if name == "struct":
        return "struct<" + ",".join(f"{field.lower()}:{_duckdb_type(of)}" for field, of in kind.children) + ">"
    return _SIMPLE.get(name, "string")


def _orc(path: str) -> dict[str, Any]:
    try:
        import pyarrow
        from pyarrow import orc
    except ImportError:
        return {"classification": UNKNOWN}
    try:
        file = orc.ORCFile(path)
        columns = [(field.name.lower(), _arrow_type(field.type)) for field in file.schema]
        return {"classification": "orc", "columns": columns, "records": int(file.nrows)}
    except (pyarrow.ArrowException, OSError, ValueError):
        return {"classification": UNKNOWN}


def _arrow_type(kind: Any) -> str:
    from pyarrow import types

    if types.is_struct(kind):
        fields = ",".join(
            f"{kind.field(at).name.lower()}:{_arrow_type(kind.field(at).type)}" for at in range(kind.num_fields)
        )
        return f"struct<{fields}>"
    if types.is_list(kind) or types.is_large_list(kind):
        return f"array<{_arrow_type(kind.value_type)}>"
    if types.is_map(kind):
        return f"map<{_arrow_type(kind.key_type)},{_arrow_type(kind.item_type)}>"
    if types.is_decimal(kind):
        return f"decimal({kind.precision},{kind.scale})"
    if types.is_timestamp(kind):
        return "timestamp"
    names = {"bool": "boolean", "int8": "tinyint", "int16": "smallint", "int32": "int", "int64": "bigint",
             "float": "float", "double": "double", "binary": "binary", "date32[day]": "date"}  # fmt: skip
    return names.get(str(kind), "string")


def _avro(path: str) -> dict[str, Any]:
    try:
        import fastavro
    except ImportError:
        return {"classification": UNKNOWN}
    try:
        with Path(path).open("rb") as file:
            schema: Any = fastavro.reader(file).writer_schema
            file.seek(0)
            rows = sum(block.num_records for block in fastavro.block_reader(file))
        if not isinstance(schema, dict) or schema.get("type") != "record":
            return {"classification": UNKNOWN}
        named: dict[str, Any] = {}
        columns = [(field["name"].lower(), _avro_type(field["type"], named, 0)) for field in schema["fields"]]
    except (ValueError, EOFError, KeyError, TypeError, fastavro.schema.SchemaParseException):
        return {"classification": UNKNOWN}
    shown = {key: value for key, value in schema.items() if not key.startswith("__")}
    options = {"avro_schema": json.dumps(shown, separators=(",", ":"))}
    return {"classification": "avro", "columns": columns, "records": rows, "options": options}


def _avro_type(kind: Any, named: dict[str, Any], depth: int) -> str:
    if depth > 50:
        raise ValueError("nested too deeply")
    if isinstance(kind, list):
        others = [one for one in kind if one != "null"]
        return _avro_type(others[0], named, depth + 1) if len(others) == 1 else "string"
    if isinstance(kind, str):
        return _AVRO.get(kind) or (_avro_type(named[kind], named, depth + 1) if kind in named else "string")
    if "name" in kind:
        named[kind["name"]] = kind
    logical = kind.get("logicalType", "")
    if logical == "decimal":
        return f"decimal({kind['precision']},{kind.get('scale', 0)})"
    if logical in ("timestamp-millis", "timestamp-micros"):
        return "timestamp"
    if logical == "date":
        return "date"
    if kind["type"] == "record":
        fields = ",".join(
            f"{one['name'].lower()}:{_avro_type(one['type'], named, depth + 1)}" for one in kind["fields"]
        )
        return f"struct<{fields}>"
    if kind["type"] == "array":
        return f"array<{_avro_type(kind['items'], named, depth + 1)}>"
    if kind["type"] == "map":
        return f"map<string,{_avro_type(kind['values'], named, depth + 1)}>"
    return _avro_type(kind["type"], named, depth + 1)
