"""A table's data files: what CTAS, INSERT and UNLOAD write, by partition and bucket, in every format Athena writes.

DuckDB writes Parquet, JSON and text; ORC and Avro are made of its Parquet (``columnar``), text's further compressions of its
plain text (``plain``). Rows go to buckets by Hive's first hash, as Athena's CTAS does. At most 100 files are open at once
(https://docs.aws.amazon.com/athena/latest/ug/ctas-bucketing-guidance.html, .../create-table-as.html#ctas-table-properties).
"""

# ruff: noqa: S608 - SQL for the locked instance, from names and literals quoted here

from __future__ import annotations

from pathlib import Path
from typing import Any

from lakebed.engines.sql_duckdb import columnar, plain
from lakebed.engines.sql_duckdb.instance import execute, literal
from lakebed.lake.sql import render
from lakebed.lake.sql.query import Query
from lakebed.lake.sql.typed import Typed, cast, common
from lakebed.lake.types import INTEGERS, Type, duckdb_text, field_name, parse_hive, quote
from lakebed.ports.sql import Output, SqlFailure, SqlJob

_OPEN_MAX = 100
_ENDINGS = {"gzip": ".gz", "zstd": ".zst", "bzip2": ".bz2", "lz4": ".lz4", "snappy": ".snappy", "deflate": ".deflate",
            "none": ""}  # fmt: skip
_PARQUET_CODECS = {"snappy": "snappy", "gzip": "gzip", "zstd": "zstd", "lz4": "lz4_raw", "none": "uncompressed"}
_BUCKET = "lb_bucket"
Column = tuple[str, str, Type]


def write(connection: Any, made: Query, job: SqlJob) -> tuple[int, list[Any]]:
    """How many rows, and (path, size, partition values) of each file."""
    out, keys = job.output, len(job.output.partitioned_by)
    columns = _targeted(made, job)
    plain_columns, parts = columns[: len(columns) - keys], [name for name, _, _ in columns[len(columns) - keys :]]
    listed = [f"{_stored(sql, kind, out.format)} AS {quote(name)}" for name, sql, kind in columns]
    if out.bucketed_by:
        listed.append(f"{_bucket(connection, plain_columns, out)} AS {_BUCKET}")
    execute(connection, f"CREATE TEMP TABLE lb_out AS SELECT {', '.join(listed)} FROM ({made.sql}) q")
    total = int(execute(connection, "SELECT count(*) FROM lb_out").fetchone()[0])
    names = ", ".join(quote(name) for name, _, _ in plain_columns)
    writer = _Writer(connection, out, job.id.replace("-", ""), [(name, kind) for name, _, kind in plain_columns])
    if not parts and not out.bucketed_by:
        return total, [[*writer.copy(f"SELECT {names} FROM lb_out", 0, None), []]] if total else []
    divided = [*(f"CAST({quote(name)} AS VARCHAR)" for name in parts), *([_BUCKET] if out.bucketed_by else [])]
    found = f"SELECT DISTINCT {', '.join(divided)} FROM lb_out ORDER BY ALL LIMIT {_OPEN_MAX + 1}"
    combinations = execute(connection, found).fetchall()
    if len(combinations) > _OPEN_MAX:
        raise SqlFailure("HIVE_TOO_MANY_OPEN_PARTITIONS", "Exceeded limit of 100 open writers for partitions/buckets.")
    written: list[Any] = []
    for at, values in enumerate(combinations):
        condition = " AND ".join(
            f"{sql} IS NOT DISTINCT FROM {'NULL' if value is None else value if isinstance(value, int) else literal(value)}"
            for sql, value in zip(divided, values, strict=True)
        )
        bucket = values[-1] if out.bucketed_by else None
        told = writer.copy(f"SELECT {names} FROM lb_out WHERE {condition}", at, bucket)
        written.append([*told, list(values[:keys])])
    return total, written


class _Writer:
    """Writes one file after the other."""

    def __init__(self, connection: Any, out: Output, job_id: str, columns: list[tuple[str, Type]]) -> None:
        self._connection, self._out, self._id, self._columns = connection, out, job_id, columns
        default = {"orc": "zlib", "parquet": "gzip", "avro": "deflate"}.get(out.format, "gzip")
        self._codec = (out.compression or default).lower()
        self._codec = {"bz2": "bzip2", "uncompressed": "none"}.get(self._codec, self._codec)

    def copy(self, select: str, number: int, bucket: int | None) -> list[Any]:
        """(path, size) of a file with the rows of a statement."""
        folder = self._out.directory / f"part-{number:05d}"
        folder.mkdir(parents=True, exist_ok=True)
        name = f"{self._id}_{number:05d}" if bucket is None else f"{bucket:06d}_0_{self._id}"
        path = self._make(select, folder, name)
        return [str(path), path.stat().st_size]

    def _make(self, select: str, folder: Path, name: str) -> Path:
        form, path = self._out.format, folder / name
        if form == "parquet":
            level = f", COMPRESSION_LEVEL {self._out.compression_level}" if self._out.compression_level else ""
            self._run(select, path, f"FORMAT parquet, COMPRESSION {self._known(_PARQUET_CODECS)}{level}")
            return path
        if form in ("orc", "avro"):
            codec = self._known(columnar.ORC_CODECS if form == "orc" else columnar.AVRO_CODECS, keep=True)
            between = folder / "between"
            self._run(select, between, "FORMAT parquet")
            if form == "orc":
                columnar.parquet_to_orc(between, path, codec)
            else:
                columnar.parquet_to_avro(between, path, codec, self._columns)
            between.unlink()
            return path
        path = folder / f"{name}{self._known(_ENDINGS)}"
        native = self._codec if self._codec in ("gzip", "zstd") else "none"
        target = path if native == self._codec else folder / "between"
        if form == "json":
            self._run(select, target, f"FORMAT json, COMPRESSION {native}")
        elif form == "csv":
            delimiter = literal(self._out.delimiter)
            told = f"FORMAT csv, HEADER false, QUOTE '', ESCAPE '', NULLSTR '\\N', DELIMITER {delimiter}, COMPRESSION {native}"
            self._run(select, target, told)
        else:
            raise SqlFailure("NOT_SUPPORTED", f"writing {form} is not built")
        if target != path:
            plain.compress(target, path, "bz2" if self._codec == "bzip2" else self._codec)
            target.unlink()
        return path

    def _run(self, select: str, path: Path, options: str) -> None:
        execute(self._connection, f"COPY ({select}) TO {literal(str(path))} ({options})")

    def _known(self, codecs: dict[str, str], *, keep: bool = False) -> str:
        if self._codec not in codecs:
            raise SqlFailure("NOT_SUPPORTED", f"compression {self._codec} is not built for this format")
        return self._codec if keep else codecs[self._codec]


def _bucket(connection: Any, columns: list[Column], out: Output) -> str:
    """Hive's hash of the bucketing columns, modulo their number of buckets."""
    found = {name: (sql, kind) for name, sql, kind in columns}
    made = "0::BIGINT"
    for name in out.bucketed_by:
        if name not in found:
            raise SqlFailure(
                "INVALID_TABLE_PROPERTY", f"Bucketing columns {list(out.bucketed_by)} not present in schema"
            )
        sql, kind = found[name]
        made = f"(({made} * 31 + coalesce({_hash(connection, sql, kind)}, 0)) & 4294967295)"
    return f"CAST(({made} & 2147483647) % {out.bucket_count} AS INTEGER)"


def _hash(connection: Any, sql: str, kind: Type) -> str:
    if kind.base == "boolean":
        return f"CAST({sql} AS BIGINT)"
    if kind.base == "date":
        return f"(epoch({sql}) // 86400)::BIGINT & 4294967295"
    if kind.base == "bigint":
        return f"(xor({sql} & 4294967295, ({sql} >> 32) & 4294967295))"
    if kind.base in INTEGERS:
        return f"(CAST({sql} AS BIGINT) & 4294967295)"
    if kind.base in ("varchar", "char"):
        connection.create_function("lb_hive_hash", _text_hash, ["VARCHAR"], "BIGINT")
        return f"lb_hive_hash({sql})"
    raise SqlFailure("NOT_SUPPORTED", f"bucketing by a column of {kind} is not built")


def _text_hash(text: str) -> int:
    made = 0
    for byte in text.encode():
        made = (made * 31 + (byte if byte < 128 else byte - 256)) & 0xFFFFFFFF
    return made


def _targeted(made: Query, job: SqlJob) -> list[Column]:
    """(name, SQL, type) of each output column, cast to the target's where there is one."""
    own = [(name, f"c{at}", kind) for at, (name, kind) in enumerate(made.columns)]
    if not job.output.columns:
        if len({name for name, _, _ in own}) != len(own):
            raise SqlFailure("DUPLICATE_COLUMN_NAME", "Column name is specified more than once")
        return own
    if len(own) != len(job.output.columns):
        raise SqlFailure("TYPE_MISMATCH", "line 1:1: Insert query has mismatched column types: "
                         f"Table has {len(job.output.columns)} columns, query has {len(own)}")  # fmt: skip
    targeted = []
    for (_, sql, kind), (name, text) in zip(own, job.output.columns, strict=True):
        wanted = parse_hive(text)
        if common(kind, wanted) is None:
            raise SqlFailure(
                "TYPE_MISMATCH", f"line 1:1: Insert query has mismatched column types: {kind} for {wanted}"
            )
        targeted.append((name, _whole(cast(Typed(sql, kind), wanted).sql, sql, kind, wanted), wanted))
    return targeted


def _whole(made: str, sql: str, kind: Type, wanted: Type) -> str:
    """Text that does not fit its column fails the statement; only spaces may be cut off."""
    if wanted.base not in ("varchar", "char") or not wanted.args or kind.base == "unknown":
        return made
    told = "lb_fail('Cannot truncate non-space characters on INSERT')"
    return f"CASE WHEN length(rtrim({sql})) > {wanted.args[0]} THEN left('', {told}) ELSE {made} END"


def _stored(sql: str, kind: Type, form: str) -> str:
    if kind.base == "timestamp with time zone" or kind.base.startswith("interval") or kind.base == "time":
        raise SqlFailure("NOT_SUPPORTED", f"Unsupported Hive type: {kind}")
    if form == "csv":
        return serialised(sql, kind, 2)
    if form == "json" and kind.base == "varbinary":
        return f"to_base64({sql})"
    return f"CAST({sql} AS {duckdb_text(kind)})" if kind.base == "unknown" else sql


def serialised(sql: str, kind: Type, level: int) -> str:
    """A value as LazySimpleSerDe writes it, its parts between the separators of their level."""
    if kind.base == "varbinary":
        return f"to_base64({sql})"
    if kind.base not in ("array", "map", "row"):
        return render.text(sql, kind)
    if level > 7:
        raise SqlFailure("NOT_SUPPORTED", "text columns nested so deeply are not built")
    name, mark = f"w{level}_", literal(chr(level))
    if kind.base == "array":
        return f"array_to_string(list_transform({sql}, lambda {name}: {_part(name, kind.args[0], level + 1)}), {mark})"
    if kind.base == "map":
        key, value = (
            _part(f"{name}.{part}", of, level + 2) for part, of in (("key", kind.args[0]), ("value", kind.args[1]))
        )
        entry = f"{key} || {literal(chr(level + 1))} || {value}"
        return f"array_to_string(list_transform(map_entries({sql}), lambda {name}: {entry}), {mark})"
    fields = [
        _part(f"{name}.{quote(field_name(label, at))}", part, level + 1) for at, (label, part) in enumerate(kind.args)
    ]
    joined = f" || {mark} || ".join(fields)
    return f"list_transform([{sql}], lambda {name}: CASE WHEN {name} IS NULL THEN NULL ELSE {joined} END)[1]"


def _part(sql: str, kind: Type, level: int) -> str:
    return f"coalesce({serialised(sql, kind, level)}, '\\N')"
