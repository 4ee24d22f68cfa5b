"""ORC and Avro, read and written through pyarrow and fastavro: DuckDB has neither without an extension.

Reading makes Parquet files in the statement's scratch directory, of the wanted columns only; writing takes the Parquet that
DuckDB wrote. Both libraries belong to the extra ``lakebed[lake]`` and are imported when a statement needs them; without
them the statement is refused by the extra's name. ORC columns are found by position as Athena does
(https://docs.aws.amazon.com/athena/latest/ug/handling-schema-updates-chapter.html), Avro's by name in any case.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from lakebed.engines.sql_duckdb.plain import broken
from lakebed.lake.types import Type, field_name
from lakebed.ports.sql import SqlFailure

_BATCH_ROWS = 20_000
Columns = Sequence[tuple[str, Type]]

ORC_CODECS = {"zlib": "zlib", "snappy": "snappy", "lz4": "lz4", "zstd": "zstd", "none": "uncompressed"}
AVRO_CODECS = {"deflate": "deflate", "gzip": "deflate", "snappy": "snappy", "bzip2": "bzip2", "none": "null"}


class Job(NamedTuple):
    """The serde's options, and what raises where the statement was cancelled."""

    options: Mapping[str, str]
    stop: Callable[[], None]


def _library(name: str, form: str) -> Any:
    import importlib

    try:
        return importlib.import_module(name)
    except ImportError:
        raise SqlFailure(
            "NOT_SUPPORTED", f"{form} needs the extra lakebed[lake]: pip install 'lakebed[lake]'"
        ) from None


def orc_to_parquet(source: Path, target: Path, columns: Columns, wanted: set[str], job: Job) -> None:
    """The wanted columns under their table's names, stripe by stripe."""
    orc, parquet, pa = (_library(name, "ORC") for name in ("pyarrow.orc", "pyarrow.parquet", "pyarrow"))
    try:
        file = orc.ORCFile(str(source))
        pairs = [(name, own) for name, own in _orc_columns(file.schema.names, columns, job.options) if name in wanted]
        if not pairs:
            parquet.write_table(pa.table({"lb_none": pa.nulls(file.nrows, pa.int8())}), str(target))
            return
        schema = pa.schema([pa.field(new, file.schema.field(own).type) for new, own in pairs])
        with parquet.ParquetWriter(str(target), schema, coerce_timestamps="us", allow_truncated_timestamps=True) as out:
            for number in range(file.nstripes):
                stripe = file.read_stripe(number, columns=[own for _, own in pairs])
                found = [stripe.column(stripe.schema.get_field_index(own)) for _, own in pairs]
                out.write_batch(pa.RecordBatch.from_arrays(found, schema=schema))
                job.stop()
    except (pa.ArrowException, OSError, ValueError):
        raise broken() from None


def _orc_columns(own: Sequence[str], columns: Columns, options: Mapping[str, str]) -> list[tuple[str, str]]:
    if options.get("orc.column.index.access", "true").lower() != "false":
        return [(name, own[at]) for at, (name, _) in enumerate(columns) if at < len(own)]
    found = {name.lower(): name for name in own}
    return [(name, found[name]) for name, _ in columns if name in found]


def avro_to_parquet(source: Path, target: Path, columns: Columns, wanted: set[str], job: Job) -> None:
    """The wanted columns as the table's types, batch by batch."""
    columns = [column for column in columns if column[0] in wanted] or columns[:1]
    fastavro, parquet, pa = (_library(name, "Avro") for name in ("fastavro", "pyarrow.parquet", "pyarrow"))
    schema = pa.schema([pa.field(name, arrow_type(kind)) for name, kind in columns])
    makers = [(name, value_maker(kind)) for name, kind in columns]
    try:
        with source.open("rb") as file, parquet.ParquetWriter(str(target), schema) as out:
            records = fastavro.reader(file, _reader_schema(job.options))
            while batch := list(itertools.islice(records, _BATCH_ROWS)):
                lowered = [{key.lower(): value for key, value in record.items()} for record in batch]
                arrays = [
                    pa.array([make(record.get(name)) for record in lowered], type=schema.field(at).type)
                    for at, (name, make) in enumerate(makers)
                ]
                out.write_batch(pa.RecordBatch.from_arrays(arrays, schema=schema))
                job.stop()
    except (pa.ArrowException, OSError, ValueError, TypeError, EOFError, KeyError, IndexError, AttributeError):
        raise broken() from None


def _reader_schema(options: Mapping[str, str]) -> Any:
    import msgspec

    if options.get("avro.schema.url"):
        raise SqlFailure("NOT_SUPPORTED", "avro.schema.url is not built; put the schema into avro.schema.literal")
    if not (text := options.get("avro.schema.literal")):
        return None
    try:
        return msgspec.json.decode(text)
    except msgspec.DecodeError:
        raise SqlFailure("HIVE_INVALID_METADATA", "avro.schema.literal is no JSON") from None


def arrow_type(kind: Type) -> Any:
    """Arrow's type of a column."""
    pa = _library("pyarrow", "Avro")
    base, args = kind
    plain = {
        "boolean": pa.bool_, "tinyint": pa.int8, "smallint": pa.int16, "integer": pa.int32, "bigint": pa.int64,
        "real": pa.float32, "double": pa.float64, "varchar": pa.string, "char": pa.string, "varbinary": pa.binary,
        "date": pa.date32,
    }  # fmt: skip
    if base in plain:
        return plain[base]()
    if base == "timestamp":
        return pa.timestamp("us")
    if base == "decimal":
        return pa.decimal128(*args)
    if base == "array":
        return pa.list_(arrow_type(args[0]))
    if base == "map":
        return pa.map_(arrow_type(args[0]), arrow_type(args[1]))
    if base == "row":
        return pa.struct([pa.field(field_name(name, at), arrow_type(part)) for at, (name, part) in enumerate(args)])
    raise SqlFailure("NOT_SUPPORTED", f"{kind} columns are not built for this format")


def value_maker(kind: Type) -> Callable[[Any], Any]:
    """From fastavro's value to what Arrow takes for the type."""
    base, args = kind
    if base == "array":
        item = value_maker(args[0])
        return lambda value: None if value is None else [item(each) for each in value]
    if base == "map":
        item = value_maker(args[1])
        return lambda value: None if value is None else [(key, item(each)) for key, each in value.items()]
    if base == "row":
        fields = [(field_name(name, at), value_maker(part)) for at, (name, part) in enumerate(args)]

        def made(value: Any) -> Any:
            if value is None:
                return None
            lowered = {key.lower(): each for key, each in value.items()}
            return {name: make(lowered.get(name)) for name, make in fields}

        return made
    if base in ("varchar", "char"):
        return lambda value: value if value is None or isinstance(value, str) else _text(value)
    if base == "timestamp":
        return lambda value: value.replace(tzinfo=None) if getattr(value, "tzinfo", None) is not None else value
    return lambda value: value


def _text(value: Any) -> str:
    return value.decode() if isinstance(value, bytes) else str(value)


def parquet_to_orc(source: Path, target: Path, codec: str) -> None:
    """What DuckDB wrote, as ORC."""
    orc, parquet = _library("pyarrow.orc", "ORC"), _library("pyarrow.parquet", "ORC")
    file = parquet.ParquetFile(str(source))
    with orc.ORCWriter(str(target), compression=ORC_CODECS[codec]) as out:
        for batch in file.iter_batches(_BATCH_ROWS * 5):
            out.write(_library("pyarrow", "ORC").Table.from_batches([batch]))


def parquet_to_avro(source: Path, target: Path, codec: str, columns: Columns) -> None:
    """What DuckDB wrote, as Avro, by a schema in which every field may be null."""
    fastavro, parquet = _library("fastavro", "Avro"), _library("pyarrow.parquet", "Avro")
    counter = itertools.count()
    fields = [{"name": name, "type": ["null", avro_type(kind, counter)], "default": None} for name, kind in columns]
    schema = fastavro.parse_schema({"type": "record", "name": "row", "fields": fields})
    file = parquet.ParquetFile(str(source))
    with target.open("wb") as out:
        fastavro.writer(out, schema, _records(file, columns), codec=AVRO_CODECS[codec])


def _records(file: Any, columns: Columns) -> Iterator[dict[str, Any]]:
    makers = [(name, _avro_value(kind)) for name, kind in columns]
    for batch in file.iter_batches(_BATCH_ROWS):
        for record in batch.to_pylist():
            yield {name: make(record[name]) for name, make in makers}


def _avro_value(kind: Type) -> Callable[[Any], Any]:
    base, args = kind
    if base == "map":
        item = _avro_value(args[1])
        return lambda value: None if value is None else {str(key): item(each) for key, each in value}
    if base == "array":
        item = _avro_value(args[0])
        return lambda value: None if value is None else [item(each) for each in value]
    if base == "row":
        fields = [(field_name(name, at), _avro_value(part)) for at, (name, part) in enumerate(args)]
        return lambda value: None if value is None else {name: make(value[name]) for name, make in fields}
    if base == "timestamp":
        from datetime import UTC

        return lambda value: None if value is None else value.replace(tzinfo=UTC)
    return lambda value: value


def avro_type(kind: Type, counter: Iterator[int]) -> Any:
    """Avro's type; records need a name of their own each."""
    base, args = kind
    plain = {"boolean": "boolean", "tinyint": "int", "smallint": "int", "integer": "int", "bigint": "long", "real": "float",
             "double": "double", "varchar": "string", "char": "string", "varbinary": "bytes"}  # fmt: skip
    if base in plain:
        return plain[base]
    if base == "date":
        return {"type": "int", "logicalType": "date"}
    if base == "timestamp":
        return {"type": "long", "logicalType": "timestamp-millis"}
    if base == "decimal":
        return {"type": "bytes", "logicalType": "decimal", "precision": args[0], "scale": args[1]}
    if base == "array":
        return {"type": "array", "items": ["null", avro_type(args[0], counter)]}
    if base == "map" and args[0].base == "varchar":
        return {"type": "map", "values": ["null", avro_type(args[1], counter)]}
    if base == "row":
        fields = [
            {"name": field_name(name, at), "type": ["null", avro_type(part, counter)], "default": None}
            for at, (name, part) in enumerate(args)
        ]
        return {"type": "record", "name": f"row{next(counter)}", "fields": fields}
    raise SqlFailure("NOT_SUPPORTED", f"{kind} columns cannot be written as Avro")
