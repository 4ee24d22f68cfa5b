"""Converter's work in the engine process: newline-delimited JSON to Parquet by Hive types, record by record.

Every line is decoded and coerced here, so that one bad record rejects itself with its line and reason and never the
file (https://docs.aws.amazon.com/firehose/latest/dev/record-format-conversion.html); DuckDB then only writes. A value
that does not fit its column's type rejects its record; absent keys and JSON null are NULL; keys that match no column
are dropped, as the Hive and OpenX deserialisers do. ORC is written by pyarrow (``orc.py``).
"""

# ruff: noqa: S608, TRY301 - SQL for the locked instance, from names and literals quoted here

from __future__ import annotations

import math
import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal, InvalidOperation
from pathlib import Path
from typing import Any

import msgspec

from lakebed.engines.sql_duckdb import orc
from lakebed.engines.sql_duckdb.instance import Instances, literal
from lakebed.lake import joda
from lakebed.lake.types import Type, duckdb_text, parse_hive, quote
from lakebed.ports.sql import SqlFailure

_COMPRESSIONS = {"parquet": {"snappy", "gzip", "zstd", "uncompressed"}, "orc": {"snappy", "zlib", "none"}}
_RANGES = {"tinyint": 2**7, "smallint": 2**15, "integer": 2**31, "bigint": 2**63}
_INTEGER_TEXT = re.compile(r"[+-]?\d{1,19}")
_REJECTED_MAX = 1_000_000
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
Coerce = Callable[[Any], Any]


def convert(instances: Instances, job: dict[str, Any]) -> dict[str, Any]:
    """Write the target; returns rows and rejected records."""
    if job["compression"] not in _COMPRESSIONS.get(job["format"], ()):
        raise SqlFailure("NOT_SUPPORTED", f"{job['format']} with compression {job['compression']} is not built")
    source, target = Path(job["source"]), Path(job["target"])
    columns = [(name, parse_hive(kind)) for name, kind in job["columns"]]
    accepted = target.with_name(f".{target.name}.ndjson")
    try:
        rows, rejected = _normalise(source, accepted, columns, job)
        if rows:
            _write(instances, accepted, target, columns, job)
    finally:
        accepted.unlink(missing_ok=True)
    return {"rows": rows, "rejected": rejected}


def _normalise(
    source: Path, accepted: Path, columns: list[tuple[str, Type]], job: dict[str, Any]
) -> tuple[int, list[tuple[int, str]]]:
    reading = Reading.of(job)
    fold = reading.fold
    rename = {fold(key): fold(name) for key, name in job["rename"].items()}
    fields = {fold(name): (at, coercer(kind, reading)) for at, (name, kind) in enumerate(columns)}
    keys: dict[str, tuple[int, Coerce] | None] = {}
    encoder, rows = msgspec.json.Encoder(), 0
    rejected: list[tuple[int, str]] = []
    names = [name for name, _ in columns]
    with source.open("rb") as lines, accepted.open("wb") as out:
        for number, line in enumerate(lines):
            if not line.strip():
                continue
            try:
                record = msgspec.json.decode(line)
                if not isinstance(record, dict):
                    raise TypeError("the record is not a JSON object")
                values: list[Any] = [None] * len(names)
                for key, value in record.items():
                    if key not in keys:
                        keys[key] = fields.get(rename.get(fold(key), fold(key)))
                        if len(keys) > 10_000:
                            keys.clear()
                            keys[key] = fields.get(rename.get(fold(key), fold(key)))
                    if value is not None and (field := keys[key]) is not None:
                        values[field[0]] = field[1](value)
            except (msgspec.DecodeError, ValueError, TypeError, InvalidOperation, RecursionError) as wrong:
                if len(rejected) < _REJECTED_MAX:
                    rejected.append((number, str(wrong)[:200]))
                continue
            out.write(encoder.encode(dict(zip(names, values, strict=True))) + b"\n")
            rows += 1
    return rows, rejected


def _write(
    instances: Instances, accepted: Path, target: Path, columns: list[tuple[str, Type]], job: dict[str, Any]
) -> None:
    connection = instances.open([str(accepted), str(target)], [])
    read = ", ".join(f"{literal(name)}: {literal(_json_type(kind))}" for name, kind in columns)
    take = ", ".join(
        f"from_hex({quote(name)}) AS {quote(name)}" if kind.base == "varbinary" else quote(name)
        for name, kind in columns
    )
    select = (
        f"SELECT {take} FROM read_json([{literal(str(accepted))}], columns={{{read}}}, "
        "format='newline_delimited', compression='none', maximum_object_size=268435456)"
    )
    if job["format"] == "orc":
        orc.write(connection, select, target, job["compression"], job["options"])
        return
    connection.execute(
        f"COPY ({select}) TO {literal(str(target))} "
        f"(FORMAT parquet, COMPRESSION {job['compression']}, ROW_GROUP_SIZE_BYTES {max(int(job['row_group_bytes']), 1 << 20)}"
        ")"
    )


def _json_type(kind: Type) -> str:
    return "VARCHAR" if kind.base == "varbinary" else duckdb_text(kind)


@dataclass(frozen=True, slots=True)
class Reading:
    """How keys are compared, and timestamps read where patterns say so."""

    fold: Callable[[str], str] = str.lower
    timestamp: Coerce | None = None

    @classmethod
    def of(cls, job: dict[str, Any]) -> Reading:
        """As a job asks for."""
        case: Callable[[str], str] = str.lower if job["case_insensitive"] else str
        dots, formats = job.get("dots_to_underscores"), job.get("timestamp_formats")
        fold = (lambda key: case(key).replace(".", "_")) if dots else case
        return cls(fold, _timestamp_by(formats) if formats else None)


def _timestamp_by(formats: list[str]) -> Coerce:
    try:
        readers = [None if text == joda.MILLIS else joda.reader(text) for text in formats]
    except joda.PatternError as wrong:
        raise SqlFailure("NOT_SUPPORTED", str(wrong)) from None

    def coerce(value: Any) -> str:
        for read in readers:
            try:
                if read is not None:
                    moment = read(value if isinstance(value, str) else str(value))
                elif isinstance(value, bool):
                    continue
                else:
                    moment = _EPOCH + timedelta(milliseconds=int(value))
            except (ValueError, TypeError, OverflowError):
                continue
            return moment.strftime("%Y-%m-%d %H:%M:%S.%f").rjust(26, "0")
        raise ValueError(f"{str(value)[:50]!r} is a timestamp of none of the formats")

    return coerce


_PLAIN = Reading()


def coercer(kind: Type, reading: Reading = _PLAIN) -> Coerce:
    """A function from a decoded JSON value to what the writer reads; raises ValueError or TypeError when it does not fit."""
    base, args = kind
    if base in _RANGES:
        return _integer(base, _RANGES[base])
    if base == "array":
        return _array(coercer(args[0], reading))
    if base == "map":
        return _map(coercer(args[1], reading))
    if base == "row":
        return _row([(name, coercer(field, reading)) for name, field in args], reading)
    if base == "decimal":
        return _decimal(args[0], args[1])
    if base in ("varchar", "char"):
        return _text(args[0] if args else None)
    simple = {"boolean": _boolean, "real": _double, "double": _double, "date": _date,
              "timestamp": reading.timestamp or _timestamp, "varbinary": _binary, "json": _text(None)}  # fmt: skip
    if base not in simple:
        raise SqlFailure("NOT_SUPPORTED", f"type {base} is not built in conversions")
    return simple[base]


def _integer(base: str, bound: int) -> Coerce:
    def coerce(value: Any) -> int:
        if type(value) is not int:
            if (isinstance(value, str) and _INTEGER_TEXT.fullmatch(value.strip())) or (
                isinstance(value, float) and value.is_integer()
            ):
                value = int(value)
            else:
                raise ValueError(f"{str(value)[:50]!r} is not {base}")
        if not -bound <= value < bound:
            raise ValueError(f"{value} is out of the range of {base}")
        return int(value)

    return coerce


def _double(value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        raise TypeError(f"{str(value)[:50]!r} is not a number")
    number = float(value)
    if not math.isfinite(number):
        raise ValueError(f"{str(value)[:50]!r} is not a finite number")
    return number


def _boolean(value: Any) -> bool:
    if isinstance(value, bool):
        return value
    if isinstance(value, str) and value.lower() in ("true", "false"):
        return value.lower() == "true"
    raise ValueError(f"{str(value)[:50]!r} is not boolean")


def _text(length: int | None) -> Coerce:
    def coerce(value: Any) -> str:
        text = value if isinstance(value, str) else msgspec.json.encode(value).decode()
        return text if length is None else text[:length]

    return coerce


def _binary(value: Any) -> str:
    if not isinstance(value, str):
        raise TypeError(f"{str(value)[:50]!r} is not a string")
    return value.encode().hex()


def _decimal(precision: int, scale: int) -> Coerce:
    quantum = Decimal(1).scaleb(-scale)

    def coerce(value: Any) -> str:
        if isinstance(value, bool) or not isinstance(value, int | float | str):
            raise TypeError(f"{str(value)[:50]!r} is not a number")
        number = Decimal(str(value).strip())
        if not number.is_finite() or abs(number) >= Decimal(10) ** (precision - scale):
            raise ValueError(f"{str(value)[:50]} does not fit decimal({precision},{scale})")
        return str(number.quantize(quantum, rounding="ROUND_HALF_UP"))

    return coerce


def _date(value: Any) -> str:
    if isinstance(value, str):
        return date.fromisoformat(value.strip()[:10]).isoformat()
    if isinstance(value, int) and not isinstance(value, bool) and abs(value) < 3_000_000:
        return date.fromordinal(date(1970, 1, 1).toordinal() + value).isoformat()
    raise ValueError(f"{str(value)[:50]!r} is not a date")


def _timestamp(value: Any) -> str:
    """ISO or JDBC text, or a number: epoch seconds, or milliseconds from 1e11 on (what the Hive serde's docs call millis)."""
    if isinstance(value, str) and re.fullmatch(r"-?\d+(\.\d+)?", value.strip()):
        value = float(value) if "." in value else int(value)
    if isinstance(value, str):
        moment = datetime.fromisoformat(value.strip())
        moment = moment.astimezone(UTC) if moment.tzinfo else moment
    elif isinstance(value, int | float) and not isinstance(value, bool):
        micros = round(value * (1000 if abs(value) >= 1e11 else 1_000_000))
        moment = datetime.fromtimestamp(micros // 1_000_000, UTC).replace(microsecond=micros % 1_000_000)
    else:
        raise TypeError(f"{str(value)[:50]!r} is not a timestamp")
    return moment.strftime("%Y-%m-%d %H:%M:%S.%f").rjust(26, "0")


def _array(element: Coerce) -> Coerce:
    def coerce(value: Any) -> list[Any]:
        if not isinstance(value, list):
            raise TypeError(f"{str(value)[:50]!r} is not an array")
        return [None if item is None else element(item) for item in value]

    return coerce


def _map(of: Coerce) -> Coerce:
    def coerce(value: Any) -> dict[str, Any]:
        if not isinstance(value, dict):
            raise TypeError(f"{str(value)[:50]!r} is not an object")
        return {key: None if item is None else of(item) for key, item in value.items()}

    return coerce


def _row(fields: list[tuple[str, Coerce]], reading: Reading) -> Coerce:
    keyed = [(name, reading.fold(name), of) for name, of in fields]

    def coerce(value: Any) -> dict[str, Any]:
        if not isinstance(value, dict):
            raise TypeError(f"{str(value)[:50]!r} is not an object")
        folded = {reading.fold(key): item for key, item in value.items()}
        return {name: None if (item := folded.get(key)) is None else of(item) for name, key, of in keyed}

    return coerce
