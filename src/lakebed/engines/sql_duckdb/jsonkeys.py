"""Reading JSON whose keys are spelled in any case, at any depth, as Hive's and OpenX's deserialisers do.

DuckDB matches keys exactly. So the structure of the files is asked for first (one pass over the text), and every field is
read under each spelling that occurs, the first one that is not null winning.
https://docs.aws.amazon.com/athena/latest/ug/openx-json-serde.html (case.insensitive)
"""

# ruff: noqa: S608 - SQL for the locked instance, from names and literals quoted here

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import msgspec

from lakebed.lake.sql.typed import literal
from lakebed.lake.types import Type, duckdb_text, field_name, quote

_DEPTH_MAX = 30


class Field(NamedTuple):
    """How to read a value: the type DuckDB reads and what makes ours of it, with ``{}`` for the value; '' is itself."""

    read: str
    made: str


def structure(connection: Any, scan: str) -> dict[str, Any]:
    """Keys that occur, nested as in the data."""
    row = connection.execute(f"SELECT CAST(json_group_structure(json) AS VARCHAR) FROM {scan}").fetchone()
    found = msgspec.json.decode(row[0]) if row and row[0] else {}
    return found if isinstance(found, dict) else {}


def columns(
    wanted: Sequence[tuple[str, str, Type]], found: dict[str, Any], *, fold: bool, dots: bool = False
) -> tuple[list[tuple[str, str]], list[str]]:
    """(key, type) pairs to read, and for each wanted (column, key, type) the expression that makes it."""
    read: list[tuple[str, str]] = []
    made = []
    for name, key, kind in wanted:
        spellings = _spellings(key, found, fold, dots)
        parts = []
        for spelling in spellings:
            field = field_of(kind, found.get(spelling), 0, dots)
            read.append((spelling, field.read))
            parts.append(field.made.replace("{}", quote(spelling)) if field.made else quote(spelling))
        value = parts[0] if len(parts) == 1 else f"coalesce({', '.join(parts)})"
        made.append(f"{value} AS {quote(name)}")
    return read, made


def _spellings(key: str, found: dict[str, Any], fold: bool, dots: bool) -> list[str]:
    """The keys that mean this one; ``dots.in.keys`` lets ``a.b`` mean ``a_b`` where there is no ``a_b`` itself."""

    def alike(spelling: str) -> bool:
        return spelling == key or (fold and spelling.lower() == key.lower())

    same = [spelling for spelling in found if alike(spelling)]
    if dots:
        same += [each for each in found if "." in each and each not in same and alike(each.replace(".", "_"))]
    return same[:20] or [key]


def field_of(kind: Type, found: Any, depth: int, dots: bool = False) -> Field:
    """How to read a value of ``kind`` that looks like ``found``."""
    if kind.base == "varbinary":
        return Field("VARCHAR", "coalesce(TRY(from_base64({})), encode({}))")
    if kind.base == "array" and depth < _DEPTH_MAX:
        inner = field_of(kind.args[0], found[0] if isinstance(found, list) and found else None, depth + 1, dots)
        name = f"k{depth}_"
        made = inner.made.replace("{}", name)
        return Field(f"{inner.read}[]", f"list_transform({{}}, lambda {name}: {made})" if inner.made else "")
    if kind.base == "row" and depth < _DEPTH_MAX:
        return _row(kind, found if isinstance(found, dict) else {}, depth, dots)
    return Field(duckdb_text(kind), "")


def _row(kind: Type, found: dict[str, Any], depth: int, dots: bool) -> Field:
    name, read, packed, plain = f"k{depth}_", [], [], True
    for at, (label, part) in enumerate(kind.args):
        own = field_name(label, at)
        spellings = _spellings(own, found, True, dots)
        values = []
        for spelling in spellings:
            inner = field_of(part, found.get(spelling), depth + 1, dots)
            read.append(f"{quote(spelling)} {inner.read}")
            values.append(
                inner.made.replace("{}", f"{name}.{quote(spelling)}") if inner.made else f"{name}.{quote(spelling)}"
            )
            plain = plain and not inner.made and spellings == [own]
        packed.append(f"{quote(own)} := {values[0] if len(values) == 1 else f'coalesce({chr(44).join(values)})'}")
    text = f"STRUCT({', '.join(read)})"
    if plain:
        return Field(text, "")
    body = f"CASE WHEN {name} IS NULL THEN NULL ELSE struct_pack({', '.join(packed)}) END"
    return Field(text, f"list_transform([{{}}], lambda {name}: {body})[1]")


def spec(read: Sequence[tuple[str, str]]) -> str:
    """The ``columns=`` of read_json."""
    return "{" + ", ".join(f"{literal(key)}: {literal(kind)}" for key, kind in read) + "}"
